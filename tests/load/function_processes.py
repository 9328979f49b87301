"""The function processes of one stack, as the operating system has them.

Owns which processes these are: descendants of this very process, that the stack's own emulator runs for a function of
the stack. No others are ever returned, and so no others are killed.
"""

from collections.abc import Mapping
from typing import NamedTuple

import psutil


class RunningFunction(NamedTuple):
    """A `FunctionProcess`. psutil does not signal a number that has become somebody else's."""

    process: psutil.Process
    function: str

    @property
    def pid(self) -> int:
        """See `FunctionProcess.pid`."""
        return int(self.process.pid)

    def cpu_seconds(self) -> float:
        """See `FunctionProcess.cpu_seconds`."""
        try:
            times = self.process.cpu_times()
        except psutil.Error:
            return 0.0
        return float(times.user + times.system)

    def kill(self) -> bool:
        """See `FunctionProcess.kill`."""
        try:
            self.process.kill()
        except psutil.Error:
            return False
        return True


def running_functions(endpoint_url: str, functions: Mapping[str, str]) -> list[RunningFunction]:
    """Return the processes that run these functions against this account. `functions`: what each deployed name is."""
    found = []
    for process in psutil.Process().children(recursive=True):
        try:
            environment = process.environ()
        except psutil.Error:
            continue  # it has ended
        function = functions.get(environment.get("AWS_LAMBDA_FUNCTION_NAME", ""))
        if function is not None and environment.get("AWS_ENDPOINT_URL") == endpoint_url:
            found.append(RunningFunction(process, function))
    return found
