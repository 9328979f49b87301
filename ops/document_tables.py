"""Markdown tables of figures, and putting them into a document between marks.

Owns the form of the tables and of the marks. What the figures are, and how many digits they have, is their model's.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final

Tables = Mapping[str, Callable[[], str]]
"""What renders each table, by the name in its marks."""

_FIGURE: Final = re.compile(r"(\*\*)?\$?[\d,.]+( (ms|s|min|MB|%))?(\*\*)?")


class NoPlace(Exception):
    """A document has no marks for a table. The text names it."""


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table in which columns of figures are flush right."""
    lines = list(rows)
    are_figures = [all(_FIGURE.fullmatch(row[column]) for row in lines) for column in range(len(head))]
    rule = ["---:" if figures else "---" for figures in are_figures]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in (head, rule, *lines)) + "\n"


def put_into(document: str, tables: Tables) -> str:
    """Return the document with every table as it is rendered now. Raises NoPlace."""
    for name, render in tables.items():
        marks = re.compile(rf"(?<=<!-- {name} -->\n)(?s:.*?)(?=<!-- end of {name} -->)")
        if not marks.search(document):
            raise NoPlace(f"there is no place for the table {name}")
        text = render()
        document = marks.sub(lambda _, text=text: text, document, count=1)  # type: ignore[misc]  # bound at once
    return document


def write_into(document: Path, tables: Tables) -> bool:
    """Write the tables into a document, and return whether that changed it. Raises NoPlace, and then wrote nothing."""
    before = document.read_text(encoding="utf-8")
    after = put_into(before, tables)
    document.write_text(after, encoding="utf-8")
    return after != before
