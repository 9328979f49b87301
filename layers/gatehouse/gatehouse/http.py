"""API Gateway HTTP API, payload format 2.0: requests in, answers out.

Owns reading an event without ever failing on it, the size limit, and turning results and exceptions into answers. It
never logs a header, a body, a claim or the text of an exception.

Payload format: https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html
"""

import base64
import json
import logging
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import NamedTuple

from gatehouse.problems import BodyTooLarge, GatehouseError, Problem, problem_document, problem_for

log = logging.getLogger(__name__)

# A delivery of this size still fits unsplit into an SQS message, an EventBridge entry and a DynamoDB item.
MAX_BODY_BYTES = 256 * 1024

SERVER_ERROR = 500
NO_STORE = {"cache-control": "no-store"}


class Request(NamedTuple):
    """What an edge needs of an API Gateway event."""

    request_id: str  # API Gateway's own, as in its access log
    route: str  # as in the template: method and path with its variables
    variables: Mapping[str, object]  # of the path
    headers: Mapping[str, str]  # names in lower case; repeated ones joined with commas by API Gateway
    claims: Mapping[str, object]  # of the caller's JWT, verified by API Gateway; empty on routes without authorizer
    raw_body: str
    body_is_base64: bool

    def body(self) -> bytes:
        """Return the body as it was sent. Raises `ValueError` for base64 that is none; API Gateway sends none such."""
        if self.body_is_base64:
            return base64.b64decode(self.raw_body.encode("ascii"), validate=True)
        return self.raw_body.encode("utf-8", "surrogatepass")

    def body_size(self) -> int:
        """Return the body's size in bytes as it was sent (of base64 text, without decoding it)."""
        if self.body_is_base64:
            return len(self.raw_body.rstrip("=")) * 3 // 4
        return len(self.raw_body.encode("utf-8", "surrogatepass"))


class Answer(NamedTuple):
    """A JSON answer, or one without a body where the document is None. `headers` are added to the content type."""

    status: int
    document: Mapping[str, object] | None
    headers: Mapping[str, str] = {}


def parse_request(event: object) -> Request:
    """Read an event. Total: whatever is missing or of another type is read as absent."""
    top = _mapping(event)
    context = _mapping(top.get("requestContext"))
    body = top.get("body")
    headers = _mapping(top.get("headers"))
    return Request(
        request_id=_text(context.get("requestId")),
        route=_text(top.get("routeKey")),
        variables=_mapping(top.get("pathParameters")),
        headers={name.lower(): value for name, value in headers.items() if isinstance(value, str)},
        claims=_mapping(_mapping(_mapping(context.get("authorizer")).get("jwt")).get("claims")),
        raw_body=body if isinstance(body, str) else "",
        body_is_base64=top.get("isBase64Encoded") is True,
    )


def respond(event: object, handle: Callable[[Request], Answer]) -> dict[str, object]:
    """Run an edge: read the event, call `handle`, and answer in API Gateway's form.

    A `GatehouseError` becomes its problem. Anything else is a bug: it is logged by type and place, without its text,
    and answered with 500 `INTERNAL_ERROR`. Nothing is raised.
    """
    request = parse_request(event)
    try:
        _check_size(request)
        return _payload(handle(request), "application/json")
    except GatehouseError as error:
        problem = problem_for(error)
        level = logging.WARNING if problem.status < SERVER_ERROR else logging.ERROR
        log.log(level, "request.refused", extra={"code": problem.code, "api_request_id": request.request_id})
    except Exception as error:  # noqa: BLE001 - the last line of defence: an exception's text must not reach the log
        problem = problem_for(error)
        log.error(  # noqa: TRY400 - `exception` would log the text
            "request.failed",
            extra={
                "code": problem.code,
                "api_request_id": request.request_id,
                "error_type": type(error).__name__,
                "error_location": locations(error.__traceback__),
            },
        )
    return _problem_payload(problem, request.request_id)


def _check_size(request: Request) -> None:
    if request.body_size() > MAX_BODY_BYTES:
        raise BodyTooLarge


def _problem_payload(problem: Problem, request_id: str) -> dict[str, object]:
    headers = dict(NO_STORE)
    if problem.retry_after_seconds is not None:
        headers["retry-after"] = str(problem.retry_after_seconds)
    return _payload(Answer(problem.status, problem_document(problem, request_id), headers), "application/problem+json")


def _payload(answer: Answer, content_type: str) -> dict[str, object]:
    if answer.document is None:
        return {"statusCode": answer.status, "headers": dict(answer.headers)}
    return {
        "statusCode": answer.status,
        "headers": {"content-type": content_type, **answer.headers},
        "body": json.dumps(answer.document, separators=(",", ":")),
    }


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _mapping(value: object) -> Mapping[str, object]:
    return value if isinstance(value, dict) else {}


def locations(traceback: TracebackType | None) -> str:
    """Return `file:line` of each frame, outermost first: where it happened, and nothing of what was there."""
    places = []
    while traceback is not None:
        places.append(f"{traceback.tb_frame.f_code.co_filename.rpartition('/')[2]}:{traceback.tb_lineno}")
        traceback = traceback.tb_next
    return " > ".join(places)
