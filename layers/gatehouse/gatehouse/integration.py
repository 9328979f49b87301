"""A client for the protected endpoints of the Integration API, for the company's own functions.

Owns the access token and the target of these calls, and what is tried again within a time budget; what may be called is
`integration_call`'s. It never renews tokens (`refresh_tokens` does), never follows a redirect, never logs, and
shows neither token nor body in a text. The contract is the brokerage's documentation of its Integration API.

It needs no Lambda: AWS credentials that may read the secret are enough. docs/integration-client.md says how to use it.
"""

import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from json import loads
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, Self

from gatehouse.http_transport import HttpTransport
from gatehouse.integration_call import API_PATH, Call, Parameters, build_call, checked_base
from gatehouse.problems import ServiceError
from gatehouse.secret_value import Secret
from gatehouse.upstream import (
    Transport,
    UpstreamAnswer,
    UpstreamFault,
    UpstreamRequest,
    is_header_safe,
    refuse_constant,
)

if TYPE_CHECKING:
    from gatehouse.token_store import Stored

TARGET = "integration"  # X-Target-Server of every protected endpoint

BUDGET_SECONDS = 10.0
MIN_ATTEMPT_SECONDS = 1.0  # less is not worth a connection
BACKOFF_SECONDS = 0.25  # before the second attempt, then twice as long each time
MAX_BACKOFF_SECONDS = 8.0

KEEP_SECONDS = 60  # how long a token is used without looking whether the store has a newer one
EXPIRY_MARGIN_SECONDS = 10  # a kept token is not sent when it may expire on the way

MAX_ANSWER_BYTES = 4 * 1024 * 1024

UNAUTHORIZED, TOO_MANY_REQUESTS, SERVER_ERROR = 401, 429, 500


class NoTokens(ServiceError):
    """There is no access token to call with."""

    def __init__(self) -> None:
        super().__init__(
            "The secret IntegrationTokens holds no tokens, or none that can be read. Gatehouse's function authenticate "
            "makes them: see that the secret IntegrationCredentials is filled in, invoke it, and look at its outcome."
        )


@dataclass(frozen=True, slots=True)
class IntegrationResponse:
    """A complete answer, whatever its status. Names of headers are in lower case. Only the status is shown."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: bytes = field(default=b"", repr=False)

    def json(self) -> Any:  # noqa: ANN401 - whatever JSON holds
        """Return the body's value as JSON. Raises `UpstreamFault` `not_json`."""
        try:
            return loads(self.body.decode(), parse_constant=refuse_constant)
        except (ValueError, RecursionError):
            raise UpstreamFault("not_json") from None


class TokenReader(Protocol):
    """The part of a `TokenStore` that is needed here."""

    def read(self) -> "Stored":
        """Return what is stored now. Raises `SecretUnavailable`."""
        ...


class IntegrationClient:
    """Calls protected endpoints with the stored access token. Make one, and keep it between invocations.

    It may be used from several threads at once: the worst is that each of them reads the token.
    """

    def __init__(
        self,
        tokens: TokenReader,
        base_url: str,
        transport: Transport,
        *,
        clock: Callable[[], float],
        sleep: Callable[[float], None],
        budget_seconds: float = BUDGET_SECONDS,
    ) -> None:
        """`base_url` is an origin with an optional prefix; https, or http on this machine. Raises `CallRefused`.

        `clock` returns epoch seconds, `sleep` takes seconds. `budget_seconds` holds for one request with everything
        that is tried again, but does not cut the reading of the secret short.
        """
        self._tokens = tokens
        self._api_url = checked_base(base_url) + API_PATH
        self._transport = transport
        self._clock = clock
        self._sleep = sleep
        self._budget_seconds = budget_seconds
        self._kept: _Kept | None = None

    @classmethod
    def on_aws(cls, tokens_secret_arn: str, base_url: str, *, budget_seconds: float = BUDGET_SECONDS) -> Self:
        """Return a client that reads the secret `IntegrationTokens` with boto3 and takes answers of up to 4 MiB."""
        from gatehouse.token_store import SecretsManagerTokenStore  # noqa: PLC0415 - loads boto3: only where needed

        return cls(
            SecretsManagerTokenStore(tokens_secret_arn),
            base_url,
            HttpTransport(max_answer_bytes=MAX_ANSWER_BYTES),
            clock=time.time,
            sleep=time.sleep,
            budget_seconds=budget_seconds,
        )

    def request(
        self,
        method: str,
        path: str,
        *,
        json: object | None = None,  # None: no body
        params: Parameters | None = None,
    ) -> IntegrationResponse:
        """Make a call and return the answer, whatever its status.

        `path` is relative to `<base_url>/api/v1/integration`, with or without a slash in front. It is sent as it is:
        quote what goes into a segment with `urllib.parse.quote(text, safe="")`. `params` becomes the query.

        After a 401, which is no more than a refusal, the token is read afresh and the call made once more. 429 and 5xx,
        timeouts and lost answers are tried again for idempotent methods; what was provably not sent, for all of them.
        Where the budget ends, that was the last answer. Raises `UpstreamFault` where there is none, `NoTokens`,
        `SecretUnavailable`, and `CallRefused` for what is no call to this API.
        """
        call = build_call(self._api_url, method, path, json, params)
        deadline = self._clock() + self._budget_seconds
        token = self._token()
        outcome: UpstreamAnswer | UpstreamFault = UpstreamFault("no_time", sent=False)
        failures, has_renewed = 0, False
        while (left := deadline - self._clock()) > 0:
            outcome = self._attempt(call, token, left)
            if isinstance(outcome, UpstreamAnswer) and outcome.status == UNAUTHORIZED:
                self._kept = None
                if has_renewed:
                    break
                token, has_renewed = self._token(), True
                continue
            pause = _pause_seconds(outcome, is_idempotent=call.is_idempotent, failures=failures, now=self._clock())
            if pause is None or self._clock() + pause >= deadline:
                break
            self._sleep(pause)
            failures += 1
        if isinstance(outcome, UpstreamFault):
            raise outcome
        return IntegrationResponse(outcome.status, outcome.headers, outcome.body)

    def _attempt(self, call: Call, token: Secret, left: float) -> UpstreamAnswer | UpstreamFault:
        # What may be repeated leaves time for that; what may not, gets all there is.
        seconds = max(left / 2, min(left, MIN_ATTEMPT_SECONDS)) if call.is_idempotent else left
        headers = {"Authorization": f"Bearer {token.reveal()}", "X-Target-Server": TARGET, **call.headers}
        try:
            return self._transport.send(UpstreamRequest(call.method, call.url, headers, call.body), seconds)
        except UpstreamFault as fault:
            return fault

    def _token(self) -> Secret:
        """Return the kept token, or else what the store has, even where that looks expired: the API decides."""
        now, kept = self._clock(), self._kept
        if kept is not None and kept.since <= now < kept.until:
            return kept.token
        tokens = self._tokens.read().tokens
        if tokens is None or not is_header_safe(tokens.access_token.reveal()):
            raise NoTokens
        until = min(now + KEEP_SECONDS, tokens.expires_at - EXPIRY_MARGIN_SECONDS)
        self._kept = _Kept(tokens.access_token, now, until)
        return tokens.access_token


class _Kept(NamedTuple):
    token: Secret
    since: float
    until: float


def _pause_seconds(
    outcome: UpstreamAnswer | UpstreamFault, *, is_idempotent: bool, failures: int, now: float
) -> float | None:
    """Return how long to wait before the call is tried again; None where it is not."""
    if isinstance(outcome, UpstreamFault):
        is_repeatable = not outcome.sent or (is_idempotent and outcome.reason in {"timeout", "closed"})
        asked_for = None
    else:
        is_repeatable = is_idempotent and (outcome.status == TOO_MANY_REQUESTS or outcome.status >= SERVER_ERROR)
        asked_for = outcome.retry_after_seconds(now)
    if not is_repeatable:
        return None
    backoff = min(BACKOFF_SECONDS * 2.0**failures, MAX_BACKOFF_SECONDS)
    return max(backoff * random.uniform(0.5, 1.0), asked_for or 0)  # noqa: S311 - jitter is no secret
