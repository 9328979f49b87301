"""What to do next about the Integration API's tokens.

Owns every decision, as pure functions of the stored tokens, the clock and what the upstream said. It reads no clock,
talks to nobody and stores nothing.

A tick (`on_tick`):

| stored tokens | next |
|---|---|
| none | reauthenticate: `no_tokens` |
| access token with more than the margin left, refresh token younger than 6 days | nothing |
| access token with more than the margin left, refresh token of 6 days or more | reauthenticate: `refresh_token_old` |
| access token with more than the margin left, an exchange without a known end | reauthenticate: `exchange_unsettled` |
| access token with the margin or less left, or expired | refresh |

The upstream's answer to a refresh (`on_refresh_answer`):

| answer | next |
|---|---|
| tokens that are valid | store them; the 7 days go on, unless another refresh token came back |
| tokens that work for less than 30 seconds, and less than the stored ones | keep those, try again at the next tick |
| 401, whatever its code | look at the store again; still the same tokens: reauthenticate: `refresh_rejected` |
| another refusal (4xx), while the access token works | keep the tokens, try again at the next tick |
| another refusal (4xx), when it does not work any more | reauthenticate: `refresh_refused` |
| 429, 5xx, no answer, nonsense | keep the tokens, try again at the next tick |

From day 6 on, re-authentication is requested beside whatever else happens (`is_refresh_token_old`).

The upstream's answer to authenticate (`on_authenticate_answer`):

| answer | next |
|---|---|
| tokens that are valid | store them; the 7 days begin |
| 401 | look at the store again; still the same tokens: the credentials are rejected, and not tried again |
| anything else | keep the tokens, try again at the next tick |
"""

from dataclasses import dataclass
from typing import Literal

from gatehouse.exchange_answer import ExchangeAnswer, Grant, Refused, Unauthorized, Unavailable
from gatehouse.integration_tokens import IntegrationTokens

# The refresh token lives 7 days (H: the brokerage's documentation); a day is left for whatever goes wrong.
REFRESH_TOKEN_OLD_SECONDS = 6 * 24 * 60 * 60

# What ends sooner than this may be dead before it is stored.
USEFUL_SECONDS = 30

Reason = Literal["no_tokens", "refresh_token_old", "refresh_rejected", "refresh_refused", "exchange_unsettled"]


@dataclass(frozen=True, slots=True)
class Nothing:
    """The tokens are good."""


@dataclass(frozen=True, slots=True)
class Refresh:
    """Exchange the refresh token."""


@dataclass(frozen=True, slots=True)
class Reauthenticate:
    """Ask for authenticate."""

    reason: Reason


@dataclass(frozen=True, slots=True)
class Store:
    """Put these tokens in the place of the stored ones."""

    tokens: IntegrationTokens


@dataclass(frozen=True, slots=True)
class Keep:
    """Leave the stored tokens alone; the upstream was no help, for this reason."""

    reason: str


@dataclass(frozen=True, slots=True)
class LookAgain:
    """The upstream answered 401: read the store again, since another run may have won."""


def on_tick(
    stored: IntegrationTokens | None, now: float, margin_seconds: float, *, is_unsettled: bool = False
) -> Nothing | Refresh | Reauthenticate:
    """Return the first step of a tick. `now` is in epoch seconds.

    `is_unsettled`: an exchange was begun and nobody knows how it ended, so the upstream may have ended these tokens.
    """
    if stored is None:
        return Reauthenticate("no_tokens")
    if is_due(stored, now, margin_seconds):
        return Refresh()
    if is_unsettled:
        return Reauthenticate("exchange_unsettled")
    if is_refresh_token_old(stored, now):
        return Reauthenticate("refresh_token_old")
    return Nothing()


def is_due(tokens: IntegrationTokens, now: float, margin_seconds: float) -> bool:
    """Whether the access token is to be replaced: it has the margin or less left.

    The margin holds to the letter, also where it is longer than the token's life, and every tick then replaces it.
    """
    return tokens.expires_at - now <= margin_seconds


def has_no_effect(answer: ExchangeAnswer) -> bool:
    """Whether an exchange with this answer has changed nothing at the upstream."""
    return isinstance(answer, Unauthorized | Refused) or (
        isinstance(answer, Unavailable) and not answer.may_have_happened
    )


def is_refresh_token_old(stored: IntegrationTokens, now: float) -> bool:
    """Whether the refresh token is in its last day, or past it."""
    return now - stored.refresh_token_obtained_at >= REFRESH_TOKEN_OLD_SECONDS


def on_refresh_answer(
    stored: IntegrationTokens, now: float, answer: ExchangeAnswer
) -> Store | Keep | LookAgain | Reauthenticate:
    """Return the step after a refresh. `now` is in epoch seconds."""
    match answer:
        case Grant() if answer.expires_at < min(now + USEFUL_SECONDS, stored.expires_at):
            return Keep("expires_too_soon")
        case Grant():
            is_same = answer.refresh_token == stored.refresh_token
            since = stored.refresh_token_obtained_at if is_same else answer.obtained_at
            return Store(_tokens(answer, since))
        case Unauthorized():
            return LookAgain()
        case Refused() if not stored.is_valid(now):
            return Reauthenticate("refresh_refused")
        case _:
            return Keep(answer.reason)


def on_refresh_rejected() -> Reauthenticate:
    """Return the step after a refresh with 401, where nobody else has replaced the tokens."""
    return Reauthenticate("refresh_rejected")


def on_authenticate_answer(answer: ExchangeAnswer) -> Store | Keep | LookAgain:
    """Return the step after authenticate."""
    match answer:
        case Grant():
            return Store(_tokens(answer, answer.obtained_at))
        case Unauthorized():
            return LookAgain()
        case _:
            return Keep(answer.reason)


def _tokens(grant: Grant, refresh_token_obtained_at: float) -> IntegrationTokens:
    return IntegrationTokens(
        access_token=grant.access_token,
        refresh_token=grant.refresh_token,
        token_type="Bearer",  # noqa: S106 - the one type there is
        expires_at=grant.expires_at,
        access_token_obtained_at=grant.obtained_at,
        refresh_token_obtained_at=refresh_token_obtained_at,
    )
