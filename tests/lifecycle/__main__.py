"""`make prove`: the lifecycle's state machine at length, with a count of what was tried.

Batches of schedules, each with a seed of its own, until at least STEPS steps were taken. SEED is the first batch's, and
what a batch finds, the same seed finds again.
"""

import os
import sys
from collections.abc import Mapping
from time import monotonic
from typing import NamedTuple

from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.stateful import run_state_machine_as_test
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from tests.lifecycle.machine import STEPS, Count, TokenLifecycle
from tests.lifecycle.world import InvariantBroken

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


def prove(wanted: Wanted, console: Console) -> Count:
    """Run batches until enough steps were taken. Raises InvariantBroken."""
    total = Count()
    columns = (TextColumn("steps"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console) as progress:
        every_batch = settings(
            max_examples=BATCH,
            stateful_step_count=STEPS,
            deadline=None,
            database=None,
            phases=[Phase.generate, Phase.shrink],
            report_multiple_bugs=False,
            suppress_health_check=[HealthCheck.too_slow],
        )
        bar = progress.add_task("steps", total=wanted.steps)
        number = wanted.seed
        while total.steps < wanted.steps:
            batch = type("Batch", (TokenLifecycle,), {"total": total})
            try:
                run_state_machine_as_test(seed(number)(batch), settings=every_batch)
            except InvariantBroken:
                console.print(f"A schedule breaks an invariant. Again: make prove SEED={number} STEPS=1", style="red")
                raise
            progress.update(bar, completed=min(total.steps, wanted.steps))
            number += 1
    return total


def main() -> int:
    """Prove, and print what was tried; 1 where an invariant broke, 2 where the variables were wrong."""
    console = Console(highlight=False)
    try:
        wanted = Wanted.from_environment(os.environ)
    except InvalidSettings as error:
        Console(stderr=True, highlight=False).print(str(error), markup=False)
        return 2
    began = monotonic()
    try:
        total = prove(wanted, console)
    except InvariantBroken as broken:
        console.print(str(broken), style="red", markup=False)
        console.print("\n".join(broken.__notes__), markup=False)
        return 1
    table = Table("schedules", "steps", "effects on the outside", "invariants broken", "seconds", "first seed")
    counted = (total.schedules, total.steps, total.effects, 0, monotonic() - began, wanted.seed)
    table.add_row(*(f"{value:,.0f}" for value in counted))
    console.print(table)
    return 0


if __name__ == "__main__":
    sys.exit(main())
