"""Markers in the API key, the stored tokens and everything the upstream says: none comes out but to the upstream.

The places where they may be are the request to the upstream and the secret itself.
"""

import json
import logging
import traceback
from collections.abc import Callable, Iterator
from typing import Any

import boto3
import pytest

from functions.authenticate import app as authenticate_app
from functions.refresh_tokens import app as refresh_app
from gatehouse import aws
from gatehouse.background import UnexpectedError
from gatehouse.integration_tokens import IntegrationTokens, render_tokens
from gatehouse.secret_value import Secret
from gatehouse.upstream import UpstreamAnswer, UpstreamFault
from tests.support.token_fakes import (
    DAY_SECONDS,
    Context,
    Reply,
    TokenAccount,
    json_answer,
    refuse,
    token_account,
    token_object,
)

MARK = "SENTINEL"
CREDENTIALS = {"api_key": f"{MARK}-api-key", "secret_key": f"{MARK}-secret-key"}
NOW = 1_800_000_000.0  # of the account's clock


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch) -> Iterator[TokenAccount]:
    with token_account(monkeypatch) as fresh:
        monkeypatch.setenv("AWS_SESSION_TOKEN", f"{MARK}-session-token")
        fresh.write_credentials(json.dumps(CREDENTIALS))
        hold_marked_tokens(fresh)
        yield fresh


def marked_tokens(now: float, *, refresh_token_age: float = 0) -> IntegrationTokens:
    return IntegrationTokens(
        Secret(f"{MARK}-access"), Secret(f"{MARK}-refresh"), "Bearer", now + 60, now, now - refresh_token_age
    )


def hold_marked_tokens(account: TokenAccount, **how: float) -> None:
    account.write_tokens(render_tokens(marked_tokens(account.clock.now, **how)).reveal())


def refresh() -> object:
    return refresh_app.handler({MARK: MARK}, Context())


def authenticate() -> object:
    return authenticate_app.handler({MARK: MARK, "force": True}, Context())


BOTH = pytest.mark.parametrize("invoke", [refresh, authenticate])


class Visible:
    """All that anybody but the upstream can see of an invocation."""

    def __init__(self, account: TokenAccount, invoke: Callable[[], object], capsys: pytest.CaptureFixture[str]) -> None:
        self.outcome = ""
        self.raised = ""
        try:
            result = invoke()
        except UnexpectedError as error:
            result = None
            self.raised = "".join(traceback.format_exception(error)) + repr(error)
        else:
            assert isinstance(result, dict)
            self.outcome = str(result["outcome"])
        captured = capsys.readouterr()
        self.printed = captured.out + captured.err
        state = boto3.client("dynamodb").scan(TableName="state")["Items"]
        self.everything = "\n".join([self.printed, self.raised, json.dumps([result, account.events, state])])


MARKED_HEADERS = {
    "content-type": "application/json",
    "set-cookie": MARK,
    "www-authenticate": MARK,
    "retry-after": MARK,
    "location": f"https://{MARK}.example.com",
    MARK: MARK,
}
MARKED_ERROR = json.dumps(
    {"error": {"code": MARK, "message": f"{MARK} {CREDENTIALS['secret_key']}", "details": [MARK]}, MARK: MARK}
).encode()
MARKED_GRANT = {
    **token_object(NOW, access_token=f"{MARK}-new-access", refresh_token=f"{MARK}-new-refresh"),
    MARK: MARK,
    "user": {"name": MARK},
}


def answered(status: int, body: bytes = MARKED_ERROR, content_type: str = "application/json") -> UpstreamAnswer:
    return UpstreamAnswer(status, {**MARKED_HEADERS, "content-type": content_type}, body)


def granted(**changes: object) -> UpstreamAnswer:
    return UpstreamAnswer(200, MARKED_HEADERS, json.dumps({**MARKED_GRANT, **changes}).encode())


STATUSES = [200, 201, 204, 301, 302, 400, 401, 403, 404, 409, 418, 422, 429, 500, 502, 503, 504]
REPLIES: list[Any] = [
    *(pytest.param(answered(status), id=f"error {status}") for status in STATUSES),
    *(pytest.param(answered(status, f"<h1>{MARK}</h1>".encode()), id=f"html {status}") for status in (200, 401, 500)),
    pytest.param(granted(), id="granted"),
    pytest.param(granted(expires_at="2020-01-01T00:00:00Z"), id="already expired"),
    *(
        pytest.param(granted(**{member: value}), id=f"{member} {kind}")
        for member in token_object(NOW)
        for kind, value in {"text": f"{MARK} é\n", "number": 10**400, "list": [MARK], "long": MARK * 10_000}.items()
    ),
    pytest.param(answered(200, content_type=f"text/{MARK}"), id="content type"),
    pytest.param(answered(200, MARK.encode()), id="no JSON"),
    pytest.param(answered(200, b"\xff" + MARK.encode()), id="no UTF-8"),
    pytest.param(answered(200, b'{"' + MARK.encode() + b'":' * 50_000), id="deep JSON"),
    pytest.param(answered(200, json.dumps([MARK]).encode()), id="no object"),
    pytest.param(UpstreamFault("timeout"), id="timeout"),
    pytest.param(UpstreamFault("connect", sent=False), id="connect"),
]


@BOTH
@pytest.mark.parametrize("reply", REPLIES)
def test_nothing_planted_comes_out_whatever_the_upstream_says(
    account: TokenAccount, capsys: pytest.CaptureFixture[str], invoke: Callable[[], object], reply: Reply
) -> None:
    account.transport.will(reply, reply, reply)
    visible = Visible(account, invoke, capsys)
    assert visible.outcome
    assert visible.printed
    assert MARK not in visible.everything


@BOTH
def test_the_markers_were_there_to_come_out(
    account: TokenAccount, capsys: pytest.CaptureFixture[str], invoke: Callable[[], object]
) -> None:
    account.transport.will(granted())
    visible = Visible(account, invoke, capsys)
    assert visible.outcome in {"refreshed", "authenticated"}
    (sent,) = account.transport.sent
    assert MARK in str(sent.document)
    assert MARK not in repr(sent)
    stored = account.secrets.get_secret_value(SecretId=account.tokens_arn)["SecretString"]
    assert f"{MARK}-new-access" in stored
    assert len(account.events) == 1


@BOTH
@pytest.mark.parametrize("in_headers", [False, True])
def test_an_old_refresh_token_and_the_other_option_leak_no_more(
    account: TokenAccount,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    invoke: Callable[[], object],
    in_headers: bool,
) -> None:
    if in_headers:
        monkeypatch.setenv("INTEGRATION_CREDENTIALS_IN", "headers")
    hold_marked_tokens(account, refresh_token_age=6 * DAY_SECONDS)
    account.transport.will(answered(401))
    visible = Visible(account, invoke, capsys)
    assert visible.outcome in {"reauthentication_requested", "credentials_rejected"}
    assert MARK not in visible.everything


@BOTH
@pytest.mark.parametrize(
    "text",
    [
        MARK,
        json.dumps([MARK]),
        json.dumps({"access_token": MARK}),
        json.dumps({"access_token": [MARK], MARK: MARK}),
        render_tokens(marked_tokens(NOW)).reveal().replace("2027", MARK),
        render_tokens(marked_tokens(NOW)).reveal()[:-3],
    ],
)
def test_stored_tokens_that_cannot_be_read_are_not_quoted(
    account: TokenAccount, capsys: pytest.CaptureFixture[str], invoke: Callable[[], object], text: str
) -> None:
    account.write_tokens(text)
    account.transport.will(answered(401))
    visible = Visible(account, invoke, capsys)
    assert "tokens.unreadable" in visible.printed
    assert MARK not in visible.everything


@pytest.mark.parametrize(
    "text",
    [
        MARK,
        json.dumps([MARK]),
        json.dumps({"api_key": MARK}),
        json.dumps({**CREDENTIALS, "api_key": f"{MARK}\n"}),
        json.dumps({**CREDENTIALS, "secret_key": f"{MARK}é"}),
        json.dumps({**CREDENTIALS, "secret_key": f"<{MARK}>"}),
        json.dumps({**CREDENTIALS, "secret_key": [MARK]}),
        json.dumps(CREDENTIALS)[:-3],
    ],
)
def test_credentials_that_cannot_be_used_are_not_quoted(
    account: TokenAccount, capsys: pytest.CaptureFixture[str], text: str
) -> None:
    account.write_credentials(text)
    visible = Visible(account, authenticate, capsys)
    assert visible.outcome == "not_configured"
    assert MARK not in visible.everything


@BOTH
@pytest.mark.parametrize(
    ("client", "operation", "code"),
    [
        (aws.secretsmanager, "GetSecretValue", "DecryptionFailure"),
        (aws.secretsmanager, "PutSecretValue", "LimitExceededException"),
        (aws.secretsmanager, "UpdateSecretVersionStage", "InvalidParameterException"),
        (aws.secretsmanager, "UpdateSecretVersionStage", "InternalServiceError"),
        (aws.dynamodb, "PutItem", "ThrottlingException"),
        (aws.dynamodb, "DeleteItem", "InternalServerError"),
        (aws.events, "PutEvents", "InternalException"),
    ],
)
def test_what_aws_says_about_a_failure_is_not_quoted(
    account: TokenAccount,
    capsys: pytest.CaptureFixture[str],
    invoke: Callable[[], object],
    client: Callable[[], Any],
    operation: str,
    code: str,
) -> None:
    account.transport.will(granted())
    repair = refuse(client(), operation, code, message=f"{MARK} cannot be used")
    visible = Visible(account, invoke, capsys)
    repair()
    assert code in visible.printed or visible.outcome in {"lost_race", "aws_unavailable"}
    assert MARK not in visible.everything


@BOTH
@pytest.mark.parametrize("error", [KeyError, ValueError, OSError, RuntimeError])
def test_a_bug_does_not_quote_what_it_stumbled_over(
    account: TokenAccount,
    capsys: pytest.CaptureFixture[str],
    invoke: Callable[[], object],
    error: type[Exception],
) -> None:
    def stumble(_request: object) -> UpstreamAnswer:
        raise error(CREDENTIALS["secret_key"])

    account.transport.will(stumble)
    visible = Visible(account, invoke, capsys)
    assert error.__name__ in visible.raised
    assert error.__name__ in visible.printed
    assert MARK not in visible.everything


def test_an_event_is_not_quoted(account: TokenAccount, capsys: pytest.CaptureFixture[str]) -> None:
    detail = {"tokens_version_id": MARK, "reason": MARK}
    asked = {"detail-type": MARK, "source": MARK, "detail": detail}
    visible = Visible(account, lambda: authenticate_app.handler(asked, Context()), capsys)
    assert visible.outcome == "not_needed"
    assert MARK not in visible.everything


@BOTH
def test_nothing_is_logged_past_the_layers_own_loggers(
    account: TokenAccount,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
    invoke: Callable[[], object],
) -> None:
    """What botocore and other libraries log at the levels that reach Lambda's log."""
    account.transport.will(granted())
    with caplog.at_level(logging.INFO):
        Visible(account, invoke, capsys)
    assert MARK not in "\n".join(json.dumps(vars(record), default=repr) for record in caplog.records)


def test_the_search_finds_a_marker_that_is_there(account: TokenAccount, capsys: pytest.CaptureFixture[str]) -> None:
    def leak() -> object:
        refresh()
        logging.getLogger("gatehouse.test").warning("event", extra={"field": MARK})
        return {"outcome": ""}

    account.transport.will(json_answer({}))
    visible = Visible(account, leak, capsys)
    assert MARK in visible.everything
