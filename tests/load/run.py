"""One load run: a stack of its own, locust's senders, kills meanwhile, and what was seen afterwards.

Owns the order of these. Everything that it starts belongs to the supervisor, and everything listens on loopback.
"""

import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from local.bus_tap import BusTap
from local.invoke import function_name
from local.options import Options
from local.paths import ROOT
from local.ports import free_block
from local.processes import Process, Supervisor
from local.stack import LocalStack, report_to_terminal
from local.stack_file import StackFile
from tests.load.accounting import Attempt, Observed
from tests.load.function_processes import running_functions
from tests.load.kills import Kill, Killer, moments
from tests.load.observation import Observer
from tests.load.plan import secrets
from tests.load.settings import Settings

LOCUSTFILE: Final = Path(__file__).with_name("locustfile.py")
KILLED: Final = ("receive_webhook", "process_webhook")
LOOK_SECONDS: Final = 0.1
VISIBILITY_SECONDS: Final = 30
REST_SECONDS: Final = 5 * VISIBILITY_SECONDS + 90
"""What is poisoned is set aside after five receives. What was killed at the very end comes back within that time."""


class Outcome(NamedTuple):
    """What happened."""

    observed: Observed
    kills: list[Kill]
    depths: list[tuple[float, int]]  # seconds since the run began, messages on the queue


def run(supervisor: Supervisor, settings: Settings, folder: Path, console: Console) -> Outcome:
    """Bring a stack up, send the plan, and look. Raises what starting a stack raises."""
    options = Options(
        ports=free_block(),
        # No tick but the first: it would only be in the way.
        parameters={"RefreshRate": "rate(59 minutes)", "WebhookVisibilitySeconds": str(VISIBILITY_SECONDS)},
        secrets=secrets(),
    )
    stack = LocalStack(options, folder / "stack", report_to_terminal).start(supervisor)
    with BusTap.open(stack.endpoint, stack.outputs["EventBusName"]) as tap:
        sending = _Sending(supervisor, settings, folder, stack, tap)
        sending.watch(console)
        console.print("Waiting for the queue to come to rest …")
        return sending.outcome()


class _Sending:
    """Locust at work, and what is done meanwhile."""

    def __init__(self, supervisor: Supervisor, settings: Settings, folder: Path, stack: StackFile, tap: BusTap) -> None:
        self._settings = settings
        self._observer = Observer.of(stack, tap)
        deployed = {function_name(stack.outputs, name) or name: name for name in KILLED}
        self._killer = Killer(
            lambda: running_functions(stack.aws_endpoint_url, deployed),
            KILLED,
            moments(settings.kills, settings.count),
        )
        self._attempts = _Growing(folder / "attempts.jsonl")
        self._began = time.monotonic()
        self._depths: list[tuple[float, int]] = []
        self._locust = _start_locust(supervisor, settings, folder, stack, self._began)

    def watch(self, console: Console) -> None:
        """Kill, look at the queue and show progress until locust is through."""
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        with Progress(*columns, console=console) as progress:
            bar = progress.add_task("Sending", total=self._settings.count)
            while self._locust.exit_code is None:
                self._attempts.read()
                at = time.monotonic() - self._began
                self._killer.step(self._attempts.deliveries, at)
                if not self._depths or at - self._depths[-1][0] >= 1:
                    self._depths.append((at, self._observer.on_queue()))
                killed = f"Sending, {len(self._killer.kills)} processes killed"
                progress.update(bar, completed=self._attempts.deliveries, description=killed)
                time.sleep(LOOK_SECONDS)
            self._attempts.read()
            progress.update(bar, completed=self._attempts.deliveries)

    def outcome(self) -> Outcome:
        """Wait until nothing moves, and look."""
        observer = self._observer
        left = observer.wait_until_rest(REST_SECONDS)
        observed = Observed(
            attempts=self._attempts.read(),
            entries=observer.entries(),
            event_ids=observer.event_ids,
            dead_letters=observer.dead_letters(),
            left_on_queue=left,
        )
        return Outcome(observed, self._killer.kills, self._depths)


class _Growing:
    """The file in which locust writes its attempts down, as far as it has got."""

    def __init__(self, path: Path) -> None:
        path.unlink(missing_ok=True)
        path.touch()
        self.path = path
        self._file = path.open(encoding="utf-8")
        self._attempts: list[Attempt] = []
        self._numbers: set[int] = set()

    @property
    def deliveries(self) -> int:
        """How many deliveries were sent at least once."""
        return len(self._numbers)

    def read(self) -> list[Attempt]:
        """Read on, and return all attempts so far."""
        for line in self._lines():
            attempt = Attempt.parse(line)
            self._attempts.append(attempt)
            self._numbers.add(attempt.number)
        return self._attempts

    def _lines(self) -> Iterator[str]:
        """Yield the lines that are whole."""
        while True:
            place = self._file.tell()
            line = self._file.readline()
            if not line.endswith("\n"):
                self._file.seek(place)
                return
            yield line


def _start_locust(supervisor: Supervisor, settings: Settings, folder: Path, stack: StackFile, began: float) -> Process:
    environment = {name: os.environ[name] for name in ("HOME", "LANG", "LC_ALL", "PATH") if name in os.environ}
    environment |= {
        "PYTHONPATH": str(ROOT),
        "PYTHONDONTWRITEBYTECODE": "1",
        "LOAD_COUNT": str(settings.count),
        "LOAD_SEED": str(settings.seed),
        "LOAD_BEGAN": repr(began),
        "LOAD_ATTEMPTS": str(folder / "attempts.jsonl"),
        "LOAD_AWS_URL": stack.aws_endpoint_url,
        "LOAD_QUEUE_URL": stack.outputs["WebhookQueueUrl"],
    }
    users = str(settings.users)
    argv = [sys.executable, "-m", "locust", "-f", str(LOCUSTFILE), "--headless", "--host", stack.api_url]
    argv += ["--users", users, "--spawn-rate", users, "--run-time", f"{settings.send_seconds}s"]
    argv += ["--only-summary", "--exit-code-on-error", "0", "--loglevel", "WARNING"]
    return supervisor.start("locust", argv, env=environment, log=folder / "locust.log", cwd=ROOT)
