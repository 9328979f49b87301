"""Both token routes, from event to answer, over an AWS account in memory."""

import hmac
import json
from base64 import urlsafe_b64decode
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from functions.issue_guest_token import app as guest_app
from functions.issue_user_token import app as user_app
from gatehouse.caller import User
from tests.support.account import Account, account
from tests.support.events import GATEWAY_SECRET, ISSUER, event, gateway_secret, user_event

FIVE_MINUTES = 300
NEW_KEY = "new-signing-key-0123456789-0123456789"


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[Account]:
    with account(monkeypatch) as fresh:
        yield fresh


def call_guest(**changes: Any) -> dict[str, Any]:
    return guest_app.handler(event("issue_guest_token", **changes), None)


def call_user(**claims: object) -> dict[str, Any]:
    return user_app.handler(user_event(**claims), None)


BOTH = pytest.mark.parametrize("call", [call_guest, call_user])
Call = Callable[[], dict[str, Any]]


def document(answer: dict[str, Any]) -> Any:
    return json.loads(answer["body"])


def claims(answer: dict[str, Any], key: str = GATEWAY_SECRET["secret"]) -> Any:
    """Verify a token by RFC 7515's own recipe, and return its payload."""
    signed, _, signature = document(answer)["smallcaseAuthToken"].rpartition(".")
    expected = hmac.digest(key.encode(), signed.encode(), "sha256")
    assert urlsafe_b64decode(signature + "=") == expected
    payload = signed.partition(".")[2]
    return json.loads(urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))


def test_a_guest_gets_a_guest_token(aws: Account) -> None:
    answer = call_guest()
    now = int(aws.clock())
    assert answer["statusCode"] == 200
    assert claims(answer) == {"guest": True, "iat": now, "exp": now + 900}
    assert document(answer) == {
        "gateway": "acme",
        "smallcaseAuthToken": document(answer)["smallcaseAuthToken"],
        "user": "guest",
        "expiresAt": now + 900,
    }


def test_a_user_who_holds_nothing_gets_a_guest_token(aws: Account) -> None:
    answer = call_user(sub="asha")
    assert document(answer)["user"] == "guest"
    assert claims(answer) == {"guest": True, "iat": int(aws.clock()), "exp": int(aws.clock()) + 900}


def test_a_connected_user_gets_a_token_with_the_smallcase_auth_id(aws: Account) -> None:
    aws.connect(User(ISSUER, "asha"), "63f6b2c1a0")
    answer = call_user(sub="asha")
    assert document(answer)["user"] == "connected"
    assert claims(answer) == {"smallcaseAuthId": "63f6b2c1a0", "iat": int(aws.clock()), "exp": int(aws.clock()) + 900}
    assert document(call_user(sub="ravi"))["user"] == "guest"


def test_a_connection_counts_at_once(aws: Account) -> None:
    assert document(call_user(sub="asha"))["user"] == "guest"
    aws.connect(User(ISSUER, "asha"), "63f6b2c1a0")
    assert document(call_user(sub="asha"))["user"] == "connected"


@BOTH
def test_an_answer_with_a_token_is_not_stored(aws: Account, call: Call) -> None:
    assert call()["headers"] == {"content-type": "application/json", "cache-control": "no-store"}


def test_the_lifetime_is_the_operators(aws: Account) -> None:
    aws.environment(TOKEN_LIFETIME_SECONDS="86400")
    assert document(call_guest())["expiresAt"] == int(aws.clock()) + 86400


@BOTH
def test_a_rotated_secret_signs_within_five_minutes(aws: Account, call: Call) -> None:
    claims(call())
    aws.write_secret(gateway_secret(secret=NEW_KEY, previous_secret=GATEWAY_SECRET["secret"]))
    aws.clock.now += FIVE_MINUTES
    claims(call(), NEW_KEY)


@BOTH
@pytest.mark.parametrize(
    ("text", "field"),
    [
        (gateway_secret(secret="REPLACE_ME"), "secret"),
        (gateway_secret(api_secret=None), "api_secret"),
        (gateway_secret(gateway_name=None), "gateway_name"),
        (gateway_secret(api_secret=GATEWAY_SECRET["secret"]), "api_secret"),
        (gateway_secret(secret="too-short"), "secret"),
        (gateway_secret(secret="-----BEGIN PUBLIC KEY-----AAAAAAA-----END PUBLIC KEY-----"), "secret"),
        ("not json", "SecretString"),
    ],
)
def test_an_unusable_secret_is_503_and_the_log_names_the_field_alone(
    aws: Account, call: Call, text: str, field: str, caplog: pytest.LogCaptureFixture
) -> None:
    aws.write_secret(text)
    answer = call()
    assert answer["statusCode"] == 503
    assert answer["headers"]["retry-after"] == "60"
    assert document(answer)["code"] == "GATEWAY_NOT_CONFIGURED"
    (record,) = [record for record in caplog.records if record.message == "gateway.not_configured"]
    assert vars(record)["field"] == field
    assert GATEWAY_SECRET["secret"] not in str([vars(each) for each in caplog.records])


def test_a_repaired_secret_is_used_at_the_next_request(aws: Account) -> None:
    aws.write_secret(gateway_secret(secret="REPLACE_ME"))
    assert call_guest()["statusCode"] == 503
    aws.write_secret(gateway_secret())
    assert call_guest()["statusCode"] == 200


def test_short_keys_are_used_where_the_operator_allows_them(aws: Account) -> None:
    aws.environment(ALLOW_SHORT_SECRETS="true")
    aws.write_secret(gateway_secret(secret="short", api_secret="other"))
    assert claims(call_guest(), "short")["guest"] is True


@BOTH
def test_a_secret_out_of_reach_is_503(aws: Account, call: Call) -> None:
    aws.delete_secret()
    answer = call()
    assert answer["statusCode"] == 503
    assert answer["headers"]["retry-after"] == "5"
    assert document(answer)["code"] == "SECRET_UNAVAILABLE"


def test_a_table_out_of_reach_is_503_and_never_a_guest(aws: Account) -> None:
    aws.delete_table()
    answer = call_user()
    assert answer["statusCode"] == 503
    assert answer["headers"]["retry-after"] == "5"
    assert document(answer)["code"] == "CONNECTIONS_UNAVAILABLE"


@pytest.mark.parametrize("claim", ["sub", "exp", "iss"])
def test_a_verified_token_without_subject_or_expiry_is_401(aws: Account, claim: str) -> None:
    answer = call_user(**{claim: None})
    assert answer["statusCode"] == 401
    assert document(answer)["code"] == "CALLER_NOT_IDENTIFIED"


def test_who_the_caller_is_comes_from_the_token_alone(aws: Account) -> None:
    aws.connect(User(ISSUER, "asha"), "63f6b2c1a0")
    call = user_event(sub="ravi", smallcaseAuthId="63f6b2c1a0")
    call |= {
        "body": json.dumps({"sub": "asha", "smallcaseAuthId": "63f6b2c1a0"}),
        "queryStringParameters": {"sub": "asha", "smallcaseAuthId": "63f6b2c1a0"},
        "headers": {**call["headers"], "x-sub": "asha", "cookie": "sub=asha"},
    }
    assert document(user_app.handler(call, None))["user"] == "guest"


@pytest.mark.parametrize("body", ["", "{", "\x00", '{"smallcaseAuthId": "x", "guest": false}', "x" * 1000])
def test_a_body_is_ignored(aws: Account, body: str) -> None:
    assert claims(call_guest(body=body))["guest"] is True


def test_a_body_over_the_limit_is_413(aws: Account) -> None:
    assert call_guest(body="x" * (256 * 1024 + 1))["statusCode"] == 413


def test_a_function_without_its_environment_says_all_that_is_missing(
    aws: Account, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("GATEWAY_SECRET_ARN", "TOKEN_LIFETIME_SECONDS", "CONNECTIONS_TABLE"):
        monkeypatch.delenv(name)
    assert call_user()["statusCode"] == 500
    (record,) = [record for record in caplog.records if record.message == "settings.invalid"]
    assert len(vars(record)["faults"]) == 3


def test_each_token_is_counted_by_kind_of_user(aws: Account, caplog: pytest.LogCaptureFixture) -> None:
    aws.connect(User(ISSUER, "asha"), "63f6b2c1a0")
    with caplog.at_level("INFO"):
        call_guest()
        call_user(sub="asha")
    issued = [vars(record)["user"] for record in caplog.records if record.message == "session_token.issued"]
    assert issued == ["guest", "connected"]
