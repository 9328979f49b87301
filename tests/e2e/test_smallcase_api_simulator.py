"""The Gateway API's simulator as a client sees it, over real connections on loopback."""

import dataclasses
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, cast

import jwt
import pytest
import urllib3

from local.http_router import Request, Response, Router
from local.http_server import Server
from local.paths import ROOT
from local.smallcase_api.faults import OF_DETAILS, WITHOUT_EFFECT, FaultName
from local.smallcase_api.server import SmallcaseApiServer
from local.smallcase_api.settings import Identity
from local.smallcase_api.transactions import BROKERS, auth_id_of
from tests.e2e.token_lifecycle import until

IDENTITY = Identity("acme", "signing-key-5f1c2a-0123456789-0123456", "backend-key-9d8e7b-0123456789-0123456")
NEW_IDENTITY = {"gateway_name": "acme-2", "secret": "s" * 32, "api_secret": "a" * 32}
PAGE = {"Origin": "http://127.0.0.1:9", "Access-Control-Request-Method": "POST"}
KIB_64 = 64 * 1024
IN_TIME_SECONDS = 20.0
TOO_SOON_SECONDS = 0.3
ENDED_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class Client:
    """Calls a simulator. Every call has its own connection, no retry, and follows no redirect."""

    url: str
    pool: urllib3.PoolManager

    def call(
        self, method: str, path: str, headers: dict[str, str] | None = None, value: object = None, **options: Any
    ) -> urllib3.BaseHTTPResponse:
        headers = dict(headers or {})
        body = None
        if value is not None:
            body = value if isinstance(value, bytes) else json.dumps(value).encode()
            headers.setdefault("Content-Type", "application/json")
        options = {"timeout": IN_TIME_SECONDS, **options}
        return self.pool.request(
            method, self.url + path, headers=headers, body=body, retries=False, redirect=False, **options
        )

    def start(self, value: object = None, **call: Any) -> urllib3.BaseHTTPResponse:
        return self.call("POST", "/gateway/acme/transaction", presented(), value or {"intent": "CONNECT"}, **call)

    def details(self, transaction_id: str) -> urllib3.BaseHTTPResponse:
        path = f"/v1/acme/engine/transactiondetails?transactionId={transaction_id}"
        return self.call("GET", path, presented())

    def transaction(self) -> str:
        answer = self.start()
        assert answer.status == 200, answer.data
        return str(answer.json()["data"]["transactionId"])

    def control(self, name: str, **members: object) -> dict[str, Any]:
        answer = self.call("POST", f"/_simulator/{name}", value=members)
        assert answer.status == 200, answer.data
        return cast("dict[str, Any]", answer.json())

    def state(self) -> dict[str, Any]:
        return cast("dict[str, Any]", self.call("GET", "/_simulator/state").json())


def presented(identity: Identity = IDENTITY) -> dict[str, str]:
    token = jwt.encode({"guest": True}, identity.secret, algorithm="HS256")
    return {"x-gateway-secret": identity.api_secret, "x-gateway-authtoken": token}


@pytest.fixture(scope="module")
def server() -> Iterator[SmallcaseApiServer]:
    with SmallcaseApiServer(0, IDENTITY) as running:
        yield running


@pytest.fixture
def client(server: SmallcaseApiServer) -> Iterator[Client]:
    with urllib3.PoolManager() as pool:
        client = Client(server.url, pool)
        client.control("reset")
        yield client


def refused(answer: urllib3.BaseHTTPResponse) -> int:
    assert answer.json().keys() == {"success", "errors"}
    assert answer.json()["success"] is False
    return answer.status


def control_error(answer: urllib3.BaseHTTPResponse) -> tuple[int, str]:
    return answer.status, answer.json()["error"]["code"]


# What is documented


def test_a_transaction_is_made_completed_and_confirmed(client: Client) -> None:
    answer = client.start({"intent": "CONNECT", "notes": "n"})
    assert (answer.status, answer.headers["Content-Type"]) == (200, "application/json")
    assert answer.json()["data"].keys() == {"transactionId", "expireAt"}
    transaction = answer.json()["data"]["transactionId"]
    assert client.details(transaction).json()["data"]["status"] == "INITIALIZED"
    result = client.control("complete", transactionId=transaction, broker=BROKERS[1], account="asha")
    holder = auth_id_of(BROKERS[1], "asha")
    assert jwt.decode(result["smallcaseAuthToken"], IDENTITY.secret, ["HS256"])["smallcaseAuthId"] == holder
    details = client.details(transaction)
    assert details.status == 200
    assert details.json() == {
        "success": True,
        "data": {"transactionId": transaction, "status": "COMPLETED", "smallcaseAuthId": holder, "broker": BROKERS[1]},
    }


@pytest.mark.parametrize("missing", ["x-gateway-secret", "x-gateway-authtoken"])
def test_both_headers_are_demanded_on_both_routes(client: Client, missing: str) -> None:
    headers = {name: value for name, value in presented().items() if name != missing}
    assert refused(client.call("POST", "/gateway/acme/transaction", headers, {"intent": "CONNECT"})) == 401
    path = f"/v1/acme/engine/transactiondetails?transactionId={client.transaction()}"
    assert refused(client.call("GET", path, headers)) == 401


def test_swapped_keys_are_refused(client: Client) -> None:
    swapped = dataclasses.replace(IDENTITY, secret=IDENTITY.api_secret, api_secret=IDENTITY.secret)
    answer = client.call("POST", "/gateway/acme/transaction", presented(swapped), {"intent": "CONNECT"})
    assert refused(answer) == 401


def test_a_connect_with_a_connected_session_is_refused(client: Client) -> None:
    token = jwt.encode({"smallcaseAuthId": "a"}, IDENTITY.secret, algorithm="HS256")
    headers = {**presented(), "x-gateway-authtoken": token}
    assert refused(client.call("POST", "/gateway/acme/transaction", headers, {"intent": "CONNECT"})) == 400


def test_another_gateway_is_unknown(client: Client) -> None:
    assert refused(client.call("POST", "/gateway/other/transaction", presented(), {"intent": "CONNECT"})) == 404


def test_unknown_paths_and_methods_have_the_envelope_of_errors_and_are_counted(client: Client) -> None:
    assert refused(client.call("GET", "/nothing")) == 404
    assert refused(client.call("GET", "/gateway/acme/transaction")) == 405
    assert client.state()["requests"]["other"] == {"total": 2, "outcomes": {"404": 1, "405": 1}}


# Control calls


def test_every_switch_shows_in_the_state_but_for_the_keys(client: Client) -> None:
    switches = {
        "transaction_lifetime_seconds": 60,
        "expire_at_format": "epoch_milliseconds",
        "auth_token_lifetime_seconds": None,
        "latency_seconds": 0.25,
        "webhook_url": "http://127.0.0.1:9/hook",
        "checksum_encoding": "base64",
    }
    client.control("settings", **switches, identity=NEW_IDENTITY)
    assert client.state()["settings"] == {**switches, "gateway_name": "acme-2"}


def test_keys_that_are_rotated_are_told_to_it_while_it_runs(client: Client) -> None:
    client.control("settings", identity=NEW_IDENTITY)
    assert refused(client.start()) == 404
    headers = presented(Identity(**NEW_IDENTITY))
    assert client.call("POST", "/gateway/acme-2/transaction", headers, {"intent": "CONNECT"}).status == 200


def test_reset_brings_everything_back_to_the_start(client: Client) -> None:
    before = client.state()
    client.transaction()
    client.control("settings", identity=NEW_IDENTITY)
    client.control("faults", fault="html")
    client.control("reset")
    assert client.state() == before
    assert client.start().status == 200


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("settings", b"{"),
        ("settings", b"[]"),
        ("settings", b'{"latency_seconds": NaN}'),
        ("faults", b"{}"),
        ("complete", b"{}"),
        ("cancel", b'{"transactionId": "a", "broker": "meadow"}'),
    ],
)
def test_a_control_call_that_makes_no_sense_is_refused_and_changes_nothing(
    client: Client, path: str, body: bytes
) -> None:
    before = client.state()
    answer = client.call("POST", f"/_simulator/{path}", value=body)
    assert control_error(answer) == (400, "INVALID_CONTROL")
    assert answer.json()["error"]["details"]
    assert client.state() == before


def test_what_cannot_be_completed_is_said(client: Client) -> None:
    transaction = client.transaction()
    client.control("cancel", transactionId=transaction)
    ended = client.call("POST", "/_simulator/complete", value={"transactionId": transaction})
    unknown = client.call("POST", "/_simulator/complete", value={"transactionId": "none"})
    assert control_error(ended) == (409, "TRANSACTION_ENDED")
    assert control_error(unknown) == (404, "TRANSACTION_UNKNOWN")


def test_pages_may_complete_a_transaction_but_not_call_the_api(client: Client) -> None:
    assert client.call("OPTIONS", "/_simulator/complete", PAGE).status == 204
    transaction = client.transaction()
    answer = client.call("POST", "/_simulator/complete", PAGE, {"transactionId": transaction})
    assert (answer.status, answer.headers["Access-Control-Allow-Origin"]) == (200, "*")
    assert answer.headers["Cache-Control"] == "no-store"
    again = client.call("POST", "/_simulator/complete", PAGE, {"transactionId": transaction})
    assert (again.status, again.headers["Access-Control-Allow-Origin"]) == (409, "*")
    assert client.call("OPTIONS", "/gateway/acme/transaction", PAGE).status == 405
    assert "Access-Control-Allow-Origin" not in client.start().headers


def test_an_expired_transaction_is_told_as_such(client: Client) -> None:
    client.control("settings", transaction_lifetime_seconds=0)
    assert client.details(client.transaction()).json()["data"]["status"] == "EXPIRED"


def test_no_key_and_no_token_shows_in_the_state_or_on_stderr(client: Client, capfd: pytest.CaptureFixture[str]) -> None:
    result = client.control("complete", transactionId=client.transaction())
    shown = json.dumps(client.state()) + "".join(capfd.readouterr())
    for secret in (IDENTITY.secret, IDENTITY.api_secret, result["smallcaseAuthToken"], *presented().values()):
        assert secret not in shown


# Webhooks


@pytest.fixture
def receiver() -> Iterator[tuple[str, list[Request]]]:
    received: list[Request] = []

    def receive(request: Request) -> Response:
        received.append(request)
        return Response(302 if request.path == "/moved" else 200, headers=(("Location", "/hook"),))

    router = Router()
    router.add("POST", "/{path}", receive)
    with Server(0, router, name="receiver") as server:
        yield server.url, received


def test_a_completed_transaction_is_delivered_before_the_page_knows(
    client: Client, receiver: tuple[str, list[Request]]
) -> None:
    url, received = receiver
    client.control("settings", webhook_url=f"{url}/hook")
    transaction = client.transaction()
    client.control("complete", transactionId=transaction)
    (request,) = received
    assert request.header("Content-Type") == "application/json"
    assert request.json() == {
        "transactionId": transaction,
        "smallcaseAuthId": client.state()["transactions"][0]["smallcaseAuthId"],
        "timestamp": client.state()["webhooks"][0]["sent_at"],
        "checksum": cast("dict[str, str]", request.json())["checksum"],
    }
    assert client.state()["webhooks"][0]["outcome"] == "200"


def test_a_delivery_that_nobody_takes_is_told_and_the_login_stands(
    client: Client, receiver: tuple[str, list[Request]]
) -> None:
    url, received = receiver
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        client.control("settings", webhook_url=f"http://127.0.0.1:{nobody.getsockname()[1]}/hook")
        assert "smallcaseAuthToken" in client.control("complete", transactionId=client.transaction())
    client.control("settings", webhook_url=f"{url}/moved")
    client.control("complete", transactionId=client.transaction())
    assert [each["outcome"] for each in client.state()["webhooks"]] == ["NewConnectionError", "302"]
    assert [request.path for request in received] == ["/moved"]


# Faults, each one as it comes over the wire


def arm(client: Client, fault: FaultName, **members: object) -> None:
    client.control("faults", fault=fault.value, **{"on": "transaction", **members})


def start_request() -> bytes:
    body = b'{"intent": "CONNECT"}'
    lines = ["POST /gateway/acme/transaction HTTP/1.1", "Host: localhost", "Content-Type: application/json"]
    lines += [f"{name}: {value}" for name, value in presented().items()]
    lines += [f"Content-Length: {len(body)}", "Connection: close", "", ""]
    return "\r\n".join(lines).encode() + body


def raw_answer(server: SmallcaseApiServer, most: int = 1_000_000, timeout: float = IN_TIME_SECONDS) -> bytes:
    """Start a transaction and give the bytes that come back, at most so many and until the connection ends."""
    received = b""
    with socket.create_connection(("127.0.0.1", server.server_port), timeout) as connection:
        connection.sendall(start_request())
        while len(received) < most and (data := connection.recv(65_536)):
            received += data
    return received


# One that is slow, and those that spoil every answer.
SPOILING_REFUSALS = {FaultName.DRIP, FaultName.LOST_ANSWER, FaultName.CLOSE_MID_BODY}


@pytest.mark.parametrize(
    ("fault", "status", "content_type"),
    [
        (FaultName.HTML, 200, "text/html; charset=utf-8"),
        (FaultName.STATUS_502_HTML, 502, "text/html; charset=utf-8"),
        (FaultName.EMPTY, 200, "application/json"),
        (FaultName.WRONG_CONTENT_TYPE, 200, "text/plain; charset=utf-8"),
    ],
)
def test_faults_of_the_content_type(client: Client, fault: FaultName, status: int, content_type: str) -> None:
    arm(client, fault)
    answer = client.start()
    assert (answer.status, answer.headers["Content-Type"]) == (status, content_type)


@pytest.mark.parametrize(("members", "at_least"), [({}, KIB_64 + 1), ({"bytes": 1_000_000}, 1_000_000)])
def test_fault_too_large(client: Client, members: dict[str, object], at_least: int) -> None:
    arm(client, FaultName.TOO_LARGE, **members)
    answer = client.start()
    assert len(answer.data) >= at_least
    assert answer.json()["data"].keys() > {"transactionId", "expireAt"}


def test_fault_redirect_and_who_follows_it_is_counted(client: Client) -> None:
    arm(client, FaultName.REDIRECT)
    answer = client.start()
    assert (answer.status, answer.headers["Location"]) == (302, "/elsewhere")
    client.call("GET", answer.headers["Location"])
    assert client.state()["requests"]["other"]["total"] == 1
    arm(client, FaultName.REDIRECT, location="http://127.0.0.1:9/stolen")
    assert client.start().headers["Location"] == "http://127.0.0.1:9/stolen"


def test_fault_hang_answers_nothing_in_time(client: Client, server: SmallcaseApiServer) -> None:
    arm(client, FaultName.HANG)
    with pytest.raises(TimeoutError):
        raw_answer(server, timeout=TOO_SOON_SECONDS)
    assert client.state()["transactions"] == []
    arm(client, FaultName.HANG, seconds=0.05)
    assert raw_answer(server) == b""


def test_fault_drip_sends_byte_after_byte_and_never_in_time(client: Client, server: SmallcaseApiServer) -> None:
    arm(client, FaultName.DRIP, seconds=IN_TIME_SECONDS)
    with pytest.raises(TimeoutError):  # so long it is before the next one
        raw_answer(server, most=2, timeout=TOO_SOON_SECONDS)
    arm(client, FaultName.DRIP, seconds=0)
    assert client.start().json()["success"] is True


def test_fault_close_mid_body(client: Client, server: SmallcaseApiServer) -> None:
    arm(client, FaultName.CLOSE_MID_BODY)
    head, _, body = raw_answer(server).partition(b"\r\n\r\n")
    promised = re.search(rb"Content-Length: (\d+)", head)
    assert promised is not None
    assert len(body) == int(promised[1]) // 2


def test_a_connection_is_dropped_before_or_after_the_transaction_is_made(
    client: Client, server: SmallcaseApiServer
) -> None:
    arm(client, FaultName.RESET)
    with pytest.raises(ConnectionResetError):
        raw_answer(server)
    assert client.state()["transactions"] == []
    arm(client, FaultName.LOST_ANSWER)
    assert raw_answer(server) == b""
    assert len(client.state()["transactions"]) == 1


@pytest.mark.parametrize(("fault", "status"), [(FaultName.STATUS_503_RETRY_AFTER, 503), (FaultName.STATUS_429, 429)])
@pytest.mark.parametrize("retry_after", [None, 7, "Fri, 02 Jan 2026 03:04:05 GMT", "soon"])
def test_faults_with_retry_after(client: Client, fault: FaultName, status: int, retry_after: object) -> None:
    arm(client, fault, **({} if retry_after is None else {"retry_after": retry_after}))
    answer = client.start()
    assert refused(answer) == status
    assert answer.headers["Retry-After"] == str(2 if retry_after is None else retry_after)


@pytest.mark.parametrize("value", [None, True, -1, 1e300, [], {}, ""])
def test_fault_wrong_type_with_a_chosen_value(client: Client, value: object) -> None:
    arm(client, FaultName.WRONG_TYPE, field="expireAt", value=value)
    assert client.start().json()["data"]["expireAt"] == value


def test_fault_wrong_type_of_itself_makes_a_number_of_a_text_and_a_text_of_a_number(client: Client) -> None:
    client.control("settings", expire_at_format="epoch_milliseconds")
    for field, value in (("transactionId", 12_345), ("expireAt", "unexpected")):
        arm(client, FaultName.WRONG_TYPE, field=field)
        assert client.start().json()["data"][field] == value


def test_fault_bad_json(client: Client) -> None:
    arm(client, FaultName.BAD_JSON)
    answer = client.start()
    with pytest.raises(ValueError, match="delimiter"):
        answer.json()
    assert json.loads(answer.data + b"}")["success"] is True


def test_fault_not_an_object(client: Client) -> None:
    arm(client, FaultName.NOT_AN_OBJECT)
    (inside,) = client.start().json()
    assert inside["success"] is True


def test_fault_deep_json(client: Client) -> None:
    arm(client, FaultName.DEEP_JSON)
    answer = client.start()
    assert len(answer.data) < KIB_64  # so that no limit of size hides the limit of depth
    with pytest.raises(RecursionError):
        answer.json()


@pytest.mark.parametrize("fault", sorted(set(FaultName) - OF_DETAILS))
def test_every_fault_hits_as_often_as_armed_and_has_its_effect_or_none(
    client: Client, server: SmallcaseApiServer, fault: FaultName
) -> None:
    arm(client, fault, times=2, **({"seconds": 0.05} if fault is FaultName.HANG else {}))
    for _ in range(2):
        with suppress(ConnectionResetError):
            raw_answer(server, most=1)
    assert client.start().status == 200
    state = client.state()
    assert state["requests"]["transaction"]["outcomes"] == {f"fault:{fault}": 2, "ok": 1}
    assert len(state["transactions"]) == (1 if fault in WITHOUT_EFFECT else 3)
    assert [entry["took_effect"] for entry in state["log"][:2]] == [fault not in WITHOUT_EFFECT] * 2


@pytest.mark.parametrize("fault", sorted(set(FaultName) - WITHOUT_EFFECT - SPOILING_REFUSALS))
def test_a_refusal_keeps_its_content_under_a_fault(client: Client, fault: FaultName) -> None:
    client.control("faults", fault=fault.value)
    assert refused(client.details("unknown")) == 404


def test_armed_faults_show_in_the_state_and_can_be_disarmed(client: Client) -> None:
    client.control("faults", fault="reset", times=None)
    assert client.state()["faults"] == [{"fault": "reset", "on": "any", "times": None}]
    for _ in range(3):
        with pytest.raises(urllib3.exceptions.ProtocolError):
            client.start()
    assert client.call("DELETE", "/_simulator/faults").json()["faults"] == []
    assert client.start().status == 200


# Stopping


def test_leaving_the_server_ends_an_answer_that_would_last_for_an_hour() -> None:
    threads = set(threading.enumerate())
    with urllib3.PoolManager() as pool, SmallcaseApiServer(0, IDENTITY) as server:
        client = Client(server.url, pool)
        arm(client, FaultName.HANG, seconds=3_600)
        with socket.create_connection(("127.0.0.1", server.server_port), IN_TIME_SECONDS) as connection:
            connection.sendall(start_request())
            assert any(client.state()["requests_total"] for _ in range(10_000))
            server.__exit__(None, None, None)
            assert connection.recv(1) == b""
    until(lambda: set(threading.enumerate()) <= threads, "the end of its threads")


@pytest.mark.parametrize("stop", [signal.SIGTERM, None], ids=["SIGTERM", "its starter is gone"])
def test_the_program_takes_its_keys_from_the_environment_and_ends_cleanly(stop: signal.Signals | None) -> None:
    command = [sys.executable, "-m", "local.smallcase_api", "--port", "0"]
    environment = {**os.environ, **Identity.to_environment(dataclasses.asdict(IDENTITY))}
    with (
        subprocess.Popen(
            command, cwd=ROOT, env=environment, stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as process,
        urllib3.PoolManager() as pool,
    ):
        assert process.stdin is not None
        assert process.stderr is not None
        try:
            first_line = process.stderr.readline()
            listening = re.fullmatch(r"smallcase_api: listening on (http://127\.0\.0\.1:\d+)\n", first_line)
            assert listening is not None, first_line
            client = Client(listening[1], pool)
            assert client.start().status == 200
            process.stdin.close() if stop is None else process.send_signal(stop)
            assert process.wait(ENDED_SECONDS) == 0
            assert "Traceback" not in process.stderr.read()
        finally:
            process.kill()
