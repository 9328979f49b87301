import json
from collections.abc import Callable

import pytest

from gatehouse import strict_json
from gatehouse.gateway_secret import GatewaySecret, parse_gateway_secret
from gatehouse.problems import GatewayNotConfigured, GatewayRefused, GatewayUnavailable
from gatehouse.secret_value import Secret
from gatehouse.smallcase import ATTEMPT_SECONDS, ATTEMPTS, SmallcaseGateway
from gatehouse.smallcase_answer import Details
from gatehouse.upstream import UpstreamAnswer, UpstreamFault, UpstreamRequest
from tests.support.connection_fakes import ASHAS_ID, GATEWAY_URL, LIFETIME_SECONDS, World
from tests.support.events import GATEWAY_SECRET, gateway_secret
from tests.support.token_fakes import json_answer

CONNECT: dict[str, strict_json.Json] = {"intent": "CONNECT"}


def secret(**changes: object) -> GatewaySecret:
    return parse_gateway_secret(Secret(gateway_secret(**changes)), allow_short=True)


def start(world: World, smallcase_auth_id: str | None = None, **changes: object) -> object:
    return world.gateway().start_transaction(secret(**changes), smallcase_auth_id, CONNECT, world.deadline)


def ask(world: World, transaction_id: str = "TRX_1", **changes: object) -> Details:
    return world.gateway().transaction_details(secret(**changes), ASHAS_ID, transaction_id, world.deadline)


def sent(world: World) -> UpstreamRequest:
    (request,) = world.api.requests
    return request


def test_a_transaction_is_started_as_documented() -> None:
    world = World()
    start(world)
    request = sent(world)
    assert (request.method, request.url) == ("POST", f"{GATEWAY_URL}/gateway/acme/transaction")
    assert set(request.headers) == {"x-gateway-secret", "x-gateway-authtoken", "Content-Type"}
    assert request.headers["x-gateway-secret"] == GATEWAY_SECRET["api_secret"]
    assert request.headers["Content-Type"] == "application/json"
    assert json.loads(request.body or b"") == {"intent": "CONNECT"}


@pytest.mark.parametrize(
    ("smallcase_auth_id", "claim"), [(None, {"guest": True}), ("63f6", {"smallcaseAuthId": "63f6"})]
)
def test_a_call_is_made_in_the_name_of_somebody(smallcase_auth_id: str | None, claim: dict[str, object]) -> None:
    world = World()
    start(world, smallcase_auth_id)
    now = int(world.clock())
    assert world.api.token() == {**claim, "iat": now, "exp": now + LIFETIME_SECONDS}


def test_what_was_asked_for_goes_out_to_the_last_digit() -> None:
    world = World()
    text = b'{"intent":"TRANSACTION","orderConfig":{"securities":[{"price":1520.10,"id":9007199254740993,"x":1e400}]}}'
    order = strict_json.parse(text)
    assert isinstance(order, dict)
    world.gateway().start_transaction(secret(), None, order, world.deadline)
    body = sent(world).body
    assert body is not None
    assert strict_json.parse(body) == order
    for digits in (b"1520.10", b"9007199254740993", b"1e400"):
        assert digits in body


def test_details_are_asked_for_as_documented() -> None:
    world = World()
    world.api.complete("TRX_1", ASHAS_ID)
    assert ask(world) == Details("COMPLETED", ASHAS_ID, "meadow")
    request = sent(world)
    assert (request.method, request.body) == ("GET", None)
    assert request.url == f"{GATEWAY_URL}/v1/acme/engine/transactiondetails?transactionId=TRX_1"
    assert set(request.headers) == {"x-gateway-secret", "x-gateway-authtoken"}
    assert world.api.token()["smallcaseAuthId"] == ASHAS_ID


def test_an_opaque_id_stays_in_its_place() -> None:
    world = World()
    world.api.complete("a&b=c/../#é %", ASHAS_ID)
    assert ask(world, "a&b=c/../#é %").status == "COMPLETED"
    assert sent(world).url.endswith("?transactionId=a%26b%3Dc%2F..%2F%23%C3%A9%20%25")


@pytest.mark.parametrize("call", [start, ask])
def test_a_gateway_name_stays_in_its_place(call: Callable[..., object]) -> None:
    world = World()
    world.api.complete("TRX_1", ASHAS_ID)
    call(world, gateway_name="a/b?c#d")
    assert "/a%2Fb%3Fc%23d/" in sent(world).url


def test_a_base_url_may_have_a_prefix_and_a_slash() -> None:
    world = World()
    gateway = SmallcaseGateway(
        "https://proxy.example.com/gwX/", world.api, token_lifetime_seconds=1, clock=world.clock, sleep=world.sleep
    )
    gateway.start_transaction(secret(), None, CONNECT, world.deadline)
    assert sent(world).url == "https://proxy.example.com/gwX/gateway/acme/transaction"


@pytest.mark.parametrize("call", [start, ask])
@pytest.mark.parametrize("api_secret", ["with a space", "é" * 20])
def test_an_api_secret_that_cannot_be_sent_is_a_fault_of_the_configuration(
    call: Callable[..., object], api_secret: str
) -> None:
    world = World()
    with pytest.raises(GatewayNotConfigured) as caught:
        call(world, api_secret=api_secret)
    assert (caught.value.field, caught.value.reason) == ("api_secret", "not_header_safe")
    assert world.api.requests == []


def test_the_current_keys_are_used_and_never_the_previous_ones() -> None:
    world = World()
    start(world, previous_secret="old-" * 10, previous_api_secret="older-" * 10)
    assert sent(world).headers["x-gateway-secret"] == GATEWAY_SECRET["api_secret"]
    assert world.api.token()["guest"] is True


# --- What is repeated ---

UNSENT = [UpstreamFault(reason, sent=False) for reason in ("connect", "connect_timeout", "tls", "request")]
LOST = [UpstreamFault("timeout"), UpstreamFault("closed")]
NONSENSE = [UpstreamFault(reason) for reason in ("tls", "not_http", "content_encoding", "too_large")]
BROKEN = [UpstreamAnswer(status) for status in (500, 502, 503, 504)]
REFUSALS = [UpstreamAnswer(status) for status in (400, 401, 404, 429, 301)]


def ids(reply: UpstreamAnswer | UpstreamFault) -> str:
    return f"{reply.reason} {reply.sent}" if isinstance(reply, UpstreamFault) else str(reply.status)


@pytest.mark.parametrize("call", [start, ask])
@pytest.mark.parametrize("reply", UNSENT, ids=ids)
def test_what_was_provably_not_sent_is_sent_again(call: Callable[..., object], reply: UpstreamFault) -> None:
    world = World()
    world.api.complete("TRX_1", ASHAS_ID)
    world.api.replies += [reply, reply]
    call(world)
    assert len(world.api.requests) == 3
    assert world.steps.taken.count("sleep") == 2


@pytest.mark.parametrize("reply", [*LOST, *NONSENSE, *BROKEN, *REFUSALS], ids=ids)
def test_a_transaction_that_may_have_been_started_is_not_started_again(reply: UpstreamAnswer | UpstreamFault) -> None:
    world = World()
    world.api.replies.append(reply)
    with pytest.raises((GatewayUnavailable, GatewayRefused)):
        start(world)
    assert len(world.api.requests) == 1
    assert "sleep" not in world.steps.taken


@pytest.mark.parametrize("reply", [*LOST, *BROKEN], ids=ids)
def test_a_question_is_asked_again_where_the_answer_was_lost(reply: UpstreamAnswer | UpstreamFault) -> None:
    world = World()
    world.api.complete("TRX_1", ASHAS_ID)
    world.api.replies += [reply, reply]
    assert ask(world).status == "COMPLETED"
    assert len(world.api.requests) == 3


@pytest.mark.parametrize("reply", [*NONSENSE, *REFUSALS], ids=ids)
def test_a_question_that_was_answered_is_not_asked_again(reply: UpstreamAnswer | UpstreamFault) -> None:
    world = World()
    world.api.replies.append(reply)
    with pytest.raises((GatewayUnavailable, GatewayRefused)):
        ask(world)
    assert len(world.api.requests) == 1


@pytest.mark.parametrize("call", [start, ask])
def test_attempts_are_limited(call: Callable[..., object]) -> None:
    world = World()
    world.api.replies += [UpstreamFault("connect", sent=False)] * 9
    with pytest.raises(GatewayUnavailable, match="connect"):
        call(world)
    assert len(world.api.requests) == ATTEMPTS
    assert world.steps.taken[-1] != "sleep"


# --- Time ---


def test_an_attempt_gets_its_share_and_never_more_than_is_left() -> None:
    world = World()
    world.api.replies += [UpstreamFault("connect", sent=False)] * 2
    world.api.takes_seconds = 6
    start(world)
    first, second, third = world.api.timeouts
    assert first == second == ATTEMPT_SECONDS
    assert 0 < third < 15 - 12


@pytest.mark.parametrize(
    "call",
    [
        lambda world, deadline: world.gateway().start_transaction(secret(), None, CONNECT, deadline),
        lambda world, deadline: world.gateway().transaction_details(secret(), ASHAS_ID, "TRX_1", deadline),
    ],
    ids=["start", "ask"],
)
@pytest.mark.parametrize("late", [0, 1])
def test_without_time_nobody_is_called(call: Callable[..., object], late: float) -> None:
    world = World()
    deadline = world.clock() - late
    with pytest.raises(GatewayUnavailable, match=r": no_time$"):
        call(world, deadline)
    assert world.api.requests == []


def test_a_little_time_is_time_enough_for_one_attempt() -> None:
    world = World()
    world.gateway().start_transaction(secret(), None, CONNECT, world.clock() + 0.5)
    assert world.api.timeouts == [0.5]


def test_a_pause_that_would_end_at_the_deadline_is_not_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("random.uniform", lambda _low, high: high)
    world = World()
    world.clock.now = 0.0  # near zero, floats are exact enough
    world.api.takes_seconds = 14.8
    world.api.replies.append(UpstreamFault("connect", sent=False))
    with pytest.raises(GatewayUnavailable, match="connect"):
        start(world)
    assert "sleep" not in world.steps.taken


@pytest.mark.parametrize(("luck", "pauses"), [(0, 0.1 + 0.2), (1, 0.2 + 0.4)])
def test_pauses_are_random_within_half(monkeypatch: pytest.MonkeyPatch, luck: int, pauses: float) -> None:
    monkeypatch.setattr("random.uniform", lambda *bounds: bounds[luck])
    world = World()
    world.clock.now = 0.0
    world.api.replies += [UpstreamFault("connect", sent=False)] * 2
    start(world)
    assert world.clock.now == pytest.approx(pauses)


def test_a_pause_that_would_end_too_late_is_not_made() -> None:
    world = World()
    world.api.takes_seconds = 14.95
    world.api.replies += [UpstreamFault("connect", sent=False)] * 2
    with pytest.raises(GatewayUnavailable, match="connect"):
        start(world)
    assert len(world.api.requests) == 1
    assert "sleep" not in world.steps.taken


# --- What is said of it ---


@pytest.mark.parametrize("call", [start, ask])
@pytest.mark.parametrize(
    ("reply", "event", "reason"),
    [
        (UpstreamFault("timeout"), "gateway.unavailable", "timeout"),
        (UpstreamAnswer(429), "gateway.unavailable", "status_429"),
        (UpstreamAnswer(400, {}, b"SENTINEL"), "gateway.refused", "status_400"),
        (json_answer({"success": False, "errors": ["SENTINEL"]}), "gateway.refused", "no_success"),
        (json_answer(["SENTINEL"]), "gateway.unavailable", "not_an_object"),
    ],
)
def test_a_failed_call_is_logged_by_code(
    call: Callable[..., object],
    reply: UpstreamAnswer | UpstreamFault,
    event: str,
    reason: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    world = World()
    world.api.replies += [reply] * 3
    with pytest.raises((GatewayUnavailable, GatewayRefused)) as caught:
        call(world)
    assert vars(caught.value)["reason"] == reason
    assert caught.value.__cause__ is None
    (record,) = caplog.records
    assert (record.message, vars(record)["reason"]) == (event, reason)
    assert "SENTINEL" not in json.dumps(vars(record), default=repr)
