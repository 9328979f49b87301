import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path
from typing import Any

import jwt
import pytest

from local.ports import free_block
from local.stack import has_discovery
from tests.e2e.token_lifecycle import until

SECONDS = 20.0  # a start is half a second; this is for a machine with much else to do
AUDIENCE = "simulated-audience"
ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Simulator:
    process: subprocess.Popen[bytes]
    port: int
    log: Path

    @property
    def issuer(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def request(self, method: str, path: str, body: bytes | None = None, **headers: str) -> tuple[HTTPResponse, Any]:
        client = HTTPConnection("127.0.0.1", self.port, timeout=SECONDS)
        try:
            client.request(method, path, body, headers)
            response = client.getresponse()
            text = response.read()
            return response, json.loads(text) if text else None
        finally:
            client.close()

    def token(self, **body: object) -> dict[str, Any]:
        response, answer = self.request("POST", "/token", json.dumps(body).encode())
        assert response.status == 200
        assert isinstance(answer, dict)
        return answer


def command(port: int) -> list[str]:
    return [sys.executable, "-m", "local.oidc", "--port", str(port), "--audience", AUDIENCE]


@contextmanager
def running(log: Path, stdin: int = subprocess.DEVNULL) -> Iterator[Simulator]:
    port = free_block().oidc
    with (
        log.open("wb") as output,
        subprocess.Popen(
            command(port), cwd=ROOT, stdin=stdin, stdout=output, stderr=output, start_new_session=True
        ) as process,
    ):
        try:
            simulator = Simulator(process, port, log)
            wait_until_ready(simulator)
            yield simulator
        finally:
            process.kill()


def wait_until_ready(simulator: Simulator) -> None:
    deadline = time.monotonic() + SECONDS
    while True:
        try:
            simulator.request("GET", "/.well-known/jwks.json")
        except ConnectionRefusedError:
            assert simulator.process.poll() is None, simulator.log.read_text()
            assert time.monotonic() < deadline, "not ready in time"
        else:
            return


@pytest.fixture(scope="module")
def simulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Simulator]:
    with running(tmp_path_factory.mktemp("oidc") / "oidc.log") as simulator:
        yield simulator


@pytest.mark.parametrize("kind", ["access_token", "id_token"])
@pytest.mark.parametrize(("user", "subject"), [("asha", "user-asha"), ("ravi", "user-ravi")])
def test_a_client_that_knows_only_the_issuer_can_verify_its_tokens(
    simulator: Simulator, user: str, subject: str, kind: str
) -> None:
    _, discovery = simulator.request("GET", "/.well-known/openid-configuration")
    assert discovery["issuer"] == simulator.issuer
    token = simulator.token(user=user)[kind]
    key = jwt.PyJWKClient(discovery["jwks_uri"], timeout=SECONDS).get_signing_key_from_jwt(token)
    claims = jwt.decode(
        token,
        key,
        algorithms=discovery["id_token_signing_alg_values_supported"],
        issuer=simulator.issuer,
        audience=AUDIENCE,
        options={"require": ["iss", "sub", "aud", "iat", "exp", "jti"]},
    )
    assert claims["sub"] == subject
    assert claims["exp"] - claims["iat"] == 3600


def test_an_expired_token_is_there_for_the_asking(simulator: Simulator) -> None:
    token = simulator.token(user="asha", lifetime_seconds=-60)["access_token"]
    key = jwt.PyJWKClient(simulator.issuer + "/.well-known/jwks.json").get_signing_key_from_jwt(token)
    with pytest.raises(jwt.ExpiredSignatureError):
        jwt.decode(token, key, algorithms=["RS256"], audience=AUDIENCE)


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("POST", "/token", b"{", 400),
        ("POST", "/token", b'{"user": "eve"}', 400),
        ("POST", "/token", b"", 400),
        ("POST", "/token", b" " * 16_384, 400),
        ("POST", "/token", b" " * 16_385, 413),
        ("GET", "/token", None, 405),
        ("DELETE", "/.well-known/jwks.json", None, 405),
        ("BREW", "/token", None, 405),
        ("GET", "/", None, 404),
        ("GET", "/token/", None, 404),
    ],
)
def test_a_request_that_is_wrong_gets_a_json_error_that_pages_can_read(
    simulator: Simulator, method: str, path: str, body: bytes | None, status: int
) -> None:
    response, answer = simulator.request(method, path, body, Origin="https://page.example.com")
    assert response.status == status
    assert answer["error"]
    assert response.headers["Access-Control-Allow-Origin"] == "*"


def test_a_page_of_any_origin_may_ask_for_a_token(simulator: Simulator) -> None:
    asking = {"Origin": "https://page.example.com", "Access-Control-Request-Method": "POST"}
    preflight, _ = simulator.request("OPTIONS", "/token", None, **asking)
    assert preflight.status == 204
    assert preflight.headers["Access-Control-Allow-Origin"] == "*"
    assert "POST" in preflight.headers["Access-Control-Allow-Methods"]
    assert "*" in preflight.headers["Access-Control-Allow-Headers"]


def test_the_log_has_no_token_and_nothing_that_was_sent(simulator: Simulator) -> None:
    answer = simulator.token(user="asha", claims={"note": "sent-in-a-body"})
    simulator.request("GET", "/token?sent-in-a-query", Authorization="Bearer sent-in-a-header")
    # A line is written once the answer is out.
    until(lambda: "oidc: GET /token 405 " in simulator.log.read_text(), "the last line")
    log = simulator.log.read_text()
    assert "oidc: POST /token 200 " in log
    assert "sent-in" not in log
    assert not any(part in log for name in ("access_token", "id_token") for part in answer[name].split("."))


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_ends_it_cleanly(tmp_path: Path, signum: signal.Signals) -> None:
    with running(tmp_path / "oidc.log") as simulator:
        simulator.process.send_signal(signum)
        assert simulator.process.wait(SECONDS) == 0
    assert "Traceback" not in simulator.log.read_text()


def test_it_ends_with_the_process_that_started_it(tmp_path: Path) -> None:
    lifeline_end, lifeline = os.pipe()
    with running(tmp_path / "oidc.log", lifeline_end) as simulator:
        os.close(lifeline_end)
        assert simulator.process.poll() is None
        os.close(lifeline)
        assert simulator.process.wait(SECONDS) == 0


def test_a_port_in_use_ends_it_with_the_reason(simulator: Simulator) -> None:
    second = subprocess.run(
        command(simulator.port), cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, timeout=SECONDS, check=False
    )
    assert second.returncode != 0
    assert b"Address already in use" in second.stderr


def test_an_issuer_with_and_one_without_a_discovery_document_are_told_apart(simulator: Simulator) -> None:
    assert has_discovery(simulator.issuer)
    assert has_discovery(f"{simulator.issuer}/")
    assert not has_discovery(f"{simulator.issuer}/elsewhere")
    assert not has_discovery(f"http://127.0.0.1:{free_block().oidc}")
