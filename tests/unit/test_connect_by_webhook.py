"""What is read of an event of the bus, and what becomes of what goes wrong."""

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from gatehouse import connect_by_webhook
from gatehouse.connect_by_webhook import Hint, SwitchedOff, TryAgain, UnexpectedError, is_bus_event, read_hint
from gatehouse.problems import (
    AlreadyConnected,
    AuthIdTaken,
    ConnectionsUnavailable,
    GatewayNotConfigured,
    GatewayRefused,
    GatewayUnavailable,
    SecretUnavailable,
    TransactionExpired,
    TransactionMismatch,
    TransactionNotCompleted,
    TransactionUnknown,
    TransactionUsed,
)
from tests.support.events import event

HINT = Hint("TRX_2f1e8c7a", "63f6b2c1a0d4e5f6a7b8c9d0")


def postback(detail: Mapping[str, object] | None = None, **changes: object) -> dict[str, Any]:
    """The recorded event with members replaced (`_` is `-`); those of `detail` in its detail."""
    given = event("connect_user_webhook", **{name.replace("_", "-"): value for name, value in changes.items()})
    return given if detail is None else {**given, "detail": {**given["detail"], **detail}}


def raising(error: Exception) -> Callable[[Hint], None]:
    def connect(_hint: Hint) -> None:
        raise error

    return connect


def test_a_postback_is_a_hint() -> None:
    assert read_hint(postback()) == HINT


@pytest.mark.parametrize("kind", ["orders", "holdings", "mf-holdings", "pending-actions", "new-kind"])
def test_every_kind_of_postback_may_be_a_hint(kind: str) -> None:
    assert read_hint(postback(detail_type=f"smallcase.{kind}.received")) == HINT


def test_a_postback_that_is_published_again_is_a_hint_again() -> None:
    assert read_hint(postback({"replayed": True})) == HINT


NO_IDS: list[object] = [None, "", 1, True, [], {}, "x" * 257, "a\n", "\ud800"]
NO_HINTS: dict[str, tuple[dict[str, Any], str]] = {
    "of another source": (postback(source="gatehouse.tokens"), "another_event"),
    "of no source": (postback(source=None), "another_event"),
    "of another sender": (postback(detail_type="integration.shop.received"), "another_event"),
    "of almost this sender": (postback(detail_type="smallcase"), "another_event"),
    "of no type": (postback(detail_type=1), "another_event"),
    "without a detail": ({**postback(), "detail": None}, "another_event"),
    "with a list for a detail": ({**postback(), "detail": []}, "another_event"),
    "nothing": ({}, "another_event"),
    "too large for the bus": (postback({"body": None, "body_in_log": True}), "body_in_log"),
    "without a body": (postback({"body": None}), "no_object"),
    "of text": (postback({"body": "transactionId"}), "no_object"),
    "of a list": (postback({"body": [{"transactionId": "a", "smallcaseAuthId": "b"}]}), "no_object"),
    **{
        f"whose {name} is {value!r:.20}": (
            postback({"body": {"transactionId": "a", "smallcaseAuthId": "b", name: value}}),
            "no_ids",
        )
        for name in ("transactionId", "smallcaseAuthId")
        for value in NO_IDS
    },
}


@pytest.mark.parametrize(("given", "reason"), NO_HINTS.values(), ids=NO_HINTS)
def test_an_event_that_is_no_hint_is_ignored_with_a_reason(
    given: dict[str, Any], reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("INFO"):
        outcome = connect_by_webhook.run(given, raising(AssertionError("nobody was to be connected")))
    assert outcome == {"outcome": "ignored", "reason": reason}
    (record,) = caplog.records
    assert (record.message, vars(record)["reason"]) == ("connection.webhook_ignored", reason)


def test_a_hint_is_followed() -> None:
    followed: list[Hint] = []
    assert connect_by_webhook.run(postback(), followed.append) == {"outcome": "connected"}
    assert followed == [HINT]


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (TransactionUnknown(), "transaction_unknown"),
        (TransactionUsed(), "transaction_used"),
        (SwitchedOff(), "switched_off"),
    ],
)
def test_what_is_nobodys_business_here_is_ignored(
    error: Exception, reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("INFO"):
        assert connect_by_webhook.run(postback(), raising(error)) == {"outcome": "ignored", "reason": reason}
    assert [record.levelname for record in caplog.records] == ["INFO"]
    assert "code" not in vars(caplog.records[0])


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (TransactionExpired(), "TRANSACTION_EXPIRED"),
        (TransactionNotCompleted(), "TRANSACTION_NOT_COMPLETED"),
        (TransactionMismatch(), "TRANSACTION_MISMATCH"),
        (AlreadyConnected(), "ALREADY_CONNECTED"),
        (AuthIdTaken(), "AUTH_ID_TAKEN"),
        (GatewayRefused("status_400"), "GATEWAY_REFUSED"),
        (GatewayNotConfigured("secret", "placeholder"), "GATEWAY_NOT_CONFIGURED"),
    ],
)
def test_what_no_later_attempt_can_change_is_an_outcome_with_its_code(
    error: Exception, code: str, caplog: pytest.LogCaptureFixture
) -> None:
    assert connect_by_webhook.run(postback(), raising(error)) == {"outcome": "refused", "code": code}
    (record,) = caplog.records
    assert (record.message, vars(record)["code"]) == ("connection.webhook_refused", code)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (GatewayUnavailable("timeout"), "GATEWAY_UNAVAILABLE"),
        (ConnectionsUnavailable("contention"), "CONNECTIONS_UNAVAILABLE"),
        (SecretUnavailable("Timeout"), "SECRET_UNAVAILABLE"),
    ],
)
def test_what_passes_is_left_to_a_later_attempt(error: Exception, code: str, caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(TryAgain) as caught:
        connect_by_webhook.run(postback(), raising(error))
    assert str(caught.value) == code
    assert caught.value.__cause__ is None
    (record,) = caplog.records
    assert (record.message, vars(record)["code"]) == ("connection.webhook_failed", code)


def test_a_bug_is_raised_without_its_text(caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(UnexpectedError) as caught:
        connect_by_webhook.run(postback(), raising(KeyError("SENTINEL")))
    assert str(caught.value) == "KeyError"
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__
    (record,) = caplog.records
    assert record.message == "function.failed"
    assert vars(record)["error_type"] == "KeyError"
    assert "test_connect_by_webhook.py:" in vars(record)["error_location"]
    assert "SENTINEL" not in str(vars(record))


def test_an_event_of_the_bus_is_told_from_a_request() -> None:
    assert is_bus_event(postback())
    others: list[object] = [event("connect_user"), event("connect_user_delete"), {}, None, [], "detail-type"]
    assert not any(map(is_bus_event, others))


def test_a_request_does_not_become_an_event_by_what_its_caller_writes() -> None:
    assert not is_bus_event({**event("connect_user"), "detail-type": "smallcase.orders.received"})
