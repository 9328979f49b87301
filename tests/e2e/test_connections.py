"""Transactions and connections over HTTP, from the deployed template, with a Gateway that has faults to arm."""

import json
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import jwt
import pytest
import urllib3

from local.bus_tap import BusTap
from local.deploy import deploy
from local.processes import CommandFailed, Supervisor
from tests.e2e.conftest import ARRIVAL_SECONDS, GATEWAY_SECRET, Stack, denied
from tests.e2e.test_nothing_leaks import everything_logged

BROKER = "meadow"


class User:
    """A user of the company, signed in; new each time."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self.subject = f"user-{uuid.uuid4().hex[:12]}"
        self.bearer = stack.oidc_token(claims={"sub": self.subject})
        self.issuer = str(jwt.decode(self.bearer, options={"verify_signature": False})["iss"])
        self.key = f"USER#{self.issuer}#{self.subject}"

    def call(self, method: str, path: str, document: object = None) -> urllib3.BaseHTTPResponse:
        """Call a route of the API in the user's name."""
        headers = {"Authorization": f"Bearer {self.bearer}"}
        if document is None:
            return self._stack.call(method, path, headers=headers)
        return self._stack.call(method, path, headers=headers, json=document)

    def start(self, **members: object) -> urllib3.BaseHTTPResponse:
        """Start a transaction."""
        return self.call("POST", "/v1/transactions", {"intent": "CONNECT", **members})

    def started(self) -> str:
        """Start a transaction and return its id."""
        answer = self.start()
        assert answer.status == 201, answer.data
        return str(answer.json()["transactionId"])

    def connect(self, result: dict[str, Any]) -> urllib3.BaseHTTPResponse:
        """Hand over what the vendor's SDK has handed back, all of it."""
        return self.call("POST", "/v1/connections", result)

    def disconnect(self) -> urllib3.BaseHTTPResponse:
        """End the connection."""
        return self.call("DELETE", "/v1/connections")

    def session(self, key: str = GATEWAY_SECRET["secret"]) -> Any:
        """Return the claims of the user's session token."""
        answer = self._stack.user_token(self.bearer)
        assert answer.status == 200, answer.data
        token = answer.json()["smallcaseAuthToken"]
        claims = json.loads(jwt.PyJWS().decode(token, key.encode(), ["HS256"]))
        return {name: value for name, value in claims.items() if name not in ("iat", "exp")}


class Gateway(NamedTuple):
    """The simulated Gateway's controls."""

    stack: Stack

    def control(self, action: str, **members: object) -> dict[str, Any]:
        """Make a control call."""
        url = f"{self.stack.file.smallcase_api_url}/_simulator/{action}"
        answer = self.stack.http.request("POST", url, json=members)
        assert answer.status == 200, answer.data
        document: dict[str, Any] = answer.json()
        return document

    def complete(self, transaction_id: str, smallcase_auth_id: str) -> dict[str, Any]:
        """Let somebody log in; return what the vendor's SDK hands back."""
        return self.control("complete", transactionId=transaction_id, smallcaseAuthId=smallcase_auth_id, broker=BROKER)

    def arm(self, fault: str, **members: object) -> None:
        """Arm a fault."""
        self.control("faults", fault=fault, **members)


@pytest.fixture
def gateway(stack: Stack) -> Iterator[Gateway]:
    controls = Gateway(stack)
    controls.control("reset")
    yield controls
    controls.control("reset")


@pytest.fixture
def asha(stack: Stack) -> User:
    return User(stack)


@pytest.fixture
def ravi(stack: Stack) -> User:
    return User(stack)


def new_id() -> str:
    return uuid.uuid4().hex[:24]


def code(answer: urllib3.BaseHTTPResponse) -> tuple[int, str]:
    return answer.status, answer.json()["code"] if answer.status >= 400 else ""


def items(stack: Stack) -> dict[str, dict[str, Any]]:
    """Everything in the connections table, by key."""
    found: dict[str, dict[str, Any]] = {}
    pages = stack.file.endpoint.client("dynamodb").get_paginator("scan")
    for page in pages.paginate(TableName=stack.file.outputs["ConnectionsTableName"]):
        found |= {
            item["pk"]["S"]: {name: next(iter(value.values())) for name, value in item.items() if name != "pk"}
            for item in page["Items"]
        }
    return found


def test_a_user_is_connected_from_the_first_click_to_the_session_token(
    stack: Stack, gateway: Gateway, asha: User
) -> None:
    assert asha.session() == {"guest": True}
    before = int(time.time())
    answer = asha.start()
    assert answer.status == 201
    assert answer.headers["content-type"] == "application/json"
    transaction_id, expires_at = answer.json()["transactionId"], answer.json()["expiresAt"]
    assert set(answer.json()) == {"transactionId", "expiresAt"}
    assert before + 890 <= expires_at <= time.time() + 900
    assert items(stack)[f"TXN#{transaction_id}"]["user_pk"] == asha.key

    smallcase_auth_id = new_id()
    result = gateway.complete(transaction_id, smallcase_auth_id)
    for _ in range(2):
        answer = asha.connect(result)
        assert (answer.status, answer.json()) == (200, {"user": "connected", "broker": BROKER})
    assert asha.session() == {"smallcaseAuthId": smallcase_auth_id}
    found = items(stack)
    assert found[asha.key]["smallcase_auth_id"] == smallcase_auth_id
    assert found[asha.key]["broker"] == BROKER
    assert before <= int(found[asha.key]["connected_at"]) <= time.time()
    assert found[f"AUTHID#{smallcase_auth_id}"] == {"user_pk": asha.key}
    assert found[f"TXN#{transaction_id}"]["used_for"] == smallcase_auth_id

    for _ in range(3):
        answer = asha.disconnect()
        assert (answer.status, answer.data) == (204, b"")
    assert asha.session() == {"guest": True}
    assert code(asha.connect(result)) == (409, "TRANSACTION_USED")
    assert {asha.key, f"AUTHID#{smallcase_auth_id}"}.isdisjoint(items(stack))


@pytest.mark.parametrize("form", ["iso", "epoch_milliseconds"])
def test_an_expiry_is_told_in_epoch_seconds_however_the_gateway_writes_it(
    gateway: Gateway, asha: User, form: str
) -> None:
    gateway.control("settings", expire_at_format=form, transaction_lifetime_seconds=300)
    answer = asha.start().json()
    assert isinstance(answer["expiresAt"], int)
    assert 290 <= answer["expiresAt"] - time.time() <= 300


def test_the_gateway_sees_the_partners_key_and_a_guest(gateway: Gateway, asha: User, stack: Stack) -> None:
    gateway.complete(asha.started(), new_id())
    state = stack.http.request("GET", f"{stack.file.smallcase_api_url}/_simulator/state").json()
    (transaction,) = state["transactions"]
    assert transaction["madeFor"] == "guest"
    assert transaction["intent"] == "CONNECT"


@pytest.mark.parametrize("method_and_path", ["POST /v1/transactions", "POST /v1/connections", "DELETE /v1/connections"])
def test_nobody_calls_without_having_signed_in(stack: Stack, method_and_path: str) -> None:
    method, _, path = method_and_path.partition(" ")
    assert stack.call(method, path, json={}).status == 401
    nameless = {"Authorization": f"Bearer {stack.oidc_token(claims={'sub': None})}"}
    answer = stack.call(method, path, headers=nameless, json={"intent": "CONNECT"})
    assert code(answer) == (401, "CALLER_NOT_IDENTIFIED")


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        ({"intent": "TRANSACTION"}, (403, "INTENT_NOT_ALLOWED")),
        ({"intent": None}, (400, "INVALID_REQUEST")),
        ({"orderConfig": []}, (400, "INVALID_REQUEST")),
        ({"notes": 1}, (400, "INVALID_REQUEST")),
        ({"orderConfig": {"a": "x" * 40_000}}, (400, "INVALID_REQUEST")),
    ],
)
def test_what_may_not_be_started_reaches_no_gateway(
    gateway: Gateway, asha: User, stack: Stack, document: dict[str, object], expected: tuple[int, str]
) -> None:
    assert code(asha.start(**document)) == expected
    state = stack.http.request("GET", f"{stack.file.smallcase_api_url}/_simulator/state").json()
    assert state["transactions"] == []


REFUSED, UNAVAILABLE = (502, "GATEWAY_REFUSED"), (503, "GATEWAY_UNAVAILABLE")
FAULTS: dict[str, tuple[dict[str, object], tuple[int, str]]] = {
    "refused": ({"http_status": 422, "text": "SENTINEL-upstream"}, REFUSED),
    "unauthorized_401": ({"text": "SENTINEL-upstream"}, REFUSED),
    "error_object_200": ({"text": "SENTINEL-upstream"}, REFUSED),
    "status_429": ({"text": "SENTINEL-upstream"}, UNAVAILABLE),
    "status_500": ({"text": "SENTINEL-upstream"}, UNAVAILABLE),
    "status_502_html": ({}, UNAVAILABLE),
    "redirect": ({"location": "https://evil.example.com/"}, UNAVAILABLE),
    "html": ({}, UNAVAILABLE),
    "empty": ({}, UNAVAILABLE),
    "wrong_content_type": ({}, UNAVAILABLE),
    "too_large": ({}, UNAVAILABLE),
    "bad_json": ({}, UNAVAILABLE),
    "deep_json": ({}, UNAVAILABLE),
    "not_an_object": ({}, UNAVAILABLE),
    "close_mid_body": ({}, UNAVAILABLE),
    "reset": ({}, UNAVAILABLE),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_gateway_that_fails_is_one_of_two_codes_and_its_text_passes_nowhere(
    stack: Stack, gateway: Gateway, asha: User, fault: str
) -> None:
    members, expected = FAULTS[fault]
    result = gateway.complete(asha.started(), new_id())
    gateway.arm(fault, on="transaction", **members)
    gateway.arm(fault, on="details", times=None, **members)
    for answer in (asha.start(), asha.connect(result)):
        assert code(answer) == expected
        assert ("retry-after" in answer.headers) == (expected == UNAVAILABLE)
        assert "SENTINEL" not in json.dumps([dict(answer.headers), answer.json()])
    assert asha.key not in items(stack)
    # A transaction that may have been started is started once.
    state = stack.http.request("GET", f"{stack.file.smallcase_api_url}/_simulator/state").json()
    assert len(state["transactions"]) <= 2
    stack.http.request("DELETE", f"{stack.file.smallcase_api_url}/_simulator/faults")
    assert asha.connect(result).status == 200


def test_an_answer_that_was_lost_is_asked_for_again(gateway: Gateway, asha: User) -> None:
    result = gateway.complete(asha.started(), new_id())
    gateway.arm("lost_answer", on="details")
    assert asha.connect(result).status == 200


def test_the_vendors_own_example_cannot_happen(stack: Stack, gateway: Gateway, asha: User, ravi: User) -> None:
    """Ravi browses as a guest in a browser that is still logged in to Asha's broker."""
    ashas_id = new_id()
    assert asha.connect(gateway.complete(asha.started(), ashas_id)).status == 200
    before = items(stack)[asha.key]
    result = gateway.complete(ravi.started(), ashas_id)
    assert code(ravi.connect(result)) == (409, "AUTH_ID_TAKEN")
    assert ravi.session() == {"guest": True}
    assert items(stack)[asha.key] == before


def test_another_users_transaction_and_a_stolen_token_connect_nobody(
    stack: Stack, gateway: Gateway, asha: User, ravi: User
) -> None:
    transaction_id, ashas_id = asha.started(), new_id()
    ashas = gateway.complete(transaction_id, ashas_id)
    assert code(ravi.connect(ashas)) == (404, "TRANSACTION_UNKNOWN")
    assert code(ravi.connect({**ashas, "transactionId": "TRX_unknown"})) == (404, "TRANSACTION_UNKNOWN")
    own = ravi.started()
    assert code(ravi.connect({**ashas, "transactionId": own})) == (409, "TRANSACTION_NOT_COMPLETED")
    ravis = gateway.complete(own, new_id())
    stolen = {**ravis, "smallcaseAuthToken": ashas["smallcaseAuthToken"]}
    assert code(ravi.connect(stolen)) == (409, "TRANSACTION_MISMATCH")
    assert asha.connect(ashas).status == 200
    issued = stack.user_token(asha.bearer).json()["smallcaseAuthToken"]
    assert code(ravi.connect({**ravis, "smallcaseAuthToken": issued})) == (409, "TRANSACTION_MISMATCH")
    assert ravi.key not in items(stack)


FORGED: dict[str, Callable[[str], str]] = {
    "api_secret": lambda auth_id: jwt.encode({"smallcaseAuthId": auth_id}, GATEWAY_SECRET["api_secret"], "HS256"),
    "none": lambda auth_id: jwt.encode({"smallcaseAuthId": auth_id}, "", "none"),
    "both claims": lambda auth_id: jwt.encode(
        {"guest": True, "smallcaseAuthId": auth_id}, GATEWAY_SECRET["secret"], "HS256"
    ),
    "10 kB": lambda _auth_id: jwt.encode({"smallcaseAuthId": "x" * 10_240}, GATEWAY_SECRET["secret"], "HS256"),
    "expired": lambda auth_id: jwt.encode({"smallcaseAuthId": auth_id, "exp": 1}, GATEWAY_SECRET["secret"], "HS256"),
}


@pytest.mark.parametrize("forge", FORGED.values(), ids=FORGED)
def test_a_forged_token_connects_nobody(gateway: Gateway, ravi: User, forge: Callable[[str], str]) -> None:
    smallcase_auth_id = new_id()
    result = gateway.complete(ravi.started(), smallcase_auth_id)
    answer = ravi.connect({**result, "smallcaseAuthToken": forge(smallcase_auth_id)})
    assert code(answer) == (400, "INVALID_SMALLCASE_TOKEN")


@pytest.mark.parametrize(
    ("action", "problem"),
    [
        ("use", "TRANSACTION_NOT_COMPLETED"),
        ("process", "TRANSACTION_NOT_COMPLETED"),
        ("require-action", "TRANSACTION_NOT_COMPLETED"),
        ("fail", "TRANSACTION_NOT_COMPLETED"),
        ("cancel", "TRANSACTION_NOT_COMPLETED"),
    ],
)
def test_a_transaction_that_did_not_end_well_connects_nobody(
    gateway: Gateway, ravi: User, action: str, problem: str
) -> None:
    transaction_id = ravi.started()
    gateway.control(action, transactionId=transaction_id)
    token = jwt.encode({"smallcaseAuthId": new_id()}, GATEWAY_SECRET["secret"], "HS256")
    assert code(ravi.connect({"smallcaseAuthToken": token, "transactionId": transaction_id})) == (409, problem)


def test_an_expired_transaction_connects_nobody(gateway: Gateway, ravi: User) -> None:
    gateway.control("settings", transaction_lifetime_seconds=0)
    token = jwt.encode({"smallcaseAuthId": new_id()}, GATEWAY_SECRET["secret"], "HS256")
    answer = ravi.connect({"smallcaseAuthToken": token, "transactionId": ravi.started()})
    assert code(answer) == (409, "TRANSACTION_EXPIRED")


def test_who_holds_an_id_disconnects_first(gateway: Gateway, asha: User) -> None:
    assert asha.connect(gateway.complete(asha.started(), new_id())).status == 200
    another = gateway.complete(asha.started(), new_id())
    assert code(asha.connect(another)) == (409, "ALREADY_CONNECTED")
    assert asha.disconnect().status == 204
    assert asha.connect(another).status == 200


@pytest.mark.parametrize("action", ["dynamodb:UpdateItem", "dynamodb:PutItem", "dynamodb:GetItem"])
def test_a_table_out_of_reach_connects_nobody(stack: Stack, gateway: Gateway, asha: User, action: str) -> None:
    result = gateway.complete(asha.started(), new_id())
    with denied(stack, "ConnectUser", action):
        answer = asha.connect(result)
        assert code(answer) == (503, "CONNECTIONS_UNAVAILABLE")
        assert int(answer.headers["retry-after"]) > 0
    assert asha.key not in items(stack)
    assert asha.connect(result).status == 200


def test_the_function_may_not_even_look_at_whose_an_id_is(stack: Stack) -> None:
    iam = stack.file.endpoint.client("iam")
    role = stack.start_anew("ConnectUser")["Role"].rpartition("/")[2]
    policy = json.dumps(iam.get_role_policy(RoleName=role, PolicyName="connect-user")["PolicyDocument"])
    reads = [each for each in json.loads(policy)["Statement"] if "dynamodb:GetItem" in each["Action"]]
    assert [each["Condition"] for each in reads] == [
        {"ForAllValues:StringLike": {"dynamodb:LeadingKeys": ["USER#*", "TXN#*"]}}
    ]


def test_a_bus_out_of_reach_does_not_undo_a_connection(stack: Stack, gateway: Gateway, asha: User) -> None:
    result = gateway.complete(asha.started(), new_id())
    with denied(stack, "ConnectUser", "events:PutEvents"):
        assert asha.connect(result).status == 200
    assert items(stack)[asha.key]["broker"] == BROKER


def test_connections_are_told_on_the_bus(stack: Stack, gateway: Gateway, asha: User) -> None:
    smallcase_auth_id = new_id()
    with BusTap.open(stack.file.endpoint, stack.file.outputs["EventBusName"]) as tap:
        asha.connect(gateway.complete(asha.started(), smallcase_auth_id))
        asha.disconnect()
        seen: list[dict[str, Any]] = []
        deadline = time.monotonic() + ARRIVAL_SECONDS
        while len({event["detail-type"] for event in seen}) < 2:  # an event may come twice
            assert time.monotonic() < deadline
            taken: list[dict[str, Any]] = tap.take(2)
            seen += [event for event in taken if event["detail"].get("subject") == asha.subject]
    told = {event["detail-type"]: event for event in seen}
    who = {"issuer": asha.issuer, "subject": asha.subject, "smallcase_auth_id": smallcase_auth_id, "broker": BROKER}
    assert told["connections.connected"]["detail"] == {**who, "by": "browser"}
    assert told["connections.disconnected"]["detail"] == who
    assert {event["source"] for event in seen} == {"gatehouse.connections"}


def test_200_attempts_at_once_of_40_users_for_20_ids_leave_a_one_to_one_table(stack: Stack, gateway: Gateway) -> None:
    users = [User(stack) for _ in range(40)]
    ids = [new_id() for _ in range(20)]
    # Five attempts of each user, for five different ids; ten attempts for each id.
    wanted = [(user, ids[(number * 7 + attempt * 3) % 20]) for number, user in enumerate(users) for attempt in range(5)]

    def complete(pair: tuple[User, str]) -> tuple[User, str, dict[str, Any]]:
        user, smallcase_auth_id = pair
        return user, smallcase_auth_id, gateway.complete(user.started(), smallcase_auth_id)

    with ThreadPoolExecutor(20) as pool:
        attempts = list(pool.map(complete, wanted))
        answers = list(pool.map(lambda each: code(each[0].connect(each[2])), attempts))
    assert len(answers) == 200
    assert set(answers) <= {(200, ""), (409, "ALREADY_CONNECTED"), (409, "AUTH_ID_TAKEN")}
    found = items(stack)
    held = {user.key: found[user.key]["smallcase_auth_id"] for user in users if user.key in found}
    holders = {each: found[f"AUTHID#{each}"]["user_pk"] for each in ids if f"AUTHID#{each}" in found}
    assert held == {user: each for each, user in holders.items()}
    assert len(set(held.values())) == len(held) == answers.count((200, ""))
    for (user, smallcase_auth_id, result), (status, _) in zip(attempts, answers, strict=True):
        assert (status == 200) == (held.get(user.key) == smallcase_auth_id)
        assert user.key in held or smallcase_auth_id in held.values()
        assert ("used_for" in found[f"TXN#{result['transactionId']}"]) == (status == 200)


def test_of_ten_requests_at_once_with_one_proof_all_are_answered_alike(gateway: Gateway, asha: User) -> None:
    result = gateway.complete(asha.started(), new_id())
    with ThreadPoolExecutor(10) as pool:
        answers = list(pool.map(lambda _: asha.connect(result), range(10)))
    assert {answer.status for answer in answers} == {200}
    assert {answer.data for answer in answers} == {answers[0].data}


def test_no_token_secret_or_text_of_the_gateway_is_logged(stack: Stack, gateway: Gateway, asha: User) -> None:
    mark = f"SENTINEL-{uuid.uuid4().hex}"
    result = gateway.complete(asha.started(), new_id())
    gateway.arm("refused", on="details", text=mark)
    assert asha.connect(result).status == 502
    assert asha.connect(result).status == 200
    asha.start(intent=mark, orderConfig={mark: mark}, notes=mark)
    asha.connect({"smallcaseAuthToken": mark, "transactionId": mark})
    deadline = time.monotonic() + ARRIVAL_SECONDS
    while "connection.made" not in (said := everything_logged(stack)):
        assert time.monotonic() < deadline
    for secret in (mark, result["smallcaseAuthToken"], asha.bearer, *GATEWAY_SECRET.values()):
        if secret != "acme":
            assert secret not in said


# --- By webhook: the stack is updated, and then put back ---


def redeploy(stack: Stack, **parameters: str) -> None:
    """Update the running stack with these parameters changed."""
    given = {**stack.local._parameters(), **parameters}
    with Supervisor() as supervisor:
        deploy(supervisor, stack.file.endpoint, given, stack.local.logs / "redeploy.log")


def test_by_default_no_rule_gives_postbacks_to_connect_user(stack: Stack) -> None:
    events: Any = stack.file.endpoint.client("events")
    rules = events.list_rules(EventBusName=stack.file.outputs["EventBusName"])["Rules"]
    assert not [rule for rule in rules if "smallcase." in rule["EventPattern"]]


def test_connecting_by_webhook_without_the_question_cannot_be_deployed(stack: Stack) -> None:
    with pytest.raises(CommandFailed):
        redeploy(stack, ConnectByWebhook="true", VerifyTransactionDetails="false")
    said = (stack.local.logs / "redeploy.log").read_text()
    assert "ConnectByWebhook needs VerifyTransactionDetails" in said


@pytest.fixture(scope="module")
def by_webhook(stack: Stack) -> Iterator[Stack]:
    redeploy(stack, ConnectByWebhook="true")
    yield stack
    redeploy(stack)


def wait_for(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + ARRIVAL_SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.2)


def test_a_browser_that_never_comes_back_is_connected_by_a_postback(
    by_webhook: Stack, gateway: Gateway, asha: User
) -> None:
    gateway.control("settings", webhook_url=f"{by_webhook.file.api_url}/v1/webhooks/smallcase/orders")
    smallcase_auth_id = new_id()
    result = gateway.complete(asha.started(), smallcase_auth_id)
    wait_for(lambda: asha.key in items(by_webhook))
    assert items(by_webhook)[asha.key]["smallcase_auth_id"] == smallcase_auth_id
    assert asha.session() == {"smallcaseAuthId": smallcase_auth_id}
    # Should it come back after all, it gets the same answer as ever.
    assert asha.connect(result).json() == {"user": "connected", "broker": BROKER}


def test_a_postback_that_the_gateway_does_not_confirm_connects_nobody(
    by_webhook: Stack, gateway: Gateway, asha: User
) -> None:
    gateway.arm("another_smallcase_auth_id", on="details", times=None, smallcaseAuthId=new_id())
    gateway.control("settings", webhook_url=f"{by_webhook.file.api_url}/v1/webhooks/smallcase/orders")
    gateway.complete(asha.started(), new_id())
    wait_for(lambda: "TRANSACTION_MISMATCH" in everything_logged(by_webhook))
    assert asha.key not in items(by_webhook)


def test_a_postback_is_tried_again_while_the_gateway_is_away(by_webhook: Stack, gateway: Gateway, asha: User) -> None:
    # Asked three times in one invocation: the fourth question is another invocation's.
    gateway.arm("reset", on="details", times=3)
    gateway.control("settings", webhook_url=f"{by_webhook.file.api_url}/v1/webhooks/smallcase/orders")
    gateway.complete(asha.started(), new_id())
    wait_for(lambda: asha.key in items(by_webhook))
