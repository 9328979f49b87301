"""`.local/stack.json`: what a running stack tells other programs about itself.

Owns the file's members and its life: written when the stack is ready, removed when it ends. Of several runs it tells of
the latest; when that one ends, of the latest that is left. `.local/running` has a copy of each run's own.
"""

import json
import os
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
        text = json.dumps(asdict(self), indent=2) + "\n"
        _replace(self._own(folder), text)
        _replace(folder / "stack.json", text)

    def remove(self, folder: Path = STATE) -> None:
        """Remove the file if it is this run's; another run that is still there gets it."""
        self._own(folder).unlink(missing_ok=True)
        try:
            if self.read(folder).pids != self.pids:
                return
        except NoStack:
            return
        left = [path for path in (folder / "running").glob("*.json") if _is_running(int(path.stem))]
        if left:
            latest = max(left, key=lambda path: path.stat().st_mtime_ns)
            _replace(folder / "stack.json", latest.read_text(encoding="utf-8"))
        else:
            (folder / "stack.json").unlink()

    def _own(self, folder: Path) -> Path:
        return folder / "running" / f"{self.pids[0]}.json"

    @classmethod
    def read(cls, folder: Path = STATE) -> Self:
        """Read the file of the running stack. Raises NoStack."""
        try:
            return cls(**json.loads((folder / "stack.json").read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            raise NoStack("No stack is running here. Start one with `make run`.") from None


def _replace(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(f"{path.name}.new")
    new.write_text(text, encoding="utf-8")
    new.replace(path)


def _is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except OSError:
        return False
    return True
