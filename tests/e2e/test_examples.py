"""The examples, deployed beside the stack as a user does: their own code under their own roles."""

import json
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from botocore.exceptions import ClientError

from gatehouse import delivery_event
from gatehouse.envelope import Envelope
from local import example
from local.bus_tap import BusTap
from local.deploy import EXAMPLE_PREFIX, Endpoint
from local.processes import Supervisor
from tests.e2e.conftest import DENY_NAME, Stack
from tests.e2e.test_webhooks import BEARER, arrived, deliver, has_id, holds, postback, send
from tests.e2e.token_lifecycle import Lifecycle, iso, log_lines, session, until
from tests.support.event_schemas import Json, check

REFRESHES = 5
LIFETIME_SECONDS = 8
"""Of the access tokens while they are short-lived: much longer than a tick takes, and over within the test."""
CALLERS = 2


class Beside(NamedTuple):
    """An example that is deployed."""

    stack: Stack
    outputs: dict[str, str]

    @property
    def endpoint(self) -> Endpoint:
        return self.stack.file.endpoint

    def invoke(self, function: str, event: object) -> tuple[Any, bool]:
        """Invoke one of its functions, and return the answer and whether it is one."""
        client = self.endpoint.client("lambda")
        answer = client.invoke(FunctionName=self.outputs[f"{function}FunctionName"], Payload=json.dumps(event))
        return json.loads(answer["Payload"].read()), "FunctionError" not in answer

    def records(self, function: str, message: str) -> list[Json]:
        """Return a function's log records with this message."""
        found = log_lines(self.endpoint, f"/aws/lambda/{self.outputs[f'{function}FunctionName']}")
        records = [json.loads(line) for line in found if line.startswith("{")]
        return [record for record in records if record.get("message") == message]


@contextmanager
def deployed(stack: Stack, name: str, logs: Path) -> Iterator[Beside]:
    """Deploy an example as `make example` does, and remove it afterwards."""
    with Supervisor() as supervisor:
        outputs = example.deploy_example(supervisor, stack.file, name, {}, logs)
    yield Beside(stack, outputs)
    client = stack.file.endpoint.client("cloudformation")
    client.delete_stack(StackName=EXAMPLE_PREFIX + name)
    until(lambda: not _exists(client, EXAMPLE_PREFIX + name), f"the end of {name}")


def _exists(client: Any, stack_name: str) -> bool:
    try:
        (found,) = client.describe_stacks(StackName=stack_name)["Stacks"]
    except ClientError:
        return False
    assert found["StackStatus"] in ("DELETE_IN_PROGRESS", "DELETE_COMPLETE")
    return bool(found["StackStatus"] != "DELETE_COMPLETE")


@pytest.fixture(scope="module")
def events(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Beside]:
    with deployed(stack, "events", tmp_path_factory.mktemp("events")) as beside:
        yield beside


@pytest.fixture(scope="module")
def consumer(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Beside]:
    with deployed(stack, "consumer", tmp_path_factory.mktemp("consumer")) as beside:
        yield beside


# --- examples/events -------------------------------------------------------------------------------------------------


def entries(events: Beside) -> dict[str, dict[str, Any]]:
    """Return what the example remembers, by delivery."""
    client, found = events.endpoint.client("dynamodb"), list[dict[str, Any]]()
    for page in client.get_paginator("scan").paginate(TableName=events.outputs["DeliveriesTableName"]):
        found += page["Items"]
    assert len({entry["pk"]["S"] for entry in found}) == len(found)
    return {entry["pk"]["S"]: entry for entry in found}


def outcomes(events: Beside, delivery_id: str) -> list[str]:
    """Return what became of each event of a delivery so far."""
    records = events.records("RememberDelivery", "delivery.done")
    return [record["outcome"] for record in records if record["delivery"] == delivery_id]


def replay(stack: Stack, item: dict[str, Any], *, times: int = 1) -> None:
    """Publish an entry of the event log again, as operators do."""
    envelope = Envelope(
        id=item["id"]["S"],
        identity=item["pk"]["S"],
        source=item["source"]["S"],
        kind=item["kind"]["S"] if "kind" in item else None,
        received_at=item["received_at"]["S"],
        content_type="",
        recognised=item["recognised"]["BOOL"],
        body=bytes(item["body"]["B"]),
    )
    entry: Any = {
        "EventBusName": stack.file.outputs["EventBusName"],
        "Source": delivery_event.SOURCE,
        "DetailType": delivery_event.detail_type(envelope),
        "Detail": delivery_event.detail(envelope, replayed=True),
    }
    answer = stack.file.endpoint.client("events").put_events(Entries=[entry] * times)
    assert answer["FailedEntryCount"] == 0


def test_a_delivery_that_is_sent_twice_and_replayed_is_remembered_once(stack: Stack, events: Beside) -> None:
    document = postback()
    assert [send(stack, document).status for _ in range(2)] == [200, 200]
    item = arrived(stack, holds(document["transactionId"]))
    delivery_id = item["id"]["S"]
    until(lambda: outcomes(events, delivery_id) == ["remembered"], "the event")
    first = entries(events)[delivery_id]
    assert first["transaction_id"]["S"] == document["transactionId"]
    assert first["identity"] == item["pk"]
    replay(stack, item)
    until(lambda: outcomes(events, delivery_id) == ["remembered", "duplicate"], "the replay")
    assert entries(events)[delivery_id] == first
    assert [each["identity"] for each in entries(events).values()].count(item["pk"]) == 1


def test_of_events_at_the_same_moment_one_is_remembered(stack: Stack, events: Beside) -> None:
    answer = deliver(stack, b'{"order": 1}', {**BEARER, "X-Delivery-Id": "at the same moment"})
    item = arrived(stack, has_id(answer.json()["id"]))
    replay(stack, item, times=5)
    seen = until(lambda: found if len(found := outcomes(events, item["id"]["S"])) == 6 else None, "six events", 60)
    assert seen is not None
    assert Counter(seen) == {"remembered": 1, "duplicate": 5}
    assert entries(events)[item["id"]["S"]]["event"]["S"] == "integration.broker.received"


def test_the_rule_takes_what_it_names_and_nothing_else(stack: Stack, events: Beside) -> None:
    others = [send(stack, postback(), kind).json()["id"] for kind in ("holdings", "pending-actions")]
    for delivery_id in others:
        arrived(stack, has_id(delivery_id))
    order = send(stack, postback()).json()["id"]
    arrived(stack, has_id(order))
    until(lambda: order in entries(events), "the order")
    assert not set(others) & set(entries(events))


def test_what_fails_in_the_function_is_kept_and_can_be_taken_later(stack: Stack, events: Beside) -> None:
    function = events.outputs["RememberDeliveryFunctionName"]
    configuration = events.endpoint.client("lambda").get_function_configuration(FunctionName=function)
    role, iam = configuration["Role"].rpartition("/")[2], events.endpoint.client("iam")
    statement = {"Effect": "Deny", "Action": "dynamodb:PutItem", "Resource": "*"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    iam.put_role_policy(RoleName=role, PolicyName=DENY_NAME, PolicyDocument=document)
    try:
        delivery_id = send(stack, postback()).json()["id"]
        arrived(stack, has_id(delivery_id))
        sqs, url = events.endpoint.client("sqs"), events.outputs["FailuresQueueUrl"]
        (message,) = until(lambda: sqs.receive_message(QueueUrl=url).get("Messages", []), "the failure", 30)
    finally:
        iam.delete_role_policy(RoleName=role, PolicyName=DENY_NAME)
    failed = json.loads(message["Body"])
    assert failed["requestContext"]["condition"] == "RetriesExhausted"
    assert failed["responsePayload"]["errorType"] == "ClientError"
    assert delivery_id not in entries(events)
    assert events.invoke("RememberDelivery", failed["requestPayload"]) == ({"outcome": "remembered"}, True)
    assert delivery_id in entries(events)
    sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])


def test_its_role_reads_nothing_and_writes_nowhere_else(events: Beside) -> None:
    """Asked of the emulated IAM, which enforces what it answers."""
    function = events.outputs["RememberDeliveryFunctionName"]
    role = events.endpoint.client("lambda").get_function_configuration(FunctionName=function)["Role"]
    table = events.outputs["DeliveriesTableName"]
    arn = events.endpoint.client("dynamodb").describe_table(TableName=table)["Table"]["TableArn"]
    theirs = events.endpoint.client("dynamodb").describe_table(TableName=events.stack.file.outputs["WebhooksTableName"])
    may = {
        (action, resource): _decision(events, role, action, resource)
        for action in ("dynamodb:PutItem", "dynamodb:GetItem")
        for resource in (arn, theirs["Table"]["TableArn"])
    }
    assert [key for key, decision in may.items() if decision == "allowed"] == [("dynamodb:PutItem", arn)]


def _decision(events: Beside, role: str, action: str, resource: str) -> str:
    (result,) = events.endpoint.client("iam").simulate_principal_policy(
        PolicySourceArn=role, ActionNames=[action], ResourceArns=[resource]
    )["EvaluationResults"]
    return result["EvalDecision"]


def test_what_comes_over_the_bus_is_as_the_schemas_say(stack: Stack, life: Lifecycle) -> None:
    with BusTap.open(stack.file.endpoint, stack.file.outputs["EventBusName"]) as tap:
        item = arrived(stack, has_id(send(stack, postback()).json()["id"]))
        arrived(stack, has_id(deliver(stack, b"\xff" + item["id"]["S"].encode(), BEARER).json()["id"]))
        replay(stack, item)
        life.seed(seconds_left=60)
        assert life.refresh_tokens() == "refreshed"
        seen: list[Json] = []

        def wanted() -> bool:
            seen.extend(tap.take())
            return len(seen) >= 4

        until(wanted, "four events")
    assert Counter(check(event) for event in seen) == {
        "smallcase.received": 2,
        "integration.received": 1,
        "tokens.refreshed": 1,
    }


# --- examples/consumer -----------------------------------------------------------------------------------------------


def calls(life: Lifecycle) -> dict[str, int]:
    """Return how the calls of the protected endpoint ended at the simulator, and how often."""
    outcomes: dict[str, int] = life.upstream.state()["requests"].get("GET /holdings", {"outcomes": {}})["outcomes"]
    return outcomes


def test_the_consumer_sees_no_error_across_refreshes_of_short_lived_tokens(life: Lifecycle, consumer: Beside) -> None:
    life.upstream.change(access_token_lifetime_seconds=LIFETIME_SECONDS, rate_limit_per_minute=None)
    first = life.seed(seconds_left=LIFETIME_SECONDS)
    ticks, answers = Counter[str](), list[tuple[Any, bool]]()
    deadline = time.monotonic() + 120
    with ThreadPoolExecutor(CALLERS) as pool:
        while ticks["refreshed"] < REFRESHES or life.upstream.accepts(first.document["access_token"]):
            assert time.monotonic() < deadline, ticks
            running = [pool.submit(consumer.invoke, "CountHoldings", {}) for _ in range(CALLERS)]
            ticks[life.refresh_tokens()] += 1
            answers += [each.result() for each in running]
    assert ticks.keys() <= {"refreshed", "unchanged"}
    assert answers == [({"count": 1}, True)] * len(answers)
    # The first token is dead by now, so it was a fresh one that opened the endpoint, and always at once.
    assert calls(life) == {"ok": len(answers)}


def test_a_token_that_ends_before_its_time_is_replaced_by_the_stored_one(life: Lifecycle, consumer: Beside) -> None:
    assert consumer.invoke("CountHoldings", {}) == ({"count": 1}, True)
    life.upstream.reset()
    life.upstream.change(invalidate_old_tokens_on_exchange=True, rate_limit_per_minute=None)
    for number in range(1, REFRESHES + 1):
        old = life.seed(seconds_left=600)
        assert life.refresh_tokens() == "refreshed"
        assert not life.upstream.accepts(old.document["access_token"])
        # What the function has kept in memory is refused; the fresh one is read and taken.
        assert consumer.invoke("CountHoldings", {}) == ({"count": 1}, True)
        assert calls(life) == {"INVALID_TOKEN": number, "ok": number}


def test_the_schedule_runs_the_consumer(life: Lifecycle, consumer: Beside) -> None:
    client: Any = session().client("scheduler", endpoint_url=life.endpoint.url)
    schedule = client.get_schedule(Name=f"{EXAMPLE_PREFIX}consumer-count-holdings")
    assert (schedule["State"], schedule["ScheduleExpression"]) == ("ENABLED", "rate(5 minutes)")
    before = len(consumer.records("CountHoldings", "holdings.counted"))
    client.create_schedule(
        Name="consumer-once",
        ScheduleExpression=f"at({iso(time.time()).rstrip('Z')})",
        FlexibleTimeWindow={"Mode": "OFF"},
        ActionAfterCompletion="DELETE",
        Target=schedule["Target"],
    )
    until(lambda: len(consumer.records("CountHoldings", "holdings.counted")) == before + 1, "a run", 60)
    assert calls(life)["ok"] == 1  # its process may have kept a token of another test, and tried that first


def test_without_the_right_to_the_secret_the_consumer_says_so(life: Lifecycle, consumer: Beside) -> None:
    function = consumer.outputs["CountHoldingsFunctionName"]
    client, iam = consumer.endpoint.client("lambda"), consumer.endpoint.client("iam")
    configuration = client.get_function_configuration(FunctionName=function)
    role = configuration["Role"].rpartition("/")[2]
    (policy,) = iam.list_role_policies(RoleName=role)["PolicyNames"]
    document = json.dumps(iam.get_role_policy(RoleName=role, PolicyName=policy)["PolicyDocument"])
    iam.delete_role_policy(RoleName=role, PolicyName=policy)
    try:
        client.update_function_configuration(FunctionName=function, Timeout=configuration["Timeout"])
        answer, is_answer = consumer.invoke("CountHoldings", {})
    finally:
        iam.put_role_policy(RoleName=role, PolicyName=policy, PolicyDocument=document)
    assert not is_answer
    assert answer["errorType"] == "SecretUnavailable"
    assert "AccessDenied" in answer["errorMessage"]
    assert calls(life) == {}
    assert consumer.invoke("CountHoldings", {}) == ({"count": 1}, True)


def test_an_example_that_is_deployed_again_is_not_built_again(stack: Stack, events: Beside, tmp_path: Path) -> None:
    with Supervisor() as supervisor:
        assert example.deploy_example(supervisor, stack.file, "events", {}, tmp_path) == events.outputs
    assert [path.name for path in tmp_path.iterdir()] == ["example-events-deploy.log"]
