"""A whole day of a deployment with markers in all that is secret or a caller's: where they come out, and where not.

What a delivery says may be in its body alone, wherever that is kept or passed on. Everything else is nowhere.
"""

import base64
import json
import subprocess
import time
import uuid
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import pytest

from local.bus_tap import BusTap
from local.invoke import invoke
from local.paths import ARTIFACTS, ROOT
from tests.e2e.conftest import ARRIVAL_SECONDS, GATEWAY_SECRET, INTEGRATION_CREDENTIALS, WEBHOOK_CREDENTIALS, Stack
from tests.e2e.test_connections import Gateway, User, new_id
from tests.e2e.test_nothing_leaks import everything_logged, until_it_holds
from tests.e2e.test_webhooks import BASIC, BEARER, BROKER, arrived, has_id, postback

SAID = f"PLANTED-body-{uuid.uuid4().hex}"
HEADER = f"PLANTED-header-{uuid.uuid4().hex}"
QUERY = f"PLANTED-query-{uuid.uuid4().hex}"
NAME = f"PLANTED{uuid.uuid4().hex}"
PLANTED_HEADERS = {"Cookie": HEADER, "X-Anything": HEADER, "User-Agent": HEADER, "X-Amzn-Trace-Id": HEADER}

CONNECTIONS = {"pk", "smallcase_auth_id", "broker", "connected_at", "user_pk", "expire_at", "used_for", "ttl"}
WEBHOOKS = {"pk", "id", "source", "kind", "received_at", "content_type", "recognised", "body", "state", "ttl"}


class Day(NamedTuple):
    """What happened, and what must not have come out."""

    secrets: frozenset[str]
    events: list[dict[str, Any]]
    queued: list[dict[str, Any]]
    answers: list[str]  # without the session tokens, which belong there
    deliveries: list[str]  # their ids

    def __repr__(self) -> str:
        """Show nothing, in a report of a failure either."""
        return "Day(…)"


def configured_secrets() -> Iterator[str]:
    yield from (GATEWAY_SECRET["secret"], GATEWAY_SECRET["api_secret"], *INTEGRATION_CREDENTIALS.values())
    for each in WEBHOOK_CREDENTIALS["broker"]["authentication"]:
        assert isinstance(each, dict)
        yield from (str(value) for name, value in each.items() if name in ("password", "token"))
    for header in (BASIC, BEARER):
        yield header["Authorization"].partition(" ")[2]


def current_tokens(stack: Stack) -> Iterator[str]:
    client = stack.file.endpoint.client("secretsmanager")
    stored = client.get_secret_value(SecretId=stack.file.outputs["IntegrationTokensSecretArn"])["SecretString"]
    yield from (value for name, value in json.loads(stored).items() if name in ("access_token", "refresh_token"))


def exchange_tokens(stack: Stack) -> Iterator[str]:
    yield from current_tokens(stack)
    for name in ("authenticate", "refresh_tokens"):
        _answer, worked = invoke(stack.file.endpoint, stack.file.outputs, name, {})
        assert worked
    yield from current_tokens(stack)


def act_as_a_user(stack: Stack, answers: list[str]) -> Iterator[str]:
    """Go the whole way of a user, and yield every token on it."""
    user = User(stack)
    yield user.bearer
    transaction = user.start(notes=SAID, orderConfig={SAID: SAID}).json()
    # The simulator keeps no notes, so what the Gateway says of the transaction has no marker either.
    result = Gateway(stack).complete(transaction["transactionId"], new_id())
    yield result["smallcaseAuthToken"]
    for answer in (
        user.connect({**result, SAID: SAID}),
        user.connect({"smallcaseAuthToken": SAID, "transactionId": transaction["transactionId"]}),
        user.connect({"smallcaseAuthToken": result["smallcaseAuthToken"], "transactionId": NAME}),
        user.start(intent=NAME),
        stack.call("POST", f"/v1/tokens/guest?q={QUERY}", body=SAID.encode(), headers=PLANTED_HEADERS),
        stack.user_token(user.bearer),
        user.disconnect(),
    ):
        document = answer.json() if answer.data else {}
        if "smallcaseAuthToken" in document:
            yield document.pop("smallcaseAuthToken")
        answers.append(json.dumps([answer.status, dict(answer.headers), document]))


def deliver(stack: Stack, answers: list[str]) -> Iterator[str]:
    """Send genuine and forged deliveries, under names that there are and are not; yield the ids of the genuine ones."""
    headers = {**PLANTED_HEADERS, "Content-Type": "application/json"}
    genuine = postback(note=SAID)
    text = json.dumps({"note": SAID}).encode()
    for path, body, more in (
        ("/v1/webhooks/smallcase/orders", json.dumps(genuine).encode(), {}),
        (BROKER, text, BASIC),
        (BROKER, text + b" ", BEARER),
        ("/v1/webhooks/smallcase/orders", json.dumps({**genuine, "checksum": SAID}).encode(), {}),
        ("/v1/webhooks/smallcase/orders", SAID.encode(), {}),
        (f"/v1/webhooks/smallcase/{NAME}", text, {}),
        (f"/v1/webhooks/integration/{NAME}", text, BASIC),
        (f"/v1/webhooks/integration/{NAME}-2", text, {}),
        (BROKER, text, {"Authorization": f"Bearer {HEADER}"}),
    ):
        answer = stack.call("POST", f"{path}?q={QUERY}", body=body, headers={**headers, **more})
        answers.append(json.dumps([answer.status, dict(answer.headers), answer.json()]))
        if answer.status == 200:
            yield answer.json()["id"]


def look_into_the_queue(stack: Stack) -> dict[str, Any]:
    """Send a delivery while nobody takes it from the queue, and return the message."""
    functions, queues = stack.file.endpoint.client("lambda"), stack.file.endpoint.client("sqs")
    name, url = stack.file.outputs["ProcessWebhookFunctionName"], stack.file.outputs["WebhookQueueUrl"]
    (mapping,) = functions.list_event_source_mappings(FunctionName=name)["EventSourceMappings"]
    functions.update_event_source_mapping(UUID=mapping["UUID"], Enabled=False)
    try:
        time.sleep(1)  # a poll that is under way would still take it
        body = json.dumps({"note": SAID, "queued": True}).encode()
        answer = stack.call("POST", BROKER, body=body, headers={**PLANTED_HEADERS, **BASIC})
        assert answer.status == 200
        (message,) = queues.receive_message(
            QueueUrl=url, VisibilityTimeout=0, MessageAttributeNames=["All"], AttributeNames=["All"]
        )["Messages"]
    finally:
        functions.update_event_source_mapping(UUID=mapping["UUID"], Enabled=True)
    envelope = json.loads(message["Body"])
    assert base64.b64decode(envelope.pop("body")) == body
    arrived(stack, has_id(answer.json()["id"]))
    return {"envelope": envelope, "attributes": message.get("Attributes"), "more": message.get("MessageAttributes")}


def catch(tap: BusTap, deliveries: list[str]) -> list[dict[str, Any]]:
    events: list[dict[str, Any]] = []
    deadline = time.monotonic() + ARRIVAL_SECONDS
    while not set(deliveries) <= {event["detail"].get("id") for event in events}:
        assert time.monotonic() < deadline, "an event is missing"
        events += tap.take(1)
    return events


@pytest.fixture(scope="module")
def day(stack: Stack) -> Day:
    """Let everything happen once."""
    answers: list[str] = []
    with BusTap.open(stack.file.endpoint, stack.file.outputs["EventBusName"]) as tap:
        secrets = [*configured_secrets(), *exchange_tokens(stack), *act_as_a_user(stack, answers)]
        deliveries = list(deliver(stack, answers))
        for each in deliveries:
            arrived(stack, has_id(each))
            until_it_holds(stack, each)
        queued = [look_into_the_queue(stack)]  # once nothing else is in it
        events = catch(tap, deliveries)
    # Of a token, the signature alone would be enough to find it.
    signatures = {each.rpartition(".")[2] for each in secrets if each.count(".") == 2}
    return Day(frozenset({*secrets, *signatures}), events, queued, answers, deliveries)


def nowhere(day: Day, text: str, *, but: frozenset[str] = frozenset()) -> None:
    """Fail where the text has a secret, or something planted that is not among `but`; the message quotes neither."""
    assert len([each for each in day.secrets if each in text]) == 0, "a secret came out"
    planted = {"a body": SAID, "a header": HEADER, "a query": QUERY, "a name": NAME}
    assert [what for what, mark in planted.items() if mark in text and what not in but] == []


def test_everything_happened(day: Day) -> None:
    how_many = len(day.secrets)
    assert how_many >= 15
    assert len(day.deliveries) == 3
    types = {event["detail-type"] for event in day.events}
    assert {"smallcase.orders.received", "integration.broker.received", "connections.connected"} <= types
    assert {"connections.disconnected", "tokens.authenticated"} <= types
    statuses = [json.loads(answer)[0] for answer in day.answers]
    assert sorted(set(statuses)) == [200, 204, 400, 401, 403, 404]


def test_no_answer_tells(day: Day) -> None:
    nowhere(day, "\n".join(day.answers))


def test_no_log_tells(stack: Stack, day: Day) -> None:
    lines = everything_logged(stack).splitlines()
    # The emulator and the simulators name the paths that they were asked for, as API Gateway does not.
    of_functions = [line for line in lines if line.startswith("{")]
    assert len(of_functions) > 20
    nowhere(day, "\n".join(of_functions))
    nowhere(day, "\n".join(lines), but=frozenset({"a name"}))


def test_metrics_have_the_dimensions_that_are_known_and_no_caller_can_add_one(stack: Stack, day: Day) -> None:
    client: Any = stack.file.endpoint.client("cloudwatch")  # type: ignore[call-overload]  # its types are not installed
    listed = client.list_metrics()["Metrics"]
    nowhere(day, json.dumps(listed, default=str))
    embedded = [json.loads(line) for line in everything_logged(stack).splitlines() if line.startswith('{"_aws"')]
    assert embedded
    for each in embedded:
        for metrics in each["_aws"]["CloudWatchMetrics"]:
            assert metrics["Dimensions"] == [["service"]]
        assert each["service"] in {"refresh_tokens", "authenticate", "process_webhook"}


def test_an_event_has_what_a_delivery_says_in_its_body_alone(day: Day) -> None:
    said = 0
    for event in day.events:
        without = {**event, "detail": {name: value for name, value in event["detail"].items() if name != "body"}}
        nowhere(day, json.dumps(without))
        nowhere(day, json.dumps(event), but=frozenset({"a body"}))
        said += SAID in json.dumps(event)
    assert said >= len(day.deliveries)


def test_a_message_of_the_queue_has_what_a_delivery_says_in_its_body_alone(day: Day) -> None:
    (message,) = day.queued
    assert set(message["envelope"]) == WEBHOOKS - {"body", "pk", "state", "ttl"} | {"identity"}
    nowhere(day, json.dumps(message, default=str))


def test_no_failure_queue_holds_a_secret(stack: Stack, day: Day) -> None:
    url = f"{stack.file.aws_endpoint_url}/_ministack/sqs/messages"
    messages = stack.http.request("GET", url).json()["messages"]
    assert "token-failures" in json.dumps(messages)
    nowhere(day, json.dumps(messages), but=frozenset({"a body"}))


def scan(stack: Stack, output: str, **options: Any) -> list[Mapping[str, Any]]:
    pages = stack.file.endpoint.client("dynamodb").get_paginator("scan")
    return [item for page in pages.paginate(TableName=stack.file.outputs[output], **options) for item in page["Items"]]


def test_the_event_log_has_what_a_delivery_says_in_its_body_alone(stack: Stack, day: Day) -> None:
    items = scan(stack, "WebhooksTableName")
    assert len([item for item in items if SAID.encode() in item["body"]["B"]]) == len(day.deliveries) + 1
    for item in items:
        assert item.keys() <= WEBHOOKS
        nowhere(day, json.dumps({name: value for name, value in item.items() if name != "body"}))
        nowhere(day, item["body"]["B"].decode(errors="replace"), but=frozenset({"a body"}))
    for item in scan(stack, "WebhooksTableName", IndexName="by_source"):
        assert "body" not in item


def test_connections_and_state_have_no_secret(stack: Stack, day: Day) -> None:
    connections = scan(stack, "ConnectionsTableName")
    assert connections
    for item in connections:
        assert item.keys() <= CONNECTIONS
    nowhere(day, json.dumps([connections, scan(stack, "StateTableName")], default=str))


def test_no_artifact_and_no_setting_of_the_deployment_has_a_secret(stack: Stack, day: Day) -> None:
    files = [path for path in ARTIFACTS.rglob("*") if path.is_file() and path.suffix != ".pyc"]
    assert len(files) > 50
    text = "\n".join(path.read_text(errors="replace") for path in files)
    nowhere(day, text)
    assert "SENTINEL" not in text
    cloudformation = stack.file.endpoint.client("cloudformation")
    nowhere(day, json.dumps(cloudformation.describe_stacks(StackName=stack.file.stack_name)["Stacks"], default=str))
    functions = stack.file.endpoint.client("lambda").list_functions()["Functions"]
    assert len(functions) >= 8
    nowhere(day, json.dumps(functions, default=str))


def test_no_process_shows_a_secret_in_its_arguments(day: Day) -> None:
    listed = subprocess.run(["ps", "-A", "-o", "args="], capture_output=True, check=True, text=True).stdout
    assert "local.smallcase_api" in listed
    nowhere(day, listed)


def test_artifacts_hold_what_is_deployed_and_nothing_of_tests_or_this_machine() -> None:
    code = [path.relative_to(ARTIFACTS) for path in ARTIFACTS.rglob("*") if path.is_file()]
    outside = [path for path in code if "dist-info" not in str(path) and path.parts[0] != "template.yaml"]
    assert outside
    for path in outside:
        assert "tests" not in path.parts, path
        assert path.name != "conftest.py", path
        assert not path.name.startswith((".env", "test_")), path
        assert path.suffix not in {".pem", ".key", ".csv", ".log"}, path
    package = ROOT / "layers" / "gatehouse" / "gatehouse"
    built = ARTIFACTS / "GatehouseLayer" / "python" / "gatehouse"
    assert {path.name for path in built.glob("*.py")} == {path.name for path in package.glob("*.py")}


@pytest.mark.parametrize("mark", [SAID, HEADER, QUERY, NAME], ids=["body", "header", "query", "name"])
def test_the_search_finds_what_is_there(day: Day, mark: str) -> None:
    with pytest.raises(AssertionError):
        nowhere(day, f"before {mark} after")
    with pytest.raises(AssertionError):
        nowhere(day, f"before {min(day.secrets)} after")
