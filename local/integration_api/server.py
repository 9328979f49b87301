"""The simulator on a port: which path goes where, and which connection is whose.

Owns the control calls of `/_simulator/…` and the look at a connection whose client may have left. Never knows a rule of
the API. Only the control calls may be made by web pages: the API's tokens belong in no browser, so a page that calls
it has to fail here as well.
"""

import select
import socket
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from http import HTTPStatus
from typing import cast, get_args

from local.http_router import Request, Response, Router, json_response
from local.http_server import Server
from local.integration_api.authority import Refusal, Revocable
from local.integration_api.faults import parse_fault
from local.integration_api.settings import Credentials, InvalidControlError
from local.integration_api.simulator import BASE_PATH, Simulator
from local.integration_api.spoiling import error_response, status_response

CONTROL_PATH = "/_simulator/"
_WHAT = get_args(Revocable.__value__)


class IntegrationApiServer(Server):
    """A simulator on a port of 127.0.0.1 (0: any free one). Raises OSError where the port is taken."""

    def __init__(self, port: int, credentials: Credentials) -> None:
        self._current = threading.local()
        self.simulator = Simulator(credentials, clock=time.time, client_probe=self._client_probe)
        super().__init__(port, _router(self.simulator), name="integration_api")

    def process_request_thread(self, request: object, client_address: object) -> None:
        """Serve one connection to its end, in this thread."""
        self._current.connection = request
        super().process_request_thread(request, client_address)

    def _client_probe(self) -> Callable[[], bool]:
        connection: socket.socket = self._current.connection
        return lambda: _is_connected(connection)


def _router(simulator: Simulator) -> Router:
    router = Router(error=simulator.error)
    for endpoint in simulator.endpoints:
        router.add(endpoint.method, BASE_PATH + endpoint.path, partial(simulator.answer, endpoint))
    control = _control(simulator)
    for method in ("GET", "POST", "DELETE", "OPTIONS"):
        router.add(method, f"{CONTROL_PATH}{{rest+}}", control.answer)
    return router


def _control(simulator: Simulator) -> Router:
    def arm(members: Mapping[str, object]) -> None:
        simulator.arm(parse_fault(members))

    def revoke(members: Mapping[str, object]) -> None:
        if members.keys() != {"what"} or members["what"] not in _WHAT:
            raise InvalidControlError([f"what: must be one of {', '.join(_WHAT)}, and nothing else"])
        simulator.revoke(cast("Revocable", members["what"]))

    def change(what: Callable[[Mapping[str, object]], None]) -> Callable[[Request], Response]:
        def handler(request: Request) -> Response:
            try:
                what(_members(request))
            except InvalidControlError as error:
                return _no_store(
                    error_response(Refusal(400, "INVALID_CONTROL", "Nothing has changed.", details=error.problems))
                )
            return state()

        return handler

    def state() -> Response:
        return _no_store(json_response(HTTPStatus.OK, simulator.state()))

    router = Router(cors=True, error=status_response)
    router.add("GET", f"{CONTROL_PATH}state", lambda _: state())
    router.add("POST", f"{CONTROL_PATH}settings", change(simulator.change_settings))
    router.add("POST", f"{CONTROL_PATH}faults", change(arm))
    router.add("DELETE", f"{CONTROL_PATH}faults", change(lambda _: simulator.disarm()))
    router.add("POST", f"{CONTROL_PATH}revoke", change(revoke))
    router.add("POST", f"{CONTROL_PATH}reset", change(lambda _: simulator.reset()))
    return router


def _members(request: Request) -> dict[str, object]:
    """Read a control call's body, which has to be a JSON object or nothing at all."""
    try:
        value = request.json() if request.body else {}
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise InvalidControlError(["the body must be a JSON object"])
    return value


def _no_store(response: Response) -> Response:
    return replace(response, headers=(*response.headers, ("Cache-Control", "no-store")))


def _is_connected(connection: socket.socket) -> bool:
    """Look whether the other end has closed, without waiting and without taking what it may have sent."""
    try:
        look = select.poll()
        look.register(connection, select.POLLIN)
        return not look.poll(0) or connection.recv(1, socket.MSG_PEEK) != b""
    except (OSError, ValueError):  # reset by the client, or closed by the thread that serves it
        return False
