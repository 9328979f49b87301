import json

import pytest

from gatehouse.caller import User
from gatehouse.connections import Connection, transaction_key, user_key
from gatehouse.pending_transactions import KEEP_SECONDS
from gatehouse.problems import ConnectionsUnavailable, GatewayUnavailable, IntentNotAllowed, InvalidRequest
from gatehouse.strict_json import Json, parse
from gatehouse.transaction_starter import (
    MAX_CONFIG_BYTES,
    MAX_INTENT_CHARACTERS,
    MAX_NOTES_CHARACTERS,
    Order,
    read_order,
    render,
)
from gatehouse.upstream import UpstreamFault
from tests.support.connection_fakes import ASHA, ASHAS_ID, RAVI, World

ALLOWED = frozenset({"CONNECT", "TRANSACTION"})


def read(document: object) -> Order:
    members = parse(json.dumps(document).encode())
    assert isinstance(members, dict)
    return read_order(members, ALLOWED)


def test_an_intent_alone_is_an_order() -> None:
    assert read({"intent": "CONNECT"}) == Order("CONNECT", {"intent": "CONNECT"})


def test_what_belongs_to_an_order_goes_on_and_nothing_else_does() -> None:
    document = {"intent": "TRANSACTION", "orderConfig": {"a": []}, "assetConfig": {}, "notes": "n"}
    assert read({**document, "smallcaseAuthId": "x", "gateway": "y"}).members == document


def test_empty_notes_are_left_out() -> None:
    assert read({"intent": "CONNECT", "notes": ""}).members == {"intent": "CONNECT"}


@pytest.mark.parametrize("intent", [None, "", 1, True, [], {}, ["CONNECT"], "X" * (MAX_INTENT_CHARACTERS + 1)])
def test_an_intent_that_is_none_is_invalid(intent: object) -> None:
    with pytest.raises(InvalidRequest):
        read({"intent": intent})


def test_without_an_intent_there_is_no_order() -> None:
    with pytest.raises(InvalidRequest):
        read({})


@pytest.mark.parametrize("intent", ["HOLDINGS_IMPORT", "connect", "CONNECT ", "CONNECT,TRANSACTION", "*"])
def test_an_intent_that_the_operator_has_not_allowed_is_refused(intent: str) -> None:
    with pytest.raises(IntentNotAllowed):
        read({"intent": intent})


NO_OBJECTS: list[object] = [None, "x", 1, True, [], [{}]]
NO_TEXTS: list[object] = [None, 1, True, [], {}, ["x"]]
WRONG = [
    *(("orderConfig", value) for value in NO_OBJECTS),
    *(("assetConfig", value) for value in NO_OBJECTS),
    *(("notes", value) for value in NO_TEXTS),
]


@pytest.mark.parametrize(("name", "value"), WRONG)
def test_a_member_of_another_type_is_invalid(name: str, value: object) -> None:
    with pytest.raises(InvalidRequest):
        read({"intent": "CONNECT", name: value})


def test_the_sizes_have_limits() -> None:
    exact = MAX_CONFIG_BYTES - len('{"orderConfig":{"a":""}}')
    assert read({"intent": "CONNECT", "orderConfig": {"a": "x" * exact}})
    assert read({"intent": "CONNECT", "notes": "é" * MAX_NOTES_CHARACTERS})
    for too_large in (
        {"orderConfig": {"a": "x" * (exact + 1)}},
        {"assetConfig": {"a": "x" * (exact + 1)}},
        {"notes": "x" * (MAX_NOTES_CHARACTERS + 1)},
    ):
        with pytest.raises(InvalidRequest):
            read({"intent": "CONNECT", **too_large})


def test_an_order_as_deep_as_it_may_be_goes_out() -> None:
    def order(depth: int) -> Order:
        text = f'{{"intent": "CONNECT", "orderConfig": {'{"a":' * depth}1{"}" * depth}}}'
        members = parse(text.encode())
        assert isinstance(members, dict)
        return read_order(members, ALLOWED)

    world = World()
    world.starter().start(ASHA, order(99), world.deadline)
    assert world.api.requests
    with pytest.raises(InvalidRequest):
        order(100)


# --- Starting ---

CONNECT = Order("CONNECT", {"intent": "CONNECT"})
TRANSACTION = Order("TRANSACTION", {"intent": "TRANSACTION"})


HELD = Connection(ASHAS_ID)


def hold(world: World) -> None:
    world.table.connect(ASHA, HELD, world.pending("TRX_0"))


def test_a_started_transaction_is_remembered_as_this_users() -> None:
    world = World()
    started = world.starter().start(ASHA, CONNECT, world.deadline)
    expire_at = int(world.clock()) + 900
    assert render(started) == {"transactionId": "TRX_1", "expiresAt": expire_at}
    assert world.table.items == {
        transaction_key("TRX_1"): {
            "user_pk": user_key(ASHA),
            "expire_at": expire_at,
            "ttl": expire_at + KEEP_SECONDS,
        }
    }


def test_a_connect_is_made_as_a_guest_whoever_asks() -> None:
    world = World()
    hold(world)
    world.starter().start(ASHA, CONNECT, world.deadline)
    assert world.api.token()["guest"] is True
    assert "connections.find" not in world.steps.taken


@pytest.mark.parametrize(("user", "claim"), [(ASHA, {"smallcaseAuthId": ASHAS_ID}), (RAVI, {"guest": True})])
def test_anything_else_is_made_as_what_the_user_is(user: User, claim: dict[str, object]) -> None:
    world = World()
    hold(world)
    world.starter().start(user, TRANSACTION, world.deadline)
    claims = world.api.token()
    assert {name: value for name, value in claims.items() if name not in ("iat", "exp")} == claim


def test_what_the_user_is_has_to_be_known() -> None:
    world = World()
    world.table.failure = "Timeout"
    with pytest.raises(ConnectionsUnavailable):
        world.starter().start(ASHA, TRANSACTION, world.deadline)
    assert world.api.requests == []


def test_a_transaction_that_cannot_be_remembered_is_told_to_nobody() -> None:
    world = World()
    world.steps.at("transactions.remember", lambda: setattr(world.table, "failure", "Timeout"))
    with pytest.raises(ConnectionsUnavailable):
        world.starter().start(ASHA, CONNECT, world.deadline)


@pytest.mark.parametrize("owner", [RAVI, ASHA])
def test_an_id_that_the_gateway_gives_twice_is_not_taken_over(owner: User, caplog: pytest.LogCaptureFixture) -> None:
    world = World()
    world.table.connect(owner, HELD, world.pending("TRX_7", owner))
    before = dict(world.table.items)
    world.api.next_ids = ["TRX_7"]
    with pytest.raises(GatewayUnavailable, match=r": repeated_transaction_id$"):
        world.starter().start(ASHA, CONNECT, world.deadline)
    assert world.table.items == before
    (record,) = caplog.records
    assert (record.message, vars(record)["reason"]) == ("gateway.unavailable", "repeated_transaction_id")


def test_nothing_is_remembered_of_what_the_gateway_did_not_start() -> None:
    world = World()
    world.api.replies.append(UpstreamFault("timeout"))
    with pytest.raises(GatewayUnavailable):
        world.starter().start(ASHA, CONNECT, world.deadline)
    assert world.table.items == {}


def test_each_start_is_counted_by_intent(caplog: pytest.LogCaptureFixture) -> None:
    world = World()
    with caplog.at_level("INFO"):
        world.starter().start(ASHA, TRANSACTION, world.deadline)
    (record,) = caplog.records
    assert (record.message, vars(record)["intent"]) == ("transaction.started", "TRANSACTION")


def test_members_are_passed_through() -> None:
    world = World()
    members: dict[str, Json] = {"intent": "TRANSACTION", "orderConfig": {"type": "SECURITIES"}, "notes": "n"}
    world.starter().start(ASHA, Order("TRANSACTION", members), world.deadline)
    assert json.loads(world.api.requests[0].body or b"") == members
