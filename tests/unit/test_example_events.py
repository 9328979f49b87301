"""The example of a rule's target: a delivery is remembered once, and a failure is not swallowed."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws

from examples.events.remember_delivery import app
from gatehouse import delivery_event
from tests.support.event_schemas import SCHEMAS, Json, as_received, check
from tests.support.fakes import Clock
from tests.support.token_fakes import one_call_at_a_time, refuse
from tests.support.webhook_fakes import make_envelope

ORDER: Json = SCHEMAS["smallcase.received"]["examples"][0]
DAY_SECONDS = 24 * 60 * 60


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[Clock]:
    """The function's whole surroundings: its table in an account in memory, its environment, the time."""
    fake = Clock()
    monkeypatch.setattr("time.time", fake)
    monkeypatch.setenv("DELIVERIES_TABLE", "deliveries")
    monkeypatch.setenv("REMEMBER_DAYS", "90")
    app._dynamodb.cache_clear()
    with mock_aws():
        boto3.client("dynamodb").create_table(
            TableName="deliveries",
            KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
        )
        yield fake
    app._dynamodb.cache_clear()


def entries() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = boto3.client("dynamodb").scan(TableName="deliveries")["Items"]
    return found


def take(event: Json) -> str:
    return app.handler(event, None)["outcome"]


def test_a_delivery_is_remembered_with_what_it_takes_to_ask_about_it(clock: Clock) -> None:
    assert take(ORDER) == "remembered"
    assert entries() == [
        {
            "pk": {"S": ORDER["detail"]["id"]},
            "event": {"S": "smallcase.orders.received"},
            "received_at": {"S": ORDER["detail"]["received_at"]},
            "identity": {"S": ORDER["detail"]["identity"]},
            "transaction_id": {"S": ORDER["detail"]["body"]["transactionId"]},
            "ttl": {"N": str(int(clock.now) + 90 * DAY_SECONDS)},
        }
    ]


def test_an_event_that_comes_again_changes_nothing(clock: Clock) -> None:
    take(ORDER)
    first = entries()
    clock.advance(DAY_SECONDS)
    again = {**ORDER, "id": "another event of EventBridge", "detail": {**ORDER["detail"], "replayed": True, "body": {}}}
    assert check(again)
    assert [take(ORDER), take(again)] == ["duplicate", "duplicate"]
    assert entries() == first


def test_another_delivery_is_another_entry(clock: Clock) -> None:
    other = {**ORDER, "detail": {**ORDER["detail"], "id": "a" * 36}}
    assert [take(ORDER), take(other)] == ["remembered", "remembered"]
    assert len(entries()) == 2


def test_of_events_at_the_same_moment_one_is_the_first(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    one_call_at_a_time(monkeypatch)
    app._dynamodb()
    with ThreadPoolExecutor(8) as pool:
        outcomes = list(pool.map(lambda _: take(ORDER), range(8)))
    assert sorted(outcomes) == ["duplicate"] * 7 + ["remembered"]


@pytest.mark.parametrize(
    "body", [b"\xff", b"text", b"[]", b"null", b"{}", b'{"transactionId": 1}', b'{"transactionId": ["TRX"]}', b"1e400"]
)
@pytest.mark.parametrize("source", ["smallcase", "integration.shop"])
def test_whatever_the_body_is_the_delivery_is_remembered(clock: Clock, body: bytes, source: str) -> None:
    envelope = make_envelope(source=source, kind="orders" if source == "smallcase" else None, body=body)
    detail = json.loads(delivery_event.detail(envelope))
    assert take(as_received(delivery_event.SOURCE, delivery_event.detail_type(envelope), detail)) == "remembered"
    (entry,) = entries()
    assert "transaction_id" not in entry


@pytest.mark.parametrize("code", ["ProvisionedThroughputExceededException", "AccessDeniedException"])
def test_a_table_out_of_reach_is_an_error_and_no_duplicate(clock: Clock, code: str) -> None:
    restore = refuse(app._dynamodb(), "PutItem", code)
    with pytest.raises(ClientError, match=code):
        take(ORDER)
    restore()
    assert take(ORDER) == "remembered"


def test_the_log_names_the_delivery_and_nothing_of_its_body(clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    take(ORDER)
    (record,) = [each for each in caplog.records if each.name == app.__name__]
    assert (record.message, vars(record)["outcome"]) == ("delivery.done", "remembered")
    assert vars(record)["delivery"] == ORDER["detail"]["id"]
    assert ORDER["detail"]["body"]["transactionId"] not in caplog.text
