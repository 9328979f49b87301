"""What the operators' programs do alike: read make's variables, say what is wrong, end with an exit code.

Owns the codes: 0 everything was done, 1 it was not, 2 the command was wrong, 128 + n it was stopped by signal n. Of an
error of AWS it says the operation and the code, and never the text.
"""

import os
import signal
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from botocore.exceptions import BotoCoreError, ClientError

from gatehouse.event_log import LogUnavailable
from gatehouse.problems import ConnectionsUnavailable
from local.stop_signals import StopRequested, StopSignals
from ops.deployment import LOCAL, Deployment, NoDeployment

DONE, NOT_DONE, WRONG = 0, 1, 2

AWS_ERRORS = (BotoCoreError, ClientError, LogUnavailable, ConnectionsUnavailable)

_YES, _NO = ("1", "yes", "true", "on"), ("", "0", "no", "false", "off")

OpenDeployment = Callable[[str], Deployment]


class WrongUsage(Exception):
    """The variables cannot be used. The text has one line for each fault."""


@dataclass(frozen=True, slots=True)
class Variables:
    """The variables of a make target, as make hands them over. Faults are collected, so that all are said at once."""

    environment: Mapping[str, str]
    faults: list[str] = field(default_factory=list)

    @property
    def stage(self) -> str:
        """The stage to work on."""
        return self.text("OPS_STAGE") or LOCAL

    def text(self, name: str) -> str:
        """Return a variable, empty where it is not set."""
        return self.environment.get(name, "").strip()

    def required(self, name: str, meaning: str) -> str:
        """Return a variable that must be set."""
        if not (value := self.text(name)):
            self.faults.append(f"{name} is missing: {meaning}.")
        return value

    def flag(self, name: str) -> bool:
        """Return a yes or no. What is neither is a fault: a DRY_RUN=ye that publishes would be worse."""
        value = self.text(name).lower()
        if value not in (*_YES, *_NO):
            self.faults.append(f"{name} is either 1 or left out.")
        return value in _YES

    def count(self, name: str) -> int | None:
        """Return a number from 1 on, None where it is not set."""
        if not (value := self.text(name)):
            return None
        if not (value.isascii() and value.isdecimal() and int(value) > 0):
            self.faults.append(f"{name} is a whole number from 1 on.")
            return None
        return int(value)

    def check(self) -> None:
        """Raise WrongUsage if there are faults."""
        if self.faults:
            raise WrongUsage("\n".join(self.faults))


def run(usage: str, work: Callable[[], int]) -> int:
    """Do the work and return its exit code, or that of the known error that ended it, which is said on stderr."""
    try:
        exit_code = _run(usage, work)
        sys.stdout.flush()
    except BrokenPipeError:
        # Whoever read our lines has gone, as `head` does. Not even Python's own flush at the end may say more.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 128 + signal.SIGPIPE
    return exit_code


def _run(usage: str, work: Callable[[], int]) -> int:
    try:
        with StopSignals():
            return work()
    except WrongUsage as error:
        return _say(f"{error}\n\nUsage: {usage}", WRONG)
    except NoDeployment as error:
        return _say(str(error), NOT_DONE)
    except AWS_ERRORS as error:
        return _say(f"AWS did not do it: {describe(error)}.", NOT_DONE)
    except StopRequested as stop:
        return _say("Stopped.", stop.exit_code)


def describe(error: Exception) -> str:
    """Return what an AWS error says of itself, such as its operation and code; its text may quote anything."""
    if isinstance(error, (LogUnavailable, ConnectionsUnavailable)):
        return error.reason
    if isinstance(error, ClientError):
        return f"{error.operation_name}, {error.response.get('Error', {}).get('Code', 'ClientError')}"
    return type(error).__name__


def _say(text: str, exit_code: int) -> int:
    sys.stdout.flush()
    print(text, file=sys.stderr)
    return exit_code
