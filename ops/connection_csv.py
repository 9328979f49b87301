"""The file of connections that a company brings along: CSV, `iss,sub,smallcase_auth_id`.

Owns its form, and finding where it contradicts itself. It says on which line something is wrong and never what stands
there: users and their ids are personal data. It talks to nobody.
"""

import csv
import io
from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

from gatehouse.caller import User, identify
from gatehouse.problems import CallerNotIdentified
from gatehouse.session_token import MAX_ID_CHARACTERS, is_smallcase_id

HEADER: Final = ("iss", "sub", "smallcase_auth_id")


class Row(NamedTuple):
    """One connection: this user holds this id."""

    line: int
    user: User
    smallcase_auth_id: str


class Remark(NamedTuple):
    """What is wrong with a line."""

    line: int
    text: str


class BadFile(Exception):
    """The file is not what it has to be. `remarks` has everything that is wrong with it, by line."""

    def __init__(self, remarks: list[Remark]) -> None:
        super().__init__(f"{len(remarks)} remarks")
        self.remarks = remarks


def read(content: bytes) -> list[Row]:
    """Return the rows of a file in UTF-8, with or without a byte order mark; empty lines are skipped.

    Raises BadFile for a file in which any line cannot be used.
    """
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise BadFile([Remark(line, "is not UTF-8")]) from None
    lines = _lines(text)
    remarks: list[Remark] = []
    rows: list[Row] = []
    try:
        line, header = next(lines, (1, []))
        if tuple(header) != HEADER:
            raise BadFile([Remark(line, f"must be the header {','.join(HEADER)}")])
        for line, fields in lines:
            faults = _faults(fields)
            remarks += [Remark(line, fault) for fault in faults]
            if not faults:
                rows.append(Row(line, User(fields[0], fields[1]), fields[2]))
    except _NotCsv as error:
        remarks.append(error.remark)
    if remarks:
        raise BadFile(sorted(remarks))
    return rows


class Compared(NamedTuple):
    """The rows of a file beside each other."""

    rows: list[Row]  # that count
    repeated: int  # how many say what an earlier one has said
    contradictions: list[Remark]  # of those that an earlier one excludes


def compare(rows: Iterable[Row]) -> Compared:
    """Compare rows with each other. As in the live path, the first one counts, and saying it twice changes nothing."""
    by_user: dict[User, Row] = {}
    by_id: dict[str, Row] = {}
    kept, repeated, contradictions = [], 0, []
    for row in rows:
        of_user, of_id = by_user.get(row.user), by_id.get(row.smallcase_auth_id)
        if of_user is None and of_id is None:
            by_user[row.user] = by_id[row.smallcase_auth_id] = row
            kept.append(row)
        elif of_user is of_id:
            repeated += 1
        elif of_user is not None:
            what = f"line {of_user.line} has the same user with another smallcase_auth_id"
            contradictions.append(Remark(row.line, f"CONTRADICTION: {what}"))
        elif of_id is not None:
            what = f"line {of_id.line} has the same smallcase_auth_id for another user"
            contradictions.append(Remark(row.line, f"CONTRADICTION: {what}"))
    return Compared(kept, repeated, contradictions)


class _NotCsv(Exception):
    def __init__(self, remark: Remark) -> None:
        super().__init__(remark.text)
        self.remark = remark


def _lines(text: str) -> Iterator[tuple[int, list[str]]]:
    """Yield the fields of every line that is not empty. Raises _NotCsv, beyond which nothing can be told apart."""
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    while True:
        try:
            fields = next(reader, None)
        except csv.Error:  # its text may quote the line
            raise _NotCsv(Remark(reader.line_num, "is no CSV: a quotation mark is missing or too many")) from None
        if fields is None:
            return
        if fields:
            yield reader.line_num, fields


def _faults(fields: list[str]) -> list[str]:
    if len(fields) != len(HEADER):
        return [f"must have {len(HEADER)} fields, and has {len(fields)}"]
    faults = [f"{name} {fault}" for name, value in zip(HEADER, fields, strict=True) if (fault := _fault(value))]
    if faults:
        return faults
    issuer, subject, smallcase_auth_id = fields
    if "#" in issuer:
        # Together with a # in a subject, the keys of two users could be the same (OpenID Connect Core, 2).
        faults.append("iss must not have a fragment")
    if not is_smallcase_id(smallcase_auth_id):
        faults.append(f"smallcase_auth_id is longer than {MAX_ID_CHARACTERS} characters")
    try:
        identify({"iss": issuer, "sub": subject, "exp": 0})
    except CallerNotIdentified as error:
        faults.append(f"names nobody who could sign in: {error}")
    return faults


def _fault(value: str) -> str | None:
    if not value:
        return "is empty"
    if value != value.strip():
        return "begins or ends with white space"
    return None if value.isprintable() else "holds control characters"
