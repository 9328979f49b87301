"""The newest events of the bus, as the page is shown them."""

from local.playground.arrivals import MOST_EVENTS, NewestEvents


class FakeTap:
    """Hands out what a test has put in."""

    def __init__(self) -> None:
        self.waiting: list[dict[str, object]] = []
        self.closed = 0

    def take(self) -> list[dict[str, object]]:
        taken, self.waiting = self.waiting, []
        return taken

    def close(self) -> None:
        self.closed += 1


def event(second: int, **detail: object) -> dict[str, object]:
    return {"time": f"2026-11-22T03:42:{second:02}Z", "detail-type": "smallcase.orders.received", "detail": detail}


def test_events_are_shown_newest_first_and_without_their_body() -> None:
    tap = FakeTap()
    events = NewestEvents(lambda: tap)
    tap.waiting = [event(2, id="b", body={"amount": 1}), event(1, id="a")]
    shown = events.look()
    assert [each["delivery_id"] for each in shown] == ["b", "a"]
    assert shown[0] == {
        "time": "2026-11-22T03:42:02Z",
        "detail_type": "smallcase.orders.received",
        "delivery_id": "b",
    }
    tap.waiting = [event(3, reason="expired")]
    assert [each["delivery_id"] for each in events.look()] == [None, "b", "a"]


def test_only_the_newest_are_kept() -> None:
    tap = FakeTap()
    events = NewestEvents(lambda: tap)
    tap.waiting = [event(second, id=str(second)) for second in range(MOST_EVENTS + 5)]
    shown = events.look()
    assert len(shown) == MOST_EVENTS
    assert shown[0]["delivery_id"] == str(MOST_EVENTS + 4)


def test_an_event_without_an_object_as_its_detail_is_shown_too() -> None:
    tap = FakeTap()
    tap.waiting = [{"time": "2026-11-22T03:42:02Z", "detail-type": "x", "detail": None}]
    assert NewestEvents(lambda: tap).look()[0]["delivery_id"] is None


def test_the_bus_is_tapped_once_however_often_pages_are_opened() -> None:
    opened: list[FakeTap] = []

    def open_tap() -> FakeTap:
        opened.append(FakeTap())
        return opened[-1]

    events = NewestEvents(open_tap)
    events.close()
    assert opened == []
    events.watch()
    events.watch()
    events.look()
    events.close()
    assert [tap.closed for tap in opened] == [1]


def test_an_account_that_is_gone_does_not_keep_it_from_ending() -> None:
    class GoneTap(FakeTap):
        def close(self) -> None:
            raise ConnectionError

    events = NewestEvents(GoneTap)
    events.watch()
    events.close()
