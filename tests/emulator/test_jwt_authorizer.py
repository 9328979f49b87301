"""What the authorizer in front of a protected route takes for a token."""

import asyncio
import json
import time
from collections.abc import Callable
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from hypothesis import given
from hypothesis import strategies as st

from local.emulator.patches import jwt_authorizer
from local.emulator.patches.jwt_authorizer import is_well_formed
from tests.emulator.emulators import Emulator, Response
from tests.emulator.issuer import KEY_ID, Issuer

type Forge = Callable[[Issuer], str]

RS256 = {"alg": "RS256", "kid": KEY_ID}
DEEP = b"[" * 20_000


def _protected(emulator: Emulator, token: str) -> Response:
    return emulator.call_api("GET", "/protected", [("Authorization", f"Bearer {token}")])


def _header(header: Any) -> Forge:
    return lambda issuer: issuer.sign(header, issuer.claims())


def _claims(claims: Any) -> Forge:
    return lambda issuer: issuer.sign(RS256, claims)


def _claim(**changed: Any) -> Forge:
    return lambda issuer: issuer.token(**changed)


def _raw_claim(name: str, text: str) -> Forge:
    """Claims with a value that json would not write."""

    def forge(issuer: Issuer) -> str:
        claims = issuer.claims()
        claims.pop(name, None)
        return issuer.sign(RS256, (json.dumps(claims)[:-1] + f', "{name}": {text}}}').encode())

    return forge


def _without_exp(issuer: Issuer) -> str:
    claims = issuer.claims()
    del claims["exp"]
    return issuer.sign(RS256, claims)


# What MiniStack answers to each on its own: 500 or 200.
BREAKS_MINISTACK: dict[str, Forge] = {
    "a header that is a list": _header([1]),
    "a header that is a text": _header("RS256"),
    "a header that is null": _header(None),
    "a payload that is a list": _claims([1]),
    "a payload that is null": _claims(None),
    "a payload that is a number": _claims(7),
    "exp is a word": _claim(exp="tomorrow"),
    "exp is a list": _claim(exp=[9_999_999_999]),
    "exp is an object": _claim(exp={}),
    "exp is null": _claim(exp=None),
    "exp is infinite": _raw_claim("exp", "Infinity"),
    "exp is not a number": _raw_claim("exp", "NaN"),
    "exp overflows": _raw_claim("exp", "1e400"),
    "nbf is a word": _claim(nbf="yesterday"),
    "nbf is null": _claim(nbf=None),
    "iat is a list": _claim(iat=[]),
    "iat is infinite": _raw_claim("iat", "-Infinity"),
}
PASSES_MINISTACK: dict[str, Forge] = {
    "alg none with a signature": _header({"alg": "none", "kid": KEY_ID}),
    "alg HS256 with an RSA signature": _header({"alg": "HS256", "kid": KEY_ID}),
    "alg PS256 with another padding": _header({"alg": "PS256", "kid": KEY_ID}),
    "alg RS512 with SHA-256": _header({"alg": "RS512", "kid": KEY_ID}),
    "no alg": _header({"kid": KEY_ID}),
    "alg is a list": _header({"alg": ["RS256"], "kid": KEY_ID}),
    "iat is a number of 400 digits": _raw_claim("iat", "-1" + "0" * 400),
    "exp in quotes": _claim(exp="9999999999"),
    "characters outside base64url": lambda issuer: issuer.token() + "!!!!",
    "padding": lambda issuer: issuer.token() + "==",
}
REFUSED_ANYWAY: dict[str, Forge] = {
    "nothing": lambda _: "",
    "two dots": lambda _: "..",
    "no JWT": lambda _: "abc",
    "four segments": lambda issuer: issuer.token() + ".x",
    "non-ASCII": lambda _: "é.é.é",
    "a header that is no JSON": _header(b"{"),
    "a payload that is no UTF-8": _claims(b"\xff"),
    "a deep payload": _claims(DEEP),
    "no kid": _header({"alg": "RS256"}),
    "kid is a number": _header({"alg": "RS256", "kid": 1}),
    "kid is an object": _header({"alg": "RS256", "kid": {}}),
    "kid of nobody": _header({"alg": "RS256", "kid": "key-2"}),
    "expired": lambda issuer: issuer.token(exp=int(time.time()) - 1),
    "not yet": lambda issuer: issuer.token(nbf=int(time.time()) + 60),
    "from the future": lambda issuer: issuer.token(iat=int(time.time()) + 60),
    "another audience": _claim(aud="somebody"),
    "another issuer": _claim(iss="https://somebody.example"),
    "another signature": lambda issuer: issuer.token()[:-20] + "A" * 20,
}


def _cases(forged: dict[str, Forge]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("forge", list(forged.values()), ids=list(forged))


@_cases(BREAKS_MINISTACK)
def test_is_still_needed_a_malformed_token_is_500(plain: Emulator, issuer: Issuer, forge: Forge) -> None:
    assert _protected(plain, forge(issuer)).status == 500


@_cases(PASSES_MINISTACK)
def test_is_still_needed_a_wrong_token_passes(plain: Emulator, issuer: Issuer, forge: Forge) -> None:
    assert _protected(plain, forge(issuer)).status == 200


@_cases(BREAKS_MINISTACK | PASSES_MINISTACK | REFUSED_ANYWAY)
def test_a_token_that_is_none_is_401(patched: Emulator, issuer: Issuer, forge: Forge) -> None:
    answer = _protected(patched, forge(issuer))
    assert (answer.status, answer.json) == (401, {"message": "Unauthorized"})


@pytest.mark.parametrize("which", ["plain", "patched"])
def test_a_token_without_expiry_passes_to_the_function(
    request: pytest.FixtureRequest, issuer: Issuer, which: str
) -> None:
    assert _protected(request.getfixturevalue(which), _without_exp(issuer)).status == 200


def test_a_request_without_a_token_is_401(patched: Emulator) -> None:
    assert patched.call_api("GET", "/protected").status == 401


def test_is_still_needed_only_sha_256_is_tried(plain: Emulator, issuer: Issuer) -> None:
    token = issuer.sign({"alg": "RS512", "kid": KEY_ID}, issuer.claims(), hashes.SHA512())
    assert _protected(plain, token).status == 401


@pytest.mark.parametrize(
    ("algorithm", "sha"), [("RS256", hashes.SHA256()), ("RS384", hashes.SHA384()), ("RS512", hashes.SHA512())]
)
def test_a_good_token_reaches_the_function_with_its_claims(
    patched: Emulator, issuer: Issuer, algorithm: str, sha: hashes.HashAlgorithm
) -> None:
    token = issuer.sign({"alg": algorithm, "kid": KEY_ID, "typ": "JWT"}, issuer.claims(nbf=1.5), sha)
    event = _protected(patched, token).json
    assert event["requestContext"]["authorizer"]["jwt"]["claims"]["sub"] == "asha"


@pytest.mark.parametrize(
    "key", [{}, {"n": 1, "e": 1}, {"n": "AQ", "e": "Aw"}, {"n": "é", "e": "é"}, {"kty": "EC"}, {"alg": "RS512"}]
)
def test_a_key_that_is_none_verifies_nothing(issuer: Issuer, key: dict[str, Any]) -> None:
    assert jwt_authorizer._verify(lambda: None, issuer.token(), key) is False


def test_a_token_is_401_while_the_issuers_key_set_is_none(issuer: Issuer) -> None:
    async def with_a_list_of_texts_for_keys(*_: object) -> object:
        raise AttributeError("'str' object has no attribute 'get'")

    authorizer = {"identitySource": "$request.header.Authorization"}
    headers = {"authorization": issuer.token()}
    answer = asyncio.run(jwt_authorizer._validate(with_a_list_of_texts_for_keys, {}, authorizer, headers, {}))
    assert isinstance(answer, tuple)
    assert answer[2][0] == 401


@given(st.text() | st.from_regex(r"[A-Za-z0-9_-]{0,40}\.[A-Za-z0-9_-]{0,40}\.[A-Za-z0-9_-]{0,40}", fullmatch=True))
def test_no_text_breaks_the_look_at_a_token(text: str) -> None:
    assert is_well_formed(text) is False
