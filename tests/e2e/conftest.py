"""What the end-to-end tests know of the stack that they share; its fixture `stack` stands in tests/conftest.py."""

from collections.abc import Iterator

import pytest

from bench import stand_ins
from local import build
from local.processes import Supervisor
from tests.e2e.token_lifecycle import First, Lifecycle
from tests.support.running_stack import (
    DENY_NAME,
    GATEWAY_SECRET,
    INTEGRATION_CREDENTIALS,
    ORIGINS,
    WEBHOOK_CREDENTIALS,
    Stack,
    denied,
)

__all__ = [
    "ARRIVAL_SECONDS",
    "DENY_NAME",
    "GATEWAY_SECRET",
    "INTEGRATION_CREDENTIALS",
    "ORIGINS",
    "WEBHOOK_CREDENTIALS",
    "Stack",
    "denied",
]

ARRIVAL_SECONDS = 90
"""Longer than it takes a delivery to come back: the queue hides for 30 seconds what could not be processed."""


@pytest.fixture
def life(untouched: tuple[Lifecycle, First]) -> Lifecycle:
    """The stack with good tokens, and a simulator that has forgotten everything."""
    lifecycle = untouched[0]
    lifecycle.start_over()
    return lifecycle


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> None:
    """What `make build` leaves is there."""
    with build.exclusive(), Supervisor() as supervisor:
        build.build(supervisor, tmp_path_factory.mktemp("build") / "build.log")


@pytest.fixture(scope="module")
def servers(built: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[stand_ins.StandIns]:
    """What the built functions call, on loopback."""
    running = stand_ins.start(tmp_path_factory.mktemp("stand_ins"))
    yield running
    running.close()
