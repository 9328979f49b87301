"""Which process is killed under load, and when; and what a run can be told."""

from dataclasses import dataclass, field

import pytest

from tests.load.kills import Kill, Killer, moments
from tests.load.settings import InvalidSettings, Settings


@dataclass
class FakeProcess:
    pid: int
    function: str
    worked: float = 0.0
    killed: bool = field(default=False, init=False)
    gone: bool = False

    def cpu_seconds(self) -> float:
        return self.worked

    def kill(self) -> bool:
        self.killed = not self.gone
        return self.killed


def test_kills_are_spread_over_the_deliveries() -> None:
    assert moments(4, 100) == [12, 38, 62, 88]
    assert moments(0, 100) == []


def test_functions_are_killed_in_turns_each_when_it_is_due() -> None:
    a, b, a2 = FakeProcess(1, "a"), FakeProcess(2, "b"), FakeProcess(3, "a")
    running = [a, b, a2]
    killer = Killer(lambda: [each for each in running if not each.killed], ["a", "b"], [10, 20, 30])
    for done, at in [(9, 1.0), (10, 2.0), (11, 3.0), (20, 4.0), (30, 5.0), (31, 6.0)]:
        killer.step(done, at)
    assert killer.kills == [Kill(2.0, "a"), Kill(4.0, "b"), Kill(5.0, "a")]
    assert [each.killed for each in running] == [True, True, True]


def test_the_process_that_has_worked_most_since_the_last_look_is_killed() -> None:
    idle, busy = FakeProcess(1, "a", worked=9.0), FakeProcess(2, "a", worked=1.0)
    killer = Killer(lambda: [idle, busy], ["a"], [10])
    killer.step(0, 0.0)
    busy.worked = 1.1
    killer.step(10, 1.0)
    assert (idle.killed, busy.killed) == (False, True)


def test_a_kill_waits_for_a_process_and_one_that_has_ended_does_not_count() -> None:
    processes: list[FakeProcess] = []
    killer = Killer(lambda: processes, ["a"], [1])
    killer.step(1, 1.0)
    processes.append(FakeProcess(1, "a", gone=True))
    killer.step(2, 2.0)
    assert killer.kills == []
    processes[0].gone = False
    killer.step(3, 3.0)
    assert killer.kills == [Kill(3.0, "a")]


def test_a_run_can_be_told_its_size() -> None:
    assert Settings.from_environment({}) == Settings(count=5000, seed=1, kills=20, users=8, plot=False)
    told = Settings.from_environment({"COUNT": "100", "SEED": "7", "KILLS": "0", "USERS": "2", "PLOT": "1"})
    assert told == Settings(count=100, seed=7, kills=0, users=2, plot=True)
    assert Settings.from_environment({"PLOT": "0"}).plot is False
    assert told.send_seconds == 80


def test_everything_that_is_wrong_with_the_settings_is_said_at_once() -> None:
    with pytest.raises(InvalidSettings) as caught:
        Settings.from_environment({"COUNT": "19", "SEED": "-1", "KILLS": "many", "USERS": "65"})
    assert [line.partition(" ")[0] for line in str(caught.value).splitlines()] == ["COUNT", "SEED", "KILLS", "USERS"]
