"""From the queue to the log and the bus.

Owns the order that makes a delivery appear in the log exactly once and on the bus at least once: store, publish, mark.
A crash between two of these leaves a message that comes back, and finds how far it had come.
"""

import logging
import time
from collections.abc import Callable
from typing import Literal

from gatehouse import delivery_event
from gatehouse.bus import Bus, BusUnavailable
from gatehouse.envelope import Envelope, parse
from gatehouse.event_log import EventLog

log = logging.getLogger(__name__)

Outcome = Literal["published", "duplicate"]

PUBLISH_ATTEMPTS = 3
PAUSE_SECONDS = 0.2  # before the second attempt, then twice as long


class WebhookProcessor:
    """Processes messages of the queue, one at a time."""

    def __init__(self, event_log: EventLog, bus: Bus, sleep: Callable[[float], None] = time.sleep) -> None:
        self._log = event_log
        self._bus = bus
        self._sleep = sleep

    def process(self, message: str) -> Outcome:
        """Process one message.

        Raises `NotAnEnvelope` for what nobody here has sent, and `LogUnavailable` and `BusUnavailable` where the
        message should come back.
        """
        envelope = parse(message)
        known = self._log.add(envelope)
        if known is not None and (known.envelope_id != envelope.id or known.state == "published"):
            log.info("webhook.duplicate", extra={"delivery": envelope.id, "source": envelope.source})
            return "duplicate"
        self._publish(envelope)
        self._log.mark_published(envelope.identity)
        log.info("webhook.published", extra={"delivery": envelope.id, "source": envelope.source})
        return "published"

    def _publish(self, envelope: Envelope) -> None:
        for attempt in range(1, PUBLISH_ATTEMPTS + 1):
            try:
                self._bus.publish_json(delivery_event.detail_type(envelope), delivery_event.detail(envelope))
            except BusUnavailable as error:
                log.warning("webhook.not_published", extra={"delivery": envelope.id, "reason": error.reason})
                if attempt == PUBLISH_ATTEMPTS:
                    raise
                self._sleep(PAUSE_SECONDS * 2 ** (attempt - 1))
            else:
                return
