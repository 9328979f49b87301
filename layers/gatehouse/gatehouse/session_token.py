"""The session JWT that smallcase Gateway calls smallcaseAuthToken.

Owns its exact shape: HS256, and for a payload either `{"guest": true}` or `{"smallcaseAuthId": "<id>"}` with `iat` and
`exp`, never both claims and never another one ("only these are acceptable", says the vendor's documentation). It reads
no clock, no secret store and no request.
"""

import warnings
from typing import NamedTuple

import jwt
from jwt.warnings import InsecureKeyLengthWarning

from gatehouse.problems import GatewayNotConfigured
from gatehouse.secret_value import Secret

ALGORITHM = "HS256"


class SessionToken(NamedTuple):
    """An issued token. It goes to the page it was issued for and nowhere else."""

    text: Secret
    expires_at: int  # epoch seconds


def issue(smallcase_auth_id: str | None, *, key: Secret, now: int, lifetime_seconds: int) -> SessionToken:
    """Sign a token for the holder of `smallcase_auth_id`, or for a guest where that is None.

    `now` is in epoch seconds. Raises `GatewayNotConfigured` where PyJWT refuses the key (it looks like a public key).
    """
    expires_at = now + lifetime_seconds
    holder = {"guest": True} if smallcase_auth_id is None else {"smallcaseAuthId": smallcase_auth_id}
    try:
        with warnings.catch_warnings():
            # Key lengths are judged by gateway_secret; a second voice would only end up in the log.
            warnings.simplefilter("ignore", InsecureKeyLengthWarning)
            text = jwt.encode({**holder, "iat": now, "exp": expires_at}, key.reveal_bytes(), algorithm=ALGORITHM)
    except jwt.InvalidKeyError:
        raise GatewayNotConfigured("secret", "looks_like_a_public_key") from None
    return SessionToken(Secret(text), expires_at)
