"""`make build`: the artifacts that go to AWS, and that the laptop runs as well.

Owns what is in `.aws-sam`: `sam build`, then byte-compilation, because SAM ships no `.pyc` and every cold start would
compile anew. It builds only when something has changed: what the artifacts are made of, or what is in them. One build
at a time: others wait for it.
"""

import fcntl
import hashlib
import os
import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from local.paths import ARTIFACTS, PYTHON, ROOT, SAM, STATE, TEMPLATE
from local.processes import CommandFailed, Supervisor

BUILD_SECONDS: Final = 300
_STAMP: Final = ".inputs"  # what was built from what


@dataclass(frozen=True, slots=True)
class Project:
    """A template, the folders that its code is in, and where its artifacts go."""

    template: Path
    folders: tuple[Path, ...]
    artifacts: Path

    @property
    def built_template(self) -> Path:
        """The template that names the artifacts: what is deployed."""
        return self.artifacts / "template.yaml"


GATEHOUSE: Final = Project(TEMPLATE, (ROOT / "functions", ROOT / "layers"), ARTIFACTS)


@contextmanager
def exclusive() -> Iterator[None]:
    """Hold the build folder: nobody builds while another packages what is in it."""
    STATE.mkdir(exist_ok=True)
    with (STATE / "build.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def build(supervisor: Supervisor, log: Path, project: Project = GATEHOUSE) -> bool:
    """Build what has changed, and return whether anything had. Call it within `exclusive`. Raises CommandFailed."""
    stamp, inputs = project.artifacts / _STAMP, _digest_of_inputs(project)
    if stamp.is_file() and stamp.read_text() == f"{inputs} {_digest_of_artifacts(project)}":
        return False
    stamp.unlink(missing_ok=True)
    argv = [str(SAM), "build", "--template-file", str(project.template), "--build-dir", str(project.artifacts)]
    supervisor.run("sam build", argv, env=sam_environment(), log=log, timeout=BUILD_SECONDS, cwd=ROOT)
    _byte_compile(project.artifacts)
    stamp.write_text(f"{inputs} {_digest_of_artifacts(project)}")
    return True


def sam_environment() -> dict[str, str]:
    """Return the environment for SAM CLI: a real 3.13 first on PATH, no telemetry, and the shell's settings of pip."""
    kept = (
        "HOME",
        "LANG",
        "LC_ALL",
        "TMPDIR",
        "SSL_CERT_FILE",
        "REQUESTS_CA_BUNDLE",
        "HTTPS_PROXY",
        "HTTP_PROXY",
        "NO_PROXY",
    )
    environment = {name: os.environ[name] for name in kept if name in os.environ}
    environment |= {name: value for name, value in os.environ.items() if name.startswith("PIP_")}
    return environment | {
        "PATH": os.pathsep.join([str(PYTHON.parent), os.environ.get("PATH", os.defpath)]),
        "SAM_CLI_TELEMETRY": "0",
        "PYTHONDONTWRITEBYTECODE": "1",
    }


def _byte_compile(artifacts: Path) -> None:
    """Compile every module where it will lie on Lambda, so that a trace names those places.

    `unchecked-hash`: the interpreter neither looks at the source nor depends on file times, which zip files lose.
    """
    for artifact in sorted(path for path in artifacts.iterdir() if path.is_dir()):
        place = "/opt" if (artifact / "python").is_dir() else "/var/task"
        options = ["-q", "-f", "--invalidation-mode", "unchecked-hash", "-s", str(artifact), "-p", place]
        subprocess.run([str(PYTHON), "-m", "compileall", *options, str(artifact)], check=True, env={})


def _digest_of_inputs(project: Project) -> str:
    """Return a digest of everything that the artifacts are made of."""
    code = [path for folder in project.folders for path in sorted(folder.rglob("*"))]
    return _digest(
        ROOT, (path for path in [project.template, Path(__file__), *code] if "__pycache__" not in path.parts)
    )


def _digest_of_artifacts(project: Project) -> str:
    """Return a digest of everything that was built, byte code included."""
    built = sorted(project.artifacts.rglob("*"))
    return _digest(project.artifacts, (path for path in built if path.name != _STAMP))


def _digest(root: Path, paths: Iterable[Path]) -> str:
    digest = hashlib.sha256()
    for path in paths:
        if path.is_file():
            content = path.read_bytes()
            digest.update(f"{path.relative_to(root)} {len(content)}\n".encode())
            digest.update(content)
    return digest.hexdigest()


def main() -> int:
    """Build and say so."""
    log = STATE / "logs" / "build.log"
    try:
        with exclusive(), Supervisor() as supervisor:
            changed = build(supervisor, log)
    except CommandFailed as error:
        print(error, file=sys.stderr)
        return 1
    print(f"{'Built' if changed else 'Up to date'}: {ARTIFACTS.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
