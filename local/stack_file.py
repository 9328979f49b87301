"""`.local/stack.json`: what a running stack tells other programs about itself.

Owns the file's members and its life: written when the stack is ready, removed when it ends, unless another run has
written its own in the meantime.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

from local.deploy import Endpoint
from local.paths import STATE


class NoStack(Exception):
    """No stack is running."""


@dataclass(frozen=True, slots=True)
class StackFile:
    """A running stack. URLs are without a trailing slash; None stands for what the run does not bring."""

    api_url: str
    aws_endpoint_url: str
    aws_access_key_id: str
    aws_secret_access_key: str
    region: str
    stack_name: str
    outputs: dict[str, str]
    integration_api_url: str | None
    smallcase_api_url: str | None
    oidc_issuer: str
    oidc_audience: str
    playground_url: str | None
    pids: list[int]

    @property
    def endpoint(self) -> Endpoint:
        """The emulated account."""
        return Endpoint(self.aws_endpoint_url)

    def write(self, folder: Path = STATE) -> None:
        """Write the file, whole or not at all."""
        folder.mkdir(parents=True, exist_ok=True)
        new = folder / "stack.json.new"
        new.write_text(json.dumps(asdict(self), indent=2) + "\n", encoding="utf-8")
        new.replace(folder / "stack.json")

    def remove(self, folder: Path = STATE) -> None:
        """Remove the file if it is this run's."""
        try:
            if self.read(folder).pids == self.pids:
                (folder / "stack.json").unlink()
        except NoStack:
            pass

    @classmethod
    def read(cls, folder: Path = STATE) -> Self:
        """Read the file of the running stack. Raises NoStack."""
        try:
            return cls(**json.loads((folder / "stack.json").read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            raise NoStack("No stack is running here. Start one with `make run`.") from None
