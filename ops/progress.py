"""How far a program is: a bar on a terminal, a line at every tenth elsewhere.

Owns what is printed while something is counted, so that lines and the bar do not write over each other.
"""

import sys
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar


class Progress:
    """Counts what was done of a total. Enter it for as long as the counting takes."""

    def __init__(self, what: str, total: int) -> None:
        """`what` is done to the counted things, such as `published`."""
        self._what = what
        self._total = total
        self._done = 0
        self._said_at = 0
        self._bar: Bar | None = None
        if sys.stdout.isatty():
            columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
            self._bar = Bar(*columns, console=Console(highlight=False))
            self._bar.add_task(what, total=total)

    def __enter__(self) -> Self:
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def advance(self, count: int = 1) -> None:
        """Count some more."""
        self.show(self._done + count, self._total)

    def show(self, done: int, total: int) -> None:
        """Set both numbers, where somebody else counts."""
        self._done, self._total = done, total
        if self._bar is not None:
            self._bar.update(self._bar.task_ids[0], completed=done, total=total)
        elif done > self._said_at and (done >= total or (done - self._said_at) * 10 >= total):
            self._said_at = done
            print(f"  {self._what} {done} of {total}", flush=True)

    def say(self, line: str) -> None:
        """Print a line, above the bar where there is one."""
        if self._bar is not None:
            self._bar.console.print(line, markup=False, soft_wrap=True)
        else:
            print(line, flush=True)
