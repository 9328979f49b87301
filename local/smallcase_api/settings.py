"""Who the partner is, and what a developer can change about the simulator while it runs.

Owns the names and limits of the switches of `POST /_simulator/settings`. Never decides anything with them, and never
shows a key.
"""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Self
from urllib.parse import urlsplit

from local.simulator_controls import Rules, check_members, is_number

ENVIRONMENT_PREFIX: Final = "SMALLCASE_"
EXPIRE_AT_FORMATS: Final = ("iso", "epoch_milliseconds")
CHECKSUM_ENCODINGS: Final = ("hex", "base64")
LONGEST_SECONDS: Final = 10 * 366 * 86_400  # keeps every date far from the end of what a datetime can hold
LONGEST_LATENCY_SECONDS: Final = 300


@dataclass(frozen=True, slots=True)
class Identity:
    """The partner, by the members of the secret `GatewaySecret`. Only its name shows in a repr.

    An empty member is not there: it fits nothing. `secret` signs session tokens, `api_secret` authenticates calls (H);
    the previous ones are good as well, as while a partner rotates them.
    """

    gateway_name: str
    secret: str = field(repr=False)
    api_secret: str = field(repr=False)
    previous_secret: str = field(default="", repr=False)
    previous_api_secret: str = field(default="", repr=False)

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Self:
        """Read the variables that `to_environment` makes."""
        return cls(**{name: environment.get(ENVIRONMENT_PREFIX + name.upper(), "") for name in IDENTITY_MEMBERS})

    @classmethod
    def to_environment(cls, members: Mapping[str, object]) -> dict[str, str]:
        """Give the variables that a process of the simulator reads `members` of a `GatewaySecret` from."""
        return {ENVIRONMENT_PREFIX + name.upper(): str(members.get(name) or "") for name in IDENTITY_MEMBERS}

    @property
    def signing_keys(self) -> tuple[str, ...]:
        """What a session token may be signed with."""
        return tuple(filter(None, (self.secret, self.previous_secret)))


IDENTITY_MEMBERS: Final = tuple(each.name for each in dataclasses.fields(Identity))
_REQUIRED: Final = {"gateway_name", "secret", "api_secret"}


@dataclass(frozen=True, slots=True)
class Settings:
    """All switches. Each name is also its name in JSON."""

    identity: Identity
    transaction_lifetime_seconds: int = 900  # 5 to 45 minutes are reported (M); 0: expired at once
    expire_at_format: str = "iso"  # neither form is documented
    auth_token_lifetime_seconds: int | None = 86_400  # as in the vendor's samples (H); None: no exp, which is optional
    latency_seconds: float = 0  # between the effect of a request and its answer
    webhook_url: str | None = None  # where a completed transaction is told; None: nowhere
    checksum_encoding: str = "hex"  # lower case (M)

    def changed(self, members: Mapping[str, object]) -> Self:
        """Give the settings with these members replaced.

        Raises InvalidControlError naming every unknown name and every unusable value; then nothing has changed.
        """
        check_members(members, _RULES)
        changes = dict(members)
        if isinstance(identity := changes.get("identity"), dict):
            changes["identity"] = Identity(**identity)
        return dataclasses.replace(self, **changes)  # type: ignore[arg-type]  # the rules have just checked each type

    def public(self) -> dict[str, object]:
        """Give every setting that may be shown; of the identity, that is the name."""
        shown = {name: getattr(self, name) for name in _RULES if name != "identity"}
        return {"gateway_name": self.identity.gateway_name, **shown}


def _is_identity(value: object) -> bool:
    return (
        isinstance(value, dict)
        and _REQUIRED <= value.keys() <= set(IDENTITY_MEMBERS)
        and all(isinstance(member, str) and member for member in value.values())
    )


def _is_lifetime(value: object) -> bool:
    return isinstance(value, int) and is_number(value, 0, LONGEST_SECONDS)


def _is_own_url(value: object) -> bool:
    """Only this machine: a page of any origin may flip the switches, and must not send deliveries about with them."""
    if not isinstance(value, str):
        return value is None
    try:
        parts = urlsplit(value)
        return parts.scheme == "http" and parts.hostname in {"127.0.0.1", "localhost"} and bool(parts.port)
    except ValueError:
        return False


_RULES: Final[Rules] = {
    "identity": (_is_identity, "an object of texts: gateway_name, secret, api_secret, previous_secret?, …"),
    "transaction_lifetime_seconds": (_is_lifetime, f"a whole number of seconds from 0 to {LONGEST_SECONDS}"),
    "expire_at_format": (lambda value: value in EXPIRE_AT_FORMATS, f"one of {', '.join(EXPIRE_AT_FORMATS)}"),
    "auth_token_lifetime_seconds": (
        lambda value: value is None or _is_lifetime(value),
        f"a whole number of seconds from 0 to {LONGEST_SECONDS}, or null for no expiry",
    ),
    "latency_seconds": (
        lambda value: is_number(value, 0, LONGEST_LATENCY_SECONDS),
        f"a number of seconds from 0 to {LONGEST_LATENCY_SECONDS}",
    ),
    "webhook_url": (_is_own_url, "http://127.0.0.1:PORT/… or http://localhost:PORT/…, or null for none"),
    "checksum_encoding": (lambda value: value in CHECKSUM_ENCODINGS, f"one of {', '.join(CHECKSUM_ENCODINGS)}"),
}
