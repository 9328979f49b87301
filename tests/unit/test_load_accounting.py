"""The arithmetic of a load run: each way to go wrong is seen, and is a fault."""

from typing import Any

import pytest

from tests.load import report
from tests.load.accounting import NO_ANSWER, Account, Attempt, Entry, Observed, account, percentile
from tests.load.kills import Kill
from tests.load.plan import Delivery, Sort

REFERENCES = {name: f"load-{number:016x}" for number, name in enumerate(["first", "second", "forged", "poisoned"])}


def delivery(sort: Sort, name: str, path: str = "integration/basic") -> Delivery:
    return Delivery(sort, REFERENCES[name], path, {}, REFERENCES[name].encode())


PLAN = [
    delivery(Sort.RIGHT, "first"),
    delivery(Sort.RIGHT, "second"),
    delivery(Sort.REPEATED, "first"),
    delivery(Sort.FORGED, "forged"),
    delivery(Sort.POISONED, "poisoned", path=""),
]
FIRST, SECOND = Entry("id-1", "published", PLAN[0].body), Entry("id-2", "published", PLAN[1].body)
ATTEMPTS = [
    Attempt(0, 10.0, 0.1, 200, "id-1"),
    Attempt(1, 10.1, 0.3, 200, "id-2"),
    Attempt(2, 10.2, 0.2, 200, "id-3"),
    Attempt(3, 10.3, 0.1, 401, ""),
    Attempt(4, 10.4, 0.1, 200, ""),
]


def observed(**changes: Any) -> Observed:
    seen: dict[str, Any] = {
        "attempts": ATTEMPTS,
        "entries": [FIRST, SECOND],
        "event_ids": ["id-1", "id-2"],
        "dead_letters": [PLAN[4].body],
        "left_on_queue": 0,
    }
    return Observed(**{**seen, **changes})


def figures(**changes: Any) -> Account:
    return account(PLAN, observed(**changes))


def attempts(*instead: Attempt) -> list[Attempt]:
    """The attempts, with those of some deliveries replaced."""
    replaced = {each.number for each in instead}
    return [each for each in ATTEMPTS if each.number not in replaced] + list(instead)


def test_a_run_without_a_fault() -> None:
    good = figures()
    assert good.faults() == []
    assert good.sent == {"right": 2, "repeated": 1, "forged": 1, "poisoned": 1}
    assert good.answers == {200: 3, 401: 1}
    assert (good.accepted, good.distinct, good.logged, good.events) == (3, 2, 2, 2)
    assert good.seconds == pytest.approx(0.4)
    assert good.throughput == pytest.approx(7.5)
    assert good.latencies == {"p50": 0.2, "p95": 0.3, "p99": 0.3}


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"entries": [FIRST]}, "1 lost"),
        ({"entries": [FIRST, SECOND, Entry("id-3", "published", PLAN[0].body)]}, "1 doubled in the log"),
        ({"entries": [FIRST, SECOND, Entry("id-9", "published", b"?")]}, "1 in the log, and sent by nobody"),
        ({"entries": [FIRST, SECOND, Entry("id-9", "published", PLAN[4].body)]}, "1 in the log, and sent by nobody"),
        ({"entries": [FIRST, SECOND._replace(body=PLAN[1].body + b"!")]}, "1 altered"),
        ({"entries": [FIRST, SECOND._replace(state="received")]}, "1 not marked as published"),
        ({"entries": [FIRST, SECOND, Entry("id-9", "published", PLAN[3].body)]}, "1 forged and accepted"),
        ({"attempts": attempts(Attempt(3, 10.3, 0.1, 200, "id-9"))}, "1 forged and accepted"),
        ({"attempts": attempts(Attempt(3, 10.3, 0.1, 500, ""))}, "1 forged and not answered with 401"),
        ({"attempts": attempts(Attempt(1, 10.1, 0.1, 500, ""))}, "1 never accepted"),
        ({"attempts": ATTEMPTS[1:]}, "1 not sent"),
        ({"dead_letters": []}, "1 poisoned and not in the dead-letter queue"),
        ({"dead_letters": [PLAN[4].body, b"{}"]}, "1 in the dead-letter queue, and not poisoned"),
        ({"left_on_queue": 2}, "2 left on the queue"),
        ({"event_ids": ["id-1"]}, "1 never on the bus"),
        ({"event_ids": ["id-1", "id-2", "id-3"]}, "1 on the bus, and not in the log"),
    ],
)
def test_each_fault_is_named(changes: dict[str, Any], fault: str) -> None:
    assert fault in figures(**changes).faults()


def test_an_answer_that_never_came_is_no_fault_where_the_delivery_was_sent_again() -> None:
    again = attempts(Attempt(1, 10.1, 0.1, NO_ANSWER, ""), Attempt(1, 10.9, 0.1, 200, "id-8"))
    found = figures(attempts=again)
    assert found.faults() == []
    assert (found.answers_lost, found.stored_never_accepted) == (1, 0)
    assert found.answers[NO_ANSWER] == 1


def test_what_was_stored_and_never_accepted_is_told_apart_from_what_was_never_stored() -> None:
    given_up = attempts(Attempt(1, 10.1, 0.1, 500, ""))
    assert figures(attempts=given_up).stored_never_accepted == 1
    without = figures(attempts=given_up, entries=[FIRST], event_ids=["id-1"])
    assert (without.stored_never_accepted, without.never_accepted, without.lost) == (0, 1, 0)


def test_a_repetition_is_kept_where_its_original_was_given_up() -> None:
    found = figures(
        attempts=attempts(Attempt(0, 10.0, 0.1, 500, "")),
        entries=[FIRST._replace(id="id-3"), SECOND],
        event_ids=["id-3", "id-2"],
    )
    assert found.faults() == []
    assert (found.accepted, found.distinct) == (2, 2)


def test_an_event_that_came_twice_is_counted_and_is_no_fault() -> None:
    found = figures(event_ids=["id-1", "id-2", "id-1"])
    assert (found.events_doubled, found.faults()) == (1, [])


def test_nothing_was_seen_at_all() -> None:
    nothing = account(PLAN, Observed([], [], [], [], 0))
    assert nothing.faults() == ["5 not sent"]
    assert (nothing.seconds, nothing.throughput, nothing.latencies["p99"]) == (0.0, 0.0, 0.0)


def test_a_percentile_is_one_of_the_values() -> None:
    values = [float(number) for number in range(1, 101)]
    assert [percentile(values, share) for share in (0.0, 0.5, 0.95, 1.0)] == [1.0, 50.0, 95.0, 100.0]
    assert percentile([], 0.5) == 0.0


def test_an_attempt_survives_its_line() -> None:
    assert [Attempt.parse(each.render()) for each in ATTEMPTS] == ATTEMPTS


def test_the_table_says_what_matters() -> None:
    kills = [Kill(1.0, "receive_webhook"), Kill(2.0, "process_webhook"), Kill(3.0, "receive_webhook")]
    table = dict(report.rows(figures(attempts=attempts(Attempt(3, 1, 1, NO_ANSWER, ""))), kills))
    assert table["sent"] == "5 (2 right, 1 repeated, 1 forged, 1 poisoned)"
    assert table["answers"] == "no answer: 1, 200: 3"
    assert table["answered with 200"] == "3, 2 of them distinct"
    assert (table["in the log"], table["lost"], table["doubled in the log"]) == ("2", "0", "0")
    assert table["forged sent / accepted"] == "1 / 0"
    assert table["poisoned sent / set aside"] == "1 / 1"
    assert table["processes killed"] == "3 (process_webhook: 1, receive_webhook: 2)"
    assert dict(report.rows(figures(), []))["processes killed"] == "0"
