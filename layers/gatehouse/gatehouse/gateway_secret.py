"""The partner's identity towards smallcase Gateway, as kept in the secret `GatewaySecret`.

Owns judging that secret as a whole before any part of it is used. It never says a value, only a field and what is wrong
with it. Meaning of the fields: the vendor's documentation of `secret` (signs session JWTs) and `apiSecret`
(authenticates backend calls).
"""

import json
from typing import NamedTuple

from gatehouse.problems import GatewayNotConfigured
from gatehouse.secret_value import Secret

# RFC 7518, 3.2: a key for HS256 has at least the hash's size.
MIN_KEY_BYTES = 32

# What people and templates write where a value is still to come.
PLACEHOLDERS = frozenset({"replace_me", "replace-me", "replaceme", "change_me", "change-me", "changeme", "todo", "tbd"})

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
    members = _members(text)
    name = _text(members, "gateway_name")
    keys = {field: _key(members, field, allow_short=allow_short) for field in REQUIRED_KEYS}
    keys |= {field: _key(members, field, allow_short=allow_short) for field in OPTIONAL_KEYS if _is_set(members, field)}
    for signing in ("secret", "previous_secret"):
        for backend in ("api_secret", "previous_api_secret"):
            if signing in keys and backend in keys and keys[signing] == keys[backend]:
                raise GatewayNotConfigured(backend, f"equals_{signing}")
    return GatewaySecret(
        name, keys["secret"], keys["api_secret"], keys.get("previous_secret"), keys.get("previous_api_secret")
    )


def _members(text: Secret) -> dict[str, object]:
    try:
        members = json.loads(text.reveal())
    except (ValueError, RecursionError):
        raise GatewayNotConfigured("SecretString", "not_json") from None
    if not isinstance(members, dict):
        raise GatewayNotConfigured("SecretString", "not_an_object")
    return members


def _is_set(members: dict[str, object], field: str) -> bool:
    """Whether an optional field holds something: an operator ends an overlap by removing or emptying it."""
    return members.get(field) not in (None, "")


def _key(members: dict[str, object], field: str, *, allow_short: bool) -> Secret:
    key = Secret(_text(members, field))
    if len(key.reveal_bytes()) < MIN_KEY_BYTES and not allow_short:
        raise GatewayNotConfigured(field, "too_short")
    return key


def _text(members: dict[str, object], field: str) -> str:
    if field not in members:
        raise GatewayNotConfigured(field, "missing")
    value = members[field]
    if not isinstance(value, str):
        raise GatewayNotConfigured(field, "not_text")
    bare = value.strip()
    if not bare:
        raise GatewayNotConfigured(field, "empty")
    if bare.casefold() in PLACEHOLDERS or (bare.startswith("<") and bare.endswith(">")):
        raise GatewayNotConfigured(field, "placeholder")
    if bare != value:
        # A pasted line feed would sign tokens that the Gateway refuses.
        raise GatewayNotConfigured(field, "surrounding_space")
    if not value.isprintable():
        # Also what cannot be sent in a header or encoded as UTF-8.
        raise GatewayNotConfigured(field, "not_printable")
    return value
