"""Markers in every secret, token and body and in all that the Gateway says: none comes out but to the Gateway."""

import json
import logging
import traceback
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from functions.connect_user import app as connect_app
from functions.start_transaction import app as start_app
from gatehouse import aws
from gatehouse.connect_by_webhook import TryAgain, UnexpectedError
from gatehouse.upstream import UpstreamAnswer, UpstreamFault
from tests.support.connection_fakes import (
    ASHA,
    ASHAS_ID,
    ConnectionAccount,
    Reply,
    api_event,
    auth_token,
    connection_account,
    scan,
    sign,
)
from tests.support.events import event, gateway_secret
from tests.support.token_fakes import Context, refuse

MARK = "SENTINEL"
SECRETS = {
    "secret": f"{MARK}-secret-0123456789-0123456789-0",
    "api_secret": f"{MARK}-api-secret-0123456789-0123456789",
    "previous_secret": f"{MARK}-previous-secret-0123456789-0123",
    "previous_api_secret": f"{MARK}-previous-api-secret-0123456789",
}
TRANSACTION = "TRX_1"  # told to its user, and a key of the table


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch) -> Iterator[ConnectionAccount]:
    with connection_account(monkeypatch) as fresh:
        monkeypatch.setenv("AWS_SESSION_TOKEN", f"{MARK}-session-token")
        fresh.environment(ALLOWED_INTENTS="CONNECT,TRANSACTION", CONNECT_BY_WEBHOOK="true")
        fresh.write_secret(gateway_secret(**SECRETS))
        yield fresh


def token() -> str:
    return sign({"smallcaseAuthId": ASHAS_ID}, SECRETS["secret"])


def marked(call: dict[str, Any]) -> dict[str, Any]:
    """Plant a marker in everything that a caller controls beside the body."""
    return {
        **call,
        "headers": {**call["headers"], "authorization": f"Bearer {MARK}", "cookie": MARK, f"x-{MARK}": MARK},
        "rawQueryString": f"token={MARK}",
        "queryStringParameters": {"token": MARK},
    }


def start(_account: ConnectionAccount) -> object:
    document = {"intent": "TRANSACTION", "orderConfig": {MARK: MARK}, "assetConfig": {MARK: MARK}, "notes": MARK}
    return start_app.handler(
        marked(api_event("start_transaction", ASHA, {**document, MARK: MARK}, email=MARK)), Context()
    )


def start_badly(_account: ConnectionAccount) -> object:
    call = api_event("start_transaction", ASHA, {"intent": MARK, "orderConfig": MARK}, sub=MARK * 400)
    return start_app.handler(marked(call), Context())


def connect(_account: ConnectionAccount) -> object:
    document = {"smallcaseAuthToken": token(), "transactionId": TRANSACTION, MARK: MARK}
    return connect_app.handler(marked(api_event("connect_user", ASHA, document, email=MARK)), Context())


def connect_badly(_account: ConnectionAccount) -> object:
    document = {"smallcaseAuthToken": f"{MARK}.{MARK}.{MARK}", "transactionId": MARK}
    return connect_app.handler(marked(api_event("connect_user", ASHA, document)), Context())


def postback(_account: ConnectionAccount) -> object:
    given = event("connect_user_webhook")
    given["detail"]["body"] |= {"transactionId": TRANSACTION, "smallcaseAuthId": ASHAS_ID, "checksum": MARK, MARK: MARK}
    return connect_app.handler(given, Context())


def postback_badly(_account: ConnectionAccount) -> object:
    given = event("connect_user_webhook")
    given["detail"] |= {"body": {"transactionId": [MARK], "smallcaseAuthId": MARK}, MARK: MARK}
    return connect_app.handler(given, Context())


def disconnect(_account: ConnectionAccount) -> object:
    return connect_app.handler(marked({**api_event("connect_user_delete", ASHA), "body": MARK}), Context())


CALLS = [start, start_badly, connect, connect_badly, postback, postback_badly, disconnect]
type Call = Callable[[ConnectionAccount], object]


def everything(account: ConnectionAccount, call: Call, log: pytest.LogCaptureFixture) -> str:
    """All that anybody but the Gateway can see of a call: answer, exception, log, events and table."""
    raised = ""
    answer: object = None
    with log.at_level(logging.DEBUG, logger="gatehouse"):
        try:
            answer = call(account)
        except (TryAgain, UnexpectedError) as error:
            raised = "".join(traceback.format_exception(error)) + repr(error)
    seen: list[object] = [answer, raised, account.events, scan()]
    for record in log.records:
        seen.append({name: value for name, value in vars(record).items() if name != "pathname"})
        if record.exc_info:
            seen.extend(traceback.format_exception(record.exc_info[1]))
    return json.dumps(seen, default=repr)


MARKED_HEADERS = {
    "content-type": "application/json",
    "set-cookie": MARK,
    "retry-after": MARK,
    "location": MARK,
    MARK: MARK,
}


def answered(status: int, document: object) -> UpstreamAnswer:
    return UpstreamAnswer(status, MARKED_HEADERS, json.dumps(document).encode())


ERRORS = {
    "success": False,
    "errors": [MARK, {"message": MARK}],
    "message": f"{MARK} {SECRETS['api_secret']}",
    MARK: MARK,
}
DATA = {
    "transactionId": TRANSACTION,
    "expireAt": MARK,
    "status": MARK,
    "smallcaseAuthId": MARK,
    "error": MARK,
    MARK: MARK,
}
REPLIES: dict[str, Reply | None] = {
    "as it should be": None,
    **{str(status): answered(status, ERRORS) for status in (200, 301, 400, 401, 403, 404, 409, 429, 500, 502, 503)},
    "nonsense in its place": answered(200, {"success": True, "data": DATA}),
    "a completed transaction of somebody else": answered(
        200, {"success": True, "data": {**DATA, "status": "COMPLETED"}}
    ),
    "text": UpstreamAnswer(200, MARKED_HEADERS, MARK.encode()),
    "no UTF-8": UpstreamAnswer(200, MARKED_HEADERS, b"\xff" + MARK.encode()),
    "another content type": UpstreamAnswer(200, {"content-type": f"text/{MARK}"}, MARK.encode()),
    "a fault": UpstreamFault("timeout"),
}


@pytest.mark.parametrize("call", [start, connect, postback])
@pytest.mark.parametrize("reply", REPLIES.values(), ids=REPLIES)
def test_nothing_planted_comes_out_whatever_the_gateway_says(
    account: ConnectionAccount, caplog: pytest.LogCaptureFixture, call: Call, reply: Reply | None
) -> None:
    assert account.started(ASHA, ASHAS_ID) == TRANSACTION
    if reply is not None:
        account.api.replies += [reply] * 3
    assert MARK not in everything(account, call, caplog)


@pytest.mark.parametrize("call", CALLS)
def test_nothing_planted_comes_out_whatever_is_asked_for(
    account: ConnectionAccount, caplog: pytest.LogCaptureFixture, call: Call
) -> None:
    account.started(ASHA, ASHAS_ID)
    assert MARK not in everything(account, call, caplog)


@pytest.mark.parametrize("call", [start, connect, postback, disconnect])
@pytest.mark.parametrize("operation", ["GetItem", "PutItem", "TransactWriteItems"])
def test_nothing_planted_comes_out_when_dynamodb_refuses(
    account: ConnectionAccount, caplog: pytest.LogCaptureFixture, call: Call, operation: str
) -> None:
    account.started(ASHA, ASHAS_ID)
    account.connect(ASHA, ASHAS_ID)
    undo = refuse(aws.dynamodb(), operation, "ValidationException", f"{MARK}: no")

    def refused(again: ConnectionAccount) -> object:
        try:
            return call(again)
        finally:
            undo()

    assert MARK not in everything(account, refused, caplog)


@pytest.mark.parametrize("call", [connect, postback, disconnect])
def test_nothing_planted_comes_out_when_the_bus_refuses(
    account: ConnectionAccount, caplog: pytest.LogCaptureFixture, call: Call
) -> None:
    account.started(ASHA, ASHAS_ID)
    if call is disconnect:
        account.connect(ASHA, ASHAS_ID)
    refuse(aws.events(), "PutEvents", "ThrottlingException", f"{MARK}: no")
    assert MARK not in everything(account, call, caplog)


@pytest.mark.parametrize("call", [start, connect, postback])
@pytest.mark.parametrize(
    "changes",
    [
        {"gateway_name": "REPLACE_ME"},
        {"api_secret": f"{MARK} with a space, and long enough to be one"},
        {"secret": f"-----BEGIN PUBLIC KEY-----{MARK}-----END PUBLIC KEY-----"},
        {"api_secret": SECRETS["secret"]},
    ],
)
def test_an_unusable_secret_is_not_quoted(
    account: ConnectionAccount, caplog: pytest.LogCaptureFixture, call: Call, changes: dict[str, str]
) -> None:
    account.started(ASHA, ASHAS_ID)
    account.write_secret(gateway_secret(**{**SECRETS, **changes}))
    account.clock.advance(300)
    said = everything(account, call, caplog)
    assert MARK not in said
    assert "gateway.not_configured" in said


@pytest.mark.parametrize("call", [start, connect, postback])
def test_a_bug_does_not_quote_what_it_stumbled_over(
    account: ConnectionAccount, caplog: pytest.LogCaptureFixture, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    account.started(ASHA, ASHAS_ID)

    def stumble(*_args: object, **_options: object) -> None:
        raise KeyError(SECRETS["secret"], token())

    monkeypatch.setattr("gatehouse.session_token.issue", stumble)
    said = everything(account, call, caplog)
    assert MARK not in said
    assert token() not in said
    assert "KeyError" in said


def test_no_token_is_written_anywhere(account: ConnectionAccount, caplog: pytest.LogCaptureFixture) -> None:
    account.started(ASHA, ASHAS_ID)
    said = everything(account, connect, caplog)
    tokens = [request.headers["x-gateway-authtoken"] for request in account.api.requests]
    assert len(tokens) == 2
    for each in (*tokens, token()):
        assert each not in said
        assert each.rpartition(".")[2] not in said


def test_the_gateway_alone_gets_the_secret(account: ConnectionAccount) -> None:
    account.started(ASHA, ASHAS_ID)
    connect(account)
    for request in account.api.requests:
        assert request.headers["x-gateway-secret"] == SECRETS["api_secret"]
        assert MARK not in request.url
        assert MARK not in repr(request)


def test_the_search_finds_a_marker_that_is_there(account: ConnectionAccount, caplog: pytest.LogCaptureFixture) -> None:
    def say(_account: ConnectionAccount) -> object:
        logging.getLogger("gatehouse.test").warning("event", extra={"field": MARK})
        return None

    assert MARK in everything(account, say, caplog)
    assert MARK in everything(account, lambda _account: {"body": MARK}, caplog)
    assert auth_token() != token()
