"""`make replay`: what is published again, what is said about it, and how it goes on after an interruption."""

import json
import signal
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import boto3
import pytest
from botocore.exceptions import ClientError

from gatehouse import delivery_event, iso8601
from gatehouse.envelope import Envelope
from gatehouse.event_log import DynamoDBEventLog
from local.stop_signals import StopRequested
from ops import batch_read, bus_batches, log_reader, replay
from ops.bus_batches import PAUSES_SECONDS, Event, batches
from ops.deployment import NoDeployment
from ops.log_reader import LogReader, Selection
from tests.support.fakes import Clock
from tests.support.ops_fakes import TITLE, FakeDeployments, FakeEvents, Outcome, runner
from tests.support.token_fakes import aws_account, refuse
from tests.support.webhook_fakes import create_webhooks_table, make_envelope

NOW = iso8601.parse("2026-11-22T12:00:00Z")
ALL_DAY = {"SOURCE": "smallcase", "SINCE": "2026-11-22"}
THROTTLED = "ThrottlingException"


class World(NamedTuple):
    """An event log, a bus, and the program over both."""

    log: DynamoDBEventLog
    events: FakeEvents
    deployments: FakeDeployments
    replay: Callable[..., Outcome]
    pauses: list[float]

    def add(self, number: int, received_at: str = "", **changes: Any) -> Envelope:
        """Log a delivery, a minute after the one with the number before unless a time is given."""
        envelope = make_envelope(
            id=f"delivery-{number:03}",
            identity=f"identity-{number:03}",
            received_at=received_at or iso8601.render(iso8601.parse("2026-11-22T03:00:00Z") + 60 * number),
            body=json.dumps({"number": number}).encode(),
        )._replace(**changes)
        self.log.add(envelope)
        self.log.mark_published(envelope.identity)
        return envelope

    @property
    def published(self) -> list[str]:
        """The ids on the bus, in order."""
        return [json.loads(entry["Detail"])["id"] for entry in self.events.taken]


@pytest.fixture
def world(capsys: pytest.CaptureFixture[str]) -> Iterator[World]:
    with aws_account():
        create_webhooks_table()
        events, pauses = FakeEvents(), list[float]()
        deployments = FakeDeployments({"EventBusName": "the-bus", "WebhooksTableName": "webhooks"})
        deployments.clients["events"] = events
        program = runner(replay.main, deployments, capsys, Clock(NOW), pauses.append)
        yield World(DynamoDBEventLog("webhooks", 30 * 86400, Clock(NOW)), events, deployments, program, pauses)


def stored() -> list[dict[str, Any]]:
    return list(boto3.client("dynamodb").scan(TableName="webhooks")["Items"])


# --- what is published ---


def test_a_delivery_is_published_as_it_was_and_marked_as_replayed(world: World) -> None:
    envelope = world.add(1, kind="mf-holdings", recognised=False)
    assert world.replay(**ALL_DAY).exit_code == 0
    (entry,) = world.events.taken
    assert {**entry, "Detail": None} == {
        "EventBusName": "the-bus",
        "Source": "gatehouse.webhooks",
        "DetailType": "smallcase.mf-holdings.received",
        "Detail": None,
    }
    assert json.loads(entry["Detail"]) == {**json.loads(delivery_event.detail(envelope)), "replayed": True}


def test_a_body_passes_as_it_was_written(world: World) -> None:
    world.add(1, body=b'{"price": 1520.10, "id": 9007199254740993}')
    world.replay(**ALL_DAY)
    assert '{"price": 1520.10, "id": 9007199254740993}' in world.events.taken[0]["Detail"]


def test_a_body_that_is_no_text_stays_in_the_log(world: World) -> None:
    world.add(1, source="integration.shop", kind=None, body=b"\xff")
    world.replay(SOURCE="integration.shop", SINCE="2026-11-22")
    assert world.events.taken[0]["DetailType"] == "integration.shop.received"
    assert json.loads(world.events.taken[0]["Detail"])["body_in_log"] is True


def test_many_are_published_once_each_in_the_order_in_which_they_were_received(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_reader, "PAGE", 7)
    expected = [world.add(number).id for number in range(45)]
    outcome = world.replay(**ALL_DAY)
    assert world.published == expected
    assert outcome.exit_code == 0
    assert outcome.lines[-1] == "Found 45, published 45, failed 0, skipped 0."


def test_the_log_stays_as_it_was(world: World) -> None:
    world.add(1)
    world.log.add(make_envelope(received_at="2026-11-22T04:00:00Z"))
    before = stored()
    assert world.replay(**ALL_DAY).lines[-1].startswith("Found 2, published 2,")
    assert stored() == before


def test_no_more_bodies_than_ten_are_held_at_a_time(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(25):
        world.add(number)
    held: list[int] = []
    read = LogReader.envelopes

    def count(reader: LogReader, listed: Any) -> Any:
        held.append(len(listed))
        return read(reader, listed)

    monkeypatch.setattr(LogReader, "envelopes", count)
    world.replay(**ALL_DAY)
    assert held == [10, 10, 5]


def test_other_sources_are_left_alone(world: World) -> None:
    world.add(1)
    world.add(2, source="integration.smallcase", kind=None)
    world.add(3, source="integration.shop", kind=None)
    world.replay(SOURCE="integration.shop", SINCE="2026-11-22")
    assert world.published == ["delivery-003"]


@pytest.mark.parametrize(
    ("since", "until", "expected"),
    [
        ("2026-11-22T05:00:00Z", "2026-11-22T06:00:00Z", [2, 3, 4]),
        ("2026-11-22T05:00:01Z", "2026-11-22T05:59:59Z", [3]),
        ("2026-11-22T05:00:00.999Z", "2026-11-22T06:00:00.001Z", [2, 3, 4]),
        ("2026-11-22T10:30:00+05:30", "2026-11-22T11:30:00+05:30", [2, 3, 4]),
        ("2026-11-22 05:00", "2026-11-22T06:00", [2, 3, 4]),
        ("2026-11-22T05:30:00Z", "2026-11-22T05:30:00Z", [3]),
        ("2026-11-22", "2026-11-22", [1, 2, 3, 4, 5]),
        ("2026-11-21", "2026-11-21", [0]),
        ("2026-11-22T00:00:00Z", "2026-11-22T23:59:58Z", [1, 2, 3, 4]),
        ("2026-11-23", "2026-11-23", [6]),
        ("2026-11-22", "", [1, 2, 3, 4]),
        ("2026-11-22T13:00:00Z", "2026-11-30", [5, 6]),
    ],
)
def test_a_range_holds_both_of_its_edges(world: World, since: str, until: str, expected: list[int]) -> None:
    for number, received_at in enumerate(
        (
            "2026-11-21T23:59:59Z",
            "2026-11-22T00:00:00Z",
            "2026-11-22T05:00:00Z",
            "2026-11-22T05:30:00Z",
            "2026-11-22T06:00:00Z",
            "2026-11-22T23:59:59Z",
            "2026-11-23T00:00:00Z",
        )
    ):
        world.add(number, received_at)
    assert world.replay(SOURCE="smallcase", SINCE=since, UNTIL=until).exit_code == 0
    assert world.published == [f"delivery-{number:03}" for number in expected]


def test_without_an_end_the_range_ends_now(world: World) -> None:
    world.add(1, iso8601.render(NOW))
    world.add(2, iso8601.render(NOW + 1))
    world.replay(**ALL_DAY)
    assert world.published == ["delivery-001"]


def test_a_single_delivery_is_found_by_its_id(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_reader, "PAGE", 2)
    for number in range(9):
        world.add(number)
    outcome = world.replay(SOURCE="smallcase", ID="delivery-007")
    assert world.published == ["delivery-007"]
    assert outcome.lines[1] == "Delivery delivery-007 of smallcase: 1 to be published again on the bus the-bus."
    assert world.replay(**ALL_DAY, ID="delivery-001").exit_code == 0
    assert world.published == ["delivery-007", "delivery-001"]


def test_an_id_that_the_log_does_not_have_is_no_success(world: World) -> None:
    world.add(1)
    outcome = world.replay(SOURCE="smallcase", ID="delivery-2")
    assert outcome.exit_code == 1
    assert "the log has that of the first" in outcome.out
    assert world.replay(SOURCE="smallcase", ID="delivery-001", UNTIL="2026-11-21").exit_code == 1
    assert world.published == []


def test_a_range_with_nothing_in_it_is_done(world: World) -> None:
    outcome = world.replay(**ALL_DAY)
    assert (outcome.exit_code, outcome.lines[-1]) == (0, "Found 0, published 0, failed 0, skipped 0.")
    assert world.events.calls == []


# --- what is said ---


def test_the_deployment_is_said_first_and_then_how_many_there_are(world: World) -> None:
    world.add(1)
    lines = world.replay(**ALL_DAY).lines
    asked = "Deliveries of smallcase from 2026-11-22T00:00:00Z to 2026-11-22T12:00:00Z"
    assert lines == [
        TITLE,
        f"{asked}: 1 to be published again on the bus the-bus.",
        "  published 1 of 1",
        "Found 1, published 1, failed 0, skipped 0.",
    ]


def test_a_dry_run_lists_without_bodies_and_publishes_nothing(world: World) -> None:
    world.add(1)
    world.log.add(make_envelope(id="delivery-002", source="smallcase", received_at="2026-11-22T03:09:00Z"))
    outcome = world.replay(**ALL_DAY, DRY_RUN="1")
    assert outcome.exit_code == 0
    assert [line.split() for line in outcome.lines[1:3]] == [
        ["delivery-001", "2026-11-22T03:01:00Z", "orders", "published"],
        ["delivery-002", "2026-11-22T03:09:00Z", "orders", "received"],
    ]
    assert outcome.lines[3].endswith(": 2 would be published again on the bus the-bus. Nothing was.")
    assert "number" not in outcome.out
    assert world.events.calls == []


def test_a_dry_run_of_an_id_that_is_not_there_is_no_success(world: World) -> None:
    assert world.replay(SOURCE="smallcase", ID="nobody", DRY_RUN="1").exit_code == 1


def test_a_delivery_without_kind_is_listed_with_a_dash(world: World) -> None:
    world.add(1, source="integration.shop", kind=None)
    assert world.replay(SOURCE="integration.shop", SINCE="2026-11-22", DRY_RUN="1").lines[1].split()[2] == "-"


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({}, "SOURCE is missing"),
        ({"SOURCE": "smallcase"}, "SINCE is missing"),
        ({"SOURCE": " ", "SINCE": "2026-11-22"}, "SOURCE is missing"),
        ({"SOURCE": "broker", "SINCE": "2026-11-22"}, "did you mean integration.broker?"),
        ({**ALL_DAY, "SINCE": "yesterday"}, "SINCE is a time of ISO 8601"),
        ({**ALL_DAY, "SINCE": "2026-13-22"}, "SINCE is a time of ISO 8601"),
        ({**ALL_DAY, "SINCE": "22-11-2026"}, "SINCE is a time of ISO 8601"),
        ({**ALL_DAY, "UNTIL": "1795330778"}, "UNTIL is a time of ISO 8601"),
        ({**ALL_DAY, "UNTIL": "2026-11-21"}, "SINCE (2026-11-22T00:00:00Z) is after UNTIL (2026-11-21T23:59:59Z)"),
        ({**ALL_DAY, "SINCE": "2026-11-23"}, "is after UNTIL (2026-11-22T12:00:00Z)"),
        ({**ALL_DAY, "DRY_RUN": "ye"}, "DRY_RUN"),
    ],
)
def test_a_wrong_command_is_refused_before_anything_is_opened(
    world: World, variables: dict[str, str], said: str
) -> None:
    outcome = world.replay(**variables)
    assert (outcome.exit_code, outcome.out) == (2, "")
    assert said in outcome.err
    assert "Usage: make replay SOURCE=" in outcome.err
    assert world.deployments.opened == []


def test_the_stage_is_makes(world: World) -> None:
    world.replay(**ALL_DAY, OPS_STAGE="prod")
    world.replay(**ALL_DAY)
    assert world.deployments.opened == ["prod", "local"]


def test_a_deployment_without_a_log_is_said(world: World) -> None:
    del world.deployments.outputs["WebhooksTableName"]
    outcome = world.replay(**ALL_DAY)
    assert (outcome.exit_code, "WebhooksTableName" in outcome.err) == (1, True)


def test_without_a_deployment_the_program_ends(capsys: pytest.CaptureFixture[str]) -> None:
    def nothing_there(stage: str) -> Any:
        raise NoDeployment("Start one with `make run`.")

    outcome = runner(replay.main, nothing_there, capsys)(**ALL_DAY)
    assert (outcome.exit_code, outcome.err) == (1, "Start one with `make run`.\n")


# --- what goes wrong ---


def test_entries_that_were_not_taken_are_sent_again_and_no_others(world: World) -> None:
    for number in range(4):
        world.add(number)
    world.events.script.extend([[None, THROTTLED, None, "InternalFailure"], [None, THROTTLED], [None]])
    outcome = world.replay(**ALL_DAY)
    assert outcome.exit_code == 0
    assert [len(call) for call in world.events.calls] == [4, 2, 1]
    assert sorted(world.published) == [f"delivery-{number:03}" for number in range(4)]
    assert world.pauses == [0.5, 1.0]


def test_what_the_bus_never_takes_is_reported_and_the_rest_is_published(world: World) -> None:
    for number in range(12):
        world.add(number)
    first = [None if number != 3 else THROTTLED for number in range(10)]
    again: list[list[str | None]] = [[THROTTLED] for _ in PAUSES_SECONDS]
    world.events.script.extend([first, *again, ["InternalFailure", None], [None]])
    outcome = world.replay(**ALL_DAY, OPS_STAGE="prod")
    assert outcome.exit_code == 1
    assert world.pauses == [*PAUSES_SECONDS, PAUSES_SECONDS[0]]
    assert "  failed delivery-003, received 2026-11-22T03:03:00Z: ThrottlingException" in outcome.lines
    assert outcome.lines[-2:] == [
        "Found 12, published 11, failed 1, skipped 0.",
        "For the rest: make replay SOURCE=smallcase SINCE=2026-11-22T03:03:00Z UNTIL=2026-11-22T12:00:00Z STAGE=prod",
    ]
    assert "quoted" not in outcome.out + outcome.err


def test_the_rest_begins_at_the_first_failure_of_all(world: World) -> None:
    for number in range(21):
        world.add(number)
    first = ["MalformedDetail" if number in (2, 5) else None for number in range(10)]
    world.events.script.extend([first, ["MalformedDetail", *[None] * 9]])
    outcome = world.replay(**ALL_DAY)
    assert outcome.lines[-2] == "Found 21, published 18, failed 3, skipped 0."
    assert "SINCE=2026-11-22T03:02:00Z" in outcome.lines[-1]


@pytest.mark.parametrize("code", sorted(bus_batches.FINAL_CODES))
def test_what_can_never_be_taken_is_not_sent_again(world: World, code: str) -> None:
    world.add(1)
    world.add(2)
    world.events.script.extend([[code, THROTTLED]])
    outcome = world.replay(**ALL_DAY)
    assert [len(call) for call in world.events.calls] == [2, 1]
    assert outcome.exit_code == 1
    assert world.published == ["delivery-002"]


def test_an_entry_without_id_and_without_code_was_not_taken(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.add(1)
    monkeypatch.setattr(world.events, "put_events", lambda **_: {"FailedEntryCount": 0, "Entries": [{}]})
    outcome = world.replay(**ALL_DAY)
    assert outcome.exit_code == 1
    assert "  failed delivery-001, received 2026-11-22T03:01:00Z: unknown" in outcome.lines


def failing(error: BaseException) -> Callable[[], object]:
    def fail() -> None:
        raise error

    return fail


def test_a_bus_out_of_reach_stops_the_replay_and_says_how_to_go_on(world: World) -> None:
    for number in range(25):
        world.add(number)
    denied = ClientError({"Error": {"Code": "AccessDeniedException", "Message": "quoted text"}}, "PutEvents")
    world.events.script.extend([[None] * 10, failing(denied)])
    outcome = world.replay(**ALL_DAY)
    assert outcome.exit_code == 1
    assert outcome.lines[-2:] == [
        "Found 25, published 10, failed 0, skipped 0, not reached 15.",
        "For the rest: make replay SOURCE=smallcase SINCE=2026-11-22T03:10:00Z UNTIL=2026-11-22T12:00:00Z",
    ]
    assert outcome.err == "AWS did not do it: PutEvents, AccessDeniedException.\n"


def test_an_interrupted_replay_says_how_far_it_came_and_the_rest_completes_it(world: World) -> None:
    expected = [world.add(number).id for number in range(25)]
    world.events.script.extend([[None] * 10, failing(StopRequested(signal.SIGINT))])
    outcome = world.replay(**ALL_DAY)
    assert outcome.exit_code == 130
    assert "not reached 15" in outcome.lines[-2]
    rest = dict(part.split("=") for part in outcome.lines[-1].partition("make replay ")[2].split())
    assert world.replay(**rest).exit_code == 0
    assert world.published == expected


def test_a_replay_that_is_interrupted_between_two_pages_goes_on_at_the_next(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_reader, "PAGE", 10)
    for number in range(20):
        world.add(number)
    pages = LogReader.pages

    def one_page(reader: LogReader, selection: Selection) -> Iterator[Any]:
        yield next(pages(reader, selection))
        raise StopRequested(signal.SIGTERM)

    monkeypatch.setattr(LogReader, "pages", one_page)
    outcome = world.replay(**ALL_DAY)
    assert outcome.exit_code == 143
    assert "published 10, failed 0, skipped 0, not reached 10" in outcome.lines[-2]
    # At the last one that is on the bus: another may have been received in the same second.
    assert "SINCE=2026-11-22T03:09:00Z" in outcome.lines[-1]


def test_a_replay_of_one_delivery_is_repeated_as_such(world: World) -> None:
    world.add(1)
    world.events.script.append(["MalformedDetail"])
    outcome = world.replay(SOURCE="smallcase", ID="delivery-001")
    assert outcome.lines[-1].endswith("ID=delivery-001")
    rest = dict(part.split("=") for part in outcome.lines[-1].partition("make replay ")[2].split())
    assert world.replay(**rest).exit_code == 0
    assert world.published == ["delivery-001"]


def test_a_delivery_that_expires_in_the_meantime_is_skipped_and_said(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(3):
        world.add(number)
    read = LogReader.envelopes

    def expire(reader: LogReader, listed: Any) -> Any:
        boto3.client("dynamodb").delete_item(TableName="webhooks", Key={"pk": {"S": "identity-001"}})
        return read(reader, listed)

    monkeypatch.setattr(LogReader, "envelopes", expire)
    outcome = world.replay(**ALL_DAY)
    assert outcome.exit_code == 1, "not everything that was found was published"
    assert world.published == ["delivery-000", "delivery-002"]
    assert "  skipped delivery-001, received 2026-11-22T03:01:00Z: no longer in the log, or unreadable" in outcome.lines
    assert outcome.lines[-1] == "Found 3, published 2, failed 0, skipped 1.", "and nothing more to do about it"


def test_an_entry_that_nobody_here_wrote_is_skipped(world: World) -> None:
    world.add(1)
    boto3.client("dynamodb").update_item(
        TableName="webhooks", Key={"pk": {"S": "identity-001"}}, UpdateExpression="REMOVE body"
    )
    outcome = world.replay(**ALL_DAY)
    assert (outcome.exit_code, outcome.lines[-1]) == (1, "Found 1, published 0, failed 0, skipped 1.")
    assert world.events.calls == []


def test_a_log_out_of_reach_is_said_without_its_text(world: World) -> None:
    client = boto3.client("dynamodb")
    refuse(client, "Query", "AccessDeniedException", "quoted text")
    world.deployments.clients["dynamodb"] = client
    outcome = world.replay(**ALL_DAY)
    assert (outcome.exit_code, outcome.err) == (1, "AWS did not do it: Query, AccessDeniedException.\n")


# --- reading ---


class BusyTable:
    """A table that leaves out the first keys of so many answers."""

    def __init__(self, times: int, leave_out: int) -> None:
        self.client = boto3.client("dynamodb")
        self.times, self.leave_out = times, leave_out

    def batch_get_item(self, RequestItems: dict[str, Any]) -> Any:  # noqa: N803 - boto3's own name
        keys = RequestItems["webhooks"]["Keys"]
        assert RequestItems["webhooks"]["ConsistentRead"] is True
        if self.times == 0:
            return self.client.batch_get_item(RequestItems=RequestItems)
        self.times -= 1
        left, now = keys[: self.leave_out], keys[self.leave_out :]
        answer: dict[str, Any] = {"Responses": {}}
        if now:
            answer = dict(self.client.batch_get_item(RequestItems={"webhooks": {"Keys": now}}))
        return {**answer, "UnprocessedKeys": {"webhooks": {"Keys": left, "ConsistentRead": True}}}

    def close(self) -> None:
        self.client.close()

    def get_paginator(self, operation: str) -> Any:
        return self.client.get_paginator(operation)  # type: ignore[call-overload]  # whichever it is


@pytest.mark.parametrize("leave_out", [2, 5])
def test_what_dynamodb_leaves_out_is_asked_for_again(world: World, leave_out: int) -> None:
    expected = [world.add(number).id for number in range(5)]
    world.deployments.clients["dynamodb"] = BusyTable(times=3, leave_out=leave_out)
    assert world.replay(**ALL_DAY).exit_code == 0
    assert world.published == expected
    assert world.pauses == [0.2, 0.4, 0.8]


def test_a_table_that_keeps_leaving_something_out_stops_the_replay(world: World) -> None:
    for number in range(5):
        world.add(number)
    world.deployments.clients["dynamodb"] = BusyTable(times=99, leave_out=1)
    outcome = world.replay(**ALL_DAY)
    assert (outcome.exit_code, outcome.err) == (1, "AWS did not do it: unprocessed_keys.\n")
    assert "not reached 5" in outcome.lines[-2]
    assert len(world.pauses) == batch_read.ATTEMPTS - 1


# --- batches ---


def event_of(size: int, number: int = 0) -> Event:
    """Return an event of that size, as EventBridge counts."""
    empty = Event(f"delivery-{number}", "smallcase.orders.received", "")
    return empty._replace(detail="é" * ((size - empty.size) // 2) + "x" * ((size - empty.size) % 2))


def test_a_batch_has_at_most_ten_entries_in_their_order() -> None:
    events = [event_of(100, number) for number in range(23)]
    put_together = list(batches(events))
    assert [len(batch) for batch in put_together] == [10, 10, 3]
    assert [event for batch in put_together for event in batch] == events


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [
        ([bus_batches.MAX_BYTES], [1]),
        ([bus_batches.MAX_BYTES - 100, 100], [2]),
        ([bus_batches.MAX_BYTES - 100, 101], [1, 1]),
        ([100, bus_batches.MAX_BYTES, 100], [1, 1, 1]),
        ([100_000] * 5, [2, 2, 1]),
        ([], []),
    ],
)
def test_a_batch_is_no_larger_than_a_call_may_be(sizes: list[int], expected: list[int]) -> None:
    put_together = list(batches([event_of(size) for size in sizes]))
    assert [len(batch) for batch in put_together] == expected
    assert all(sum(event.size for event in batch) <= bus_batches.MAX_BYTES < 256 * 1024 for batch in put_together)


def test_large_bodies_are_published_in_several_calls(world: World) -> None:
    body = json.dumps("x" * 100_000).encode()
    for number in range(5):
        world.add(number, body=body)
    assert world.replay(**ALL_DAY).exit_code == 0
    assert [len(call) for call in world.events.calls] == [2, 2, 1]
    assert len(world.published) == 5
