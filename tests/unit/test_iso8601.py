import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatehouse import iso8601

MOMENT = 1_795_320_306  # 2026-11-22T04:05:06Z


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-22T04:05:06Z",
        "2026-11-22t04:05:06z",
        "2026-11-22 04:05:06Z",
        "2026-11-22T04:05:06",
        "2026-11-22T04:05:06.0Z",
        "2026-11-22T04:05:06,000Z",
        "2026-11-22T04:05:06.000000000Z",
        "2026-11-22T09:35:06+05:30",
        "2026-11-22T09:35:06+0530",
        "2026-11-22T05:05:06+01",
        "2026-11-21T23:05:06-05:00",
        "2026-11-22T04:05:06+00:00",
    ],
)
def test_the_forms_that_are_sent_are_one_moment(text: str) -> None:
    assert iso8601.parse(text) == MOMENT


def test_fractions_count_to_the_microsecond() -> None:
    assert iso8601.parse("2026-11-22T04:05:06.25Z") == MOMENT + 0.25
    assert iso8601.parse("2026-11-22T04:05:06.000001Z") == pytest.approx(MOMENT + 1e-6, abs=5e-7)


def test_seconds_may_be_left_out() -> None:
    assert iso8601.parse("2026-11-22T04:05Z") == MOMENT - 6


@pytest.mark.parametrize(
    "text",
    [
        "",
        "now",
        "1795320306",
        "2026-11-22",
        "20261122T040506Z",
        "2026-W47-7T04:05:06Z",
        "2026-326T04:05:06Z",
        "26-11-22T04:05:06Z",
        "+2026-11-22T04:05:06Z",
        "2026-11-22T04Z",
        "2026-11-22T04:05:06.Z",
        "2026-11-22T04:05:06.0000000000Z",
        "2026-11-22T04:05:06 Z",
        " 2026-11-22T04:05:06Z",
        "2026-11-22T04:05:06Z ",
        "2026-11-22T04:05:06Z\n",
        "2026-11-22T04:05:06ZZ",
        "2026-11-22T04:05:06UTC",
        "2026-11-22T04:05:06+5:30",
        "2026-11-22T04:05:06+24:00",
        "2026-11-22T04:05:06+99",
        "2026-11-22X04:05:06Z",
        "2026-02-29T04:05:06Z",
        "2026-13-01T04:05:06Z",
        "2026-00-01T04:05:06Z",
        "2026-11-22T25:05:06Z",
        "2026-11-22T04:60:06Z",
        "2026-11-22T04:05:60Z",
        "0000-11-22T04:05:06Z",
        "\u0662\u0660\u0662\u0666-11-22T04:05:06Z",
        "2026\u201011\u201022T04:05:06Z",
        "0001-01-01T00:00:00+00:01",  # the year before the first
        "9999-12-31T23:59:59-00:01",  # the year after the last
        "9999-12-31T23:59:59.999999Z",  # rounds up into it
        "x" * 100_000,
    ],
)
def test_anything_else_is_a_value_error(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        iso8601.parse(text)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "1970-01-01T00:00:00Z"),
        (MOMENT, "2026-11-22T04:05:06Z"),
        (MOMENT + 0.999, "2026-11-22T04:05:06Z"),
        (-62_135_596_800, "0001-01-01T00:00:00Z"),
        (253_402_300_799, "9999-12-31T23:59:59Z"),
    ],
)
def test_times_are_written_in_utc_and_whole_seconds(seconds: float, text: str) -> None:
    assert iso8601.render(seconds) == text


@given(st.integers(-62_135_596_800, 253_402_300_799))
def test_what_is_written_is_read_as_the_same_moment(seconds: int) -> None:
    assert iso8601.parse(iso8601.render(seconds)) == seconds


@given(st.text() | st.from_regex(iso8601._FORM, fullmatch=True))
def test_any_text_is_a_moment_that_can_be_written_or_a_value_error(text: str) -> None:
    try:
        seconds = iso8601.parse(text)
    except ValueError:
        return
    assert abs(iso8601.parse(iso8601.render(seconds)) - seconds) < 1
