"""The playground on a port: which path is a file, which is a control call, and who may make it.

Owns the routes, and sending deliveries. What else the calls do is in `account`, `token_controls` and `arrivals`.
"""

import json
import threading
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from http import HTTPStatus
from types import TracebackType
from typing import Final

import urllib3

from local.http_router import Router
from local.http_server import Server
from local.playground import deliveries, pages
from local.playground.account import Account
from local.playground.arrivals import NewestEvents
from local.playground.deliveries import Delivery, Sender
from local.playground.guard import Guard
from local.playground.surroundings import Surroundings
from local.playground.token_controls import TokenControls
from local.simulator_controls import ControlRefusedError, InvalidControlError, control
from local.stop_signals import shielded

CONTROL_PATH: Final = "/_playground/"
_WAYS: Final = ("right", "wrong", "duplicate")
_TIMEOUT_SECONDS: Final = 35  # longer than any function may take


class Playground:
    """What the control calls do to one stack, for several threads at once."""

    def __init__(self, surroundings: Surroundings) -> None:
        self._surroundings = surroundings
        self._account = Account(surroundings)
        self._http = urllib3.PoolManager(retries=False, timeout=_TIMEOUT_SECONDS)
        self._lock = threading.Lock()
        self._last_right: dict[str, Delivery] = {}
        self.events = NewestEvents(self._account.tap_bus)
        self.tokens = TokenControls(self._account, self._http, surroundings.integration_simulator, time.time)

    def config(self) -> dict[str, object]:
        """Return what the page needs to know of the run."""
        self.events.watch()  # what the page sends from now on is to be seen
        known = self._surroundings
        return {
            "api_url": known.api_url,
            "api_origins": known.page_origins,
            "oidc_url": known.oidc_simulator,
            "smallcase_url": known.smallcase_simulator,
            "integration_simulated": known.integration_simulator is not None,
            "senders": [{"id": each.id, "label": each.label} for each in self._senders()],
        }

    def send(self, members: Mapping[str, object]) -> dict[str, object]:
        """Send a delivery to the API and return its answer. A duplicate is the last right one of its sender."""
        sender = next((each for each in self._senders() if each.id == members.get("sender")), None)
        how = members.get("how")
        if sender is None or how not in _WAYS:
            raise InvalidControlError([f"sender: must be one that is configured; how: one of {', '.join(_WAYS)}"])
        delivery = self._delivery(sender, str(how))
        url, headers = self._surroundings.api_url + delivery.path, dict(delivery.headers)
        try:
            answer = self._http.request("POST", url, body=delivery.body, headers=headers, redirect=False)
        except urllib3.exceptions.HTTPError:
            raise ControlRefusedError(HTTPStatus.BAD_GATEWAY, "API", "The API did not answer.") from None
        if how == "right" and answer.status == HTTPStatus.OK:
            with self._lock:
                self._last_right[sender.id] = delivery
        return {"status": answer.status, "body": _json_or_none(answer.data)}

    def arrivals(self) -> dict[str, object]:
        """Return what log and bus have."""
        sources = ["smallcase", *(f"integration.{name}" for name in self._webhook_credentials())]
        return {"log": self._account.newest_entries(sources), "bus": self.events.look()}

    def _delivery(self, sender: Sender, how: str) -> Delivery:
        now = datetime.now(UTC)
        if how == "wrong":
            return deliveries.forged(sender, now)
        if how == "duplicate":
            with self._lock:
                delivery = self._last_right.get(sender.id)
            if delivery is None:
                raise ControlRefusedError(HTTPStatus.CONFLICT, "NOTHING_TO_REPEAT", "Send a right one first.")
            return delivery
        if sender.source is not None:
            return deliveries.of_brokerage(sender)
        api_secret = str(json.loads(self._account.secret("Gateway"))["api_secret"])
        encoding = self._account.environment("receive_webhook")["CHECKSUM_ENCODING"]
        return deliveries.smallcase_order(api_secret, encoding, now)

    def _senders(self) -> list[Sender]:
        return deliveries.senders(self._webhook_credentials())

    def _webhook_credentials(self) -> Mapping[str, object]:
        configured = _json_or_none(self._account.secret("WebhookCredentials").encode())
        return configured if isinstance(configured, dict) else {}


class PlaygroundServer(Server):
    """The playground on a port of 127.0.0.1. Raises OSError where the port is taken."""

    def __init__(self, port: int, surroundings: Surroundings) -> None:
        self._playground = Playground(surroundings)
        headers = pages.security_headers(surroundings.called_origins())
        super().__init__(port, routes(self._playground, Guard.of_port(port), headers), name="playground")

    @shielded
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        super().__exit__(kind, error, trace)
        self._playground.events.close()


def routes(playground: Playground, guard: Guard, headers: tuple[tuple[str, str], ...]) -> Router:
    """Return all routes. `headers` are those of the files."""
    router = Router()
    for path in pages.FILES:
        router.add("GET", path, guard.page(lambda _, path=path: pages.serve(path, headers)))  # type: ignore[misc]  # mypy sees no type in a lambda's default
    tokens = playground.tokens
    calls: dict[tuple[str, str], Callable[[Mapping[str, object]], object]] = {
        ("GET", "config"): lambda _: playground.config(),
        ("GET", "tokens"): lambda _: tokens.status(),
        ("GET", "arrivals"): lambda _: playground.arrivals(),
        ("POST", "tick"): lambda _: tokens.run("refresh_tokens"),
        ("POST", "authenticate"): lambda _: tokens.run("authenticate"),
        ("POST", "age"): lambda _: tokens.age(),
        ("POST", "upstream"): tokens.set_upstream,
        ("POST", "credentials"): tokens.set_credentials,
        ("POST", "webhooks"): playground.send,
    }
    for (method, name), act in calls.items():
        router.add(method, CONTROL_PATH + name, guard.control(control(act)))
    return router


def _json_or_none(data: bytes) -> object:
    try:
        value: object = json.loads(data)
    except ValueError:
        return None
    return value
