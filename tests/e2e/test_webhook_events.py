"""What the company's own code sees of a delivery, and what a sender sees while the queue is away."""

import json
import logging
import os
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from local.bus_tap import BusTap
from tests.e2e.conftest import ARRIVAL_SECONDS, Stack, denied
from tests.e2e.test_webhooks import BEARER, arrived, code, deliver, has_id, holds, logged, postback, send

log = logging.getLogger(__name__)

QUIET_SECONDS = 2
"""How long nothing comes before nothing more is expected: many times what an event takes."""
OUTAGE_SECONDS = float(os.environ.get("OUTAGE_SECONDS", "4"))
"""Longer by hand: OUTAGE_SECONDS=30 .venv/bin/pytest tests/e2e/test_webhook_events.py --log-cli-level=INFO."""
TRICKLE_SECONDS = 0.2


@pytest.fixture
def tap(stack: Stack) -> Iterator[BusTap]:
    with BusTap.open(stack.file.endpoint, stack.file.outputs["EventBusName"]) as opened:
        yield opened


def details_of(tap: BusTap, identity: str) -> list[dict[str, Any]]:
    """Wait for a delivery's first event, and then until no more come; return the details of all that are its own."""
    seen: list[dict[str, Any]] = []
    deadline = time.monotonic() + ARRIVAL_SECONDS
    while True:
        taken: list[dict[str, Any]] = tap.take(QUIET_SECONDS)
        seen += [event["detail"] for event in taken if event["detail"].get("identity") == identity]
        if seen and not taken:
            return seen
        assert time.monotonic() < deadline, "no event, or no end of events"


def test_ten_identical_deliveries_at_once_are_one_event(stack: Stack, tap: BusTap) -> None:
    document = postback()
    with ThreadPoolExecutor(10) as pool:
        answers = list(pool.map(lambda _: send(stack, document), range(10)))
    assert [answer.status for answer in answers] == [200] * 10
    item = arrived(stack, holds(document["transactionId"]))
    (detail,) = details_of(tap, item["pk"]["S"])
    assert detail["id"] == item["id"]["S"]
    assert detail["body"] == document


def test_the_largest_legal_body_is_in_the_log_and_its_event_says_so(stack: Stack, tap: BusTap) -> None:
    body = json.dumps({"reference": uuid.uuid4().hex, "text": ""}).encode()
    body = body[:-2] + b"x" * (256 * 1024 - len(body)) + body[-2:]
    answer = deliver(stack, body, {**BEARER, "Content-Type": "application/json"})
    item = arrived(stack, has_id(answer.json()["id"]))
    assert item["body"]["B"] == body
    (detail,) = details_of(tap, item["pk"]["S"])
    assert detail["body_in_log"] is True
    assert "body" not in detail


def test_a_body_of_100_kilobytes_is_in_its_event(stack: Stack, tap: BusTap) -> None:
    document = {"reference": uuid.uuid4().hex, "text": "₹" * (100_000 // 3)}
    body = json.dumps(document, ensure_ascii=False).encode()
    answer = deliver(stack, body, {**BEARER, "Content-Type": "application/json"})
    item = arrived(stack, has_id(answer.json()["id"]))
    (detail,) = details_of(tap, item["pk"]["S"])
    assert detail["body"] == document
    assert "body_in_log" not in detail


def test_while_the_queue_is_away_every_delivery_is_told_to_come_back(stack: Stack) -> None:
    documents: list[dict[str, Any]] = []
    with denied(stack, "ReceiveWebhook", "sqs:SendMessage"):
        until = time.monotonic() + OUTAGE_SECONDS
        while time.monotonic() < until or len(documents) < OUTAGE_SECONDS:
            documents.append(postback())
            answer = send(stack, documents[-1])
            assert code(answer) == (503, "QUEUE_UNAVAILABLE")
            assert int(answer.headers["retry-after"]) > 0
            time.sleep(TRICKLE_SECONDS)
    references = {document["transactionId"] for document in documents}
    assert logged(stack, lambda item: any(name.encode() in item["body"]["B"] for name in references)) == []
    for document in documents:
        assert send(stack, document).status == 200
    for document in documents:
        arrived(stack, holds(document["transactionId"]))
    log.info(
        "%d deliveries in %g s: each 503 and none recorded; sent again, all accepted", len(documents), OUTAGE_SECONDS
    )
