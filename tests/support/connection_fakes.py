"""Transactions and connections in memory: the table, the Gateway, and both functions over an AWS account (moto).

Every effect of the fake table is a step with a name (see `token_fakes.Steps`).
"""

import json
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from threading import RLock
from typing import Any
from urllib.parse import parse_qs, urlsplit

import boto3
import jwt
import pytest
from jwt.warnings import InsecureKeyLengthWarning

from functions.connect_user import app as connect_app
from functions.start_transaction import app as start_app
from gatehouse.caller import User
from gatehouse.connection_policy import Pending
from gatehouse.connection_writer import TransactionGone
from gatehouse.connections import Connection, auth_id_key, transaction_key, user_key
from gatehouse.connector import Connector, Stores
from gatehouse.gateway_secret import parse_gateway_secret
from gatehouse.pending_transactions import KEEP_SECONDS
from gatehouse.problems import AlreadyConnected, AuthIdTaken, ConnectionsUnavailable
from gatehouse.secret_value import Secret
from gatehouse.secrets import CachedSecret
from gatehouse.smallcase import SmallcaseGateway
from gatehouse.transaction_starter import TransactionStarter
from gatehouse.upstream import UpstreamAnswer, UpstreamFault, UpstreamRequest
from tests.support.account import Account
from tests.support.events import GATEWAY_SECRET, ISSUER, event, gateway_secret
from tests.support.fakes import Clock, FakeSecrets, replace_sleep
from tests.support.token_fakes import Context, FakeBus, Steps, aws_account, json_answer, record_events

ASHA, RAVI = User(ISSUER, "user-asha"), User(ISSUER, "user-ravi")
ASHAS_ID, RAVIS_ID = "63f6b2c1a0d4e5f6a7b8c9d0", "74a7c3d2b1e5f6a7b8c9d0e1"
BROKER = "meadow"
GATEWAY_URL = "https://gateway.example.com"
LIFETIME_SECONDS = 900

type Item = dict[str, str | int]


class FakeConnectionsTable:
    """The connections table in memory, with all three of its views.

    Steps: `connections.find`, `transactions.find`, `transactions.remember`, `connections.connect`,
    `connections.disconnect`. While `failure` is set, it is out of reach.
    """

    def __init__(self, clock: Callable[[], float], steps: Steps | None = None) -> None:
        self._clock = clock
        self._step = steps or Steps()
        self._lock = RLock()
        self.items: dict[str, Item] = {}
        self.failure: str | None = None

    def _take(self, step: str) -> None:
        self._step(step)
        if self.failure is not None:
            raise ConnectionsUnavailable(self.failure)

    def find(self, user: User) -> Connection | None:
        self._take("connections.find")
        item = self.items.get(user_key(user))
        if item is None:
            return None
        if not item.get("smallcase_auth_id"):
            raise ConnectionsUnavailable("entry_without_smallcase_auth_id")
        broker = item.get("broker")
        return Connection(str(item["smallcase_auth_id"]), None if broker is None else str(broker))

    def smallcase_auth_id(self, user: User) -> str | None:
        connection = self.find(user)
        return connection.smallcase_auth_id if connection else None

    def remember(self, transaction_id: str, user: User, expire_at: int) -> bool:
        self._take("transactions.remember")
        with self._lock:
            known = self.items.get(transaction_key(transaction_id))
            if known is not None and (known["user_pk"] != user_key(user) or "used_for" in known):
                return False
            self.items[transaction_key(transaction_id)] = {
                "user_pk": user_key(user),
                "expire_at": expire_at,
                "ttl": max(expire_at, int(self._clock())) + KEEP_SECONDS,
            }
            return True

    def find_transaction(self, transaction_id: str) -> Pending | None:
        self._take("transactions.find")
        item = self.items.get(transaction_key(transaction_id))
        if item is None:
            return None
        used_for = item.get("used_for")
        return Pending(str(item["user_pk"]), int(item["expire_at"]), None if used_for is None else str(used_for))

    def connect(self, user: User, connection: Connection, transaction_id: str) -> None:
        self._take("connections.connect")
        with self._lock:
            transaction = self.items.get(transaction_key(transaction_id), {})
            if transaction.get("user_pk") != user_key(user) or "used_for" in transaction:
                raise TransactionGone
            held = self.items.get(user_key(user), {})
            if held.get("smallcase_auth_id", connection.smallcase_auth_id) != connection.smallcase_auth_id:
                raise AlreadyConnected
            if self.items.get(auth_id_key(connection.smallcase_auth_id), {"user_pk": user_key(user)}) != {
                "user_pk": user_key(user)
            }:
                raise AuthIdTaken
            transaction["used_for"] = connection.smallcase_auth_id
            broker: Item = {} if connection.broker is None else {"broker": connection.broker}
            self.items[user_key(user)] = {
                "smallcase_auth_id": connection.smallcase_auth_id,
                "connected_at": int(self._clock()),
                **{name: value for name, value in held.items() if name in ("connected_at", "broker")},
                **broker,
            }
            self.items[auth_id_key(connection.smallcase_auth_id)] = {"user_pk": user_key(user)}

    def disconnect(self, user: User) -> Connection | None:
        self._take("connections.disconnect")
        with self._lock:
            connection = self.find(user)
            if connection is None:
                return None
            del self.items[user_key(user)]
            key = auth_id_key(connection.smallcase_auth_id)
            if self.items.get(key) == {"user_pk": user_key(user)}:
                del self.items[key]
            return connection

    @property
    def stores(self) -> Stores:
        """The table's views, as a `Connector` takes them."""
        return Stores(self, _Transactions(self), self)


class _Transactions:
    """The view of pending transactions: its `find` is another one."""

    def __init__(self, table: FakeConnectionsTable) -> None:
        self._table = table

    def remember(self, transaction_id: str, user: User, expire_at: int) -> bool:
        return self._table.remember(transaction_id, user, expire_at)

    def find(self, transaction_id: str) -> Pending | None:
        return self._table.find_transaction(transaction_id)


type Reply = UpstreamAnswer | UpstreamFault


class FakeGatewayApi:
    """The Gateway as a transport: it starts transactions and tells their details, as a test has set them.

    Step: `gateway <method>`. `replies` are given first, one for each request.
    """

    def __init__(self, clock: Clock, steps: Steps | None = None) -> None:
        self._clock = clock
        self._step = steps or Steps()
        self.transactions: dict[str, dict[str, object]] = {}
        self.replies: list[Reply] = []
        self.requests: list[UpstreamRequest] = []
        self.timeouts: list[float] = []
        self.takes_seconds = 0.0  # how much later it is after each request
        self.next_ids: list[str] = []
        self.expire_at: object = None  # None: in 15 minutes

    def send(self, request: UpstreamRequest, timeout_seconds: float) -> UpstreamAnswer:
        self._step(f"gateway {request.method}")
        self.requests.append(request)
        self.timeouts.append(timeout_seconds)
        self._clock.now += self.takes_seconds
        if self.replies:
            reply = self.replies.pop(0)
            if isinstance(reply, UpstreamFault):
                raise reply
            return reply
        return self._start() if request.method == "POST" else self._details(request)

    def _start(self) -> UpstreamAnswer:
        transaction_id = self.next_ids.pop(0) if self.next_ids else f"TRX_{len(self.transactions) + 1}"
        self.transactions[transaction_id] = {"transactionId": transaction_id, "status": "INITIALIZED"}
        expire_at = int((self._clock() + 900) * 1000) if self.expire_at is None else self.expire_at
        return json_answer({"success": True, "data": {"transactionId": transaction_id, "expireAt": expire_at}})

    def _details(self, request: UpstreamRequest) -> UpstreamAnswer:
        (transaction_id,) = parse_qs(urlsplit(request.url).query)["transactionId"]
        if transaction_id not in self.transactions:
            return json_answer({"success": False, "errors": ["no such transaction"]}, 404)
        return json_answer({"success": True, "data": self.transactions[transaction_id]})

    def complete(self, transaction_id: str, smallcase_auth_id: str, broker: str | None = BROKER) -> None:
        """Let somebody log in and finish the transaction."""
        self.transactions[transaction_id] = {
            "transactionId": transaction_id,
            "status": "COMPLETED",
            "smallcaseAuthId": smallcase_auth_id,
            "broker": broker,
        }

    def token(self, index: int = -1) -> Any:
        """The claims of the session token that went with a request."""
        return jwt.decode(
            self.requests[index].headers["x-gateway-authtoken"],
            GATEWAY_SECRET["secret"],
            ["HS256"],
            options={"verify_exp": False, "verify_iat": False},
        )


def sign(payload: Mapping[str, object] | bytes, key: str = GATEWAY_SECRET["secret"], **header: object) -> str:
    """Sign any payload with HS256, as only the holder of the key can."""
    body = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", InsecureKeyLengthWarning)
        return jwt.PyJWS().encode(body, key.encode(), "HS256", headers=dict(header) or None)


def auth_token(smallcase_auth_id: str = ASHAS_ID, **claims: object) -> str:
    """Return the token that the Gateway hands back after a login."""
    return sign({"smallcaseAuthId": smallcase_auth_id, **claims})


class World:
    """A connector and a starter over the fakes, with one clock and one list of steps."""

    def __init__(self, *, verify_details: bool = True) -> None:
        self.clock = Clock()
        self.steps = Steps()
        self.table = FakeConnectionsTable(self.clock, self.steps)
        self.api = FakeGatewayApi(self.clock, self.steps)
        self.bus = FakeBus(self.steps)
        self.secrets = FakeSecrets()
        self.secrets.texts["gateway"] = gateway_secret()
        self.verify_details = verify_details

    @property
    def deadline(self) -> float:
        """Until when the Gateway may be waited for."""
        return self.clock.now + 15

    def sleep(self, seconds: float) -> None:
        """Let the time pass."""
        self.steps("sleep")
        self.clock.now += seconds

    def gateway(self) -> SmallcaseGateway:
        """Return the client of the Gateway."""
        return SmallcaseGateway(
            GATEWAY_URL,
            self.api,
            token_lifetime_seconds=LIFETIME_SECONDS,
            clock=self.clock,
            sleep=self.sleep,
        )

    def _secret(self) -> CachedSecret[Any]:
        def parse(text: Secret) -> object:
            return parse_gateway_secret(text, allow_short=False)

        return CachedSecret(self.secrets, "gateway", parse, self.clock)

    def connector(self) -> Connector:
        """Return connect_user as it is put together now."""
        gateway = self.gateway() if self.verify_details else None
        return Connector(self.table.stores, self._secret(), gateway, self.bus, self.clock)

    def starter(self) -> TransactionStarter:
        """Return start_transaction as it is put together now."""
        return TransactionStarter(self.table, self.table.stores.transactions, self._secret(), self.gateway())

    def pending(self, transaction_id: str = "TRX_1", user: User = ASHA, smallcase_auth_id: str | None = None) -> str:
        """Let a user have a transaction, completed by the holder of an id where one is given."""
        self.table.items[transaction_key(transaction_id)] = {
            "user_pk": user_key(user),
            "expire_at": int(self.clock.now) + 900,
            "ttl": int(self.clock.now) + 900 + KEEP_SECONDS,
        }
        self.api.transactions[transaction_id] = {"transactionId": transaction_id, "status": "INITIALIZED"}
        if smallcase_auth_id is not None:
            self.api.complete(transaction_id, smallcase_auth_id)
        return transaction_id


# --- AWS (moto) ---


def create_connections_table() -> None:
    """Create the connections table of the template."""
    boto3.client("dynamodb").create_table(
        TableName="connections",
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )


def scan() -> dict[str, Item]:
    """Return everything in the connections table."""
    found: dict[str, Item] = {}
    for page in boto3.client("dynamodb").get_paginator("scan").paginate(TableName="connections"):
        for item in page["Items"]:
            plain: Item = {
                name: int(value["N"]) if "N" in value else value["S"] for name, value in item.items() if name != "pk"
            }
            found[item["pk"]["S"]] = plain
    return found


class ConnectionAccount(Account):
    """What both functions run on: an account with its clock, the Gateway, and the environment."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        super().__init__(monkeypatch)
        self.api = FakeGatewayApi(self.clock)
        replace_sleep(monkeypatch, self.clock.advance)
        monkeypatch.setattr("gatehouse.connection_adapters.HttpTransport", lambda: self.api)
        boto3.client("events").create_event_bus(Name="gatehouse")
        self.events = record_events()
        self.environment(
            SMALLCASE_BASE_URL=GATEWAY_URL,
            ALLOWED_INTENTS="CONNECT",
            VERIFY_TRANSACTION_DETAILS="true",
            CONNECT_BY_WEBHOOK="false",
            EVENT_BUS="gatehouse",
        )

    def start(self, user: User = ASHA, **members: object) -> dict[str, Any]:
        """Call POST /v1/transactions."""
        return start_app.handler(api_event("start_transaction", user, {"intent": "CONNECT", **members}), Context())

    def started(self, user: User = ASHA, smallcase_auth_id: str | None = None) -> str:
        """Start a transaction, and have it completed where an id is given; return its id."""
        transaction_id = str(json.loads(self.start(user)["body"])["transactionId"])
        if smallcase_auth_id is not None:
            self.api.complete(transaction_id, smallcase_auth_id)
        return transaction_id

    def connect_by(self, user: User, token: str, transaction_id: str, **members: object) -> dict[str, Any]:
        """Call POST /v1/connections."""
        document = {"smallcaseAuthToken": token, "transactionId": transaction_id, **members}
        return connect_app.handler(api_event("connect_user", user, document), Context())

    def disconnect_by(self, user: User) -> dict[str, Any]:
        """Call DELETE /v1/connections."""
        return connect_app.handler(api_event("connect_user_delete", user), Context())

    def postback(self, **body: object) -> dict[str, Any]:
        """Hand an event of the bus to connect_user."""
        given = event("connect_user_webhook")
        given["detail"]["body"] |= body
        return connect_app.handler(given, Context())

    def published(self, detail_type: str) -> list[dict[str, Any]]:
        """Return the details of the events of one type."""
        return [json.loads(entry["Detail"]) for entry in self.events if entry["DetailType"] == detail_type]


def api_event(name: str, user: User, document: object = None, **claims: object) -> dict[str, Any]:
    """Return a call of a signed-in user with a JSON body; None removes a claim."""
    call = event(name)
    jwt_context = call["requestContext"]["authorizer"]["jwt"]
    named = {**jwt_context["claims"], "iss": user.issuer, "sub": user.subject, **claims}
    jwt_context["claims"] = {claim: value for claim, value in named.items() if value is not None}
    return call if document is None else {**call, "body": json.dumps(document)}


def code(answer: dict[str, Any]) -> tuple[int, str]:
    """Return an answer's status and its problem's code; the latter is empty where it is none."""
    document = json.loads(answer.get("body", "{}"))
    return answer["statusCode"], document.get("code", "")


@contextmanager
def connection_account(monkeypatch: pytest.MonkeyPatch) -> Iterator[ConnectionAccount]:
    """Yield a fresh account."""
    with aws_account():
        yield ConnectionAccount(monkeypatch)
