"""What holds for every lease, the fake of the tests included."""

from collections.abc import Iterator
from typing import NamedTuple

import boto3
import pytest

from gatehouse import aws
from gatehouse.lease import LEASE_SECONDS, DynamoDBLease, Lease, StateUnavailable, hold
from tests.support.fakes import Clock
from tests.support.memory_aws import MemoryAccount
from tests.support.token_fakes import FakeLease, Steps, aws_account, create_state_table, refuse


class Subject(NamedTuple):
    lease: Lease
    clock: Clock


@pytest.fixture(params=["fake", "memory", "dynamodb"])
def subject(request: pytest.FixtureRequest) -> Iterator[Subject]:
    clock = Clock()
    if request.param == "fake":
        yield Subject(FakeLease(clock), clock)
        return
    if request.param == "memory":
        with MemoryAccount(clock):
            yield Subject(DynamoDBLease("state", "lease#test", clock), clock)
        return
    with aws_account():
        create_state_table()
        yield Subject(DynamoDBLease("state", "lease#test", clock), clock)


def test_one_holds_it_at_a_time(subject: Subject) -> None:
    assert subject.lease.acquire("one")
    assert not subject.lease.acquire("two")


def test_it_can_be_had_again_after_it_was_given_back(subject: Subject) -> None:
    subject.lease.acquire("one")
    subject.lease.release("one")
    assert subject.lease.acquire("two")


def test_its_holder_gets_it_again_when_the_first_answer_was_lost(subject: Subject) -> None:
    assert subject.lease.acquire("one")
    assert subject.lease.acquire("one")
    assert not subject.lease.acquire("two")


@pytest.mark.parametrize(("passed", "is_free"), [(LEASE_SECONDS - 1, False), (LEASE_SECONDS, True)])
def test_it_ends_by_itself(subject: Subject, passed: int, is_free: bool) -> None:
    subject.lease.acquire("one")
    subject.clock.now += passed
    assert subject.lease.acquire("two") is is_free


def test_getting_it_again_begins_its_time_anew(subject: Subject) -> None:
    subject.lease.acquire("one")
    subject.clock.now += LEASE_SECONDS - 1
    subject.lease.acquire("one")
    subject.clock.now += LEASE_SECONDS - 1
    assert not subject.lease.acquire("two")


def test_only_its_holder_gives_it_back(subject: Subject) -> None:
    subject.lease.acquire("one")
    subject.lease.release("two")
    assert not subject.lease.acquire("two")


def test_whose_time_is_over_does_not_end_the_next_holders(subject: Subject) -> None:
    subject.lease.acquire("one")
    subject.clock.now += LEASE_SECONDS
    subject.lease.acquire("two")
    subject.lease.release("one")
    assert not subject.lease.acquire("three")


def test_giving_back_what_nobody_holds_is_no_error(subject: Subject) -> None:
    subject.lease.release("one")
    assert subject.lease.acquire("two")


def test_it_is_held_for_a_block_and_given_back_after_it(subject: Subject) -> None:
    with hold(subject.lease) as held:
        assert held
        with hold(subject.lease) as second:
            assert not second
        assert not subject.lease.acquire("two")
    assert subject.lease.acquire("two")


def test_it_is_given_back_when_the_block_fails(subject: Subject) -> None:
    with pytest.raises(KeyError), hold(subject.lease):
        raise KeyError
    assert subject.lease.acquire("two")


def test_it_outlives_the_function_that_holds_it() -> None:
    assert LEASE_SECONDS > 30


def test_leases_of_different_names_are_different(subject: Subject) -> None:
    if isinstance(subject.lease, DynamoDBLease):
        subject.lease.acquire("one")
        assert DynamoDBLease("state", "lease#other", subject.clock).acquire("two")


def test_dynamodb_removes_an_entry_only_long_after_the_lease_has_ended() -> None:
    with aws_account():
        create_state_table()
        clock = Clock()
        DynamoDBLease("state", "lease#test", clock).acquire("one")
        (item,) = boto3.client("dynamodb").scan(TableName="state")["Items"]
    assert float(item["ends_at"]["N"]) == clock.now + LEASE_SECONDS
    assert int(item["ttl"]["N"]) > float(item["ends_at"]["N"])


def test_a_table_out_of_reach_is_an_error_and_neither_yes_nor_no() -> None:
    with aws_account():
        lease = DynamoDBLease("state", "lease#test", Clock())
        with pytest.raises(StateUnavailable) as caught:
            lease.acquire("one")
        assert caught.value.reason == "ResourceNotFoundException"
        assert caught.value.__cause__ is None
        with pytest.raises(StateUnavailable, match="ResourceNotFoundException"):
            lease.release("one")


def test_where_nobody_can_tell_the_block_is_not_entered() -> None:
    steps = Steps()
    steps.fail_at("lease.acquire", StateUnavailable("InternalServerError"))
    with pytest.raises(StateUnavailable), hold(FakeLease(Clock(), steps)):
        pytest.fail("entered")
    assert steps.taken == ["lease.acquire"]


def test_a_lease_that_could_not_be_given_back_ends_by_itself_and_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    with aws_account():
        create_state_table()
        clock = Clock()
        lease = DynamoDBLease("state", "lease#test", clock)
        refuse(aws.dynamodb(), "DeleteItem", "InternalServerError")
        with hold(lease) as held:
            assert held
        assert not lease.acquire("two")
        clock.now += LEASE_SECONDS
        assert lease.acquire("two")
    (record,) = caplog.records
    assert (record.message, vars(record)["reason"]) == ("lease.not_released", "InternalServerError")
