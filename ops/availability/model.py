"""Days of ticks against an Integration API that has outages, in a second.

Owns the clock, the upstream and the counting. What a tick does is `token_policy`'s to say: it is asked at each one, as
`refresher` and `authenticator` ask it. Everything is pure; times are seconds since the run began.
"""

import math
from collections import deque
from dataclasses import dataclass, field
from random import Random
from typing import Final

from gatehouse.exchange_answer import ExchangeAnswer, Grant, Unauthorized, Unavailable
from gatehouse.integration_tokens import IntegrationTokens
from gatehouse.secret_value import Secret
from gatehouse.token_policy import (
    LookAgain,
    Nothing,
    Reauthenticate,
    Store,
    is_refresh_token_old,
    on_authenticate_answer,
    on_refresh_answer,
    on_refresh_rejected,
    on_tick,
)

HOUR_SECONDS: Final = 3600.0
DAY_SECONDS: Final = 24 * HOUR_SECONDS
# H: the brokerage's documentation.
LIFETIME_SECONDS: Final = HOUR_SECONDS
REFRESH_TOKEN_SECONDS: Final = 7 * DAY_SECONDS

DOWN: Final = Unavailable("status_503", may_have_happened=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What is simulated. An outage begins at a random moment of each slot of `slot_seconds`; 0 long, there are none.

    `late_seconds`: each tick comes between 0 and this much late.
    """

    days: float
    rate_seconds: float
    margin_seconds: float
    outage_seconds: float
    slot_seconds: float
    late_seconds: float = 0.0
    lifetime_seconds: float = LIFETIME_SECONDS
    seed: int = 1

    def __post_init__(self) -> None:
        """Raise ValueError unless the ticks keep their order, and one of them comes between two outages."""
        if self.late_seconds > self.rate_seconds:
            raise ValueError("a tick comes before the next one is due")
        if self.outage_seconds + self._quiet_seconds > self.slot_seconds:
            raise ValueError("an outage and a tick after it fit into a slot")

    @property
    def _quiet_seconds(self) -> float:
        return self.rate_seconds + self.late_seconds

    @property
    def attempts(self) -> int:
        """How many ticks at least try to replace a token before it ends."""
        window = min(self.margin_seconds, self.lifetime_seconds) - self.late_seconds
        if self.margin_seconds < self.lifetime_seconds:
            return max(0, math.floor(window / self.rate_seconds))
        return max(0, math.ceil(window / self.rate_seconds) - 1)  # the tick that stored it is not one of them

    @property
    def safe_outage_seconds(self) -> float:
        """The longest outage that never leaves a dead token: a longer one may have all attempts in it.

        With ticks on time and a margin that is a multiple of the rate, that is the margin less one tick.
        """
        return max(0.0, (self.attempts - 1) * self.rate_seconds - self.late_seconds)

    def outages(self) -> list[tuple[float, float]]:
        """Return begin and end of each. A longer one of the same seed begins at much the same moment."""
        if not self.outage_seconds:
            return []
        draw = Random(self.seed)  # noqa: S311 - nothing secret
        room = self.slot_seconds - self._quiet_seconds - self.outage_seconds
        slots = math.floor(self.days * DAY_SECONDS / self.slot_seconds)
        begins = (slot * self.slot_seconds + self._quiet_seconds + draw.random() * room for slot in range(slots))
        return [(begin, begin + self.outage_seconds) for begin in begins]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a run."""

    availability: float  # share of the time in which the stored access token worked
    outages: int
    deadly_outages: int  # those that left a dead token
    longest_dead_seconds: float
    exchanges: int  # calls of the upstream, those in outages included
    authentications: int  # those that were granted
    most_versions_in_a_day: int  # stored within any 24 hours
    days: float

    @property
    def deadly_share(self) -> float:
        """Share of the outages that left a dead token."""
        return self.deadly_outages / self.outages if self.outages else 0.0

    @property
    def exchanges_a_day(self) -> float:
        """Calls of the upstream."""
        return self.exchanges / self.days


class _Upstream:
    """Grants tokens unless it is down. Asked in the order of time."""

    def __init__(self, run: Run) -> None:
        self._lifetime_seconds = run.lifetime_seconds
        self._outages = deque(run.outages())
        self._authenticated_at = -math.inf
        self.exchanges = 0

    def is_down(self, now: float) -> bool:
        while self._outages and self._outages[0][1] <= now:
            self._outages.popleft()
        return bool(self._outages) and self._outages[0][0] <= now

    def refresh(self, now: float) -> ExchangeAnswer:
        self.exchanges += 1
        if self.is_down(now):
            return DOWN
        if now >= self._authenticated_at + REFRESH_TOKEN_SECONDS:
            return Unauthorized()
        return self._grant(now)

    def authenticate(self, now: float) -> ExchangeAnswer:
        self.exchanges += 1
        if self.is_down(now):
            return DOWN
        self._authenticated_at = now
        return self._grant(now)

    def _grant(self, now: float) -> Grant:
        refresh_token = Secret(f"since {self._authenticated_at}")  # a refresh gives the same one again
        return Grant(Secret(f"at {now}"), refresh_token, now + self._lifetime_seconds, now)


@dataclass(slots=True)
class _Store:
    """What is stored, and what is counted of it."""

    tokens: IntegrationTokens | None = None
    dead_seconds: float = 0.0
    longest_dead_seconds: float = 0.0
    deadly_outages: int = 0
    most_versions_in_a_day: int = 0
    is_failing: bool = False  # an exchange was turned away since the last one that was stored
    _versions: deque[float] = field(default_factory=deque)

    def put(self, tokens: IntegrationTokens, now: float) -> None:
        self.count_dead(now)
        self.tokens = tokens
        self._versions.append(now)
        while self._versions[0] <= now - DAY_SECONDS:
            self._versions.popleft()
        self.most_versions_in_a_day = max(self.most_versions_in_a_day, len(self._versions))

    def count_dead(self, now: float) -> None:
        """Count for how long the token has been dead, before it is replaced or the run ends."""
        if self.tokens is not None and not self.tokens.is_valid(now):
            dead = now - self.tokens.expires_at
            self.dead_seconds += dead
            self.longest_dead_seconds = max(self.longest_dead_seconds, dead)
            self.deadly_outages += self.is_failing
        self.is_failing = False


def simulate(run: Run) -> Outcome:
    """Run all ticks, beginning with one that finds no tokens."""
    upstream, store = _Upstream(run), _Store()
    late = Random(run.seed)  # noqa: S311 - nothing secret
    authentications = 0
    end = run.days * DAY_SECONDS
    for number in range(math.ceil(end / run.rate_seconds)):
        now = number * run.rate_seconds
        if run.late_seconds and number:
            now += late.random() * run.late_seconds
        step = on_tick(store.tokens, now, run.margin_seconds)
        if isinstance(step, Nothing):
            continue
        if store.tokens is None or isinstance(step, Reauthenticate) or _refresh(upstream, store, store.tokens, now):
            authentications += _authenticate(upstream, store, now)
    store.count_dead(end)
    return Outcome(
        availability=1 - store.dead_seconds / end,
        outages=len(run.outages()),
        deadly_outages=store.deadly_outages,
        longest_dead_seconds=store.longest_dead_seconds,
        exchanges=upstream.exchanges,
        authentications=authentications,
        most_versions_in_a_day=store.most_versions_in_a_day,
        days=run.days,
    )


def _refresh(upstream: _Upstream, store: _Store, tokens: IntegrationTokens, now: float) -> bool:
    """Refresh, and return whether a new authentication is asked for, as `refresher` does."""
    after = on_refresh_answer(tokens, now, upstream.refresh(now))
    if isinstance(after, LookAgain):
        after = on_refresh_rejected()  # nobody else writes
    if isinstance(after, Reauthenticate):
        return True
    if isinstance(after, Store):
        store.put(after.tokens, now)
        return is_refresh_token_old(after.tokens, now)
    store.is_failing = True
    return is_refresh_token_old(tokens, now)


def _authenticate(upstream: _Upstream, store: _Store, now: float) -> bool:
    """Authenticate at once, as the event does, and return whether that was granted."""
    after = on_authenticate_answer(upstream.authenticate(now))
    if isinstance(after, Store):
        store.put(after.tokens, now)
        return True
    store.is_failing = True
    return False
