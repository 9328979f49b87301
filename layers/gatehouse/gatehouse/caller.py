"""Who calls: the user that API Gateway's JWT authorizer verified.

Owns turning verified claims into a user. It verifies no signature (the authorizer did), and it never takes an identity
from a header, a query or a body.
"""

import math
from collections.abc import Mapping
from typing import NamedTuple

from gatehouse.problems import CallerNotIdentified

# DynamoDB's limit for a partition key, which is made of both parts: 2048 bytes, less the prefix and the separator.
MAX_IDENTITY_BYTES = 2000


class User(NamedTuple):
    """A user of the company: unique by issuer and subject together (OpenID Connect Core, 5.7)."""

    issuer: str
    subject: str


def identify(claims: Mapping[str, object]) -> User:
    """Return the user whom the claims name.

    The authorizer accepts a token without `exp` or `sub`; here it is refused with `CallerNotIdentified`, because it
    would be good for ever, or for nobody.
    """
    user = User(_text(claims, "iss"), _text(claims, "sub"))
    if len((user.issuer + user.subject).encode()) > MAX_IDENTITY_BYTES:
        raise CallerNotIdentified("identity is too long")
    if not _is_number(claims.get("exp")):
        raise CallerNotIdentified("exp is missing or no number")
    return user


def _text(claims: Mapping[str, object], name: str) -> str:
    value = claims.get(name)
    # API Gateway hands every claim over as text, null, lists and objects as well: those name nobody.
    if not isinstance(value, str) or not value.strip() or value == "null" or value.startswith(("[", "map[")):
        raise CallerNotIdentified(f"{name} is missing or empty")
    if not value.isprintable():  # nor is half of a surrogate pair
        # No issuer means such a one, and a key or a file with it in would be read differently by different readers.
        raise CallerNotIdentified(f"{name} holds control characters")
    return value


def _is_number(value: object) -> bool:
    """Whether a claim is a number. API Gateway hands numbers over as text."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return False
    try:
        return math.isfinite(float(value))
    except (ValueError, OverflowError):
        return False
