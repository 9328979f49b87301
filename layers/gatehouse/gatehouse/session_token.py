"""The session JWT that smallcase Gateway calls smallcaseAuthToken.

Owns its exact shape: HS256, and for a payload either `{"guest": true}` or `{"smallcaseAuthId": "<id>"}` with `iat` and
`exp`, never both claims and never another one ("only these are acceptable", says the vendor's documentation). It reads
no clock, no secret store and no request.

A token says whom its signer means by it, and no more: those that Gatehouse issues and those that the Gateway hands back
have the same shape. What else a connection needs is `connection_policy`'s to say.
"""

import json
import math
import warnings
from typing import NamedTuple, TypeGuard

import jwt
from jwt.algorithms import HMACAlgorithm
from jwt.utils import force_bytes
from jwt.warnings import InsecureKeyLengthWarning

from gatehouse.problems import GatewayNotConfigured, InvalidSmallcaseToken
from gatehouse.secret_value import Secret

ALGORITHM = "HS256"

# The vendor's samples have 24 characters; its documentation says "string" and no more.
MAX_ID_CHARACTERS = 256

# Room for such an id, escaped as JSON and in base64, several times over.
MAX_TOKEN_CHARACTERS = 16 * 1024

_TIMES = frozenset({"iat", "exp"})


class SessionToken(NamedTuple):
    """An issued token. It goes to the page it was issued for and nowhere else."""

    text: Secret
    expires_at: int  # epoch seconds


class _PreparedHS256(HMACAlgorithm):
    """PyJWT's HS256 for a key that `Signer` had it look at once, and whose length `gateway_secret` has judged."""

    def prepare_key(self, key: str | bytes) -> bytes:
        return force_bytes(key)

    def check_key_length(self, key: bytes) -> None:
        """Say nothing: a second voice would only end up in the log."""


class Signer:
    """Signs tokens with one key."""

    def __init__(self, key: Secret) -> None:
        """Raise `GatewayNotConfigured` where PyJWT refuses the key (it looks like a public key)."""
        algorithm = _PreparedHS256(HMACAlgorithm.SHA256)
        try:
            HMACAlgorithm.prepare_key(algorithm, key.reveal_bytes())
        except jwt.InvalidKeyError:
            raise GatewayNotConfigured("secret", "looks_like_a_public_key") from None
        self._key = key
        self._jws = jwt.PyJWS()
        self._jws.unregister_algorithm(ALGORITHM)
        self._jws.register_algorithm(ALGORITHM, algorithm)

    def issue(self, smallcase_auth_id: str | None, *, now: int, lifetime_seconds: int) -> SessionToken:
        """Sign a token for the holder of `smallcase_auth_id`, or for a guest where that is None.

        `now` is in epoch seconds.
        """
        expires_at = now + lifetime_seconds
        holder = {"guest": True} if smallcase_auth_id is None else {"smallcaseAuthId": smallcase_auth_id}
        payload = json.dumps({**holder, "iat": now, "exp": expires_at}, separators=(",", ":")).encode()
        return SessionToken(Secret(self._jws.encode(payload, self._key.reveal_bytes(), ALGORITHM)), expires_at)


def issue(smallcase_auth_id: str | None, *, key: Secret, now: int, lifetime_seconds: int) -> SessionToken:
    """Sign one token. See `Signer`, which also says what is raised."""
    return Signer(key).issue(smallcase_auth_id, now=now, lifetime_seconds=lifetime_seconds)


def verify(token: Secret, *, secret: Secret, previous_secret: Secret | None, now: float) -> str:
    """Return the smallcaseAuthId that a connected user's token names. Total: any text is such a token or is refused.

    The signature must be HS256 under `secret`, or under `previous_secret` where there is one; `exp` (epoch seconds, as
    `now`) must be to come, where the token has one. The payload has `smallcaseAuthId`, and beside it at most `iat` and
    `exp`. So a guest's token is refused: it proves nothing. Raises `InvalidSmallcaseToken`, and `GatewayNotConfigured`
    where PyJWT refuses a key.
    """
    text = token.reveal()
    if len(text) > MAX_TOKEN_CHARACTERS or not text.isascii():
        raise InvalidSmallcaseToken
    payload = _signed_payload(text, "secret", secret)
    if payload is None and previous_secret is not None:
        payload = _signed_payload(text, "previous_secret", previous_secret)
    if payload is None:
        raise InvalidSmallcaseToken
    return _smallcase_auth_id(payload, now)


def is_smallcase_id(value: object) -> TypeGuard[str]:
    """Whether a value can be an id of smallcase: an opaque text, not empty, not long, without control characters."""
    return type(value) is str and 0 < len(value) <= MAX_ID_CHARACTERS and value.isprintable()


def _signed_payload(text: str, field: str, key: Secret) -> bytes | None:
    """Return the payload's bytes, None where the signature is not this key's or the text is no such token."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", InsecureKeyLengthWarning)
            payload: bytes = jwt.PyJWS().decode(text, key.reveal_bytes(), algorithms=[ALGORITHM])
    except jwt.InvalidKeyError:
        raise GatewayNotConfigured(field, "looks_like_a_public_key") from None
    except jwt.InvalidTokenError:
        return None
    return payload


def _smallcase_auth_id(payload: bytes, now: float) -> str:
    from gatehouse import strict_json  # noqa: PLC0415 - the routes that issue tokens need none of it

    try:
        claims = strict_json.parse(payload)
    except strict_json.NotStrictJson:
        raise InvalidSmallcaseToken from None
    if not isinstance(claims, dict) or not {"smallcaseAuthId"} <= claims.keys() <= {"smallcaseAuthId", *_TIMES}:
        raise InvalidSmallcaseToken
    times = {name: _seconds(claims[name]) for name in _TIMES & claims.keys()}
    if times.get("exp", math.inf) <= now:
        raise InvalidSmallcaseToken
    smallcase_auth_id = claims["smallcaseAuthId"]
    if not is_smallcase_id(smallcase_auth_id):
        raise InvalidSmallcaseToken
    return smallcase_auth_id


def _seconds(value: object) -> float:
    """Return a time of the payload (RFC 7519: a number). JSON's numbers come as the text that they were written as."""
    from gatehouse.strict_json import Number  # noqa: PLC0415 - see above

    seconds = float(value) if isinstance(value, Number) else math.nan
    if not math.isfinite(seconds):
        raise InvalidSmallcaseToken
    return seconds
