"""However the emulator ends, nothing of it stays."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from local.emulator import settings
from local.ports import free_block
from tests.emulator.emulators import ROOT, Emulator, environment, eventually

PID = "import os, time\ndef handler(event, context):\n    time.sleep(event['seconds'])\n    return os.getpid()\n"
END_SECONDS = 30.0  # an end takes a tenth of a second; this is for a machine with much else to do
LONG_SECONDS = 60  # of what would still be under way if an end waited for it
# Starts an emulator as its parent would, says its process id, and stays.
PARENT = """
import os, subprocess, sys, time
child = subprocess.Popen(
    [sys.executable, "-m", "local.emulator"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, start_new_session=True
)
print(child.pid, flush=True)
time.sleep(60)
"""


def _is_alive(pid: int) -> bool:
    """Whether a process is there and no zombie."""
    state = subprocess.run(["/bin/ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return bool(state.stdout.strip()) and not state.stdout.strip().startswith("Z")


def _are_gone(*pids: int) -> bool:
    return eventually(lambda: not any(_is_alive(pid) for pid in pids), END_SECONDS)


@pytest.fixture
def emulator(tmp_path: Path) -> Iterator[Emulator]:
    with Emulator.start(tmp_path) as running:
        yield running


def _function_process(emulator: Emulator) -> int:
    emulator.function("pid", PID)
    pid = emulator.invoke("pid", {"seconds": 0})["payload"]
    assert isinstance(pid, int)
    assert _is_alive(pid)
    return pid


def test_before_an_api_is_deployed_its_address_answers_503(tmp_path: Path) -> None:
    with Emulator.start(tmp_path) as emulator:
        assert emulator.call_api("GET", "/v1/tokens/guest").status == 503


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_it_with_its_functions_and_files(
    emulator: Emulator, tmp_path: Path, signum: signal.Signals
) -> None:
    function = _function_process(emulator)
    assert emulator.process
    emulator.process.send_signal(signum)
    assert emulator.process.wait(END_SECONDS) == 0
    assert _are_gone(function)
    assert [path.name for path in tmp_path.iterdir()] == ["emulator.log"]


def test_a_signal_stops_it_also_while_a_function_runs_and_a_request_waits(emulator: Emulator, tmp_path: Path) -> None:
    function = _function_process(emulator)
    seconds = json.dumps({"seconds": LONG_SECONDS})
    emulator.client("lambda").invoke(FunctionName="pid", InvocationType="Event", Payload=seconds)
    queue = emulator.client("sqs").create_queue(QueueName="empty")["QueueUrl"]
    with ThreadPoolExecutor() as pool:
        waiting = pool.submit(emulator.client("sqs").receive_message, QueueUrl=queue, WaitTimeSeconds=20)
        assert emulator.process
        emulator.process.terminate()
        assert emulator.process.wait(END_SECONDS) == 0
        assert waiting.exception()
    assert _are_gone(function)


def test_it_ends_with_its_functions_when_its_parent_is_killed(tmp_path: Path) -> None:
    ports = free_block()
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT], cwd=ROOT, env=environment(ports, tmp_path), stdout=subprocess.PIPE, text=True
    )
    assert parent.stdout
    with parent.stdout:
        child = int(parent.stdout.readline())
    with Emulator(ports, tmp_path) as emulator:
        assert eventually(emulator.is_ready)
        function = _function_process(emulator)
        parent.kill()
        parent.wait()
    assert _are_gone(child, function)


def test_wrong_settings_are_said_and_end_it(tmp_path: Path) -> None:
    given = environment(free_block(), tmp_path, ["no-such-patch"]) | {settings.AWS_PORT: "0"}
    ended = subprocess.run(
        [sys.executable, "-m", "local.emulator"], cwd=ROOT, env=given, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 2
    assert "GATEHOUSE_AWS_PORT" in ended.stderr
    assert "no-such-patch" in ended.stderr
