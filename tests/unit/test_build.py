"""`make build` builds what has changed, and nothing else."""

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytest

from local.build import Project, build
from local.paths import ROOT

if TYPE_CHECKING:
    from local.processes import Supervisor

MODULE = "GatehouseLayer/python/module.py"


class Sam:
    """Stands for a supervisor that runs `sam build`: it leaves one module."""

    def __init__(self, artifacts: Path) -> None:
        self.artifacts = artifacts
        self.builds = 0

    def run(self, *_args: Any, **_options: Any) -> None:
        self.builds += 1
        module = self.artifacts / MODULE
        shutil.rmtree(self.artifacts)
        module.parent.mkdir(parents=True)
        module.write_text("VALUE = 1\n")
        (self.artifacts / "template.yaml").write_text("Resources: {}\n")

    def build(self) -> bool:
        project = Project(ROOT / "template.yaml", (ROOT / "events",), self.artifacts)
        return build(cast("Supervisor", self), self.artifacts / "build.log", project)


@pytest.fixture
def sam(tmp_path: Path) -> Sam:
    sam = Sam(tmp_path)
    assert sam.build() is True
    assert sam.build() is False
    return sam


def compiled(artifacts: Path) -> Path:
    (found,) = artifacts.rglob("*.pyc")
    return found


def test_what_was_built_is_byte_compiled(sam: Sam) -> None:
    assert compiled(sam.artifacts).name == "module.cpython-313.pyc"
    assert sam.builds == 1


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(lambda folder: compiled(folder).unlink(), id="byte code is gone"),
        pytest.param(lambda folder: compiled(folder).write_bytes(b""), id="byte code is another"),
        pytest.param(lambda folder: (folder / MODULE).unlink(), id="a module is gone"),
        pytest.param(lambda folder: (folder / MODULE).write_text("VALUE = 2\n"), id="a module is another"),
        pytest.param(lambda folder: (folder / "GatehouseLayer" / "more.py").write_text(""), id="a file is too many"),
        pytest.param(lambda folder: (folder / ".inputs").write_text("of another build"), id="the inputs were others"),
        pytest.param(lambda folder: (folder / ".inputs").unlink(), id="the last build did not end"),
    ],
)
def test_artifacts_that_are_not_what_was_built_are_built_again(sam: Sam, damage: Any) -> None:
    damage(sam.artifacts)
    assert sam.build() is True
    assert sam.builds == 2
    assert compiled(sam.artifacts).stat().st_size > 0
