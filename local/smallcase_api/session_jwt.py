"""The session JWT (smallcaseAuthToken) as the Gateway reads it and hands it back.

Owns its documented form (H): HS256 under the partner's `secret`, and exactly one of `{"guest": true}` and
`{"smallcaseAuthId": "…"}` besides an optional `iat` and `exp`. Written anew, and not taken from the layer: a mistake
there must not be agreed with here. Pure: the time is an argument.
"""

import math
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeGuard

import jwt
from jwt.warnings import InsecureKeyLengthWarning

if TYPE_CHECKING:
    from jwt.types import Options

ALGORITHM: Final = "HS256"
# The clock is ours, so PyJWT must not look at its own; claims that are not allowed are found below.
_SIGNATURE_ONLY: Final["Options"] = {
    "verify_exp": False,
    "verify_iat": False,
    "verify_nbf": False,
    "verify_aud": False,
    "verify_iss": False,
    "verify_sub": False,
    "verify_jti": False,
}


class InvalidJwtError(Exception):
    """The token does not do. What is wrong with it the vendor does not say either: one code for everything (H)."""


@dataclass(frozen=True, slots=True)
class Holder:
    """Whose session it is: a guest's (None), or that of the user who holds this id."""

    smallcase_auth_id: str | None


def verify(token: str, keys: Iterable[str], now: float) -> Holder:
    """Read a token that is signed with one of the keys. `now` is in epoch seconds. Raises InvalidJwtError."""
    claims = next((claims for key in keys if (claims := _claims(token, key)) is not None), None)
    if claims is None:
        raise InvalidJwtError
    issued_at, expires_at = claims.pop("iat", now), claims.pop("exp", math.inf)
    if not _is_time(issued_at) or not _is_time(expires_at) or not now < expires_at:
        raise InvalidJwtError
    match claims:
        case {"guest": True, **others} if not others:
            return Holder(None)
        case {"smallcaseAuthId": str(smallcase_auth_id), **others} if smallcase_auth_id and not others:
            return Holder(smallcase_auth_id)
    raise InvalidJwtError


def issue(smallcase_auth_id: str, key: str, now: float, lifetime_seconds: int | None) -> str:
    """Sign the token that comes back after a login; without `exp` where it has no lifetime."""
    claims: dict[str, object] = {"smallcaseAuthId": smallcase_auth_id, "iat": int(now)}
    if lifetime_seconds is not None:
        claims["exp"] = int(now) + lifetime_seconds
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", InsecureKeyLengthWarning)
        return jwt.encode(claims, key, algorithm=ALGORITHM)


def _is_time(value: object) -> TypeGuard[int | float]:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _claims(token: str, key: str) -> dict[str, object] | None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", InsecureKeyLengthWarning)
            return jwt.decode(token, key, algorithms=[ALGORITHM], options=_SIGNATURE_ONLY)
    except (jwt.PyJWTError, ValueError, RecursionError):  # text that is no Unicode, a header nested too deeply
        return None
