"""A new authentication with the API key.

Owns the order of steps of `authenticate`: is it still asked for, are there credentials, lease, look again, were these
rejected before, exchange, swap. What to do with an answer is `token_policy`'s to say.
"""

import logging
import uuid
from dataclasses import dataclass
from typing import Literal, Protocol

from gatehouse import iso8601
from gatehouse.bus import Bus, announce
from gatehouse.exchange_journal import Begun, ExchangeJournal, find_unsettled, forget, leave
from gatehouse.integration_credentials import CredentialsNotConfigured
from gatehouse.integration_tokens import IntegrationTokens
from gatehouse.lease import Lease, StateUnavailable, hold
from gatehouse.problems import SecretUnavailable
from gatehouse.rejected_credentials import Attempt, RejectedCredentials
from gatehouse.token_exchange import Credentials, TokenExchange
from gatehouse.token_policy import Keep, LookAgain, Store, has_no_effect, on_authenticate_answer
from gatehouse.token_store import LostRace, Stored, TokenStore

log = logging.getLogger(__name__)

Outcome = Literal[
    "authenticated",
    "not_needed",
    "credentials_rejected",
    "not_configured",
    "upstream_unavailable",
    "lost_race",
    "busy",
    "aws_unavailable",
]


@dataclass(frozen=True, slots=True)
class Trigger:
    """Why authenticate runs."""

    only_while_version_id: str | None = None  # an event's: it holds while these tokens are current
    force: bool = False  # an operator's: try credentials that were rejected once more


class CredentialsReader(Protocol):
    """Reads the API key."""

    def read(self) -> Credentials:
        """Return the current credentials. Raises `SecretUnavailable` and `CredentialsNotConfigured`."""
        ...


class Authenticator:
    """Runs authentications."""

    def __init__(
        self,
        store: TokenStore,
        lease: Lease,
        exchange: TokenExchange,
        bus: Bus,
        *,
        journal: ExchangeJournal,
        credentials: CredentialsReader,
        rejected: RejectedCredentials,
    ) -> None:
        self._store = store
        self._lease = lease
        self._exchange = exchange
        self._bus = bus
        self._journal = journal
        self._credentials = credentials
        self._rejected = rejected

    def run(self, trigger: Trigger, deadline: float) -> Outcome:
        """Authenticate where that is called for. The upstream is not waited for beyond `deadline`, in epoch seconds."""
        try:
            return self._run(trigger, deadline)
        except CredentialsNotConfigured as error:
            log.error("credentials.not_configured", extra={"field": error.field, "reason": error.reason})  # noqa: TRY400
            return "not_configured"
        except (SecretUnavailable, StateUnavailable) as error:
            log.error("tokens.aws_unavailable", extra={"error_type": type(error).__name__, "reason": error.reason})  # noqa: TRY400
            return "aws_unavailable"

    def _run(self, trigger: Trigger, deadline: float) -> Outcome:
        if _is_late(trigger, self._store.read()):
            return "not_needed"
        credentials = self._credentials.read()
        with hold(self._lease) as held:
            if not held:
                return "busy"
            stored = self._store.read()
            if _is_late(trigger, stored):
                return "not_needed"
            return self._authenticate(credentials, stored, trigger, deadline)

    def _authenticate(self, credentials: Credentials, stored: Stored, trigger: Trigger, deadline: float) -> Outcome:
        attempt = Attempt(credentials.version_id, self._exchange.base_url, self._exchange.credentials_in)
        was_rejected = self._rejected.contains(attempt)
        if was_rejected and not trigger.force:
            log.error("credentials.rejected_before")
            return "credentials_rejected"
        before = find_unsettled(self._journal, stored.version_id)
        begun = Begun(stored.version_id, str(uuid.uuid4()))
        self._journal.begin(begun)
        answer = self._exchange.authenticate(credentials, deadline)
        if has_no_effect(answer):
            forget(self._journal, begun, before)
        match on_authenticate_answer(answer):
            case Store(tokens):
                outcome = self._swap(tokens, begun)
                if was_rejected:
                    self._rejected.remove(attempt)
                return outcome
            case Keep(reason):
                if not has_no_effect(answer):
                    leave(self._journal, begun)
                log.warning("tokens.upstream_unavailable", extra={"reason": reason})
                announce(self._bus, "tokens.upstream-unavailable", {"call": "authenticate", "reason": reason})
                return "upstream_unavailable"
            case LookAgain():
                if self._store.read().version_id != stored.version_id:
                    return "lost_race"
                return self._reject(attempt)

    def _swap(self, tokens: IntegrationTokens, begun: Begun) -> Outcome:
        try:
            self._store.swap(tokens, begun.tokens_version_id, begun.candidate_id)
        except LostRace:
            leave(self._journal, begun)  # this exchange may have ended the winner's tokens
            return "lost_race"
        forget(self._journal, begun)
        detail = {"expires_at": iso8601.render(tokens.expires_at), "tokens_version_id": begun.candidate_id}
        announce(self._bus, "tokens.authenticated", detail)
        return "authenticated"

    def _reject(self, attempt: Attempt) -> Outcome:
        log.error("credentials.rejected")
        self._rejected.add(attempt)
        announce(self._bus, "tokens.credentials-rejected", {"credentials_version_id": attempt.version_id})
        return "credentials_rejected"


def _is_late(trigger: Trigger, stored: Stored) -> bool:
    return trigger.only_while_version_id is not None and trigger.only_while_version_id != stored.version_id
