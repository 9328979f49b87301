import base64
import json
from hashlib import sha256
from http import HTTPStatus
from typing import Any

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from local import oidc
from local.http_router import Request, Response

URL = "http://127.0.0.1:1234"
NOW = 1_700_000_000
ISSUER = oidc.Issuer(URL, "the-audience", clock=lambda: NOW + 0.9)
ROUTES = oidc.routes(ISSUER)


def issue(body: dict[str, Any]) -> dict[str, Any]:
    answer = ISSUER.issue(oidc.TokenRequest.from_json(body))
    return {"answer": answer, **{name: verified(answer[name]) for name in ("access_token", "id_token")}}


def verified(token: object) -> dict[str, Any]:
    """The claims of a token whose signature is right, whatever they say."""
    assert isinstance(token, str)
    kid = jwt.get_unverified_header(token)["kid"]
    key = jwt.PyJWKSet.from_dict(ISSUER.jwks())[kid]
    claims: dict[str, Any] = json.loads(jwt.PyJWS().decode(token, key, ["RS256"]))
    return claims


def post(body: bytes) -> tuple[int, Any]:
    response = ROUTES.answer(Request("POST", "/token", body=body))
    assert isinstance(response, Response)
    return response.status, json.loads(response.body)


def test_the_access_token_says_who_for_whom_and_for_how_long() -> None:
    claims = issue({"user": "asha"})["access_token"]
    jti = claims.pop("jti")
    assert claims == {"iss": URL, "sub": "user-asha", "aud": "the-audience", "iat": NOW, "exp": NOW + 3600}
    assert len(jti) >= 16


def test_the_id_token_adds_name_and_email() -> None:
    claims = issue({"user": "ravi"})["id_token"]
    assert (claims["sub"], claims["name"], claims["email"]) == ("user-ravi", "Ravi Menon", "ravi@example.com")


def test_the_answer_is_that_of_an_oauth_token_endpoint() -> None:
    answer = issue({"user": "asha"})["answer"]
    assert answer.keys() == {"access_token", "id_token", "token_type", "expires_in"}
    assert (answer["token_type"], answer["expires_in"]) == ("Bearer", 3600)


def test_every_token_has_an_identifier_of_its_own() -> None:
    first, second = issue({"user": "asha"}), issue({"user": "asha"})
    assert len({tokens[kind]["jti"] for tokens in (first, second) for kind in ("access_token", "id_token")}) == 4


@pytest.mark.parametrize(
    ("switch", "expected"),
    [
        ({"lifetime_seconds": 60}, {"exp": NOW + 60}),
        ({"lifetime_seconds": -1}, {"exp": NOW - 1}),
        ({"lifetime_seconds": 0}, {"exp": NOW}),
        ({"audience": "other"}, {"aud": "other"}),
        ({"audience": ["one", "two"]}, {"aud": ["one", "two"]}),
        ({"nbf": NOW + 90}, {"nbf": NOW + 90}),
        ({"claims": {"scope": "a b", "iss": 5}}, {"scope": "a b", "iss": 5}),
        ({"claims": {"exp": "soon", "sub": "x"}}, {"exp": "soon", "sub": "x"}),
        ({"lifetime_seconds": 60, "claims": {"exp": 1}}, {"exp": 1}),
    ],
)
@pytest.mark.parametrize("kind", ["access_token", "id_token"])
def test_a_switch_changes_its_claim_in_both_tokens(
    kind: str, switch: dict[str, object], expected: dict[str, object]
) -> None:
    claims = issue({"user": "asha", **switch})[kind]
    assert {name: claims[name] for name in expected} == expected


@pytest.mark.parametrize("claim", ["iss", "sub", "aud", "iat", "exp", "jti"])
def test_null_removes_a_claim(claim: str) -> None:
    assert claim not in issue({"user": "asha", "claims": {claim: None}})["access_token"]


def test_expires_in_follows_the_lifetime() -> None:
    assert issue({"user": "asha", "lifetime_seconds": -5})["answer"]["expires_in"] == -5


def test_the_key_is_named_by_its_thumbprint() -> None:
    (key,) = jwt.PyJWKSet.from_dict(ISSUER.jwks()).keys
    published: Any = ISSUER.jwks()["keys"]
    members = {name: published[0][name] for name in ("e", "kty", "n")}
    digest = sha256(json.dumps(members, sort_keys=True, separators=(",", ":")).encode()).digest()
    assert key.key_id == base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
    assert (key.algorithm_name, key.public_key_use, published[0]["e"]) == ("RS256", "sig", "AQAB")


def test_the_thumbprint_is_that_of_rfc_7638() -> None:
    # Section 3.1 of the RFC.
    modulus = (
        "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3okn"
        "jhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6q"
        "MQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awap"
        "JzKnqDKgw"
    )
    expected = "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"
    assert oidc._thumbprint({"kty": "RSA", "n": modulus, "e": "AQAB"}) == expected


def test_two_issuers_have_different_keys() -> None:
    assert oidc.Issuer(URL, "a").jwks() != ISSUER.jwks()


@pytest.mark.parametrize("url", [URL, "https://issuer.example.com/tenant", "https://issuer.example.com/tenant/"])
def test_discovery_leads_to_the_keys_and_to_the_tokens(url: str) -> None:
    issuer = oidc.Issuer(url, "a")
    found: dict[str, Any] = issuer.discovery()
    assert found["issuer"] == url
    assert found["jwks_uri"] == url.rstrip("/") + "/.well-known/jwks.json"
    assert found["token_endpoint"] == url.rstrip("/") + "/token"
    prefix = "" if url == URL else "/tenant"
    keys = oidc.routes(issuer).answer(Request("GET", prefix + "/.well-known/jwks.json"))
    assert isinstance(keys, Response)
    assert json.loads(keys.body) == issuer.jwks()


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"\xff\xfe",
        b'"asha"',
        b'{"user": NaN}',
        b"{}",
        b'{"user": "eve"}',
        b'{"user": ["asha"]}',
        b'{"user": null}',
        b'{"user": "asha", "lifetime_second": 5}',
        b'{"user": "asha", "lifetime_seconds": "5"}',
        b'{"user": "asha", "lifetime_seconds": 1.5}',
        b'{"user": "asha", "lifetime_seconds": true}',
        b'{"user": "asha", "lifetime_seconds": 10000000001}',
        b'{"user": "asha", "nbf": null}',
        b'{"user": "asha", "audience": null}',
        b'{"user": "asha", "audience": [1]}',
        b'{"user": "asha", "claims": []}',
        b'{"user": "asha", "claims": {"x": 1e999}}',
        b'{"user": "asha", "claims": {"x": ' + b"9" * 5000 + b"}}",
        b"[" * 16_384,
    ],
)
def test_what_it_cannot_answer_is_an_invalid_request(body: bytes) -> None:
    status, answer = post(body)
    assert (status, answer["error"]) == (HTTPStatus.BAD_REQUEST, "invalid_request")


def test_an_error_does_not_repeat_what_was_sent() -> None:
    assert "eve" not in post(b'{"user": "eve"}')[1]["error_description"]


def test_claims_nested_as_deep_as_a_body_allows_give_an_answer() -> None:
    body = b'{"user":"asha","claims":{"a":' + b"[" * 8_000 + b"]" * 8_000 + b"}}"
    assert post(body)[0] in {200, 400}


@given(st.binary())
def test_any_bytes_give_tokens_or_an_invalid_request(body: bytes) -> None:
    assert post(body)[0] in {200, 400}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=5,
)


@given(st.fixed_dictionaries({"user": st.just("asha")}, optional=dict.fromkeys(oidc._FIELDS - {"user"}, JSON)))
def test_any_switches_give_tokens_or_an_invalid_request(body: dict[str, object]) -> None:
    assert post(json.dumps(body).encode())[0] in {200, 400}


def test_tokens_are_not_for_caches() -> None:
    response = ROUTES.answer(Request("POST", "/token", body=b'{"user": "asha"}'))
    assert isinstance(response, Response)
    assert ("Cache-Control", "no-store") in response.headers
