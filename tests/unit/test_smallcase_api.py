"""The Gateway API's simulator: sessions, transactions, logins, faults and its log. No sockets, and a still clock."""

import base64
import dataclasses
import hmac
import json
import re
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from local.fault_switches import MOST_ARMED, ArmedFaults, Fault
from local.http_router import Request, Response
from local.simulator_controls import ControlRefusedError, InvalidControlError
from local.smallcase_api import faults, session_jwt, webhook
from local.smallcase_api.dialog import DIALOG, LOGIN_FAILED
from local.smallcase_api.faults import KINDS, OF_DETAILS, WITHOUT_EFFECT, FaultName, parse_fault
from local.smallcase_api.journal import LONGEST_LOG, Journal
from local.smallcase_api.presented import Refusal, body_members, transaction_id_in
from local.smallcase_api.session_jwt import Holder, InvalidJwtError
from local.smallcase_api.settings import Identity, Settings
from local.smallcase_api.simulator import Simulator
from local.smallcase_api.spoiling import SOMEBODY_ELSE
from local.smallcase_api.transactions import (
    BROKERS,
    MOST_REMEMBERED,
    Status,
    Transactions,
    TransactionUnknownError,
    auth_id_of,
)

IDENTITY = Identity("acme", "signing-key-0123456789-0123456789", "backend-key-0123456789-0123456789")
ROTATED = dataclasses.replace(
    IDENTITY,
    previous_secret="old-signing-key-0123456789-01234567",
    previous_api_secret="old-backend-key-0123456789-0123",
)
START = datetime(2026, 1, 2, 3, 4, 5, 678_901, tzinfo=UTC).timestamp()
ASHA, RAVI = auth_id_of("meadow", "asha"), auth_id_of("meadow", "ravi")
FAULT_EXTRAS = ["bytes", "location", "seconds", "text", "retry_after", "field", "value", "http_status", "status"]


@dataclass(slots=True)
class Clock:
    now: float = START

    def __call__(self) -> float:
        return self.now


@dataclass(slots=True)
class Gateway:
    """A simulator, a back end that calls it rightly unless told otherwise, and the webhooks that it sent."""

    simulator: Simulator
    clock: Clock
    identity: Identity = IDENTITY
    sent: list[tuple[str, dict[str, Any]]] = dataclasses.field(default_factory=list)

    def token(self, key: str = "", **claims: object) -> str:
        return jwt.encode(claims or {"guest": True}, key or self.identity.secret, algorithm="HS256")

    def request(self, endpoint: int, **changes: Any) -> Request:
        headers = {
            "X-Gateway-Secret": self.identity.api_secret,
            "X-Gateway-AuthToken": self.token(),
            "Content-Type": "application/json",
            **changes.pop("headers", {}),
        }
        given = tuple((name, value) for name, value in headers.items() if value is not None)
        method = self.simulator.endpoints[endpoint].method
        return Request(method, "/", params={"gateway": "acme"}, headers=given, **changes)

    def answer(self, endpoint: int, request: Request) -> tuple[int, Any]:
        answer = self.simulator.answer(self.simulator.endpoints[endpoint], request)
        assert isinstance(answer, Response)
        return answer.status, json.loads(answer.body)

    def start(self, value: object = None, **changes: Any) -> tuple[int, Any]:
        body = json.dumps({"intent": "CONNECT"} if value is None else value).encode()
        return self.answer(0, self.request(0, **{"body": body, **changes}))

    def details(self, transaction_id: str, **changes: Any) -> tuple[int, Any]:
        return self.answer(1, self.request(1, **{"query": f"transactionId={transaction_id}", **changes}))

    def transaction(self, **changes: Any) -> str:
        status, answer = self.start(**changes)
        assert status == 200
        return str(answer["data"]["transactionId"])

    def status(self, transaction_id: str) -> object:
        return self.details(transaction_id)[1]["data"]["status"]

    def log(self) -> list[dict[str, Any]]:
        log = self.simulator.state()["log"]
        assert isinstance(log, list)
        return log


@pytest.fixture
def gateway() -> Gateway:
    clock, sent = Clock(), list[tuple[str, dict[str, Any]]]()

    def send(url: str, body: bytes) -> str:
        sent.append((url, json.loads(body)))
        return "200"

    return Gateway(Simulator(IDENTITY, clock=clock, send_webhook=send), clock, sent=sent)


# Making a transaction


def test_a_transaction_is_made_for_a_guest_and_says_until_when(gateway: Gateway) -> None:
    status, answer = gateway.start({"intent": "CONNECT", "notes": "n", "orderConfig": {}, "assetConfig": {}})
    assert status == 200
    assert answer.keys() == {"success", "data"}
    assert answer["success"] is True
    assert answer["data"] == {"transactionId": answer["data"]["transactionId"], "expireAt": "2026-01-02T03:19:05.678Z"}


def test_the_expiry_comes_in_epoch_milliseconds_where_the_switch_says_so(gateway: Gateway) -> None:
    gateway.simulator.change_settings({"expire_at_format": "epoch_milliseconds", "transaction_lifetime_seconds": 300})
    assert gateway.start()[1]["data"]["expireAt"] == int(START * 1000) + 300_000


def test_ids_are_never_the_same_and_not_all_of_one_length(gateway: Gateway) -> None:
    made = {gateway.transaction() for _ in range(200)}
    assert len(made) == 200
    assert len({len(each) for each in made}) > 3
    assert all(re.fullmatch(r"[\w-]+", each, re.ASCII) for each in made)


def test_a_connect_takes_a_guests_session_and_other_intents_take_both(gateway: Gateway) -> None:
    connected = {"X-Gateway-AuthToken": gateway.token(smallcaseAuthId="a")}
    assert gateway.start(headers=connected)[0] == 400
    assert gateway.log()[-1]["outcome"] == "guest_required"
    assert gateway.start({"intent": "HOLDINGS_IMPORT"}, headers=connected)[0] == 200
    assert gateway.start({"intent": "HOLDINGS_IMPORT"})[0] == 200


@pytest.mark.parametrize(
    ("headers", "status", "outcome"),
    [
        ({"X-Gateway-Secret": None}, 401, "wrong_secret"),
        ({"X-Gateway-Secret": ""}, 401, "wrong_secret"),
        ({"X-Gateway-Secret": IDENTITY.secret}, 401, "wrong_secret"),
        ({"X-Gateway-Secret": "kéy"}, 401, "wrong_secret"),
        ({"X-Gateway-AuthToken": None}, 401, "invalid_jwt"),
        ({"X-Gateway-AuthToken": "a.b.c"}, 401, "invalid_jwt"),
        ({"Content-Type": "text/plain"}, 415, "not_json"),
        ({"Content-Type": None}, 415, "not_json"),
    ],
)
def test_what_the_headers_lack_is_refused_in_the_envelope_of_errors(
    gateway: Gateway, headers: dict[str, str | None], status: int, outcome: str
) -> None:
    refused, answer = gateway.start(headers=headers)
    assert (refused, gateway.log()[-1]["outcome"]) == (status, outcome)
    assert answer.keys() == {"success", "errors"}
    assert answer["success"] is False
    assert len(answer["errors"]) == 1
    assert gateway.simulator.state()["transactions"] == []


def test_a_header_that_comes_twice_fits_nothing(gateway: Gateway) -> None:
    request = gateway.request(0, body=b'{"intent": "CONNECT"}')
    doubled = dataclasses.replace(request, headers=request.headers + request.headers[:1])
    assert gateway.answer(0, doubled)[0] == 401


def test_another_gateways_name_is_refused_before_anything_else_is_looked_at(gateway: Gateway) -> None:
    request = dataclasses.replace(gateway.request(0), params={"gateway": "other"}, headers=())
    assert gateway.answer(0, request)[0] == 404
    assert gateway.log()[-1]["outcome"] == "unknown_gateway"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"\xff",
        b"[" * 100_000,
        b"{}",
        b'{"intent": 1}',
        b'{"intent": ""}',
        b'{"intent": "CONNECT", "intent": "CONNECT"}',
        b'{"intent": "CONNECT", "notes": NaN}',
        b'{"intent": "CONNECT", "smallcaseAuthId": "a"}',
    ],
)
def test_a_body_that_is_not_as_documented_is_refused(gateway: Gateway, body: bytes) -> None:
    assert gateway.start(body=body)[0] == 400
    assert gateway.log()[-1]["outcome"] == "invalid_request"


# Sessions


@pytest.mark.parametrize(
    ("claims", "holder"),
    [
        ({"guest": True}, None),
        ({"guest": True, "iat": START + 60, "exp": START + 1}, None),
        ({"smallcaseAuthId": "a"}, "a"),
        ({"smallcaseAuthId": "a", "exp": START + 0.5}, "a"),
    ],
)
def test_a_session_is_a_guests_or_that_of_the_holder_of_an_id(claims: dict[str, object], holder: str | None) -> None:
    token = jwt.encode(claims, IDENTITY.secret, algorithm="HS256")
    assert session_jwt.verify(token, IDENTITY.signing_keys, START) == Holder(holder)


INVALID_CLAIMS: list[dict[str, Any]] = [
    {},
    {"guest": False},
    {"guest": 1},
    {"guest": "true"},
    {"guest": True, "smallcaseAuthId": "a"},
    {"guest": True, "sub": "a"},
    {"guest": True, "aud": "a"},
    {"guest": True, "nbf": 1},
    {"smallcaseAuthId": ""},
    {"smallcaseAuthId": None},
    {"smallcaseAuthId": ["a"]},
    {"smallcaseAuthId": "a", "broker": "meadow"},
    {"guest": True, "exp": int(START)},
    {"guest": True, "exp": str(int(START) + 60)},
    {"guest": True, "exp": None},
    {"guest": True, "exp": float("nan")},
    {"guest": True, "iat": True},
]


@pytest.mark.parametrize("claims", INVALID_CLAIMS, ids=str)
def test_a_session_with_any_other_claims_is_invalid(claims: dict[str, object]) -> None:
    # The signature alone: PyJWT would not write some of these.
    token = jwt.PyJWS().encode(json.dumps(claims).encode(), IDENTITY.secret.encode(), "HS256")
    with pytest.raises(InvalidJwtError):
        session_jwt.verify(token, IDENTITY.signing_keys, START)


@pytest.mark.parametrize(
    ("key", "algorithm"),
    [("another-key-0123456789-0123456789-0123", "HS256"), (IDENTITY.secret * 2, "HS512"), ("", "none")],
)
def test_a_session_under_another_key_or_algorithm_is_invalid(key: str, algorithm: str) -> None:
    token = jwt.encode({"guest": True}, key, algorithm=algorithm)
    with pytest.raises(InvalidJwtError):
        session_jwt.verify(token, [IDENTITY.secret, IDENTITY.secret * 2], START)


@given(st.text())
def test_any_text_as_a_session_is_invalid_and_breaks_nothing(text: str) -> None:
    with pytest.raises(InvalidJwtError):
        session_jwt.verify(text, IDENTITY.signing_keys, START)


@pytest.mark.parametrize("text", ["\ud800.a.b", base64.urlsafe_b64encode(b"[" * 30_000).decode().strip("=") + ".a.b"])
def test_a_session_that_no_reader_likes_is_invalid(text: str) -> None:
    with pytest.raises(InvalidJwtError):
        session_jwt.verify(text, IDENTITY.signing_keys, START)


def test_short_keys_are_used_without_a_word() -> None:
    token = session_jwt.issue("a", "short", START, 60)
    assert session_jwt.verify(token, ["short"], START) == Holder("a")


def test_during_a_rotation_both_keys_of_each_kind_do(gateway: Gateway) -> None:
    gateway.simulator.change_settings({"identity": dataclasses.asdict(ROTATED)})
    assert gateway.start()[0] == 200
    previous = {
        "X-Gateway-Secret": ROTATED.previous_api_secret,
        "X-Gateway-AuthToken": gateway.token(ROTATED.previous_secret),
    }
    assert gateway.start(headers=previous)[0] == 200
    assert [entry["gateway_secret"] for entry in gateway.log()] == ["current", "previous"]


def test_a_partner_without_keys_is_refused_whatever_it_sends() -> None:
    nobody = Identity.from_environment({})
    gateway = Gateway(Simulator(nobody, clock=Clock(), send_webhook=lambda *_: ""), Clock())
    for headers in ({"X-Gateway-Secret": ""}, {"X-Gateway-Secret": None}, {}):
        request = dataclasses.replace(gateway.request(0, headers=headers), params={"gateway": ""})
        assert gateway.answer(0, request)[0] == 401
    with pytest.raises(InvalidJwtError):
        session_jwt.verify(jwt.encode({"guest": True}, "", algorithm="none"), nobody.signing_keys, START)


def test_keys_travel_in_the_environment_and_show_nowhere() -> None:
    members = {**dataclasses.asdict(ROTATED), "something": "else", "previous_secret": None}
    environment = Identity.to_environment(members)
    assert environment["SMALLCASE_PREVIOUS_SECRET"] == ""
    assert Identity.from_environment(environment) == dataclasses.replace(ROTATED, previous_secret="")
    shown = repr(Settings(ROTATED)) + str(Settings(ROTATED).public())
    for key in (ROTATED.secret, ROTATED.api_secret, ROTATED.previous_secret, ROTATED.previous_api_secret):
        assert key not in shown


# Details


def test_details_of_a_new_transaction_name_nobody_yet(gateway: Gateway) -> None:
    transaction = gateway.transaction()
    assert gateway.details(transaction) == (
        200,
        {
            "success": True,
            "data": {"transactionId": transaction, "status": "INITIALIZED", "smallcaseAuthId": None, "broker": None},
        },
    )


def test_details_take_a_connected_session_too(gateway: Gateway) -> None:
    headers = {"X-Gateway-AuthToken": gateway.token(smallcaseAuthId="a")}
    assert gateway.details(gateway.transaction(), headers=headers)[0] == 200


def test_details_of_nothing_known_are_404_and_of_no_transaction_400(gateway: Gateway) -> None:
    assert gateway.details("TRX_none")[0] == 404
    assert gateway.details("", query="")[0] == 400
    assert [entry["outcome"] for entry in gateway.log()] == ["unknown_transaction", "invalid_request"]


def test_details_check_both_headers(gateway: Gateway) -> None:
    transaction = gateway.transaction()
    assert gateway.details(transaction, headers={"X-Gateway-Secret": "wrong"})[0] == 401
    assert gateway.details(transaction, headers={"X-Gateway-AuthToken": None})[0] == 401


@pytest.mark.parametrize(
    "query",
    ["", "transactionId=", "transactionId", "transactionid=a", "transactionId=a&transactionId=b", "transactionId=a&x="],
)
def test_a_query_of_details_is_one_transaction_id(query: str) -> None:
    with pytest.raises(Refusal, match="invalid_request"):
        transaction_id_in(query)


def test_a_transaction_id_in_a_query_is_percent_decoded() -> None:
    assert transaction_id_in("transactionId=a%2Fb%20c") == "a/b c"


# Expiry


def test_a_transaction_that_nobody_has_ended_expires(gateway: Gateway) -> None:
    waiting, used, processing, done = (gateway.transaction() for _ in range(4))
    gateway.simulator.dialog("use", {"transactionId": used})
    gateway.simulator.dialog("process", {"transactionId": processing})
    gateway.simulator.dialog("complete", {"transactionId": done})
    gateway.clock.now += 900 - 0.001
    assert [gateway.status(each) for each in (waiting, used, processing)] == ["INITIALIZED", "USED", "PROCESSING"]
    gateway.clock.now += 0.001
    assert [gateway.status(each) for each in (waiting, used, processing, done)] == ["EXPIRED"] * 3 + ["COMPLETED"]
    with pytest.raises(ControlRefusedError, match="EXPIRED") as refused:
        gateway.simulator.dialog("complete", {"transactionId": waiting})
    assert (refused.value.status, refused.value.code) == (409, "TRANSACTION_ENDED")


def test_the_oldest_transactions_are_forgotten() -> None:
    transactions = Transactions()
    first = transactions.create("CONNECT", Holder(None), START, 60)
    for _ in range(MOST_REMEMBERED):
        transactions.create("CONNECT", Holder(None), START, 60)
    with pytest.raises(TransactionUnknownError):
        transactions.find(first.id, START)


# What the user does


def test_a_login_completes_the_transaction_and_gives_what_the_sdk_hands_to_the_page(gateway: Gateway) -> None:
    transaction = gateway.transaction()
    result = gateway.simulator.dialog(
        "complete", {"transactionId": transaction, "broker": "harbour", "account": "asha"}
    )
    assert result.keys() == {"smallcaseAuthToken", "transactionId", "broker"}
    assert (result["transactionId"], result["broker"]) == (transaction, "harbour")
    payload = json.loads(jwt.PyJWS().decode(str(result["smallcaseAuthToken"]), IDENTITY.secret.encode(), ["HS256"]))
    holder = auth_id_of("harbour", "asha")
    assert payload == {"smallcaseAuthId": holder, "iat": int(START), "exp": int(START) + 86_400}
    assert gateway.details(transaction)[1]["data"] == {
        "transactionId": transaction,
        "status": "COMPLETED",
        "smallcaseAuthId": holder,
        "broker": "harbour",
    }


def test_an_account_has_the_same_id_every_time_and_another_at_each_broker() -> None:
    ids = {auth_id_of(broker, account) for broker in BROKERS for account in ("asha", "ravi")}
    assert len(ids) == 4
    assert all(re.fullmatch(r"[0-9a-f]{24}", each) for each in ids)
    assert auth_id_of("meadow", "asha") == ASHA == "d8d4b1ee34afaac364aa682d"


def test_without_a_name_everybody_logs_in_with_the_same_account(gateway: Gateway) -> None:
    results = [gateway.simulator.dialog("complete", {"transactionId": gateway.transaction()}) for _ in range(2)]
    assert [result["broker"] for result in results] == [BROKERS[0]] * 2
    assert results[0]["smallcaseAuthToken"] == results[1]["smallcaseAuthToken"]


def test_the_lifetime_of_the_token_that_comes_back_is_a_switch(gateway: Gateway) -> None:
    gateway.simulator.change_settings({"auth_token_lifetime_seconds": None})
    result = gateway.simulator.dialog("complete", {"transactionId": gateway.transaction(), "smallcaseAuthId": "A-1"})
    payload = jwt.decode(str(result["smallcaseAuthToken"]), options={"verify_signature": False})
    assert payload == {"smallcaseAuthId": "A-1", "iat": int(START)}


@pytest.mark.parametrize(
    ("action", "status", "members"),
    [
        ("use", "USED", {"transactionId"}),
        ("process", "PROCESSING", {"transactionId", "smallcaseAuthToken", "broker"}),
        ("require-action", "ACTION_REQUIRED", {"transactionId", "smallcaseAuthToken", "broker"}),
        ("fail", "ERRORED", {"transactionId", "smallcaseAuthToken", "broker"}),
        ("cancel", "CANCELLED", {"transactionId"}),
    ],
)
def test_a_dialog_can_end_otherwise(gateway: Gateway, action: str, status: str, members: set[str]) -> None:
    transaction = gateway.transaction()
    assert gateway.simulator.dialog(action, {"transactionId": transaction}).keys() == members
    assert gateway.status(transaction) == status


def test_an_error_is_in_the_details(gateway: Gateway) -> None:
    said, silent = gateway.transaction(), gateway.transaction()
    gateway.simulator.dialog("fail", {"transactionId": said, "error": "broker_down"})
    gateway.simulator.dialog("fail", {"transactionId": silent})
    errors = [gateway.details(each)[1]["data"]["error"] for each in (said, silent)]
    assert errors == ["broker_down", LOGIN_FAILED]


def test_a_transaction_goes_on_and_never_back(gateway: Gateway) -> None:
    transaction = gateway.transaction()
    for action in ("use", "process", "complete"):
        gateway.simulator.dialog(action, {"transactionId": transaction})
    for action in DIALOG:
        with pytest.raises(ControlRefusedError, match="COMPLETED"):
            gateway.simulator.dialog(action, {"transactionId": transaction})
    processing = gateway.transaction()
    gateway.simulator.dialog("process", {"transactionId": processing})
    for action in ("use", "process"):
        with pytest.raises(ControlRefusedError, match="PROCESSING"):
            gateway.simulator.dialog(action, {"transactionId": processing})


def test_who_has_logged_in_stays_while_the_transaction_is_processed(gateway: Gateway) -> None:
    transaction = gateway.transaction()
    gateway.simulator.dialog("process", {"transactionId": transaction, "account": "ravi"})
    gateway.simulator.dialog("complete", {"transactionId": transaction})
    assert gateway.details(transaction)[1]["data"]["smallcaseAuthId"] == RAVI


def test_a_connected_user_is_sent_to_their_own_broker_and_no_other_account_will_do(gateway: Gateway) -> None:
    gateway.simulator.dialog(
        "complete", {"transactionId": gateway.transaction(), "smallcaseAuthId": "A-1", "broker": "harbour"}
    )
    headers = {"X-Gateway-AuthToken": gateway.token(smallcaseAuthId="A-1")}
    own, other = (gateway.transaction(value={"intent": "TRANSACTION"}, headers=headers) for _ in range(2))
    assert gateway.simulator.dialog("complete", {"transactionId": own})["broker"] == "harbour"
    with pytest.raises(ControlRefusedError) as refused:
        gateway.simulator.dialog("complete", {"transactionId": other, "account": "ravi"})
    assert (refused.value.status, refused.value.code) == (409, "user_mismatch")
    assert gateway.status(other) == "INITIALIZED"


def test_a_connected_user_of_an_unknown_id_goes_to_the_first_broker(gateway: Gateway) -> None:
    page = {"smallcaseAuthToken": gateway.token(smallcaseAuthId="B-2"), "gateway": "acme"}
    result = gateway.simulator.dialog("complete", {"transactionId": gateway.transaction(), **page})
    assert result["broker"] == BROKERS[0]


@pytest.mark.parametrize(
    ("page", "code"),
    [
        ({"gateway": "other"}, "unknown_gateway"),
        ({"smallcaseAuthToken": "a.b.c"}, "invalid_jwt"),
        ({"smallcaseAuthToken": jwt.encode({"guest": True}, IDENTITY.api_secret, algorithm="HS256")}, "invalid_jwt"),
    ],
)
def test_what_the_page_made_the_sdk_with_is_checked_where_it_is_given(
    gateway: Gateway, page: dict[str, str], code: str
) -> None:
    transaction = gateway.transaction()
    with pytest.raises(ControlRefusedError) as refused:
        gateway.simulator.dialog("complete", {"transactionId": transaction, **page})
    assert refused.value.code == code
    assert gateway.status(transaction) == "INITIALIZED"


def test_nobody_logs_in_to_an_unknown_transaction(gateway: Gateway) -> None:
    with pytest.raises(ControlRefusedError) as refused:
        gateway.simulator.dialog("complete", {"transactionId": "none"})
    assert (refused.value.status, refused.value.code) == (404, "TRANSACTION_UNKNOWN")


@pytest.mark.parametrize(
    ("action", "members", "wrong"),
    [
        ("complete", {}, ["transactionId"]),
        ("complete", {"transactionId": ""}, ["transactionId"]),
        ("complete", {"transactionId": 1, "user": "asha"}, ["user", "transactionId"]),
        ("complete", {"transactionId": "a", "broker": "other"}, ["broker"]),
        ("complete", {"transactionId": "a", "broker": []}, ["broker"]),
        ("complete", {"transactionId": "a", "error": "x"}, ["error"]),
        ("complete", {"transactionId": "a", "smallcaseAuthId": "a", "account": "a"}, ["account"]),
        ("cancel", {"transactionId": "a", "broker": "meadow"}, ["broker"]),
        ("fail", {"transactionId": "a", "error": ""}, ["error"]),
    ],
)
def test_what_a_user_cannot_do_is_refused_by_name(
    gateway: Gateway, action: str, members: dict[str, object], wrong: list[str]
) -> None:
    with pytest.raises(InvalidControlError) as error:
        gateway.simulator.dialog(action, members)
    assert [problem.partition(":")[0] for problem in error.value.problems] == wrong


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


@given(
    st.sampled_from(sorted(DIALOG)),
    st.dictionaries(st.sampled_from(["transactionId", "broker", "account", "smallcaseAuthId", "error"]), JSON_VALUES),
)
def test_any_control_call_of_the_dialog_is_done_or_refused(action: str, members: dict[str, object]) -> None:
    simulator = Simulator(IDENTITY, clock=Clock(), send_webhook=lambda *_: "")
    with suppress(InvalidControlError, ControlRefusedError):
        simulator.dialog(action, members)


# Webhooks

HOOK = "http://127.0.0.1:8700/v1/webhooks/smallcase/holdings"


def test_a_completed_transaction_is_told_where_the_switch_says_so(gateway: Gateway) -> None:
    gateway.simulator.change_settings({"webhook_url": HOOK})
    transaction = gateway.transaction()
    gateway.simulator.dialog("complete", {"transactionId": transaction, "account": "asha"})
    covered = f"2026-01-02T03:04:05.678Z{ASHA}".encode()
    checksum = hmac.digest(IDENTITY.api_secret.encode(), covered, "sha256").hex()
    members = {"transactionId": transaction, "smallcaseAuthId": ASHA, "timestamp": "2026-01-02T03:04:05.678Z"}
    assert gateway.sent == [(HOOK, {**members, "checksum": checksum})]
    sent = {"transactionId": transaction, "sent_at": "2026-01-02T03:04:05.678Z", "outcome": "200"}
    assert gateway.simulator.state()["webhooks"] == [sent]


def test_a_checksum_comes_in_base64_where_the_switch_says_so() -> None:
    hexadecimal, encoded = (
        json.loads(webhook.delivery("t", "a", api_secret="k", encoding=encoding, now=START))["checksum"]
        for encoding in ("hex", "base64")
    )
    assert base64.b64decode(encoded).hex() == hexadecimal


@pytest.mark.parametrize("action", sorted(DIALOG.keys() - {"complete"}))
def test_what_is_not_completed_is_told_nobody(gateway: Gateway, action: str) -> None:
    gateway.simulator.change_settings({"webhook_url": HOOK})
    gateway.simulator.dialog(action, {"transactionId": gateway.transaction()})
    assert gateway.sent == []


def test_who_is_told_may_ask_for_the_details_before_it_answers() -> None:
    clock = Clock()
    asked: list[object] = []

    def send(_url: str, body: bytes) -> str:
        asked.append(partner.status(json.loads(body)["transactionId"]))
        return "200"

    partner = Gateway(Simulator(IDENTITY, clock=clock, send_webhook=send), clock)
    partner.simulator.change_settings({"webhook_url": HOOK})
    partner.simulator.dialog("complete", {"transactionId": partner.transaction()})
    assert asked == ["COMPLETED"]


# Settings


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("identity", None),
        ("identity", {"gateway_name": "acme", "secret": "s"}),
        ("identity", {"gateway_name": "acme", "secret": "s", "api_secret": ""}),
        ("identity", {"gateway_name": "acme", "secret": "s", "api_secret": 1}),
        ("identity", {"gateway_name": "acme", "secret": "s", "api_secret": "a", "more": "m"}),
        ("transaction_lifetime_seconds", True),
        ("transaction_lifetime_seconds", 1.5),
        ("transaction_lifetime_seconds", -1),
        ("transaction_lifetime_seconds", None),
        ("expire_at_format", "rfc822"),
        ("expire_at_format", []),
        ("auth_token_lifetime_seconds", "60"),
        ("latency_seconds", float("inf")),
        ("webhook_url", "https://127.0.0.1:1/"),
        ("webhook_url", "http://127.0.0.1/"),
        ("webhook_url", "http://127.0.0.1.example.com:80/"),
        ("webhook_url", "http://10.0.0.1:80/"),
        ("webhook_url", "http://[:80/"),
        ("webhook_url", "http://localhost:99999/"),
        ("webhook_url", 1),
        ("checksum_encoding", "base32"),
    ],
)
def test_a_setting_of_the_wrong_kind_is_refused(name: str, value: object) -> None:
    with pytest.raises(InvalidControlError, match=name):
        Settings(IDENTITY).changed({name: value})


def test_a_change_of_settings_is_all_or_nothing_and_names_everything_wrong_with_it(gateway: Gateway) -> None:
    before = gateway.simulator.state()
    with pytest.raises(InvalidControlError) as error:
        gateway.simulator.change_settings({"latency_seconds": -1, "surprise": 1, "webhook_url": None})
    assert [problem.partition(":")[0] for problem in error.value.problems] == ["surprise", "latency_seconds"]
    assert gateway.simulator.state() == before


@given(st.dictionaries(st.sampled_from([each.name for each in dataclasses.fields(Settings)]) | st.text(), JSON_VALUES))
def test_any_change_of_settings_is_either_made_or_refused(members: dict[str, object]) -> None:
    with suppress(InvalidControlError):
        changed = Settings(IDENTITY).changed(members).public()
        assert all(changed[name] == value for name, value in members.items() if name != "identity")


# Faults


def test_the_table_of_faults_says_of_each_whether_the_request_takes_effect() -> None:
    rows = re.findall(r"^\| `(\w+)` \| .+ \| (yes|no) \| .*\|$", faults.__doc__ or "", re.MULTILINE)
    assert dict(rows) == {name.value: "no" if name in WITHOUT_EFFECT else "yes" for name in FaultName}


@pytest.mark.parametrize("name", FaultName)
@pytest.mark.parametrize("kind", [*KINDS, "any"])
def test_every_fault_can_be_armed_on_the_requests_that_it_is_of(name: FaultName, kind: str) -> None:
    members = {"fault": name.value, "on": kind}
    if name not in OF_DETAILS:
        assert parse_fault(members) == Fault(name, kind, 1, {})
    elif kind == "transaction":
        with pytest.raises(InvalidControlError, match="of details alone"):
            parse_fault(members)
    else:
        assert parse_fault(members) == Fault(name, "details", 1, {})


@pytest.mark.parametrize(
    "members",
    [
        {"fault": "refused", "http_status": 399},
        {"fault": "refused", "http_status": 500},
        {"fault": "refused", "http_status": True},
        {"fault": "status_500", "text": ""},
        {"fault": "status_429", "retry_after": None},
        {"fault": "not_completed", "status": 1},
        {"fault": "expired_answer"},
    ],
)
def test_a_fault_that_cannot_be_is_refused(members: dict[str, object]) -> None:
    with pytest.raises(InvalidControlError):
        parse_fault(members)


@given(st.dictionaries(st.sampled_from(["on", "times", *FAULT_EXTRAS]), JSON_VALUES), st.sampled_from(FaultName))
def test_any_fault_is_either_armed_or_refused(members: dict[str, object], name: FaultName) -> None:
    with suppress(InvalidControlError):
        assert parse_fault(members | {"fault": name.value}).name is name


def test_faults_do_not_pile_up_without_end() -> None:
    armed = ArmedFaults[FaultName]()
    for _ in range(MOST_ARMED):
        armed.arm(parse_fault({"fault": "html"}))
    with pytest.raises(InvalidControlError, match="at once"):
        armed.arm(parse_fault({"fault": "html"}))


def arm(gateway: Gateway, fault: FaultName, **members: object) -> None:
    gateway.simulator.arm(parse_fault({"fault": fault.value, **members}))


def test_details_can_name_somebody_else_or_another_state(gateway: Gateway) -> None:
    transaction = gateway.transaction()
    gateway.simulator.dialog("complete", {"transactionId": transaction, "account": "asha"})
    right = gateway.details(transaction)[1]["data"]
    for fault, members, changed in (
        (FaultName.ANOTHER_SMALLCASE_AUTH_ID, {}, {"smallcaseAuthId": SOMEBODY_ELSE}),
        (FaultName.ANOTHER_SMALLCASE_AUTH_ID, {"smallcaseAuthId": "z"}, {"smallcaseAuthId": "z"}),
        (FaultName.NOT_COMPLETED, {}, {"status": "PROCESSING"}),
        (FaultName.NOT_COMPLETED, {"status": "EXPIRED"}, {"status": "EXPIRED"}),
    ):
        arm(gateway, fault, **members)
        assert gateway.transaction()  # not what it is of
        assert gateway.details(transaction)[1]["data"] == {**right, **changed}
    assert gateway.details(transaction)[1]["data"] == right


@pytest.mark.parametrize(
    ("field", "left"),
    [("transactionId", {"expireAt"}), ("expireAt", {"transactionId"}), ("none", {"transactionId", "expireAt"})],
)
def test_a_member_of_the_data_can_be_missing(gateway: Gateway, field: str, left: set[str]) -> None:
    arm(gateway, FaultName.MISSING_FIELD, field=field)
    assert gateway.start()[1]["data"].keys() == left


def test_the_members_of_the_envelope_can_be_spoilt_as_well(gateway: Gateway) -> None:
    arm(gateway, FaultName.MISSING_FIELD, field="data")
    assert gateway.start() == (200, {"success": True})
    arm(gateway, FaultName.WRONG_TYPE, field="success", value=False)
    assert gateway.start()[1]["success"] is False


@pytest.mark.parametrize(
    ("fault", "members", "status"),
    [
        (FaultName.UNAUTHORIZED_401, {}, 401),
        (FaultName.REFUSED, {}, 400),
        (FaultName.REFUSED, {"http_status": 422}, 422),
        (FaultName.STATUS_500, {}, 500),
        (FaultName.STATUS_503_RETRY_AFTER, {}, 503),
        (FaultName.STATUS_429, {}, 429),
        (FaultName.ERROR_OBJECT_200, {}, 200),
    ],
)
def test_an_error_can_hold_any_text(
    gateway: Gateway, fault: FaultName, members: dict[str, object], status: int
) -> None:
    arm(gateway, fault, text="SENTINEL", **members)
    assert gateway.start() == (status, {"success": False, "errors": ["SENTINEL"]})
    assert gateway.simulator.state()["transactions"] == []


# The log


def test_the_log_says_of_each_request_what_it_presented_and_keeps_no_key_and_no_token(gateway: Gateway) -> None:
    gateway.start({"intent": "CONNECT", "notes": "n0te"})
    connected = gateway.token(smallcaseAuthId="A-1")
    gateway.details("none", headers={"X-Gateway-AuthToken": connected, "X-Gateway-Secret": "wr0ng"})
    gateway.start(body=b"[]", headers={"X-Gateway-AuthToken": "inval1d", "X-Gateway-Secret": None})
    shown = ("kind", "gateway_secret", "session", "smallcaseAuthId", "body_members", "outcome", "took_effect")
    assert [tuple(entry[name] for name in shown) for entry in gateway.log()] == [
        ("transaction", "current", "guest", None, ["intent", "notes"], "ok", True),
        ("details", "wrong", "connected", "A-1", None, "wrong_secret", False),
        ("transaction", "missing", "invalid", None, None, "wrong_secret", False),
    ]
    assert [entry["number"] for entry in gateway.log()] == [1, 2, 3]
    state = json.dumps(gateway.simulator.state())
    for secret in (IDENTITY.secret, IDENTITY.api_secret, connected, gateway.token(), "wr0ng", "inval1d", "n0te"):
        assert secret not in state


def test_the_log_keeps_the_newest_requests_while_the_counts_go_on() -> None:
    journal = Journal()
    for _ in range(LONGEST_LOG + 5):
        journal.begin("details", {}, b"", IDENTITY, START)
        journal.count("details", "ok")
    shown = journal.public()
    log = shown["log"]
    assert isinstance(log, list)
    assert [log[0]["number"], log[-1]["number"]] == [6, LONGEST_LOG + 5]
    assert shown["requests_total"] == LONGEST_LOG + 5
    assert shown["requests"] == {"details": {"total": LONGEST_LOG + 5, "outcomes": {"ok": LONGEST_LOG + 5}}}


@given(st.binary())
def test_any_body_is_an_object_or_none(body: bytes) -> None:
    members = body_members(body)
    assert members is None or isinstance(members, dict)


# Answers that are late


@dataclass(slots=True)
class RecordingWire:
    pauses: list[float] = dataclasses.field(default_factory=list)
    sent: list[bytes] = dataclasses.field(default_factory=list)

    def send(self, data: bytes) -> None:
        self.sent.append(data)

    def pause(self, seconds: float) -> None:
        self.pauses.append(seconds)

    def reset(self) -> None:
        raise AssertionError


@pytest.mark.parametrize(("fault", "sent"), [(None, b"HTTP/1.1 200 OK"), ("lost_answer", b"")])
def test_an_effect_comes_before_its_late_answer(gateway: Gateway, fault: str | None, sent: bytes) -> None:
    gateway.simulator.change_settings({"latency_seconds": 2})
    if fault:
        gateway.simulator.arm(parse_fault({"fault": fault}))
    answer: Any = gateway.simulator.answer(
        gateway.simulator.endpoints[0], gateway.request(0, body=b'{"intent": "CONNECT"}')
    )
    transactions: Any = gateway.simulator.state()["transactions"]
    assert [each["status"] for each in transactions] == [Status.INITIALIZED]
    wire = RecordingWire()
    assert callable(answer)
    answer(wire)
    assert wire.pauses == [2]
    assert wire.sent[0][:15] == sent
