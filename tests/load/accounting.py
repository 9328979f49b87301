"""What became of everything that was sent: sent, answered, logged, published, set aside.

Owns the arithmetic and the verdict. It is pure: what happened comes in as values, from wherever it was observed.
"""

import json
import math
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple, Self

from tests.load.plan import Delivery, Sort, reference_in

NO_ANSWER: Final = 0
"""The status of an attempt whose connection ended without an answer."""


class Attempt(NamedTuple):
    """One request (or one message put on the queue), as its sender saw it."""

    number: int  # which delivery of the plan
    began: float  # seconds since the run began
    seconds: float
    status: int
    id: str  # what a 200 said; empty otherwise

    @classmethod
    def parse(cls, line: str) -> Self:
        """Read an attempt as `render` writes it."""
        return cls(*json.loads(line))

    def render(self) -> str:
        """Return the attempt as one line."""
        return json.dumps(self) + "\n"


class Entry(NamedTuple):
    """An item of the event log."""

    id: str
    state: str
    body: bytes


@dataclass(frozen=True, slots=True)
class Observed:
    """Everything that was seen, after the queue had come to rest."""

    attempts: Sequence[Attempt]
    entries: Sequence[Entry]
    event_ids: Sequence[str]  # `detail.id` of each event on the bus
    dead_letters: Sequence[bytes]  # the bodies of what was set aside
    left_on_queue: int


@dataclass(frozen=True, slots=True)
class Account:
    """The figures. Deliveries are counted by content: a repetition is the delivery that it repeats."""

    sent: Mapping[str, int]  # by sort
    not_sent: int
    answers: Mapping[int, int]  # by status, forged ones included
    accepted: int  # right ones and repetitions that got a 200
    distinct: int  # the contents of these
    never_accepted: int  # contents that were sent rightly, and given up without a 200
    logged: int
    lost: int
    doubled: int
    strange: int  # in the log, and nobody has sent it rightly
    altered: int  # in the log, with another body than was sent
    unpublished: int  # in the log, and not marked as published
    answers_lost: int  # stored by an attempt whose answer never came, and sent again until it was accepted
    stored_never_accepted: int
    forged_accepted: int
    forged_otherwise: int  # forged, and not answered 401 in the end
    poisoned_dead: int
    dead_others: int  # set aside though it is not poisoned
    left_on_queue: int
    events: int
    events_missing: int  # in the log, and never on the bus
    events_doubled: int
    events_strange: int  # on the bus, and not in the log
    seconds: float
    latencies: Mapping[str, float]  # seconds, of 200s

    @property
    def throughput(self) -> float:
        """Accepted deliveries a second."""
        return self.accepted / self.seconds if self.seconds else 0.0

    def faults(self) -> list[str]:
        """Return what must not be, each with its number; nothing where all is well."""
        wrong = {
            "not sent": self.not_sent,
            "never accepted": self.never_accepted,
            "lost": self.lost,
            "doubled in the log": self.doubled,
            "in the log, and sent by nobody": self.strange,
            "altered": self.altered,
            "not marked as published": self.unpublished,
            "forged and accepted": self.forged_accepted,
            "forged and not answered with 401": self.forged_otherwise,
            "poisoned and not in the dead-letter queue": self.sent.get(Sort.POISONED, 0) - self.poisoned_dead,
            "in the dead-letter queue, and not poisoned": self.dead_others,
            "left on the queue": self.left_on_queue,
            "never on the bus": self.events_missing,
            "on the bus, and not in the log": self.events_strange,
        }
        return [f"{count} {what}" for what, count in wrong.items() if count]


def account(plan: Sequence[Delivery], observed: Observed) -> Account:
    """Hold what was seen against what was planned."""
    attempts: dict[int, list[Attempt]] = {}
    for attempt in observed.attempts:
        attempts.setdefault(attempt.number, []).append(attempt)
    sent = [(delivery, attempts[number]) for number, delivery in enumerate(plan) if number in attempts]
    genuine = [(delivery, tries) for delivery, tries in sent if delivery.sort in (Sort.RIGHT, Sort.REPEATED)]
    forged = [(delivery, tries) for delivery, tries in sent if delivery.sort is Sort.FORGED]
    bodies: dict[str, set[bytes]] = {}
    answered: dict[str, set[str]] = {}
    for delivery, tries in genuine:
        bodies.setdefault(delivery.reference, set()).add(delivery.body)
        ids = answered.setdefault(delivery.reference, set())
        ids.update(attempt.id for attempt in tries if attempt.status == 200)
    accepted = {reference for reference, ids in answered.items() if ids}

    entries: dict[str, list[Entry]] = {}
    for entry in observed.entries:
        entries.setdefault(reference_in(entry.body) or "", []).append(entry)
    known = {reference: found for reference, found in entries.items() if reference in answered}
    forged_references = {delivery.reference for delivery, _ in forged}
    forged_logged = forged_references & entries.keys()
    forged_answered = {delivery.reference for delivery, tries in forged if any(each.status == 200 for each in tries)}
    poisoned = {delivery.body for delivery, _ in sent if delivery.sort is Sort.POISONED}
    events, logged_ids = Counter(observed.event_ids), {entry.id for entry in observed.entries}
    requests = [attempt for delivery, tries in sent if delivery.path for attempt in tries]
    return Account(
        sent=dict(Counter(delivery.sort.value for delivery, _ in sent)),
        not_sent=len(plan) - len(sent),
        answers=dict(Counter(attempt.status for attempt in requests)),
        accepted=sum(any(attempt.status == 200 for attempt in tries) for _, tries in genuine),
        distinct=len(accepted),
        never_accepted=len(answered) - len(accepted),
        logged=len(observed.entries),
        lost=len(accepted - entries.keys()),
        doubled=sum(len(found) - 1 for found in entries.values()),
        strange=sum(len(found) for name, found in entries.items() if name not in answered.keys() | forged_references),
        altered=sum(entry.body not in bodies[name] for name, found in known.items() for entry in found),
        unpublished=sum(entry.state != "published" for entry in observed.entries),
        answers_lost=sum(
            entry.id not in answered[name] for name, found in known.items() for entry in found if name in accepted
        ),
        stored_never_accepted=len(known.keys() - accepted),
        forged_accepted=len(forged_answered | forged_logged),
        forged_otherwise=sum(tries[-1].status not in (200, 401) for _, tries in forged),
        poisoned_dead=len(poisoned & set(observed.dead_letters)),
        dead_others=sum(letter not in poisoned for letter in observed.dead_letters),
        left_on_queue=observed.left_on_queue,
        events=len(observed.event_ids),
        events_missing=len(logged_ids - events.keys()),
        events_doubled=sum(count - 1 for count in events.values()),
        events_strange=sum(count for name, count in events.items() if name not in logged_ids),
        seconds=_duration(requests),
        latencies=_latencies(attempt.seconds for attempt in requests if attempt.status == 200),
    )


def percentile(values: Collection[float], share: float) -> float:
    """Return the value that `share` of the values do not exceed (nearest rank); 0 of none."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)] if ordered else 0.0


def _duration(attempts: Collection[Attempt]) -> float:
    if not attempts:
        return 0.0
    return max(each.began + each.seconds for each in attempts) - min(each.began for each in attempts)


def _latencies(seconds: Iterable[float]) -> dict[str, float]:
    values = list(seconds)
    return {f"p{round(share * 100)}": percentile(values, share) for share in (0.5, 0.95, 0.99)}
