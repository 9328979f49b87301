"""The transport against peers that do whatever a peer can do, over real connections on loopback."""

import contextlib
import gc
import ipaddress
import itertools
import os
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from gatehouse.http_transport import MAX_ANSWER_BYTES, HttpTransport
from gatehouse.upstream import UpstreamAnswer, UpstreamFault, UpstreamRequest
from local.integration_api.faults import FaultName
from local.integration_api.server import IntegrationApiServer
from local.integration_api.settings import Credentials
from tests.e2e.token_lifecycle import until

LOOPBACK = "127.0.0.1"
PLENTY_SECONDS = 30.0
SHORT_SECONDS = 0.4
GENEROUS_SECONDS = 15.0  # what a call may take longer on a busy machine; a peer hangs for twice as long
DRIP_SECONDS = 0.05
MARK = "SENTINEL-of-the-peer"
SECRET = "SENTINEL-of-ours"

ANSWER = b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 11\r\n\r\n{"ok":true}'
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.fixture(autouse=True)
def _nothing_left_behind(caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]) -> Iterator[None]:
    """No thread, no socket, no line of log, nothing printed."""
    gc.collect()
    threads, files = set(threading.enumerate()), _open_files()
    caplog.set_level("DEBUG")
    yield
    gc.collect()  # a socket that was not closed is a ResourceWarning, and so an error
    until(lambda: set(threading.enumerate()) <= threads, "the end of its threads")
    assert _open_files() <= files
    assert caplog.records == []
    lines = [line for stream in capfd.readouterr() for line in stream.splitlines()]
    assert [line for line in lines if line and "integration_api: " not in line] == []


def _open_files() -> set[str]:
    return {file.name for file in Path("/proc/self/fd").iterdir() if file.is_symlink()}  # the listing itself is gone


class Line:
    """A peer's end of a connection. Whatever the client does to it is the peer's own fault."""

    def __init__(self, connection: socket.socket, stop: threading.Event) -> None:
        self.connection = connection
        self._stop = stop

    def read_request(self) -> bytes:
        data = b""
        while b"\r\n\r\n" not in data and (more := self.connection.recv(65_536)):
            data += more
        return data

    def send(self, data: bytes) -> None:
        self.connection.sendall(data)

    def hang(self) -> None:
        self._stop.wait(PLENTY_SECONDS)

    def drip(self, data: bytes) -> None:
        for byte in data:
            self.send(bytes([byte]))
            if self._stop.wait(DRIP_SECONDS):
                return

    def drip_for_ever(self, data: bytes) -> None:
        while not self._stop.is_set():
            self.drip(data)

    def flood(self, data: bytes) -> None:
        while not self._stop.is_set():
            self.send(data)

    def reset(self) -> None:
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


type Behaviour = Callable[[Line], None]


class Peer(NamedTuple):
    """A listening peer and the requests that it has read."""

    port: int
    requests: list[bytes]

    @property
    def url(self) -> str:
        return f"http://{LOOPBACK}:{self.port}/path?a=1"


@contextlib.contextmanager
def peer(behaviour: Behaviour, *, reads: bool = True, tls: ssl.SSLContext | None = None) -> Iterator[Peer]:
    """Serve connections one after the other, each to its end, until the test leaves."""
    stop, requests = threading.Event(), list[bytes]()
    with socket.create_server((LOOPBACK, 0)) as listener:

        def serve_one(connection: socket.socket) -> None:
            if tls is not None:
                connection = tls.wrap_socket(connection, server_side=True)
            with connection:
                line = Line(connection, stop)
                if reads:
                    requests.append(line.read_request())
                behaviour(line)

        def serve() -> None:
            while True:
                connection, _ = listener.accept()
                if stop.is_set():
                    connection.close()
                    return
                connection.settimeout(PLENTY_SECONDS)
                with contextlib.suppress(OSError), connection:
                    serve_one(connection)

        thread = threading.Thread(target=serve)
        thread.start()
        port = listener.getsockname()[1]
        try:
            yield Peer(port, requests)
        finally:
            stop.set()
            socket.create_connection((LOOPBACK, port), PLENTY_SECONDS).close()
            thread.join()


def send(url: str, timeout: float = PLENTY_SECONDS, method: str = "GET", **options: Any) -> UpstreamAnswer:
    transport = options.pop("transport", None) or HttpTransport()
    headers = options.pop("headers", {"Authorization": f"Bearer {SECRET}"})
    answer = transport.send(UpstreamRequest(method, url, headers, **options), timeout)
    assert isinstance(answer, UpstreamAnswer)
    return answer


def fault(url: str, timeout: float = PLENTY_SECONDS, **options: Any) -> tuple[str, bool]:
    started = time.monotonic()
    with pytest.raises(UpstreamFault) as caught:
        send(url, timeout, **options)
    assert time.monotonic() - started < timeout + GENEROUS_SECONDS
    assert MARK not in str(caught.value)
    assert SECRET not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__ or caught.value.__context__ is None
    return caught.value.reason, caught.value.sent


def says(data: bytes) -> Behaviour:
    return lambda line: line.send(data)


def first(data: bytes, then: Behaviour) -> Behaviour:
    def behave(line: Line) -> None:
        line.send(data)
        then(line)

    return behave


# Answers


def test_a_request_arrives_as_it_was_asked_and_its_answer_as_it_was_given() -> None:
    with peer(says(ANSWER)) as there:
        headers = {"X-Target-Server": "integration", "Content-Type": "application/json"}
        answer = send(there.url, method="POST", headers=headers, body=b"{}")
    assert answer == UpstreamAnswer(200, {"content-type": "application/json", "content-length": "11"}, b'{"ok":true}')
    head = there.requests[0].partition(b"\r\n\r\n")[0].decode().split("\r\n")
    assert head[0] == "POST /path?a=1 HTTP/1.1"
    assert sorted(head[1:]) == [
        "Accept-Encoding: identity",
        "Accept: application/json",
        "Content-Length: 2",
        "Content-Type: application/json",
        f"Host: {LOOPBACK}:{there.port}",
        "User-Agent: gatehouse",
        "X-Target-Server: integration",
    ]


@pytest.mark.parametrize(
    "data",
    [
        b"HTTP/1.1 200 OK\r\n\r\nabcdef",  # ends by closing
        b"HTTP/1.0 200 OK\r\n\r\nabcdef",
        b"HTTP/1.1 200\r\nConnection: close\r\nContent-Length: 6\r\n\r\nabcdef",
        b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nabcdefSTRAY",
        b"HTTP/1.1 200 OK\nContent-Length: 6\n\nabcdef",
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nabcdef",
        CHUNKED + b"3\r\nabc\r\n3;x=y\r\ndef\r\n0\r\n\r\n",
        CHUNKED + b"6\r\nabcdef\r\n0\r\nTrailer: x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Type: multipart/mixed; boundary=x\r\nContent-Length: 6\r\n\r\nabcdef",
        b"HTTP/1.1 200 OK\r\nContent-Encoding: identity\r\nContent-Length: 6\r\n\r\nabcdef",
    ],
)
def test_every_framing_of_a_body_is_read(data: bytes) -> None:
    with peer(says(data)) as there:
        assert send(there.url).body == b"abcdef"


def test_headers_that_come_twice_are_joined() -> None:
    with peer(says(b"HTTP/1.1 200 OK\r\nVary: a\r\nvary:  b \r\nContent-Length: 0\r\n\r\n")) as there:
        assert send(there.url).headers["vary"] == "a, b"


@pytest.mark.parametrize(
    ("method", "status", "headers"),
    [
        ("HEAD", 200, b"Content-Length: 5000000\r\nContent-Encoding: gzip\r\n"),
        ("HEAD", 200, b"Transfer-Encoding: chunked\r\n"),
        ("GET", 204, b"Content-Length: 7\r\n"),
        ("DELETE", 204, b""),
        ("GET", 204, b"Transfer-Encoding: chunked\r\n"),
        ("GET", 304, b"Content-Length: 5000000\r\n"),
    ],
)
def test_an_answer_that_has_no_body_is_complete_with_its_headers(method: str, status: int, headers: bytes) -> None:
    with peer(first(b"HTTP/1.1 %d X\r\n%b\r\n" % (status, headers), Line.hang)) as there:
        answer = send(there.url, method=method)
    assert (answer.status, answer.body) == (status, b"")


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_is_an_answer_and_is_not_followed(status: int) -> None:
    with peer(says(ANSWER)) as elsewhere:
        data = f"HTTP/1.1 {status} Go\r\nLocation: {elsewhere.url}\r\nContent-Length: 0\r\n\r\n".encode()
        with peer(says(data)) as there:
            assert send(there.url).status == status
    assert elsewhere.requests == []


# Faults


def test_an_address_where_nobody_listens_is_no_connection() -> None:
    with socket.create_server((LOOPBACK, 0)) as listener:
        port = listener.getsockname()[1]
    assert fault(f"http://{LOOPBACK}:{port}/") == ("connect", False)


@contextlib.contextmanager
def full_queue() -> Iterator[tuple[str, int]]:
    """Yield an address that lets everybody wait for a connection: from the second or so on, Linux does not answer."""
    with contextlib.ExitStack() as stack:
        address = stack.enter_context(socket.create_server((LOOPBACK, 0), backlog=0)).getsockname()
        for _ in range(4):
            waiting = stack.enter_context(socket.socket())
            waiting.settimeout(0)
            waiting.connect_ex(address)
        yield address


def resolve_to(monkeypatch: pytest.MonkeyPatch, *addresses: tuple[str, int]) -> None:
    rows = [(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", address) for address in addresses]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_args, **_options: rows)


def test_a_peer_whose_queue_is_full_is_no_connection_in_time() -> None:
    with full_queue() as (host, port):
        assert fault(f"http://{host}:{port}/", SHORT_SECONDS) == ("connect_timeout", False)


def test_an_address_that_does_not_answer_leaves_time_for_the_next_one(monkeypatch: pytest.MonkeyPatch) -> None:
    with full_queue() as silent, peer(says(ANSWER)) as there, monkeypatch.context() as patch:
        resolve_to(patch, silent, (LOOPBACK, there.port))
        assert send("http://name.invalid/", PLENTY_SECONDS).status == 200


def test_a_call_without_time_is_not_begun() -> None:
    with peer(says(ANSWER)) as there:
        assert fault(there.url, 0) == ("connect_timeout", False)
        assert fault(there.url, -1) == ("connect_timeout", False)
    assert there.requests == []


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_time_that_ends_before_the_first_byte_means_that_nothing_was_sent(
    monkeypatch: pytest.MonkeyPatch, scheme: str
) -> None:
    real = socket.socket.connect

    def slow(sock: socket.socket, address: Any) -> None:
        real(sock, address)
        assert not threading.Event().wait(SHORT_SECONDS)

    with peer(says(ANSWER)) as there:
        monkeypatch.setattr(socket.socket, "connect", slow)
        assert fault(there.url.replace("http", scheme), SHORT_SECONDS) == ("connect_timeout", False)
        monkeypatch.undo()
    assert there.requests == [b""]


@pytest.mark.parametrize("error", [socket.gaierror(-2, MARK), UnicodeError(MARK), OSError(MARK), RuntimeError(MARK)])
def test_a_name_without_an_address_is_no_connection(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def fail(*_args: object, **_options: object) -> None:
        raise error

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    assert fault("http://name.invalid/") == ("connect", False)


@pytest.mark.parametrize("url", ["http://" + "a" * 64 + ".invalid/", "http://a..invalid/"])
def test_a_name_that_cannot_be_one_is_no_connection(url: str) -> None:
    assert fault(url) == ("connect", False)


def test_a_name_with_an_empty_list_of_addresses_is_no_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_args, **_options: [])
    assert fault("http://name.invalid/") == ("connect", False)


def test_no_thread_to_be_had_is_no_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", fail)
    assert fault("http://name.invalid/") == ("connect", False)


def test_a_slow_resolver_does_not_hold_the_caller_and_nothing_is_sent_when_it_comes_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    real, back, begun = socket.getaddrinfo, threading.Event(), list[threading.Thread]()

    def slow(*args: Any, **options: Any) -> Any:
        begun.append(threading.current_thread())
        back.wait(PLENTY_SECONDS)
        return real(*args, **options)

    monkeypatch.setattr(socket, "getaddrinfo", slow)
    with peer(says(ANSWER)) as there:
        try:
            assert fault(there.url, SHORT_SECONDS) == ("connect_timeout", False)
        finally:
            back.set()
            begun[0].join()
            monkeypatch.undo()
    assert there.requests == []


def test_where_the_first_address_refuses_the_next_one_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server((LOOPBACK, 0)) as listener:
        refusing = listener.getsockname()
    with peer(says(ANSWER)) as there, monkeypatch.context() as patch:
        resolve_to(patch, refusing, (LOOPBACK, there.port))
        assert send("http://name.invalid/").status == 200


def fault_of(behaviour: Behaviour, timeout: float = PLENTY_SECONDS, **options: Any) -> tuple[str, bool]:
    with peer(behaviour) as there:
        return fault(there.url, timeout, **options)


HANGS: dict[str, Behaviour] = {
    "before the status line": Line.hang,
    "in the status line": first(b"HTTP/1.1 20", Line.hang),
    "in the headers": first(b"HTTP/1.1 200 OK\r\nContent-", Line.hang),
    "before the body": first(ANSWER[:-11], Line.hang),
    "in the body": first(ANSWER[:-1], Line.hang),
    "in a chunk": first(CHUNKED + b"5\r\nabc", Line.hang),
    "in a body that ends by closing": first(b"HTTP/1.1 200 OK\r\n\r\nabc", Line.hang),
    "dripping the status line": lambda line: line.drip(ANSWER),
    "dripping headers for ever": first(b"HTTP/1.1 200 OK\r\nA: ", lambda line: line.drip_for_ever(b"a")),
    "dripping the body": first(CHUNKED, lambda line: line.drip_for_ever(b"1\r\na\r\n")),
    "dripping trailers": first(CHUNKED + b"0\r\n", lambda line: line.drip_for_ever(b"A: b\r\n")),
    "flooding with interim answers": lambda line: line.flood(b"HTTP/1.1 100 Continue\r\n\r\n"),
    "flooding with trailers": first(CHUNKED + b"0\r\n", lambda line: line.flood(b"A: b\r\n")),
}


@pytest.mark.parametrize("behaviour", HANGS.values(), ids=HANGS)
def test_a_peer_that_takes_for_ever_is_cut_off_in_time(behaviour: Behaviour) -> None:
    assert fault_of(behaviour, SHORT_SECONDS) == ("timeout", True)


def test_a_peer_that_does_not_read_the_request_is_cut_off_in_time() -> None:
    with peer(Line.hang, reads=False) as there:
        assert fault(there.url, SHORT_SECONDS, method="PUT", body=bytes(32 * 1024 * 1024)) == ("timeout", True)


CUTS: dict[str, Behaviour] = {
    "without an answer": lambda _: None,
    "with a reset": Line.reset,
    "in the status line": says(b"HTTP/1.1 20"),
    "in the reason": says(b"HTTP/1.1 200 O"),
    "after the status line": says(b"HTTP/1.1 200 OK\r\n"),
    "in a header": says(b"HTTP/1.1 200 OK\r\nContent-Type: applica"),
    "before the end of the headers": says(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"),
    "before the body": says(ANSWER[:-11]),
    "in the body": says(ANSWER[:-1]),
    "before a chunk": says(CHUNKED),
    "in the size of a chunk": says(CHUNKED + b"0"),
    "in a chunk": says(CHUNKED + b"5\r\nabc"),
    "after a chunk": says(CHUNKED + b"3\r\nabc"),
    "between chunks": says(CHUNKED + b"3\r\nabc\r\n"),
    "before the end of the trailers": says(CHUNKED + b"3\r\nabc\r\n0\r\n"),
}


@pytest.mark.parametrize("behaviour", CUTS.values(), ids=CUTS)
def test_an_answer_that_is_cut_off_is_closed(behaviour: Behaviour) -> None:
    assert fault_of(behaviour) == ("closed", True)


@pytest.mark.parametrize(
    "data",
    [
        f"{MARK}\r\n\r\n".encode(),
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b"\x00\xff\xfe\r\n" * 50,
        b"\r\n\r\n\r\n",
        b"HTTP/2 200 OK\r\n\r\n",
        b"HTTP/1.1 abc OK\r\n\r\n",
        b"HTTP/1.1 099 OK\r\n\r\n",
        b"HTTP/1.1 600 OK\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
        b"HTTP/1.1 103 Early Hints\r\n\r\n" + ANSWER,
        b"HTTP/1.1 200 OK\r\n" + f"{MARK} is no header\r\nContent-Length: 0\r\n\r\n".encode(),
        b"HTTP/1.1 200 OK\r\nContent-Length : 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nA: b\r\n folded\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nA: \x1b[2J\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 11\r\nContent-Length: 12\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: +1\r\n\r\na",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1_0\r\n\r\nabcdefghij",
        b"HTTP/1.1 200 OK\r\nContent-Length: " + b"9" * 5_000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\nabc",
        CHUNKED + f"{MARK}\r\nabc\r\n0\r\n\r\n".encode(),
        b"HTTP/1.1 200 " + b"a" * 70_000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nA: " + b"a" * 70_000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 200 + b"\r\n",
        CHUNKED + b"1;" + b"a" * 70_000 + b"\r\n",
    ],
    ids=lambda data: ascii(data[:40]),
)
def test_whatever_is_not_http_is_one_known_fault(data: bytes) -> None:
    assert fault_of(first(data, Line.hang)) == ("not_http", True)


@pytest.mark.parametrize("coding", ["gzip", "br", "identity, gzip", "GZIP"])
def test_a_compressed_body_is_not_read(coding: str) -> None:
    data = f"HTTP/1.1 200 OK\r\nContent-Encoding: {coding}\r\nContent-Length: 3\r\n\r\nabc".encode()
    assert fault_of(says(data)) == ("content_encoding", True)


LARGE = b"a" * (MAX_ANSWER_BYTES + 1)


@pytest.mark.parametrize(
    "behaviour",
    [
        first(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(LARGE), Line.hang),
        says(b"HTTP/1.1 200 OK\r\n\r\n" + LARGE),
        says(CHUNKED + b"%x\r\n" % len(LARGE) + LARGE + b"\r\n0\r\n\r\n"),
        first(CHUNKED, lambda line: line.flood(b"1\r\na\r\n")),
    ],
    ids=["announced", "until closed", "one chunk", "chunks for ever"],
)
def test_a_body_over_the_limit_is_not_read_to_its_end(behaviour: Behaviour) -> None:
    assert fault_of(behaviour) == ("too_large", True)


@pytest.mark.parametrize("limit", [len(LARGE), 4 * 1024 * 1024])
def test_the_limit_is_the_callers(limit: int) -> None:
    with peer(says(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(LARGE) + LARGE)) as there:
        assert send(there.url, transport=HttpTransport(max_answer_bytes=limit)).body == LARGE


@pytest.mark.parametrize(
    ("method", "url", "headers"),
    [
        ("GET", "ftp://127.0.0.1/", {}),
        ("GET", "127.0.0.1/", {}),
        ("GET", "http://", {}),
        ("GET", "http:///path", {}),
        ("GET", "http://127.0.0.1:99999/", {}),
        ("GET", "http://[::1/", {}),
        ("GET", "{url}&b=\n", {}),
        ("GET", "{url}&b=c d", {}),
        ("GET", "{url}&b=é", {}),
        ("GET /elsewhere HTTP/1.1\r\nX: y", "{url}", {}),
        ("GET", "{url}", {"Authorization": f"Bearer {SECRET}\r\nX: y"}),
        ("GET", "{url}", {"Authorization": f"Bearer {SECRET}\n"}),
        ("GET", "{url}", {"Authorization": f"Bearer {SECRET}…"}),
        ("GET", "{url}", {"Bad Name\n": SECRET}),
        ("GET", "{url}", {"X": None}),
    ],
)
def test_a_request_that_is_no_http_is_not_sent(method: str, url: str, headers: dict[str, str]) -> None:
    with peer(says(ANSWER)) as there:
        assert fault(url.replace("{url}", there.url), method=method, headers=headers) == ("request", False)
    assert set(there.requests) <= {b""}


# TLS


class Authority(NamedTuple):
    """A certificate authority, and where its files are."""

    folder: Path
    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate

    @property
    def trusted(self) -> ssl.SSLContext:
        """What a client has that trusts this authority alone."""
        return ssl.create_default_context(cadata=self.certificate.public_bytes(serialization.Encoding.PEM).decode())

    def server(self, name: str, *, days: int = 1, self_signed: bool = False) -> ssl.SSLContext:
        """What a server has whose certificate is for this name (or address), and ends in so many days."""
        key = ec.generate_private_key(ec.SECP256R1())
        alternative: x509.GeneralName = x509.DNSName(name)
        with contextlib.suppress(ValueError):
            alternative = x509.IPAddress(ipaddress.ip_address(name))
        issuer, signer = (_name(name), key) if self_signed else (self.certificate.subject, self.key)
        certificate = (
            _certificate(_name(name), issuer, key, days)
            .add_extension(x509.SubjectAlternativeName([alternative]), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False)
            .sign(signer, hashes.SHA256())
        )
        file = self.folder / "server.pem"
        file.write_bytes(_private(key) + certificate.public_bytes(serialization.Encoding.PEM))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(file)
        return context


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, text)])


def _private(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _certificate(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, days: int
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=10))
        .not_valid_after(now + timedelta(days=days))
    )


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    key = ec.generate_private_key(ec.SECP256R1())
    usage = x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=True,
        crl_sign=True,
        encipher_only=False,
        decipher_only=False,
    )
    certificate = (
        _certificate(_name("test authority"), _name("test authority"), key, 1)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(usage, critical=True)
        .sign(key, hashes.SHA256())
    )
    return Authority(tmp_path, key, certificate)


def secure_url(there: Peer) -> str:
    return there.url.replace("http:", "https:")


def test_a_verified_peer_is_called_over_tls(authority: Authority) -> None:
    transport = HttpTransport(authority.trusted)
    with peer(says(ANSWER), tls=authority.server(LOOPBACK)) as there:
        assert send(secure_url(there), transport=transport).body == b'{"ok":true}'
        assert send(secure_url(there), transport=transport).status == 200
    assert f"Host: {LOOPBACK}:{there.port}\r\n".encode() in there.requests[0]


@pytest.mark.parametrize(
    ("name", "options"),
    [
        (LOOPBACK, {"self_signed": True}),
        ("127.0.0.2", {}),
        ("localhost", {}),
        (LOOPBACK, {"days": -1}),
    ],
    ids=["self-signed", "another address", "another name", "expired"],
)
def test_a_peer_that_cannot_be_verified_gets_nothing(authority: Authority, name: str, options: Any) -> None:
    with peer(says(ANSWER), tls=authority.server(name, **options)) as there:
        assert fault(secure_url(there), transport=HttpTransport(authority.trusted)) == ("tls", False)
    assert there.requests == []


def test_without_a_context_of_its_own_the_systems_trust_store_decides(authority: Authority) -> None:
    with peer(says(ANSWER), tls=authority.server(LOOPBACK)) as there:
        assert fault(secure_url(there)) == ("tls", False)


def test_a_peer_that_speaks_an_old_tls_gets_nothing(authority: Authority) -> None:
    old = authority.server(LOOPBACK)
    new = authority.trusted
    old.maximum_version = ssl.TLSVersion.TLSv1_2
    new.minimum_version = ssl.TLSVersion.TLSv1_3
    with peer(says(ANSWER), tls=old) as there:
        assert fault(secure_url(there), transport=HttpTransport(new)) == ("tls", False)


@pytest.mark.parametrize(
    "behaviour",
    [says(b"HTTP/1.1 400 Bad Request\r\n\r\n"), says(b""), Line.reset, says(b"\x16\x03\x01")],
    ids=["plain HTTP", "the end", "a reset", "half a record"],
)
def test_a_handshake_that_fails_is_tls_and_nothing_was_sent(authority: Authority, behaviour: Behaviour) -> None:
    def behave(line: Line) -> None:
        line.connection.recv(65_536)
        behaviour(line)

    with peer(behave, reads=False) as there:
        assert fault(secure_url(there), transport=HttpTransport(authority.trusted)) == ("tls", False)


@pytest.mark.parametrize(
    "behaviour",
    [Line.hang, lambda line: line.drip_for_ever(b"\x16\x03\x03\x40\x00" + bytes(99))],
    ids=["hanging", "dripping"],
)
def test_a_handshake_that_takes_for_ever_is_cut_off_in_time(authority: Authority, behaviour: Behaviour) -> None:
    with peer(behaviour, reads=False) as there:
        reason = fault(secure_url(there), SHORT_SECONDS, transport=HttpTransport(authority.trusted))
    assert reason == ("connect_timeout", False)


def test_a_peer_that_hangs_behind_tls_is_cut_off_in_time(authority: Authority) -> None:
    with peer(Line.hang, tls=authority.server(LOOPBACK)) as there:
        assert fault(secure_url(there), SHORT_SECONDS, transport=HttpTransport(authority.trusted)) == (
            "timeout",
            True,
        )


def test_a_body_that_ends_by_closing_needs_the_farewell_of_tls(authority: Authority) -> None:
    def behave(line: Line) -> None:
        line.send(b"HTTP/1.1 200 OK\r\n\r\nabc")
        if next(farewells):
            assert isinstance(line.connection, ssl.SSLSocket)
            with contextlib.suppress(OSError):
                line.connection.unwrap()

    farewells = itertools.cycle([True, False])
    transport = HttpTransport(authority.trusted)
    with peer(behave, tls=authority.server(LOOPBACK)) as there:
        assert send(secure_url(there), transport=transport).body == b"abc"
        assert fault(secure_url(there), transport=transport) == ("closed", True)


def test_a_record_that_is_altered_on_the_way_is_tls(authority: Authority) -> None:
    def behave(line: Line) -> None:
        line.send(ANSWER[:20])
        raw = socket.socket(fileno=os.dup(line.connection.fileno()))
        with raw:
            raw.sendall(b"\x17\x03\x03\x00\x20" + bytes(32))
            line.hang()

    with peer(behave, tls=authority.server(LOOPBACK)) as there:
        assert fault(secure_url(there), transport=HttpTransport(authority.trusted)) == ("tls", True)


def test_the_host_header_names_a_port_only_where_it_is_not_the_usual_one(
    authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = socket.getaddrinfo
    with peer(says(ANSWER)) as plain, peer(says(ANSWER), tls=authority.server("name.example")) as secure:
        ports = {80: plain.port, 443: secure.port}
        monkeypatch.setattr(
            socket, "getaddrinfo", lambda _host, port, **options: real(LOOPBACK, ports[port], **options)
        )
        send("http://name.example/")
        send("https://name.example/", transport=HttpTransport(authority.trusted))
        monkeypatch.undo()
    for there in (plain, secure):
        assert b"\r\nHost: name.example\r\n" in there.requests[0]


# The simulator's faults


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (FaultName.HANG, ("timeout", True)),
        (FaultName.DRIP, ("timeout", True)),
        (FaultName.CLOSE_MID_BODY, ("closed", True)),
        (FaultName.RESET, ("closed", True)),
        (FaultName.LOST_ANSWER, ("closed", True)),
        (FaultName.TOO_LARGE, ("too_large", True)),
    ],
)
def test_every_fault_of_the_wire_that_the_simulator_has_is_known(name: FaultName, expected: tuple[str, bool]) -> None:
    with IntegrationApiServer(0, Credentials("key", "secret")) as server:
        send(f"{server.url}/_simulator/faults", method="POST", body=f'{{"fault": "{name}"}}'.encode())
        call: dict[str, Any] = {
            "method": "POST",
            "headers": {"X-Target-Server": "authentication", "Content-Type": "application/json"},
            "body": b'{"api_key": "key", "secret_key": "secret"}',
        }
        url = f"{server.url}/api/v1/integration/auth/authenticate"
        assert fault(url, SHORT_SECONDS if expected[0] == "timeout" else PLENTY_SECONDS, **call) == expected
        assert send(url, **call).status == 200
