"""A simulator of an OpenID Connect issuer: discovery, keys, and tokens for two made-up users, for the asking.

For development and tests on one machine only: it hands a token to everybody who can reach it, and listens on loopback
alone. Its key is made at the start and lives in memory; there is no login page.

`POST {issuer}/token` takes a JSON object. `user` (`asha` or `ravi`) is required; the others are switches for tests:

- `lifetime_seconds`: 3600 by default; negative makes tokens that have expired
- `audience`: another `aud`, a string or a list of strings
- `nbf`: adds this claim, in epoch seconds
- `claims`: an object merged over the claims of both tokens; null removes one (`{"exp": null}`)
"""

import argparse
import base64
import json
import secrets
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from http import HTTPStatus
from typing import Final, Self
from urllib.parse import urlsplit

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa

from local.http_router import Request, Response, Router, json_response
from local.http_server import Server, serve_until_stopped
from local.lifeline import follow_parent
from local.ports import LOOPBACK

LIFETIME_SECONDS: Final = 3600
"""How long a token is good for unless the request says otherwise."""

_ALGORITHM: Final = "RS256"
_KEY_BITS: Final = 2048
_DISCOVERY: Final = "/.well-known/openid-configuration"
_JWKS: Final = "/.well-known/jwks.json"
_TOKEN: Final = "/token"  # noqa: S105 -- a path
_FIELDS: Final = frozenset({"user", "lifetime_seconds", "audience", "nbf", "claims"})
_FARTHEST_SECONDS: Final = 10**10  # about 300 years; every date library can still say when that is


@dataclass(frozen=True, slots=True)
class _User:
    sub: str  # never the name that asks for it: they must not pass for each other by chance
    name: str
    email: str


USERS: Final = {
    "asha": _User("user-asha", "Asha Rao", "asha@example.com"),
    "ravi": _User("user-ravi", "Ravi Menon", "ravi@example.com"),
}


class InvalidRequest(Exception):
    """The request for a token cannot be answered; the text says why, without its content."""


@dataclass(frozen=True, slots=True)
class TokenRequest:
    """What is asked for at the token endpoint; see the module for the fields."""

    user: str
    lifetime_seconds: int = LIFETIME_SECONDS
    audience: str | list[str] | None = None
    nbf: int | None = None
    claims: dict[str, object] = field(default_factory=dict)

    @classmethod
    def from_json(cls, value: object) -> Self:
        """Check a parsed body. Raises InvalidRequest, also for a field that it does not know (a switch misspelt)."""
        if not isinstance(value, dict):
            raise InvalidRequest("the body must be a JSON object")
        if not value.keys() <= _FIELDS:
            raise InvalidRequest(f"the fields are {', '.join(sorted(_FIELDS))}, and no others")
        user, audience, claims = value.get("user"), value.get("audience"), value.get("claims", {})
        if not isinstance(user, str) or user not in USERS:
            raise InvalidRequest(f"user must be one of: {', '.join(USERS)}")
        if "audience" in value and not _is_audience(audience):
            raise InvalidRequest("audience must be a string or a list of strings")
        if not isinstance(claims, dict):
            raise InvalidRequest("claims must be an object")
        try:
            json.dumps(claims, allow_nan=False)
        except (ValueError, RecursionError):  # 1e999 is read as infinity, which cannot be written
            raise InvalidRequest("claims has a number out of range, or is nested too deeply") from None
        lifetime = _seconds(value, "lifetime_seconds")
        return cls(
            user=user,
            lifetime_seconds=LIFETIME_SECONDS if lifetime is None else lifetime,
            audience=audience,
            nbf=_seconds(value, "nbf"),
            claims=claims,
        )


class Issuer:
    """Signs tokens with a key of its own. Knows nothing of HTTP; `clock` gives epoch seconds."""

    def __init__(self, url: str, audience: str, *, clock: Callable[[], float] = time.time) -> None:
        self.url = url
        self._audience = audience
        self._clock = clock
        self._key = rsa.generate_private_key(public_exponent=65_537, key_size=_KEY_BITS)
        public = self._key.public_key().public_numbers()
        self._jwk = {"kty": "RSA", "n": _base64url(public.n), "e": _base64url(public.e)}
        self._kid = _thumbprint(self._jwk)

    def discovery(self) -> dict[str, object]:
        """Return the discovery document. It names no authorization endpoint: there is none."""
        base = self.url.rstrip("/")
        return {
            "issuer": self.url,
            "jwks_uri": base + _JWKS,
            "token_endpoint": base + _TOKEN,
            "response_types_supported": ["token", "id_token"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": [_ALGORITHM],
            "claims_supported": ["iss", "sub", "aud", "iat", "nbf", "exp", "jti", "name", "email"],
        }

    def jwks(self) -> dict[str, object]:
        """Return the public key as a key set; its `kid` is its thumbprint (RFC 7638)."""
        return {"keys": [{**self._jwk, "kid": self._kid, "use": "sig", "alg": _ALGORITHM}]}

    def issue(self, request: TokenRequest) -> dict[str, object]:
        """Return the token endpoint's answer: an access token, and an ID token that also has name and email."""
        user, now = USERS[request.user], int(self._clock())
        claims: dict[str, object] = {
            "iss": self.url,
            "sub": user.sub,
            "aud": self._audience if request.audience is None else request.audience,
            "iat": now,
            "exp": now + request.lifetime_seconds,
        }
        if request.nbf is not None:
            claims["nbf"] = request.nbf
        return {
            "access_token": self._sign(claims, request.claims),
            "id_token": self._sign({**claims, "name": user.name, "email": user.email}, request.claims),
            "token_type": "Bearer",
            "expires_in": request.lifetime_seconds,
        }

    def _sign(self, claims: dict[str, object], overrides: dict[str, object]) -> str:
        merged = {"jti": secrets.token_urlsafe(16), **claims, **overrides}
        payload = json.dumps({name: value for name, value in merged.items() if value is not None})
        # The signature alone, not jwt.encode: that has opinions on claims, and wrong ones are asked for here.
        return jwt.PyJWS().encode(payload.encode(), self._key, _ALGORITHM, headers={"kid": self._kid})


def routes(issuer: Issuer) -> Router:
    """Return the routes of the issuer, below the path of its URL."""
    prefix = urlsplit(issuer.url).path.rstrip("/")
    router = Router(cors=True)
    router.add("GET", prefix + _DISCOVERY, lambda _: json_response(HTTPStatus.OK, issuer.discovery()))
    router.add("GET", prefix + _JWKS, lambda _: json_response(HTTPStatus.OK, issuer.jwks()))
    router.add("POST", prefix + _TOKEN, lambda request: _token(issuer, request))
    return router


def main(argv: Sequence[str]) -> None:
    """Serve an issuer until a signal or the end of the process that started it."""
    parser = argparse.ArgumentParser(prog="python -m local.oidc", description="A simulated OpenID Connect issuer.")
    parser.add_argument("--port", type=int, required=True, help="the port on 127.0.0.1")
    parser.add_argument("--audience", required=True, help="the aud of its tokens")
    parser.add_argument("--issuer", help="its URL, where that is not http://127.0.0.1:PORT")
    arguments = parser.parse_args(argv)
    follow_parent()
    issuer = Issuer(arguments.issuer or f"http://{LOOPBACK}:{arguments.port}", arguments.audience)
    serve_until_stopped(Server(arguments.port, routes(issuer), name="oidc"))


def _token(issuer: Issuer, request: Request) -> Response:
    """Answer the token endpoint; errors as in RFC 6749, section 5.2."""
    no_store = (("Cache-Control", "no-store"),)
    try:
        try:
            body = request.json()
        except ValueError:
            raise InvalidRequest("the body must be JSON") from None
        return json_response(HTTPStatus.OK, issuer.issue(TokenRequest.from_json(body)), no_store)
    except InvalidRequest as error:
        answer = {"error": "invalid_request", "error_description": str(error)}
        return json_response(HTTPStatus.BAD_REQUEST, answer, no_store)


def _seconds(value: dict[str, object], name: str) -> int | None:
    """Return the field as a whole number of seconds, or None where it is absent."""
    if name not in value:
        return None
    seconds = value[name]
    if isinstance(seconds, bool) or not isinstance(seconds, int) or abs(seconds) > _FARTHEST_SECONDS:
        raise InvalidRequest(f"{name} must be a whole number of seconds, at most {_FARTHEST_SECONDS} either way")
    return seconds


def _is_audience(value: object) -> bool:
    return isinstance(value, str) or (isinstance(value, list) and all(isinstance(entry, str) for entry in value))


def _base64url(number: int) -> str:
    """Encode as Base64urlUInt (RFC 7518, section 2)."""
    data = number.to_bytes((number.bit_length() + 7) // 8)
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _thumbprint(jwk: dict[str, str]) -> str:
    """Return the thumbprint of a key's required members (RFC 7638, section 3)."""
    canonical = json.dumps(jwk, sort_keys=True, separators=(",", ":")).encode()
    return base64.urlsafe_b64encode(sha256(canonical).digest()).rstrip(b"=").decode()


if __name__ == "__main__":
    main(sys.argv[1:])
