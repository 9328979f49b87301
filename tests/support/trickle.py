"""A steady trickle of requests under which something is operated, and which must not notice it."""

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Self

BETWEEN_SECONDS = 0.02
MOST_SECONDS = 60


class Trickle:
    """Makes each of several requests over and over, one after another, in a thread of its own, while in the block.

    A request raises where anything is wrong with its answer. The block's end raises what they have raised.
    """

    def __init__(self, requests: Mapping[str, Callable[[], None]]) -> None:
        self.counts = dict.fromkeys(requests, 0)
        self.errors: list[tuple[str, Exception]] = []
        self._locks = {name: threading.Lock() for name in requests}
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(target=self._run, args=(name, request), name=f"trickle-{name}", daemon=True)
            for name, request in requests.items()
        ]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(MOST_SECONDS)
        if kind is None:
            self.check()

    def check(self) -> None:
        """Raise where any request has failed so far."""
        assert not self.errors, f"{len(self.errors)} failed of {self.counts}; the first: {self.errors[0]!r}"

    def flow(self, rounds: int = 2) -> None:
        """Wait until each of the requests has been made so many times more, without an error."""
        wanted = {name: count + rounds for name, count in self.counts.items()}
        deadline = time.monotonic() + MOST_SECONDS
        while any(self.counts[name] < count for name, count in wanted.items()):
            self.check()
            assert time.monotonic() < deadline, f"{self.counts}, and not {wanted}"
            self._stop.wait(BETWEEN_SECONDS)
        self.check()

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Let what is under way end, and begin nothing within the block."""
        with ExitStack() as held:
            for lock in self._locks.values():
                held.enter_context(lock)
            yield

    def _run(self, name: str, request: Callable[[], None]) -> None:
        while not self._stop.is_set():
            with self._locks[name]:
                try:
                    request()
                except Exception as error:  # noqa: BLE001 - whatever it is, the block's end raises it
                    self.errors.append((name, error))
                self.counts[name] += 1
            self._stop.wait(BETWEEN_SECONDS)
