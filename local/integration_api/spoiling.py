"""What each fault makes of an answer: a stand-in for it, a spoilt copy of it, or a broken way of sending it.

Owns the bytes that a fault puts on the wire. Never decides which request is hit, and never does an exchange. The
answers are the simulator's own: nothing documents what the real upstream's proxies send when they fail.
"""

import json
from collections.abc import Callable
from dataclasses import replace
from http import HTTPStatus
from typing import cast

from local.fault_switches import SMALLEST_TOO_LARGE_BYTES, Fault
from local.http_faults import cut, drip, raw, reset
from local.http_router import Headers, Response, Wire, json_response
from local.integration_api.authority import Refusal, expires_at_text
from local.integration_api.faults import FaultName

type Sending = Callable[[Wire], None]

HANG_SECONDS = 60
DRIP_SECONDS = 1
RETRY_AFTER_SECONDS = 2
EXPIRED_SECONDS = 3_600  # how long ago an `expired_answer` expired
DEEP_LEVELS = 20_000  # far beyond what parsers recurse into, and still below 64 KiB
_LOOK_AGAIN_SECONDS = 0.05  # how soon a hanging answer notices that its client has left

_PAGES = {
    FaultName.HTML: (HTTPStatus.OK, b"<!doctype html><title>Sign in</title><p>Please sign in."),
    FaultName.STATUS_502_HTML: (HTTPStatus.BAD_GATEWAY, b"<html><h1>502 Bad Gateway</h1></html>"),
}
_ERRORS = {
    FaultName.ERROR_OBJECT_200: (HTTPStatus.OK, None),
    FaultName.UNAUTHORIZED_401: (HTTPStatus.UNAUTHORIZED, None),
    FaultName.STATUS_500: (HTTPStatus.INTERNAL_SERVER_ERROR, "INTERNAL_ERROR"),
    FaultName.STATUS_503_RETRY_AFTER: (HTTPStatus.SERVICE_UNAVAILABLE, "SERVICE_UNAVAILABLE"),
    FaultName.STATUS_429: (HTTPStatus.TOO_MANY_REQUESTS, "RATE_LIMITED"),
}
_WITH_RETRY_AFTER = {FaultName.STATUS_503_RETRY_AFTER, FaultName.STATUS_429}
# The code where the table above has none: what that kind of request is refused with.
_UNAUTHORIZED = {
    "authenticate": "INVALID_API_KEY",
    "refresh": "REFRESH_TOKEN_EXPIRED",
    "protected": "INVALID_TOKEN",
}


def error_response(refusal: Refusal) -> Response:
    """Write a refusal in the documented form."""
    error: dict[str, object] = {"code": refusal.code, "message": refusal.message}
    if refusal.details is not None:
        error["details"] = refusal.details
    headers: Headers = () if refusal.retry_after is None else (("Retry-After", str(refusal.retry_after)),)
    return json_response(refusal.status, {"error": error}, headers)


def status_response(status: int) -> Response:
    """Write an error that no endpoint made, named by its status."""
    name = HTTPStatus(status)
    return error_response(Refusal(status, name.name, name.phrase))


def stand_in(fault: Fault[FaultName], kind: str) -> Response:
    """Give the answer of a fault without effect to a request of this kind (`authenticate`, `refresh`, `protected`)."""
    if fault.name in _PAGES:
        status, page = _PAGES[fault.name]
        return Response(status, page, (("Content-Type", "text/html; charset=utf-8"),))
    if fault.name in _ERRORS:
        status, code = _ERRORS[fault.name]
        retry_after = fault.extras.get("retry_after", RETRY_AFTER_SECONDS)
        headers = (("Retry-After", str(retry_after)),) if fault.name in _WITH_RETRY_AFTER else ()
        error = {"code": fault.extras.get("code", code or _UNAUTHORIZED[kind]), "message": "A fault of the simulator."}
        return json_response(status, {"error": error}, headers)
    if fault.name is FaultName.REDIRECT:
        return Response(HTTPStatus.FOUND, headers=(("Location", str(fault.extras.get("location", "/elsewhere"))),))
    # EMPTY; and HANG and RESET, which never send it
    return Response(HTTPStatus.OK, headers=(("Content-Type", "application/json"),))


def spoilt(fault: Fault[FaultName], right: Response, now: float) -> Response:
    """Give what a fault with effect makes of the right answer: itself, where it only spoils the sending.

    `right` is the 200 of an endpoint, `now` is in epoch seconds.
    """
    if fault.name is FaultName.WRONG_CONTENT_TYPE:
        return replace(right, headers=(("Content-Type", "text/plain; charset=utf-8"),))
    if fault.name is FaultName.BAD_JSON:
        return replace(right, body=right.body[:-1])
    if fault.name is FaultName.DEEP_JSON:  # written by hand: json.dumps does not go so deep either
        return replace(right, body=b'{"access_token":' + b"[" * DEEP_LEVELS + b"]" * DEEP_LEVELS + b"}")
    members = cast("dict[str, object]", json.loads(right.body))  # an endpoint has just written it
    if fault.name is FaultName.NOT_AN_OBJECT:
        return json_response(HTTPStatus.OK, [members])
    return json_response(HTTPStatus.OK, _other_members(fault, members, now))


def _other_members(fault: Fault[FaultName], members: dict[str, object], now: float) -> dict[str, object]:
    field = str(fault.extras.get("field", "access_token"))
    match fault.name:
        case FaultName.MISSING_FIELD:
            return {name: value for name, value in members.items() if name != field}
        case FaultName.WRONG_TYPE:
            another = 12_345 if isinstance(members.get(field), str) else "unexpected"
            return members | {field: fault.extras.get("value", another)}
        case FaultName.TOO_LARGE:
            return members | {"padding": "x" * cast("int", fault.extras.get("bytes", SMALLEST_TOO_LARGE_BYTES))}
        case FaultName.TOKEN_TYPE_MAC:
            return members | {"token_type": "mac"}
        case FaultName.EXPIRED_ANSWER:
            return members | {"expires_at": expires_at_text(now - EXPIRED_SECONDS, "z")}
        case _:
            return members


def sending(fault: Fault[FaultName], response: Response, is_connected: Callable[[], bool]) -> Sending | None:
    """Give the broken way in which a fault sends an answer, or None for all faults that send theirs properly."""
    match fault.name:
        case FaultName.HANG:
            return _hang(fault.seconds(HANG_SECONDS), is_connected)
        case FaultName.DRIP:
            return drip(response, chunk_bytes=1, every_seconds=fault.seconds(DRIP_SECONDS))
        case FaultName.CLOSE_MID_BODY:
            return cut(response, after_bytes=len(response.body) // 2)
        case FaultName.RESET:
            return reset()
        case FaultName.LOST_ANSWER:
            return raw(b"")
        case _:
            return None


def _hang(seconds: float, is_connected: Callable[[], bool]) -> Sending:
    def send(wire: Wire) -> None:
        left = seconds
        while left > 0 and is_connected():
            wire.pause(min(left, _LOOK_AGAIN_SECONDS))
            left -= _LOOK_AGAIN_SECONDS

    return send
