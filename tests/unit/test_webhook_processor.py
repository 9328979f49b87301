"""Store, publish, mark: whatever breaks in between, one entry in the log and at least one event."""

import pytest

from gatehouse.bus import BusUnavailable
from gatehouse.envelope import NotAnEnvelope, render
from gatehouse.event_log import LogUnavailable
from gatehouse.webhook_processor import PAUSE_SECONDS, PUBLISH_ATTEMPTS, Outcome, WebhookProcessor
from tests.support.token_fakes import FakeBus, Steps
from tests.support.webhook_fakes import FakeEventLog, make_envelope

PUBLISH = "bus.publish smallcase.orders.received"
MESSAGE = render(make_envelope())
AGAIN = render(make_envelope(id="delivery-2"))


class Crash(BaseException):
    """The process ends."""


class World:
    def __init__(self) -> None:
        self.steps = Steps()
        self.log = FakeEventLog(self.steps)
        self.bus = FakeBus(self.steps)
        self.pauses: list[float] = []

    def process(self, message: str = MESSAGE) -> Outcome:
        """Process in a process of its own."""
        return WebhookProcessor(self.log, self.bus, self.pauses.append).process(message)

    @property
    def published(self) -> list[object]:
        return [event.detail["id"] for event in self.bus.events]

    @property
    def state(self) -> tuple[int, str]:
        (state,) = self.log.states.values()
        return len(self.log.entries), state


@pytest.fixture
def world() -> World:
    return World()


def test_a_new_delivery_is_stored_then_published_then_marked(world: World) -> None:
    assert world.process() == "published"
    assert world.steps.taken == ["log.add", PUBLISH, "log.mark"]
    assert world.state == (1, "published")


def test_the_event_is_that_of_the_delivery(world: World) -> None:
    world.process(render(make_envelope(source="integration.shop", kind=None, body=b'{"a":1}')))
    (event,) = world.bus.events
    assert event.detail_type == "integration.shop.received"
    assert (event.detail["id"], event.detail["body"]) == ("delivery-1", {"a": 1})


@pytest.mark.parametrize("step", ["log.add", PUBLISH, "log.mark"])
def test_a_crash_before_any_step_leaves_one_entry_and_one_event_after_redelivery(world: World, step: str) -> None:
    world.steps.fail_at(step, Crash())
    with pytest.raises(Crash):
        world.process()
    assert world.process() == "published"
    assert world.state == (1, "published")
    assert world.published == ["delivery-1"] * (2 if step == "log.mark" else 1)


def test_a_crash_after_the_last_step_adds_nothing(world: World) -> None:
    world.process()
    assert world.process() == "duplicate"
    assert world.published == ["delivery-1"]
    assert world.state == (1, "published")


@pytest.mark.parametrize("step", [PUBLISH, "log.mark"])
def test_a_repetition_that_overtakes_a_crashed_delivery_publishes_nothing_and_does_not_end_it(
    world: World, step: str
) -> None:
    world.steps.fail_at(step, Crash())
    with pytest.raises(Crash):
        world.process()
    assert world.process(AGAIN) == "duplicate"
    assert world.state == (1, "received")
    assert world.process() == "published"
    assert set(world.published) == {"delivery-1"}
    assert world.state == (1, "published")


def test_a_repetition_is_a_duplicate_and_the_first_keeps_its_place(world: World) -> None:
    world.process()
    assert world.process(AGAIN) == "duplicate"
    assert world.published == ["delivery-1"]
    assert [entry.id for entry in world.log.entries.values()] == ["delivery-1"]


def test_ten_repetitions_are_one_entry_and_one_event(world: World) -> None:
    outcomes = [world.process(render(make_envelope(id=f"delivery-{number}"))) for number in range(10)]
    assert outcomes == ["published"] + ["duplicate"] * 9
    assert world.published == ["delivery-0"]


def test_an_entry_that_the_bus_did_not_take_is_tried_again_after_a_pause(world: World) -> None:
    world.steps.fail_at(PUBLISH, BusUnavailable("ThrottlingException"), nth=1)
    world.steps.fail_at(PUBLISH, BusUnavailable("ThrottlingException"), nth=2)
    assert world.process() == "published"
    assert world.pauses == [PAUSE_SECONDS, 2 * PAUSE_SECONDS]
    assert world.published == ["delivery-1"]
    assert world.state == (1, "published")


def test_a_bus_that_takes_nothing_gives_the_message_back_and_takes_it_later(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    world.bus.failure = "InternalException"
    with pytest.raises(BusUnavailable, match="InternalException"):
        world.process()
    assert world.steps.taken == ["log.add", *[PUBLISH] * PUBLISH_ATTEMPTS]
    assert len(world.pauses) == PUBLISH_ATTEMPTS - 1
    assert world.state == (1, "received")
    assert [record.message for record in caplog.records] == ["webhook.not_published"] * PUBLISH_ATTEMPTS
    world.bus.failure = None
    assert world.process() == "published"
    assert world.published == ["delivery-1"]


def test_a_log_out_of_reach_gives_the_message_back_and_publishes_nothing(world: World) -> None:
    world.log.failure = "InternalServerError"
    with pytest.raises(LogUnavailable):
        world.process()
    assert world.steps.taken == ["log.add"]
    assert world.published == []


def test_a_mark_that_fails_gives_the_message_back(world: World) -> None:
    world.steps.fail_at("log.mark", LogUnavailable("InternalServerError"))
    with pytest.raises(LogUnavailable):
        world.process()
    assert world.process() == "published"
    assert world.published == ["delivery-1", "delivery-1"]
    assert len(world.log.entries) == 1


@pytest.mark.parametrize("message", ["", "poison", "{}", "[" * 10_000, MESSAGE[:-1]])
def test_a_poisoned_message_is_an_error_and_touches_nothing(world: World, message: str) -> None:
    with pytest.raises(NotAnEnvelope):
        world.process(message)
    assert world.steps.taken == []
