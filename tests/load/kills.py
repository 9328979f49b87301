"""When a function process is killed under load, and which one.

Owns the choice: moments spread evenly over the deliveries, functions in turns, and of a function's processes the one
that has worked most since the last look, so that a kill is likely to interrupt something. It knows no operating system.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, Protocol


class FunctionProcess(Protocol):
    """A process that runs a function."""

    @property
    def pid(self) -> int:
        """Its number."""
        ...

    @property
    def function(self) -> str:
        """The function's name."""
        ...

    def cpu_seconds(self) -> float:
        """Return how long it has worked so far; 0 where it has ended."""
        ...

    def kill(self) -> bool:
        """Kill it at once; False where it has ended."""
        ...


class Kill(NamedTuple):
    """A process that was killed."""

    at: float  # seconds since the run began
    function: str


def moments(kills: int, deliveries: int) -> list[int]:
    """Return after how many deliveries each kill is due: evenly spread, none at the very beginning or end."""
    return [round((number + 0.5) * deliveries / kills) for number in range(kills)]


class Killer:
    """Kills one process at each moment."""

    def __init__(
        self, find: Callable[[], Sequence[FunctionProcess]], functions: Sequence[str], due: Sequence[int]
    ) -> None:
        """`find` returns the processes that may be killed; `functions` are their names, killed in turns."""
        self.kills: list[Kill] = []
        self._find = find
        self._functions = functions
        self._due = due
        self._worked: Mapping[int, float] = {}

    def step(self, done: int, at: float) -> None:
        """Kill one process, if one is due after `done` deliveries and its function has any. Call it often."""
        processes = self._find()
        before, self._worked = self._worked, {process.pid: process.cpu_seconds() for process in processes}
        if len(self.kills) == len(self._due) or done < self._due[len(self.kills)]:
            return
        function = self._functions[len(self.kills) % len(self._functions)]
        candidates = [process for process in processes if process.function == function]
        if not candidates:
            return
        busiest = max(candidates, key=lambda process: self._worked[process.pid] - before.get(process.pid, 0.0))
        if busiest.kill():
            self.kills.append(Kill(at, function))
