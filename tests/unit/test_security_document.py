"""docs/security.md: every threat has a test, and the test is there."""

import ast
import re

import pytest

from tests.conftest import ROOT
from tests.unit.test_docs import table

DOCUMENT = (ROOT / "docs" / "security.md").read_text()
THREATS = table(DOCUMENT, "threat")
NAMED = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", DOCUMENT)


def test_every_threat_has_a_defence_and_a_test() -> None:
    assert len(THREATS) >= 30
    for threat, (defence, test) in THREATS.items():
        assert defence, threat
        assert re.fullmatch(r"tests/[\w/]+\.py::test_\w+", test), threat


@pytest.mark.parametrize(("path", "name"), NAMED, ids=[name for _, name in NAMED])
def test_a_named_test_exists_and_would_be_collected(path: str, name: str) -> None:
    file = ROOT / path
    assert file.name.startswith("test_")
    module = ast.parse(file.read_text())
    functions = [each for each in module.body if isinstance(each, ast.FunctionDef)]
    assert [each.name for each in functions].count(name) == 1
    (function,) = [each for each in functions if each.name == name]
    # Skipped or expected to fail, it would hold nothing.
    assert "skip" not in "".join(map(ast.unparse, function.decorator_list))
    assert "xfail" not in "".join(map(ast.unparse, function.decorator_list))


def test_no_test_is_named_for_two_threats() -> None:
    assert len(set(NAMED)) == len(NAMED)
