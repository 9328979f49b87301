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
from functools import partial
from typing import cast, get_args

from local.http_router import Handler, Router
from local.http_server import Server
from local.integration_api.authority import Revocable
from local.integration_api.faults import parse_fault
from local.integration_api.settings import Credentials
from local.integration_api.simulator import BASE_PATH, Simulator
from local.integration_api.spoiling import status_response
from local.simulator_controls import CONTROL_PATH, InvalidControlError, control, control_answer, from_this_machine

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
    control = from_this_machine(_control(simulator).answer)
    for method in ("GET", "POST", "DELETE", "OPTIONS"):
        router.add(method, f"{CONTROL_PATH}{{rest+}}", control)
    return router


def _control(simulator: Simulator) -> Router:
    def arm(members: Mapping[str, object]) -> None:
        simulator.arm(parse_fault(members))

    def revoke(members: Mapping[str, object]) -> None:
        if members.keys() != {"what"} or members["what"] not in _WHAT:
            raise InvalidControlError([f"what: must be one of {', '.join(_WHAT)}, and nothing else"])
        simulator.revoke(cast("Revocable", members["what"]))

    def change(what: Callable[[Mapping[str, object]], None]) -> Handler:
        def act(members: Mapping[str, object]) -> object:
            what(members)
            return simulator.state()

        return control(act)

    router = Router(cors=True, error=status_response)
    router.add("GET", f"{CONTROL_PATH}state", lambda _: control_answer(simulator.state()))
    router.add("POST", f"{CONTROL_PATH}settings", change(simulator.change_settings))
    router.add("POST", f"{CONTROL_PATH}faults", change(arm))
    router.add("DELETE", f"{CONTROL_PATH}faults", change(lambda _: simulator.disarm()))
    router.add("POST", f"{CONTROL_PATH}revoke", change(revoke))
    router.add("POST", f"{CONTROL_PATH}reset", change(lambda _: simulator.reset()))
    return router


def _is_connected(connection: socket.socket) -> bool:
    """Look whether the other end has closed, without waiting and without taking what it may have sent."""
    try:
        look = select.poll()
        look.register(connection, select.POLLIN)
        return not look.poll(0) or connection.recv(1, socket.MSG_PEEK) != b""
    except (OSError, ValueError):  # reset by the client, or closed by the thread that serves it
        return False
