"""Functions that nobody waits for: how often they run, and where a failure goes."""

import json
from typing import Any

import pytest

from tests.emulator.emulators import Emulator, Json, eventually

# Fails a moment after it has said so: MiniStack does not wait long for the lines of an invocation that has ended.
FAILS = """
import json, time

def handler(event, context):
    print("attempt", json.dumps(event), flush=True)
    time.sleep(0.3)
    raise ValueError("always")
"""
ATTEMPTS = 3


def _failing_function(emulator: Emulator) -> tuple[str, str]:
    """Return a function that always fails, and the queue that its failures go to."""
    sqs = emulator.client("sqs")
    queue = sqs.create_queue(QueueName="failures")["QueueUrl"]
    queue_arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    arn = emulator.function("fails", FAILS)
    emulator.client("lambda").put_function_event_invoke_config(
        FunctionName="fails", DestinationConfig={"OnFailure": {"Destination": queue_arn}}
    )
    return arn, queue


def _failure(emulator: Emulator, queue: str, mark: str, within: float = 60) -> Json | None:
    """Wait for the record of the failed event with the mark."""

    def look() -> Json | None:
        # All of them, and none is taken from another test that waits for it: the queue is everybody's.
        answer = emulator.client("sqs").receive_message(QueueUrl=queue, MaxNumberOfMessages=10, VisibilityTimeout=0)
        records: list[Json] = [json.loads(message["Body"]) for message in answer.get("Messages", [])]
        return next((record for record in records if mark in json.dumps(record["requestPayload"])), None)

    return eventually(look, within)


def _attempts(emulator: Emulator, mark: str) -> int:
    events: list[Json] = emulator.client("logs").filter_log_events(logGroupName="/aws/lambda/fails")["events"]
    return sum("attempt" in event["message"] and mark in event["message"] for event in events)


def _publish(emulator: Emulator, function: str, mark: str) -> None:
    events: Any = emulator.client("events")
    events.put_rule(Name="rule", EventPattern=json.dumps({"source": ["test"]}))
    events.put_targets(Rule="rule", Targets=[{"Id": "function", "Arn": function}])
    events.put_events(Entries=[{"Source": "test", "DetailType": "t", "Detail": json.dumps({"mark": mark})}])


@pytest.fixture(scope="module")
def failing(patched: Emulator) -> tuple[str, str]:
    function, queue = _failing_function(patched)
    # Looked at every ten seconds: made here, so that the other tests run meanwhile.
    patched.client("scheduler").create_schedule(
        Name="once",
        ScheduleExpression="at(2020-01-01T00:00:00)",
        FlexibleTimeWindow={"Mode": "OFF"},
        Target={"Arn": function, "RoleArn": patched.role("scheduler"), "Input": '{"mark": "scheduled"}'},
    )
    return function, queue


def test_is_still_needed_a_failed_event_is_forgotten(plain: Emulator) -> None:
    function, queue = _failing_function(plain)
    _publish(plain, function, "from-a-rule")
    # What is invoked later is through with all its attempts first.
    plain.client("lambda").invoke(FunctionName="fails", InvocationType="Event", Payload=b'{"mark": "direct"}')
    assert _failure(plain, queue, "direct")
    assert _failure(plain, queue, "from-a-rule", within=0) is None
    assert _attempts(plain, "from-a-rule") == 1


def test_a_failed_event_of_a_rule_is_tried_again_and_goes_to_its_destination(
    patched: Emulator, failing: tuple[str, str]
) -> None:
    function, queue = failing
    _publish(patched, function, "from-a-rule")
    record = _failure(patched, queue, "from-a-rule")
    assert record is not None
    assert record["requestContext"]["condition"] == "RetriesExhausted"
    assert record["responsePayload"]["errorType"] == "ValueError"
    assert _attempts(patched, "from-a-rule") == ATTEMPTS


def test_a_failed_asynchronous_invocation_goes_to_its_destination(patched: Emulator, failing: tuple[str, str]) -> None:
    patched.client("lambda").invoke(FunctionName="fails", InvocationType="Event", Payload=b'{"mark": "direct"}')
    assert _failure(patched, failing[1], "direct")


def test_a_failed_event_of_a_schedule_goes_to_its_destination(patched: Emulator, failing: tuple[str, str]) -> None:
    assert _failure(patched, failing[1], "scheduled")
