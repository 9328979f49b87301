"""A small HTTP/1.1 server on loopback that costs as little as a server in Python can.

Owns framing: one thread for each connection, kept open, one request after the other. It reads requests of well-behaved
clients only; what it answers is its owner's business.
"""

import contextlib
import socket
import ssl
import threading
from collections.abc import Callable
from typing import NamedTuple

HOST = "127.0.0.1"
_CHUNK_BYTES = 65536
_END_SECONDS = 5


class Request(NamedTuple):
    """A request."""

    method: str
    path: str
    headers: dict[str, str]  # names in lower case
    body: bytes


class Response(NamedTuple):
    """A response."""

    body: bytes = b""
    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()

    def encode(self) -> bytes:
        """Return it as it goes over the wire."""
        lines = [f"HTTP/1.1 {self.status} X", f"content-length: {len(self.body)}", "content-type: application/json"]
        lines += [f"{name}: {value}" for name, value in self.headers]
        return "\r\n".join(lines).encode() + b"\r\n\r\n" + self.body


type Answer = Callable[[Request], Response]


class LoopbackServer:
    """Answers on a free port of loopback until it is closed."""

    def __init__(self, answer: Answer, tls: ssl.SSLContext | None = None) -> None:
        self._answer = answer
        self._tls = tls
        self._socket = socket.create_server((HOST, 0))
        self.port: int = self._socket.getsockname()[1]
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        """The server's origin."""
        return f"{'https' if self._tls else 'http'}://{HOST}:{self.port}"

    def close(self) -> None:
        """Take no more connections."""
        # First the thread that waits for one ends: its next look would be at whoever has the descriptor's number then.
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._thread.join(_END_SECONDS)
        self._socket.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):  # closed
            while True:
                connection, _ = self._socket.accept()
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, plain: socket.socket) -> None:
        with (
            contextlib.suppress(OSError),
            plain,
            self._tls.wrap_socket(plain, server_side=True) if self._tls else plain as connection,
        ):
            buffer = bytearray()
            while (request := _read(connection, buffer)) is not None:
                connection.sendall(self._answer(request).encode())


def _read(connection: socket.socket, buffer: bytearray) -> Request | None:
    """Return the next request, or None where the client has left."""
    while (end := buffer.find(b"\r\n\r\n")) < 0:
        if not (data := connection.recv(_CHUNK_BYTES)):
            return None
        buffer += data
    first, *lines = bytes(buffer[:end]).decode("latin-1").split("\r\n")
    method, path, _ = first.split(" ", 2)
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    if "chunked" in headers.get("transfer-encoding", ""):
        body, end = _read_chunks(connection, buffer, end + 4)
    else:
        if headers.get("expect"):
            connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        length = int(headers.get("content-length", "0"))
        _fill(connection, buffer, end + 4 + length)
        body, end = bytes(buffer[end + 4 : end + 4 + length]), end + 4 + length
    del buffer[:end]
    return Request(method, path, headers, body)


def _read_chunks(connection: socket.socket, buffer: bytearray, start: int) -> tuple[bytes, int]:
    """Return a chunked body that begins at `start`, and where it ends."""
    body = b""
    while True:
        while (end := buffer.find(b"\r\n", start)) < 0:
            _fill(connection, buffer, len(buffer) + 1)
        size = int(bytes(buffer[start:end]).split(b";")[0], 16)
        start = end + 2
        _fill(connection, buffer, start + size + 2)
        body += buffer[start : start + size]
        start += size + 2
        if not size:
            return body, start


def _fill(connection: socket.socket, buffer: bytearray, length: int) -> None:
    while len(buffer) < length:
        if not (data := connection.recv(_CHUNK_BYTES)):
            raise ConnectionResetError
        buffer += data
