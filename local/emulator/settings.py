"""What the emulator is told by its environment, and what MiniStack is told in turn.

Owns the names of the environment variables. Never changes the environment: it is read once and a new one is returned.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from local.emulator.patches import NAMES
from local.ports import LOOPBACK

AWS_PORT: Final = "GATEHOUSE_AWS_PORT"
API_PORT: Final = "GATEHOUSE_API_PORT"
FUNCTIONS_PYTHON: Final = "GATEHOUSE_FUNCTIONS_PYTHON"
DISABLE_PATCHES: Final = "GATEHOUSE_EMULATOR_DISABLE_PATCHES"
CALLS_FILE: Final = "GATEHOUSE_CALLS_FILE"

_LAST_PORT = 65_535
_KEPT = (
    "HOME",
    "LANG",
    "LC_ALL",
    "PATH",
    "AWS_ACCESS_KEY_ID",
    "AWS_DEFAULT_REGION",
    "AWS_REGION",
    "AWS_SECRET_ACCESS_KEY",
)
ASYNC_RETRY_SECONDS: Final = 0.5
"""Before the first retry of an asynchronous invocation, then twice as long. On AWS it is a minute."""


class InvalidSettings(Exception):
    """The environment lacks something or has something that does not work; names all of it."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What one emulator needs to know."""

    aws_port: int
    api_port: int
    functions_python: Path
    """The interpreter that runs the functions, with what the Lambda runtime itself brings."""
    disabled_patches: frozenset[str] = frozenset()
    calls_file: Path | None = None
    """Where it is noted which role was allowed what; None: nowhere."""

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Self:
        """Read the settings; raise InvalidSettings with everything that is wrong with them."""
        problems: list[str] = []
        ports = [_port(environment, name, problems) for name in (AWS_PORT, API_PORT)]
        if not problems and ports[0] == ports[1]:
            problems.append(f"{AWS_PORT} and {API_PORT} are the same port")
        python = Path(environment.get(FUNCTIONS_PYTHON, ""))
        if not (python.is_absolute() and os.access(python, os.X_OK) and python.is_file()):
            problems.append(f"{FUNCTIONS_PYTHON} must be the absolute path of a Python interpreter, not '{python}'")
        disabled = frozenset(filter(None, environment.get(DISABLE_PATCHES, "").split(",")))
        if disabled == {"all"}:
            disabled = frozenset(NAMES)
        problems += [f"{DISABLE_PATCHES} names no patch: '{name}'" for name in sorted(disabled - set(NAMES))]
        calls_file = Path(environment[CALLS_FILE]) if environment.get(CALLS_FILE) else None
        if calls_file is not None and not calls_file.is_absolute():
            problems.append(f"{CALLS_FILE} must be an absolute path, not '{calls_file}'")
        if problems:
            raise InvalidSettings("\n".join(problems))
        return cls(
            aws_port=ports[0],
            api_port=ports[1],
            functions_python=python,
            disabled_patches=disabled,
            calls_file=calls_file,
        )


def ministack_environment(environment: Mapping[str, str], settings: Settings, scratch: Path) -> dict[str, str]:
    """Return the whole environment for MiniStack: a few variables are kept, the rest is said here.

    `scratch` is the directory that takes its temporary files.
    """
    region = environment.get("AWS_REGION") or environment.get("AWS_DEFAULT_REGION") or "us-east-1"
    return {name: environment[name] for name in _KEPT if name in environment} | {
        "AUTH": "true",  # the functions' roles are enforced
        "BIND_HOST": LOOPBACK,
        # A socket that is not there: MiniStack removes containers that it takes for its own, and needs none here.
        "DOCKER_HOST": f"unix://{scratch}/no-docker",
        "GATEWAY_PORT": str(settings.aws_port),
        "IOT_MTLS_ENABLED": "0",
        "LAMBDA_ASYNC_RETRY_BASE_SECONDS": str(ASYNC_RETRY_SECONDS),
        "MINISTACK_HOST": "localhost",
        "MINISTACK_REGION": region,
        "SFTP_ENABLED": "0",
        "TMPDIR": str(scratch),
    }


def _port(environment: Mapping[str, str], name: str, problems: list[str]) -> int:
    text = environment.get(name, "")
    if text.isascii() and text.isdigit() and 0 < int(text) <= _LAST_PORT:
        return int(text)
    problems.append(f"{name} must be a port number from 1 to {_LAST_PORT}, not '{text}'")
    return 0
