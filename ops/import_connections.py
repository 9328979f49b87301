"""`make import-connections`: bring along the connections that a company has already.

Owns what is asked for, what is said of it, and the list of conflicts. Without APPLY it only looks. It can be stopped at
any time and run again: what is written already is found as "connected already". Nothing is announced on the bus: for
the company, none of this is news.
"""

import csv
import logging
import os
import stat
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Self, TextIO

from ops.connection_csv import BadFile, Remark, Row, compare, read
from ops.connection_import import CONFLICTS, ConnectionImport, Judged, Outcome
from ops.deployment import LOCAL, Deployment
from ops.program import AWS_ERRORS, DONE, NOT_DONE, WRONG, OpenDeployment, Variables, run
from ops.progress import Progress

USAGE: Final = "make import-connections FILE=<users.csv> [APPLY=1] [SHOW=1] [STAGE=…]"

MOST_SHOWN: Final = 20
"""Lines of a list on the terminal."""


@dataclass(frozen=True, slots=True)
class Order:
    """What an operator asked for."""

    stage: str
    file: Path
    apply: bool
    show: bool

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Self:
        """Read the variables. Raises WrongUsage."""
        variables = Variables(environment)
        file = Path(variables.required("FILE", "a CSV file with the header iss,sub,smallcase_auth_id")).expanduser()
        apply, dry_run = variables.flag("APPLY"), variables.flag("DRY_RUN")
        if apply and dry_run:
            variables.faults.append("Either APPLY or DRY_RUN.")
        # As with the other programs, DRY_RUN=0 is a wish as well; without either, it only looks.
        apply = apply or (variables.text("DRY_RUN") != "" and not dry_run)
        order = cls(variables.stage, file, apply, variables.flag("SHOW"))
        variables.check()
        return order

    @property
    def conflicts_file(self) -> Path:
        """Where the conflicts are listed: beside the file."""
        return self.file.with_name(f"{self.file.stem}.conflicts.csv")

    @property
    def verb(self) -> str:
        """What becomes of the new ones."""
        return "Imported" if self.apply else "New"

    def again(self, *, apply: bool) -> str:
        """Return the command that does this, or does it again."""
        parts = ["make import-connections", f"FILE={self.file}"]
        parts += ["APPLY=1"] if apply else []
        parts += [f"STAGE={self.stage}"] if self.stage != LOCAL else []
        return " ".join(parts)


@dataclass(slots=True)
class Tally:
    """What became of the rows so far."""

    counts: Counter[str] = field(default_factory=Counter)
    conflicts: list[Remark] = field(default_factory=list)
    values: dict[int, str] = field(default_factory=dict)  # of the conflicts, by line: personal data

    def add(self, judged: Judged) -> None:
        """Count a row."""
        row, found, outcome = judged
        self.counts[outcome] += 1
        if outcome in CONFLICTS:
            self.conflicts.append(Remark(row.line, f"{outcome}: {CONFLICTS[outcome]}"))
            against = f"holds {found.held}" if outcome is Outcome.ALREADY_CONNECTED else f"held by {found.holder_pk}"
            self.values[row.line] = f"{_values(row)}  ({against})"

    def compare(self, rows: Sequence[Row]) -> list[Row]:
        """Count the rows that earlier ones of the file repeat or exclude, and return the others."""
        compared = compare(rows)
        self.counts[Outcome.CONNECTED] += compared.repeated
        self.conflicts += compared.contradictions
        lines = {remark.line for remark in compared.contradictions}
        self.values |= {row.line: _values(row) for row in rows if row.line in lines}
        return compared.rows

    def summary(self, verb: str) -> str:
        """Return the counts; `verb` is what became of the new ones."""
        new, connected = self.counts[Outcome.NEW], self.counts[Outcome.CONNECTED]
        return f"{verb} {new}, connected already {connected}, conflicts {len(self.conflicts)}."


def _values(row: Row) -> str:
    return f"{row.user.issuer} {row.user.subject} {row.smallcase_auth_id}"


def _say_remarks(remarks: list[Remark], values: Mapping[int, str]) -> None:
    for remark in remarks[:MOST_SHOWN]:
        print(f"  line {remark.line}: {remark.text}")
        if remark.line in values:
            print(f"    {values[remark.line]}")
    if len(remarks) > MOST_SHOWN:
        print(f"  … and {len(remarks) - MOST_SHOWN} more")


def _read(order: Order) -> list[Row] | None:
    """Return the rows, or say what is wrong with the file."""
    try:
        return read(order.file.read_bytes())
    except OSError as error:
        print(f"{order.file} cannot be read: {error.strerror}.", file=sys.stderr)
    except BadFile as bad:
        print(f"{order.file} cannot be imported, and nothing of it was:", flush=True)
        _say_remarks(bad.remarks, {})
    return None


def _warn_of_other_issuers(deployment: Deployment, rows: list[Row]) -> None:
    """Say it where users could never see their connections: another issuer's tokens are not accepted here."""
    others = [row.line for row in rows if row.user.issuer != deployment.parameters.get("OidcIssuer")]
    if others:
        print(f"Careful: {len(others)} rows, the first on line {others[0]}, have an iss that is not this deployment's")
        print("OidcIssuer to the letter. These users cannot sign in here.")


def _open_for_oneself(path: Path) -> TextIO:
    """Open a file about users for writing: nobody else reads it, from its first byte on, whoever could read it before.

    A file of that name is removed first: whoever has it open goes on reading what it held, and nothing of the new one.
    """
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, stat.S_IRUSR | stat.S_IWUSR)
    return os.fdopen(descriptor, "w", encoding="utf-8", newline="")


def _list_conflicts(order: Order, tally: Tally) -> None:
    """Write the list beside the file, or remove that of an earlier run where there are no conflicts any more."""
    if not tally.conflicts:
        order.conflicts_file.unlink(missing_ok=True)
        return
    tally.conflicts.sort()
    try:
        with _open_for_oneself(order.conflicts_file) as file:
            csv.writer(file).writerows([("line", "reason"), *tally.conflicts])
    except OSError as error:
        print(f"{order.conflicts_file} cannot be written: {error.strerror}.", file=sys.stderr)
    print(f"Conflicts, which stay as they are (listed in {order.conflicts_file}):")
    _say_remarks(tally.conflicts, tally.values if order.show else {})
    if not order.show:
        print("SHOW=1 shows whom they are about.")


def _import(order: Order, table: ConnectionImport, rows: list[Row]) -> int:
    tally, looked_at = Tally(), 0  # what is under way when this is stopped may be written as well, and is not counted
    kept = tally.compare(rows)
    try:
        with Progress("done" if order.apply else "looked at", len(rows)) as progress:
            progress.advance(len(rows) - len(kept))
            for some in (table.run if order.apply else table.look)(kept):
                for judged in some:
                    tally.add(judged)
                looked_at += len(some)
                progress.advance(len(some))
    except (*AWS_ERRORS, KeyboardInterrupt):
        print(f"Stopped after {looked_at} of {len(kept)} rows. {tally.summary(order.verb)}")
        print(f"To go on, past what is written already: {order.again(apply=order.apply)}", flush=True)
        raise
    print(f"{order.file}: {len(rows)} rows. {tally.summary(order.verb)}")
    _list_conflicts(order, tally)
    if not order.apply:
        print(f"Nothing was written. To import what is new: {order.again(apply=True)}")
    return NOT_DONE if tally.conflicts else DONE


def main(
    environment: Mapping[str, str],
    open_deployment: OpenDeployment = Deployment.open,
    clock: Callable[[], float] = time.time,
    sleep: Callable[[float], None] = time.sleep,
) -> int:
    """Import what the variables ask for, and return the exit code."""
    # What goes wrong is said here, with what to do about it.
    logging.getLogger("gatehouse").addHandler(logging.NullHandler())

    def work() -> int:
        order = Order.from_environment(environment)
        rows = _read(order)
        if rows is None:
            return WRONG
        deployment = open_deployment(order.stage)
        print(deployment.title, flush=True)
        _warn_of_other_issuers(deployment, rows)
        with closing(deployment.client("dynamodb")) as dynamodb:
            table = ConnectionImport(dynamodb, deployment.output("ConnectionsTableName"), clock, sleep)
            return _import(order, table, rows)

    return run(USAGE, work)


if __name__ == "__main__":
    sys.exit(main(os.environ))
