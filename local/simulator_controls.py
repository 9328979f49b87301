"""The control calls of the simulators: `/_simulator/…`, JSON in and out, for developers, tests and the local page.

Owns reading such a call, refusing one that makes no sense, and what both simulators check numbers with. Never knows
what a call changes.
"""

from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Final

from local.http_router import Answer, Handler, Request, Response, json_response
from local.visitors import is_foreign_page

CONTROL_PATH: Final = "/_simulator/"
_NO_STORE: Final = (("Cache-Control", "no-store"),)

type Rules = Mapping[str, tuple[Callable[[object], bool], str]]
"""By a member's name: whether a value will do, and in words what will."""


class InvalidControlError(Exception):
    """A control request that says something else than the switches can do; `problems` names all of it at once."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


class ControlRefusedError(Exception):
    """A control request that makes sense and cannot be done now. `code` is for programs, the text for people."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message


def from_this_machine(handler: Handler) -> Handler:
    """Keep foreign pages off: what a control call changes or shows may rest on the secrets of SECRETS_FILE."""

    def guarded(request: Request) -> Answer:
        if is_foreign_page(request.header_all("Host"), request.header_all("Origin")):
            refused = {"code": "FOREIGN_PAGE", "message": "Pages of this machine may do this, and no others."}
            return json_response(HTTPStatus.FORBIDDEN, {"error": refused}, _NO_STORE)
        return handler(request)

    return guarded


def control(act: Callable[[Mapping[str, object]], object]) -> Handler:
    """Make the handler of a control call: `act` gets the members of its body and gives what is answered (200).

    Where `act` raises InvalidControlError, the answer is 400 with all its problems; where it raises
    ControlRefusedError, the answer has its status and code. Both are `{"error": {"code", "message", "details"?}}`.
    """

    def handler(request: Request) -> Response:
        try:
            return control_answer(act(_members(request)))
        except InvalidControlError as error:
            refused = {"code": "INVALID_CONTROL", "message": "Nothing has changed.", "details": error.problems}
            return json_response(HTTPStatus.BAD_REQUEST, {"error": refused}, _NO_STORE)
        except ControlRefusedError as error:
            return json_response(error.status, {"error": {"code": error.code, "message": error.message}}, _NO_STORE)

    return handler


def control_answer(value: object) -> Response:
    """Answer a control call."""
    return json_response(HTTPStatus.OK, value, _NO_STORE)


def check_members(members: Mapping[str, object], rules: Rules) -> None:
    """Raise InvalidControlError naming every member that has no rule, and every value that does not keep its rule."""
    problems = [f"{name}: no such setting" for name in members if name not in rules]
    problems += [
        f"{name}: must be {rules[name][1]}" for name in members if name in rules and not rules[name][0](members[name])
    ]
    if problems:
        raise InvalidControlError(problems)


def is_number(value: object, lowest: float, highest: float) -> bool:
    """Say whether a JSON value is a finite number (true is none) within these limits, which it may reach."""
    # No comparison holds for NaN, and none overflows, as a conversion of a number of 400 digits would.
    return isinstance(value, int | float) and not isinstance(value, bool) and lowest <= value <= highest


def _members(request: Request) -> dict[str, object]:
    """Read a control call's body, which has to be a JSON object or nothing at all."""
    try:
        value = request.json() if request.body else {}
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise InvalidControlError(["the body must be a JSON object"])
    return value
