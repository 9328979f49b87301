"""One environment's life: a process is started, initialises, answers its first event and then many more.

Owns the process and the moments. The function's process runs on a core of its own where there are two.
"""

import contextlib
import json
import os
import re
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from bench.runtime_api import FunctionFailed, RuntimeApi
from bench.stand_ins import StandIns
from bench.subjects import Subject, environment
from local.paths import FUNCTIONS_PYTHON

END_SECONDS = 10


class Sample(NamedTuple):
    """What was seen of one process."""

    init_seconds: float  # from its start until it asks for an event
    first_seconds: float  # from its start until its first answer is there
    warm_seconds: tuple[float, ...]  # of each further invocation
    memory_bytes: int  # the most that it ever had in memory
    waiting_share: float  # of its life: for how much of it, it or the bench could have run and had no core


def measure(subject: Subject, stand_ins: StandIns, *, warm: int) -> Sample:
    """Start the function, invoke it `warm` times after the first, and end it. Raises FunctionFailed."""
    event = json.dumps(subject.event).encode()
    with RuntimeApi() as api:
        bench_waited = _waited_seconds(os.getpid())
        started_at = time.perf_counter()
        with _process(subject, environment(subject, api.address, stand_ins)) as process:
            initialised_at = api.wait_initialised()
            first = last = api.invoke(event)
            warm_seconds = []
            for _ in range(warm):
                api.wait_initialised()  # it asks for the next event
                last = api.invoke(event)
                warm_seconds.append(last.seconds)
            for answered in (first, last):
                _check(subject, answered.body)
            memory = _peak_memory(process.pid)
            waited = _waited_seconds(process.pid) + _waited_seconds(os.getpid()) - bench_waited
            share = waited / (time.perf_counter() - started_at)
    return Sample(initialised_at - started_at, first.received_at - started_at, tuple(warm_seconds), memory, share)


@contextmanager
def _process(subject: Subject, variables: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {cores[-1]})  # this thread's, so that the child inherits it
    try:
        process = subprocess.Popen(
            [str(FUNCTIONS_PYTHON), "-m", "awslambdaric", "app.handler"],
            env=variables,
            cwd=subject.code,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
    finally:
        os.sched_setaffinity(0, set(cores[:-1] or cores))
    try:
        yield process
    finally:
        os.sched_setaffinity(0, set(cores))
        process.kill()
        process.wait(END_SECONDS)


def _check(subject: Subject, body: bytes) -> None:
    answer = json.loads(body)
    if answer.get("statusCode") != subject.status or subject.expected not in answer.get("body", ""):
        raise FunctionFailed(f"{subject.name} answered {answer.get('statusCode')}")


def _peak_memory(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    found = re.search(r"^VmHWM:\s+(\d+) kB$", status, flags=re.MULTILINE)
    if found is None:
        raise FunctionFailed("its memory cannot be read")
    return int(found[1]) * 1024


def _waited_seconds(pid: int) -> float:
    """Return for how long a process's threads were ready to run and waited for a core.

    https://docs.kernel.org/scheduler/sched-stats.html
    """
    waited = 0
    for task in Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(OSError):  # the thread has ended
            waited += int((task / "schedstat").read_text(encoding="ascii").split()[1])
    return waited / 1e9
