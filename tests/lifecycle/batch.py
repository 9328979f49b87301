"""One batch of schedules, as it runs in a process of its own.

Of its own, because Hypothesis keeps in memory what it has tried, and because it takes hints from whichever modules
happen to be loaded: only among the same modules does a seed find the same.
"""

import multiprocessing
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import nullcontext
from typing import NamedTuple, Self

from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.lifecycle.machine import STEPS, Count, TokenLifecycle
from tests.lifecycle.planted import FAULTS, planted
from tests.lifecycle.world import InvariantBroken


class Tried(NamedTuple):
    """A batch: what it tried, and where an invariant broke, which one and by which schedule."""

    seed: int
    total: Count
    broken: str = ""
    schedule: str = ""


class Batches:
    """Runs batches, each in a process of its own, as many at once as there are `workers`."""

    def __init__(self, workers: int) -> None:
        self._pool = ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"), max_tasks_per_child=1)

    def submit(self, number: int, schedules: int, fault: str = "") -> Future[Tried]:
        """Run a batch with this seed and at most so many schedules, with a fault planted if one is named."""
        return self._pool.submit(try_batch, number, schedules, fault)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(cancel_futures=True)


def try_batch(number: int, schedules: int, fault: str) -> Tried:
    """Run one batch here. A schedule that breaks an invariant is made small, unless the fault was planted."""

    class Batch(TokenLifecycle):
        """Counts for itself."""

        total = Count()

    every_schedule = settings(
        max_examples=schedules,
        stateful_step_count=STEPS,
        deadline=None,
        database=None,
        phases=[Phase.generate] if fault else [Phase.generate, Phase.shrink],
        report_multiple_bugs=False,
        suppress_health_check=[HealthCheck.too_slow],
    )
    plants = {plant.__name__: plant for plant in FAULTS}
    try:
        with planted(plants[fault]) if fault else nullcontext():
            run_state_machine_as_test(seed(number)(Batch), settings=every_schedule)
    except InvariantBroken as broken:
        return Tried(number, Batch.total, broken.name, "\n".join([str(broken), *broken.__notes__]))
    return Tried(number, Batch.total)
