"""`make prove`: the lifecycle's state machine at length, with a count of what was tried.

Batches of schedules, each with a seed of its own, until at least STEPS steps were taken. SEED is the first batch's, and
what a batch finds, the same seed finds again.
"""

import itertools
import os
import sys
from collections.abc import Mapping
from concurrent.futures import FIRST_COMPLETED, wait
from time import monotonic
from typing import NamedTuple

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from tests.lifecycle.batch import Batches, Tried
from tests.lifecycle.machine import Count

ENOUGH_STEPS = 50_000
BATCH = 200  # schedules


class InvalidSettings(Exception):
    """A variable cannot be used. The text says which, and what it may be."""


class Wanted(NamedTuple):
    """How many steps at least, and the first batch's seed."""

    steps: int
    seed: int

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> "Wanted":
        """Read STEPS and SEED. Raises InvalidSettings."""
        steps, first = environment.get("STEPS") or str(ENOUGH_STEPS), environment.get("SEED") or "1"
        if not (steps.isdecimal() and first.isdecimal() and int(steps) > 0):
            raise InvalidSettings("STEPS is a number from 1 on, and SEED one from 0 on.")
        return cls(int(steps), int(first))


def prove(wanted: Wanted, console: Console, schedules: int, fault: str = "") -> tuple[Count, Tried | None]:
    """Run batches on every core until enough steps were taken, or one has broken an invariant."""
    total = Count()
    columns = (TextColumn("steps"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    workers = os.process_cpu_count() or 1
    with Progress(*columns, console=console) as progress, Batches(workers) as batches:
        bar = progress.add_task("steps", total=wanted.steps)
        numbers = itertools.count(wanted.seed)
        running = {batches.submit(next(numbers), schedules, fault) for _ in range(workers)}
        while running:
            ended, running = wait(running, return_when=FIRST_COMPLETED)
            for tried in (each.result() for each in ended):
                total += tried.total
                if tried.broken:
                    return total, tried
                progress.update(bar, completed=min(total.steps, wanted.steps))
            if total.steps < wanted.steps:
                running |= {batches.submit(next(numbers), schedules, fault) for _ in ended}
    return total, None


def main(schedules: int = BATCH, fault: str = "") -> int:
    """Prove, and print what was tried; 1 where an invariant broke, 2 where the variables were wrong."""
    console = Console(highlight=False)
    try:
        wanted = Wanted.from_environment(os.environ)
    except InvalidSettings as error:
        Console(stderr=True, highlight=False).print(str(error), markup=False)
        return 2
    began = monotonic()
    total, broke = prove(wanted, console, schedules, fault)
    if broke is not None:
        console.print(broke.schedule, style="red", markup=False)
        console.print(f"Again: make prove SEED={broke.seed} STEPS=1")
    table = Table("schedules", "steps", "effects on the outside", "invariants broken", "seconds", "first seed")
    counted = (total.schedules, total.steps, total.effects, int(broke is not None), monotonic() - began, wanted.seed)
    table.add_row(*(f"{value:,.0f}" for value in counted))
    console.print(table)
    return 0 if broke is None else 1


if __name__ == "__main__":
    sys.exit(main())
