"""The simulator on a port: which path goes where.

Owns the control calls of `/_simulator/…`. Never knows a rule of the API. Only the control calls may be made by web
pages: the API's `x-gateway-secret` belongs in no browser, so a page that calls it has to fail here as well.
"""

import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Final

from local.http_router import Handler, Router
from local.http_server import Server
from local.simulator_controls import CONTROL_PATH, control, control_answer, from_this_machine
from local.smallcase_api import webhook
from local.smallcase_api.dialog import DIALOG
from local.smallcase_api.faults import parse_fault
from local.smallcase_api.settings import Identity
from local.smallcase_api.simulator import Simulator
from local.smallcase_api.spoiling import status_response

MAX_BODY_BYTES: Final = 1_048_576  # an orderConfig may be long


class SmallcaseApiServer(Server):
    """A simulator on a port of 127.0.0.1 (0: any free one). Raises OSError where the port is taken."""

    def __init__(self, port: int, identity: Identity) -> None:
        self.simulator = Simulator(identity, clock=time.time, send_webhook=webhook.send)
        super().__init__(port, _router(self.simulator), name="smallcase_api", max_body_bytes=MAX_BODY_BYTES)


def _router(simulator: Simulator) -> Router:
    router = Router(error=simulator.error)
    for endpoint in simulator.endpoints:
        router.add(endpoint.method, endpoint.path, partial(simulator.answer, endpoint))
    controls = from_this_machine(_control(simulator).answer)
    for method in ("GET", "POST", "DELETE", "OPTIONS"):
        router.add(method, f"{CONTROL_PATH}{{rest+}}", controls)
    return router


def _control(simulator: Simulator) -> Router:
    def change(what: Callable[[Mapping[str, object]], None]) -> Handler:
        def act(members: Mapping[str, object]) -> object:
            what(members)
            return simulator.state()

        return control(act)

    router = Router(cors=True, error=status_response)
    router.add("GET", f"{CONTROL_PATH}state", lambda _: control_answer(simulator.state()))
    router.add("POST", f"{CONTROL_PATH}settings", change(simulator.change_settings))
    router.add("POST", f"{CONTROL_PATH}faults", change(lambda members: simulator.arm(parse_fault(members))))
    router.add("DELETE", f"{CONTROL_PATH}faults", change(lambda _: simulator.disarm()))
    router.add("POST", f"{CONTROL_PATH}reset", change(lambda _: simulator.reset()))
    for action in DIALOG:
        router.add("POST", f"{CONTROL_PATH}{action}", control(partial(simulator.dialog, action)))
    return router
