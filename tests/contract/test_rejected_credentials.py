"""What holds for every memory of rejected credentials, the fake of the tests included."""

from collections.abc import Callable, Iterator

import boto3
import pytest

from gatehouse.lease import StateUnavailable
from gatehouse.rejected_credentials import Attempt, DynamoDBRejectedCredentials, RejectedCredentials
from tests.support.fakes import Clock
from tests.support.memory_aws import MemoryAccount
from tests.support.token_fakes import FakeRejectedCredentials, aws_account, create_state_table

ATTEMPT = Attempt("version-1", "https://integration.example.com", "body")
OTHERS = [
    Attempt("version-2", "https://integration.example.com", "body"),
    Attempt("version-1", "https://other.example.com", "body"),
    Attempt("version-1", "https://integration.example.com", "headers"),
]


@pytest.fixture(params=["fake", "memory", "dynamodb"])
def rejected(request: pytest.FixtureRequest) -> Iterator[RejectedCredentials]:
    if request.param == "fake":
        yield FakeRejectedCredentials()
        return
    if request.param == "memory":
        with MemoryAccount(Clock()):
            yield DynamoDBRejectedCredentials("state", Clock())
        return
    with aws_account():
        create_state_table()
        yield DynamoDBRejectedCredentials("state", Clock())


def test_what_was_never_tried_is_not_rejected(rejected: RejectedCredentials) -> None:
    assert not rejected.contains(ATTEMPT)


def test_what_was_rejected_is_remembered_however_often_it_is_said(rejected: RejectedCredentials) -> None:
    rejected.add(ATTEMPT)
    rejected.add(ATTEMPT)
    assert rejected.contains(ATTEMPT)


@pytest.mark.parametrize("other", OTHERS)
def test_another_version_place_or_way_is_another_attempt(rejected: RejectedCredentials, other: Attempt) -> None:
    rejected.add(ATTEMPT)
    assert not rejected.contains(other)


def test_what_succeeded_after_all_is_forgotten(rejected: RejectedCredentials) -> None:
    rejected.add(ATTEMPT)
    rejected.add(OTHERS[0])
    rejected.remove(ATTEMPT)
    assert not rejected.contains(ATTEMPT)
    assert rejected.contains(OTHERS[0])


def test_forgetting_what_was_never_remembered_is_no_error(rejected: RejectedCredentials) -> None:
    rejected.remove(ATTEMPT)
    assert not rejected.contains(ATTEMPT)


CALLS: list[Callable[[RejectedCredentials], object]] = [
    lambda rejected: rejected.contains(ATTEMPT),
    lambda rejected: rejected.add(ATTEMPT),
    lambda rejected: rejected.remove(ATTEMPT),
]


@pytest.mark.parametrize("call", CALLS)
def test_a_table_out_of_reach_is_an_error(call: Callable[[RejectedCredentials], object]) -> None:
    with aws_account(), pytest.raises(StateUnavailable) as caught:
        call(DynamoDBRejectedCredentials("state", Clock()))
    assert caught.value.reason == "ResourceNotFoundException"
    assert caught.value.__cause__ is None


def test_an_entry_stays_and_shares_the_table_with_the_lease() -> None:
    with aws_account():
        create_state_table()
        clock = Clock()
        DynamoDBRejectedCredentials("state", clock).add(ATTEMPT)
        (item,) = boto3.client("dynamodb").scan(TableName="state")["Items"]
    assert item == {
        "pk": {"S": "rejected#body#version-1#https://integration.example.com"},
        "rejected_at": {"N": str(int(clock.now))},
    }
