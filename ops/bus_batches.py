"""Many events onto the bus, in as few calls as EventBridge allows.

Owns how entries are put together, and the look at each of them afterwards: PutEvents answers 200 for entries that it
did not take. What it did not take for a while is sent again; what it will never take is not.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

from gatehouse.delivery_event import MAX_ENTRY_BYTES, SOURCE

if TYPE_CHECKING:
    from mypy_boto3_events import EventBridgeClient

# At most ten entries in a call, and together no more than a single one may have.
# https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-putevents.html
MAX_ENTRIES = 10
MAX_BYTES = MAX_ENTRY_BYTES

PAUSES_SECONDS = (0.5, 1.0, 2.0, 4.0)

# Trying these again cannot help.
# https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutEventsResultEntry.html
FINAL_CODES = frozenset(
    {
        "AccessDeniedException",
        "InvalidAccountIdException",
        "InvalidArgument",
        "MalformedDetail",
        "NotAuthorizedForDetailTypeException",
        "NotAuthorizedForSourceException",
        "RedactionFailure",
    }
)


class Event(NamedTuple):
    """An event about a delivery."""

    delivery_id: str
    detail_type: str
    detail: str

    @property
    def size(self) -> int:
        """Bytes as EventBridge counts them."""
        return len(SOURCE) + len(self.detail_type.encode()) + len(self.detail.encode())


class NotTaken(NamedTuple):
    """An event that is not on the bus. `code` is EventBridge's."""

    event: Event
    code: str


def batches(events: Iterable[Event]) -> Iterator[list[Event]]:
    """Put events together for one call each, in their order."""
    batch: list[Event] = []
    size = 0
    for event in events:
        if batch and (len(batch) == MAX_ENTRIES or size + event.size > MAX_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(event)
        size += event.size
    if batch:
        yield batch


class BatchPublisher:
    """Publishes as `gatehouse.webhooks`."""

    def __init__(self, client: "EventBridgeClient", bus_name: str, sleep: Callable[[float], object]) -> None:
        self._client = client
        self._bus_name = bus_name
        self._sleep = sleep

    def publish(self, events: Iterable[Event]) -> list[NotTaken]:
        """Publish events and return those that the bus did not take. Raises botocore's errors."""
        return [each for batch in batches(events) for each in self._publish_batch(batch)]

    def _publish_batch(self, batch: Sequence[Event]) -> list[NotTaken]:
        refused: list[NotTaken] = []
        waiting = self._put(batch)
        for pause in PAUSES_SECONDS:
            refused += [each for each in waiting if each.code in FINAL_CODES]
            again = [each.event for each in waiting if each.code not in FINAL_CODES]
            if not again:
                return refused
            self._sleep(pause)
            waiting = self._put(again)
        return refused + waiting

    def _put(self, events: Sequence[Event]) -> list[NotTaken]:
        answer = self._client.put_events(
            Entries=[
                {
                    "EventBusName": self._bus_name,
                    "Source": SOURCE,
                    "DetailType": event.detail_type,
                    "Detail": event.detail,
                }
                for event in events
            ]
        )
        results = zip(events, answer["Entries"], strict=True)
        return [
            NotTaken(event, result.get("ErrorCode", "unknown")) for event, result in results if "EventId" not in result
        ]
