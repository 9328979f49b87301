"""What a function has written when it answers is in the log of that run, however busy the machine is.

AWS: every line comes into the log, as that of the run that wrote it.
MiniStack 1.5.33: a line that comes out of the pipe more than 5 ms after the one before is left to the next run's log,
and lost where the process ends before that.
Here: from its last line it is told how a run in the background ended.
"""

import os
import queue
import select
import threading
from typing import IO, Any, Final

from ministack.core import lambda_runtime

from local.emulator.patching import Patcher, Wrapper

_READ_BYTES: Final = 65_536


def apply(patcher: Patcher) -> None:
    """Read the pipe when a run has ended, too, and not only in the thread that reads it meanwhile."""
    pipes: dict[int, _Pipe] = {}  # by the identity of the queue that each fills

    def pump(_original: Wrapper, _worker: object, stream: IO[bytes], lines: queue.Queue[str]) -> None:
        with stream:
            pipe = pipes[id(lines)] = _Pipe(stream.fileno(), lines)
            pipe.read_to_its_end()
            del pipes[id(lines)]

    def drain(original: Wrapper, worker: Any, *args: object, **options: object) -> object:  # noqa: ANN401 -- MiniStack has no types
        pipe = pipes.get(id(worker._stderr_queue))
        if pipe is None:
            return original(worker, *args, **options)
        pipe.read()
        return worker._drain_stderr()

    patcher.wrap(lambda_runtime.ProvidedWorker, "_pump_output", "0ee89e67e92686b1", pump)
    patcher.wrap(lambda_runtime.ProvidedWorker, "_drain_stderr_bounded", "3fd7cc742872e604", drain)


class _Pipe:
    """What a function's process writes, for two threads that read it."""

    def __init__(self, descriptor: int, lines: queue.Queue[str]) -> None:
        os.set_blocking(descriptor, False)
        self._descriptor = descriptor
        self._lines = lines
        self._begun = b""  # a line without its end
        self._is_over = False
        self._lock = threading.Lock()

    def read_to_its_end(self) -> None:
        """Read until nobody can write any more."""
        poll = select.poll()
        poll.register(self._descriptor, select.POLLIN)
        while not self.read():
            poll.poll()

    def read(self) -> bool:
        """Read all that is there, without waiting, and return whether it was the last."""
        with self._lock:
            while not self._is_over:
                try:
                    data = os.read(self._descriptor, _READ_BYTES)
                except BlockingIOError:
                    return False
                *whole, self._begun = (self._begun + data).split(b"\n")
                self._put(whole)
                if not data:
                    self._put([self._begun] if self._begun else [])
                    self._is_over = True
            return True

    def _put(self, lines: list[bytes]) -> None:
        for line in lines:
            if self._lines.full():
                self._lines.get_nowait()  # the oldest goes: nobody waits for room
            self._lines.put_nowait(line.decode(errors="replace").rstrip("\r"))
