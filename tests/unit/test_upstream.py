import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatehouse.upstream import UpstreamAnswer, UpstreamFault, UpstreamRequest

NOW = 1_800_000_000.0  # Fri, 15 Jan 2027 08:00:00 GMT


def answer(body: bytes, content_type: str = "application/json") -> UpstreamAnswer:
    return UpstreamAnswer(200, {"content-type": content_type}, body)


def test_a_json_object_is_returned_with_its_members() -> None:
    assert answer('{"a": [1, "é", null]}'.encode()).json_object() == {"a": [1, "é", None]}


def test_an_answer_that_names_no_type_is_read_as_what_it_is() -> None:
    assert UpstreamAnswer(200, {}, b'{"a": 1}').json_object() == {"a": 1}
    with pytest.raises(UpstreamFault, match="not_json"):
        UpstreamAnswer(200, {}, b"<html>").json_object()


@pytest.mark.parametrize(
    ("body", "content_type", "reason"),
    [
        (b"{}", "", "content_type"),
        (b"{}", "text/html", "content_type"),
        (b"{}", "application/json5", "content_type"),
        (b"{}", "text/html; application/json", "content_type"),
        (b"", "application/json", "not_json"),
        (b"{", "application/json", "not_json"),
        (b"\xff{}", "application/json", "not_json"),
        (b"\xef\xbb\xbf{}", "application/json", "not_json"),
        (b'{"a": NaN}', "application/json", "not_json"),
        (b'{"a": [-Infinity]}', "application/json", "not_json"),
        (b"[" * 100_000, "application/json", "not_json"),
        (b'{"a":' + b"1" * 10_000 + b"}", "application/json", "not_json"),
        (b"[]", "application/json", "not_an_object"),
        (b"null", "application/json", "not_an_object"),
    ],
    ids=lambda value: value[:20],
)
def test_anything_else_is_a_fault_with_a_code(body: bytes, content_type: str, reason: str) -> None:
    with pytest.raises(UpstreamFault) as caught:
        answer(body, content_type).json_object()
    assert caught.value.reason == reason
    assert str(caught.value) == f"upstream: {reason}"
    assert caught.value.__cause__ is None


def test_a_fault_counts_as_sent_unless_it_is_known_better() -> None:
    assert UpstreamFault("timeout").sent
    assert not UpstreamFault("connect", sent=False).sent


def test_neither_a_request_nor_an_answer_shows_its_headers_or_its_body() -> None:
    request = UpstreamRequest("POST", "https://a.example.com", {"Api-Key": "s3cr3t"}, b"s3cr3t")
    shown = repr([request, UpstreamAnswer(200, {"set-cookie": "s3cr3t"}, b"s3cr3t")])
    assert "s3cr3t" not in shown
    assert "https://a.example.com" in shown


def waiting(retry_after: str) -> float | None:
    return UpstreamAnswer(429, {"retry-after": retry_after}).retry_after_seconds(NOW)


@pytest.mark.parametrize(
    ("retry_after", "seconds"),
    [
        ("0", 0),
        ("1", 1),
        (" 120 ", 120),
        ("007", 7),
        ("9" * 5000, 9_999_999_999),
        ("Fri, 15 Jan 2027 08:00:30 GMT", 30),
        ("Friday, 15-Jan-27 08:00:30 GMT", 30),
        ("Fri, 15 Jan 2027 08:00:00 GMT", 0),
        ("Fri, 15 Jan 2027 07:00:00 GMT", 0),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 0),
    ],
    ids=lambda value: str(value)[:30],
)
def test_a_peer_can_say_how_long_to_wait_in_seconds_or_by_date(retry_after: str, seconds: float) -> None:
    assert waiting(retry_after) == seconds


@pytest.mark.parametrize(
    "rubbish",
    [
        "",
        " ",
        "soon",
        "-1",
        "1.5",
        "1e3",
        "+5",
        "0x10",
        "\u0661\u0662",
        "\u00b2",
        "5, 6",
        "2027-01-15T08:00:30Z",
        "32 Jan 2027 08:00:30 GMT",
        "15 Jan 99999999999999999999 08:00:30 GMT",
        "15 Jan 2027 08:00:30 +999999999999",
    ],
)
def test_rubbish_says_nothing(rubbish: str) -> None:
    assert waiting(rubbish) is None


def test_a_peer_that_says_nothing_says_nothing() -> None:
    assert UpstreamAnswer(429).retry_after_seconds(NOW) is None


DATES = st.builds(
    "{} {} {} {}:{} {}".format,
    st.integers(),
    st.sampled_from(["Jan", "Feb", "x"]),
    st.integers(),
    st.integers(),
    st.integers(),
    st.sampled_from(["GMT", "-0000", "", "+9999", "EST"]),
)


@given(st.text(st.characters(exclude_categories=[])) | DATES)
def test_any_header_is_a_wait_that_is_not_negative_or_nothing(retry_after: str) -> None:
    seconds = waiting(retry_after)
    assert seconds is None or seconds >= 0


@given(st.binary() | st.recursive(st.none() | st.integers(), st.lists).map(lambda value: json.dumps(value).encode()))
def test_any_body_is_an_object_or_a_fault(body: bytes) -> None:
    try:
        document = answer(body).json_object()
    except UpstreamFault:
        return
    assert isinstance(document, dict)
