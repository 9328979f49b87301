"""Looking at the stack from outside: its queues, its log, and what the bus has told.

Owns how these are read. Reading changes nothing but the tap, and the dead-letter queue of a stack that is about to end.
"""

import time
from typing import TYPE_CHECKING, NamedTuple

from local.bus_tap import BusTap
from local.stack_file import StackFile
from tests.load.accounting import Entry

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_sqs.literals import QueueAttributeNameType

_COUNTS: "tuple[QueueAttributeNameType, ...]" = (
    "ApproximateNumberOfMessages",
    "ApproximateNumberOfMessagesNotVisible",
    "ApproximateNumberOfMessagesDelayed",
)
_AT_ONCE = 10  # what SQS hands out at once, at most
_LAST_EVENTS_SECONDS = 2


class Observer(NamedTuple):
    """One stack, and a tap on its bus."""

    stack: StackFile
    tap: BusTap
    sqs: "SQSClient"
    event_ids: list[str]

    @classmethod
    def of(cls, stack: StackFile, tap: BusTap) -> "Observer":
        """Begin to look."""
        return cls(stack, tap, stack.endpoint.client("sqs"), [])

    def take_events(self, wait_seconds: float = 0) -> int:
        """Collect the deliveries' events since the last call, and return how many these were."""
        ids = [_delivery_id(event) for event in self.tap.take(wait_seconds)]
        self.event_ids.extend(each for each in ids if each)
        return len(ids)

    def take_last_events(self) -> None:
        """Collect events until no more come."""
        while self.take_events(_LAST_EVENTS_SECONDS):
            pass

    def on_queue(self) -> int:
        """Return how many messages are on the queue, those being processed included."""
        answer = self.sqs.get_queue_attributes(
            QueueUrl=self.stack.outputs["WebhookQueueUrl"], AttributeNames=list(_COUNTS)
        )
        return sum(int(answer["Attributes"][name]) for name in _COUNTS)

    def wait_until_rest(self, seconds: float) -> int:
        """Wait until the queue is empty, for up to `seconds`; return how many messages are left."""
        deadline = time.monotonic() + seconds
        while (left := self.on_queue()) and time.monotonic() < deadline:
            self.take_events(wait_seconds=1)
        self.take_last_events()
        return left

    def entries(self) -> list[Entry]:
        """Read the whole event log."""
        pages = self.stack.endpoint.client("dynamodb").get_paginator("scan")
        return [
            Entry(item["id"]["S"], item["state"]["S"], bytes(item["body"]["B"]))
            for page in pages.paginate(TableName=self.stack.outputs["WebhooksTableName"], ConsistentRead=True)
            for item in page["Items"]
        ]

    def dead_letters(self) -> list[bytes]:
        """Take what was set aside."""
        url, bodies = self.stack.outputs["WebhookDeadLetterQueueUrl"], []
        while messages := self.sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=_AT_ONCE).get("Messages"):
            for message in messages:
                bodies.append(message["Body"].encode())
                self.sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
        return bodies


def _delivery_id(event: dict[str, object]) -> str:
    """Return the id of the delivery that an event tells of; empty where it tells of something else."""
    detail = event["detail"]
    return str(detail["id"]) if event["source"] == "gatehouse.webhooks" and isinstance(detail, dict) else ""
