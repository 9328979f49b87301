"""The plan of a load run is what it says: the edge itself is asked."""

import base64
import json
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from functions.receive_webhook import app
from gatehouse import envelope
from gatehouse.envelope import NotAnEnvelope
from tests.load.plan import LATE_REPETITIONS, Delivery, Sort, is_final, make_plan, reference_in, secrets
from tests.support.events import event
from tests.support.webhook_fakes import webhook_edge

PLAN = make_plan(600, 7)


@pytest.fixture
def queue(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The messages that the edge puts on the queue."""
    filled = secrets()
    gateway_secret, sources = json.dumps(filled["GatewaySecret"]), filled["WebhookCredentials"]
    with webhook_edge(monkeypatch, gateway_secret=gateway_secret, sources=sources) as messages:
        yield messages


def status(delivery: Delivery) -> int:
    """Hand a delivery to the edge."""
    route, _, name = delivery.path.partition("/")
    variable = "kind" if route == "smallcase" else "source"
    call = event(
        "receive_webhook",
        routeKey=f"POST /v1/webhooks/{route}/{{{variable}}}",
        pathParameters={variable: name},
        headers={name.lower(): value for name, value in delivery.headers.items()},
        body=base64.b64encode(delivery.body).decode(),
        isBase64Encoded=True,
    )
    answer: dict[str, Any] = app.handler(call, None)
    return int(answer["statusCode"])


def of(*sorts: Sort) -> list[Delivery]:
    return [delivery for delivery in PLAN if delivery.sort in sorts]


def test_the_mix_is_what_was_asked_for() -> None:
    assert Counter(delivery.sort for delivery in PLAN) == {
        Sort.RIGHT: 474,
        Sort.REPEATED: 60,
        Sort.FORGED: 60,
        Sort.POISONED: 6,
    }


def test_the_same_seed_gives_the_same_plan_and_another_seed_another() -> None:
    assert make_plan(600, 7) == PLAN
    assert not {delivery.reference for delivery in make_plan(600, 8)} & {delivery.reference for delivery in PLAN}


def test_every_way_to_send_is_there() -> None:
    kinds = {"smallcase/orders", "smallcase/holdings", "smallcase/mf-holdings", "smallcase/pending-actions"}
    sources = {"integration/basic", "integration/bearer", "integration/header"}
    assert {delivery.path for delivery in of(Sort.RIGHT)} == kinds | sources
    assert {delivery.path for delivery in of(Sort.FORGED)} == kinds | sources | {"integration/nobody"}
    assert len({delivery.headers.get("Content-Type") for delivery in of(Sort.RIGHT)}) == 3


def test_the_edge_takes_what_is_right_and_refuses_what_is_forged(queue: list[str]) -> None:
    sent = of(Sort.RIGHT, Sort.REPEATED, Sort.FORGED)
    assert [(each, answer) for each in sent if (answer := status(each)) != each.expected_status] == []
    assert len(queue) == len(of(Sort.RIGHT, Sort.REPEATED))


def test_a_repetition_has_the_identity_of_its_original_and_nothing_else_has(queue: list[str]) -> None:
    identities: dict[str, set[str]] = {}
    for delivery in of(Sort.RIGHT, Sort.REPEATED):
        status(delivery)
        identities.setdefault(delivery.reference, set()).add(envelope.parse(queue[-1]).identity)
    assert {len(found) for found in identities.values()} == {1}
    assert len(set.union(*identities.values())) == len(identities) == len(of(Sort.RIGHT))


def test_a_repetition_follows_its_original_soon_and_is_not_always_the_same_bytes() -> None:
    places = {each.reference: place for place, each in enumerate(PLAN) if each.sort is Sort.RIGHT}
    bodies = {each.reference: each.body for each in of(Sort.RIGHT)}
    gaps = [place - places[each.reference] for place, each in enumerate(PLAN) if each.sort is Sort.REPEATED]
    assert min(gaps) >= 1
    assert max(gaps) <= LATE_REPETITIONS * 1.5  # other repetitions are in between
    assert {each.body == bodies[each.reference] for each in of(Sort.REPEATED)} == {True, False}


def test_what_is_poisoned_is_no_envelope() -> None:
    for delivery in make_plan(5000, 7):
        if delivery.sort is Sort.POISONED:
            assert delivery.path == ""
            with pytest.raises(NotAnEnvelope):
                envelope.parse(delivery.body.decode())


def test_every_body_holds_its_reference() -> None:
    assert [each for each in PLAN if reference_in(each.body) != each.reference] == []
    assert reference_in(b"\xff no reference") is None


def test_a_sender_sends_again_until_it_is_told_something_final() -> None:
    assert [status for status in (0, 200, 400, 401, 404, 413, 429, 500, 502, 503) if is_final(status)] == [
        200, 400, 401, 404, 413,
    ]  # fmt: skip


def test_a_plan_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="nothing to send"):
        make_plan(0, 1)
