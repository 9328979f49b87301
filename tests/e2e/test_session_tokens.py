"""Session tokens over HTTP, from the deployed template."""

import hmac
import json
import time
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable
from typing import Any

import jwt
import pytest
import urllib3
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.e2e.conftest import GATEWAY_SECRET, ORIGINS, Stack, denied


def claims(token: str, key: str = GATEWAY_SECRET["secret"]) -> Any:
    """Verify a token and return its payload."""
    return json.loads(jwt.PyJWS().decode(token, key.encode(), ["HS256"]))


def code(answer: urllib3.BaseHTTPResponse) -> Any:
    assert answer.headers["content-type"] == "application/problem+json"
    return answer.json()["code"]


def test_a_guest_token_verifies_under_the_configured_secret_and_nothing_else(stack: Stack) -> None:
    before = int(time.time())
    answer = stack.call("POST", "/v1/tokens/guest")
    assert answer.status == 200
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["content-type"] == "application/json"
    document = answer.json()
    payload = claims(document["smallcaseAuthToken"])
    assert payload == {"guest": True, "iat": payload["iat"], "exp": payload["iat"] + 600}
    assert before <= payload["iat"] <= time.time()
    assert (document["gateway"], document["user"], document["expiresAt"]) == ("acme", "guest", payload["exp"])
    with pytest.raises(jwt.InvalidSignatureError):
        claims(document["smallcaseAuthToken"], GATEWAY_SECRET["api_secret"])


def test_a_connection_written_by_hand_makes_the_users_token_a_connected_one(stack: Stack) -> None:
    bearer = stack.oidc_token("ravi")
    assert stack.user_token(bearer).json()["user"] == "guest"
    who = jwt.decode(bearer, options={"verify_signature": False})
    stack.file.endpoint.client("dynamodb").put_item(
        TableName=stack.file.outputs["ConnectionsTableName"],
        Item={
            "pk": {"S": f"USER#{who['iss']}#{who['sub']}"},
            "smallcase_auth_id": {"S": "63f6b2c1a0d4e5f6a7b8c9d0"},
            "connected_at": {"N": "1795318968"},
        },
    )
    answer = stack.user_token(bearer)
    assert answer.json()["user"] == "connected"
    payload = claims(answer.json()["smallcaseAuthToken"])
    assert set(payload) == {"smallcaseAuthId", "iat", "exp"}
    assert payload["smallcaseAuthId"] == "63f6b2c1a0d4e5f6a7b8c9d0"
    assert stack.user_token(stack.oidc_token("asha")).json()["user"] == "guest"


KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)


def forge(stack: Stack, *, key: Any = KEY, algorithm: str = "RS256", kid: str | None = None, **changes: object) -> str:
    """Return a token like the issuer's, signed otherwise."""
    genuine = stack.oidc_token()
    payload = {**jwt.decode(genuine, options={"verify_signature": False}), **changes}
    header = {"kid": jwt.get_unverified_header(genuine)["kid"] if kid is None else kid}
    return jwt.encode(payload, key, algorithm=algorithm, headers=header)


def unsigned(stack: Stack) -> str:
    header = urlsafe_b64encode(b'{"alg":"none","typ":"JWT"}').rstrip(b"=").decode()
    return f"{header}.{stack.oidc_token().split('.')[1]}."


def confused(stack: Stack) -> str:
    """Signed with HS256, the issuer's public key taken for the shared secret."""
    genuine = stack.oidc_token()
    discovery = stack.http.request("GET", f"{stack.file.oidc_issuer}/.well-known/openid-configuration").json()
    public = stack.http.request("GET", discovery["jwks_uri"]).data
    header = json.loads(urlsafe_b64decode(genuine.split(".")[0] + "=="))
    head = urlsafe_b64encode(json.dumps({**header, "alg": "HS256"}).encode()).rstrip(b"=").decode()
    signed = f"{head}.{genuine.split('.')[1]}"
    return f"{signed}.{urlsafe_b64encode(hmac.digest(public, signed.encode(), 'sha256')).rstrip(b'=').decode()}"


def tampered(stack: Stack) -> str:
    head, _, signature = stack.oidc_token().split(".")
    payload = urlsafe_b64encode(json.dumps({"sub": "somebody-else"}).encode()).rstrip(b"=").decode()
    return f"{head}.{payload}.{signature}"


REFUSED: dict[str, Callable[[Stack], str]] = {
    "another issuer": lambda stack: forge(stack, iss="https://other.example.com"),
    "another key under the same kid": forge,
    "an unknown kid": lambda stack: forge(stack, kid="unknown"),
    "another audience": lambda stack: stack.oidc_token(audience="somebody-else"),
    "an issuer's own token with another iss": lambda stack: stack.oidc_token(
        claims={"iss": "https://other.example.com"}
    ),
    "no algorithm": unsigned,
    "HS256 with the public key": confused,
    "a changed payload": tampered,
    "a past exp": lambda stack: stack.oidc_token(lifetime_seconds=-10),
    "an nbf to come": lambda stack: stack.oidc_token(claims={"nbf": int(time.time()) + 600}),
    "rubbish": lambda _stack: "rubbish",
    "three parts of rubbish": lambda _stack: "a.b.c",
    "JSON that is no object": lambda _stack: "W10.W10.W10",
    "our own session token": lambda stack: str(stack.call("POST", "/v1/tokens/guest").json()["smallcaseAuthToken"]),
}


@pytest.mark.parametrize("make", REFUSED.values(), ids=REFUSED)
def test_the_authorizer_refuses(stack: Stack, make: Callable[[Stack], str]) -> None:
    answer = stack.user_token(make(stack))
    assert answer.status == 401
    assert answer.json() == {"message": "Unauthorized"}


@pytest.mark.parametrize(
    "headers", [{}, {"Authorization": ""}, {"Authorization": "Basic YTpi"}, {"X-Authorization": "x"}]
)
def test_the_authorizer_refuses_a_call_without_a_token(stack: Stack, headers: dict[str, str]) -> None:
    assert stack.call("POST", "/v1/tokens/user", headers=headers).status == 401


@pytest.mark.parametrize("claim", ["exp", "sub"])
def test_the_function_refuses_a_verified_token_without_expiry_or_subject(stack: Stack, claim: str) -> None:
    answer = stack.user_token(stack.oidc_token(claims={claim: None}))
    assert answer.status == 401
    assert code(answer) == "CALLER_NOT_IDENTIFIED"


@pytest.mark.parametrize("path", ["/v1/tokens/guest", "/v1/tokens/user"])
@pytest.mark.parametrize("origin", ORIGINS)
def test_a_page_of_a_listed_origin_may_call(stack: Stack, path: str, origin: str) -> None:
    asked = {
        "Origin": origin,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization",
    }
    preflight = stack.call("OPTIONS", path, headers=asked)
    assert preflight.status == 204
    assert preflight.headers["access-control-allow-origin"] == origin
    assert "POST" in preflight.headers["access-control-allow-methods"]
    assert "authorization" in preflight.headers["access-control-allow-headers"].lower()
    answer = stack.call("POST", path, headers={"Origin": origin, "Authorization": f"Bearer {stack.oidc_token()}"})
    assert answer.status == 200
    assert answer.headers["access-control-allow-origin"] == origin
    assert "access-control-allow-credentials" not in answer.headers


@pytest.mark.parametrize(
    "origin", ["https://evil.example.com", "http://localhost:3001", "null", "https://app.example.com.evil.com"]
)
@pytest.mark.parametrize("method", ["OPTIONS", "POST"])
def test_a_page_of_another_origin_may_not(stack: Stack, origin: str, method: str) -> None:
    asked = {"Origin": origin, "Access-Control-Request-Method": "POST"}
    answer = stack.call(method, "/v1/tokens/guest", headers=asked)
    assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b"", "application/json"),
        (b"{", "application/json"),
        (b'{"guest": false, "smallcaseAuthId": "x"}', "application/json"),
        (b"\xff\xfe\x00\x01", "application/json"),
        (b"\xff\xfe\x00\x01", "application/octet-stream"),
        (b"a=b", "application/x-www-form-urlencoded"),
        (b"x" * 200_000, "text/plain"),
    ],
)
@pytest.mark.parametrize("path", ["/v1/tokens/guest", "/v1/tokens/user"])
def test_a_body_on_a_token_route_is_ignored(stack: Stack, path: str, body: bytes, content_type: str) -> None:
    headers = {"Content-Type": content_type, "Authorization": f"Bearer {stack.oidc_token()}"}
    answer = stack.call("POST", path, body=body, headers=headers)
    assert answer.status == 200
    assert claims(answer.json()["smallcaseAuthToken"])["guest"] is True


@pytest.mark.parametrize("content_type", ["application/json", "application/octet-stream"])
def test_a_body_over_the_limit_is_413(stack: Stack, content_type: str) -> None:
    answer = stack.call(
        "POST", "/v1/tokens/guest", body=b"x" * (256 * 1024 + 1), headers={"Content-Type": content_type}
    )
    assert answer.status == 413
    assert code(answer) == "BODY_TOO_LARGE"


@pytest.mark.parametrize(("method", "path"), [("GET", "/v1/tokens/guest"), ("POST", "/"), ("POST", "/v1/tokens/admin")])
def test_what_is_no_route_is_404(stack: Stack, method: str, path: str) -> None:
    assert stack.call(method, path).status == 404


def test_a_query_or_a_header_changes_nobody(stack: Stack) -> None:
    headers = {"Authorization": f"Bearer {stack.oidc_token('asha')}", "X-Sub": "user-ravi", "Cookie": "sub=user-ravi"}
    answer = stack.call("POST", "/v1/tokens/user?sub=user-ravi&smallcaseAuthId=x", headers=headers)
    assert answer.json()["user"] == "guest"


def test_a_table_out_of_reach_is_503_and_not_a_guest(stack: Stack) -> None:
    bearer = stack.oidc_token()
    with denied(stack, "IssueUserToken", "dynamodb:GetItem"):
        answer = stack.user_token(bearer)
        assert answer.status == 503
        assert code(answer) == "CONNECTIONS_UNAVAILABLE"
        assert int(answer.headers["retry-after"]) > 0
    assert stack.user_token(bearer).status == 200


@pytest.mark.parametrize(("function", "path"), [("IssueGuestToken", "guest"), ("IssueUserToken", "user")])
def test_a_secret_out_of_reach_is_503(stack: Stack, function: str, path: str) -> None:
    headers = {"Authorization": f"Bearer {stack.oidc_token()}"}
    with denied(stack, function, "secretsmanager:GetSecretValue"):
        answer = stack.call("POST", f"/v1/tokens/{path}", headers=headers)
        assert answer.status == 503
        assert code(answer) == "SECRET_UNAVAILABLE"
        assert int(answer.headers["retry-after"]) > 0
    assert stack.call("POST", f"/v1/tokens/{path}", headers=headers).status == 200


def test_a_placeholder_is_503_until_it_is_replaced(stack: Stack) -> None:
    client = stack.file.endpoint.client("secretsmanager")
    arn = stack.file.outputs["GatewaySecretArn"]
    client.put_secret_value(SecretId=arn, SecretString=json.dumps({**GATEWAY_SECRET, "secret": "REPLACE_ME"}))
    stack.start_anew("IssueGuestToken")
    try:
        answer = stack.call("POST", "/v1/tokens/guest")
        assert answer.status == 503
        assert code(answer) == "GATEWAY_NOT_CONFIGURED"
    finally:
        client.put_secret_value(SecretId=arn, SecretString=json.dumps(GATEWAY_SECRET))
    assert stack.call("POST", "/v1/tokens/guest").status == 200
