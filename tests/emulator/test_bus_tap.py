"""What a company's own rule would see of the bus."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from local.bus_tap import BusTap
from local.deploy import Endpoint
from tests.emulator.emulators import Emulator

BUS = "tapped"
WAIT_SECONDS = 10


@pytest.fixture(scope="module")
def endpoint(patched: Emulator) -> Iterator[Endpoint]:
    account = Endpoint(f"http://127.0.0.1:{patched.ports.aws}")
    account.client("events").create_event_bus(Name=BUS)
    yield account
    account.client("events").delete_event_bus(Name=BUS)


def publish(endpoint: Endpoint, source: str, *details: Any) -> None:
    entries: Any = [
        {"EventBusName": BUS, "Source": source, "DetailType": "a.b", "Detail": json.dumps({"n": detail})}
        for detail in details
    ]
    assert endpoint.client("events").put_events(Entries=entries)["FailedEntryCount"] == 0


def details(events: list[dict[str, Any]]) -> list[Any]:
    return sorted(event["detail"]["n"] for event in events)


def resources(endpoint: Endpoint) -> tuple[int, int]:
    """How many rules are on the bus, and how many queues there are for taps."""
    rules = endpoint.client("events").list_rules(EventBusName=BUS)["Rules"]
    queues = endpoint.client("sqs").list_queues(QueueNamePrefix="bus-tap-").get("QueueUrls", [])
    return len(rules), len(queues)


def test_every_event_comes_once_and_whole(endpoint: Endpoint) -> None:
    with BusTap.open(endpoint, BUS) as tap:
        publish(endpoint, "gatehouse.webhooks", 1)
        (event,) = tap.take(WAIT_SECONDS)
        assert (event["source"], event["detail-type"], event["detail"]) == ("gatehouse.webhooks", "a.b", {"n": 1})
        assert {"id", "time", "account", "region", "version", "resources"} <= event.keys()
        assert tap.take() == []


def test_more_events_than_sqs_hands_out_at_once_come_together(endpoint: Endpoint) -> None:
    with BusTap.open(endpoint, BUS) as tap:
        for first in range(0, 30, 10):
            publish(endpoint, "gatehouse.tokens", *range(first, first + 10))
        seen: list[dict[str, Any]] = []
        while len(seen) < 30 and (more := tap.take(WAIT_SECONDS)):
            seen += more
        assert details(seen) == list(range(30))


def test_taking_ends_however_many_more_there_are(endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("local.bus_tap._AT_MOST", 4)
    with BusTap.open(endpoint, BUS) as tap:
        publish(endpoint, "gatehouse.tokens", *range(10))
        publish(endpoint, "gatehouse.tokens", *range(10, 20))
        taken = [tap.take(WAIT_SECONDS), tap.take(WAIT_SECONDS)]
        assert [len(each) for each in taken] == [10, 10]
        assert details(taken[0] + taken[1]) == list(range(20))


def test_only_what_gatehouse_says_is_caught_unless_another_pattern_is_given(endpoint: Endpoint) -> None:
    own = {"source": ["company"], "detail-type": ["a.b"]}
    with BusTap.open(endpoint, BUS) as tap, BusTap.open(endpoint, BUS, own) as other:
        publish(endpoint, "company", 1)
        publish(endpoint, "gatehouse.webhooks", 2)
        assert details(tap.take(WAIT_SECONDS)) == [2]
        assert details(other.take(WAIT_SECONDS)) == [1]


def test_nothing_is_left_of_a_tap_that_was_closed(endpoint: Endpoint) -> None:
    with BusTap.open(endpoint, BUS) as tap:
        assert resources(endpoint) == (1, 1)
        tap.close()
        assert resources(endpoint) == (0, 0)
        tap.close()


def test_nothing_is_left_of_a_tap_that_could_not_be_opened(endpoint: Endpoint) -> None:
    with pytest.raises(ClientError):
        BusTap.open(endpoint, "no-such-bus")
    assert resources(endpoint) == (0, 0)
