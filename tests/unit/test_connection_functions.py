"""start_transaction and connect_user, from event to answer, over an AWS account in memory and a Gateway."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from functions.connect_user import app as connect_app
from functions.start_transaction import app as start_app
from gatehouse.connect_by_webhook import TryAgain
from gatehouse.connection_adapters import RESERVE_SECONDS
from gatehouse.pending_transactions import KEEP_SECONDS
from gatehouse.upstream import UpstreamAnswer, UpstreamFault
from tests.support.connection_fakes import (
    ASHA,
    ASHAS_ID,
    BROKER,
    RAVI,
    ConnectionAccount,
    api_event,
    auth_token,
    code,
    connection_account,
    scan,
)
from tests.support.events import gateway_secret
from tests.support.token_fakes import Context


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch) -> Iterator[ConnectionAccount]:
    with connection_account(monkeypatch) as fresh:
        yield fresh


def body(answer: dict[str, Any]) -> Any:
    return json.loads(answer["body"])


# --- start_transaction ---


def test_a_transaction_is_started_and_remembered(account: ConnectionAccount) -> None:
    answer = account.start()
    expire_at = int(account.clock()) + 900
    assert answer["statusCode"] == 201
    assert body(answer) == {"transactionId": "TRX_1", "expiresAt": expire_at}
    user_pk = f"USER#{ASHA.issuer}#{ASHA.subject}"
    assert scan() == {"TXN#TRX_1": {"user_pk": user_pk, "expire_at": expire_at, "ttl": expire_at + KEEP_SECONDS}}


def test_the_recorded_event_is_a_start(account: ConnectionAccount) -> None:
    assert start_app.handler(api_event("start_transaction", ASHA), Context())["statusCode"] == 201


@pytest.mark.parametrize(
    ("allowed", "intent", "expected"),
    [
        ("CONNECT", "CONNECT", (201, "")),
        ("CONNECT", "TRANSACTION", (403, "INTENT_NOT_ALLOWED")),
        ("CONNECT,TRANSACTION", "TRANSACTION", (201, "")),
        ("CONNECT", None, (400, "INVALID_REQUEST")),
    ],
)
def test_a_browser_chooses_among_the_intents_of_the_operator(
    account: ConnectionAccount, allowed: str, intent: object, expected: tuple[int, str]
) -> None:
    account.environment(ALLOWED_INTENTS=allowed)
    assert code(account.start(intent=intent)) == expected
    assert len(account.api.requests) == (1 if expected[0] == 201 else 0)


def test_a_connected_users_transaction_is_made_in_the_users_name(account: ConnectionAccount) -> None:
    account.environment(ALLOWED_INTENTS="TRANSACTION")
    account.connect(ASHA, ASHAS_ID)
    account.start(intent="TRANSACTION")
    assert account.api.token()["smallcaseAuthId"] == ASHAS_ID
    assert account.api.token()["exp"] == int(account.clock()) + 900


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        (UpstreamAnswer(400), (502, "GATEWAY_REFUSED")),
        (UpstreamAnswer(401), (502, "GATEWAY_REFUSED")),
        (UpstreamAnswer(429), (503, "GATEWAY_UNAVAILABLE")),
        (UpstreamAnswer(500), (503, "GATEWAY_UNAVAILABLE")),
        (UpstreamAnswer(200), (503, "GATEWAY_UNAVAILABLE")),
        (UpstreamFault("timeout"), (503, "GATEWAY_UNAVAILABLE")),
    ],
)
def test_what_the_gateway_does_not_do_is_one_of_two_codes(
    account: ConnectionAccount, reply: UpstreamAnswer | UpstreamFault, expected: tuple[int, str]
) -> None:
    account.api.replies.append(reply)
    answer = account.start()
    assert code(answer) == expected
    assert ("retry-after" in answer["headers"]) == (expected[0] == 503)
    assert scan() == {}


def test_the_gateway_gets_what_the_invocation_has_left(account: ConnectionAccount) -> None:
    account.api.replies += [UpstreamFault("connect", sent=False)] * 2
    account.api.takes_seconds = 7
    account.start()
    assert account.api.timeouts[0] == 8
    assert account.api.timeouts[-1] < 30 - RESERVE_SECONDS - 14


@pytest.mark.parametrize("function", [start_app, connect_app])
@pytest.mark.parametrize("claim", ["iss", "sub", "exp"])
def test_a_caller_who_is_not_named_is_401(account: ConnectionAccount, function: Any, claim: str) -> None:
    for name in ("start_transaction", "connect_user", "connect_user_delete"):
        answer = function.handler(api_event(name, ASHA, {}, **{claim: None}), Context())
        assert code(answer) == (401, "CALLER_NOT_IDENTIFIED")
    assert account.api.requests == []


@pytest.mark.parametrize("name", ["start_transaction", "connect_user"])
@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"body": ""}, (400, "INVALID_REQUEST")),
        ({"body": "{"}, (400, "INVALID_REQUEST")),
        ({"body": "[]"}, (400, "INVALID_REQUEST")),
        ({"body": '{"intent":"CONNECT","intent":"CONNECT"}'}, (400, "INVALID_REQUEST")),
        ({"body": "{}"}, (400, "INVALID_REQUEST")),
        ({"isBase64Encoded": True}, (400, "INVALID_REQUEST")),
        ({"headers": {}}, (415, "UNSUPPORTED_MEDIA_TYPE")),
        ({"headers": {"content-type": "text/plain"}}, (415, "UNSUPPORTED_MEDIA_TYPE")),
        ({"body": " " * (256 * 1024 + 1)}, (413, "BODY_TOO_LARGE")),
    ],
)
def test_a_body_that_is_none_is_refused(
    account: ConnectionAccount, name: str, changes: dict[str, Any], expected: tuple[int, str]
) -> None:
    app = start_app if name == "start_transaction" else connect_app
    assert code(app.handler({**api_event(name, ASHA), **changes}, Context())) == expected


# --- connect_user ---


def test_a_user_is_connected(account: ConnectionAccount) -> None:
    transaction_id = account.started(ASHA, ASHAS_ID)
    answer = account.connect_by(ASHA, auth_token(), transaction_id)
    assert answer["statusCode"] == 200
    assert body(answer) == {"user": "connected", "broker": BROKER}
    user_pk = f"USER#{ASHA.issuer}#{ASHA.subject}"
    items = scan()
    assert items[user_pk] == {
        "smallcase_auth_id": ASHAS_ID,
        "broker": BROKER,
        "connected_at": int(account.clock()),
    }
    assert items[f"AUTHID#{ASHAS_ID}"] == {"user_pk": user_pk}
    assert items[f"TXN#{transaction_id}"]["used_for"] == ASHAS_ID
    assert [entry["Source"] for entry in account.events] == ["gatehouse.connections"]
    assert len(account.published("connections.connected")) == 1


def test_asking_again_is_answered_again(account: ConnectionAccount) -> None:
    transaction_id = account.started(ASHA, ASHAS_ID)
    first = account.connect_by(ASHA, auth_token(), transaction_id)
    assert account.connect_by(ASHA, auth_token(), transaction_id) == first
    assert len(account.events) == 1


def test_the_recorded_event_is_a_request_to_connect(account: ConnectionAccount) -> None:
    answer = connect_app.handler(api_event("connect_user", ASHA), Context())
    assert code(answer) == (400, "INVALID_SMALLCASE_TOKEN")


def test_a_disconnection_is_204_however_often_and_has_no_body(account: ConnectionAccount) -> None:
    account.connect_by(ASHA, auth_token(), account.started(ASHA, ASHAS_ID))
    for _ in range(3):
        assert account.disconnect_by(ASHA) == {"statusCode": 204, "headers": {}}
    assert set(scan()) == {"TXN#TRX_1"}
    assert len(account.published("connections.disconnected")) == 1


def test_a_body_on_a_disconnection_is_ignored(account: ConnectionAccount) -> None:
    call = {**api_event("connect_user_delete", ASHA), "body": "{", "isBase64Encoded": True}
    assert connect_app.handler(call, Context())["statusCode"] == 204


def test_a_disconnected_id_can_be_connected_by_its_next_holder(account: ConnectionAccount) -> None:
    account.connect_by(ASHA, auth_token(), account.started(ASHA, ASHAS_ID))
    account.disconnect_by(ASHA)
    assert code(account.connect_by(RAVI, auth_token(), account.started(RAVI, ASHAS_ID))) == (200, "")


def test_without_the_question_nobody_is_asked_and_no_broker_is_known(account: ConnectionAccount) -> None:
    account.environment(VERIFY_TRANSACTION_DETAILS="false")
    transaction_id = account.started(ASHA)
    account.api.requests.clear()
    assert body(account.connect_by(ASHA, auth_token(), transaction_id)) == {"user": "connected"}
    assert account.api.requests == []


def test_a_broker_is_not_taken_from_the_request(account: ConnectionAccount) -> None:
    account.environment(VERIFY_TRANSACTION_DETAILS="false")
    answer = account.connect_by(
        ASHA, auth_token(), account.started(ASHA), broker="SENTINEL", smallcaseAuthId="SENTINEL"
    )
    assert body(answer) == {"user": "connected"}
    assert "SENTINEL" not in str(scan())


def test_a_table_out_of_reach_is_503(account: ConnectionAccount) -> None:
    transaction_id = account.started(ASHA, ASHAS_ID)
    account.delete_table()
    for answer in (
        account.start(),
        account.connect_by(ASHA, auth_token(), transaction_id),
        account.disconnect_by(ASHA),
    ):
        assert code(answer) == (503, "CONNECTIONS_UNAVAILABLE")
        assert int(answer["headers"]["retry-after"]) > 0


def test_a_secret_out_of_reach_is_503(account: ConnectionAccount) -> None:
    account.delete_secret()
    assert code(account.start()) == (503, "SECRET_UNAVAILABLE")
    assert code(account.connect_by(ASHA, auth_token(), "TRX_1")) == (503, "SECRET_UNAVAILABLE")


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"secret": "REPLACE_ME"}, "secret"),
        ({"api_secret": "with a space, and long enough to be one"}, "api_secret"),
        ({"secret": "-----BEGIN PUBLIC KEY-----AAAAAAA-----END PUBLIC KEY-----"}, "secret"),
    ],
)
def test_an_unusable_secret_is_503_and_the_log_names_the_field(
    account: ConnectionAccount, changes: dict[str, str], field: str, caplog: pytest.LogCaptureFixture
) -> None:
    account.write_secret(gateway_secret(**changes))
    assert code(account.start()) == (503, "GATEWAY_NOT_CONFIGURED")
    (record,) = [record for record in caplog.records if record.message == "gateway.not_configured"]
    assert vars(record)["field"] == field


def test_a_function_without_its_environment_says_all_that_is_missing(
    account: ConnectionAccount, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("SMALLCASE_BASE_URL", "CONNECTIONS_TABLE", "ALLOWED_INTENTS", "EVENT_BUS"):
        monkeypatch.delenv(name)
    assert code(account.start()) == (500, "INTERNAL_ERROR")
    assert code(account.connect_by(ASHA, auth_token(), "TRX_1")) == (500, "INTERNAL_ERROR")
    found = [len(vars(record)["faults"]) for record in caplog.records if record.message == "settings.invalid"]
    assert found == [3, 3]


# --- By webhook ---


@pytest.fixture
def by_webhook(account: ConnectionAccount) -> ConnectionAccount:
    account.environment(CONNECT_BY_WEBHOOK="true")
    return account


def test_a_postback_connects_whoever_started_the_transaction(by_webhook: ConnectionAccount) -> None:
    transaction_id = by_webhook.started(ASHA, ASHAS_ID)
    postback = {"transactionId": transaction_id, "smallcaseAuthId": ASHAS_ID}
    assert by_webhook.postback(**postback) == {"outcome": "connected"}
    assert scan()[f"USER#{ASHA.issuer}#{ASHA.subject}"]["smallcase_auth_id"] == ASHAS_ID
    assert by_webhook.postback(**postback) == {"outcome": "ignored", "reason": "transaction_used"}
    assert code(by_webhook.connect_by(ASHA, auth_token(), transaction_id)) == (200, "")
    assert [event["by"] for event in by_webhook.published("connections.connected")] == ["webhook"]


def test_the_recorded_postback_names_a_transaction_that_nobody_started(by_webhook: ConnectionAccount) -> None:
    assert by_webhook.postback() == {"outcome": "ignored", "reason": "transaction_unknown"}


def test_a_postback_connects_nobody_where_the_operator_has_not_switched_that_on(account: ConnectionAccount) -> None:
    transaction_id = account.started(ASHA, ASHAS_ID)
    outcome = account.postback(transactionId=transaction_id, smallcaseAuthId=ASHAS_ID)
    assert outcome == {"outcome": "ignored", "reason": "switched_off"}
    assert set(scan()) == {f"TXN#{transaction_id}"}


def test_a_postback_is_tried_again_where_the_gateway_is_out_of_reach(by_webhook: ConnectionAccount) -> None:
    transaction_id = by_webhook.started(ASHA, ASHAS_ID)
    by_webhook.api.replies += [UpstreamFault("timeout")] * 3
    with pytest.raises(TryAgain, match="GATEWAY_UNAVAILABLE"):
        by_webhook.postback(transactionId=transaction_id, smallcaseAuthId=ASHAS_ID)
    by_webhook.api.replies.clear()
    outcome = by_webhook.postback(transactionId=transaction_id, smallcaseAuthId=ASHAS_ID)
    assert outcome == {"outcome": "connected"}


def test_a_postback_without_the_question_is_a_fault_of_the_settings(
    account: ConnectionAccount, caplog: pytest.LogCaptureFixture
) -> None:
    account.environment(CONNECT_BY_WEBHOOK="true", VERIFY_TRANSACTION_DETAILS="false")
    assert code(account.connect_by(ASHA, auth_token(), "TRX_1")) == (500, "INTERNAL_ERROR")
    (record,) = [record for record in caplog.records if record.message == "settings.invalid"]
    assert vars(record)["faults"] == ["CONNECT_BY_WEBHOOK needs VERIFY_TRANSACTION_DETAILS"]
