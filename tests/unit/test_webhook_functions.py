"""Both webhook functions, from event to answer, over a queue and an account in memory."""

import json
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from moto import mock_aws

from functions.process_webhook import app as process_app
from functions.receive_webhook import app as receive_app
from gatehouse import envelope
from gatehouse.delivery_queue import SqsDeliveryQueue
from gatehouse.problems import QueueUnavailable
from tests.support.events import event, gateway_secret
from tests.support.token_fakes import fresh_powertools
from tests.support.webhook_fakes import webhook_edge

BEARER = {"authorization": "Bearer token-of-the-broker"}


@pytest.fixture
def queue(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The messages that the queue has."""
    sources = {"broker": {"authentication": [{"type": 2, "token": "token-of-the-broker"}]}}
    with webhook_edge(monkeypatch, gateway_secret=gateway_secret(), sources=sources) as messages:
        yield messages


def integration(body: str = "{}", **headers: str) -> dict[str, Any]:
    call = event("receive_webhook", body=body, pathParameters={"source": "broker"})
    call["routeKey"] = "POST /v1/webhooks/integration/{source}"
    return {**call, "headers": headers}


def test_a_postback_is_answered_with_its_id_once_the_queue_has_it(queue: list[str]) -> None:
    answer: dict[str, Any] = receive_app.handler(event("receive_webhook"), None)
    assert answer["statusCode"] == 200
    (message,) = queue
    received = envelope.parse(message)
    assert json.loads(answer["body"]) == {"id": received.id}
    assert (received.source, received.kind, received.recognised) == ("smallcase", "orders", True)
    assert received.body.decode() == event("receive_webhook")["body"]


def test_a_delivery_of_the_integration_api_is_taken_whatever_it_holds(queue: list[str]) -> None:
    assert receive_app.handler(integration("no json at all", **BEARER), None)["statusCode"] == 200
    assert envelope.parse(queue[0]).source == "integration.broker"


def test_a_delivery_without_right_credentials_leaves_nothing(queue: list[str]) -> None:
    assert receive_app.handler(integration(), None)["statusCode"] == 401
    assert receive_app.handler(integration(authorization="Bearer wrong"), None)["statusCode"] == 401
    assert queue == []


def test_a_queue_out_of_reach_is_503_and_nothing_is_acknowledged(
    queue: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_self: SqsDeliveryQueue, _message: str) -> None:
        raise QueueUnavailable("status_403")

    monkeypatch.setattr(SqsDeliveryQueue, "send", refuse)
    answer: dict[str, Any] = receive_app.handler(integration(**BEARER), None)
    assert answer["statusCode"] == 503
    assert int(answer["headers"]["retry-after"]) > 0


def test_an_edge_without_its_environment_says_all_that_is_missing(
    queue: list[str], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("WEBHOOK_QUEUE_URL", "GATEWAY_SECRET_ARN", "CHECKSUM_ENCODING"):
        monkeypatch.delenv(name)
    assert receive_app.handler(integration(**BEARER), None)["statusCode"] == 500
    (faults,) = [vars(record)["faults"] for record in caplog.records if record.message == "settings.invalid"]
    assert len(faults) == 3


class Context:
    aws_request_id = "request"

    def get_remaining_time_in_millis(self) -> int:
        return 30_000


@pytest.fixture
def log_table(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    variables = {
        "WEBHOOKS_TABLE": "webhooks",
        "EVENT_BUS": "gatehouse",
        "EVENT_LOG_DAYS": "30",
        "POWERTOOLS_SERVICE_NAME": "process_webhook",
        "POWERTOOLS_METRICS_NAMESPACE": "Gatehouse/test",
    }
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with mock_aws(), fresh_powertools():
        boto3.client("events").create_event_bus(Name="gatehouse")
        boto3.client("dynamodb").create_table(
            TableName="webhooks",
            KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
        )
        yield "webhooks"


def test_a_message_ends_in_the_log_as_published_and_again_as_a_duplicate(log_table: str) -> None:
    for _ in range(2):
        assert process_app.handler(event("process_webhook"), Context()) == {"batchItemFailures": []}
    (item,) = boto3.client("dynamodb").scan(TableName=log_table)["Items"]
    assert item["state"] == {"S": "published"}
    assert item["source"] == {"S": "smallcase"}
    assert int(item["ttl"]["N"]) > 30 * 24 * 3600


def test_what_is_no_envelope_fails_alone(log_table: str) -> None:
    good = event("process_webhook")["Records"][0]
    batch = {"Records": [{**good, "messageId": "poison", "body": "{}"}, good]}
    assert process_app.handler(batch, Context()) == {"batchItemFailures": [{"itemIdentifier": "poison"}]}
    assert boto3.client("dynamodb").scan(TableName=log_table)["Count"] == 1


def test_a_batch_in_which_everything_fails_is_reported_message_by_message(log_table: str) -> None:
    record = event("process_webhook")["Records"][0]
    batch = {"Records": [{**record, "messageId": str(number), "body": "poison"} for number in range(3)]}
    assert len(process_app.handler(batch, Context())["batchItemFailures"]) == 3


def test_an_empty_batch_is_no_error(log_table: str) -> None:
    nothings: list[object] = [{"Records": []}, {}, [], None, "text"]
    for nothing in nothings:
        assert process_app.handler(nothing, Context()) == {"batchItemFailures": []}
