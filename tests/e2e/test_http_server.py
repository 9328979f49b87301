import json
import select
import signal
import socket
import threading
from collections.abc import Iterator
from http.client import HTTPConnection, IncompleteRead, RemoteDisconnected

import pytest

from local import http_faults, http_server
from local.http_router import Answer, Request, Response, Router, json_response
from local.http_server import MAX_BODY_BYTES, Server, serve_until_stopped
from tests.e2e.token_lifecycle import until

OK = Response(200, b"body")
SECONDS = 20.0  # what a client waits at most; longer than any answer takes


class Simulator:
    """Echoes requests, and breaks the rules where it is asked to."""

    def __init__(self) -> None:
        self.entered = threading.Event()
        self.router = Router(cors=True)
        self.router.add("POST", "/echo", self.echo)
        self.router.add("GET", "/echo", self.echo)
        self.router.add("GET", "/mistake", self.mistake)
        self.router.add("GET", "/hang", self.hang)
        self.router.add("GET", "/cut", lambda _: http_faults.cut(OK, after_bytes=2))
        self.router.add("GET", "/drip", lambda _: http_faults.drip(OK, chunk_bytes=7, every_seconds=0.001))
        self.router.add("GET", "/reset", lambda _: http_faults.reset())
        self.router.add("GET", "/raw", lambda _: http_faults.raw(b"SSH-2.0-nonsense\r\n"))
        self.router.add("GET", "/close", lambda _: http_faults.raw(b""))

    def echo(self, request: Request) -> Answer:
        headers = [[name, value] for name, value in request.headers if name.startswith("X-")]
        return json_response(200, {"query": request.query, "headers": headers, "body": request.body.decode()})

    def mistake(self, _: Request) -> Answer:
        raise RuntimeError("a mistake")

    def hang(self, _: Request) -> Answer:
        self.entered.set()
        return http_faults.hang(3600)


@pytest.fixture
def simulator() -> Simulator:
    return Simulator()


@pytest.fixture
def server(simulator: Simulator) -> Iterator[Server]:
    with Server(0, simulator.router, name="test") as server:
        yield server


@pytest.fixture
def client(server: Server) -> Iterator[HTTPConnection]:
    client = HTTPConnection("127.0.0.1", server.server_port, timeout=SECONDS)
    yield client
    client.close()


def exchange(server: Server, data: bytes) -> bytes:
    """Send bytes, and return everything that comes back before the server closes."""
    with socket.create_connection(("127.0.0.1", server.server_port), SECONDS) as connection:
        connection.sendall(data)
        received = b""
        while chunk := connection.recv(65_536):
            received += chunk
        return received


def status(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1])


def test_it_listens_on_loopback_alone(server: Server) -> None:
    assert server.socket.getsockname()[0] == "127.0.0.1"
    assert server.url == f"http://127.0.0.1:{server.server_port}"


def test_a_handler_gets_the_request_as_it_came(client: HTTPConnection) -> None:
    client.putrequest("POST", "/echo?a=%20b")
    for name, value in (("X-One", "1"), ("X-Two", "é"), ("X-One", "2"), ("Content-Length", "2")):
        client.putheader(name, value.encode("latin-1"))
    client.endheaders(b"hi")
    assert json.load(client.getresponse()) == {
        "query": "a=%20b",
        "headers": [["X-One", "1"], ["X-Two", "é"], ["X-One", "2"]],
        "body": "hi",
    }


def test_a_connection_serves_many_requests(client: HTTPConnection) -> None:
    client.request("POST", "/echo", b"first")
    first = client.getresponse()
    assert json.load(first)["body"] == "first"
    assert client.sock is not None, "kept open"
    client.request("DELETE", "/echo", b"not read by any handler")
    refused = client.getresponse()
    assert (refused.status, refused.read()) == (405, b'{"error":"method_not_allowed"}')
    client.request("HEAD", "/echo")
    head = client.getresponse()
    assert (head.status, head.read(), head.headers["Content-Length"]) == (200, b"", "35")
    client.request("GET", "/echo")
    assert client.getresponse().status == 200


@pytest.mark.parametrize(
    ("request_bytes", "expected"),
    [
        (b"\r\n", 400),
        (b"GET\r\n\r\n", 400),
        (b"\x00\xff\x80\r\n\r\n", 400),
        (b"GET / HTTP/x\r\n\r\n", 400),
        (b"GET / HTTP/2.0\r\n\r\n", 400),
        (b"GET http://[ HTTP/1.1\r\n\r\n", 400),
        (b"GET /" + b"a" * 70_000 + b" HTTP/1.1\r\n\r\n", 414),
        (b"GET / HTTP/1.1\r\nA: " + b"a" * 70_000 + b"\r\n\r\n", 431),
        (b"GET / HTTP/1.1\r\n" + b"A: a\r\n" * 200 + b"\r\n", 431),
        (b"POST /echo HTTP/1.1\r\nContent-Length: x\r\n\r\n", 400),
        (b"POST /echo HTTP/1.1\r\nContent-Length: -1\r\n\r\n", 400),
        (b"POST /echo HTTP/1.1\r\nContent-Length: +1\r\n\r\n", 400),
        (b"POST /echo HTTP/1.1\r\nContent-Length: \xb2\r\n\r\n", 400),
        (b"POST /echo HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", 400),
        (b"POST /echo HTTP/1.1\r\nContent-Length: " + b"9" * 5000 + b"\r\n\r\n", 413),
        (b"POST /echo HTTP/1.1\r\nContent-Length: 16385\r\nExpect: 100-continue\r\n\r\n", 413),
        (b"POST /echo HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 411),
    ],
)
def test_what_cannot_be_read_is_refused_and_the_connection_closed(
    server: Server, request_bytes: bytes, expected: int
) -> None:
    answer = exchange(server, request_bytes)
    assert status(answer) == expected
    assert b"\r\nConnection: close\r\n" in answer
    assert b"\r\nAccess-Control-Allow-Origin: *\r\n" in answer


def test_a_body_at_the_limit_is_read(client: HTTPConnection) -> None:
    client.request("POST", "/echo", b"x" * MAX_BODY_BYTES)
    assert len(json.load(client.getresponse())["body"]) == MAX_BODY_BYTES


def test_a_client_that_sends_far_too_much_reads_the_refusal_and_no_reset(server: Server) -> None:
    with socket.create_connection(("127.0.0.1", server.server_port), SECONDS) as connection:
        connection.sendall(b"POST /echo HTTP/1.1\r\nContent-Length: 900000\r\n\r\n" + b"x" * 100_000)
        answer = b""
        while chunk := connection.recv(65_536):
            answer += chunk
        assert status(answer) == 413
        poll = select.poll()
        poll.register(connection, 0)  # no events but errors
        assert poll.poll(100) == []
        connection.sendall(b"x" * 800_000)
        assert poll.poll(0) == []


def test_a_small_answer_is_not_held_back_for_a_larger_one(server: Server, client: HTTPConnection) -> None:
    client.request("GET", "/echo")
    assert client.getresponse().read()
    (connection,) = server._connections
    assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_a_body_is_asked_for_when_the_client_waits_to_be_asked(server: Server) -> None:
    with socket.create_connection(("127.0.0.1", server.server_port), SECONDS) as connection:
        connection.sendall(b"POST /echo HTTP/1.1\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n")
        assert connection.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(b"hi")
        assert b"200 OK" in connection.recv(1000)


def test_an_old_client_gets_its_answer_and_the_end_of_the_connection(server: Server) -> None:
    assert status(exchange(server, b"GET /echo HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")) == 200


def test_a_mistake_in_a_simulator_is_a_500_and_a_traceback(
    client: HTTPConnection, capsys: pytest.CaptureFixture[str]
) -> None:
    client.request("GET", "/mistake")
    answer = client.getresponse()
    assert (answer.status, answer.read()) == (500, b'{"error":"internal_server_error"}')
    assert "RuntimeError: a mistake" in capsys.readouterr().err


def test_a_cut_answer_ends_before_its_announced_length(client: HTTPConnection) -> None:
    client.request("GET", "/cut")
    with pytest.raises(IncompleteRead) as read:
        client.getresponse().read()
    assert read.value.partial == b"bo"


def test_a_dripped_answer_arrives_whole(client: HTTPConnection) -> None:
    client.request("GET", "/drip")
    assert client.getresponse().read() == b"body"


def test_a_reset_is_a_reset(client: HTTPConnection) -> None:
    client.request("GET", "/reset")
    with pytest.raises(ConnectionResetError) as raised:
        client.getresponse()
    assert not isinstance(raised.value, RemoteDisconnected), "that is an orderly close"


def test_a_close_is_no_reset(client: HTTPConnection) -> None:
    client.request("GET", "/close")
    with pytest.raises(RemoteDisconnected):
        client.getresponse()


def test_anything_can_be_sent(server: Server) -> None:
    assert exchange(server, b"GET /raw HTTP/1.1\r\n\r\n") == b"SSH-2.0-nonsense\r\n"


def test_a_request_leaves_one_short_line_without_its_query_headers_or_body(
    simulator: Simulator, capsys: pytest.CaptureFixture[str]
) -> None:
    with Server(0, simulator.router, name="test") as server:
        exchange(
            server,
            b"POST /echo/\x1b?query-secret HTTP/1.0\r\n"
            b"Authorization: header-secret\r\nContent-Length: 11\r\n\r\nbody-secret",
        )
    log = capsys.readouterr().err
    assert log.startswith("test: POST /echo/\\x1b 404 ")
    assert log.endswith(" ms\n")
    assert log.count("\n") == 1
    assert "secret" not in log


@pytest.mark.parametrize(
    "begun", [b"", b"GET /ec", b"POST /echo HTTP/1.1\r\nContent-Length: 9\r\n\r\nabc", b"GET /echo HTTP/1.1\r\n\r\n"]
)
def test_a_client_that_disconnects_leaves_no_traceback(
    simulator: Simulator, begun: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    with Server(0, simulator.router, name="test") as server:
        with socket.create_connection(("127.0.0.1", server.server_port), SECONDS) as connection:
            connection.sendall(begun)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
        assert status(exchange(server, b"GET /echo HTTP/1.0\r\n\r\n")) == 200
    assert "Traceback" not in capsys.readouterr().err


def test_a_client_that_says_nothing_is_closed_when_its_time_is_up(
    simulator: Simulator, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(http_server._Connection, "timeout", 0.05)
    with Server(0, simulator.router, name="test") as server:
        assert exchange(server, b"") == b""
        assert exchange(server, b"POST /echo HTTP/1.1\r\nContent-Length: 9\r\n\r\n") == b""
    assert "Traceback" not in capsys.readouterr().err


def test_stopping_ends_idle_and_hanging_connections_and_all_threads(simulator: Simulator) -> None:
    before = set(threading.enumerate())
    with Server(0, simulator.router, name="test") as server:
        address = ("127.0.0.1", server.server_port)
        idle = socket.create_connection(address, SECONDS)
        hanging = socket.create_connection(address, SECONDS)
        idle.sendall(b"GET /echo HTTP/1.1\r\n\r\n")
        hanging.sendall(b"GET /hang HTTP/1.1\r\n\r\n")
        assert status(idle.recv(1000)) == 200
        assert simulator.entered.wait(SECONDS)
    with idle, hanging:
        assert (idle.recv(1), hanging.recv(1)) == (b"", b"")
    until(lambda: set(threading.enumerate()) <= before, "the end of its threads")
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(address, SECONDS)


def test_a_taken_port_is_an_error_at_once(server: Server, simulator: Simulator) -> None:
    with pytest.raises(OSError, match="in use"):
        Server(server.server_port, simulator.router, name="second")


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
def test_a_simulator_serves_until_a_signal_and_returns(simulator: Simulator, signum: signal.Signals) -> None:
    server = Server(0, simulator.router, name="test")
    answers: list[int] = []

    def use_and_stop() -> None:
        answers.append(status(exchange(server, b"GET /echo HTTP/1.0\r\n\r\n")))
        signal.pthread_kill(threading.main_thread().ident or 0, signum)

    user = threading.Thread(target=use_and_stop)
    user.start()
    serve_until_stopped(server)
    user.join()
    assert answers == [200]
    assert server.socket.fileno() == -1
