"""One clean stop out of SIGINT, SIGTERM and SIGHUP, whatever the program is doing when it comes.

Owns the handlers of these signals while it is entered, and which functions are not to be interrupted. Never signals a
process, and never stays installed: leaving restores what was there.
"""

import signal
import threading
import time
from collections.abc import Callable
from types import CodeType, FrameType, TracebackType
from typing import Final, Self

_STOP_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_SHIELDED: Final[set[CodeType]] = set()
# A signal ends a sleep, but not one that begins just after it, nor where the system hands it to another thread.
_POLL_SECONDS: Final = 0.2


class StopRequested(KeyboardInterrupt):
    """Somebody asked the program to stop.

    A KeyboardInterrupt, so that nothing that handles errors handles it, and what handles Ctrl-C (pytest, asyncio)
    handles SIGTERM in the same way.
    """

    def __init__(self, signum: signal.Signals) -> None:
        super().__init__(signum.name)
        self.signum = signum

    @property
    def exit_code(self) -> int:
        """What a shell expects of a program that a signal stopped: 128 + its number."""
        return 128 + self.signum


def shielded[**P, R](function: Callable[P, R]) -> Callable[P, R]:
    """Mark a function that a stop signal must not interrupt, such as one that undoes things.

    The signal is remembered, and raised by the next `check`. The mark is looked up on the interrupted stack rather
    than set inside the function, because a signal may come between a function's call and its first statement.
    """
    _SHIELDED.add(function.__code__)
    return function


class StopSignals:
    """While entered, the first and every further stop signal raises StopRequested in the main thread.

    Outside the main thread nothing is installed: Python delivers signals to the main thread alone. An ignored SIGHUP
    stays ignored (nohup); an ignored SIGINT does not, since shells set that for every `… &` in a script.
    """

    def __init__(self) -> None:
        self._previous: dict[signal.Signals, Callable[[int, FrameType | None], object] | int | None] = {}
        self._pending: signal.Signals | None = None  # came where it must not interrupt

    @shielded
    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for signum in _STOP_SIGNALS:
                if signum is signal.SIGHUP and signal.getsignal(signum) is signal.SIG_IGN:
                    continue
                self._previous[signum] = signal.signal(signum, self._on_signal)
        return self

    @shielded
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        while self._previous:
            signum, handler = self._previous.popitem()
            signal.signal(signum, signal.SIG_DFL if handler is None else handler)  # None: it was not set from Python

    def check(self) -> None:
        """Raise StopRequested for a stop signal that came in a shielded function."""
        if self._pending is not None:
            signum, self._pending = self._pending, None
            raise StopRequested(signum)

    def wait(self) -> signal.Signals:
        """Block until a stop signal comes, or has come in a shielded function, and return it."""
        try:
            while True:
                self.check()
                time.sleep(_POLL_SECONDS)
        except StopRequested as stop:
            return stop.signum

    def _on_signal(self, signum: int, frame: FrameType | None) -> None:
        while frame is not None:
            if frame.f_code in _SHIELDED:
                self._pending = signal.Signals(signum)
                return
            frame = frame.f_back
        raise StopRequested(signal.Signals(signum))
