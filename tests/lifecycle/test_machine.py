"""The lifecycle holds whatever happens, and the machine that says so finds a fault where there is one.

A seed decides which schedules are tried, so what is found is found everywhere. `make prove` looks further.
"""

from collections.abc import Iterator

import pytest

from tests.lifecycle.batch import Batches
from tests.lifecycle.planted import FAULTS, Plant

SEED = 1
SCHEDULES = 250
MOST_SCHEDULES = 1_000  # in which a planted fault has to be found


@pytest.fixture(scope="module")
def batches() -> Iterator[Batches]:
    with Batches(1) as running:
        yield running


def test_whatever_happens_the_invariants_hold(batches: Batches) -> None:
    tried = batches.submit(SEED, SCHEDULES).result()
    assert tried.broken == "", tried.schedule
    assert tried.total.schedules >= SCHEDULES
    assert tried.total.steps > 10 * SCHEDULES
    assert tried.total.effects > 100 * SCHEDULES


@pytest.mark.parametrize("plant", FAULTS, ids=lambda plant: plant.__name__)
def test_a_planted_fault_is_found(batches: Batches, plant: Plant) -> None:
    tried = batches.submit(FAULTS[plant].seed, MOST_SCHEDULES, plant.__name__).result()
    assert tried.broken == FAULTS[plant].breaks
