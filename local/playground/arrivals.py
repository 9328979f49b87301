"""The newest events of the bus, for a page that comes back to look.

Owns what is shown of an event: its type, its time and the delivery that it is about. Never its body.
"""

import threading
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Final, Protocol

MOST_EVENTS: Final = 10


class Tap(Protocol):
    """Where events come from, such as `local.bus_tap.BusTap`."""

    def take(self) -> list[dict[str, object]]: ...  # noqa: D102
    def close(self) -> None: ...  # noqa: D102


class NewestEvents:
    """The newest events since `watch`, for several threads at once."""

    def __init__(self, open_tap: Callable[[], Tap]) -> None:
        self._open_tap = open_tap
        self._tap: Tap | None = None
        self._lock = threading.Lock()
        self._events: deque[dict[str, object]] = deque(maxlen=MOST_EVENTS)

    def watch(self) -> None:
        """Begin to catch events, unless it has begun."""
        with self._lock:
            self._watch()

    def look(self) -> list[dict[str, object]]:
        """Return what is shown of the events, newest first."""
        with self._lock:
            for event in sorted(self._watch().take(), key=lambda event: str(event.get("time"))):
                self._events.appendleft(_shown(event))
            return list(self._events)

    def close(self) -> None:
        """Stop, also where the account is gone already."""
        with self._lock, suppress(Exception):
            if self._tap is not None:
                self._tap.close()

    def _watch(self) -> Tap:
        if self._tap is None:
            self._tap = self._open_tap()
        return self._tap


def _shown(event: Mapping[str, object]) -> dict[str, object]:
    detail = event.get("detail")
    delivery = detail.get("id") if isinstance(detail, dict) else None
    return {"time": event.get("time"), "detail_type": event.get("detail-type"), "delivery_id": delivery}
