"""Threads that have done their work, and still have to end."""

import time
from collections.abc import Callable

MOST_SECONDS = 20


def ended(look: Callable[[], bool]) -> bool:
    """Say whether it is so, now or soon: a server's threads say that they are done just before they end."""
    deadline = time.monotonic() + MOST_SECONDS
    while not (is_so := look()) and time.monotonic() < deadline:
        time.sleep(0.01)
    return is_so
