"""What mutmut left behind, read.

Owns recognising a mutant by what was changed and where, and not by its number: an edit elsewhere renumbers, and does
not touch this.
"""

import ast
import difflib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, NamedTuple

Outcome = Literal["killed", "timeout", "survived", "untested", "unfinished"]

# Exit codes of a mutant's tests, as mutmut notes them. A test that takes for ever notices as well.
OUTCOMES: dict[int | None, Outcome] = {
    0: "survived",
    1: "killed",
    3: "killed",
    5: "untested",
    33: "untested",
    36: "timeout",
    24: "timeout",
    152: "timeout",
    255: "timeout",
    -24: "timeout",
}


class Mutant(NamedTuple):
    """One change: lines of a function as they were and as they become, without indentation."""

    module: str
    function: str  # of a method `Class.method`
    was: str
    becomes: str


class Result(NamedTuple):
    """What became of a mutant."""

    mutant: Mutant
    outcome: Outcome


def read_results(package: Path, module: str) -> list[Result]:
    """Return the results of a module: `package` is the folder with mutmut's modules and notes."""
    notes = json.loads((package / f"{module}.py.meta").read_text())["exit_code_by_key"]
    functions = dict(_functions((package / f"{module}.py").read_text()))
    results = []
    for key, exit_code in notes.items():
        name = key.rpartition(".")[2]
        mangled = name.partition("__mutmut_")[0]
        was, becomes = changed_lines(functions[f"{mangled}__mutmut_orig"], functions[name])
        mutant = Mutant(module, mangled.removeprefix("x_").removeprefix("xǁ").replace("ǁ", "."), was, becomes)
        results.append(Result(mutant, OUTCOMES.get(exit_code, "unfinished")))
    return results


def _functions(source: str) -> Iterator[tuple[str, list[str]]]:
    """Yield mutmut's copies of every function: name, and the lines without name and indentation."""
    lines = source.splitlines()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef) and "__mutmut_" in node.name:
            text = [line.strip() for line in lines[node.lineno - 1 : node.end_lineno]]
            yield node.name, [line.replace(f"def {node.name}(", "def (") for line in text]


def changed_lines(was: list[str], becomes: list[str]) -> tuple[str, str]:
    """Return the lines that differ, before and after."""
    before, after = list[str](), list[str]()
    for tag, start, end, new_start, new_end in difflib.SequenceMatcher(
        None, was, becomes, autojunk=False
    ).get_opcodes():
        if tag != "equal":
            before += was[start:end]
            after += becomes[new_start:new_end]
    return "\n".join(before), "\n".join(after)
