"""One HTTP call to an outside system, bounded in time and size.

Owns the limits: a total time that holds against a peer that hangs or drips, no redirect, verified TLS, and a largest
answer. It never logs, never retries, and never quotes what came in. Every way in which a call can fail is one
`UpstreamFault` with a reason from this table; `sent` is False where no byte of the request has left:

| reason | what happened | `sent` |
|---|---|---|
| `request` | the request cannot be written as HTTP: its URL, method or a header | False |
| `connect` | no connection: the name is unknown, or every address refuses | False |
| `connect_timeout` | no connection in time, the name's address and the TLS handshake included | False |
| `tls` | no trusted TLS (its certificate, its name, its protocol); or a record was altered later on | False; or True |
| `timeout` | the answer was not complete in time | True |
| `closed` | the connection ended before the answer was complete | True |
| `not_http` | what came is no answer in HTTP/1 | True |
| `content_encoding` | the body is compressed, which nobody asked for | True |
| `too_large` | the body exceeds the limit | True |
"""

import http.client
import io
import re
import socket
import ssl
import threading
import time
from contextlib import ExitStack
from typing import NamedTuple
from urllib.parse import urlsplit

from gatehouse.upstream import UpstreamAnswer, UpstreamFault, UpstreamRequest

MAX_ANSWER_BYTES = 64 * 1024  # many times a pair of tokens
CONNECT_SECONDS = 4.0  # for name, connection and handshake: what takes longer is better tried anew
MAX_ADDRESSES = 4  # of one name that are tried; they share the time
READ_BYTES = 16 * 1024

DEFAULT_PORTS = {"http": 80, "https": 443}
NO_CONTENT, NOT_MODIFIED = 204, 304

_LENGTH = re.compile(r"[0-9]{1,15}")
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")


class HttpTransport:
    """Makes calls with `http.client`, each on a connection of its own, in the thread of the caller.

    A socket's timeout holds for each operation, so a peer that sends a byte a second would never meet it. Here every
    single wait gets what is left until one deadline. Only looking up a name cannot be cut: that has a thread, which is
    left to end by itself when it is too slow, and can do nothing else.
    """

    def __init__(self, tls: ssl.SSLContext | None = None, *, max_answer_bytes: int = MAX_ANSWER_BYTES) -> None:
        """`tls` is made from the system's trust store where none is given."""
        self._tls = tls
        self._max_answer_bytes = max_answer_bytes

    def send(self, request: UpstreamRequest, timeout_seconds: float) -> UpstreamAnswer:
        """See `Transport.send`."""
        deadline = time.monotonic() + timeout_seconds
        target = _target(request.url)
        with self._open(target, deadline) as sock:
            wire = _Wire(sock, deadline)
            try:
                return self._exchange(wire, target, request)
            except UpstreamFault:
                raise
            except Exception as error:  # noqa: BLE001 - whatever a peer provokes in http.client is one known error
                raise UpstreamFault(_reason(error, wire), sent=wire.sent) from None

    def _open(self, target: "_Target", deadline: float) -> socket.socket:
        by = min(deadline, time.monotonic() + CONNECT_SECONDS)
        try:
            sock = _connect(target, by)
        except TimeoutError:
            raise UpstreamFault("connect_timeout", sent=False) from None
        except (OSError, ValueError, RuntimeError):  # a name that is none; no thread to be had
            raise UpstreamFault("connect", sent=False) from None
        if not target.is_secure:
            return sock
        if self._tls is None:
            self._tls = ssl.create_default_context()
        try:
            return _secure(sock, self._tls, target.host, by)
        except TimeoutError:
            raise UpstreamFault("connect_timeout", sent=False) from None
        except (OSError, ValueError):
            raise UpstreamFault("tls", sent=False) from None

    def _exchange(self, wire: "_Wire", target: "_Target", request: UpstreamRequest) -> UpstreamAnswer:
        connection = http.client.HTTPConnection(target.host, target.port)
        connection.default_port = DEFAULT_PORTS["https" if target.is_secure else "http"]  # leaves it out of Host
        connection.sock = wire  # the part of a socket that http.client uses
        connection.request(
            request.method,
            target.path,
            request.body,
            {"User-Agent": "gatehouse", "Accept": "application/json", **request.headers},
        )
        with connection.getresponse() as response:
            if wire.ended:  # within the headers, which http.client takes for their end
                raise UpstreamFault("closed")
            headers = _headers(response)
            if request.method == "HEAD" or response.status in {NO_CONTENT, NOT_MODIFIED}:
                return UpstreamAnswer(response.status, headers)
            return UpstreamAnswer(response.status, headers, self._body(wire, response, headers))

    def _body(self, wire: "_Wire", response: http.client.HTTPResponse, headers: dict[str, str]) -> bytes:
        if headers.get("content-encoding", "identity").lower() != "identity":
            raise UpstreamFault("content_encoding")
        if int(headers.get("content-length", "0")) > self._max_answer_bytes:
            raise UpstreamFault("too_large")
        body = bytearray()
        while chunk := response.read1(READ_BYTES):
            body += chunk
            if len(body) > self._max_answer_bytes:
                raise UpstreamFault("too_large")
        ends_by_closing = "content-length" not in headers and "transfer-encoding" not in headers
        if wire.ended and not ends_by_closing:
            raise UpstreamFault("closed")
        return bytes(body)


class _Target(NamedTuple):
    """The parts of a URL."""

    is_secure: bool
    host: str
    port: int
    path: str  # with the query


class _Wire:
    """A connected socket for `http.client`: every wait on it ends at the deadline. It leaves closing to its owner."""

    def __init__(self, sock: socket.socket, deadline: float) -> None:
        self.sent = False  # whether a part of the request may have left
        self.ended = False  # whether the peer has said that nothing more comes
        self._sock = sock
        self._deadline = deadline

    def sendall(self, data: bytes) -> None:
        rest = memoryview(data)
        while rest:
            self._sock.settimeout(_left(self._deadline))
            self.sent = True
            rest = rest[self._sock.send(rest) :]

    def receive_into(self, buffer: memoryview) -> int:
        self._sock.settimeout(_left(self._deadline))
        count = self._sock.recv_into(buffer)
        self.ended = count == 0
        return count

    def makefile(self, _mode: str) -> io.BufferedReader:
        return io.BufferedReader(_Incoming(self), READ_BYTES)

    def close(self) -> None:
        """Do nothing: `http.client` closes as soon as it has seen the headers, and reads the body afterwards."""


class _Incoming(io.RawIOBase):
    """What comes in on a wire, as a stream."""

    def __init__(self, wire: _Wire) -> None:
        self._wire = wire

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]  # BufferedReader hands over nothing else
        return self._wire.receive_into(buffer)


def _target(url: str) -> _Target:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise UpstreamFault("request", sent=False) from None
    # urlsplit drops some control characters without a word.
    is_plain = url.isascii() and url.isprintable() and " " not in url
    if not is_plain or parts.scheme not in DEFAULT_PORTS or not parts.hostname:
        raise UpstreamFault("request", sent=False)
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return _Target(parts.scheme == "https", parts.hostname, port or DEFAULT_PORTS[parts.scheme], path)


def _left(deadline: float) -> float:
    """Return the seconds until the deadline. Raises `TimeoutError` where there are none."""
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left


def _connect(target: _Target, by: float) -> socket.socket:
    """Return a connection to the first address that takes one. Raises `TimeoutError` and what sockets raise."""
    failure = OSError("the name has no address")
    addresses = _addresses(target, by)[:MAX_ADDRESSES]
    for number, (family, kind, protocol, _, address) in enumerate(addresses):
        try:
            with ExitStack() as undo:
                sock = undo.enter_context(socket.socket(family, kind, protocol))
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                sock.settimeout(_left(by) / (len(addresses) - number))
                sock.connect(address)
                undo.pop_all()
                return sock
        except OSError as error:
            failure = error
    raise failure


type _Addresses = list[tuple[int, int, int, str, tuple[str, int] | tuple[str, int, int, int] | tuple[int, bytes]]]


def _addresses(target: _Target, by: float) -> _Addresses:
    found: list[_Addresses] = []
    failures: list[Exception] = []

    def look_up() -> None:
        try:
            found.append(list(socket.getaddrinfo(target.host, target.port, type=socket.SOCK_STREAM)))
        except Exception as error:  # noqa: BLE001 - raised below; nothing may be printed by the thread
            failures.append(error)

    thread = threading.Thread(target=look_up, daemon=True)
    thread.start()
    thread.join(_left(by))
    if failures:
        raise failures[0]
    if not found:
        raise TimeoutError
    return found[0]


def _secure(sock: socket.socket, tls: ssl.SSLContext, host: str, by: float) -> ssl.SSLSocket:
    """Return the connection in TLS, verified. Raises `TimeoutError`, `OSError` and `ValueError`; then it is closed.

    An end without TLS's own farewell is an error: it may be somebody in between who cuts the answer short.
    """
    with sock:  # which wrap_socket empties: what it returns holds the connection
        sock.settimeout(_left(by))  # holds for the handshake as a whole
        return tls.wrap_socket(sock, server_hostname=host, suppress_ragged_eofs=False)


def _headers(response: http.client.HTTPResponse) -> dict[str, str]:
    """Return the headers by lower-case name. Raises `UpstreamFault` where status or headers leave a doubt."""
    headers: dict[str, str] = {}
    unread = response.headers.get_payload()  # from a line on that is no header
    for name, value in response.headers.items():
        known = headers.get(name.lower())
        headers[name.lower()] = value.strip() if known is None else f"{known}, {value.strip()}"
    transfer, length = headers.get("transfer-encoding"), headers.get("content-length")
    if (
        not 200 <= response.status <= 599  # noqa: PLR2004 - 1xx but 100 is no answer, and nobody has asked for it
        or any(_CONTROL.search(name + value) for name, value in headers.items())
        or (isinstance(unread, str) and unread)
        or (transfer is not None and (transfer.lower() != "chunked" or length is not None))
        or (length is not None and not _LENGTH.fullmatch(length))
    ):
        raise UpstreamFault("not_http")
    return headers


# The first row that fits: each is an OSError too.
_REASONS: tuple[tuple[type[Exception], str], ...] = (
    (TimeoutError, "timeout"),
    (ssl.SSLEOFError, "closed"),
    (ssl.SSLError, "tls"),
    (OSError, "closed"),
)


def _reason(error: Exception, wire: _Wire) -> str:
    """Return the reason code of an exception of http.client or the socket."""
    if not wire.sent:
        return "connect_timeout" if isinstance(error, TimeoutError) else "request"
    cut_or_garbage = "closed" if wire.ended else "not_http"
    return next((reason for kind, reason in _REASONS if isinstance(error, kind)), cut_or_garbage)
