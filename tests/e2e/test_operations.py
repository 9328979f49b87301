"""What operators do with webhooks, against the deployed template: replay, redrive, show-webhook, and a rotation."""

import json
import time
import uuid
from base64 import b64encode
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from gatehouse import envelope, iso8601
from gatehouse.envelope import Envelope
from local.bus_tap import BusTap
from ops import redrive, replay, show_webhook
from ops.deployment import Deployment
from tests.e2e.conftest import ARRIVAL_SECONDS, WEBHOOK_CREDENTIALS, Stack
from tests.e2e.test_webhooks import arrived, has_id
from tests.support.ops_fakes import Outcome, runner

MANY = 100
OLD = {"type": 1, "username": "rotating", "password": "SENTINEL-old-password"}
NEW = {"type": 2, "token": "SENTINEL-new-token"}
# A source of its own: what other tests deliver is not in its range.
OPERATED = {"authentication": [{"type": 2, "token": "SENTINEL-operated-token"}]}
BEARER = {"Authorization": "Bearer SENTINEL-operated-token"}

Event = dict[str, Any]


def write_sources(stack: Stack, **sources: object) -> None:
    """Replace the secret: the sources of the other tests, and these."""
    stack.file.endpoint.client("secretsmanager").put_secret_value(
        SecretId=stack.file.outputs["WebhookCredentialsSecretArn"],
        SecretString=json.dumps({**WEBHOOK_CREDENTIALS, **sources}),
    )


def let_caches_expire(stack: Stack) -> None:
    """End the function's processes: the minute for which it keeps the secret is too long for a test.

    The rotation itself needs no restart; waiting is all that the runbook asks for.
    """
    stack.start_anew("ReceiveWebhook")


@pytest.fixture(scope="module", autouse=True)
def _sources(stack: Stack) -> Iterator[None]:
    write_sources(stack, operated=OPERATED, rotating={"authentication": [OLD]})
    let_caches_expire(stack)
    yield
    write_sources(stack)
    let_caches_expire(stack)


@pytest.fixture
def operate(stack: Stack, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., Outcome]:
    """Run a program as make does, with make's variables."""
    stack.file.write(tmp_path)

    def call(main: Callable[..., int], **variables: str) -> Outcome:
        return runner(main, partial(Deployment.open, state=tmp_path), capsys)(OPS_STAGE="local", **variables)

    return call


def deliver(stack: Stack, source: str, headers: dict[str, str], body: bytes = b"") -> tuple[int, str]:
    """Send a delivery, of a body of its own unless one is given, and return status and id."""
    answer = stack.call(
        "POST", f"/v1/webhooks/integration/{source}", body=body or uuid.uuid4().hex.encode(), headers=headers
    )
    return answer.status, str(answer.json().get("id"))


def take(tap: BusTap, count: int) -> list[Event]:
    """Wait for so many events, and look whether there are more."""
    deadline = time.monotonic() + ARRIVAL_SECONDS
    events: list[Event] = []
    while len(events) < count:
        assert time.monotonic() < deadline, f"{len(events)} of {count} events"
        events += tap.take(1)
    return events + tap.take(0.5)


class Delivered(NamedTuple):
    """A hundred deliveries, and their events on the bus."""

    since: str
    ids: set[str]
    events: dict[str, Event]
    tap: BusTap


@pytest.fixture(scope="module")
def delivered(stack: Stack, _sources: None) -> Iterator[Delivered]:
    pattern = {"source": ["gatehouse.webhooks"], "detail": {"source": ["integration.operated"]}}
    with BusTap.open(stack.file.endpoint, stack.file.outputs["EventBusName"], pattern) as tap:
        since = iso8601.render(time.time())
        bodies = [json.dumps({"number": number, "price": "1520.10"}).encode() for number in range(MANY)]
        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(lambda body: deliver(stack, "operated", BEARER, body), bodies))
        assert {status for status, _ in answers} == {200}
        events = take(tap, MANY)
        yield Delivered(since, {each for _, each in answers}, {event["detail"]["id"]: event for event in events}, tap)


def test_a_hundred_deliveries_are_replayed_with_their_ids_kept(
    delivered: Delivered, operate: Callable[..., Outcome]
) -> None:
    assert len(delivered.ids) == MANY
    assert set(delivered.events) == delivered.ids
    outcome = operate(replay.main, SOURCE="integration.operated", SINCE=delivered.since)
    assert (outcome.exit_code, outcome.err) == (0, "")
    assert outcome.lines[0].startswith("gatehouse-local (stage local, http://127.0.0.1:")
    assert outcome.lines[-1] == f"Found {MANY}, published {MANY}, failed 0, skipped 0."
    replays = take(delivered.tap, MANY)
    assert len(replays) == MANY
    assert {event["detail"]["id"] for event in replays} == delivered.ids
    for event in replays:
        first = delivered.events[event["detail"]["id"]]
        assert "replayed" not in first["detail"]
        assert event["detail"] == {**first["detail"], "replayed": True}, "identity and body among them"
        assert event["detail-type"] == first["detail-type"] == "integration.operated.received"
        assert event["source"] == "gatehouse.webhooks"
        assert event["id"] != first["id"], "another event about the same delivery"


def test_a_dry_run_lists_all_and_publishes_none(delivered: Delivered, operate: Callable[..., Outcome]) -> None:
    outcome = operate(replay.main, SOURCE="integration.operated", SINCE=delivered.since, DRY_RUN="1")
    assert outcome.exit_code == 0
    assert {line.split()[0] for line in outcome.lines[1:-1]} == delivered.ids
    assert {line.split()[-1] for line in outcome.lines[1:-1]} == {"published"}
    assert "price" not in outcome.out
    assert delivered.tap.take(2) == []


def test_a_single_delivery_is_replayed_by_its_id(delivered: Delivered, operate: Callable[..., Outcome]) -> None:
    wanted = sorted(delivered.ids)[MANY // 2]
    outcome = operate(replay.main, SOURCE="integration.operated", ID=wanted)
    assert outcome.lines[-1] == "Found 1, published 1, failed 0, skipped 0."
    (event,) = take(delivered.tap, 1)
    assert (event["detail"]["id"], event["detail"]["replayed"]) == (wanted, True)


def test_the_edges_of_a_range_are_in_it(delivered: Delivered, operate: Callable[..., Outcome]) -> None:
    times = sorted(event["detail"]["received_at"] for event in delivered.events.values())
    listed = partial(operate, replay.main, SOURCE="integration.operated", DRY_RUN="1")
    assert len(listed(SINCE=times[0], UNTIL=times[-1]).lines) == MANY + 2
    first, last = iso8601.parse(times[0]), iso8601.parse(times[-1])
    assert len(listed(SINCE=iso8601.render(first - 60), UNTIL=iso8601.render(first - 1)).lines) == 2
    assert len(listed(SINCE=iso8601.render(last + 1), UNTIL=iso8601.render(last + 60)).lines) == 2


def test_a_message_of_the_dead_letter_queue_is_moved_back_and_processed(
    stack: Stack, operate: Callable[..., Outcome]
) -> None:
    lost = Envelope(
        id=str(uuid.uuid4()),
        identity=uuid.uuid4().hex,
        source="integration.operated",
        kind=None,
        received_at="2026-11-22T03:42:48Z",
        content_type="application/json",
        recognised=True,
        body=b'{"was": "lost"}',
    )
    sqs, dead_letters = stack.file.endpoint.client("sqs"), stack.file.outputs["WebhookDeadLetterQueueUrl"]
    sqs.send_message(QueueUrl=dead_letters, MessageBody=envelope.render(lost))
    outcome = operate(redrive.main)
    assert (outcome.exit_code, outcome.err) == (0, "")
    assert "knows no move tasks" in outcome.out
    assert "Dead-letter queue now: about 0 waiting." in outcome.lines
    assert arrived(stack, has_id(lost.id))["body"]["B"] == lost.body
    assert operate(redrive.main).lines[-1].startswith("There is nothing to move.")


def header(authentication: dict[str, Any]) -> dict[str, str]:
    """Return what a sender that was given this sends."""
    if authentication["type"] == 2:
        return {"Authorization": f"Bearer {authentication['token']}"}
    pair = f"{authentication['username']}:{authentication['password']}"
    return {"Authorization": f"Basic {b64encode(pair.encode()).decode()}"}


def test_a_credential_is_rotated_without_a_delivery_refused(stack: Stack, operate: Callable[..., Outcome]) -> None:
    """The runbook's procedure, step by step, with deliveries in each of its states."""

    def registered() -> dict[str, Any]:
        shown = json.loads(operate(show_webhook.main, SOURCE="rotating", SHOW_SECRETS="1").out)
        assert f"http://{shown['host']}{shown['path']}" == f"{stack.file.api_url}/v1/webhooks/integration/rotating"
        return header(shown["authentication"])

    def deliveries(*senders: dict[str, str]) -> list[int]:
        with ThreadPoolExecutor(4) as pool:
            return list(pool.map(lambda sender: deliver(stack, "rotating", sender)[0], senders * 10))

    old = registered()
    assert set(deliveries(old)) == {200}
    # 1. The new credential is added.
    write_sources(stack, operated=OPERATED, rotating={"authentication": [OLD, NEW]})
    assert set(deliveries(old)) == {200}
    # 2. The caches expire.
    let_caches_expire(stack)
    assert set(deliveries(old)) == {200}
    # 3. The sender is switched; for a while it sends both.
    new = registered()
    assert new != old
    assert set(deliveries(old, new)) == {200}
    # 4. The old credential is removed.
    write_sources(stack, operated=OPERATED, rotating={"authentication": [NEW]})
    assert set(deliveries(new)) == {200}
    let_caches_expire(stack)
    assert set(deliveries(new)) == {200}
    assert set(deliveries(old)) == {401}
