"""Real processes, none of which may outlive its supervisor. Each leaves a file named by its pid: none is missed."""

import gc
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from local import lifeline, processes
from local.processes import CommandFailed, Process, ProcessEnded, ProcessNotReady, Supervisor
from local.stop_signals import StopRequested

ROOT = Path(__file__).resolve().parents[2]
SECONDS = 20.0  # what anything here may take on a machine with much else to do

CHILD = """
    import os, pathlib, signal, subprocess, sys, time
    from local.lifeline import follow_parent

    marks, *traits = sys.argv[1:]
    if "stubborn" in traits:
        signal.signal(signal.SIGTERM, lambda *_: pathlib.Path(marks, f"{os.getpid()}.asked").touch())
    if "tidy" in traits:
        def tidy_up(*_):
            time.sleep(0.3)
            pathlib.Path(marks, f"{os.getpid()}.tidied").touch()
            sys.exit()
        signal.signal(signal.SIGTERM, tidy_up)
    if "follows" in traits:
        follow_parent()
    for trait in traits:
        if trait.startswith("child="):
            subprocess.Popen([sys.executable, __file__, marks, *trait.removeprefix("child=").split(",")])
    pathlib.Path(marks, str(os.getpid())).touch()
    if "ends" in traits:
        sys.exit(3)
    while True:
        signal.pause()
"""

SUPERVISOR = """
    import os, pathlib, sys, time
    from local import processes
    from local.stop_signals import StopRequested

    child, marks, doing, grace, *children = sys.argv[1:]
    processes.GRACE_SECONDS = float(grace)
    logs = pathlib.Path(marks).parent / "logs"

    def argv(traits):
        return [sys.executable, child, marks, *traits.split("+")]

    try:
        with processes.Supervisor() as supervisor:
            for number, traits in enumerate(children):
                supervisor.start(traits, argv(traits), env=os.environ, log=logs / f"{number}.log")
            pathlib.Path(marks, str(os.getpid())).touch()
            if doing == "watching":
                print("watched:", supervisor.watch())
            if doing == "running a command":
                supervisor.run("command", argv("child=plain"), env=os.environ, log=logs / "command.log", timeout=60)
            if doing == "working":
                while True:
                    time.sleep(60)
            if doing == "failing":
                while len(list(pathlib.Path(marks).iterdir())) < len(children) + 1:
                    time.sleep(0.01)
                raise RuntimeError("half-way")
    except StopRequested as stop:
        sys.exit(stop.exit_code)
"""


def eventually(condition: Callable[[], object]) -> bool:
    """Whether the condition comes true in time."""
    deadline = time.monotonic() + SECONDS
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


def is_alive(pid: int) -> bool:
    """A zombie is dead, also where nobody adopts and reaps it."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        pass
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


class Family:
    """The programs of a test, and every process that came of them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.marks = folder / "marks"
        self.marks.mkdir()
        self.child = self._program("child.py", CHILD)
        self.supervisor = self._program("supervisor.py", SUPERVISOR)
        self.env = {**os.environ, "PYTHONPATH": str(ROOT)}

    def _program(self, name: str, text: str) -> Path:
        path = self.folder / name
        path.write_text(textwrap.dedent(text))
        return path

    def argv(self, *traits: str) -> list[str]:
        return [sys.executable, str(self.child), str(self.marks), *traits]

    def log(self, name: str = "child.log") -> Path:
        return self.folder / name

    def pids(self) -> list[int]:
        return [int(mark.name) for mark in self.marks.iterdir() if mark.name.isdigit()]

    def alive(self) -> list[int]:
        return [pid for pid in self.pids() if is_alive(pid)]

    def has(self, count: int) -> bool:
        """Whether so many processes have come to be."""
        return eventually(lambda: len(self.pids()) == count)

    def asked(self) -> bool:
        """Whether somebody asked a stubborn process to end."""
        return eventually(lambda: any(self.marks.glob("*.asked")))

    def gone(self) -> bool:
        return eventually(lambda: not self.alive())

    def start(self, supervisor: Supervisor, *traits: str) -> Process:
        name = "+".join(traits)
        return supervisor.start(name, self.argv(*traits), env=self.env, log=self.log(f"{name}.log"))


@pytest.fixture
def family(tmp_path: Path) -> Iterator[Family]:
    family = Family(tmp_path)
    yield family
    for pid in family.alive():  # the test has failed; these are its own
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """A grace period that a test can wait for."""
    monkeypatch.setattr(processes, "GRACE_SECONDS", 0.3)


@pytest.fixture
def late_when(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], bool]], None]:
    """An hour passes for the supervisor at the moment when the condition comes true: no start is held to a time."""

    def _late_when(condition: Callable[[], bool]) -> None:
        def monotonic() -> float:
            passed.extend([3600.0] if not passed and condition() else [])
            return time.monotonic() + sum(passed)

        passed: list[float] = []
        monkeypatch.setattr(processes, "time", SimpleNamespace(monotonic=monotonic, sleep=time.sleep))

    return _late_when


@pytest.fixture
def signalled(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """Every signal to a group, and to nobody else, in order."""
    seen: list[tuple[int, int]] = []
    real = os.killpg

    def killpg(group: int, signum: int) -> None:
        seen.append((group, signum))
        real(group, signum)

    monkeypatch.setattr(os, "killpg", killpg)
    return seen


@pytest.fixture
def supervised(family: Family) -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    """Start a supervisor in a process of its own."""
    started: list[subprocess.Popen[bytes]] = []

    def start(doing: str, *children: str, grace: float = 0.3) -> subprocess.Popen[bytes]:
        programs = [str(path) for path in (family.supervisor, family.child, family.marks)]
        argv = [sys.executable, *programs, doing, str(grace), *children]
        process = subprocess.Popen(
            argv, env=family.env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        started.append(process)
        return process

    yield start
    for process in started:
        with process:  # closes and waits
            process.kill()


# The supervisor ends, in one way or another


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
@pytest.mark.parametrize(("doing", "count"), [("watching", 4), ("working", 4), ("running a command", 6)])
def test_however_the_supervisor_is_stopped_nothing_is_left(
    family: Family, supervised: Callable[..., subprocess.Popen[bytes]], doing: str, count: int, signum: signal.Signals
) -> None:
    supervisor = supervised(doing, "follows", "follows+child=plain")
    assert family.has(count)
    supervisor.send_signal(signum)
    supervisor.wait(SECONDS)
    assert family.gone()


def test_a_stop_is_what_watching_returns_and_what_work_is_interrupted_by(
    family: Family, supervised: Callable[..., subprocess.Popen[bytes]]
) -> None:
    watching, working = supervised("watching", "follows"), supervised("working", "follows")
    assert family.has(4)
    watching.terminate()
    working.terminate()
    assert b"watched: 15" in watching.communicate()[0]
    working.communicate()
    assert (watching.returncode, working.returncode) == (0, 128 + signal.SIGTERM)


def test_an_exception_half_way_ends_what_was_started(
    family: Family, supervised: Callable[..., subprocess.Popen[bytes]]
) -> None:
    output, _ = supervised("failing", "follows", "plain", "stubborn").communicate(timeout=SECONDS)
    assert b"RuntimeError: half-way" in output
    assert len(family.pids()) == 4
    assert not family.alive(), "they are gone before the supervisor is"


def test_after_the_supervisor_is_killed_the_stubborn_are_killed_too(
    family: Family, supervised: Callable[..., subprocess.Popen[bytes]]
) -> None:
    supervisor = supervised("watching", "follows+stubborn", "follows+child=stubborn")
    assert family.has(4)
    supervisor.kill()
    assert family.gone()


def test_more_signals_do_not_cut_the_ending_short(
    family: Family, supervised: Callable[..., subprocess.Popen[bytes]]
) -> None:
    supervisor = supervised("working", "plain", "stubborn", grace=1.0)
    assert family.has(3)
    supervisor.send_signal(signal.SIGINT)
    assert family.asked()
    for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        supervisor.send_signal(signum)
    supervisor.communicate(timeout=SECONDS)
    assert supervisor.returncode == 128 + signal.SIGINT
    assert not family.alive()


def test_a_child_that_does_not_follow_does_not_hold_the_lifeline_of_others(
    family: Family, supervised: Callable[..., subprocess.Popen[bytes]]
) -> None:
    supervisor = supervised("watching", "plain", "follows", "plain")
    assert family.has(4)
    supervisor.kill()
    assert eventually(lambda: len(family.alive()) == 2)


# The supervisor's block is left


def test_leaving_ends_every_group_with_grandchildren_and_the_stubborn(family: Family, quick: None) -> None:
    with Supervisor() as supervisor:
        family.start(supervisor, "plain")
        family.start(supervisor, "stubborn")
        family.start(supervisor, "child=stubborn")
        family.start(supervisor, "stubborn", "child=plain,child=stubborn")
        assert family.has(7)
        assert len(supervisor.pids) == 4
    assert not supervisor.pids
    assert family.gone()


def test_groups_are_ended_in_reverse_order_and_nobody_else_is_signalled(
    family: Family, signalled: list[tuple[int, int]]
) -> None:
    with Supervisor() as supervisor:
        started = [family.start(supervisor, "plain", str(number)).pid for number in range(3)]
        assert supervisor.pids == started
        assert family.has(3)
    first_to_last = started[::-1]
    assert signalled == [(pid, signal.SIGTERM) for pid in first_to_last] + [(pid, 9) for pid in first_to_last]


def test_what_a_child_left_in_its_group_is_ended_though_the_child_is_gone(family: Family) -> None:
    with Supervisor() as supervisor:
        child = family.start(supervisor, "ends", "child=stubborn")
        assert family.has(2)
        assert eventually(lambda: child.exit_code == 3)
        assert len(family.alive()) == 1
    assert family.gone()


def test_a_number_that_is_no_longer_ours_is_not_signalled(family: Family, signalled: list[tuple[int, int]]) -> None:
    with Supervisor() as supervisor:
        child = family.start(supervisor, "ends")
        os.waitpid(child.pid, 0)  # somebody else reaps it: the number may be given away from now on
    assert signalled == []


def test_a_finished_command_is_not_signalled_again(family: Family, signalled: list[tuple[int, int]]) -> None:
    with Supervisor() as supervisor:
        supervisor.run("command", ["/bin/sh", "-c", "true"], env=family.env, log=family.log(), timeout=SECONDS)
        assert not supervisor.pids
        before = list(signalled)
    assert signalled == before


def test_a_stop_in_the_middle_of_a_start_loses_no_process(family: Family, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[subprocess.Popen[bytes]] = []
    real = subprocess.Popen

    def popen(*args: Any, **options: Any) -> subprocess.Popen[bytes]:
        started.append(real(*args, **options))
        signal.raise_signal(signal.SIGTERM)
        return started[0]

    monkeypatch.setattr(subprocess, "Popen", popen)
    with Supervisor() as supervisor:
        with pytest.raises(StopRequested):
            family.start(supervisor, "plain")
        assert supervisor.pids == [started[0].pid]
    assert started[0].returncode is not None


def test_a_stop_before_the_first_statement_of_the_ending_loses_no_process(family: Family) -> None:
    def on_call(frame: Any, event: str, _: object) -> None:
        if event == "call" and frame.f_code is Supervisor.__exit__.__code__:
            sys.setprofile(None)
            signal.raise_signal(signal.SIGINT)

    def start_and_leave() -> None:
        with supervisor:
            family.start(supervisor, "plain")
            pids.extend(supervisor.pids)
            sys.setprofile(on_call)

    supervisor, pids = Supervisor(), list[int]()
    with pytest.raises(StopRequested):
        start_and_leave()
    assert not is_alive(pids[0])
    assert not supervisor.pids


def test_everything_the_supervisor_opened_is_closed(family: Family) -> None:
    gc.collect()  # what others have left open is not to be closed in between
    before = sorted(Path("/dev/fd").iterdir())
    with Supervisor() as supervisor:
        family.start(supervisor, "plain")
    assert sorted(Path("/dev/fd").iterdir()) == before


def test_a_child_sees_no_interrupt_of_the_terminal(family: Family) -> None:
    with Supervisor() as supervisor:
        child = family.start(supervisor, "plain")
        assert (os.getsid(child.pid), os.getpgid(child.pid)) == (child.pid, child.pid)


# Commands


def test_a_command_gets_its_environment_and_folder_and_its_output_goes_to_the_log(family: Family) -> None:
    with Supervisor() as supervisor:
        supervisor.run(
            "command",
            ["/bin/sh", "-c", 'echo "$GIVEN$HOME"; pwd; read line || echo "no input" >&2'],
            env={"GIVEN": "this alone"},
            log=family.log("new/folder.log"),
            timeout=SECONDS,
            cwd=family.marks,
        )
    assert family.log("new/folder.log").read_text() == f"this alone\n{family.marks}\nno input\n"


def test_a_command_that_fails_is_told_with_its_code_and_the_end_of_its_log(family: Family) -> None:
    script = "for i in $(seq 100); do echo line $i; done; exit 7"
    with Supervisor() as supervisor, pytest.raises(CommandFailed) as failed:
        supervisor.run("sam build", ["/bin/sh", "-c", script], env=family.env, log=family.log(), timeout=SECONDS)
    error = failed.value
    assert (error.name, error.exit_code, error.log) == ("sam build", 7, family.log())
    assert error.tail.splitlines() == [f"line {number}" for number in range(81, 101)]
    assert f"sam build failed with exit code 7. The end of {family.log()}:\n    line 81\n" in str(error)


def test_a_command_that_removed_its_log_is_told_without_it(family: Family) -> None:
    argv = ["/bin/sh", "-c", 'rm "$0"; exit 1', str(family.log())]
    with Supervisor() as supervisor, pytest.raises(CommandFailed, match=r"exit code 1\. The end of .*: \(empty\)$"):
        supervisor.run("clean", argv, env=family.env, log=family.log(), timeout=SECONDS)


@pytest.mark.parametrize(
    ("argv", "exit_code"), [(["/bin/sh", "-c", "kill -9 $$"], 128 + 9), (["/no/such/command"], 127)]
)
def test_a_command_that_did_not_end_by_itself_fails(family: Family, argv: list[str], exit_code: int) -> None:
    with Supervisor() as supervisor, pytest.raises(CommandFailed) as failed:
        supervisor.run("command", argv, env=family.env, log=family.log(), timeout=SECONDS)
    assert failed.value.exit_code == exit_code


def test_a_command_that_takes_too_long_is_ended_with_all_that_it_started(
    family: Family, quick: None, late_when: Callable[[Callable[[], bool]], None]
) -> None:
    argv = family.argv("stubborn", "child=stubborn")
    late_when(lambda: len(family.pids()) == 2)
    with Supervisor() as supervisor:
        with pytest.raises(CommandFailed, match=r"did not finish within 60 s") as failed:
            supervisor.run("command", argv, env=family.env, log=family.log(), timeout=60)
        assert failed.value.exit_code is None
        assert len(family.pids()) == 2
        assert family.gone()


def test_a_command_that_is_ended_gets_the_time_to_tidy_up(
    family: Family, late_when: Callable[[Callable[[], bool]], None]
) -> None:
    late_when(lambda: len(family.pids()) == 1)
    with Supervisor() as supervisor, pytest.raises(CommandFailed):
        supervisor.run("command", family.argv("tidy"), env=family.env, log=family.log(), timeout=60)
    assert [mark.suffix for mark in family.marks.glob("*.*")] == [".tidied"]


# Readiness and watching


def test_readiness_is_what_the_probe_says(family: Family) -> None:
    answers: list[OSError | bool] = [ConnectionRefusedError(), False, TimeoutError(), True]

    def probe() -> bool:
        answer = answers.pop(0)
        if isinstance(answer, OSError):
            raise answer
        return answer

    with Supervisor() as supervisor:
        supervisor.wait_until_ready(family.start(supervisor, "plain"), probe, SECONDS)
    assert not answers


def test_a_process_that_ends_instead_of_getting_ready_is_told_at_once(family: Family) -> None:
    with Supervisor() as supervisor:
        argv = ["/bin/sh", "-c", "echo the reason; exit 4"]
        process = supervisor.start("emulator", argv, env=family.env, log=family.log())
        with pytest.raises(ProcessEnded, match=r"emulator ended with exit code 4.*\n    the reason$"):
            supervisor.wait_until_ready(process, lambda: False, SECONDS)


def test_a_process_that_does_not_get_ready_is_told_when_the_time_is_up(family: Family) -> None:
    with Supervisor() as supervisor:
        process = family.start(supervisor, "plain")
        with pytest.raises(ProcessNotReady, match=r"was not ready within 0.1 s. The end of .*: \(empty\)"):
            supervisor.wait_until_ready(process, lambda: False, 0.1)


def test_a_mistake_in_a_probe_is_not_taken_for_not_ready(family: Family) -> None:
    with Supervisor() as supervisor, pytest.raises(ZeroDivisionError):
        supervisor.wait_until_ready(family.start(supervisor, "plain"), lambda: 1 // 0 == 1, SECONDS)


def test_watching_tells_which_process_ended(family: Family) -> None:
    with Supervisor() as supervisor:
        family.start(supervisor, "plain")
        family.start(supervisor, "ends")
        ended = supervisor.watch()
    assert isinstance(ended, ProcessEnded)
    assert (ended.name, str(ended).splitlines()[0][:29]) == ("ends", "ends ended with exit code 3. ")


def test_a_program_that_does_not_exist_cannot_be_started(family: Family) -> None:
    with Supervisor() as supervisor:
        with pytest.raises(FileNotFoundError):
            supervisor.start("none", ["/no/such/program"], env=family.env, log=family.log())
        assert not supervisor.pids


# The child's side


def test_a_process_that_leads_no_group_ends_alone(family: Family) -> None:
    leader = ["/bin/sh", "-c", '"$@"; echo "the child ended with $?"', "sh", *family.argv("follows")]
    with subprocess.Popen(
        leader, env=family.env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
    ) as process:
        assert family.has(1)
        output, _ = process.communicate(b"what comes through the pipe means nothing", SECONDS)
        assert output == b"the child ended with %d\n" % (128 + signal.SIGTERM)


@pytest.mark.parametrize("stdin", ["/dev/null", "closed"])
def test_without_a_pipe_there_is_nothing_to_follow(family: Family, stdin: str) -> None:
    count = (
        "import threading; from local.lifeline import follow_parent; follow_parent(); print(threading.active_count())"
    )
    redirect = "<&-" if stdin == "closed" else "</dev/null"
    output = subprocess.run(
        ["/bin/sh", "-c", f'exec "$0" -c "$1" {redirect}', sys.executable, count],
        env=family.env,
        capture_output=True,
        timeout=SECONDS,
        check=True,
    )
    assert output.stdout == b"1\n"


def test_both_sides_wait_equally_long() -> None:
    assert processes.GRACE_SECONDS == lifeline.GRACE_SECONDS == 5
