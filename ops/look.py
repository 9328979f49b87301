"""What a check may look at: a deployment's services, an HTTP transport, a clock.

Owns running checks side by side, and that each of them ends: in its finding, or in what kept it from one. A check's
errors are shown by operation and code, or by type and place, and never with their text.
"""

import re
import threading
import time
from collections.abc import Callable, Mapping
from queue import Empty, SimpleQueue
from types import TracebackType
from typing import Any, Final, Self

from botocore.exceptions import ClientError

from gatehouse.http import locations
from gatehouse.upstream import Transport
from ops.deployment import LOCAL, Deployment, NoDeployment
from ops.findings import Finding, problem, unknown
from ops.program import AWS_ERRORS, describe
from ops.stored_secret import StoredSecret

NOT_EMULATED: Final = {"InvalidAction", "UnknownOperationException", "NotImplemented", "NotImplementedError"}
"""What the emulator answers to an operation that it does not have."""


REFUSED: Final = re.compile("AccessDenied|NotAuthorized|Unauthorized")
"""AWS's several words for what the credentials may not do."""


class Look:
    """One look at a deployment, for several checks at once."""

    def __init__(self, deployment: Deployment, transport: Transport, clock: Callable[[], float]) -> None:
        """`clock` returns epoch seconds."""
        self.deployment = deployment
        self.transport = transport
        self.clock = clock
        self._clients: dict[str, Any] = {}
        self._making = threading.Lock()  # a session makes one client at a time

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for client in self._clients.values():
            client.close()

    @property
    def is_local(self) -> bool:
        """Whether it is the stack of `make run`."""
        return self.deployment.stage == LOCAL

    def client(self, service: str) -> Any:  # noqa: ANN401 - a client of any service
        """Return a client, the same for all."""
        with self._making:
            if service not in self._clients:
                self._clients[service] = self.deployment.client(service)
            return self._clients[service]

    def secret(self, output: str) -> StoredSecret:
        """Read the secret that an output of the stack names. Raises botocore's errors."""
        return StoredSecret.read(self.client("secretsmanager"), self.deployment.output(output))

    def resources(self, kind: str) -> list[str]:
        """Return the physical ids of the stack's resources of a type, such as `AWS::Events::Rule`."""
        pages = self.client("cloudformation").get_paginator("list_stack_resources")
        return [
            resource["PhysicalResourceId"]
            for page in pages.paginate(StackName=self.deployment.stack_name)
            for resource in page["StackResourceSummaries"]
            if resource["ResourceType"] == kind and "PhysicalResourceId" in resource
        ]

    def command(self, target: str) -> str:
        """Return the command of make for this deployment."""
        return f"make {target}" + ("" if self.is_local else f" STAGE={self.deployment.stage}")


Check = Callable[[Look], Finding]


def run_checks(checks: Mapping[str, Check], look: Look, seconds: float) -> dict[str, Finding]:
    """Run all checks at once and return what they find, in the checks' order.

    One that takes longer than `seconds` is left to itself: its thread ends with the program.
    """
    found: SimpleQueue[tuple[str, Finding]] = SimpleQueue()
    for name, check in checks.items():
        threading.Thread(target=lambda *args: found.put(_one(*args)), args=(name, check, look), daemon=True).start()
    findings: dict[str, Finding] = {}
    deadline = time.monotonic() + seconds
    while len(findings) < len(checks):
        try:
            name, finding = found.get(timeout=max(0.0, deadline - time.monotonic()))
        except Empty:
            break
        findings[name] = finding
    late = problem(f"no answer within {seconds:.0f} seconds", "Run it again; look at your way to AWS.")
    return {name: findings.get(name, late) for name in checks}


def _one(name: str, check: Check, look: Look) -> tuple[str, Finding]:
    try:
        return name, check(look)
    except AWS_ERRORS as error:
        return name, _not_answered(error, look)
    except NoDeployment as error:  # an output that an older template does not have
        return name, problem(str(error), f"Deploy it ({look.command('deploy')}).")
    except Exception as error:  # noqa: BLE001 - one bug must not hide what the others find; its text may quote anything
        where = locations(error.__traceback__).rpartition(" > ")[2]
        return name, problem(f"the check itself failed: {type(error).__name__} at {where}", "Report it, please.")


def _not_answered(error: Exception, look: Look) -> Finding:
    if look.is_local and isinstance(error, ClientError) and error.response["Error"]["Code"] in NOT_EMULATED:
        return unknown(f"the emulator does not answer it ({describe(error)})")
    refused = isinstance(error, ClientError) and REFUSED.search(error.response["Error"]["Code"])
    todo = "Let your credentials do this (docs/runbook.md)." if refused else "Run it again; if it stays, look there."
    return problem(f"could not be looked at: {describe(error)}", todo)
