"""One tick: keep the access token fresh.

Owns the order of steps of `refresh_tokens`: look, lease, look again, exchange, swap; or, where an exchange was begun
and came as far as the store, the rest of that one. What to do is `token_policy`'s to say. It cannot read the API key:
where a new authentication is needed, it asks for one on the bus.
"""

import logging
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from gatehouse import iso8601
from gatehouse.bus import Bus, BusUnavailable, announce
from gatehouse.exchange_journal import Begun, ExchangeJournal, find_unsettled, forget, leave
from gatehouse.integration_tokens import IntegrationTokens
from gatehouse.lease import Lease, StateUnavailable, hold
from gatehouse.problems import SecretUnavailable
from gatehouse.token_exchange import TokenExchange
from gatehouse.token_policy import (
    Keep,
    LookAgain,
    Nothing,
    Reason,
    Reauthenticate,
    Store,
    has_no_effect,
    is_due,
    is_refresh_token_old,
    on_refresh_answer,
    on_refresh_rejected,
    on_tick,
)
from gatehouse.token_policy import Refresh as RefreshStep
from gatehouse.token_store import LostRace, Stored, TokenStore

log = logging.getLogger(__name__)

Outcome = Literal[
    "unchanged",
    "refreshed",
    "reauthentication_requested",
    "upstream_unavailable",
    "lost_race",
    "busy",
    "aws_unavailable",
]


@dataclass(frozen=True, slots=True)
class Tick:
    """How a tick ended, and the tokens that are stored then, as far as they are known."""

    outcome: Outcome
    tokens: IntegrationTokens | None = None
    ask: "Ask | None" = None


@dataclass(frozen=True, slots=True)
class Ask:
    """A request for a new authentication, which holds only while this version is the current one."""

    reason: Reason
    version_id: str


class Refresher:
    """Runs ticks."""

    def __init__(
        self,
        store: TokenStore,
        lease: Lease,
        exchange: TokenExchange,
        bus: Bus,
        *,
        journal: ExchangeJournal,
        margin_seconds: float,
        clock: Callable[[], float],
    ) -> None:
        """`clock` returns epoch seconds; at `margin_seconds` or less before its expiry, a token is replaced."""
        self._store = store
        self._lease = lease
        self._exchange = exchange
        self._bus = bus
        self._journal = journal
        self._margin_seconds = margin_seconds
        self._clock = clock

    def run(self, deadline: float) -> Tick:
        """Run one tick. The upstream is not waited for beyond `deadline`, in epoch seconds."""
        try:
            tick = self._run(deadline)
            if tick.ask is not None:
                # Only now: authenticate needs the lease that this run held.
                detail = {"reason": tick.ask.reason, "tokens_version_id": tick.ask.version_id}
                self._bus.publish("tokens.reauthentication-required", detail)
        except (SecretUnavailable, StateUnavailable, BusUnavailable) as error:
            log.error("tokens.aws_unavailable", extra={"error_type": type(error).__name__, "reason": error.reason})  # noqa: TRY400
            return Tick("aws_unavailable")
        return tick

    def _run(self, deadline: float) -> Tick:
        stored, unsettled = self._look()
        step = self._first_step(stored, unsettled)
        if unsettled is None and not isinstance(step, RefreshStep):
            return _without_exchange(step, stored)
        with hold(self._lease) as held:
            if not held:
                return Tick("busy", stored.tokens)
            return self._with_lease(deadline)

    def _with_lease(self, deadline: float) -> Tick:
        """Go on with what is stored now: another run may just have finished."""
        stored, unsettled = self._look()
        if unsettled is not None and (finished := self._finish(unsettled, stored)) is not None:
            return finished
        step = self._first_step(stored, unsettled)
        if not isinstance(step, RefreshStep) or stored.tokens is None:
            return _without_exchange(step, stored)
        return self._refresh(stored.version_id, stored.tokens, unsettled, deadline)

    def _look(self) -> tuple[Stored, Begun | None]:
        stored = self._store.read()
        return stored, find_unsettled(self._journal, stored.version_id)

    def _first_step(self, stored: Stored, unsettled: Begun | None) -> Nothing | RefreshStep | Reauthenticate:
        is_unsettled = unsettled is not None
        return on_tick(stored.tokens, self._clock(), self._margin_seconds, is_unsettled=is_unsettled)

    def _finish(self, unsettled: Begun, stored: Stored) -> Tick | None:
        """Store the tokens of a run that came as far as Secrets Manager; None where there are none, or no good ones."""
        if unsettled.tokens_version_id != stored.version_id:
            return None
        tokens = self._store.read_version(unsettled.candidate_id)
        if tokens is None or is_due(tokens, self._clock(), self._margin_seconds):
            return None
        log.warning("tokens.exchange_finished")
        return self._swap(tokens, unsettled)

    def _refresh(self, version_id: str, tokens: IntegrationTokens, before: Begun | None, deadline: float) -> Tick:
        begun = Begun(version_id, str(uuid.uuid4()))
        self._journal.begin(begun)
        answer = self._exchange.refresh(tokens.refresh_token, deadline)
        if has_no_effect(answer):
            forget(self._journal, begun, before)
        after = on_refresh_answer(tokens, self._clock(), answer)
        if isinstance(after, LookAgain):
            again = self._store.read()
            if again.version_id != version_id:
                return Tick("lost_race", again.tokens)
            after = on_refresh_rejected()
        match after:
            case Store(new):
                return self._swap(new, begun)
            case Reauthenticate(reason):
                log.warning("tokens.refresh_rejected", extra={"reason": reason})
                return Tick("reauthentication_requested", tokens, Ask(reason, version_id))
            case Keep(reason):
                if not has_no_effect(answer):
                    leave(self._journal, begun)
                return self._keep(version_id, tokens, reason)

    def _swap(self, tokens: IntegrationTokens, begun: Begun) -> Tick:
        try:
            self._store.swap(tokens, begun.tokens_version_id, begun.candidate_id)
        except LostRace:
            leave(self._journal, begun)  # this exchange may have ended the winner's tokens
            return Tick("lost_race", self._store.read().tokens)
        forget(self._journal, begun)
        announce(self._bus, "tokens.refreshed", _detail(tokens, begun.candidate_id))
        if is_refresh_token_old(tokens, self._clock()):
            return Tick("reauthentication_requested", tokens, Ask("refresh_token_old", begun.candidate_id))
        return Tick("refreshed", tokens)

    def _keep(self, version_id: str, tokens: IntegrationTokens, reason: str) -> Tick:
        log.warning("tokens.upstream_unavailable", extra={"reason": reason})
        announce(self._bus, "tokens.upstream-unavailable", {"call": "refresh", "reason": reason})
        is_old = is_refresh_token_old(tokens, self._clock())
        return Tick("upstream_unavailable", tokens, Ask("refresh_token_old", version_id) if is_old else None)


def _without_exchange(step: Nothing | RefreshStep | Reauthenticate, stored: Stored) -> Tick:
    if isinstance(step, Reauthenticate):
        if stored.tokens is None:
            log.warning("tokens.missing", extra={"reason": step.reason})
        return Tick("reauthentication_requested", stored.tokens, Ask(step.reason, stored.version_id))
    return Tick("unchanged", stored.tokens)


def _detail(tokens: IntegrationTokens, version_id: str) -> dict[str, object]:
    return {"expires_at": iso8601.render(tokens.expires_at), "tokens_version_id": version_id}
