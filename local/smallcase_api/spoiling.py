"""What each fault makes of an answer: a stand-in for it, a spoilt copy of it, or a broken way of sending it.

Owns the bytes that a fault puts on the wire, and the envelope of errors (M). Never decides which request is hit. The
answers are the simulator's own: nothing documents what the real upstream's proxies send when they fail.
"""

import json
from collections.abc import Callable
from dataclasses import replace
from http import HTTPStatus
from typing import Final, cast

from local.fault_switches import SMALLEST_TOO_LARGE_BYTES, Fault
from local.http_faults import cut, drip, hang, raw, reset
from local.http_router import Headers, Response, Wire, json_response
from local.smallcase_api.faults import FaultName
from local.smallcase_api.transactions import BROKERS, Status, auth_id_of

type Sending = Callable[[Wire], None]

HANG_SECONDS: Final = 60
DRIP_SECONDS: Final = 1
RETRY_AFTER_SECONDS: Final = 2
DEEP_LEVELS: Final = 20_000  # far beyond what parsers recurse into, and still below 64 KiB
FAULT_TEXT: Final = "A fault of the simulator."
SOMEBODY_ELSE: Final = auth_id_of(BROKERS[0], "somebody else")

_PAGES: Final = {
    FaultName.HTML: (HTTPStatus.OK, b"<!doctype html><title>Sign in</title><p>Please sign in."),
    FaultName.STATUS_502_HTML: (HTTPStatus.BAD_GATEWAY, b"<html><h1>502 Bad Gateway</h1></html>"),
}
_ERRORS: Final = {
    FaultName.ERROR_OBJECT_200: HTTPStatus.OK,
    FaultName.UNAUTHORIZED_401: HTTPStatus.UNAUTHORIZED,
    FaultName.REFUSED: HTTPStatus.BAD_REQUEST,
    FaultName.STATUS_500: HTTPStatus.INTERNAL_SERVER_ERROR,
    FaultName.STATUS_503_RETRY_AFTER: HTTPStatus.SERVICE_UNAVAILABLE,
    FaultName.STATUS_429: HTTPStatus.TOO_MANY_REQUESTS,
}
_WITH_RETRY_AFTER: Final = {FaultName.STATUS_503_RETRY_AFTER, FaultName.STATUS_429}
_OF_THE_ENVELOPE: Final = {"success", "data"}


def success(data: object) -> Response:
    """Answer with data (H for the members of `data`, M for the envelope)."""
    return json_response(HTTPStatus.OK, {"success": True, "data": data})


def errors_response(status: int, text: str, headers: Headers = ()) -> Response:
    """Answer with the envelope of errors (M)."""
    return json_response(status, {"success": False, "errors": [text]}, headers)


def status_response(status: int) -> Response:
    """Write an error that no endpoint made, named by its status."""
    return errors_response(status, HTTPStatus(status).phrase)


def stand_in(fault: Fault[FaultName]) -> Response:
    """Give the answer of a fault without effect."""
    if fault.name in _PAGES:
        status, page = _PAGES[fault.name]
        return Response(status, page, (("Content-Type", "text/html; charset=utf-8"),))
    if fault.name in _ERRORS:
        retry_after = str(fault.extras.get("retry_after", RETRY_AFTER_SECONDS))
        headers = (("Retry-After", retry_after),) if fault.name in _WITH_RETRY_AFTER else ()
        code = cast("int", fault.extras.get("http_status", _ERRORS[fault.name]))
        return errors_response(code, str(fault.extras.get("text", FAULT_TEXT)), headers)
    if fault.name is FaultName.REDIRECT:
        return Response(HTTPStatus.FOUND, headers=(("Location", str(fault.extras.get("location", "/elsewhere"))),))
    # EMPTY; and HANG and RESET, which never send it
    return Response(HTTPStatus.OK, headers=(("Content-Type", "application/json"),))


def spoilt(fault: Fault[FaultName], right: Response) -> Response:
    """Give what a fault with effect makes of the right answer (200): itself, where it only spoils the sending."""
    if fault.name is FaultName.WRONG_CONTENT_TYPE:
        return replace(right, headers=(("Content-Type", "text/plain; charset=utf-8"),))
    if fault.name is FaultName.BAD_JSON:
        return replace(right, body=right.body[:-1])
    if fault.name is FaultName.DEEP_JSON:  # written by hand: json.dumps does not go so deep either
        return replace(right, body=b'{"success":true,"data":' + b"[" * DEEP_LEVELS + b"]" * DEEP_LEVELS + b"}")
    envelope = cast("dict[str, object]", json.loads(right.body))  # an endpoint has just written it
    if fault.name is FaultName.NOT_AN_OBJECT:
        return json_response(HTTPStatus.OK, [envelope])
    field = str(fault.extras.get("field", "transactionId"))
    if field in _OF_THE_ENVELOPE:
        return json_response(HTTPStatus.OK, _other_members(fault, envelope, field))
    data = cast("dict[str, object]", envelope["data"])
    return success(_other_members(fault, data, field))


def _other_members(fault: Fault[FaultName], members: dict[str, object], field: str) -> dict[str, object]:
    match fault.name:
        case FaultName.MISSING_FIELD:
            return {name: value for name, value in members.items() if name != field}
        case FaultName.WRONG_TYPE:
            another = 12_345 if isinstance(members.get(field), str) else "unexpected"
            return members | {field: fault.extras.get("value", another)}
        case FaultName.TOO_LARGE:
            return members | {"padding": "x" * cast("int", fault.extras.get("bytes", SMALLEST_TOO_LARGE_BYTES))}
        case FaultName.ANOTHER_SMALLCASE_AUTH_ID:
            return members | {"smallcaseAuthId": fault.extras.get("smallcaseAuthId", SOMEBODY_ELSE)}
        case FaultName.NOT_COMPLETED:
            return members | {"status": fault.extras.get("status", Status.PROCESSING.value)}
        case _:
            return members


def sending(fault: Fault[FaultName], response: Response) -> Sending | None:
    """Give the broken way in which a fault sends an answer, or None for all faults that send theirs properly."""
    match fault.name:
        case FaultName.HANG:
            return hang(fault.seconds(HANG_SECONDS))
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
