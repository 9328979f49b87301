"""The order of steps: the token, the transaction, the Gateway, the table."""

import pytest

from gatehouse.connections import Connection, auth_id_key, transaction_key, user_key
from gatehouse.connector import Proof, read_proof, render
from gatehouse.problems import (
    AlreadyConnected,
    AuthIdTaken,
    ConnectionsUnavailable,
    GatehouseError,
    GatewayNotConfigured,
    GatewayRefused,
    GatewayUnavailable,
    InvalidRequest,
    InvalidSmallcaseToken,
    SecretUnavailable,
    TransactionExpired,
    TransactionMismatch,
    TransactionNotCompleted,
    TransactionUnknown,
    TransactionUsed,
)
from gatehouse.secret_value import Secret
from gatehouse.strict_json import Number
from gatehouse.upstream import UpstreamAnswer, UpstreamFault
from tests.support.connection_fakes import ASHA, ASHAS_ID, BROKER, RAVI, RAVIS_ID, World, auth_token, sign
from tests.support.events import gateway_secret

HELD = Connection(ASHAS_ID, BROKER)
ONLY_THE_TABLE = ("connections.connect", "connections.find")


def proof(transaction_id: str = "TRX_1", token: str | None = None) -> Proof:
    return Proof(Secret(auth_token() if token is None else token), transaction_id)


def connect(world: World, shown: Proof | None = None) -> Connection:
    return world.connector().connect(ASHA, shown or proof(), world.deadline)


def refused(world: World, error: type[GatehouseError], shown: Proof | None = None) -> None:
    """Have a connection refused, with nothing written and nothing published."""
    before = {key: dict(item) for key, item in world.table.items.items()}
    with pytest.raises(error) as caught:
        connect(world, shown)
    assert type(caught.value) is error
    assert world.table.items == before
    assert world.bus.events == []


# --- Reading what a browser shows ---


def test_a_proof_is_a_token_and_a_transaction() -> None:
    shown = read_proof({"smallcaseAuthToken": "a.b.c", "transactionId": "TRX_1", "smallcaseAuthId": "evil"})
    assert (shown.smallcase_auth_token.reveal(), shown.transaction_id) == ("a.b.c", "TRX_1")
    assert "a.b.c" not in repr(shown)


@pytest.mark.parametrize("name", ["smallcaseAuthToken", "transactionId"])
@pytest.mark.parametrize("value", [None, "", Number("1"), True, [], {}, ["x"]])
def test_a_proof_that_lacks_a_text_is_invalid(name: str, value: object) -> None:
    members = {"smallcaseAuthToken": "a.b.c", "transactionId": "TRX_1", name: value}
    with pytest.raises(InvalidRequest):
        read_proof(members)  # type: ignore[arg-type]  # whatever JSON holds
    del members[name]
    with pytest.raises(InvalidRequest):
        read_proof(members)  # type: ignore[arg-type]  # see above


@pytest.mark.parametrize("transaction_id", ["x" * 257, "a\nb", "\x00", "\ud800"])
def test_a_transaction_id_that_can_be_none_is_invalid(transaction_id: str) -> None:
    with pytest.raises(InvalidRequest):
        read_proof({"smallcaseAuthToken": "a.b.c", "transactionId": transaction_id})


def test_a_token_of_any_length_is_left_to_be_judged() -> None:
    token = "x" * 100_000
    assert read_proof({"smallcaseAuthToken": token, "transactionId": "T"}).smallcase_auth_token.reveal() == token


def test_an_answer_names_the_broker_where_it_is_known() -> None:
    assert render(HELD) == {"user": "connected", "broker": BROKER}
    assert render(Connection(ASHAS_ID)) == {"user": "connected"}


# --- The whole way ---


def test_a_proved_user_is_connected_step_by_step() -> None:
    world = World()
    world.pending(smallcase_auth_id=ASHAS_ID)
    assert connect(world) == HELD
    assert world.steps.taken == [
        "transactions.find",
        "gateway GET",
        "connections.connect",
        "bus.publish connections.connected",
    ]
    assert world.table.items[user_key(ASHA)]["smallcase_auth_id"] == ASHAS_ID
    assert world.table.items[auth_id_key(ASHAS_ID)] == {"user_pk": user_key(ASHA)}
    assert world.table.items[transaction_key("TRX_1")]["used_for"] == ASHAS_ID


def test_the_gateway_is_asked_in_the_name_of_the_id_that_was_shown() -> None:
    world = World()
    world.pending(smallcase_auth_id=ASHAS_ID)
    connect(world)
    assert world.api.token()["smallcaseAuthId"] == ASHAS_ID
    assert world.api.requests[0].headers["x-gateway-authtoken"] != auth_token()


def test_a_token_under_the_previous_key_is_proof_too() -> None:
    world = World()
    old = "previous-key-0123456789-0123456789-x"
    world.secrets.texts["gateway"] = gateway_secret(previous_secret=old)
    world.pending(smallcase_auth_id=ASHAS_ID)
    token = sign({"smallcaseAuthId": ASHAS_ID, "exp": int(world.clock()) + 1}, old)
    assert connect(world, proof(token=token)) == HELD


def test_an_expired_token_is_none_by_the_functions_clock() -> None:
    world = World()
    world.pending(smallcase_auth_id=ASHAS_ID)
    token = auth_token(exp=int(world.clock()))
    refused(world, InvalidSmallcaseToken, proof(token=token))


def test_what_was_connected_is_told_on_the_bus_without_any_token() -> None:
    world = World()
    world.pending(smallcase_auth_id=ASHAS_ID)
    connect(world)
    (detail,) = world.bus.of_type("connections.connected")
    assert detail == {
        "issuer": ASHA.issuer,
        "subject": ASHA.subject,
        "smallcase_auth_id": ASHAS_ID,
        "broker": BROKER,
        "by": "browser",
    }


def test_a_bus_that_takes_no_event_does_not_undo_a_connection(caplog: pytest.LogCaptureFixture) -> None:
    world = World()
    world.pending(smallcase_auth_id=ASHAS_ID)
    world.bus.failure = "ThrottlingException"
    assert connect(world) == HELD
    assert world.table.items[user_key(ASHA)]["smallcase_auth_id"] == ASHAS_ID
    assert [record.message for record in caplog.records] == ["event.not_published"]


def test_each_connection_is_counted(caplog: pytest.LogCaptureFixture) -> None:
    world = World()
    world.pending(smallcase_auth_id=ASHAS_ID)
    with caplog.at_level("INFO"):
        connect(world)
    assert [(record.message, vars(record)["by"]) for record in caplog.records] == [("connection.made", "browser")]


# --- (a) the token ---


def test_without_a_good_token_nobody_is_asked_anything() -> None:
    world = World()
    world.pending(smallcase_auth_id=ASHAS_ID)
    refused(world, InvalidSmallcaseToken, proof(token=sign({"guest": True})))
    assert world.steps.taken == []


def test_without_the_secret_nobody_is_connected() -> None:
    world = World()
    del world.secrets.texts["gateway"]
    refused(world, SecretUnavailable)
    world.secrets.texts["gateway"] = gateway_secret(secret="REPLACE_ME")
    refused(world, GatewayNotConfigured)
    assert world.steps.taken == []


# --- (b) the transaction ---


@pytest.mark.parametrize("whose", ["nobody's", "another user's"])
def test_a_transaction_of_another_user_is_as_unknown_as_none(whose: str) -> None:
    world = World()
    if whose == "another user's":
        world.pending(user=RAVI, smallcase_auth_id=ASHAS_ID)
    refused(world, TransactionUnknown)
    assert world.steps.taken == ["transactions.find"]


def test_a_used_transaction_is_answered_again_while_its_user_holds_the_id() -> None:
    world = World()
    world.pending(smallcase_auth_id=ASHAS_ID)
    connect(world)
    world.steps.taken.clear()
    world.clock.advance(10**6)
    assert connect(world) == HELD
    assert world.steps.taken == ["transactions.find", "connections.find"]
    assert len(world.bus.events) == 1


def test_a_used_transaction_is_used_once_its_connection_has_ended() -> None:
    world = World()
    world.pending(smallcase_auth_id=ASHAS_ID)
    connect(world)
    world.connector().disconnect(ASHA)
    world.bus.events.clear()
    refused(world, TransactionUsed)


def test_a_used_transaction_is_used_for_any_other_id() -> None:
    world = World()
    world.pending(smallcase_auth_id=ASHAS_ID)
    connect(world)
    world.bus.events.clear()
    refused(world, TransactionUsed, proof(token=auth_token(RAVIS_ID)))


def test_a_used_transaction_is_used_once_its_user_holds_another_id() -> None:
    world = World()
    world.pending(smallcase_auth_id=ASHAS_ID)
    connect(world)
    world.connector().disconnect(ASHA)
    world.pending("TRX_2", smallcase_auth_id=RAVIS_ID)
    connect(world, proof("TRX_2", auth_token(RAVIS_ID)))
    world.bus.events.clear()
    refused(world, TransactionUsed)


# --- (c) the Gateway ---


@pytest.mark.parametrize(
    ("status", "smallcase_auth_id", "error"),
    [
        ("COMPLETED", RAVIS_ID, TransactionMismatch),
        ("COMPLETED", None, TransactionMismatch),
        ("EXPIRED", ASHAS_ID, TransactionExpired),
        ("INITIALIZED", None, TransactionNotCompleted),
        ("PROCESSING", ASHAS_ID, TransactionNotCompleted),
        ("CANCELLED", ASHAS_ID, TransactionNotCompleted),
    ],
)
def test_what_the_gateway_says_counts(status: str, smallcase_auth_id: str | None, error: type[GatehouseError]) -> None:
    world = World()
    world.pending()
    world.api.transactions["TRX_1"] = {"status": status, "smallcaseAuthId": smallcase_auth_id}
    refused(world, error)
    assert not set(world.steps.taken) & set(ONLY_THE_TABLE)


@pytest.mark.parametrize(
    ("reply", "error"), [(UpstreamAnswer(400), GatewayRefused), (UpstreamFault("not_http"), GatewayUnavailable)]
)
def test_a_gateway_that_says_nothing_proves_nothing(
    reply: UpstreamAnswer | UpstreamFault, error: type[GatehouseError]
) -> None:
    world = World()
    world.pending(smallcase_auth_id=ASHAS_ID)
    world.api.replies.append(reply)
    refused(world, error)


def test_a_refused_transaction_can_still_be_used_once_it_is_completed() -> None:
    world = World()
    world.pending()
    refused(world, TransactionNotCompleted)
    world.api.complete("TRX_1", ASHAS_ID)
    assert connect(world) == HELD


def test_an_expiry_of_ours_does_not_count_where_the_gateway_is_asked() -> None:
    world = World()
    world.pending(smallcase_auth_id=ASHAS_ID)
    world.clock.advance(10 * 24 * 3600)
    assert connect(world) == HELD


def test_without_the_question_the_transaction_has_its_time_and_fifteen_minutes() -> None:
    world = World(verify_details=False)
    world.pending()
    world.clock.advance(900 + 899)
    assert connect(world) == Connection(ASHAS_ID, None)
    assert world.api.requests == []
    assert "broker" not in world.bus.of_type("connections.connected")[0]
    late = World(verify_details=False)
    late.pending()
    late.clock.advance(900 + 900)
    refused(late, TransactionExpired)


# --- The table ---


def test_a_user_who_holds_another_id_is_told_so_after_the_proof_alone() -> None:
    world = World()
    world.pending(smallcase_auth_id=ASHAS_ID)
    connect(world)
    world.bus.events.clear()
    world.pending("TRX_2", smallcase_auth_id=RAVIS_ID)
    refused(world, AlreadyConnected, proof("TRX_2", auth_token(RAVIS_ID)))
    world.pending("TRX_3")
    refused(world, TransactionNotCompleted, proof("TRX_3", auth_token(RAVIS_ID)))


def test_an_id_of_another_user_stays_there() -> None:
    world = World()
    world.pending("TRX_0", RAVI, ASHAS_ID)
    world.connector().connect(RAVI, proof("TRX_0"), world.deadline)
    world.bus.events.clear()
    world.pending(smallcase_auth_id=ASHAS_ID)
    refused(world, AuthIdTaken)
    assert world.table.items[user_key(RAVI)]["smallcase_auth_id"] == ASHAS_ID


def test_the_same_id_can_be_connected_again_with_another_transaction() -> None:
    world = World()
    world.pending(smallcase_auth_id=ASHAS_ID)
    connect(world)
    world.pending("TRX_2", smallcase_auth_id=ASHAS_ID)
    assert connect(world, proof("TRX_2")) == HELD


def test_of_two_requests_at_once_the_slower_one_finds_the_connection() -> None:
    world = World()
    world.pending(smallcase_auth_id=ASHAS_ID)
    world.steps.at("connections.connect", lambda: connect(world))
    assert connect(world) == HELD
    assert len(world.bus.events) == 1


def test_of_two_requests_at_once_with_two_ids_the_slower_one_is_refused() -> None:
    world = World()
    world.pending(smallcase_auth_id=ASHAS_ID)

    def other() -> None:
        world.api.complete("TRX_1", RAVIS_ID)
        connect(world, proof(token=auth_token(RAVIS_ID)))

    world.steps.at("connections.connect", other)
    with pytest.raises(TransactionUsed):
        connect(world)
    assert world.table.items[user_key(ASHA)]["smallcase_auth_id"] == RAVIS_ID


def test_a_transaction_that_is_forgotten_meanwhile_is_unknown() -> None:
    world = World()
    world.pending(smallcase_auth_id=ASHAS_ID)
    world.steps.at("connections.connect", lambda: world.table.items.pop(transaction_key("TRX_1")))
    with pytest.raises(TransactionUnknown):
        connect(world)


def test_a_transaction_that_becomes_somebody_elses_and_ones_own_again_is_not_guessed_about() -> None:
    world = World()
    world.pending(smallcase_auth_id=ASHAS_ID)
    world.steps.at("connections.connect", lambda: world.pending(user=RAVI))
    world.steps.at("transactions.find", world.pending, nth=2)
    with pytest.raises(ConnectionsUnavailable, match=r": changing$"):
        connect(world)


@pytest.mark.parametrize("step", ["transactions.find", "connections.connect"])
def test_a_table_out_of_reach_connects_nobody(step: str) -> None:
    world = World()
    world.pending(smallcase_auth_id=ASHAS_ID)
    world.steps.at(step, lambda: setattr(world.table, "failure", "Timeout"))
    refused(world, ConnectionsUnavailable)


# --- By webhook ---


def by_webhook(world: World, transaction_id: str = "TRX_1", smallcase_auth_id: str = ASHAS_ID) -> None:
    world.connector().connect_by_webhook(transaction_id, smallcase_auth_id, world.deadline)


def test_whoever_started_the_transaction_is_connected() -> None:
    world = World()
    world.pending(smallcase_auth_id=ASHAS_ID)
    by_webhook(world)
    assert world.table.items[user_key(ASHA)]["smallcase_auth_id"] == ASHAS_ID
    (detail,) = world.bus.of_type("connections.connected")
    assert detail["by"] == "webhook"
    assert (detail["issuer"], detail["subject"]) == ASHA
    assert connect(world) == HELD


def test_a_postback_of_an_unknown_transaction_asks_nobody() -> None:
    world = World()
    with pytest.raises(TransactionUnknown):
        by_webhook(world)
    assert world.steps.taken == ["transactions.find"]
    assert world.secrets.reads == 0


def test_a_postback_does_not_use_a_transaction_twice() -> None:
    world = World()
    world.pending(smallcase_auth_id=ASHAS_ID)
    connect(world)
    world.api.requests.clear()
    with pytest.raises(TransactionUsed):
        by_webhook(world)
    assert world.api.requests == []


def test_a_postback_that_comes_at_the_same_time_as_the_browser_is_late() -> None:
    world = World()
    world.pending(smallcase_auth_id=ASHAS_ID)
    world.steps.at("connections.connect", lambda: connect(world))
    with pytest.raises(TransactionUsed):
        by_webhook(world)
    assert [event.detail["by"] for event in world.bus.events] == ["browser"]


def test_what_a_postback_says_has_to_be_what_the_gateway_says() -> None:
    world = World()
    world.pending(smallcase_auth_id=RAVIS_ID)
    with pytest.raises(TransactionMismatch):
        by_webhook(world)
    assert user_key(ASHA) not in world.table.items


def test_without_the_question_a_postback_connects_nobody() -> None:
    world = World(verify_details=False)
    world.pending(smallcase_auth_id=ASHAS_ID)
    with pytest.raises(TransactionUnknown):
        by_webhook(world)
    assert user_key(ASHA) not in world.table.items


# --- Disconnecting ---


def test_what_has_ended_is_told_on_the_bus(caplog: pytest.LogCaptureFixture) -> None:
    world = World()
    world.pending(smallcase_auth_id=ASHAS_ID)
    connect(world)
    with caplog.at_level("INFO"):
        world.connector().disconnect(ASHA)
        world.connector().disconnect(ASHA)
    assert [record.message for record in caplog.records] == ["connection.ended"]
    (detail,) = world.bus.of_type("connections.disconnected")
    assert detail == {
        "issuer": ASHA.issuer,
        "subject": ASHA.subject,
        "smallcase_auth_id": ASHAS_ID,
        "broker": BROKER,
    }
    assert user_key(ASHA) not in world.table.items


def test_a_bus_that_takes_no_event_does_not_undo_a_disconnection() -> None:
    world = World()
    world.pending(smallcase_auth_id=ASHAS_ID)
    connect(world)
    world.bus.failure = "ThrottlingException"
    world.connector().disconnect(ASHA)
    assert user_key(ASHA) not in world.table.items
