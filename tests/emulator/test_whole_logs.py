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

LOGS = """
import time

def handler(event, context):
    print("first", event)
    time.sleep(0.01)
    print("last", event)
"""


def test_is_still_needed_a_line_that_is_late_is_not_waited_for() -> None:
    finished = subprocess.run([sys.executable, "-c", LATE], cwd=ROOT, capture_output=True, text=True, check=True)
    assert finished.stdout == "first\n"


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
