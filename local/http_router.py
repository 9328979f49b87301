"""Requests, answers and routes of the simulators, without sockets: what `local.http_server` serves.

Owns the choice of the handler and the CORS headers. Never reads from or writes to a connection: an answer that is to
break the rules of HTTP is a function that gets the connection's `Wire` later.
"""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from typing import Final, Protocol
from urllib.parse import unquote

type Headers = tuple[tuple[str, str], ...]
"""Names and values in the order of the wire; a name may come more than once."""

CORS: Final[Headers] = (
    ("Access-Control-Allow-Origin", "*"),
    ("Access-Control-Expose-Headers", "*"),
)
_PREFLIGHT: Final[Headers] = (
    ("Access-Control-Allow-Methods", "GET, HEAD, POST, PUT, PATCH, DELETE"),
    ("Access-Control-Allow-Headers", "*, authorization"),  # the star does not cover authorization
    ("Access-Control-Max-Age", "600"),
)
_BODILESS: Final = (HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED)


class Wire(Protocol):
    """A connection in the hands of a handler. It is closed when the handler's function returns."""

    def send(self, data: bytes) -> None:
        """Send exactly these bytes, now. OSError where the client is gone."""

    def pause(self, seconds: float) -> None:
        """Wait; ConnectionAbortedError, which needs no handling, when the server stops meanwhile."""

    def reset(self) -> None:
        """Reset the connection (RST rather than FIN); nothing can be sent after it."""


@dataclass(frozen=True, slots=True)
class Request:
    """A request as it came. `path` is still percent-encoded and without the query; `params` come from the route."""

    method: str
    path: str
    query: str = ""
    headers: Headers = ()
    body: bytes = b""
    params: dict[str, str] = field(default_factory=dict)

    def header(self, name: str) -> str | None:
        """Return the first header of this name (in any case), or None."""
        return next(iter(self.header_all(name)), None)

    def header_all(self, name: str) -> list[str]:
        """Return every header of this name (in any case), in order."""
        return [value for key, value in self.headers if key.lower() == name.lower()]

    def json(self) -> object:
        """Return the body as JSON (UTF-8, no NaN or Infinity); ValueError for everything else."""
        try:
            return json.loads(self.body.decode(), parse_constant=_no_constant)
        except RecursionError:
            raise ValueError("nested too deeply") from None


@dataclass(frozen=True, slots=True)
class Response:
    """A well-formed answer. Content-Length, Date and Connection are added on the way out."""

    status: int
    body: bytes = b""
    headers: Headers = ()

    def encode(self, *, head: bool = False, close: bool = True, extra: Headers = ()) -> bytes:
        """Return the bytes of the answer, for `Wire.send` too. `head`: leave the body out, as for a HEAD request."""
        headers = [*self.headers, *extra]
        if self.status not in _BODILESS:
            headers.append(("Content-Length", str(len(self.body))))
        if close:
            headers.append(("Connection", "close"))
        lines = [f"HTTP/1.1 {self.status} {_phrase(self.status)}", *(f"{name}: {value}" for name, value in headers)]
        body = b"" if head or self.status in _BODILESS else self.body
        return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


type Answer = Response | Callable[[Wire], None]
type Handler = Callable[[Request], Answer]


def json_response(status: int, value: object, headers: Headers = ()) -> Response:
    """Answer with JSON."""
    body = json.dumps(value, separators=(",", ":")).encode()
    return Response(status, body, (("Content-Type", "application/json"), *headers))


def json_error(status: int) -> Response:
    """Answer `{"error": "not_found"}` and the like, after the status's name."""
    return json_response(status, {"error": HTTPStatus(status).name.lower()})


class Router:
    """Routes by path and method. `error` makes the answers that no handler makes (404, 405, 413, 500, …).

    With `cors`, pages of every origin may call: preflights are answered, and every Response carries the headers.
    """

    def __init__(self, *, cors: bool = False, error: Callable[[int], Response] = json_error) -> None:
        self._cors = cors
        self._error = error
        self._routes: list[tuple[re.Pattern[str], dict[str, Handler]]] = []

    def add(self, method: str, template: str, handler: Handler) -> None:
        """Add a route. `{name}` in the template is one segment, `{name+}` all of the rest (at least a character).

        Routes are tried in the order in which their templates were first added. A handler's params are
        percent-decoded. GET answers HEAD as well.
        """
        pattern = re.compile(
            "".join(
                f"(?P<{name}>{'.+' if rest else '[^/]+'})" if name else re.escape(text)
                for text, name, rest in re.findall(r"([^{}]+)|\{(\w+)(\+?)\}", template)
            )
        )
        for known, handlers in self._routes:
            if known == pattern:
                handlers[method] = handler
                return
        self._routes.append((pattern, {method: handler}))

    def answer(self, request: Request) -> Answer:
        """Let the route's handler answer. 404 where no route has the path, 405 where none of those has the method."""
        answer = self._answer(request)
        return self._with_cors(answer) if isinstance(answer, Response) else answer

    def error(self, status: int) -> Response:
        """Answer an error that no handler has seen, such as a body over the limit."""
        return self._with_cors(self._error(status))

    def _answer(self, request: Request) -> Answer:
        allowed: set[str] = set()
        for pattern, handlers in self._routes:
            if (match := pattern.fullmatch(request.path)) is None:
                continue
            handler = handlers.get(request.method)
            if handler is None and request.method == "HEAD":
                handler = handlers.get("GET")
            if handler is not None:
                params = {name: unquote(value) for name, value in match.groupdict().items()}
                return handler(replace(request, params=params))
            allowed |= handlers.keys()
        if self._cors and request.method == "OPTIONS":
            return Response(HTTPStatus.NO_CONTENT, headers=_PREFLIGHT)
        if not allowed:
            return self._error(HTTPStatus.NOT_FOUND)
        error = self._error(HTTPStatus.METHOD_NOT_ALLOWED)
        return replace(error, headers=(*error.headers, ("Allow", ", ".join(sorted(allowed)))))

    def _with_cors(self, response: Response) -> Response:
        return replace(response, headers=response.headers + CORS) if self._cors else response


def _no_constant(name: str) -> object:
    raise ValueError(f"{name} is not JSON")


def _phrase(status: int) -> str:
    return HTTPStatus(status).phrase if status in HTTPStatus else "Unknown"
