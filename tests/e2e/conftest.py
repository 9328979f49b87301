"""What the end-to-end tests know of the stack that they share; its fixture `stack` stands in tests/conftest.py."""

import pytest

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
    "DENY_NAME",
    "GATEWAY_SECRET",
    "INTEGRATION_CREDENTIALS",
    "ORIGINS",
    "WEBHOOK_CREDENTIALS",
    "Stack",
    "denied",
]


@pytest.fixture
def life(untouched: tuple[Lifecycle, First]) -> Lifecycle:
    """The stack with good tokens, and a simulator that has forgotten everything."""
    lifecycle = untouched[0]
    lifecycle.start_over()
    return lifecycle
