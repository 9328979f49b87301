"""The deliveries that were accepted (DynamoDB): each is there exactly once.

Owns the layout of the log, and the conditional write that makes an entry the idempotency record of its delivery.
Nothing is ever overwritten: a repeated delivery finds the first one.
"""

from collections.abc import Callable, Mapping
from typing import Any, Literal, NamedTuple, Protocol

from gatehouse import aws
from gatehouse.envelope import Envelope, NotAnEnvelope
from gatehouse.problems import ServiceError

State = Literal["received", "published"]


class LogUnavailable(ServiceError):
    """The log cannot be reached. `reason` is a code."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"event log unavailable: {reason}")
        self.reason = reason


class Known(NamedTuple):
    """The entry that a delivery found in its place."""

    envelope_id: str
    state: State


def read_entry(item: Mapping[str, Any]) -> Envelope:
    """Return the delivery that an item of the log holds, as DynamoDB returns it. Raises `NotAnEnvelope`."""
    try:
        return Envelope(
            id=item["id"]["S"],
            identity=item["pk"]["S"],
            source=item["source"]["S"],
            kind=item["kind"]["S"] if "kind" in item else None,
            received_at=item["received_at"]["S"],
            content_type=item["content_type"]["S"],
            recognised=item["recognised"]["BOOL"],
            body=item["body"]["B"],
        )
    except (KeyError, TypeError):
        raise NotAnEnvelope from None


class EventLog(Protocol):
    """Keeps deliveries. Every method raises `LogUnavailable`."""

    def add(self, envelope: Envelope) -> Known | None:
        """Store a delivery as received; return None, or the entry that was there before."""
        ...

    def mark_published(self, identity: str) -> None:
        """Note that the event of this delivery is on the bus."""
        ...


class DynamoDBEventLog:
    """The log in the webhooks table."""

    def __init__(self, table_name: str, keep_seconds: int, clock: Callable[[], float]) -> None:
        """`clock` returns epoch seconds; an entry is forgotten `keep_seconds` after it was received."""
        self._table_name = table_name
        self._keep_seconds = keep_seconds
        self._clock = clock

    def add(self, envelope: Envelope) -> Known | None:
        """See `EventLog.add`."""
        texts = {
            "pk": envelope.identity,
            "id": envelope.id,
            "source": envelope.source,
            "received_at": envelope.received_at,
            "content_type": envelope.content_type,
            "state": "received",
        }
        if envelope.kind is not None:
            texts["kind"] = envelope.kind
        try:
            aws.dynamodb().put_item(
                TableName=self._table_name,
                Item={
                    **{name: {"S": value} for name, value in texts.items()},
                    "body": {"B": envelope.body},
                    "recognised": {"BOOL": envelope.recognised},
                    "ttl": {"N": str(int(self._clock()) + self._keep_seconds)},
                },
                ConditionExpression="attribute_not_exists(pk)",
            )
        except aws.ERRORS as error:
            if aws.error_code(error) != aws.CONDITION_FAILED:
                raise LogUnavailable(aws.error_code(error)) from None
            return self._find(envelope.identity)
        return None

    def _find(self, identity: str) -> Known:
        try:
            item = (
                aws.dynamodb()
                .get_item(
                    TableName=self._table_name,
                    Key={"pk": {"S": identity}},
                    ConsistentRead=True,
                    ProjectionExpression="id, #state",
                    ExpressionAttributeNames={"#state": "state"},
                )
                .get("Item", {})
            )
        except aws.ERRORS as error:
            raise LogUnavailable(aws.error_code(error)) from None
        if "id" not in item:
            # Its time ran out between the two calls: the message comes back and is stored then.
            raise LogUnavailable("entry_vanished")
        return Known(item["id"]["S"], "published" if item["state"]["S"] == "published" else "received")

    def mark_published(self, identity: str) -> None:
        """See `EventLog.mark_published`."""
        try:
            aws.dynamodb().update_item(
                TableName=self._table_name,
                Key={"pk": {"S": identity}},
                UpdateExpression="SET #state = :published",
                ConditionExpression="attribute_exists(pk)",
                ExpressionAttributeNames={"#state": "state"},
                ExpressionAttributeValues={":published": {"S": "published"}},
            )
        except aws.ERRORS as error:
            raise LogUnavailable(aws.error_code(error)) from None
