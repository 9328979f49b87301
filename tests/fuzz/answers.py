"""What a run was answered with: noted by the hooks, counted and judged at the end.

A run in which nothing ever succeeded would have tested refusals alone. So each route's success has to be among them.
"""

import json
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple, Self

from rich.table import Table

from tests.support.api_document import documented, successes

FILE = "FUZZ_ANSWERS"  # the variable that names the file they are noted in


class Given(NamedTuple):
    """One answer: whose, and how a client would tell it from others."""

    route: str
    status: int
    code: str  # of a problem; `message` of an answer of API Gateway's own; empty of a success

    @classmethod
    def of(cls, route: str, status: int, body: bytes) -> Self:
        """Read an answer. Total."""
        try:
            document = json.loads(body)
        except ValueError:
            document = {}
        members = document if isinstance(document, dict) else {}
        return cls(route, status, str(members.get("code", "message" if "message" in members else "")))


def note(path: str, given: Given) -> None:
    """Add an answer to the file."""
    with Path(path).open("a", encoding="utf-8") as file:
        file.write(json.dumps(given) + "\n")


def read(path: Path) -> Counter[Given]:
    """Return what was noted, counted."""
    if not path.exists():
        return Counter()
    return Counter(Given(*json.loads(line)) for line in path.read_text(encoding="utf-8").splitlines())


def never_succeeded(answers: Iterable[Given]) -> list[str]:
    """Return the routes whose success was never seen."""
    seen = {(given.route, given.status) for given in answers}
    return [
        route
        for route, operation in documented().items()
        if not any((route, status) in seen for status in successes(operation))
    ]


def table(answers: Counter[Given]) -> Table:
    """Return the answers by route, the most frequent first."""
    rows = Table(title="What was answered", title_justify="left")
    rows.add_column("route", no_wrap=True)
    for name in ("status", "code", "answers"):
        rows.add_column(name)
    for route in documented():
        of_route = [(given, count) for given, count in answers.most_common() if given.route == route]
        for number, (given, count) in enumerate(of_route):
            rows.add_row("" if number else route, str(given.status), given.code, str(count))
        rows.add_section()
    return rows
