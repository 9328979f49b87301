"""A plugin for pytest, `-p tests.support.layer_under_test`: what is tested is the built layer, and all of it."""

import sys

import pytest

from local.paths import ARTIFACTS

LAYER = ARTIFACTS / "GatehouseLayer" / "python"


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail the run where a module of the layer was imported from elsewhere, or not at all."""
    wrong = []
    for source in sorted((LAYER / "gatehouse").glob("*.py")):
        name = "gatehouse" if source.stem == "__init__" else f"gatehouse.{source.stem}"
        module = sys.modules.get(name)
        if module is None or module.__file__ != str(source):
            wrong.append(f"{name} from {module and module.__file__}")
    if wrong:
        session.exitstatus = pytest.ExitCode.USAGE_ERROR
        print("Not the built layer:", ", ".join(wrong), file=sys.stderr)  # noqa: T201
