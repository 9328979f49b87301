"""In-memory stand-ins. Each runs through the same contract suite as the adapter it stands for."""

import threading
import time
from collections.abc import Callable

import pytest

from gatehouse.problems import SecretUnavailable
from gatehouse.secret_value import Secret


class Clock:
    """A clock that moves when told to."""

    def __init__(self, now: float = 1_800_000_000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self.now += seconds


def replace_sleep(monkeypatch: pytest.MonkeyPatch, pause: Callable[[float], object]) -> None:
    """Call `pause` where this thread would sleep. The emulator's modules leave threads behind that go on sleeping."""
    sleep, here = time.sleep, threading.get_ident()

    def pause_here(seconds: float) -> None:
        (pause if threading.get_ident() == here else sleep)(seconds)

    monkeypatch.setattr("time.sleep", pause_here)


class FakeSecrets:
    """Secrets in memory."""

    def __init__(self) -> None:
        self.texts: dict[str, str] = {}
        self.reads = 0

    def read(self, secret_id: str) -> Secret:
        self.reads += 1
        if secret_id not in self.texts:
            raise SecretUnavailable("ResourceNotFoundException")
        return Secret(self.texts[secret_id])
