"""The processes of a run: started, watched, and ended with the run, however it ends.

Owns the process groups that it started itself, from start to reaping. Never signals anything else: a group is
signalled only while its leader, our child, has not been reaped, so that its number cannot belong to somebody else.

A child that follows its standard input (`local.lifeline`) also ends when this process is killed outright.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from local import lifeline
from local.stop_signals import StopRequested, StopSignals, shielded

GRACE_SECONDS: Final = lifeline.GRACE_SECONDS
_POLL_SECONDS = 0.05
_WATCH_SECONDS = 0.2  # for as long as the run lasts: rarer
_TAIL_LINES = 20
_TAIL_BYTES = 16_384


class ProcessError(Exception):
    """A process did not do what the run needs of it. `name`, `log` and the last lines of the log say what happened."""

    def __init__(self, name: str, what: str, log: Path) -> None:
        self.name = name
        self.log = log
        self.tail = _tail(log)
        shown = "".join(f"\n    {line}" for line in self.tail.splitlines()) or " (empty)"
        super().__init__(f"{name} {what}. The end of {log}:{shown}")


class CommandFailed(ProcessError):
    """A finite command ended with another exit code than 0, or not in time (`exit_code` is None then)."""

    def __init__(self, name: str, what: str, log: Path, exit_code: int | None) -> None:
        super().__init__(name, what, log)
        self.exit_code = exit_code


class ProcessEnded(ProcessError):
    """A process that was to stay has ended."""


class ProcessNotReady(ProcessError):
    """A process lives, but did not get ready in time."""


@dataclass(frozen=True, slots=True, eq=False)
class Process:
    """A child that leads a session and process group of its own. Its pid stays its own until the supervisor ends."""

    name: str
    log: Path
    _popen: subprocess.Popen[bytes]

    @property
    def pid(self) -> int:
        """The number of the process, and of its group."""
        return self._popen.pid

    @property
    def exit_code(self) -> int | None:
        """None while it runs; -N where signal N ended it. Asking does not reap the process."""
        if self._popen.returncode is not None:
            return self._popen.returncode
        try:
            state = os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        except ChildProcessError:
            return self._popen.wait()  # somebody else reaped it: its number may be anybody's, and is left alone now
        if state is None:
            return None
        return state.si_status if state.si_code == os.CLD_EXITED else -state.si_status

    def signal_group(self, signum: signal.Signals) -> None:
        """Signal the whole group, its leader dead or alive; nobody once the leader has been reaped."""
        if self.exit_code is None or self._popen.returncode is None:
            with suppress(PermissionError):  # macOS says this of a group with nobody in it but its dead leader
                os.killpg(self.pid, signum)

    def reap(self) -> None:
        """Wait for the exit and release the number."""
        self._popen.wait()


class Supervisor:
    """Runs processes; leaving it ends every process group it has started, last started first.

    While entered (in the main thread), SIGINT, SIGTERM and SIGHUP raise `StopRequested`, whatever the program is
    doing, except in the middle of starting or ending a process.
    """

    def __init__(self) -> None:
        self._signals = StopSignals()
        self._processes: list[Process] = []
        self._lifeline = -1
        self._lifeline_end = -1  # the children's standard input

    @property
    def pids(self) -> list[int]:
        """The processes started and not yet ended by us, in this order. Each leads a group of the same number."""
        return [process.pid for process in self._processes]

    @shielded
    def __enter__(self) -> Self:
        self._signals.__enter__()
        # Closed on exec, both: a child has the read end as its standard input alone, and nobody has the write end.
        self._lifeline_end, self._lifeline = os.pipe()
        return self

    @shielded
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            self._end(self._processes[::-1])
        finally:
            os.close(self._lifeline)  # only now: a child that follows it would end by itself
            os.close(self._lifeline_end)
            self._signals.__exit__(kind, error, traceback)
        if kind is None:
            self._signals.check()  # a stop that came while we were at it

    def start(
        self, name: str, argv: Sequence[str], *, env: Mapping[str, str], log: Path, cwd: Path | None = None
    ) -> Process:
        """Start a process that is to stay. `env` is its whole environment; its output goes to a fresh `log`.

        Raises OSError where it cannot be started.
        """
        process = self._spawn(name, argv, env, log, cwd)
        self._signals.check()
        return process

    def run(
        self,
        name: str,
        argv: Sequence[str],
        *,
        env: Mapping[str, str],
        log: Path,
        timeout: float,
        cwd: Path | None = None,
    ) -> None:
        """Run a command to its end, within `timeout` seconds. Raises CommandFailed.

        Whatever of its process group is left when it ends, times out or is interrupted, is ended too. The command
        needs to know nothing of the lifeline: it is held for it.
        """
        deadline = time.monotonic() + timeout
        held = [sys.executable, "-I", lifeline.__file__, *argv]
        process = self._spawn(name, held, env, log, cwd)
        try:
            while (exit_code := process.exit_code) is None and time.monotonic() < deadline:
                self._signals.check()
                time.sleep(_POLL_SECONDS)
        finally:
            self._end([process])
        if exit_code is None:
            raise CommandFailed(name, f"did not finish within {timeout:g} s", log, None)
        if exit_code != 0:
            raise CommandFailed(name, f"failed with exit code {exit_code}", log, exit_code)

    def wait_until_ready(self, process: Process, probe: Callable[[], bool], timeout: float) -> None:
        """Ask `probe` until it says True, within `timeout` seconds. An OSError (nobody listens yet) means "not yet".

        Raises ProcessEnded as soon as the process has exited, ProcessNotReady when the time is up.
        """
        deadline = time.monotonic() + timeout
        while True:
            self._signals.check()
            if process.exit_code is not None:
                raise _ended(process)
            with suppress(OSError):
                if probe():
                    return
            if time.monotonic() >= deadline:
                raise ProcessNotReady(process.name, f"was not ready within {timeout:g} s", process.log)
            time.sleep(_POLL_SECONDS)

    def watch(self) -> signal.Signals | ProcessEnded:
        """Block until a stop signal comes or one of the processes ends, and return which it was."""
        try:
            while True:
                self._signals.check()
                for process in self._processes:
                    if process.exit_code is not None:
                        return _ended(process)
                time.sleep(_WATCH_SECONDS)
        except StopRequested as stop:
            return stop.signum

    @shielded
    def _spawn(self, name: str, argv: Sequence[str], env: Mapping[str, str], log: Path, cwd: Path | None) -> Process:
        """Start a process and remember it: a stop signal must not come between the two."""
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("wb") as output:
            popen = subprocess.Popen(
                argv,
                env=env,
                cwd=cwd,
                stdin=self._lifeline_end,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        process = Process(name, log, popen)
        self._processes.append(process)
        return process

    @shielded
    def _end(self, processes: Sequence[Process]) -> None:
        """End these groups, in this order, and reap their leaders.

        A leader that exits on SIGTERM has ended its own by then: what is left of its group is killed without grace.
        """
        for process in processes:
            process.signal_group(signal.SIGTERM)
        deadline = time.monotonic() + GRACE_SECONDS
        for process in processes:
            while process.exit_code is None and time.monotonic() < deadline:
                time.sleep(_POLL_SECONDS)
            process.signal_group(signal.SIGKILL)
            process.reap()
            self._processes.remove(process)


def _ended(process: Process) -> ProcessEnded:
    return ProcessEnded(process.name, f"ended with exit code {process.exit_code}", process.log)


def _tail(log: Path) -> str:
    """Read the last lines of a log; there is nothing in one that does not exist."""
    try:
        with log.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - _TAIL_BYTES))
            text = file.read().decode(errors="replace")
    except OSError:
        return ""
    return "\n".join(text.splitlines()[-_TAIL_LINES:])
