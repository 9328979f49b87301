"""A token that is not exactly a signed, current JWT is 401, never 500, and never accepted.

AWS: an HTTP API's JWT authorizer takes RSA signatures (RS256, RS384, RS512) made with the algorithm that the token
names, and checks exp, nbf and iat where they are there.
MiniStack 1.5.33: a header or payload that is no object, a time that is no number (or infinite) and a key set that is
none are 500; the algorithm in the header is not looked at (`none` passes with a valid RS256 signature) and only
SHA-256 is tried; characters outside base64url are skipped.
A token without exp passes here, as in MiniStack: whether AWS refuses it could not be seen, so the functions do.
Here: the authorizer is the only thing between the Internet and a user's session token.
"""

import base64
import binascii
import json
import math
import re
from typing import Any, Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from ministack.services import apigateway

from local.emulator.patching import Patcher, Wrapper

type Json = dict[str, Any]

_HASHES: Final[dict[object, hashes.HashAlgorithm]] = {
    "RS256": hashes.SHA256(),
    "RS384": hashes.SHA384(),
    "RS512": hashes.SHA512(),
}
_TOKEN: Final = re.compile(r"([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)")
_TIMES = ("exp", "nbf", "iat")


def apply(patcher: Patcher) -> None:
    """Look at the token before MiniStack does, and check the signature with the token's own algorithm."""
    patcher.wrap(apigateway, "_validate_jwt_authorizer", "b29aa12ec1dc5990", _validate)
    patcher.wrap(apigateway, "_verify_rs256_signature", "2d63ffe79e067d66", _verify)


async def _validate(original: Wrapper, route: Json, authorizer: Json, headers: Json, query: Json) -> object:
    source = authorizer.get("identitySource", [])
    token = apigateway._extract_token_from_identity_source(source, headers, query)
    refused = None, None, apigateway._jwt_unauthorized()
    if not token or not is_well_formed(token):
        return refused
    try:
        return await original(route, authorizer, headers, query)
    except (AttributeError, TypeError):
        return refused  # the issuer's key set is no key set


def is_well_formed(token: str) -> bool:
    """Tell whether a text is a JWT with the header and the times that the authorizer needs. Any text is taken."""
    match = _TOKEN.fullmatch(token)
    if match is None:
        return False
    header, claims = _json_object(match[1]), _json_object(match[2])
    if header is None or claims is None:
        return False
    return (
        isinstance(header.get("alg"), str)
        and header["alg"] in _HASHES
        and isinstance(header.get("kid"), str)
        and all(_is_time(claims[name]) for name in _TIMES if name in claims)
    )


def _json_object(segment: str) -> Json | None:
    try:
        value = json.loads(_decoded(segment).decode())
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _decoded(segment: str) -> bytes:
    return base64.urlsafe_b64decode(segment + "=" * (-len(segment) % 4))


def _is_time(value: object) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:  # a whole number beyond every float
        return False


def _verify(_original: Wrapper, token: str, key: Json) -> bool:
    """Check the signature of a well-formed token with a key of the issuer's."""
    signed, _, signature = token.rpartition(".")
    header = _json_object(signed.partition(".")[0]) or {}
    algorithm = header.get("alg")
    if key.get("kty", "RSA") != "RSA" or key.get("alg", algorithm) != algorithm:
        return False
    try:
        modulus, exponent = (int.from_bytes(_decoded(key[name])) for name in ("n", "e"))
        public_key = rsa.RSAPublicNumbers(exponent, modulus).public_key()
        public_key.verify(_decoded(signature), signed.encode(), padding.PKCS1v15(), _HASHES[algorithm])
    except (InvalidSignature, binascii.Error, KeyError, TypeError, ValueError):
        return False
    return True
