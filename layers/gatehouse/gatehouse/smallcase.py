"""The smallcase Gateway API: starting a transaction, and asking how one ended.

Owns the form of these requests, and which of them are repeated. It keeps nothing and decides nothing. What the answers
mean is `smallcase_answer`'s.
"""

import logging
import random
from collections.abc import Callable, Mapping
from urllib.parse import quote

from gatehouse import session_token, strict_json
from gatehouse.gateway_secret import GatewaySecret
from gatehouse.problems import GatewayNotConfigured, GatewayRefused, GatewayUnavailable
from gatehouse.smallcase_answer import SERVER_ERROR, Details, Started, read_details, read_started
from gatehouse.strict_json import Json
from gatehouse.upstream import Transport, UpstreamAnswer, UpstreamFault, UpstreamRequest, is_header_safe

log = logging.getLogger(__name__)

ATTEMPTS = 3
ATTEMPT_SECONDS = 8.0
BACKOFF_SECONDS = 0.2  # before the second attempt, then twice as long

# After these, the Gateway may have answered without anybody hearing it.
LOST_ANSWERS = frozenset({"timeout", "closed"})


class SmallcaseGateway:
    """Calls the Gateway API for one partner."""

    def __init__(
        self,
        base_url: str,
        transport: Transport,
        *,
        token_lifetime_seconds: int,
        clock: Callable[[], float],
        sleep: Callable[[float], None],
    ) -> None:
        """`base_url` is an origin with an optional prefix; the lifetime is that of the session tokens of these calls.

        `clock` returns epoch seconds, `sleep` takes seconds.
        """
        self._base_url = base_url.rstrip("/")
        self._transport = transport
        self._token_lifetime_seconds = token_lifetime_seconds
        self._clock = clock
        self._sleep = sleep

    def start_transaction(
        self, secret: GatewaySecret, smallcase_auth_id: str | None, order: Mapping[str, Json], deadline: float
    ) -> Started:
        """Make a transaction for the holder of `smallcase_auth_id`, or for a guest where that is None.

        `order` is what was asked for; its numbers go out as they were written. `deadline` is in epoch seconds. What may
        have been sent is not sent again: there would be two transactions. Raises `GatewayRefused`,
        `GatewayUnavailable`, `GatewayNotConfigured`.
        """
        url = f"{self._base_url}/gateway/{quote(secret.gateway_name, safe='')}/transaction"
        headers = {**self._headers(secret, smallcase_auth_id), "Content-Type": "application/json"}
        request = UpstreamRequest("POST", url, headers, strict_json.render(dict(order)))
        return self._call(request, read_started, deadline)

    def transaction_details(
        self, secret: GatewaySecret, smallcase_auth_id: str, transaction_id: str, deadline: float
    ) -> Details:
        """Return what the Gateway says of a transaction, asked in the name of `smallcase_auth_id`.

        `deadline` is in epoch seconds. Raises `GatewayRefused`, `GatewayUnavailable`, `GatewayNotConfigured`.
        """
        path = f"/v1/{quote(secret.gateway_name, safe='')}/engine/transactiondetails"
        url = f"{self._base_url}{path}?transactionId={quote(transaction_id, safe='')}"
        request = UpstreamRequest("GET", url, self._headers(secret, smallcase_auth_id))
        return self._call(request, lambda answer: read_details(answer, transaction_id), deadline)

    def _headers(self, secret: GatewaySecret, smallcase_auth_id: str | None) -> dict[str, str]:
        api_secret = secret.api_secret.reveal()
        if not is_header_safe(api_secret):
            raise GatewayNotConfigured("api_secret", "not_header_safe")
        token = session_token.issue(
            smallcase_auth_id,
            key=secret.secret,
            now=int(self._clock()),
            lifetime_seconds=self._token_lifetime_seconds,
        )
        return {"x-gateway-secret": api_secret, "x-gateway-authtoken": token.text.reveal()}

    def _call[T](self, request: UpstreamRequest, read: Callable[[UpstreamAnswer], T], deadline: float) -> T:
        try:
            return read(self._send(request, deadline))
        except UpstreamFault as fault:
            log.error("gateway.unavailable", extra={"reason": fault.reason})  # noqa: TRY400
            raise GatewayUnavailable(fault.reason) from None
        except GatewayUnavailable as error:
            log.error("gateway.unavailable", extra={"reason": error.reason})  # noqa: TRY400
            raise
        except GatewayRefused as error:
            log.error("gateway.refused", extra={"reason": error.reason})  # noqa: TRY400
            raise

    def _send(self, request: UpstreamRequest, deadline: float) -> UpstreamAnswer:
        """Return an answer. Raises `UpstreamFault`.

        Repeated is what was provably not sent; and a question, which changes nothing, after a lost answer or a 5xx.
        """
        is_question = request.method == "GET"
        outcome: UpstreamAnswer | UpstreamFault = UpstreamFault("no_time")
        for attempt in range(ATTEMPTS):
            left = deadline - self._clock()
            if left <= 0:
                break
            try:
                outcome = self._transport.send(request, min(ATTEMPT_SECONDS, left))
            except UpstreamFault as fault:
                outcome = fault
                is_repeatable = not fault.sent or (is_question and fault.reason in LOST_ANSWERS)
            else:
                is_repeatable = is_question and outcome.status >= SERVER_ERROR
            wait = BACKOFF_SECONDS * 2**attempt * random.uniform(0.5, 1.0)  # noqa: S311 - jitter is no secret
            if not is_repeatable or attempt + 1 == ATTEMPTS or self._clock() + wait >= deadline:
                break
            self._sleep(wait)
        if isinstance(outcome, UpstreamFault):
            raise outcome
        return outcome
