"""A deployment in memory for the operators' programs, and a bus that takes what it is told to take."""

from collections import deque
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, NamedTuple

import boto3
import pytest

from ops.deployment import Deployment
from ops.program import OpenDeployment

TITLE = "gatehouse-local (stage local, AWS, eu-west-1)"


@cache
def _session() -> boto3.Session:
    """One for all tests: making one takes longer than most of them."""
    return boto3.Session()


class Outcome(NamedTuple):
    """What a program said, and how it ended."""

    exit_code: int
    out: str
    err: str

    @property
    def lines(self) -> list[str]:
        """The lines of stdout."""
        return self.out.splitlines()


class FakeDeployments:
    """Opens deployments with these outputs; services are boto3's, unless a stand-in is given."""

    def __init__(self, outputs: Mapping[str, str], parameters: Mapping[str, str] | None = None) -> None:
        self.outputs = dict(outputs)
        self.parameters = dict(parameters or {})
        self.clients: dict[str, Any] = {}
        self.opened: list[str] = []

    def __call__(self, stage: str) -> Deployment:
        self.opened.append(stage)
        stand_ins = self.clients

        class WithStandIns(Deployment):
            __slots__ = ()

            def client(self, service: str) -> Any:
                return stand_ins.get(service) or Deployment.client(self, service)

        return WithStandIns(stage, f"gatehouse-{stage}", self.parameters, self.outputs, _session())


class FakeEvents:
    """EventBridge with a script: for each call to come, an error code for each entry, or None where it is taken.

    Without a script it takes everything. A callable in the script is called instead, and may raise.
    """

    def __init__(self) -> None:
        self.script: deque[list[str | None] | Callable[[], object]] = deque()
        self.calls: list[list[dict[str, str]]] = []
        self.taken: list[dict[str, str]] = []

    def put_events(self, *, Entries: list[dict[str, str]]) -> dict[str, Any]:  # noqa: N803 - boto3's own name
        self.calls.append(Entries)
        codes: list[str | None] = [None] * len(Entries)
        if self.script:
            scripted = self.script.popleft()
            if callable(scripted):
                scripted()
            else:
                codes = scripted
        results = [
            {"EventId": f"event-{number}"} if code is None else {"ErrorCode": code, "ErrorMessage": "quoted text"}
            for number, code in enumerate(codes)
        ]
        self.taken += [entry for entry, code in zip(Entries, codes, strict=True) if code is None]
        return {"FailedEntryCount": sum(code is not None for code in codes), "Entries": results}

    def close(self) -> None:
        """Nothing is open."""


def runner(
    main: Callable[..., int], deployments: OpenDeployment, capsys: pytest.CaptureFixture[str], *more: object
) -> Callable[..., Outcome]:
    """Return a function that runs a program with make's variables."""

    def call(**variables: str) -> Outcome:
        exit_code = main(variables, deployments, *more)
        said = capsys.readouterr()
        return Outcome(exit_code, said.out, said.err)

    return call
