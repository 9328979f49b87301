"""The Integration API's simulator as a client sees it, over real connections on loopback."""

import json
import re
import signal
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import pytest
import urllib3

from local.integration_api.faults import WITHOUT_EFFECT, FaultName
from local.integration_api.server import IntegrationApiServer
from local.integration_api.settings import Credentials
from tests.e2e.token_lifecycle import until

API_KEY = "key-5f1c2a"
SECRET_KEY = "secret-9d8e7b"
BASE = "/api/v1/integration"
AUTHENTICATION = {"X-Target-Server": "authentication"}
KIB_64 = 64 * 1024
IN_TIME_SECONDS = 20.0
TOO_SOON_SECONDS = 0.3
ENDED_SECONDS = 20.0
ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, slots=True)
class Client:
    """Calls a simulator. Every call has its own connection, no retry, and follows no redirect."""

    url: str
    pool: urllib3.PoolManager

    def call(
        self,
        method: str,
        path: str,
        headers: dict[str, str] | None = None,
        value: object = None,
        timeout: float = IN_TIME_SECONDS,
    ) -> urllib3.BaseHTTPResponse:
        headers = dict(headers or {})
        body = None
        if value is not None:
            body = value if isinstance(value, bytes) else json.dumps(value).encode()
            headers.setdefault("Content-Type", "application/json")
        return self.pool.request(
            method, self.url + path, headers=headers, body=body, timeout=timeout, retries=False, redirect=False
        )

    def authenticate(self, **call: Any) -> urllib3.BaseHTTPResponse:
        value = {"api_key": API_KEY, "secret_key": SECRET_KEY}
        return self.call("POST", f"{BASE}/auth/authenticate", AUTHENTICATION, value, **call)

    def refresh(self, refresh_token: str, **call: Any) -> urllib3.BaseHTTPResponse:
        return self.call("POST", f"{BASE}/auth/refresh", AUTHENTICATION, {"refresh_token": refresh_token}, **call)

    def protected(
        self, access_token: str, method: str = "GET", path: str = "/markets", value: object = None
    ) -> urllib3.BaseHTTPResponse:
        headers = {"X-Target-Server": "integration", "Authorization": f"Bearer {access_token}"}
        return self.call(method, BASE + path, headers, value)

    def tokens(self) -> tuple[str, str]:
        answer = self.authenticate()
        assert answer.status == 200
        return answer.json()["access_token"], answer.json()["refresh_token"]

    def control(self, name: str, **members: object) -> dict[str, Any]:
        answer = self.call("POST", f"/_simulator/{name}", value=members)
        assert answer.status == 200, answer.data
        return cast("dict[str, Any]", answer.json())

    def state(self) -> dict[str, Any]:
        return cast("dict[str, Any]", self.call("GET", "/_simulator/state").json())


@pytest.fixture(scope="module")
def server() -> Iterator[IntegrationApiServer]:
    with IntegrationApiServer(0, Credentials(API_KEY, SECRET_KEY)) as running:
        yield running


@pytest.fixture
def client(server: IntegrationApiServer) -> Iterator[Client]:
    with urllib3.PoolManager() as pool:
        client = Client(server.url, pool)
        client.control("reset")
        yield client


def error(answer: urllib3.BaseHTTPResponse) -> tuple[int, str]:
    assert answer.json().keys() == {"error"}
    assert answer.json()["error"].keys() - {"details"} == {"code", "message"}
    return answer.status, answer.json()["error"]["code"]


# What is documented


def test_authenticating_with_a_body_answers_a_token_object(client: Client) -> None:
    answer = client.authenticate()
    assert answer.status == 200
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.json().keys() == {"access_token", "refresh_token", "token_type", "expires_in", "expires_at"}


def test_authenticating_with_headers_and_no_body_answers_a_token_object(client: Client) -> None:
    headers = {**AUTHENTICATION, "Api-Key": API_KEY, "Api-Secret": SECRET_KEY}
    answer = client.call("POST", f"{BASE}/auth/authenticate", headers)
    assert answer.status == 200
    assert client.state()["exchanges"][0]["credentials_in"] == "headers"


def test_both_ways_at_once_or_neither_are_a_bad_request(client: Client) -> None:
    headers = {**AUTHENTICATION, "Api-Key": API_KEY, "Api-Secret": SECRET_KEY}
    both = client.call("POST", f"{BASE}/auth/authenticate", headers, {"api_key": API_KEY, "secret_key": SECRET_KEY})
    neither = client.call("POST", f"{BASE}/auth/authenticate", AUTHENTICATION)
    assert error(both) == error(neither) == (400, "INVALID_REQUEST")


def test_a_body_without_the_json_content_type_is_not_read(client: Client) -> None:
    headers = {**AUTHENTICATION, "Content-Type": "text/plain"}
    answer = client.call("POST", f"{BASE}/auth/authenticate", headers, {"api_key": API_KEY, "secret_key": SECRET_KEY})
    assert error(answer) == (415, "UNSUPPORTED_MEDIA_TYPE")


def test_wrong_credentials_are_401_with_the_documented_code(client: Client) -> None:
    value = {"api_key": API_KEY, "secret_key": "wrong"}
    answer = client.call("POST", f"{BASE}/auth/authenticate", AUTHENTICATION, value)
    assert error(answer) == (401, "INVALID_API_KEY")


def test_a_refresh_answers_a_new_access_token_and_the_same_refresh_token(client: Client) -> None:
    access, refresh = client.tokens()
    answer = client.refresh(refresh)
    assert answer.status == 200
    assert answer.json()["refresh_token"] == refresh
    assert answer.json()["access_token"] != access


def test_an_unknown_refresh_token_is_401_with_the_documented_code(client: Client) -> None:
    assert error(client.refresh("unknown")) == (401, "REFRESH_TOKEN_EXPIRED")


@pytest.mark.parametrize("target", [None, "integration", "Authentication"])
def test_the_target_server_of_an_exchange_is_demanded(client: Client, target: str | None) -> None:
    headers = {} if target is None else {"X-Target-Server": target}
    answer = client.call("POST", f"{BASE}/auth/authenticate", headers, {"api_key": API_KEY, "secret_key": SECRET_KEY})
    assert error(answer) == (400, "INVALID_TARGET_SERVER")


def test_protected_endpoints_open_to_a_live_access_token(client: Client) -> None:
    access, _ = client.tokens()
    assert client.protected(access).status == 200
    assert client.protected(access, path="/holdings").status == 200


def test_creating_a_market_echoes_it_with_the_password_of_its_webhook(client: Client) -> None:
    access, _ = client.tokens()
    webhook = {"host": "https://hooks.example", "authentication": {"type": 1, "username": "u", "password": "p"}}
    market = {"node_id": "n", "domain": "d", "webhook": webhook}
    assert client.protected(access, "POST", value=market).json() == market
    assert error(client.protected(access, "POST", value={"domain": "d"})) == (400, "INVALID_REQUEST")


def test_a_protected_endpoint_demands_its_own_target_server(client: Client) -> None:
    access, _ = client.tokens()
    headers = {"X-Target-Server": "authentication", "Authorization": f"Bearer {access}"}
    assert error(client.call("GET", f"{BASE}/markets", headers)) == (400, "INVALID_TARGET_SERVER")


def test_protected_endpoints_refuse_an_invalid_and_a_revoked_access_token(client: Client) -> None:
    access, refresh = client.tokens()
    assert error(client.protected("abc")) == (401, "INVALID_TOKEN")
    assert error(client.protected(refresh)) == (401, "INVALID_TOKEN")
    client.control("revoke", what="access")
    assert error(client.protected(access)) == (401, "INVALID_TOKEN")
    assert client.refresh(refresh).status == 200


def test_protected_endpoints_call_an_expired_access_token_expired(client: Client) -> None:
    client.control("settings", access_token_lifetime_seconds=0)
    access, _ = client.tokens()
    assert error(client.protected(access)) == (401, "TOKEN_EXPIRED")


def test_the_fifty_first_request_of_a_key_in_a_minute_is_told_when_to_come_back(client: Client) -> None:
    access, refresh = client.tokens()
    assert {(client.protected(access) if number % 2 else client.refresh(refresh)).status for number in range(49)} == {
        200
    }
    for refused in (client.protected(access), client.refresh(refresh), client.authenticate()):
        assert error(refused) == (429, "RATE_LIMITED")
        assert 1 <= int(refused.headers["Retry-After"]) <= 60


def test_the_rate_limit_is_a_switch(client: Client) -> None:
    client.control("settings", rate_limit_per_minute=1)
    assert [client.authenticate().status for _ in range(2)] == [200, 429]
    client.control("settings", rate_limit_per_minute=None)
    assert client.authenticate().status == 200


def test_unknown_paths_and_methods_have_the_documented_error_form_and_are_counted(client: Client) -> None:
    assert error(client.call("GET", f"{BASE}/nothing")) == (404, "NOT_FOUND")
    assert error(client.call("GET", f"{BASE}/auth/refresh")) == (405, "METHOD_NOT_ALLOWED")
    assert client.state()["requests"]["other"] == {"total": 2, "outcomes": {"404": 1, "405": 1}}


# Switches


def test_every_switch_shows_in_the_state_but_for_the_credentials(client: Client) -> None:
    switches = {
        "access_token_lifetime_seconds": 60,
        "refresh_token_lifetime_seconds": 120,
        "rate_limit_per_minute": 7,
        "accept_body": False,
        "accept_headers": False,
        "invalidate_old_tokens_on_exchange": True,
        "rotate_refresh_token": True,
        "refuse_refresh_while_valid": True,
        "expires_at_format": "offset",
        "expires_at_skew_seconds": -7200,
        "latency_seconds": 0.25,
    }
    client.control("settings", **switches, credentials={"api_key": "another", "secret_key": "pair"})
    assert client.state()["settings"] == switches


def test_reset_brings_everything_back_to_the_start(client: Client) -> None:
    before = client.state()
    client.tokens()
    client.control("settings", credentials={"api_key": "another", "secret_key": "pair"}, rate_limit_per_minute=1)
    client.control("faults", fault="html")
    client.control("reset")
    assert client.state() == before
    assert client.authenticate().status == 200


def test_credentials_can_be_changed_while_it_runs(client: Client) -> None:
    client.control("settings", credentials={"api_key": "another", "secret_key": "pair"})
    assert client.authenticate().status == 401


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("settings", b"{"),
        ("settings", b"[]"),
        ("settings", b'{"latency_seconds": NaN}'),
        ("settings", b'{"latency": 1}'),
        ("faults", b"{}"),
        ("faults", b'{"fault": "html", "on": "everything"}'),
        ("revoke", b"{}"),
        ("revoke", b'{"what": ["all"]}'),
        ("revoke", b'{"what": "all", "when": "now"}'),
    ],
)
def test_a_control_call_that_makes_no_sense_is_refused_and_changes_nothing(
    client: Client, path: str, body: bytes
) -> None:
    before = client.state()
    answer = client.call("POST", f"/_simulator/{path}", value=body)
    assert error(answer) == (400, "INVALID_CONTROL")
    assert answer.json()["error"]["details"]
    assert client.state() == before


def test_pages_may_flip_switches_but_not_call_the_api(client: Client) -> None:
    page = {"Origin": "http://127.0.0.1:9", "Access-Control-Request-Method": "POST"}
    assert client.call("OPTIONS", "/_simulator/settings", page).status == 204
    assert client.call("GET", "/_simulator/state", page).headers["Access-Control-Allow-Origin"] == "*"
    assert client.call("OPTIONS", f"{BASE}/auth/authenticate", page).status == 405
    assert "Access-Control-Allow-Origin" not in client.authenticate().headers


# Counts and the log


def test_requests_are_counted_by_endpoint_and_outcome(client: Client) -> None:
    access, refresh = client.tokens()
    client.refresh(refresh)
    client.refresh("unknown")
    client.control("faults", fault="status_500", on="refresh")
    client.refresh(refresh)
    client.protected(access)
    client.protected("abc", path="/holdings")
    assert client.state()["requests"] == {
        "authenticate": {"total": 1, "outcomes": {"ok": 1}},
        "refresh": {"total": 3, "outcomes": {"ok": 1, "REFRESH_TOKEN_EXPIRED": 1, "fault:status_500": 1}},
        "GET /markets": {"total": 1, "outcomes": {"ok": 1}},
        "GET /holdings": {"total": 1, "outcomes": {"INVALID_TOKEN": 1}},
    }


def test_exchanges_are_logged_in_order_with_times_and_outcomes(client: Client) -> None:
    _, refresh = client.tokens()
    client.refresh(refresh)
    client.refresh("unknown")
    log = client.state()["exchanges"]
    shown = [(entry["number"], entry["kind"], entry["outcome"], entry["took_effect"]) for entry in log]
    assert shown == [
        (1, "authenticate", "ok", True),
        (2, "refresh", "ok", True),
        (3, "refresh", "REFRESH_TOKEN_EXPIRED", False),
    ]
    moments = [moment for entry in log for moment in (entry["started_at"], entry["finished_at"])]
    assert moments == sorted(moments)


def test_no_token_and_no_credential_shows_in_the_state_or_on_stderr(
    client: Client, capfd: pytest.CaptureFixture[str]
) -> None:
    access, refresh = client.tokens()
    client.protected(access)
    shown = json.dumps(client.state()) + "".join(capfd.readouterr())
    for secret in (access, refresh, API_KEY, SECRET_KEY):
        assert secret not in shown


@pytest.mark.parametrize("latency_seconds", [0, 0.001])
def test_exchanges_one_after_another_are_never_seen_to_overlap(client: Client, latency_seconds: float) -> None:
    client.control("settings", rate_limit_per_minute=None, latency_seconds=latency_seconds)
    for _ in range(100):
        client.tokens()
    state = client.state()
    assert state["exchanges_total"] == 100
    assert state["max_concurrent_exchanges"] == 1


def test_exchanges_at_the_same_time_are_seen_to_overlap(client: Client) -> None:
    arm(client, FaultName.HANG, times=2)
    with unanswered(client), unanswered(client):
        client.tokens()
        state = client.state()
    assert state["max_concurrent_exchanges"] == 3
    assert state["exchanges_open"] == 2
    assert [entry["overlapped"] for entry in state["exchanges"]] == [False, True, True]


def test_a_client_that_gave_up_and_tries_again_does_not_overlap_with_itself(client: Client) -> None:
    arm(client, FaultName.HANG)
    with unanswered(client):
        pass
    client.tokens()
    state = client.state()
    assert state["max_concurrent_exchanges"] == 1
    assert all(entry["finished_at"] for entry in state["exchanges"])


def test_an_exchange_takes_effect_before_its_late_answer(client: Client) -> None:
    client.control("settings", latency_seconds=60)
    with unanswered(client):
        (exchange,) = client.state()["exchanges"]
    assert (exchange["outcome"], exchange["took_effect"], exchange["finished_at"]) == ("ok", True, None)


# Faults, each one as it comes over the wire


def arm(client: Client, fault: FaultName, **extras: object) -> None:
    client.control("faults", fault=fault.value, on="authenticate", **extras)


def authenticate_request() -> bytes:
    body = json.dumps({"api_key": API_KEY, "secret_key": SECRET_KEY})
    head = f"POST {BASE}/auth/authenticate HTTP/1.1\r\nHost: localhost\r\nX-Target-Server: authentication\r\n"
    head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    return (head + body).encode()


@contextmanager
def unanswered(client: Client) -> Iterator[socket.socket]:
    """Be a client that has authenticated, has no answer yet, and leaves at the end of the block."""
    host, port = client.url.removeprefix("http://").split(":")
    before = client.state()["exchanges_total"]
    with socket.create_connection((host, int(port)), IN_TIME_SECONDS) as connection:
        connection.sendall(authenticate_request())
        assert any(client.state()["exchanges_total"] > before for _ in range(10_000))
        yield connection


def raw_answer(server: IntegrationApiServer, most: int = 1_000_000, timeout: float = IN_TIME_SECONDS) -> bytes:
    """Authenticate and give the bytes that come back, at most so many and until the connection ends."""
    received = b""
    with socket.create_connection(("127.0.0.1", server.server_port), timeout) as connection:
        connection.sendall(authenticate_request())
        while len(received) < most and (data := connection.recv(65_536)):
            received += data
    return received


# One that is slow, and those that spoil every answer.
SPOILING_REFUSALS = {FaultName.DRIP, FaultName.LOST_ANSWER, FaultName.CLOSE_MID_BODY}
FIELDS = ["access_token", "refresh_token", "token_type", "expires_in", "expires_at"]


def test_fault_html(client: Client) -> None:
    arm(client, FaultName.HTML)
    answer = client.authenticate()
    assert (answer.status, answer.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    assert answer.data.startswith(b"<!doctype html>")


def test_fault_empty(client: Client) -> None:
    arm(client, FaultName.EMPTY)
    answer = client.authenticate()
    assert (answer.status, answer.data, answer.headers["Content-Length"]) == (200, b"", "0")


def test_fault_wrong_content_type(client: Client) -> None:
    arm(client, FaultName.WRONG_CONTENT_TYPE)
    answer = client.authenticate()
    assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert json.loads(answer.data).keys() == set(FIELDS)


@pytest.mark.parametrize(("extras", "at_least"), [({}, KIB_64 + 1), ({"bytes": 1_000_000}, 1_000_000)])
def test_fault_too_large(client: Client, extras: dict[str, object], at_least: int) -> None:
    arm(client, FaultName.TOO_LARGE, **extras)
    answer = client.authenticate()
    assert len(answer.data) >= at_least
    assert answer.json().keys() > set(FIELDS)


def test_fault_redirect_and_who_follows_it_is_counted(client: Client) -> None:
    arm(client, FaultName.REDIRECT)
    answer = client.authenticate()
    assert (answer.status, answer.headers["Location"]) == (302, "/elsewhere")
    assert "other" not in client.state()["requests"]
    client.call("GET", answer.headers["Location"])
    assert client.state()["requests"]["other"]["total"] == 1


def test_fault_redirect_to_a_chosen_place(client: Client) -> None:
    arm(client, FaultName.REDIRECT, location="http://127.0.0.1:9/stolen")
    assert client.authenticate().headers["Location"] == "http://127.0.0.1:9/stolen"


def test_fault_hang_until_the_client_leaves(client: Client) -> None:
    arm(client, FaultName.HANG)
    with unanswered(client) as connection:
        connection.settimeout(TOO_SOON_SECONDS)
        with pytest.raises(TimeoutError):
            connection.recv(1)
        assert client.state()["exchanges_open"] == 1
    assert client.state()["exchanges_open"] == 0


def test_fault_hang_for_a_while_ends_without_an_answer(client: Client) -> None:
    arm(client, FaultName.HANG, seconds=0.05)
    with pytest.raises(urllib3.exceptions.ProtocolError, match="closed connection without response"):
        client.authenticate()


def test_fault_drip_sends_byte_after_byte_and_never_in_time(client: Client, server: IntegrationApiServer) -> None:
    arm(client, FaultName.DRIP, seconds=0.02)
    assert raw_answer(server, most=9) == b"HTTP/1.1 "
    arm(client, FaultName.DRIP)
    assert raw_answer(server, most=1) == b"H"
    arm(client, FaultName.DRIP, seconds=IN_TIME_SECONDS)
    with pytest.raises(TimeoutError):  # so long it is before the next one
        raw_answer(server, most=2, timeout=TOO_SOON_SECONDS)


def test_fault_drip_is_the_whole_answer_in_the_end(client: Client) -> None:
    arm(client, FaultName.DRIP, seconds=0)
    assert client.authenticate().json().keys() == set(FIELDS)


def test_fault_close_mid_body(client: Client, server: IntegrationApiServer) -> None:
    arm(client, FaultName.CLOSE_MID_BODY)
    head, _, body = raw_answer(server).partition(b"\r\n\r\n")
    promised = re.search(rb"Content-Length: (\d+)", head)
    assert promised is not None
    assert len(body) == int(promised[1]) // 2
    arm(client, FaultName.CLOSE_MID_BODY)
    with pytest.raises(urllib3.exceptions.ProtocolError, match="IncompleteRead"):
        client.authenticate()


def test_fault_reset(client: Client, server: IntegrationApiServer) -> None:
    arm(client, FaultName.RESET)
    with pytest.raises(ConnectionResetError):
        raw_answer(server)
    assert client.state()["exchanges"][0]["took_effect"] is False


def test_fault_lost_answer_takes_effect_all_the_same(client: Client, server: IntegrationApiServer) -> None:
    client.control("settings", invalidate_old_tokens_on_exchange=True)
    access, _ = client.tokens()
    arm(client, FaultName.LOST_ANSWER)
    assert raw_answer(server) == b""
    assert error(client.protected(access)) == (401, "INVALID_TOKEN")
    assert client.state()["tokens"]["live_access_tokens"] == 1


def test_fault_error_object_200(client: Client) -> None:
    arm(client, FaultName.ERROR_OBJECT_200)
    assert error(client.authenticate()) == (200, "INVALID_API_KEY")


@pytest.mark.parametrize(
    ("kind", "code"),
    [("authenticate", "INVALID_API_KEY"), ("refresh", "REFRESH_TOKEN_EXPIRED"), ("protected", "INVALID_TOKEN")],
)
def test_fault_unauthorized_401_has_the_code_of_its_endpoint(client: Client, kind: str, code: str) -> None:
    access, refresh = client.tokens()
    client.control("faults", fault="unauthorized_401", on=kind)
    calls: dict[str, Callable[[], urllib3.BaseHTTPResponse]] = {
        "authenticate": client.authenticate,
        "refresh": lambda: client.refresh(refresh),
        "protected": lambda: client.protected(access),
    }
    assert {name: call().status for name, call in calls.items()} == dict.fromkeys(calls, 200) | {kind: 401}
    client.control("faults", fault="unauthorized_401", on=kind)
    assert error(calls[kind]()) == (401, code)
    client.control("faults", fault="unauthorized_401", on=kind, code="SOMETHING_ELSE")
    assert error(calls[kind]()) == (401, "SOMETHING_ELSE")


def test_fault_status_500(client: Client) -> None:
    arm(client, FaultName.STATUS_500)
    assert error(client.authenticate()) == (500, "INTERNAL_ERROR")


def test_fault_status_502_html(client: Client) -> None:
    arm(client, FaultName.STATUS_502_HTML)
    answer = client.authenticate()
    assert (answer.status, answer.headers["Content-Type"]) == (502, "text/html; charset=utf-8")


@pytest.mark.parametrize(("fault", "status"), [(FaultName.STATUS_503_RETRY_AFTER, 503), (FaultName.STATUS_429, 429)])
@pytest.mark.parametrize("retry_after", [None, 7, "Fri, 02 Jan 2026 03:04:05 GMT", "soon"])
def test_faults_with_retry_after(client: Client, fault: FaultName, status: int, retry_after: object) -> None:
    arm(client, fault, **({} if retry_after is None else {"retry_after": retry_after}))
    answer = client.authenticate()
    assert error(answer)[0] == status
    assert answer.headers["Retry-After"] == str(2 if retry_after is None else retry_after)


@pytest.mark.parametrize("field", FIELDS)
def test_fault_missing_field(client: Client, field: str) -> None:
    arm(client, FaultName.MISSING_FIELD, field=field)
    assert client.authenticate().json().keys() == set(FIELDS) - {field}


@pytest.mark.parametrize("field", FIELDS)
def test_fault_wrong_type(client: Client, field: str) -> None:
    right = client.authenticate().json()
    arm(client, FaultName.WRONG_TYPE, field=field)
    wrong = client.authenticate().json()
    assert wrong.keys() == set(FIELDS)
    assert [name for name in FIELDS if type(wrong[name]) is not type(right[name])] == [field]


@pytest.mark.parametrize("value", [None, True, "3600", -1, 1e300, [], {}])
def test_fault_wrong_type_with_a_chosen_value(client: Client, value: object) -> None:
    arm(client, FaultName.WRONG_TYPE, field="expires_in", value=value)
    assert client.authenticate().json()["expires_in"] == value


def test_fault_token_type_mac(client: Client) -> None:
    arm(client, FaultName.TOKEN_TYPE_MAC)
    assert client.authenticate().json()["token_type"] == "mac"


def test_fault_expired_answer(client: Client) -> None:
    arm(client, FaultName.EXPIRED_ANSWER)
    answer = client.authenticate().json()
    assert answer["expires_at"] < client.state()["exchanges"][0]["started_at"]
    assert client.protected(answer["access_token"]).status == 200


def test_fault_bad_json(client: Client) -> None:
    arm(client, FaultName.BAD_JSON)
    answer = client.authenticate()
    with pytest.raises(ValueError, match="delimiter"):
        answer.json()
    assert json.loads(answer.data + b"}").keys() == set(FIELDS)


def test_fault_not_an_object(client: Client) -> None:
    arm(client, FaultName.NOT_AN_OBJECT)
    (inside,) = client.authenticate().json()
    assert inside.keys() == set(FIELDS)


def test_fault_deep_json(client: Client) -> None:
    arm(client, FaultName.DEEP_JSON)
    answer = client.authenticate()
    assert len(answer.data) < KIB_64  # so that no limit of size hides the limit of depth
    with pytest.raises(RecursionError):
        answer.json()


@pytest.mark.parametrize("fault", FaultName)
def test_every_fault_hits_as_often_as_armed_and_has_its_effect_or_none(
    client: Client, server: IntegrationApiServer, fault: FaultName
) -> None:
    arm(client, fault, times=2, **({"seconds": 0.05} if fault is FaultName.HANG else {}))
    for _ in range(2):
        with suppress(ConnectionResetError):
            raw_answer(server, most=1)
    assert client.authenticate().status == 200
    state = client.state()
    assert state["requests"]["authenticate"]["outcomes"] == {f"fault:{fault}": 2, "ok": 1}
    assert state["tokens"]["live_access_tokens"] == (1 if fault in WITHOUT_EFFECT else 3)
    assert [entry["took_effect"] for entry in state["exchanges"][:2]] == [fault not in WITHOUT_EFFECT] * 2
    assert state["max_concurrent_exchanges"] == 1


@pytest.mark.parametrize("fault", sorted(set(FaultName) - WITHOUT_EFFECT - SPOILING_REFUSALS))
def test_a_refusal_keeps_its_content_under_a_fault(client: Client, fault: FaultName) -> None:
    client.control("faults", fault=fault.value)
    assert error(client.refresh("unknown")) == (401, "REFRESH_TOKEN_EXPIRED")


def test_faults_on_protected_endpoints_spoil_their_answers_too(client: Client) -> None:
    access, _ = client.tokens()
    client.control("faults", fault="missing_field", on="protected", field="markets")
    assert client.protected(access).json() == {}


def test_armed_faults_show_in_the_state_and_can_be_disarmed(client: Client) -> None:
    client.control("faults", fault="status_429", times=None, on="refresh", retry_after=9)
    assert client.state()["faults"] == [{"fault": "status_429", "on": "refresh", "times": None, "retry_after": 9}]
    assert [error(client.refresh("unknown"))[0] for _ in range(3)] == [429] * 3
    assert client.call("DELETE", "/_simulator/faults").json()["faults"] == []
    assert error(client.refresh("unknown"))[0] == 401


def test_a_client_that_resets_its_connection_leaves_no_exchange_open(client: Client) -> None:
    arm(client, FaultName.HANG)
    with unanswered(client) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    assert client.state()["exchanges_open"] == 0


# Stopping


@pytest.mark.parametrize("fault", [FaultName.HANG, FaultName.DRIP])
def test_leaving_the_server_ends_answers_that_would_last_for_an_hour(fault: FaultName) -> None:
    threads = set(threading.enumerate())
    with urllib3.PoolManager() as pool, IntegrationApiServer(0, Credentials(API_KEY, SECRET_KEY)) as server:
        client = Client(server.url, pool)
        arm(client, fault, seconds=3_600)
        with unanswered(client) as connection:
            server.__exit__(None, None, None)
            assert len(connection.recv(10)) <= 1
            assert connection.recv(1) == b""
    until(lambda: set(threading.enumerate()) <= threads, "the end of its threads")


@pytest.mark.parametrize("stop", [signal.SIGTERM, None], ids=["SIGTERM", "its starter is gone"])
def test_the_program_ends_cleanly_in_the_middle_of_a_hang(stop: signal.Signals | None) -> None:
    command = [sys.executable, "-m", "local.integration_api", "--port", "0"]
    command += ["--api-key", API_KEY, "--secret-key", SECRET_KEY]
    with (
        subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process,
        urllib3.PoolManager() as pool,
    ):
        assert process.stdin is not None
        assert process.stderr is not None
        try:
            first_line = process.stderr.readline()
            listening = re.fullmatch(r"integration_api: listening on (http://127\.0\.0\.1:\d+)\n", first_line)
            assert listening is not None, first_line
            client = Client(listening[1], pool)
            arm(client, FaultName.HANG)
            with unanswered(client) as connection:
                process.stdin.close() if stop is None else process.send_signal(stop)
                assert process.wait(ENDED_SECONDS) == 0
                assert connection.recv(1) == b""
            assert "Traceback" not in process.stderr.read()
        finally:
            process.kill()
