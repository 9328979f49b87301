"""The simulated API, without sockets: a request in, an answer out, and everything remembered on the way.

Owns the endpoints and the order of what happens to a request: the log, the fault that hits it, the checks, the rate
limit, the effect, the latency. Never knows how tokens work (`authority`) or what a fault looks like (`spoiling`).
"""

import secrets
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus

from local.fault_switches import ArmedFaults, Fault
from local.http_router import Answer, Request, Response, Wire, json_response
from local.integration_api import protected
from local.integration_api.authority import Authority, Refusal, Revocable
from local.integration_api.credentials import (
    bearer_token,
    check_target,
    credentials_in,
    headers_by_name,
    presented_credentials,
    presented_refresh_token,
)
from local.integration_api.faults import WITHOUT_EFFECT, FaultName
from local.integration_api.journal import EXCHANGES, Exchange, Journal
from local.integration_api.rate_limit import RateLimit
from local.integration_api.settings import Credentials, Settings
from local.integration_api.spoiling import Sending, error_response, sending, spoilt, stand_in, status_response

type Headers = Mapping[str, str]
type Action = Callable[[Headers, bytes], object]

BASE_PATH = "/api/v1/integration"
SIGNING_KEY_BYTES = 32
OK = "ok"
# Sent for longer than it takes a client to read: the exchange goes on meanwhile.
_LASTING = frozenset({FaultName.HANG, FaultName.DRIP})
_LOOK_AGAIN_SECONDS = 0.05  # how soon a late answer notices that it is not to be late any more


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One endpoint; `kind` is what faults and the log call it, `action` gives the value of its answer."""

    method: str
    path: str
    kind: str
    action: Action

    @property
    def is_exchange(self) -> bool:
        """Whether it exchanges something for tokens."""
        return self.kind in EXCHANGES

    @property
    def label(self) -> str:
        """The name that it is counted under."""
        return self.kind if self.is_exchange else f"{self.method} {self.path}"


class Simulator:
    """Answers requests and control calls, from several threads at once.

    `clock` gives epoch seconds. `client_probe`, called in the thread that handles a request, gives a function that
    says, from any thread and at any later time, whether the client of that request is still connected.
    """

    def __init__(
        self, credentials: Credentials, *, clock: Callable[[], float], client_probe: Callable[[], Callable[[], bool]]
    ) -> None:
        self._initial = Settings(credentials)
        self._clock = clock
        self._client_probe = client_probe
        self._lock = threading.Lock()
        self.endpoints = (
            Endpoint("POST", "/auth/authenticate", "authenticate", self._authenticate),
            Endpoint("POST", "/auth/refresh", "refresh", self._refresh),
            Endpoint("GET", "/markets", "protected", protected.markets),
            Endpoint("POST", "/markets", "protected", protected.create_market),
            Endpoint("GET", "/holdings", "protected", protected.holdings),
        )
        self.reset()

    def answer(self, endpoint: Endpoint, request: Request) -> Answer:
        """Answer a request to one of the endpoints."""
        is_connected = self._client_probe()
        headers = headers_by_name(request)
        way = credentials_in(headers, request.body) if endpoint.kind == "authenticate" else None
        exchange = None
        with self._lock:
            if endpoint.is_exchange:
                exchange = self._journal.begin(endpoint.kind, self._clock(), is_connected, way)
            fault = self._faults.take(endpoint.kind)
            response, result = self._handle(endpoint, headers, request.body, fault)
            outcome = f"fault:{fault.name}" if fault else result
            self._journal.count(endpoint.label, outcome)
            if exchange is not None:
                exchange.outcome, exchange.took_effect = outcome, result == OK
            latency = self._authority.settings.latency_seconds
        broken = sending(fault, response, is_connected) if fault else None
        if broken is None and not latency:
            self._finish(exchange)
            return response
        lasting = fault is not None and fault.name in _LASTING
        return self._later(exchange, latency, broken or _whole(response), finish_first=not lasting)

    def error(self, status: int) -> Response:
        """Answer, and count, a request that reaches no endpoint: an unknown path, a wrong method, a body too large."""
        with self._lock:
            self._journal.count("other", str(int(status)))
        return status_response(status)

    def state(self) -> dict[str, object]:
        """Give everything that may be shown."""
        with self._lock:
            self._journal.settle(self._clock())
            return {
                "settings": self._authority.settings.public(),
                "faults": self._faults.public(),
                "tokens": self._authority.overview(),
                **self._journal.public(),
            }

    def change_settings(self, members: Mapping[str, object]) -> None:
        """Change settings; raises InvalidControlError, and then nothing has changed."""
        with self._lock:
            self._authority.settings = self._authority.settings.changed(members)

    def arm(self, fault: Fault[FaultName]) -> None:
        """Queue a fault; raises InvalidControlError where too many wait already."""
        with self._lock:
            self._faults.arm(fault)

    def disarm(self) -> None:
        """Forget every armed fault."""
        with self._lock:
            self._faults.clear()

    def revoke(self, what: Revocable) -> None:
        """End the life of tokens."""
        with self._lock:
            self._authority.revoke(what)

    def reset(self) -> None:
        """Make everything as it was at the start, with another signing key."""
        with self._lock:
            self._authority = Authority(self._initial, self._clock, secrets.token_bytes(SIGNING_KEY_BYTES))
            self._journal = Journal()
            self._faults = ArmedFaults[FaultName]()
            self._rate_limit = RateLimit()

    def _handle(
        self, endpoint: Endpoint, headers: Headers, body: bytes, fault: Fault[FaultName] | None
    ) -> tuple[Response, str]:
        """Give the answer and, faults apart, the result; only where that is OK has anything happened."""
        if fault is not None and fault.name in WITHOUT_EFFECT:
            return stand_in(fault, endpoint.kind), "no effect"
        try:
            check_target(headers, "authentication" if endpoint.is_exchange else "integration")
            if not endpoint.is_exchange:
                self._admit(self._authority.check_access(bearer_token(headers)))
            response = json_response(HTTPStatus.OK, endpoint.action(headers, body))
        except Refusal as refusal:
            return error_response(refusal), refusal.code
        return (spoilt(fault, response, self._clock()) if fault else response), OK

    def _authenticate(self, headers: Headers, body: bytes) -> object:
        settings = self._authority.settings
        presented = presented_credentials(headers, body, settings)
        if presented.api_key == settings.credentials.api_key:
            self._admit(presented.api_key)
        return self._authority.authenticate(presented)

    def _refresh(self, headers: Headers, body: bytes) -> object:
        refresh_token = presented_refresh_token(headers, body)
        if (api_key := self._authority.holder(refresh_token)) is not None:
            self._admit(api_key)
        return self._authority.refresh(refresh_token)

    def _admit(self, api_key: str) -> None:
        # The limit is per API key, so what names none (an unknown key, a dead token) has none to count against.
        limit = self._authority.settings.rate_limit_per_minute
        if (seconds := self._rate_limit.admit(api_key, limit, self._clock())) is not None:
            raise Refusal(429, "RATE_LIMITED", "Too many requests in a minute.", retry_after=seconds)

    def _finish(self, exchange: Exchange | None) -> None:
        if exchange is not None:
            with self._lock:
                self._journal.finish(exchange, self._clock())

    def _later(self, exchange: Exchange | None, latency: float, send: Sending, *, finish_first: bool) -> Sending:
        def answer(wire: Wire) -> None:
            try:
                self._wait(wire, latency)
                if finish_first:
                    self._finish(exchange)
                send(wire)
            finally:
                self._finish(exchange)

        return answer

    def _wait(self, wire: Wire, latency: float) -> None:
        """Pause for the latency, or until it is made shorter: what was held back is let go then."""
        left = latency
        while left > 0 and self._authority.settings.latency_seconds >= latency:
            wire.pause(min(left, _LOOK_AGAIN_SECONDS))
            left -= _LOOK_AGAIN_SECONDS


def _whole(response: Response) -> Sending:
    return lambda wire: wire.send(response.encode())
