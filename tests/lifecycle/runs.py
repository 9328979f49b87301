"""Runs of functions that stand still at every effect on the outside.

A run is real code in a thread of its own. It comes to a stand before each effect, and whoever drives it decides what
becomes of that effect and which run goes on next. Only one thread is ever awake, so what happens is decided by the
driver's choices alone. A run can also be driven to its end on the spot, without a thread.
"""

import threading
from collections.abc import Callable
from enum import Enum
from queue import SimpleQueue
from typing import Any, NamedTuple

from botocore.exceptions import ClientError, ReadTimeoutError

from gatehouse.upstream import UpstreamFault
from tests.support.memory_aws import aws_error


class Verdict(Enum):
    """What becomes of an effect."""

    OK = "takes place"
    REFUSED = "does not take place, and says so"
    LOST = "takes place, and the answer is lost"
    RETRIED = "takes place, the answer is lost, and the client's own second attempt takes place too"
    CRASH_BEFORE = "the run ends before it"
    CRASH_AFTER = "the run ends after it"

    @property
    def is_crash(self) -> bool:
        """Whether it ends the run."""
        return self in {Verdict.CRASH_BEFORE, Verdict.CRASH_AFTER}


class Crashed(BaseException):
    """The run's process is gone. Nothing catches it; what `finally` still tries on the way out, does not happen."""


class Faults(NamedTuple):
    """What an effect raises where it does not take place, and where its answer is lost."""

    refused: Exception
    lost: Exception


AWS = Faults(aws_error("ThrottlingException", "any call"), ReadTimeoutError(endpoint_url="https://aws"))


type Choose = Callable[[str], Verdict]
type Answer = Callable[[], Any]

_FINISHED = object()


class Run:
    """One run of a function."""

    def __init__(self, name: str, work: Callable[[], object]) -> None:
        self.name = name
        self.outcome: object = None
        self.is_over = False
        self.has_crashed = False
        self.effect = ""  # before which it stands
        self._work = work
        self._perform: Answer = lambda: None
        self._faults = AWS
        self._choose: Choose | None = None
        self._thread: threading.Thread | None = None
        self._answers: SimpleQueue[Answer] = SimpleQueue()
        self._stops: SimpleQueue[object] = SimpleQueue()

    # --- called by whoever drives it ---

    def start(self) -> None:
        """Go to the first effect."""
        self._thread = threading.Thread(target=self._main, name=self.name, daemon=True)
        self._thread.start()
        self._wait()

    def proceed(self, verdict: Verdict) -> None:
        """Let the effect take place, or not, and go to the next one."""
        self._answers.put(self._judge(verdict))
        self._wait()

    def drive(self, choose: Choose) -> None:
        """Run from the first effect to the end, here and now."""
        self._choose = choose
        try:
            self.outcome = self._work()
        except Crashed:
            self.has_crashed = True
        finally:
            self.is_over = True

    def abandon(self) -> None:
        """End the run where it stands, if it has not ended."""
        if not self.is_over:
            self.proceed(Verdict.CRASH_BEFORE)

    # --- called from inside of the run ---

    def reach(self, effect: str, perform: Answer, faults: Faults = AWS) -> Any:
        """Come to a stand before an effect, and return or raise what becomes of it."""
        if self.has_crashed:
            raise Crashed
        self.effect, self._perform, self._faults = effect, perform, faults
        if self._choose is not None:
            return self._judge(self._choose(effect))()
        self._stops.put(None)
        return self._answers.get()()

    def _main(self) -> None:
        stop: object = _FINISHED
        try:
            self.outcome = self._work()
        except Crashed:
            self.has_crashed = True
        except BaseException as error:  # noqa: BLE001 - the driver raises it
            stop = error
        self._stops.put(stop)

    def _wait(self) -> None:
        stop = self._stops.get()
        if stop is None:
            return
        self.is_over = True
        assert self._thread is not None
        self._thread.join()
        if isinstance(stop, BaseException):
            raise stop

    def _judge(self, verdict: Verdict) -> Answer:
        """Have the effect take place, or not, and return how the run goes on. What it breaks is raised here."""
        if verdict is Verdict.REFUSED:
            return _raising(self._faults.refused)
        if verdict is Verdict.CRASH_BEFORE:
            return self._crash()
        answer = self._take_place()
        if verdict is Verdict.LOST:
            return _raising(self._faults.lost)
        if verdict is Verdict.RETRIED:
            return self._take_place()
        if verdict is Verdict.CRASH_AFTER:
            return self._crash()
        return answer

    def _take_place(self) -> Answer:
        try:
            value = self._perform()
        except (ClientError, UpstreamFault) as error:
            return _raising(error)
        return lambda: value

    def _crash(self) -> Answer:
        self.has_crashed = True
        return _raising(Crashed())


def _raising(error: BaseException) -> Answer:
    def fail() -> Any:
        raise error

    return fail
