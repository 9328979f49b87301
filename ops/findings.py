"""What a check finds: a state, a sentence, and what to do about it.

Owns the states and their order, and how findings are shown: a table for people, JSON for scripts. A sentence names
fields, codes, times and counts, and never a value of a secret.
"""

import json
import shutil
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Final, NamedTuple

from rich.console import Console
from rich.table import Table
from rich.text import Text

WIDTH_WITHOUT_TERMINAL: Final = 150


class State(StrEnum):
    """How it is, the best first."""

    OK = "ok"
    UNKNOWN = "unknown"  # nobody can tell here: the emulator does not answer, or nothing has happened yet
    WARNING = "warning"
    PROBLEM = "problem"


_COLOURS: Final = {State.OK: "green", State.UNKNOWN: "dim", State.WARNING: "yellow", State.PROBLEM: "bold red"}


class Finding(NamedTuple):
    """What a check found."""

    state: State
    found: str
    todo: str = ""


def ok(found: str) -> Finding:
    """Return that all is well."""
    return Finding(State.OK, found)


def unknown(found: str) -> Finding:
    """Return that it cannot be told here."""
    return Finding(State.UNKNOWN, found)


def warning(found: str, todo: str) -> Finding:
    """Return that it works, and should not stay so."""
    return Finding(State.WARNING, found, todo)


def problem(found: str, todo: str) -> Finding:
    """Return that something does not work, or soon will not."""
    return Finding(State.PROBLEM, found, todo)


def worst(findings: Mapping[str, Finding]) -> State:
    """Return the worst state. What cannot be told is no worse than what is well."""
    order = list(State)
    found = max((finding.state for finding in findings.values()), key=order.index, default=State.OK)
    return State.OK if found is State.UNKNOWN else found


def summary(findings: Mapping[str, Finding]) -> str:
    """Return how many there are of each state, the worst first."""
    counts = Counter(finding.state for finding in findings.values())
    plural = {State.WARNING: "warnings", State.PROBLEM: "problems"}
    parts = [
        f"{counts[state]} {state if counts[state] == 1 else plural.get(state, state)}"
        for state in reversed(State)
        if counts[state]
    ]
    return ", ".join(parts) + "."


def print_table(findings: Mapping[str, Finding]) -> None:
    """Print a line for each check, and how many there are of each state."""
    table = Table("check", "state", "finding", "what to do", show_lines=False, header_style="bold")
    table.columns[0].no_wrap = True
    for check, (state, found, todo) in findings.items():
        # As texts: what is in brackets is no markup.
        table.add_row(Text(check), Text(state, _COLOURS[state]), Text(found), Text(todo))
    width = shutil.get_terminal_size((WIDTH_WITHOUT_TERMINAL, 0)).columns
    console = Console(file=sys.stdout, highlight=False, width=width)
    console.print(table)
    console.print(Text(summary(findings)))


def print_json(head: Mapping[str, str], findings: Mapping[str, Finding]) -> None:
    """Print one JSON object: the head's members, the worst state, and the checks in their order."""
    checks: Sequence[dict[str, str]] = [{"check": name, **each._asdict()} for name, each in findings.items()]
    print(json.dumps({**head, "state": worst(findings), "checks": checks}, indent=2))
