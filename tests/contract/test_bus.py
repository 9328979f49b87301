"""What holds for every bus, the fake of the tests included."""

import json
from collections.abc import Callable, Iterator
from functools import partial
from typing import NamedTuple

import boto3
import pytest

from gatehouse import aws
from gatehouse.bus import Bus, BusUnavailable, EventBridgeBus, announce
from tests.support.fakes import Clock
from tests.support.memory_aws import MemoryAccount, aws_error
from tests.support.token_fakes import Event, FakeBus, aws_account, record_events, refuse

DETAIL = {"reason": "é", "tokens_version_id": "version-1", "count": 1}


class Subject(NamedTuple):
    bus: Bus
    events: Callable[[], list[Event]]
    fail: Callable[[str], object]


def fail(account: MemoryAccount, code: str) -> None:
    def refuse_all(name: str, _perform: Callable[[], object]) -> object:
        raise aws_error(code, name)

    account.bus.door = refuse_all


@pytest.fixture(params=["fake", "memory", "eventbridge"])
def subject(request: pytest.FixtureRequest) -> Iterator[Subject]:
    if request.param == "fake":
        fake = FakeBus()
        yield Subject(fake, lambda: fake.events, lambda code: setattr(fake, "failure", code))
        return
    if request.param == "memory":
        with MemoryAccount(Clock()) as account:
            yield Subject(
                EventBridgeBus("gatehouse", "gatehouse.tokens"),
                lambda: [Event(entry["DetailType"], json.loads(entry["Detail"])) for entry in account.bus.entries],
                partial(fail, account),
            )
        return
    with aws_account():
        boto3.client("events").create_event_bus(Name="gatehouse")
        entries = record_events()
        yield Subject(
            EventBridgeBus("gatehouse", "gatehouse.tokens"),
            lambda: [Event(entry["DetailType"], json.loads(entry["Detail"])) for entry in entries],
            lambda code: refuse(aws.events(), "PutEvents", code),
        )


def test_events_arrive_in_order_as_they_were_published(subject: Subject) -> None:
    subject.bus.publish("tokens.refreshed", DETAIL)
    subject.bus.publish("tokens.authenticated", {})
    assert subject.events() == [Event("tokens.refreshed", DETAIL), Event("tokens.authenticated", {})]


def test_a_bus_that_does_not_answer_is_an_error(subject: Subject) -> None:
    subject.fail("InternalException")
    with pytest.raises(BusUnavailable) as caught:
        subject.bus.publish("tokens.refreshed", DETAIL)
    assert caught.value.reason == "InternalException"
    assert caught.value.__cause__ is None


def test_what_is_only_announced_may_fail_and_is_logged(subject: Subject, caplog: pytest.LogCaptureFixture) -> None:
    subject.fail("InternalException")
    announce(subject.bus, "tokens.refreshed", DETAIL)
    (record,) = caplog.records
    assert record.message == "event.not_published"
    assert (vars(record)["event"], vars(record)["reason"]) == ("tokens.refreshed", "InternalException")


def test_what_is_announced_arrives(subject: Subject) -> None:
    announce(subject.bus, "tokens.refreshed", DETAIL)
    assert subject.events() == [Event("tokens.refreshed", DETAIL)]


def test_an_entry_says_which_bus_and_which_source() -> None:
    with aws_account():
        boto3.client("events").create_event_bus(Name="gatehouse")
        entries = record_events()
        EventBridgeBus("gatehouse", "gatehouse.tokens").publish("tokens.refreshed", DETAIL)
    (entry,) = entries
    assert (entry["EventBusName"], entry["Source"]) == ("gatehouse", "gatehouse.tokens")


@pytest.mark.parametrize(
    ("entry", "reason"), [({"ErrorCode": "ThrottlingException"}, "ThrottlingException"), ({}, "unknown")]
)
def test_an_entry_that_was_not_taken_is_an_error_although_the_call_is_answered_with_200(
    monkeypatch: pytest.MonkeyPatch, entry: dict[str, str], reason: str
) -> None:
    with aws_account():
        monkeypatch.setattr(
            aws.events(), "put_events", lambda **_: {"FailedEntryCount": 1, "Entries": [entry]}, raising=False
        )
        with pytest.raises(BusUnavailable) as caught:
            EventBridgeBus("gatehouse", "gatehouse.tokens").publish("tokens.refreshed", DETAIL)
    assert caught.value.reason == reason


def test_a_bus_that_is_not_there_is_an_error() -> None:
    with aws_account(), pytest.raises(BusUnavailable, match="ResourceNotFoundException"):
        EventBridgeBus("gatehouse", "gatehouse.tokens").publish("tokens.refreshed", DETAIL)
