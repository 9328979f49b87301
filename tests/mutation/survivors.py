"""Which mutants may survive, and whether those and no others did."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from typing import Any, NamedTuple

from tests.mutation.mutants import Mutant, Result

# What no test has noticed. An `unfinished` one is no verdict, so it is treated alike.
UNNOTICED = ("survived", "untested", "unfinished")


class Verdict(NamedTuple):
    """What is wrong with the list. Both are empty where all is well."""

    unlisted: list[Result]  # went unnoticed and is not on the list
    stale: list[Mutant]  # on the list, and noticed by a test or not there any more


def read_listed(document: Mapping[str, Any]) -> list[Mutant]:
    """Return the mutants of `survivors.toml`. Raises ValueError for a group without a reason or without mutants."""
    listed = []
    for group in document["group"]:
        if not group["reason"].strip() or not group["mutant"]:
            raise ValueError("a group has a reason and mutants")
        listed += [Mutant(**each) for each in group["mutant"]]
    return listed


def judge(results: Iterable[Result], listed: Iterable[Mutant], modules: Collection[str]) -> Verdict:
    """Compare. Of the list, only what concerns the modules that were run counts; each entry stands for one mutant."""
    left = Counter(mutant for mutant in listed if mutant.module in modules)
    unlisted = []
    for result in results:
        if result.outcome not in UNNOTICED:
            continue
        if result.outcome == "survived" and left[result.mutant] > 0:
            left[result.mutant] -= 1
        else:
            unlisted.append(result)
    return Verdict(unlisted, list(left.elements()))


def render(mutant: Mutant) -> str:
    """Return the mutant as an entry of `survivors.toml`."""
    members = "\n".join(f"{name} = {_text(value)}" for name, value in mutant._asdict().items())
    return f"[[group.mutant]]\n{members}\n"


def _text(value: str) -> str:
    """Return a TOML string: literal, so that quotes and backslashes stand as in the code."""
    if "\n" in value:
        return f"'''\n{value}'''"
    return f"'''{value}'''" if "'" in value else f"'{value}'"


def table(results: Collection[Result]) -> str:
    """Return a line for each module and one for all: mutants, and what became of them."""
    rows = [["module", "mutants", "killed", "timeout", "survived"]]
    for module in [*dict.fromkeys(result.mutant.module for result in results), "all"]:
        outcomes = [each.outcome for each in results if module in (each.mutant.module, "all")]
        unnoticed = sum(outcome in UNNOTICED for outcome in outcomes)
        counts = (len(outcomes), outcomes.count("killed"), outcomes.count("timeout"), unnoticed)
        rows.append([module, *map(str, counts)])
    return "\n".join(f"{row[0]:<24}" + "".join(f"{cell:>10}" for cell in row[1:]) for row in rows)
