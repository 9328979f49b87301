"""Faults of the product, to be planted: each one takes away something that an invariant hangs on."""

import json
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import Any, NamedTuple
from unittest.mock import patch

from gatehouse import authenticator, aws, exchange_answer, refresher, token_policy
from gatehouse.exchange_journal import Begun, DynamoDBExchangeJournal, forget
from gatehouse.integration_tokens import IntegrationTokens, render_tokens
from gatehouse.lease import DynamoDBLease
from gatehouse.problems import SecretUnavailable
from gatehouse.refresher import Refresher, Tick
from gatehouse.rejected_credentials import Attempt, DynamoDBRejectedCredentials
from gatehouse.secret_value import Secret
from gatehouse.token_policy import Store
from gatehouse.token_store import LostRace, SecretsManagerTokenStore, Stored


def put(store: SecretsManagerTokenStore, text: str, version_id: str) -> None:
    """Write a text over whatever is there."""
    try:
        aws.secretsmanager().put_secret_value(
            SecretId=store._secret_id, SecretString=text, ClientRequestToken=version_id, VersionStages=["AWSCURRENT"]
        )
    except aws.ERRORS as error:
        raise SecretUnavailable(aws.error_code(error)) from None


type Plant = Callable[[ExitStack], object]


def no_swap(stack: ExitStack) -> None:
    """Tokens are written over whatever is there."""

    def write(self: SecretsManagerTokenStore, tokens: IntegrationTokens, _expected: str, version_id: str) -> None:
        put(self, render_tokens(tokens).reveal(), version_id)

    stack.enter_context(patch.object(SecretsManagerTokenStore, "swap", write))


def no_second_look(stack: ExitStack) -> None:
    """With the lease in hand, a run goes on with what it saw before."""
    look = Refresher._look

    def look_once(self: Any) -> tuple[Stored, Begun | None]:
        if not hasattr(self, "seen"):
            self.seen = look(self)
        seen: tuple[Stored, Begun | None] = self.seen
        return seen

    stack.enter_context(patch.object(Refresher, "_look", look_once))


def expires_at_alone(stack: ExitStack) -> None:
    """What `expires_at` says is believed, whatever `expires_in` says."""
    stack.enter_context(patch.object(exchange_answer, "min", lambda _counted, told: told, create=True))


def rejection_ignored(stack: ExitStack) -> None:
    """It does not matter that a key was rejected before."""

    def never(_self: DynamoDBRejectedCredentials, _attempt: Attempt) -> bool:
        return False

    stack.enter_context(patch.object(DynamoDBRejectedCredentials, "contains", never))


def loser_deletes(stack: ExitStack) -> None:
    """Whoever loses a race takes the winner's tokens away."""
    swap = SecretsManagerTokenStore.swap

    def swap_or_delete(
        self: SecretsManagerTokenStore, tokens: IntegrationTokens, expected: str, version_id: str
    ) -> None:
        try:
            swap(self, tokens, expected, version_id)
        except LostRace:
            put(self, "{}", str(uuid.uuid4()))
            raise

    stack.enter_context(patch.object(SecretsManagerTokenStore, "swap", swap_or_delete))


def refresh_resets_the_7_days(stack: ExitStack) -> None:
    """A refresh makes the refresh token young again."""
    judge = token_policy.on_refresh_answer

    def judge_and_reset(*args: Any) -> object:
        step = judge(*args)
        if isinstance(step, Store):
            since = step.tokens.access_token_obtained_at
            return Store(replace(step.tokens, refresh_token_obtained_at=since))
        return step

    stack.enter_context(patch.object(refresher, "on_refresh_answer", judge_and_reset))


def no_trace(stack: ExitStack) -> None:
    """An exchange leaves no trace."""
    stack.enter_context(patch.object(DynamoDBExchangeJournal, "begin", lambda _self, _begun: None))


def loser_forgets(stack: ExitStack) -> None:
    """Whoever loses a race takes its trace away, though its exchange may have ended the winner's tokens."""
    stack.enter_context(patch.object(refresher, "leave", forget))
    stack.enter_context(patch.object(authenticator, "leave", forget))


def never_finished(stack: ExitStack) -> None:
    """What a run has put and not moved, is exchanged anew at the next tick."""

    def leave(_self: Refresher, _unsettled: Begun, _stored: Stored) -> Tick | None:
        return None

    stack.enter_context(patch.object(Refresher, "_finish", leave))


def short_margin(stack: ExitStack) -> None:
    """Two ticks before the end is early enough."""

    def is_due(tokens: IntegrationTokens, now: float, _margin_seconds: float) -> bool:
        return tokens.expires_at - now <= 600

    stack.enter_context(patch.object(token_policy, "is_due", is_due))


def no_lease(stack: ExitStack) -> None:
    """Everybody gets the lease."""
    acquire = DynamoDBLease.acquire

    def acquire_anyway(self: DynamoDBLease, owner: str) -> bool:
        acquire(self, owner)
        return True

    stack.enter_context(patch.object(DynamoDBLease, "acquire", acquire_anyway))


def half_a_text(stack: ExitStack) -> None:
    """Tokens are written without the times that they need."""

    def render(tokens: IntegrationTokens) -> Secret:
        return Secret(json.dumps({"access_token": tokens.access_token.reveal(), "token_type": "Bearer"}))

    stack.enter_context(patch("gatehouse.token_store.render_tokens", render))


@contextmanager
def planted(plant: Plant) -> Iterator[None]:
    """Plant a fault for a while."""
    with ExitStack() as stack:
        plant(stack)
        yield


class Found(NamedTuple):
    """How a fault is found."""

    breaks: str  # the invariant
    seed: int = 1  # of schedules that find it soon; others find it, too


FAULTS: dict[Plant, Found] = {
    no_swap: Found("replacement"),
    no_second_look: Found("needless"),
    expires_at_alone: Found("truthful"),
    rejection_ignored: Found("hammer", seed=2),
    loser_deletes: Found("replacement"),
    refresh_resets_the_7_days: Found("truthful"),
    no_trace: Found("recovery", seed=10),
    loser_forgets: Found("recovery", seed=19),
    never_finished: Found("versions", seed=9),
    short_margin: Found("promise", seed=5),
    no_lease: Found("one exchange"),
    half_a_text: Found("parseable"),
}
