"""`make run` as a whole: it says what is wrong, and leaves nothing behind however it ends."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import urllib3

from local.paths import ROOT, STATE
from local.ports import Ports, free_block
from local.stack_file import NoStack, StackFile

START_SECONDS = 300  # others may build and deploy first, one after another
STOP_SECONDS = 15


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def until(condition: Callable[[], bool], seconds: float, what: str) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.05)


def listening(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


class Run:
    """One `make run`, or the program behind it."""

    def __init__(self, argv: list[str], ports: Ports, log: Path) -> None:
        self.ports = ports
        self.log = log
        with log.open("wb") as output:
            self.process = subprocess.Popen(
                argv,
                cwd=ROOT,
                env={**os.environ, "PORT": str(ports.base), "CORS_ORIGINS": "https://app.example.com"},
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def says(self, text: str) -> bool:
        assert self.process.poll() is None or text in self.log.read_text(), self.log.read_text()
        return text in self.log.read_text()

    def ready(self) -> dict[str, Any]:
        until(lambda: self.says("Ready."), START_SECONDS, "never ready")
        document: dict[str, Any] = json.loads((STATE / "stack.json").read_text())
        return document

    def gone(self, pids: list[int]) -> None:
        self.process.wait(STOP_SECONDS)
        until(lambda: not any(map(alive, pids)), STOP_SECONDS, "a process was left behind")
        until(lambda: not any(map(listening, (self.ports.api, self.ports.aws, self.ports.oidc))), 5, "a port is in use")


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[[list[str]], Run]]:
    runs: list[Run] = []

    def _start(argv: list[str]) -> Run:
        runs.append(Run(argv, free_block(), tmp_path / f"run-{len(runs)}.log"))
        return runs[-1]

    yield _start
    for run in runs:
        if run.process.poll() is None:
            run.process.terminate()
            run.process.wait(STOP_SECONDS)


def is_told_of(document: dict[str, Any]) -> bool:
    """Whether it is the run that other programs find: somebody else's may be up in the same checkout."""
    try:
        return StackFile.read() == StackFile(**document)
    except NoStack:
        return False


PROGRAM = [sys.executable, "-m", "local"]


def serve_once(document: dict[str, Any]) -> None:
    """Make a function process, so that there is one to leave behind."""
    with urllib3.PoolManager(retries=False, timeout=30) as http:
        assert http.request("POST", f"{document['api_url']}/v1/tokens/guest").status == 200


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_stops_everything(start: Callable[[list[str]], Run], signum: signal.Signals) -> None:
    run = start(PROGRAM)
    document = run.ready()
    assert is_told_of(document)
    serve_once(document)
    run.process.send_signal(signum)
    run.gone(document["pids"])
    assert run.process.returncode == 0
    assert "Stopped." in run.log.read_text()
    assert not is_told_of(document)


def test_make_run_ends_with_its_make(start: Callable[[list[str]], Run]) -> None:
    run = start(["make", "run"])
    document = run.ready()
    serve_once(document)
    run.process.terminate()
    run.gone(document["pids"])


def test_nothing_is_left_when_the_program_is_killed_outright(start: Callable[[list[str]], Run]) -> None:
    run = start(PROGRAM)
    document = run.ready()
    serve_once(document)
    run.process.kill()
    run.gone(document["pids"])
    # What it could not remove itself would be taken for a run again, once another process has its number.
    StackFile(**document).remove()


def test_nothing_is_left_when_it_is_stopped_half_way(start: Callable[[list[str]], Run]) -> None:
    run = start(PROGRAM)
    until(lambda: listening(run.ports.aws), START_SECONDS, "the emulator never came up")
    run.process.terminate()
    run.gone([])
    assert run.process.returncode == 128 + signal.SIGTERM


def test_when_a_part_dies_the_rest_ends_and_it_is_said(start: Callable[[list[str]], Run]) -> None:
    run = start(PROGRAM)
    document = run.ready()
    os.kill(document["pids"][-1], signal.SIGKILL)
    run.gone(document["pids"])
    assert run.process.returncode == 1
    assert "ended with exit code -9" in run.log.read_text()


def test_a_port_that_is_taken_is_named_before_anything_starts(tmp_path: Path) -> None:
    ports = free_block()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", ports.aws))
        taken.listen()
        run = Run(PROGRAM, ports, tmp_path / "run.log")
        assert run.process.wait(START_SECONDS) == 1
    said = run.log.read_text()
    assert str(ports.aws) in said
    assert "make run PORT=" in said
    assert "Traceback" not in said


@pytest.mark.parametrize(
    ("variables", "said"),
    [({"PORT": "x"}, "PORT is not a number"), ({"PARAMETERS": "TokenLifetimeSeconds=soon"}, "sam deploy failed")],
)
def test_what_cannot_be_is_said_without_a_traceback(tmp_path: Path, variables: dict[str, str], said: str) -> None:
    environment = {**os.environ, "PORT": str(free_block().base), **variables}
    finished = subprocess.run(
        PROGRAM, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=START_SECONDS, check=False
    )
    assert finished.returncode == 1
    assert said in finished.stderr
    assert "Traceback" not in finished.stderr


@pytest.mark.parametrize("target", ["run", "test", "check", "build"])
def test_without_python_3_13_make_says_what_is_missing(tmp_path: Path, target: str) -> None:
    shutil.copy(ROOT / "Makefile", tmp_path)
    shutil.copytree(ROOT / "requirements", tmp_path / "requirements")
    finished = subprocess.run(
        ["make", target, "PYTHON=/bin/false"], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
    )
    assert finished.returncode != 0
    assert "Gatehouse needs Python 3.13" in finished.stdout
    assert "Traceback" not in finished.stdout + finished.stderr


def test_make_help_lists_every_target_that_has_a_purpose() -> None:
    finished = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True)
    for target in ("run", "test", "check", "build", "invoke", "deploy", "clean"):
        assert f"make {target} " in finished.stdout
