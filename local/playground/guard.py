"""Who may talk to the playground: its own page, in a browser on this machine.

The control calls can invoke functions and write secrets, and every page that the same browser has open can send
requests to 127.0.0.1. Owns telling these apart. Pure: it looks at a request's headers and at nothing else.
"""

from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

from local.http_router import Answer, Handler, Request, json_response

HEADER: Final = "X-Gatehouse-Playground"
"""On every control call. A page of another origin can send it only after a preflight, which is never granted here."""

_READS: Final = ("GET", "HEAD")  # browsers send no Origin with these to a page's own origin


@dataclass(frozen=True, slots=True)
class Guard:
    """Wraps handlers. `hosts` are the names with port under which the page is served."""

    hosts: frozenset[str]

    @classmethod
    def of_port(cls, port: int) -> "Guard":
        """Guard a server on this port of loopback."""
        return cls(frozenset({f"127.0.0.1:{port}", f"localhost:{port}"}))

    def page(self, handler: Handler) -> Handler:
        """Serve under the page's own names only: another name for 127.0.0.1 would make another page of its origin."""
        return self._wrap(handler, self._is_addressed)

    def control(self, handler: Handler) -> Handler:
        """Serve the page's own calls only."""
        return self._wrap(handler, lambda request: self._is_addressed(request) and _is_own(request))

    def _wrap(self, handler: Handler, admits: Callable[[Request], bool]) -> Handler:
        def guarded(request: Request) -> Answer:
            return handler(request) if admits(request) else _refusal()

        return guarded

    def _is_addressed(self, request: Request) -> bool:
        hosts = request.header_all("Host")
        return len(hosts) == 1 and hosts[0].lower() in self.hosts


def _is_own(request: Request) -> bool:
    origins = request.header_all("Origin")
    own = f"http://{request.header('Host')}".lower()
    if any(origin != own for origin in origins):
        return False
    return request.header(HEADER) == "1" and (bool(origins) or request.method in _READS)


def _refusal() -> Answer:
    refused = {"code": "NOT_FROM_THE_PAGE", "message": "Only the playground's own page may do this."}
    return json_response(HTTPStatus.FORBIDDEN, {"error": refused})
