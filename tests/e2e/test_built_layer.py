"""What is built works as what it was built from: every module imports, and the unit tests pass on it.

Trimming and byte-compiling may leave out nothing that any path needs, taken or not.
"""

import ast
import json
import os
import subprocess
from pathlib import Path

import pytest

from local.paths import ARTIFACTS, FUNCTIONS_PYTHON, PYTHON, ROOT
from tests.support.built import artifacts_of_functions

pytestmark = pytest.mark.usefixtures("built")

LAYERS = [ARTIFACTS / "GatehouseLayer" / "python", ARTIFACTS / "PowertoolsLayer" / "python"]

# Imports each module that is named, with the folders first on the path, and tells which failed for want of what.
IMPORTS = """
import importlib, json, sys
folders, names = json.loads(sys.argv[1])
sys.path[:0] = folders
missing, elsewhere = {}, []
for name in names:
    try:
        module = importlib.import_module(name)
    except ModuleNotFoundError as error:
        missing[name] = error.name
    else:
        if not module.__file__.startswith(tuple(folders)):
            elsewhere.append(name)
print(json.dumps([missing, elsewhere]))
"""

# Optional dependencies of urllib3 and Powertools that the layers do not hold. No module of Gatehouse may need one.
EXTRAS = {"OpenSSL", "avro", "fastjsonschema", "google", "h2", "js", "jsonpath_ng", "pydantic", "redis", "socks"}


def imported(folders: list[Path], names: list[str]) -> tuple[dict[str, str], list[str]]:
    """Return which of the modules lack what, and which come from elsewhere, in the functions' own environment."""
    finished = subprocess.run(
        [str(FUNCTIONS_PYTHON), "-W", "ignore", "-c", IMPORTS, json.dumps([[str(each) for each in folders], names])],
        env={"AWS_DEFAULT_REGION": "eu-west-1"},
        stdout=subprocess.PIPE,
        check=True,
        timeout=120,
    )
    missing, elsewhere = json.loads(finished.stdout)
    return missing, elsewhere


def names_of(layer: Path) -> list[str]:
    """Return the names of all modules in a layer."""
    paths = [path.relative_to(layer).with_suffix("") for path in layer.rglob("*.py")]
    parts = [path.parts[:-1] if path.name == "__init__" else path.parts for path in paths]
    # What is no package's name is a script that a wheel brought along.
    return sorted(".".join(each) for each in parts if all(part.isidentifier() for part in each))


@pytest.mark.parametrize("layer", LAYERS, ids=lambda layer: layer.parent.name)
def test_every_module_of_a_built_layer_imports(layer: Path) -> None:
    names = names_of(layer)
    assert len(names) > 90
    missing, elsewhere = imported(LAYERS, names)
    assert elsewhere == []
    assert set(missing.values()) <= EXTRAS
    assert [name for name in missing if name.startswith(("gatehouse", "jwt"))] == []


@pytest.mark.parametrize("name", sorted(path.parent.name for path in (ROOT / "functions").glob("*/app.py")))
def test_every_function_imports_with_the_layers_that_it_has_and_nothing_else(name: str) -> None:
    logical_id = "".join(word.title() for word in name.split("_")) + "Function"
    code, *layers = artifacts_of_functions()[logical_id]
    assert imported([code, *(layer / "python" for layer in layers)], ["app"]) == ({}, [])


def imports_of(path: Path) -> set[str]:
    """Return the top-level packages that a module imports anywhere in it."""
    nodes = list(ast.walk(ast.parse(path.read_text())))
    names = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.module}
    return {name.split(".")[0] for name in names}


def test_the_unit_tests_of_the_layer_pass_on_the_built_one() -> None:
    # Those that import the layer or a function. Those that drive a program of operators, the laptop or an example
    # beside it test that program, and would double the time; the plugin sees that no module of the layer is left out.
    imports = {path: imports_of(path) for path in sorted((ROOT / "tests" / "unit").glob("test_*.py"))}
    files = [path for path, names in imports.items() if names & {"gatehouse", "functions"}]
    files = [path for path in files if not imports[path] & {"ops", "local", "examples", "bench"}]
    assert len(files) > 30
    options = ["-p", "tests.support.layer_under_test", "-p", "no:cacheprovider", "-n0"]
    finished = subprocess.run(
        [str(PYTHON), "-m", "pytest", *options, "-o", f"pythonpath=. {LAYERS[0].relative_to(ROOT)}", *map(str, files)],
        cwd=ROOT,
        # Not what this process has from xdist and from coverage. Fewer examples: many were tried on the source.
        env={name: os.environ[name] for name in ("HOME", "PATH", "LANG", "TMPDIR") if name in os.environ}
        | {"PYTHONDONTWRITEBYTECODE": "1", "HYPOTHESIS_PROFILE": "mutation"},
        capture_output=True,
        text=True,
        check=False,
        timeout=900,
    )
    assert finished.returncode == 0, finished.stdout[-5000:] + finished.stderr[-2000:]
