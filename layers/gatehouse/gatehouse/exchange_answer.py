"""What the Integration API answers to authenticate and refresh.

Owns the judgement: an answer is taken as a whole or not at all. It talks to nobody and decides nothing. The contract
is the brokerage's documentation of its Integration API; where that shows more than one form (of `expires_at`), every
one is read.
"""

from dataclasses import dataclass

from gatehouse import iso8601
from gatehouse.secret_value import Secret
from gatehouse.upstream import UpstreamAnswer, UpstreamFault, is_header_safe

MAX_TOKEN_CHARACTERS = 16 * 1024  # two of them and their times fit into a secret's 64 KiB
MAX_EXPIRES_IN_SECONDS = 366 * 24 * 60 * 60

OK, CLIENT_ERROR, UNAUTHORIZED, TOO_MANY_REQUESTS, SERVER_ERROR, SERVICE_UNAVAILABLE = 200, 400, 401, 429, 500, 503

# RFC 6585 and RFC 9110: these two turn a request away. Any other 5xx may follow on one that was carried out.
NOTHING_WAS_DONE = frozenset({TOO_MANY_REQUESTS, SERVICE_UNAVAILABLE})


@dataclass(frozen=True, slots=True)
class Grant:
    """Tokens that the upstream granted and that were judged usable. Times are epoch seconds."""

    access_token: Secret
    refresh_token: Secret
    expires_at: float
    obtained_at: float


@dataclass(frozen=True, slots=True)
class Unauthorized:
    """The upstream answered 401: it does not take these credentials, or this refresh token."""


@dataclass(frozen=True, slots=True)
class Refused:
    """The upstream answered 4xx, but neither 401 nor 429."""

    reason: str


@dataclass(frozen=True, slots=True)
class Unavailable:
    """No usable answer. `may_have_happened`: it does not say that no tokens were granted."""

    reason: str
    may_have_happened: bool = True


type ExchangeAnswer = Grant | Unauthorized | Refused | Unavailable


def judge(answer: UpstreamAnswer, started_at: float, now: float) -> ExchangeAnswer:
    """Judge an answer as a whole. Times are epoch seconds; `started_at` is when the request was begun.

    The access token expires at the earlier of `started_at` + `expires_in` and `expires_at`, and that must be to come: a
    documented sample has an `expires_at` in the past.
    """
    if answer.status == UNAUTHORIZED:
        return Unauthorized()
    if answer.status != OK:
        reason = f"status_{answer.status}"
        if answer.status in NOTHING_WAS_DONE:
            return Unavailable(reason, may_have_happened=False)
        is_refusal = CLIENT_ERROR <= answer.status < SERVER_ERROR
        return Refused(reason) if is_refusal else Unavailable(reason)
    try:
        return _grant(answer.json_object(), started_at, now)
    except UpstreamFault as fault:
        return Unavailable(fault.reason)


def _grant(members: dict[str, object], started_at: float, now: float) -> Grant:
    if members.get("error") is not None:
        raise UpstreamFault("error_object")
    token_type = members.get("token_type")
    if not isinstance(token_type, str) or token_type.casefold() != "bearer":
        raise UpstreamFault("token_type")
    expires_in, expires_at = members.get("expires_in"), members.get("expires_at")
    if type(expires_in) is not int or not 0 < expires_in <= MAX_EXPIRES_IN_SECONDS:
        raise UpstreamFault("expires_in")
    if not isinstance(expires_at, str):
        raise UpstreamFault("expires_at")
    try:
        expiry = min(started_at + expires_in, iso8601.parse(expires_at))
    except ValueError:
        raise UpstreamFault("expires_at") from None
    if expiry <= now:
        raise UpstreamFault("already_expired")
    return Grant(_token(members, "access_token"), _token(members, "refresh_token"), expiry, started_at)


def _token(members: dict[str, object], name: str) -> Secret:
    """Return a token that can be sent in a header."""
    value = members.get(name)
    if not isinstance(value, str) or len(value) > MAX_TOKEN_CHARACTERS or not is_header_safe(value):
        raise UpstreamFault(name)
    return Secret(value)
