"""What holds for every store of connections, the fake of the tests included."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import boto3
import pytest
from moto import mock_aws

from gatehouse.caller import User
from gatehouse.connections import Connections, ConnectionsTable, user_key
from gatehouse.problems import ConnectionsUnavailable
from tests.support.fakes import FakeConnections

ASHA = User("https://auth.example.com", "asha")
RAVI = User("https://auth.example.com", "ravi")


class Subject(NamedTuple):
    connections: Connections
    connect: Callable[[User, str], None]


@pytest.fixture(params=["fake", "dynamodb"])
def subject(request: pytest.FixtureRequest) -> Iterator[Subject]:
    if request.param == "fake":
        fake = FakeConnections()
        yield Subject(fake, fake.entries.__setitem__)
        return
    with mock_aws():
        client = boto3.client("dynamodb")
        client.create_table(
            TableName="connections",
            KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
        )

        def connect(user: User, smallcase_auth_id: str) -> None:
            item = {"pk": user_key(user), "smallcase_auth_id": smallcase_auth_id}
            client.put_item(TableName="connections", Item={name: {"S": value} for name, value in item.items()})

        yield Subject(ConnectionsTable("connections"), connect)


def test_a_stranger_holds_nothing(subject: Subject) -> None:
    assert subject.connections.smallcase_auth_id(ASHA) is None


def test_a_user_holds_what_was_connected_and_nobody_else_does(subject: Subject) -> None:
    subject.connect(ASHA, "63f6b2c1a0")
    assert subject.connections.smallcase_auth_id(ASHA) == "63f6b2c1a0"
    assert subject.connections.smallcase_auth_id(RAVI) is None


def test_the_same_subject_of_another_issuer_is_another_user(subject: Subject) -> None:
    subject.connect(ASHA, "63f6b2c1a0")
    assert subject.connections.smallcase_auth_id(User("https://other.example.com", "asha")) is None


def test_an_entry_that_holds_no_id_is_an_error_and_not_a_guest(subject: Subject) -> None:
    subject.connect(ASHA, "")
    with pytest.raises(ConnectionsUnavailable, match="entry_without_smallcase_auth_id"):
        subject.connections.smallcase_auth_id(ASHA)


def test_a_table_that_is_not_there_is_an_error_and_not_a_guest() -> None:
    with mock_aws(), pytest.raises(ConnectionsUnavailable) as caught:
        ConnectionsTable("connections").smallcase_auth_id(ASHA)
    assert caught.value.reason == "ResourceNotFoundException"
    assert caught.value.__cause__ is None


def test_the_key_is_the_documented_one() -> None:
    assert user_key(ASHA) == "USER#https://auth.example.com#asha"
