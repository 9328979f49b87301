"""The file of connections: what is read, what is refused, and what contradicts itself."""

import csv
import io
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatehouse.caller import User
from ops.connection_csv import HEADER, BadFile, Remark, Row, compare, read

ISSUER = "https://auth.example.com"
START = "iss,sub,smallcase_auth_id\n"


def remarks(text: str | bytes) -> list[tuple[int, str]]:
    content = text if isinstance(text, bytes) else text.encode()
    with pytest.raises(BadFile) as caught:
        read(content)
    return [(remark.line, remark.text) for remark in caught.value.remarks]


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_rows_are_read_with_the_lines_that_they_stand_on(mark: bytes, end: str) -> None:
    lines = [START.strip(), f"{ISSUER},asha,id-1", "", f'{ISSUER},"ravi, the ""other""",id-2', ""]
    assert read(mark + end.join(lines).encode()) == [
        Row(2, User(ISSUER, "asha"), "id-1"),
        Row(4, User(ISSUER, 'ravi, the "other"'), "id-2"),
    ]


def test_a_file_without_rows_is_read() -> None:
    assert read(START.encode()) == []


@pytest.mark.parametrize(
    "header",
    [
        "",
        "sub,iss,smallcase_auth_id",
        "iss,sub",
        "iss,sub,smallcase_auth_id,broker",
        "ISS,sub,smallcase_auth_id",
        "a,b,c",
    ],
)
def test_the_header_is_the_documented_one(header: str) -> None:
    assert remarks(f"{header}\n{ISSUER},asha,id-1\n")[0][1] == "must be the header iss,sub,smallcase_auth_id"


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (f"{ISSUER},asha", "must have 3 fields, and has 2"),
        (f"{ISSUER},asha,id-1,more", "must have 3 fields, and has 4"),
        (f"{ISSUER};asha;id-1", "must have 3 fields, and has 1"),
        (f"{ISSUER},,id-1", "sub is empty"),
        (f'{ISSUER},asha,""', "smallcase_auth_id is empty"),
        (f"{ISSUER}, asha,id-1", "sub begins or ends with white space"),
        (f"{ISSUER},asha,id-1 ", "smallcase_auth_id begins or ends with white space"),
        (f"{ISSUER},as\tha,id-1", "sub holds control characters"),
        (f"{ISSUER},asha,i\x00d", "smallcase_auth_id holds control characters"),
        (f"{ISSUER},as\u2028ha,id-1", "sub holds control characters"),
        (f"{ISSUER}#top,asha,id-1", "iss must not have a fragment"),
        (f"{ISSUER},asha,{'i' * 257}", "smallcase_auth_id is longer than 256 characters"),
        (f"{ISSUER},{'a' * 2000},id-1", "names nobody who could sign in: identity is too long"),
        (f"{ISSUER},null,id-1", "names nobody who could sign in: sub is missing or empty"),
        (f'{ISSUER},"asha,id-1', "is no CSV: a quotation mark is missing or too many"),
        (f'{ISSUER},"as"ha,id-1', "is no CSV: a quotation mark is missing or too many"),
    ],
)
def test_a_line_that_cannot_be_used_is_told_without_what_stands_there(line: str, said: str) -> None:
    assert remarks(f"{START}{ISSUER},fine,id-0\n{line}\n") == [(3, said)]


def test_a_field_with_a_line_break_is_refused_and_the_lines_after_it_keep_their_numbers() -> None:
    assert remarks(f'{START}{ISSUER},"as\nha",id-1\n{ISSUER},,id-2\n') == [
        (3, "sub holds control characters"),
        (4, "sub is empty"),
    ]


def test_everything_that_is_wrong_is_said_at_once_in_the_order_of_the_lines() -> None:
    text = f"{START},,\n{ISSUER},asha,id-1\n{ISSUER},ravi\n"
    assert remarks(text) == [
        (2, "iss is empty"),
        (2, "smallcase_auth_id is empty"),
        (2, "sub is empty"),
        (4, "must have 3 fields, and has 2"),
    ]


@pytest.mark.parametrize("content", [f"{START}{ISSUER},a\n".encode() + b"b,\xff\n", START.encode("utf-16")])
def test_what_is_not_utf_8_is_told_by_its_line(content: bytes) -> None:
    line = 1 if content[0] > 127 else 3
    assert remarks(content) == [(line, "is not UTF-8")]


@given(st.binary())
def test_any_bytes_are_rows_or_a_bad_file(content: bytes) -> None:
    with suppress(BadFile):
        read(START.encode() + content)


NAMES = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x2FF, exclude_characters="#["), min_size=1).filter(
    lambda text: text.isprintable() and text.strip() == text and text != "null"
)


@given(st.lists(st.tuples(NAMES, NAMES, NAMES.filter(lambda text: len(text) <= 256)), unique=True))
def test_what_a_spreadsheet_writes_is_read_as_it_was_meant(rows: list[tuple[str, str, str]]) -> None:
    file = io.StringIO(newline="")
    csv.writer(file).writerows([HEADER, *rows])
    assert [(*row.user, row.smallcase_auth_id) for row in read(file.getvalue().encode("utf-8-sig"))] == rows


def row(line: int, subject: str, smallcase_auth_id: str) -> Row:
    return Row(line, User(ISSUER, subject), smallcase_auth_id)


def test_of_rows_that_exclude_each_other_the_first_counts() -> None:
    rows = [row(2, "asha", "1"), row(3, "ravi", "2"), row(4, "asha", "3"), row(5, "mira", "2"), row(6, "tara", "6")]
    remarks = [
        Remark(4, "CONTRADICTION: line 2 has the same user with another smallcase_auth_id"),
        Remark(5, "CONTRADICTION: line 3 has the same smallcase_auth_id for another user"),
    ]
    assert compare(rows) == ([rows[0], rows[1], rows[4]], 0, remarks)


def test_a_row_that_says_what_an_earlier_one_has_said_changes_nothing() -> None:
    rows = [row(2, "asha", "1"), row(3, "asha", "1"), row(4, "ravi", "2"), row(5, "asha", "1")]
    assert compare(rows) == ([rows[0], rows[2]], 2, [])


def test_a_contradiction_that_is_repeated_is_one_again() -> None:
    rows = [row(2, "asha", "1"), row(3, "ravi", "2"), row(4, "asha", "2"), row(5, "asha", "2")]
    kept, repeated, remarks = compare(rows)
    assert (kept, repeated, [remark.line for remark in remarks]) == (rows[:2], 0, [4, 5])


def test_what_does_not_count_excludes_nobody() -> None:
    rows = [row(2, "asha", "1"), row(3, "asha", "2"), row(4, "ravi", "2"), row(5, "asha", "5")]
    assert [remark.line for remark in compare(rows).contradictions] == [3, 5]


def test_the_same_subject_of_two_issuers_is_two_users() -> None:
    rows = [row(2, "asha", "1"), Row(3, User("https://other.example.com", "asha"), "2")]
    assert compare(rows) == (rows, 0, [])
