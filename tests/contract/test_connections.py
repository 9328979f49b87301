"""What holds for every connections table, the fake of the tests included."""

import json
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any, NamedTuple

import boto3
import pytest
from botocore.exceptions import ConnectionClosedError
from moto import mock_aws

from gatehouse import aws
from gatehouse.caller import User
from gatehouse.connection_policy import Pending
from gatehouse.connection_writer import ATTEMPTS, PAUSE_SECONDS, ConnectionWriterTable, TransactionGone
from gatehouse.connections import Connection, ConnectionsTable, auth_id_key, transaction_key, user_key, user_of
from gatehouse.connector import Stores
from gatehouse.pending_transactions import KEEP_SECONDS, PendingTransactionsTable
from gatehouse.problems import AlreadyConnected, AuthIdTaken, ConnectionsUnavailable
from tests.support.connection_fakes import (
    ASHA,
    ASHAS_ID,
    BROKER,
    RAVI,
    RAVIS_ID,
    FakeConnectionsTable,
    Item,
    create_connections_table,
    scan,
)
from tests.support.fakes import Clock
from tests.support.token_fakes import lose_answers, refuse

HELD = Connection(ASHAS_ID, BROKER)


class Subject(NamedTuple):
    stores: Stores
    clock: Clock
    items: Callable[[], dict[str, Item]]
    put: Callable[[str, Item], object]
    break_down: Callable[[], object]
    slept: list[float]

    def hold(self, user: User = ASHA, connection: Connection = HELD, transaction_id: str = "TRX_0") -> None:
        """Connect a user in the regular way."""
        assert self.stores.transactions.remember(transaction_id, user, int(self.clock()))
        self.stores.writer.connect(user, connection, transaction_id)


def fake_subject() -> Subject:
    clock = Clock()
    fake = FakeConnectionsTable(clock)
    return Subject(
        fake.stores,
        clock,
        lambda: {key: dict(item) for key, item in fake.items.items()},
        fake.items.__setitem__,
        lambda: setattr(fake, "failure", "ResourceNotFoundException"),
        [],
    )


def dynamodb_subject() -> Subject:
    clock, slept = Clock(), list[float]()
    create_connections_table()
    client = boto3.client("dynamodb")

    def put(key: str, item: Item) -> None:
        typed: dict[str, Any] = {
            name: {"N": str(value)} if isinstance(value, int) else {"S": value} for name, value in item.items()
        }
        client.put_item(TableName="connections", Item={"pk": {"S": key}, **typed})

    connections = ConnectionsTable("connections")
    stores = Stores(
        connections,
        PendingTransactionsTable("connections", clock),
        ConnectionWriterTable("connections", connections, clock, slept.append),
    )
    return Subject(stores, clock, scan, put, lambda: client.delete_table(TableName="connections"), slept)


@pytest.fixture(params=["fake", "dynamodb"])
def subject(request: pytest.FixtureRequest) -> Iterator[Subject]:
    if request.param == "fake":
        yield fake_subject()
        return
    with mock_aws():
        yield dynamodb_subject()


@pytest.fixture
def dynamodb() -> Iterator[Subject]:
    with mock_aws():
        yield dynamodb_subject()


# --- What a user holds ---


def test_a_stranger_holds_nothing(subject: Subject) -> None:
    assert subject.stores.connections.smallcase_auth_id(ASHA) is None
    assert subject.stores.connections.find(ASHA) is None


def test_a_user_holds_what_was_connected_and_nobody_else_does(subject: Subject) -> None:
    subject.hold()
    assert subject.stores.connections.smallcase_auth_id(ASHA) == ASHAS_ID
    assert subject.stores.connections.find(ASHA) == HELD
    assert subject.stores.connections.smallcase_auth_id(RAVI) is None


def test_a_connection_written_by_hand_counts(subject: Subject) -> None:
    subject.put(user_key(ASHA), {"smallcase_auth_id": ASHAS_ID})
    assert subject.stores.connections.find(ASHA) == Connection(ASHAS_ID, None)


def test_the_same_subject_of_another_issuer_is_another_user(subject: Subject) -> None:
    subject.hold()
    assert subject.stores.connections.smallcase_auth_id(User("https://other.example.com", ASHA.subject)) is None


def test_an_entry_that_holds_no_id_is_an_error_and_not_a_guest(subject: Subject) -> None:
    subject.put(user_key(ASHA), {"broker": BROKER})
    for look in (subject.stores.connections.find, subject.stores.connections.smallcase_auth_id):
        with pytest.raises(ConnectionsUnavailable) as caught:
            look(ASHA)
        assert caught.value.reason == "entry_without_smallcase_auth_id"


def test_the_keys_are_the_documented_ones() -> None:
    assert user_key(ASHA) == "USER#https://auth.example.com#user-asha"
    assert auth_id_key("63f6") == "AUTHID#63f6"
    assert transaction_key("TRX_1") == "TXN#TRX_1"


@pytest.mark.parametrize("subject_claim", ["asha", "a#b", "#", "USER#a#b", "auth0|x"])
def test_a_user_is_found_again_from_the_key(subject_claim: str) -> None:
    user = User("https://auth.example.com/tenant", subject_claim)
    assert user_of(user_key(user)) == user


# --- Pending transactions ---


def test_a_transaction_is_remembered_as_its_users(subject: Subject) -> None:
    expire_at = int(subject.clock()) + 900
    assert subject.stores.transactions.remember("TRX_1", ASHA, expire_at)
    assert subject.stores.transactions.find("TRX_1") == Pending(user_key(ASHA), expire_at, None)
    assert subject.items() == {
        "TXN#TRX_1": {"user_pk": user_key(ASHA), "expire_at": expire_at, "ttl": expire_at + KEEP_SECONDS}
    }


def test_an_unknown_transaction_is_none(subject: Subject) -> None:
    subject.stores.transactions.remember("TRX_1", ASHA, 0)
    assert subject.stores.transactions.find("TRX_2") is None
    assert subject.stores.transactions.find("TRX_") is None


def test_a_transaction_that_expired_long_ago_is_forgotten_in_time_all_the_same(subject: Subject) -> None:
    subject.stores.transactions.remember("TRX_1", ASHA, 0)
    assert subject.items()["TXN#TRX_1"]["ttl"] == int(subject.clock()) + KEEP_SECONDS


def test_the_same_transaction_may_be_remembered_again_for_the_same_user(subject: Subject) -> None:
    assert subject.stores.transactions.remember("TRX_1", ASHA, 1)
    assert subject.stores.transactions.remember("TRX_1", ASHA, 2)


def test_somebody_elses_transaction_is_not_taken_over(subject: Subject) -> None:
    subject.stores.transactions.remember("TRX_1", ASHA, 1)
    before = subject.items()
    assert not subject.stores.transactions.remember("TRX_1", RAVI, 2)
    assert subject.items() == before


def test_a_used_transaction_does_not_become_unused(subject: Subject) -> None:
    subject.hold(transaction_id="TRX_1")
    before = subject.items()
    assert not subject.stores.transactions.remember("TRX_1", ASHA, 2)
    assert subject.items() == before
    assert subject.stores.transactions.find("TRX_1") == Pending(user_key(ASHA), int(subject.clock()), ASHAS_ID)


# --- Connecting ---


def test_a_connection_is_written_in_both_directions_with_the_transaction_used_up(subject: Subject) -> None:
    now = int(subject.clock())
    subject.hold(transaction_id="TRX_1")
    assert subject.items() == {
        user_key(ASHA): {"smallcase_auth_id": ASHAS_ID, "broker": BROKER, "connected_at": now},
        f"AUTHID#{ASHAS_ID}": {"user_pk": user_key(ASHA)},
        "TXN#TRX_1": {"user_pk": user_key(ASHA), "expire_at": now, "ttl": now + KEEP_SECONDS, "used_for": ASHAS_ID},
    }


def test_a_broker_that_is_not_known_is_not_written(subject: Subject) -> None:
    subject.hold(connection=Connection(ASHAS_ID))
    assert subject.items()[user_key(ASHA)] == {"smallcase_auth_id": ASHAS_ID, "connected_at": int(subject.clock())}
    assert subject.stores.connections.find(ASHA) == Connection(ASHAS_ID, None)


def test_who_connects_with_the_same_id_again_has_been_connected_since_then(subject: Subject) -> None:
    since = int(subject.clock())
    subject.hold(transaction_id="TRX_1")
    subject.clock.advance(60)
    subject.hold(connection=Connection(ASHAS_ID, "harbour"), transaction_id="TRX_2")
    entry: Item = {"smallcase_auth_id": ASHAS_ID, "broker": "harbour", "connected_at": since}
    assert subject.items()[user_key(ASHA)] == entry
    subject.hold(connection=Connection(ASHAS_ID), transaction_id="TRX_3")
    assert subject.items()[user_key(ASHA)] == entry


def test_a_connection_written_by_hand_gets_its_other_half_when_it_is_made_again(subject: Subject) -> None:
    subject.put(user_key(ASHA), {"smallcase_auth_id": ASHAS_ID, "connected_at": 7})
    subject.hold()
    assert subject.items()[f"AUTHID#{ASHAS_ID}"] == {"user_pk": user_key(ASHA)}
    assert subject.items()[user_key(ASHA)]["connected_at"] == 7


def refused(subject: Subject, user: User, smallcase_auth_id: str, transaction_id: str, error: type[Exception]) -> None:
    """Have a connection refused with this error, and nothing written."""
    before = subject.items()
    with pytest.raises(error) as caught:
        subject.stores.writer.connect(user, Connection(smallcase_auth_id, "harbour"), transaction_id)
    assert type(caught.value) is error
    assert subject.items() == before


def test_an_id_that_somebody_holds_is_not_given_to_anybody_else(subject: Subject) -> None:
    subject.hold(ASHA)
    subject.stores.transactions.remember("TRX_1", RAVI, 1)
    refused(subject, RAVI, ASHAS_ID, "TRX_1", AuthIdTaken)


def test_a_user_who_holds_another_id_keeps_it(subject: Subject) -> None:
    subject.hold(ASHA)
    subject.stores.transactions.remember("TRX_1", ASHA, 1)
    refused(subject, ASHA, RAVIS_ID, "TRX_1", AlreadyConnected)


def test_a_user_who_holds_an_id_does_not_learn_whether_another_one_is_taken(subject: Subject) -> None:
    subject.hold(ASHA)
    subject.hold(RAVI, Connection(RAVIS_ID), "TRX_9")
    subject.stores.transactions.remember("TRX_1", ASHA, 1)
    refused(subject, ASHA, RAVIS_ID, "TRX_1", AlreadyConnected)


@pytest.mark.parametrize("whose", [None, RAVI], ids=["nobody's", "another user's"])
def test_without_a_transaction_of_ones_own_nothing_is_written(subject: Subject, whose: User | None) -> None:
    if whose is not None:
        subject.stores.transactions.remember("TRX_1", whose, 1)
    refused(subject, ASHA, ASHAS_ID, "TRX_1", TransactionGone)


def test_a_transaction_makes_one_connection(subject: Subject) -> None:
    subject.hold(transaction_id="TRX_1")
    refused(subject, ASHA, ASHAS_ID, "TRX_1", TransactionGone)


def test_a_used_transaction_is_the_first_thing_to_be_said(subject: Subject) -> None:
    subject.hold(ASHA, transaction_id="TRX_1")
    subject.hold(RAVI, Connection(RAVIS_ID), "TRX_2")
    refused(subject, ASHA, RAVIS_ID, "TRX_1", TransactionGone)


# --- Disconnecting ---


def test_a_disconnected_user_holds_nothing_and_the_id_is_free(subject: Subject) -> None:
    subject.hold(transaction_id="TRX_1")
    assert subject.stores.writer.disconnect(ASHA) == HELD
    assert set(subject.items()) == {"TXN#TRX_1"}
    subject.hold(RAVI, HELD, "TRX_2")


def test_a_user_who_holds_nothing_is_disconnected_already(subject: Subject) -> None:
    subject.hold(RAVI)
    before = subject.items()
    assert subject.stores.writer.disconnect(ASHA) is None
    assert subject.items() == before


def test_an_entry_of_an_id_that_is_somebody_elses_stays(subject: Subject) -> None:
    subject.hold(RAVI, HELD)
    subject.put(user_key(ASHA), {"smallcase_auth_id": ASHAS_ID})  # by hand, against the rule
    assert subject.stores.writer.disconnect(ASHA) == Connection(ASHAS_ID)
    assert user_key(ASHA) not in subject.items()
    assert subject.items()[f"AUTHID#{ASHAS_ID}"] == {"user_pk": user_key(RAVI)}


def test_a_connection_written_by_hand_can_be_ended(subject: Subject) -> None:
    subject.put(user_key(ASHA), {"smallcase_auth_id": ASHAS_ID})
    assert subject.stores.writer.disconnect(ASHA) == Connection(ASHAS_ID)
    assert subject.items() == {}


# --- A table out of reach ---


@pytest.mark.parametrize(
    "use",
    [
        lambda stores: stores.connections.find(ASHA),
        lambda stores: stores.connections.smallcase_auth_id(ASHA),
        lambda stores: stores.transactions.find("TRX_1"),
        lambda stores: stores.transactions.remember("TRX_1", ASHA, 1),
        lambda stores: stores.writer.connect(ASHA, HELD, "TRX_1"),
        lambda stores: stores.writer.disconnect(ASHA),
    ],
    ids=["find", "smallcase_auth_id", "find transaction", "remember", "connect", "disconnect"],
)
def test_a_table_that_is_not_there_is_an_error_and_not_an_answer(
    subject: Subject, use: Callable[[Stores], object]
) -> None:
    subject.break_down()
    with pytest.raises(ConnectionsUnavailable) as caught:
        use(subject.stores)
    assert caught.value.reason == "ResourceNotFoundException"
    assert caught.value.__cause__ is None


@pytest.mark.parametrize("item", [{"expire_at": 1}, {"user_pk": "USER#a#b"}, {"user_pk": "USER#a#b", "expire_at": "x"}])
def test_a_transaction_that_is_not_what_it_should_be_is_an_error(dynamodb: Subject, item: Item) -> None:
    dynamodb.put("TXN#TRX_1", item)
    with pytest.raises(ConnectionsUnavailable) as caught:
        dynamodb.stores.transactions.find("TRX_1")
    assert caught.value.reason == "transaction_entry"


def test_every_read_sees_what_was_written_a_moment_ago(dynamodb: Subject) -> None:
    asked: list[dict[str, Any]] = []

    def look(params: dict[str, Any], **_: object) -> None:
        asked.append(json.loads(params["body"]))

    aws.dynamodb().meta.events.register("before-call.dynamodb.GetItem", look)
    dynamodb.stores.connections.find(ASHA)
    dynamodb.stores.connections.smallcase_auth_id(ASHA)
    dynamodb.stores.transactions.find("TRX_1")
    dynamodb.stores.writer.disconnect(ASHA)
    assert [each["ConsistentRead"] for each in asked] == [True] * 4


def test_a_table_that_is_not_there_is_logged_by_code(dynamodb: Subject, caplog: pytest.LogCaptureFixture) -> None:
    dynamodb.break_down()
    with pytest.raises(ConnectionsUnavailable):
        dynamodb.stores.connections.find(ASHA)
    (record,) = caplog.records
    assert (record.message, vars(record)["reason"]) == ("connections.unavailable", "ResourceNotFoundException")


# --- DynamoDB's own ways to fail ---


def cancel(reasons: list[str], times: int) -> list[int]:
    """Cancel the next transactions for these reasons; the list returned has one entry for each that was."""
    happened: list[int] = []
    answer = {
        "Error": {"Code": "TransactionCanceledException", "Message": "SENTINEL"},
        "CancellationReasons": [{"Code": reason} for reason in reasons],
        "ResponseMetadata": {},
    }

    def cancel_call(**_: object) -> Any:
        if len(happened) >= times:
            return None
        happened.append(1)
        return SimpleNamespace(status_code=400), answer

    aws.dynamodb().meta.events.register("before-call.dynamodb.TransactWriteItems", cancel_call)
    return happened


PASSING = [
    ["TransactionConflict", "None", "None"],
    ["None", "None", "TransactionConflict"],
    ["ConditionalCheckFailed", "TransactionConflict", "None"],
    ["ThrottlingError", "None", "None"],
    ["None", "None", "None"],
    [],
]


@pytest.mark.parametrize("reasons", PASSING)
def test_a_conflict_is_tried_again_with_random_pauses(dynamodb: Subject, reasons: list[str]) -> None:
    cancelled = cancel(reasons, 3)
    dynamodb.hold()
    assert len(cancelled) == 3
    assert dynamodb.stores.connections.find(ASHA) == HELD
    assert len(dynamodb.slept) == 3
    assert all(0 <= pause <= PAUSE_SECONDS * 2**number for number, pause in enumerate(dynamodb.slept))


@pytest.mark.parametrize("reasons", PASSING)
def test_a_conflict_that_does_not_end_is_an_error(
    dynamodb: Subject, reasons: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    cancelled = cancel(reasons, 99)
    with pytest.raises(ConnectionsUnavailable) as caught:
        dynamodb.hold()
    assert caught.value.reason == "contention"
    assert len(cancelled) == ATTEMPTS
    assert len(dynamodb.slept) == ATTEMPTS - 1
    assert sum(dynamodb.slept) < 2
    assert "SENTINEL" not in str([vars(record) for record in caplog.records])


def test_pauses_can_be_twice_as_long_each_time(dynamodb: Subject, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("random.uniform", lambda low, high: low + high)
    cancel(["TransactionConflict", "None", "None"], 3)
    dynamodb.hold()
    assert dynamodb.slept == [PAUSE_SECONDS, 2 * PAUSE_SECONDS, 4 * PAUSE_SECONDS]


def test_a_disconnection_meets_conflicts_too(dynamodb: Subject) -> None:
    dynamodb.hold()
    cancel(["TransactionConflict", "None"], 2)
    assert dynamodb.stores.writer.disconnect(ASHA) == HELD
    assert len(dynamodb.slept) == 2


def test_a_connection_that_keeps_changing_cannot_be_ended(dynamodb: Subject) -> None:
    dynamodb.hold()
    cancel(["ConditionalCheckFailed", "None"], 99)
    with pytest.raises(ConnectionsUnavailable) as caught:
        dynamodb.stores.writer.disconnect(ASHA)
    assert caught.value.reason == "changing"


def test_a_connection_that_changed_meanwhile_is_looked_at_again(dynamodb: Subject) -> None:
    dynamodb.hold()
    cancelled = cancel(["ConditionalCheckFailed", "ConditionalCheckFailed"], 1)
    assert dynamodb.stores.writer.disconnect(ASHA) == HELD
    assert cancelled
    assert dynamodb.stores.connections.find(ASHA) is None


def test_another_refusal_of_dynamodb_is_not_tried_again(dynamodb: Subject) -> None:
    undo = refuse(aws.dynamodb(), "TransactWriteItems", "AccessDeniedException")
    with pytest.raises(ConnectionsUnavailable) as caught:
        dynamodb.hold()
    undo()
    assert caught.value.reason == "AccessDeniedException"
    assert dynamodb.slept == []


def test_a_lost_answer_is_an_error_and_the_next_look_finds_the_connection(dynamodb: Subject) -> None:
    dynamodb.stores.transactions.remember("TRX_1", ASHA, 1)
    lose_answers(aws.dynamodb(), "TransactWriteItems", ConnectionClosedError(endpoint_url="https://dynamodb"))
    with pytest.raises(ConnectionsUnavailable):
        dynamodb.stores.writer.connect(ASHA, HELD, "TRX_1")
    assert dynamodb.stores.connections.find(ASHA) == HELD
    assert dynamodb.stores.transactions.find("TRX_1") == Pending(user_key(ASHA), 1, ASHAS_ID)


def test_a_write_can_be_repeated_by_the_client_without_taking_place_twice(dynamodb: Subject) -> None:
    """The SDK gives each transaction a token of its own, and repeats it with that."""
    tokens: list[str] = []

    def look(params: dict[str, Any], **_: object) -> None:
        tokens.append(json.loads(params["body"])["ClientRequestToken"])

    aws.dynamodb().meta.events.register("before-call.dynamodb.TransactWriteItems", look)
    dynamodb.hold(transaction_id="TRX_1")
    dynamodb.hold(transaction_id="TRX_2")
    assert len(set(tokens)) == 2
