"""The partner's identity towards smallcase Gateway, as kept in the secret `GatewaySecret`.

Owns judging that secret as a whole before any part of it is used. Meaning of the fields: the vendor's documentation of
`secret` (signs session JWTs) and `apiSecret` (authenticates backend calls).
"""

from typing import NamedTuple

from gatehouse.problems import GatewayNotConfigured
from gatehouse.secret_fields import FieldFault, is_set, read_members, read_text
from gatehouse.secret_value import Secret

# RFC 7518, 3.2: a key for HS256 has at least the hash's size.
MIN_KEY_BYTES = 32

REQUIRED_KEYS = ("secret", "api_secret")
OPTIONAL_KEYS = ("previous_secret", "previous_api_secret")


class GatewaySecret(NamedTuple):
    """A gateway secret that was judged usable."""

    gateway_name: str
    secret: Secret
    api_secret: Secret
    previous_secret: Secret | None
    previous_api_secret: Secret | None


def parse_gateway_secret(text: Secret, *, allow_short: bool) -> GatewaySecret:
    """Read and judge the secret's JSON.

    `allow_short` accepts keys under 32 bytes. Raises `GatewayNotConfigured`, which names the first field at fault.
    Swapping `secret` and `api_secret` fails quietly at the vendor: no key of the one kind may equal one of the other.
    """
    try:
        return _parse(text, allow_short=allow_short)
    except FieldFault as fault:
        raise GatewayNotConfigured(fault.field, fault.reason) from None


def _parse(text: Secret, *, allow_short: bool) -> GatewaySecret:
    members = read_members(text)
    name = read_text(members, "gateway_name")
    present = [*REQUIRED_KEYS, *(field for field in OPTIONAL_KEYS if is_set(members, field))]
    keys = {field: _key(members, field, allow_short=allow_short) for field in present}
    for signing in ("secret", "previous_secret"):
        for backend in ("api_secret", "previous_api_secret"):
            if signing in keys and backend in keys and keys[signing] == keys[backend]:
                raise FieldFault(backend, f"equals_{signing}")
    return GatewaySecret(
        name, keys["secret"], keys["api_secret"], keys.get("previous_secret"), keys.get("previous_api_secret")
    )


def _key(members: dict[str, object], field: str, *, allow_short: bool) -> Secret:
    key = Secret(read_text(members, field))
    if len(key.reveal_bytes()) < MIN_KEY_BYTES and not allow_short:
        raise FieldFault(field, "too_short")
    return key
