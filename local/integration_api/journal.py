"""What the simulator remembers about the requests it saw: counts per endpoint and outcome, and a log of exchanges.

An exchange is an `authenticate` or a `refresh`. It lasts from the moment its request has been read until just before
the last byte of its answer, so that a client which sends one after another is never seen to overlap; one whose client
has left is over. Owns the overlap detection. Never keeps a header, a body, a credential or a token. Pure: the time is
an argument. Its caller holds a lock.
"""

from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field

from local.iso_time import iso_time

EXCHANGES = frozenset({"authenticate", "refresh"})
LONGEST_LOG = 1_000  # the oldest exchanges go first; numbers and counts go on


@dataclass(slots=True)
class Exchange:
    """One exchange; `outcome` is `ok`, an error code or `fault:NAME`, and None until it is known."""

    number: int
    kind: str
    started_at: float
    overlapped: bool
    credentials_in: str | None
    is_connected: Callable[[], bool] = field(repr=False)
    finished_at: float | None = None
    outcome: str | None = None
    took_effect: bool = False

    def public(self) -> dict[str, object]:
        """Give the exchange as `GET /_simulator/state` shows it, times in ISO 8601 UTC."""
        return {
            "number": self.number,
            "kind": self.kind,
            "started_at": iso_time(self.started_at),
            "finished_at": None if self.finished_at is None else iso_time(self.finished_at),
            "outcome": self.outcome,
            "took_effect": self.took_effect,
            "credentials_in": self.credentials_in,
            "overlapped": self.overlapped,
        }


class Journal:
    """Counts and logs. `overlapped` says that another exchange was open when this one began."""

    def __init__(self) -> None:
        self._counts: dict[str, Counter[str]] = {}
        self._log: deque[Exchange] = deque(maxlen=LONGEST_LOG)
        self._open: list[Exchange] = []
        self._exchanges = 0
        self._most_at_once = 0

    def count(self, endpoint: str, outcome: str) -> None:
        """Count one request."""
        self._counts.setdefault(endpoint, Counter())[outcome] += 1

    def begin(
        self, kind: str, now: float, is_connected: Callable[[], bool], credentials_in: str | None = None
    ) -> Exchange:
        """Log an exchange that begins; `is_connected` says later on whether its client is still there."""
        self.settle(now)
        self._exchanges += 1
        exchange = Exchange(self._exchanges, kind, now, bool(self._open), credentials_in, is_connected)
        self._log.append(exchange)
        self._open.append(exchange)
        self._most_at_once = max(self._most_at_once, len(self._open))
        return exchange

    def finish(self, exchange: Exchange, now: float) -> None:
        """Log that an exchange is over; saying so twice changes nothing."""
        if exchange.finished_at is None:
            exchange.finished_at = now
            self._open = [other for other in self._open if other is not exchange]

    def settle(self, now: float) -> None:
        """Finish every exchange whose client has left: a client that gave up may try again without overlapping."""
        for exchange in tuple(self._open):
            if not exchange.is_connected():
                self.finish(exchange, now)

    def public(self) -> dict[str, object]:
        """Give the counts and the log as `GET /_simulator/state` shows them."""
        return {
            "requests": {
                endpoint: {"total": outcomes.total(), "outcomes": dict(outcomes)}
                for endpoint, outcomes in self._counts.items()
            },
            "exchanges": [exchange.public() for exchange in self._log],
            "exchanges_total": self._exchanges,
            "exchanges_open": len(self._open),
            "max_concurrent_exchanges": self._most_at_once,
        }
