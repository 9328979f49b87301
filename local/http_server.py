"""The HTTP server of the simulators: connections, threads, limits and the framing of requests.

Owns sockets and what is logged of a request: its method, path, status and duration. Never listens on anything but
loopback, never logs a query, a header or a body, and never knows what a simulator simulates: that is its `Router`.
"""

import os
import re
import socket
import struct
import sys
import threading
import time
import traceback
from contextlib import suppress
from email.utils import formatdate
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import TCPServer
from types import TracebackType
from typing import Final, Self, cast
from urllib.parse import urlsplit

from local.http_router import Request, Response, Router
from local.ports import LOOPBACK
from local.stop_signals import StopRequested, StopSignals, shielded

MAX_BODY_BYTES: Final = 16_384
"""A request's body may be this long, unless a server is told otherwise."""

IDLE_SECONDS: Final = 60
"""A connection that sends nothing for so long is closed, between requests and within one."""

_SHUTDOWN_POLL_SECONDS = 0.1
_FINISH_SECONDS = 2.0  # what answers under way get when the server stops
_MAX_LINE_BYTES = 65_536
_DISCARD_BYTES = 1_048_576  # of a refused body, so that the client reads the answer instead of a reset
_DISCARD_SECONDS = 1.0
_LOGGED_PATH_LENGTH = 200
_LENGTH = re.compile(r"[0-9]{1,18}")  # more digits than any body has bytes


class Server(ThreadingHTTPServer):
    """Serves a router on a port of loopback from its creation on; entering it starts answering, leaving it stops.

    Handlers run in a thread for each connection. `name` stands at the start of each line of the log (stderr).
    Raises OSError where the port is taken. Leaving waits for answers under way, but not for those that pause.
    """

    daemon_threads = True
    block_on_close = False  # __exit__ does better
    request_queue_size = 128

    def __init__(self, port: int, router: Router, *, name: str, max_body_bytes: int = MAX_BODY_BYTES) -> None:
        self.router = router
        self.name = name
        self.max_body_bytes = max_body_bytes
        self.stopping = threading.Event()
        self._thread = threading.Thread(target=self.serve_forever, args=(_SHUTDOWN_POLL_SECONDS,), daemon=True)
        self._connections: set[socket.socket] = set()
        self._changed = threading.Condition()
        super().__init__((LOOPBACK, port), _Connection)

    def server_bind(self) -> None:
        """Bind without asking the resolver for a name of the address, as HTTPServer would."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = LOOPBACK, self.socket.getsockname()[1]

    @property
    def url(self) -> str:
        """The origin under which it answers."""
        return f"http://{LOOPBACK}:{self.server_port}"

    @shielded
    def __enter__(self) -> Self:
        self._thread.start()
        return self

    @shielded
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stopping.set()
        self.shutdown()
        self._thread.join()
        self.server_close()
        for how in (socket.SHUT_RD, socket.SHUT_RDWR):  # who waits for a request ends; then who is stuck in an answer
            with self._changed:
                for connection in self._connections:
                    with suppress(OSError):
                        connection.shutdown(how)
                self._changed.wait_for(lambda: not self._connections, _FINISH_SECONDS)

    def process_request(self, request: object, client_address: object) -> None:
        """Remember the connection for as long as its thread has it."""
        connection = cast("socket.socket", request)  # a datagram's pair for other servers
        with self._changed:
            self._connections.add(connection)
        super().process_request(connection, client_address)

    def process_request_thread(self, request: object, client_address: object) -> None:
        """Serve one connection to its end."""
        connection = cast("socket.socket", request)
        try:
            super().process_request_thread(connection, client_address)
        finally:
            with self._changed:
                self._connections.discard(connection)
                self._changed.notify_all()

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing of a client that went away or sent too slowly."""
        if not isinstance(sys.exception(), ConnectionError | TimeoutError):
            super().handle_error(cast("socket.socket", request), client_address)


def serve_until_stopped(server: Server) -> None:
    """Serve until SIGTERM, SIGINT or SIGHUP; the main function of a simulator."""
    with suppress(StopRequested), StopSignals() as signals, server:
        signals.wait()


class _Refused(Exception):
    """The request cannot be read. Its connection is closed: nobody knows where the next request would begin."""

    def __init__(self, status: HTTPStatus) -> None:
        super().__init__(status)
        self.status = status


class _Connection(BaseHTTPRequestHandler):
    """One connection: reads requests, lets the router answer. Its base parses the request line and the headers."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    timeout = IDLE_SECONDS
    server: Server
    connection: socket.socket

    def handle_one_request(self) -> None:
        """Read a request and answer it."""
        self.raw_requestline = self.rfile.readline(_MAX_LINE_BYTES + 1)
        self.command, self.path, self.request_version = "?", "", ""  # until they are parsed
        if not self.raw_requestline:
            self.close_connection = True
            return
        started = time.monotonic()
        status: int | None = None
        try:
            status = self._answer(self._read_request())
        except _Refused as refused:
            status = refused.status
            self.close_connection = True
            self._send(self.server.router.error(status))
            self._discard()
        finally:
            self._log(status, time.monotonic() - started)

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:  # noqa: ARG002 -- the base's signature
        """Refuse what the base could not parse. An unknown version of HTTP is the client's mistake, not ours."""
        raise _Refused(HTTPStatus.BAD_REQUEST if code >= HTTPStatus.INTERNAL_SERVER_ERROR else HTTPStatus(code))

    def handle_expect_100(self) -> bool:
        """Leave `100 Continue` to the reading of the body: a body over the limit need not be sent."""
        return True

    def _read_request(self) -> Request:
        if len(self.raw_requestline) > _MAX_LINE_BYTES:
            raise _Refused(HTTPStatus.REQUEST_URI_TOO_LONG)
        if not self.parse_request():
            raise _Refused(HTTPStatus.BAD_REQUEST)  # an empty line; all else comes by send_error
        try:
            target = urlsplit(self.path)
        except ValueError:
            raise _Refused(HTTPStatus.BAD_REQUEST) from None
        headers = tuple((name, str(value)) for name, value in self.headers.items())
        return Request(self.command, target.path, target.query, headers, self._read_body())

    def _read_body(self) -> bytes:
        if "Transfer-Encoding" in self.headers:
            raise _Refused(HTTPStatus.LENGTH_REQUIRED)
        lengths = set(self.headers.get_all("Content-Length", ["0"]))
        length = lengths.pop()
        if lengths or not length.isascii() or not length.isdigit():
            raise _Refused(HTTPStatus.BAD_REQUEST)
        if not _LENGTH.fullmatch(length) or int(length) > self.server.max_body_bytes:
            raise _Refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        if self.headers.get("Expect", "").lower() == "100-continue":
            self.connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        body = self.rfile.read(int(length))
        if len(body) < int(length):
            raise ConnectionAbortedError("the client left within its body")
        return body

    def _answer(self, request: Request) -> int | None:
        """Return the status, or None where the handler writes to the connection itself."""
        try:
            answer = self.server.router.answer(request)
        except Exception:  # noqa: BLE001 -- a mistake in a simulator is shown, and answered as servers do
            traceback.print_exc()
            answer = self.server.router.error(HTTPStatus.INTERNAL_SERVER_ERROR)
        if isinstance(answer, Response):
            self._send(answer)
            return answer.status
        self.close_connection = True
        answer(_ConnectionWire(self.connection, self.server.stopping))
        return None

    def _send(self, response: Response) -> None:
        if self.request_version != self.protocol_version or self.server.stopping.is_set():
            self.close_connection = True
        date = (("Date", formatdate(usegmt=True)),)
        head = self.command == "HEAD"
        self.connection.sendall(response.encode(head=head, close=self.close_connection, extra=date))

    def _discard(self) -> None:
        """Read what the client is still sending, within limits: closing at once would reset the connection."""
        with suppress(OSError):
            self.connection.shutdown(socket.SHUT_WR)
            self.connection.settimeout(_DISCARD_SECONDS)
            left = _DISCARD_BYTES
            while left > 0 and (data := self.rfile.read1(left)):
                left -= len(data)

    def _log(self, status: int | None, seconds: float) -> None:
        method = ascii(self.command or "?")[1:-1]
        path = ascii(self.path.partition("?")[0])[1:-1][:_LOGGED_PATH_LENGTH]
        print(
            f"{self.server.name}: {method} {path} {status or '-'} {seconds * 1000:.1f} ms", file=sys.stderr, flush=True
        )


class _ConnectionWire:
    """The Wire of a connection."""

    def __init__(self, connection: socket.socket, stopping: threading.Event) -> None:
        self._connection = connection
        self._stopping = stopping

    def send(self, data: bytes) -> None:
        self._connection.sendall(data)

    def pause(self, seconds: float) -> None:
        if self._stopping.wait(seconds):
            raise ConnectionAbortedError("the server stops")

    def reset(self) -> None:
        self._connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        os.close(self._connection.detach())  # at once: an orderly shutdown before the close would send FIN
