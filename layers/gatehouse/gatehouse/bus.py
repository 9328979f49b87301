"""Publishing domain events (EventBridge).

Owns the call and the look at its entries: PutEvents answers 200 for entries that it did not take. What is in an event
is its publisher's business; a secret never is.
"""

import json
import logging
from collections.abc import Mapping
from typing import Protocol

from gatehouse.problems import ServiceError

log = logging.getLogger(__name__)


class BusUnavailable(ServiceError):
    """The bus did not take an event. `reason` is a code."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"bus unavailable: {reason}")
        self.reason = reason


class Bus(Protocol):
    """Takes events."""

    def publish(self, detail_type: str, detail: Mapping[str, object]) -> None:
        """Publish one event. Raises `BusUnavailable`."""
        ...

    def publish_json(self, detail_type: str, detail: str) -> None:
        """Publish one event whose detail is JSON already. Raises `BusUnavailable`."""
        ...


class EventBridgeBus:
    """A bus of EventBridge. Events have one source, that of the function that publishes."""

    def __init__(self, name: str, source: str) -> None:
        self._name = name
        self._source = source

    def publish(self, detail_type: str, detail: Mapping[str, object]) -> None:
        """See `Bus.publish`."""
        self.publish_json(detail_type, json.dumps(detail))

    def publish_json(self, detail_type: str, detail: str) -> None:
        """See `Bus.publish_json`."""
        from gatehouse import aws  # noqa: PLC0415 - boto3 is loaded by the first event, not by the import

        try:
            answer = aws.events().put_events(
                Entries=[
                    {
                        "EventBusName": self._name,
                        "Source": self._source,
                        "DetailType": detail_type,
                        "Detail": detail,
                    }
                ]
            )
        except aws.ERRORS as error:
            raise BusUnavailable(aws.error_code(error)) from None
        if answer["FailedEntryCount"]:
            raise BusUnavailable(answer["Entries"][0].get("ErrorCode", "unknown"))


def announce(bus: Bus, detail_type: str, detail: Mapping[str, object]) -> None:
    """Publish an event that nothing here depends on: a bus that does not take it is logged, and that is all."""
    try:
        bus.publish(detail_type, detail)
    except BusUnavailable as error:
        log.warning("event.not_published", extra={"event": detail_type, "reason": error.reason})
