"""The two calls that yield tokens: authenticate and refresh.

Owns the form of these requests, and which of them are repeated. It stores nothing and decides nothing. The contract is
the brokerage's documentation of its Integration API.
"""

import json
import random
from collections.abc import Callable
from dataclasses import dataclass, replace

from gatehouse.exchange_answer import SERVER_ERROR, TOO_MANY_REQUESTS, ExchangeAnswer, Unavailable, judge
from gatehouse.integration_call import API_PATH
from gatehouse.secret_value import Secret
from gatehouse.settings import CredentialsIn
from gatehouse.upstream import Transport, UpstreamFault, UpstreamRequest

AUTHENTICATION = "authentication"  # X-Target-Server of both calls

ATTEMPTS = 3
ATTEMPT_SECONDS = 8.0
BACKOFF_SECONDS = 0.5  # before the second attempt, then twice as long


@dataclass(frozen=True, slots=True)
class Credentials:
    """An API key with its secret, and the version of the secret that they came from."""

    api_key: Secret
    secret_key: Secret
    version_id: str


class TokenExchange:
    """Talks to the Integration API's authentication server."""

    def __init__(
        self,
        base_url: str,
        credentials_in: CredentialsIn,
        transport: Transport,
        *,
        clock: Callable[[], float],
        sleep: Callable[[float], None],
    ) -> None:
        """`base_url` is an origin with an optional prefix. `clock` returns epoch seconds, `sleep` takes seconds."""
        self.base_url = base_url.rstrip("/")
        self.credentials_in = credentials_in
        self._transport = transport
        self._clock = clock
        self._sleep = sleep

    def authenticate(self, credentials: Credentials, deadline: float) -> ExchangeAnswer:
        """Exchange credentials for tokens. `deadline` is in epoch seconds."""
        key, secret = credentials.api_key.reveal(), credentials.secret_key.reveal()
        if self.credentials_in == "headers":
            return self._exchange("authenticate", {"Api-Key": key, "Api-Secret": secret}, None, deadline)
        return self._exchange("authenticate", {}, {"api_key": key, "secret_key": secret}, deadline)

    def refresh(self, refresh_token: Secret, deadline: float) -> ExchangeAnswer:
        """Exchange a refresh token for a new access token. `deadline` is in epoch seconds."""
        return self._exchange("refresh", {}, {"refresh_token": refresh_token.reveal()}, deadline)

    def _exchange(
        self, call: str, headers: dict[str, str], document: dict[str, str] | None, deadline: float
    ) -> ExchangeAnswer:
        headers = {"X-Target-Server": AUTHENTICATION, **headers}
        body = None
        if document is not None:
            headers["Content-Type"] = "application/json"
            body = json.dumps(document).encode()
        return self._call(UpstreamRequest("POST", f"{self.base_url}{API_PATH}/auth/{call}", headers, body), deadline)

    def _call(self, request: UpstreamRequest, deadline: float) -> ExchangeAnswer:
        """Call until there is an answer, the attempts are used up, or waiting would exceed the deadline.

        Repeated is what was provably not sent, and what was answered with 429 or 5xx. What may still be under way at
        the upstream (a timeout, a lost answer) is left to the next tick: two exchanges at once help nobody.
        """
        answer: ExchangeAnswer = Unavailable("no_time", may_have_happened=False)
        for attempt in range(ATTEMPTS):
            remaining = deadline - self._clock()
            if remaining <= 0:
                break
            before = answer
            answer, least_wait = self._attempt(request, min(ATTEMPT_SECONDS, remaining))
            answer = _with_doubt(answer, before)
            if least_wait is None or attempt + 1 == ATTEMPTS:
                break
            backoff = BACKOFF_SECONDS * 2**attempt * random.uniform(0.5, 1.0)  # noqa: S311 - jitter is no secret
            wait = max(backoff, least_wait)
            if self._clock() + wait >= deadline:
                break
            self._sleep(wait)
        return answer

    def _attempt(self, request: UpstreamRequest, timeout_seconds: float) -> tuple[ExchangeAnswer, float | None]:
        """Return the answer, and the least time to wait before another attempt; None where there must not be one."""
        started_at = self._clock()
        try:
            received = self._transport.send(request, timeout_seconds)
        except UpstreamFault as fault:
            return Unavailable(fault.reason, may_have_happened=fault.sent), None if fault.sent else 0.0
        now = self._clock()
        answer = judge(received, started_at, now)
        if received.status != TOO_MANY_REQUESTS and received.status < SERVER_ERROR:
            return answer, None
        return answer, received.retry_after_seconds(now) or 0.0


def _with_doubt(answer: ExchangeAnswer, before: ExchangeAnswer) -> ExchangeAnswer:
    """Return the answer with the doubt that an attempt before has left."""
    if isinstance(answer, Unavailable) and isinstance(before, Unavailable) and before.may_have_happened:
        return replace(answer, may_have_happened=True)
    return answer
