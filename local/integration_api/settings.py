"""What a developer can change about the simulator while it runs, and its defaults, which are the documented behaviour.

Owns the names and limits of the switches of `POST /_simulator/settings`. Never decides anything with them.
"""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self

from local.simulator_controls import Rules, check_members, is_number

EXPIRES_AT_FORMATS = ("z", "offset", "microseconds", "no_zone")
LONGEST_SECONDS = 10 * 366 * 86_400  # keeps every date far from the end of what a datetime can hold
LONGEST_LATENCY_SECONDS = 300


@dataclass(frozen=True, slots=True)
class Credentials:
    """An API key and its secret key; neither shows in a repr."""

    api_key: str = field(repr=False)
    secret_key: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Settings:
    """All switches. Each name is also its name in JSON."""

    credentials: Credentials
    access_token_lifetime_seconds: int = 3_600  # 0: expired when it arrives
    refresh_token_lifetime_seconds: int = 604_800
    rate_limit_per_minute: int | None = 50  # None: no limit
    accept_body: bool = True
    accept_headers: bool = True
    # Undocumented, so both ways can be tried: does an exchange end the life of the access tokens before it?
    invalidate_old_tokens_on_exchange: bool = False
    rotate_refresh_token: bool = False
    refuse_refresh_while_valid: bool = False
    expires_at_format: str = "z"
    expires_at_skew_seconds: float = 0  # moves only the `expires_at` that is told; -7200 gives the documented sample
    latency_seconds: float = 0  # between the effect of an exchange and its answer

    def changed(self, members: Mapping[str, object]) -> Self:
        """Give the settings with these members replaced.

        Raises InvalidControlError naming every unknown name and every unusable value; then nothing has changed.
        """
        check_members(members, _RULES)
        changes = dict(members)
        if isinstance(pair := changes.get("credentials"), dict):
            changes["credentials"] = Credentials(**pair)
        return dataclasses.replace(self, **changes)  # type: ignore[arg-type]  # the rules have just checked each type

    def public(self) -> dict[str, object]:
        """Give every setting that may be shown: all but the credentials."""
        return {name: getattr(self, name) for name in _RULES if name != "credentials"}


def _is_lifetime(value: object) -> bool:
    return isinstance(value, int) and is_number(value, 0, LONGEST_SECONDS)


def _is_limit(value: object) -> bool:
    return value is None or (isinstance(value, int) and is_number(value, 1, 1_000_000))


def _is_flag(value: object) -> bool:
    return isinstance(value, bool)


def _is_pair(value: object) -> bool:
    return (
        isinstance(value, dict)
        and value.keys() == {"api_key", "secret_key"}
        and all(isinstance(part, str) and part for part in value.values())
    )


_LIFETIME = (_is_lifetime, f"a whole number of seconds from 0 to {LONGEST_SECONDS}")
_FLAG = (_is_flag, "true or false")
_RULES: Rules = {
    "credentials": (_is_pair, 'an object {"api_key", "secret_key"} of two strings that are not empty'),
    "access_token_lifetime_seconds": _LIFETIME,
    "refresh_token_lifetime_seconds": _LIFETIME,
    "rate_limit_per_minute": (_is_limit, "a whole number of at least 1, or null for no limit"),
    "accept_body": _FLAG,
    "accept_headers": _FLAG,
    "invalidate_old_tokens_on_exchange": _FLAG,
    "rotate_refresh_token": _FLAG,
    "refuse_refresh_while_valid": _FLAG,
    "expires_at_format": (lambda value: value in EXPIRES_AT_FORMATS, f"one of {', '.join(EXPIRES_AT_FORMATS)}"),
    "expires_at_skew_seconds": (
        lambda value: is_number(value, -LONGEST_SECONDS, LONGEST_SECONDS),
        f"a number of seconds, at most {LONGEST_SECONDS} either way",
    ),
    "latency_seconds": (
        lambda value: is_number(value, 0, LONGEST_LATENCY_SECONDS),
        f"a number of seconds from 0 to {LONGEST_LATENCY_SECONDS}",
    ),
}
