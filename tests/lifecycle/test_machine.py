"""The lifecycle holds whatever happens, and the machine that says so finds a fault where there is one.

A seed decides which schedules are tried, so what is found is found everywhere. `make prove` looks further.
"""

import pytest
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.lifecycle.machine import STEPS, Count, TokenLifecycle
from tests.lifecycle.planted import FAULTS, Plant, planted
from tests.lifecycle.world import InvariantBroken

SEED = 1
SCHEDULES = 250
MOST_SCHEDULES = 1_000  # in which a planted fault has to be found


class Machine(TokenLifecycle):
    """Counts for itself."""


def run(number: int, schedules: int, phases: list[Phase]) -> Count:
    Machine.total = Count()
    run_state_machine_as_test(
        seed(number)(Machine),
        settings=settings(
            max_examples=schedules,
            stateful_step_count=STEPS,
            phases=phases,
            report_multiple_bugs=False,
            suppress_health_check=[HealthCheck.too_slow],
        ),
    )
    return Machine.total


def test_whatever_happens_the_invariants_hold() -> None:
    tried = run(SEED, SCHEDULES, [Phase.generate, Phase.shrink])
    assert tried.schedules >= SCHEDULES
    assert tried.steps > 10 * SCHEDULES
    assert tried.effects > 100 * SCHEDULES


@pytest.mark.parametrize("plant", FAULTS, ids=lambda plant: plant.__name__)
def test_a_planted_fault_is_found(plant: Plant) -> None:
    with planted(plant), pytest.raises(InvariantBroken) as broken:
        run(FAULTS[plant].seed, MOST_SCHEDULES, [Phase.generate])
    assert broken.value.name == FAULTS[plant].breaks
