"""What holds for every journal of exchanges, the fake of the tests included."""

from collections.abc import Callable, Iterator

import boto3
import pytest

from gatehouse import aws
from gatehouse.exchange_journal import (
    INTEGRATION_TOKENS,
    KEEP_SECONDS,
    Begun,
    DynamoDBExchangeJournal,
    ExchangeJournal,
    find_unsettled,
    forget,
    leave,
)
from gatehouse.lease import StateUnavailable
from tests.support.fakes import Clock
from tests.support.memory_aws import MemoryAccount
from tests.support.token_fakes import FakeExchangeJournal, aws_account, create_state_table, refuse

FIRST = Begun("stored-1", "candidate-1")
SECOND = Begun("stored-1", "candidate-2")


@pytest.fixture(params=["fake", "memory", "dynamodb"])
def journal(request: pytest.FixtureRequest) -> Iterator[ExchangeJournal]:
    if request.param == "fake":
        yield FakeExchangeJournal()
        return
    if request.param == "memory":
        with MemoryAccount(Clock()):
            yield DynamoDBExchangeJournal("state", INTEGRATION_TOKENS, Clock())
        return
    with aws_account():
        create_state_table()
        yield DynamoDBExchangeJournal("state", INTEGRATION_TOKENS, Clock())


def test_at_first_nothing_was_begun(journal: ExchangeJournal) -> None:
    assert journal.read() is None


def test_what_was_begun_is_remembered_until_it_ends(journal: ExchangeJournal) -> None:
    journal.begin(FIRST)
    assert journal.read() == FIRST
    journal.end(FIRST)
    assert journal.read() is None


def test_what_is_begun_later_takes_the_place_of_what_was_before(journal: ExchangeJournal) -> None:
    journal.begin(FIRST)
    journal.begin(SECOND)
    assert journal.read() == SECOND


def test_the_end_of_an_exchange_is_not_that_of_a_later_one(journal: ExchangeJournal) -> None:
    journal.begin(FIRST)
    journal.begin(SECOND)
    journal.end(FIRST)
    assert journal.read() == SECOND


def test_ending_what_was_never_begun_is_no_error(journal: ExchangeJournal) -> None:
    journal.end(FIRST)
    assert journal.read() is None


def test_an_exchange_is_settled_when_its_tokens_are_current(journal: ExchangeJournal) -> None:
    journal.begin(FIRST)
    assert find_unsettled(journal, "stored-1") == FIRST
    assert find_unsettled(journal, "another") == FIRST
    assert find_unsettled(journal, "candidate-1") is None


def test_forgetting_puts_back_what_was_unsettled_before(journal: ExchangeJournal) -> None:
    journal.begin(SECOND)
    forget(journal, SECOND, FIRST)
    assert journal.read() == FIRST
    forget(journal, FIRST)
    assert journal.read() is None


CALLS: list[Callable[[ExchangeJournal], object]] = [
    lambda journal: journal.read(),
    lambda journal: journal.begin(FIRST),
    lambda journal: journal.end(FIRST),
]


@pytest.mark.parametrize("call", CALLS)
def test_a_table_out_of_reach_is_an_error(call: Callable[[ExchangeJournal], object]) -> None:
    with aws_account(), pytest.raises(StateUnavailable) as caught:
        call(DynamoDBExchangeJournal("state", INTEGRATION_TOKENS, Clock()))
    assert caught.value.reason == "ResourceNotFoundException"
    assert caught.value.__cause__ is None


def test_what_cannot_be_forgotten_is_logged_and_no_error(caplog: pytest.LogCaptureFixture) -> None:
    with aws_account():
        create_state_table()
        refuse(aws.dynamodb(), "DeleteItem", "InternalServerError")
        forget(DynamoDBExchangeJournal("state", INTEGRATION_TOKENS, Clock()), FIRST)
    (record,) = caplog.records
    assert (record.message, vars(record)["reason"]) == ("exchange.not_forgotten", "InternalServerError")


def test_what_cannot_be_remembered_once_more_is_logged_and_no_error(caplog: pytest.LogCaptureFixture) -> None:
    with aws_account():
        leave(DynamoDBExchangeJournal("state", INTEGRATION_TOKENS, Clock()), FIRST)
    (record,) = caplog.records
    assert (record.message, vars(record)["reason"]) == ("exchange.not_remembered", "ResourceNotFoundException")


def test_the_trace_holds_versions_alone_and_goes_away_after_a_day() -> None:
    with aws_account():
        create_state_table()
        clock = Clock()
        DynamoDBExchangeJournal("state", INTEGRATION_TOKENS, clock).begin(FIRST)
        (item,) = boto3.client("dynamodb").scan(TableName="state")["Items"]
    assert item == {
        "pk": {"S": "exchange#integration-tokens"},
        "tokens_version_id": {"S": "stored-1"},
        "candidate_id": {"S": "candidate-1"},
        "ttl": {"N": str(int(clock.now) + KEEP_SECONDS)},
    }
