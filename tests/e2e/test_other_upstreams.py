"""Against other servers that speak the two contracts: an Integration API and a Gateway that are not the simulators.

They have nothing in common with those but the documentation.
"""

import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar, NamedTuple
from urllib.parse import parse_qs, urlsplit

import jwt
import pytest

from local.options import Options
from local.ports import free_block
from local.processes import Supervisor
from local.stack import LocalStack
from tests.e2e.conftest import Stack
from tests.e2e.test_connections import User, code, items
from tests.e2e.token_lifecycle import Json, Lifecycle, everything_logged, iso, until

MARK = "SENTINEL"  # in every key and in nothing else
PREFIX = "/partner/v2"
CREDENTIALS = {"api_key": f"{MARK}-partner-key", "secret_key": f"{MARK}-partner-secret"}
GATEWAY_SECRET = {
    "gateway_name": "a partner",
    "secret": f"{MARK}-partner-signing-key-0123456789-0123456789",
    "api_secret": f"{MARK}-partner-backend-key-0123456789-0123456789",
}
NAME = "a%20partner"


class Partner(BaseHTTPRequestHandler):
    """Answers JSON."""

    protocol_version = "HTTP/1.1"
    content_type: ClassVar[str] = "application/json; charset=utf-8"

    def do_POST(self) -> None:
        self.reply(*self.post(json.loads(self.rfile.read(int(self.headers["Content-Length"])))))

    def do_GET(self) -> None:
        self.reply(*self.get())

    def post(self, sent: Json) -> tuple[int, Json]:
        raise NotImplementedError

    def get(self) -> tuple[int, Json]:
        return 404, {}

    def reply(self, status: int, document: Json) -> None:
        body = json.dumps(document, indent=1).encode()
        self.send_response(status)
        if self.content_type:
            self.send_header("Content-Type", self.content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


class IntegrationApi(Partner):
    """Its tokens are no JWTs and live 20 minutes, so that each tick is one with something to do."""

    calls: ClassVar[list[tuple[str, Json, str | None]]] = []

    def post(self, sent: Json) -> tuple[int, Json]:
        self.calls.append((self.path, sent, self.headers["X-Target-Server"]))
        return 200, {
            "access_token": f"{MARK}~access/{len(self.calls)}",
            "refresh_token": f"{MARK}~refresh",
            "token_type": "bearer",
            "expires_in": 1200,
            "expires_at": iso(time.time() + 1200).replace("Z", ".123456+00:00"),
            "scope": ["trading"],
        }


class Gateway(Partner):
    """Its ids are short, its times epoch milliseconds. Who logs in, the test writes into `transactions`."""

    content_type = ""  # it does not say what it sends
    transactions: ClassVar[dict[str, Json]] = {}
    asked_as: ClassVar[list[Json]] = []

    def post(self, sent: Json) -> tuple[int, Json]:
        if self.path != f"{PREFIX}/gateway/{NAME}/transaction" or not self.is_partner():
            return 401, {"success": False, "errors": [MARK]}
        if self.claims() != {"guest": True}:
            return 403, {"success": False, "errors": [MARK]}
        transaction_id = f"T-{len(self.transactions) + 1}"
        self.transactions[transaction_id] = {"sent": sent, "status": "INITIALIZED", "smallcaseAuthId": None}
        expire_at = int((time.time() + 600) * 1000)
        return 200, {"data": {"transactionId": transaction_id, "expireAt": expire_at}}

    def get(self) -> tuple[int, Json]:
        url = urlsplit(self.path)
        if url.path != f"{PREFIX}/v1/{NAME}/engine/transactiondetails" or not self.is_partner():
            return 401, {"success": False, "errors": [MARK]}
        (transaction_id,) = parse_qs(url.query)["transactionId"]
        self.asked_as.append(self.claims())
        known = self.transactions[transaction_id]
        data = {name: value for name, value in known.items() if name != "sent"}
        return 200, {"success": True, "data": {"transactionId": transaction_id, "broker": "fern", **data}}

    def is_partner(self) -> bool:
        return self.headers["x-gateway-secret"] == GATEWAY_SECRET["api_secret"]

    def claims(self) -> Json:
        decoded = jwt.decode(self.headers["x-gateway-authtoken"], GATEWAY_SECRET["secret"], ["HS256"])
        return {name: value for name, value in decoded.items() if name not in ("iat", "exp")}


class Elsewhere(NamedTuple):
    """A stack that works with the two of them."""

    stack: Stack
    life: Lifecycle


@pytest.fixture(scope="module")
def elsewhere(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Elsewhere]:
    folder = tmp_path_factory.mktemp("elsewhere")
    secrets_file = folder / "secrets.json"
    secrets_file.write_text(json.dumps({"IntegrationCredentials": CREDENTIALS, "GatewaySecret": GATEWAY_SECRET}))
    servers = [ThreadingHTTPServer(("127.0.0.1", 0), handler) for handler in (IntegrationApi, Gateway)]
    for server in servers:
        threading.Thread(target=server.serve_forever, daemon=True).start()
    urls = [f"http://127.0.0.1:{server.server_port}{PREFIX}" for server in servers]
    options = Options.from_environment(
        {
            "PORT": str(free_block().base),
            "INTEGRATION_BASE_URL": urls[0],
            "SMALLCASE_BASE_URL": urls[1],
            "OIDC_ISSUER": stack.file.oidc_issuer,
            "SECRETS_FILE": str(secrets_file),
        }
    )
    with Supervisor() as supervisor:
        local = LocalStack(options, folder / "stack", print)
        other = Stack(local.start(supervisor), local, stack.http)
        yield Elsewhere(other, Lifecycle(other))
    for server in servers:
        server.shutdown()
        server.server_close()


def test_another_integration_api_serves_as_well(elsewhere: Elsewhere) -> None:
    life = elsewhere.life
    until(lambda: life.stored().text != "{}", "tokens", 30)
    assert life.stored().document["access_token"] == f"{MARK}~access/1"
    assert life.refresh_tokens() == "refreshed"
    assert life.stored().document["access_token"] == f"{MARK}~access/2"
    path = f"{PREFIX}/api/v1/integration/auth"
    assert IntegrationApi.calls == [
        (f"{path}/authenticate", CREDENTIALS, "authentication"),
        (f"{path}/refresh", {"refresh_token": f"{MARK}~refresh"}, "authentication"),
    ]


def test_another_gateway_serves_as_well(elsewhere: Elsewhere) -> None:
    user = User(elsewhere.stack)
    started = user.start(notes="of the page")
    assert started.status == 201, started.data
    transaction_id = started.json()["transactionId"]
    known = Gateway.transactions[transaction_id]
    assert known["sent"] == {"intent": "CONNECT", "notes": "of the page"}
    assert time.time() + 580 < started.json()["expiresAt"] <= time.time() + 600

    result = {
        "smallcaseAuthToken": jwt.encode({"smallcaseAuthId": "id-of-fern"}, GATEWAY_SECRET["secret"], "HS256"),
        "transactionId": transaction_id,
        "broker": "fern",
    }
    assert code(user.connect(result)) == (409, "TRANSACTION_NOT_COMPLETED"), "nobody has logged in yet"
    known |= {"status": "COMPLETED", "smallcaseAuthId": "id-of-fern"}
    assert user.connect(result).status == 200
    assert user.session(GATEWAY_SECRET["secret"]) == {"smallcaseAuthId": "id-of-fern"}
    assert Gateway.asked_as[-1] == {"smallcaseAuthId": "id-of-fern"}
    assert items(elsewhere.stack)[user.key]["broker"] == "fern"
    assert user.disconnect().status == 204
    assert user.session(GATEWAY_SECRET["secret"]) == {"guest": True}


def test_nothing_of_theirs_comes_out(elsewhere: Elsewhere) -> None:
    logged = everything_logged(elsewhere.stack)
    assert "connection.made" in logged
    assert MARK not in logged
