"""Where things are in a checkout. Owns these places, and whether what `make` installs is there."""

from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent
STATE: Final = ROOT / ".local"
TEMPLATE: Final = ROOT / "template.yaml"
ARTIFACTS: Final = ROOT / ".aws-sam" / "build"
SAM: Final = ROOT / ".tools" / "sam" / "bin" / "sam"
PYTHON: Final = ROOT / ".venv" / "bin" / "python"
FUNCTIONS_PYTHON: Final = ROOT / ".tools" / "runtime" / "bin" / "python"


class NotInstalled(Exception):
    """Something that `make` installs is missing."""


def check_installed() -> None:
    """Raise NotInstalled, which says what to do, unless the environments are there."""
    missing = [str(path.relative_to(ROOT)) for path in (SAM, PYTHON, FUNCTIONS_PYTHON) if not path.exists()]
    if missing:
        raise NotInstalled(f"{', '.join(missing)} is missing. Run `make tools` first.")
