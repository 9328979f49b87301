"""Webhooks in memory: the log, the queue, and deliveries as their senders send them.

Every effect of a fake is a step with a name (see `token_fakes.Steps`).
"""

import base64
import hashlib
import hmac
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import boto3
import pytest
from moto import mock_aws

from gatehouse.delivery_queue import SqsDeliveryQueue
from gatehouse.envelope import Envelope, parse
from gatehouse.event_log import Known, LogUnavailable, State
from gatehouse.problems import QueueUnavailable
from tests.support.events import GATEWAY_SECRET
from tests.support.token_fakes import Steps

WEBHOOK_USER, WEBHOOK_PASSWORD, WEBHOOK_TOKEN = "market", "the-webhook-password", "the-webhook-token"
WEBHOOK_SOURCES = {
    "shop": {
        "authentication": [
            {"type": 1, "username": WEBHOOK_USER, "password": WEBHOOK_PASSWORD},
            {"type": 2, "token": WEBHOOK_TOKEN},
        ],
        "delivery_id_header": "X-Delivery-Id",
    }
}


class FakeEventLog:
    """A log in memory. Steps: `log.add`, `log.mark`; while `failure` is set, it is out of reach."""

    def __init__(self, steps: Steps | None = None) -> None:
        self._step = steps or Steps()
        self.entries: dict[str, Envelope] = {}
        self.states: dict[str, State] = {}
        self.failure: str | None = None

    def add(self, envelope: Envelope) -> Known | None:
        """See `EventLog.add`."""
        self._take("log.add")
        if envelope.identity in self.entries:
            return Known(self.entries[envelope.identity].id, self.states[envelope.identity])
        self.entries[envelope.identity] = envelope
        self.states[envelope.identity] = "received"
        return None

    def mark_published(self, identity: str) -> None:
        """See `EventLog.mark_published`."""
        self._take("log.mark")
        if identity not in self.entries:
            raise LogUnavailable("ConditionalCheckFailedException")
        self.states[identity] = "published"

    def _take(self, step: str) -> None:
        self._step(step)
        if self.failure is not None:
            raise LogUnavailable(self.failure)


class FakeDeliveryQueue:
    """A queue that keeps its messages. Step: `queue.send`; while `failure` is set, it takes none."""

    def __init__(self, steps: Steps | None = None) -> None:
        self._step = steps or Steps()
        self.messages: list[str] = []
        self.failure: str | None = None

    def send(self, message: str) -> None:
        """See `DeliveryQueue.send`."""
        self._step("queue.send")
        if self.failure is not None:
            raise QueueUnavailable(self.failure)
        self.messages.append(message)

    @property
    def envelopes(self) -> list[Envelope]:
        """What was sent, read."""
        return [parse(message) for message in self.messages]


def make_envelope(**changes: Any) -> Envelope:
    """Return an envelope with members replaced."""
    envelope = Envelope(
        id="delivery-1",
        identity="identity-1",
        source="smallcase",
        kind="orders",
        received_at="2027-01-15T08:00:00Z",
        content_type="application/json",
        recognised=True,
        body=b'{"orders":[]}',
    )
    return envelope._replace(**changes)


def basic_authorization(username: str = WEBHOOK_USER, password: str = WEBHOOK_PASSWORD) -> str:
    """Return the header of HTTP Basic."""
    return f"Basic {base64.b64encode(f'{username}:{password}'.encode()).decode()}"


def smallcase_body(key: str = GATEWAY_SECRET["api_secret"], **changes: object) -> str:
    """Return a postback of an order with a right checksum (hex) over timestamp and smallcaseAuthId."""
    members = {
        "smallcaseAuthId": "auth-1",
        "transactionId": "TRX_1",
        "status": "COMPLETED",
        "orders": [],
        "timestamp": "1800000000000",
        **changes,
    }
    covered = f"{members['timestamp']}{members['smallcaseAuthId']}"
    checksum = hmac.new(key.encode(), covered.encode(), hashlib.sha256).hexdigest()
    return json.dumps({**members, "checksum": checksum})


def create_webhooks_table() -> None:
    """Create the event log's table of the template."""
    boto3.client("dynamodb").create_table(
        TableName="webhooks",
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        AttributeDefinitions=[
            {"AttributeName": name, "AttributeType": "S"} for name in ("pk", "source", "received_at")
        ],
        GlobalSecondaryIndexes=[
            {
                "IndexName": "by_source",
                "KeySchema": [
                    {"AttributeName": "source", "KeyType": "HASH"},
                    {"AttributeName": "received_at", "KeyType": "RANGE"},
                ],
                "Projection": {
                    "ProjectionType": "INCLUDE",
                    "NonKeyAttributes": ["id", "kind", "state", "recognised", "content_type"],
                },
            }
        ],
        BillingMode="PAY_PER_REQUEST",
    )


@contextmanager
def webhook_edge(
    monkeypatch: pytest.MonkeyPatch, *, gateway_secret: str, sources: Mapping[str, object]
) -> Iterator[list[str]]:
    """An account in memory and an environment for `receive_webhook`; gives the messages that it puts on the queue."""
    messages: list[str] = []
    monkeypatch.setattr(SqsDeliveryQueue, "send", lambda _self, message: messages.append(message))
    with mock_aws():
        client = boto3.client("secretsmanager")
        variables = {
            "GATEWAY_SECRET_ARN": client.create_secret(Name="gateway", SecretString=gateway_secret)["ARN"],
            "WEBHOOK_CREDENTIALS_ARN": client.create_secret(Name="w", SecretString=json.dumps(sources))["ARN"],
            "ALLOW_SHORT_SECRETS": "false",
            "CHECKSUM_ENCODING": "hex",
            "WEBHOOK_QUEUE_URL": "https://sqs.eu-west-1.amazonaws.com/123456789012/queue",
            "SECRETS_EXTENSION": "off",
            "AWS_SESSION_TOKEN": "session",
            "AWS_REGION": "eu-west-1",
        }
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        yield messages
