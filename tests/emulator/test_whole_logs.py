import os
import queue
import subprocess
import sys

from local.emulator.patches.whole_logs import _Pipe
from tests.emulator.emulators import ROOT, Emulator

# A run has ended; the thread that reads its lines is late with the last one.
LATE = """
import threading
from ministack.core.lambda_runtime import ProvidedWorker
worker = ProvidedWorker("late", {}, b"")
worker._stderr_queue.put("first")
threading.Timer(1, worker._stderr_queue.put, ["last"]).start()
print(worker._drain_stderr_bounded())
"""

# The same with all patches: the thread is asleep when the lines come.
ASLEEP = """
import os, threading, time
from pathlib import Path
from types import SimpleNamespace
from ministack.core.lambda_runtime import ProvidedWorker
from local.emulator.patches import whole_logs
from local.emulator.patching import apply_all
from local.emulator.settings import Settings
apply_all(Settings(aws_port=1, api_port=2, functions_python=Path("/python")))
asleep = threading.Event()
sleeping = SimpleNamespace(register=lambda *_: None, poll=lambda: asleep.set() or time.sleep(60))
whole_logs.select = SimpleNamespace(poll=lambda: sleeping, POLLIN=1)
worker = ProvidedWorker("late", {}, b"")
end, other_end = os.pipe()
pump = (os.fdopen(end, "rb"), worker._stderr_queue)
threading.Thread(target=worker._pump_output, args=pump, daemon=True).start()
print(asleep.wait(20))
os.write(other_end, b"first\\nlast\\n")
print(worker._drain_stderr_bounded())
"""

LOGS = """
import time

def handler(event, context):
    print("first", event)
    time.sleep(0.01)
    print("last", event)
"""


def printed(program: str) -> list[str]:
    finished = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    return finished.stdout.splitlines()


def test_is_still_needed_a_line_that_is_late_is_not_waited_for() -> None:
    assert printed(LATE) == ["first"]


def test_lines_that_nobody_has_read_yet_are_read_when_the_run_has_ended() -> None:
    assert printed(ASLEEP) == ["True", "first", "last"]


def test_what_is_in_the_pipe_is_read_without_waiting_for_more() -> None:
    end, other_end = os.pipe()
    lines: queue.Queue[str] = queue.Queue(maxsize=3)
    pipe = _Pipe(end, lines)
    assert not pipe.read()
    os.write(other_end, b"lost\nfirst\r\nsec")
    assert not pipe.read()
    os.write(other_end, b"ond\n\xff third")
    assert not pipe.read()
    os.close(other_end)
    assert pipe.read()
    os.close(end)
    assert pipe.read(), "and nobody else's, who has the number now"
    assert [lines.get_nowait() for _ in range(3)] == ["first", "second", "\ufffd third"]


def test_the_last_line_of_a_run_is_there_when_it_has_ended(patched: Emulator) -> None:
    patched.function("logs", LOGS)
    for number in range(20):
        patched.invoke("logs", number)
        events = patched.client("logs").filter_log_events(logGroupName="/aws/lambda/logs")["events"]
        assert f"last {number}" in [event["message"] for event in events]
