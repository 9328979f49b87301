"""Markers in every secret, header, body and token: none of them may come out anywhere but in the issued token."""

import json
import logging
import traceback
from collections.abc import Iterator
from typing import Any

import jwt
import pytest

from functions.issue_guest_token import app as guest_app
from functions.issue_user_token import app as user_app
from gatehouse.caller import User
from tests.support.account import Account, account
from tests.support.events import ISSUER, event, gateway_secret, user_event

MARK = "SENTINEL"
SECRETS = {
    "secret": f"{MARK}-secret-0123456789-0123456789-0",
    "api_secret": f"{MARK}-api-secret-0123456789-0123456789",
    "previous_secret": f"{MARK}-previous-secret-0123456789-0123",
    "previous_api_secret": f"{MARK}-previous-api-secret-0123456789",
}


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[Account]:
    with account(monkeypatch) as fresh:
        monkeypatch.setenv("AWS_SESSION_TOKEN", f"{MARK}-session-token")
        yield fresh


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    with caplog.at_level(logging.DEBUG, logger="gatehouse"):
        yield caplog


def marked(call: dict[str, Any]) -> dict[str, Any]:
    """Plant a marker in everything that a caller controls."""
    return {
        **call,
        "headers": {**call["headers"], "authorization": f"Bearer {MARK}", "cookie": MARK, f"x-{MARK}": MARK},
        "cookies": [MARK],
        "rawQueryString": f"token={MARK}",
        "queryStringParameters": {"token": MARK},
        "body": json.dumps({"smallcaseAuthToken": MARK}),
    }


def everything_logged(log: pytest.LogCaptureFixture) -> str:
    """All that a formatter could print of the records: message, fields, exception and its causes."""
    printed = []
    for record in log.records:
        printed.append(json.dumps(vars(record), default=repr))
        if record.exc_info:
            printed.extend(traceback.format_exception(record.exc_info[1]))
    return "\n".join(printed)


def visible(answer: dict[str, Any]) -> str:
    """All of an answer but the token itself, and the token's claims."""
    document = json.loads(answer["body"])
    token = document.pop("smallcaseAuthToken", None)
    claims = jwt.decode(token, options={"verify_signature": False}) if token else {}
    claims.pop("smallcaseAuthId", None)
    return json.dumps([answer["statusCode"], answer["headers"], document, claims])


def healthy(aws: Account) -> None:
    aws.write_secret(gateway_secret(**SECRETS))


def placeholder(aws: Account) -> None:
    aws.write_secret(gateway_secret(**{**SECRETS, "gateway_name": "REPLACE_ME"}))


def swapped(aws: Account) -> None:
    aws.write_secret(gateway_secret(**{**SECRETS, "api_secret": SECRETS["secret"]}))


def broken_json(aws: Account) -> None:
    aws.write_secret(gateway_secret(**SECRETS)[:-5])


def public_key(aws: Account) -> None:
    key = f"-----BEGIN PUBLIC KEY-----{MARK}-----END PUBLIC KEY-----"
    aws.write_secret(gateway_secret(**{**SECRETS, "secret": key}))


def no_secret(aws: Account) -> None:
    healthy(aws)
    aws.delete_secret()


def no_table(aws: Account) -> None:
    healthy(aws)
    aws.delete_table()


@pytest.mark.parametrize(
    ("state", "statuses"),
    [
        (healthy, (200, 200)),
        (placeholder, (503, 503)),
        (swapped, (503, 503)),
        (broken_json, (503, 503)),
        (public_key, (503, 503)),
        (no_secret, (503, 503)),
        (no_table, (200, 503)),
    ],
)
def test_nothing_planted_comes_out(
    aws: Account, log: pytest.LogCaptureFixture, state: Any, statuses: tuple[int, int]
) -> None:
    aws.connect(User(ISSUER, f"{MARK}-subject"), f"{MARK}-smallcase-auth-id")
    state(aws)
    answers = [
        guest_app.handler(marked(event("issue_guest_token")), None),
        user_app.handler(marked(user_event(sub=f"{MARK}-subject", email=MARK)), None),
    ]
    assert tuple(answer["statusCode"] for answer in answers) == statuses
    assert log.records
    assert MARK not in everything_logged(log)
    assert not [answer for answer in answers if MARK in visible(answer)]


@pytest.mark.parametrize("claim", [{"exp": None}, {"sub": None, "email": MARK}, {"exp": MARK}, {"sub": MARK * 400}])
def test_a_refused_caller_is_not_quoted(aws: Account, log: pytest.LogCaptureFixture, claim: dict[str, object]) -> None:
    answer = user_app.handler(marked(user_event(**{"sub": MARK, **claim})), None)
    assert answer["statusCode"] == 401
    assert MARK not in everything_logged(log) + visible(answer)


def test_a_bug_does_not_quote_what_it_stumbled_over(
    aws: Account, log: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stumble(*_args: object, **_options: object) -> None:
        raise KeyError(SECRETS["secret"])

    monkeypatch.setattr("gatehouse.session_token.Signer.issue", stumble)
    healthy(aws)
    answer = guest_app.handler(marked(event("issue_guest_token")), None)
    assert answer["statusCode"] == 500
    assert MARK not in everything_logged(log) + visible(answer)


def test_the_search_finds_a_marker_that_is_there(log: pytest.LogCaptureFixture) -> None:
    logging.getLogger("gatehouse.test").warning("event", extra={"field": MARK})
    assert MARK in everything_logged(log)
    assert MARK in visible({"statusCode": 200, "headers": {"x": MARK}, "body": "{}"})
