import json
from datetime import UTC, datetime

import pytest

from gatehouse.exchange_answer import (
    MAX_EXPIRES_IN_SECONDS,
    MAX_TOKEN_CHARACTERS,
    ExchangeAnswer,
    Grant,
    Refused,
    Unauthorized,
    Unavailable,
    judge,
)
from gatehouse.secret_value import Secret
from gatehouse.upstream import UpstreamAnswer
from tests.support.token_fakes import error_answer, grant_answer, json_answer, token_object

STARTED = datetime(2026, 11, 22, 4, 0, 0, tzinfo=UTC).timestamp()
NOW = STARTED + 2
JSON = {"content-type": "application/json"}


def judged(answer: UpstreamAnswer) -> ExchangeAnswer:
    return judge(answer, STARTED, NOW)


def granted(**changes: object) -> ExchangeAnswer:
    return judged(grant_answer(STARTED, **changes))


def expiry(**changes: object) -> float:
    answer = granted(**changes)
    assert isinstance(answer, Grant)
    return answer.expires_at


def test_a_complete_answer_is_a_grant() -> None:
    assert granted() == Grant(Secret("access-granted"), Secret("refresh-stored"), STARTED + 3600, STARTED)


def test_members_that_nobody_asked_for_are_ignored() -> None:
    assert granted(user={"id": 1}, scope="all", warnings=[]) == granted()


@pytest.mark.parametrize("token_type", ["Bearer", "bearer", "BEARER", "bEaReR"])
def test_the_token_type_is_compared_without_case(token_type: str) -> None:
    assert isinstance(granted(token_type=token_type), Grant)


NO_TOKEN_TYPE: list[object] = [None, "", "mac", "Bearer ", "BearerX", 7, True, ["Bearer"]]
NO_EXPIRES_IN: list[object] = [None, "3600", 3600.0, 3600.5, True, False, 0, -1, [3600], {}, 10**30]
NO_EXPIRES_AT: list[object] = [
    None,
    1_800_000_000,
    [],
    {},
    "",
    "soon",
    "1795323600",
    "2026-11-22",
    "2026-13-22T05:00:00Z",
    "2026-11-22T25:00:00Z",
    "2026-11-22T05:00:00Z\n",
    "\u0662026-11-22T05:00:00Z",
]
NO_TOKEN: list[object] = [
    None,
    "",
    7,
    True,
    ["x"],
    {"x": "y"},
    "a b",
    " x",
    "x\n",
    "a\r\nX-Evil: 1",
    "a\tb",
    "a\x00b",
    "a\x7fb",
    "é",
    "\ud800",
    "a\u2028b",
    "x" * (MAX_TOKEN_CHARACTERS + 1),
]


@pytest.mark.parametrize(
    ("member", "value"),
    [
        *(("token_type", value) for value in NO_TOKEN_TYPE),
        *(("expires_in", value) for value in (*NO_EXPIRES_IN, MAX_EXPIRES_IN_SECONDS + 1)),
        *(("expires_at", value) for value in NO_EXPIRES_AT),
        *(("access_token", value) for value in NO_TOKEN),
        *(("refresh_token", value) for value in NO_TOKEN),
    ],
    ids=lambda value: repr(value)[:30],
)
def test_a_member_that_is_missing_or_not_what_it_must_be_spoils_the_whole(member: str, value: object) -> None:
    assert granted(**{member: value}) == Unavailable(member)


@pytest.mark.parametrize("null", ["token_type", "expires_in", "expires_at", "access_token", "refresh_token"])
def test_null_is_not_a_value(null: str) -> None:
    assert judged(json_answer({**token_object(STARTED), null: None})) == Unavailable(null)


def test_the_longest_token_and_the_longest_life_are_taken() -> None:
    assert isinstance(granted(access_token="x" * MAX_TOKEN_CHARACTERS), Grant)
    assert isinstance(granted(expires_in=MAX_EXPIRES_IN_SECONDS), Grant)


@pytest.mark.parametrize(
    "expires_at",
    [
        "2026-11-22T04:30:00Z",
        "2026-11-22t04:30:00z",
        "2026-11-22 04:30:00",
        "2026-11-22T04:30:00",
        "2026-11-22T04:30Z",
        "2026-11-22T04:30:00.000000Z",
        "2026-11-22T04:30:00.000Z",
        "2026-11-22T04:30:00.000000000Z",
        "2026-11-22T10:00:00+05:30",
        "2026-11-22T10:00:00.000000+05:30",
        "2026-11-22T10:00:00+0530",
        "2026-11-21T23:30:00-05",
        "2026-11-22T04:30:00-00:00",
    ],
)
def test_every_form_of_expires_at_is_the_same_moment(expires_at: str) -> None:
    assert expiry(expires_at=expires_at) == STARTED + 1800


def test_microseconds_of_expires_at_count() -> None:
    assert expiry(expires_at="2026-11-22T04:30:00.250000Z") == STARTED + 1800.25


def test_the_earlier_of_both_expiries_counts() -> None:
    assert expiry(expires_in=3600, expires_at="2026-11-22T04:59:59Z") == STARTED + 3599
    assert expiry(expires_in=3599, expires_at="2026-11-22T05:00:00Z") == STARTED + 3599
    assert expiry(expires_in=60, expires_at="2030-01-01T00:00:00Z") == STARTED + 60
    assert expiry(expires_in=MAX_EXPIRES_IN_SECONDS, expires_at="2026-11-22T04:01:00Z") == STARTED + 60


def test_expires_in_counts_from_the_start_of_the_request() -> None:
    answer = judge(grant_answer(STARTED, expires_in=60), STARTED, STARTED + 8)
    assert isinstance(answer, Grant)
    assert (answer.expires_at, answer.obtained_at) == (STARTED + 60, STARTED)


@pytest.mark.parametrize(
    ("changes", "is_grant"),
    [
        ({"expires_at": "2020-01-01T00:00:00Z"}, False),
        ({"expires_at": "2026-11-22T04:00:01Z"}, False),
        ({"expires_at": "2026-11-22T04:00:02Z"}, False),
        ({"expires_at": "2026-11-22T04:00:03Z"}, True),
        ({"expires_in": 1}, False),
        ({"expires_in": 2}, False),
        ({"expires_in": 3}, True),
        ({"expires_at": "2026-11-22T05:00:00+05:30"}, False),
    ],
)
def test_tokens_that_are_already_expired_are_no_grant(changes: dict[str, object], is_grant: bool) -> None:
    answer = granted(**changes)
    assert isinstance(answer, Grant) if is_grant else answer == Unavailable("already_expired")


def test_a_401_is_unauthorized_whatever_it_says() -> None:
    assert judged(error_answer(401, "INVALID_API_KEY")) == Unauthorized()
    assert judged(error_answer(401, "REFRESH_TOKEN_EXPIRED")) == Unauthorized()
    assert judged(UpstreamAnswer(401, {}, b"\xff")) == Unauthorized()
    assert judged(json_answer(token_object(STARTED), 401)) == Unauthorized()


@pytest.mark.parametrize("status", [400, 402, 403, 404, 405, 409, 415, 422, 428, 430, 499])
def test_another_4xx_is_a_refusal(status: int) -> None:
    assert judged(error_answer(status)) == Refused(f"status_{status}")


@pytest.mark.parametrize("status", [100, 201, 202, 204, 206, 301, 302, 304, 307, 399, 429, 500, 502, 503, 504, 599])
def test_any_other_status_is_no_usable_answer_even_with_tokens(status: int) -> None:
    may_have_happened = status not in {429, 503}  # those two turn a request away
    expected = Unavailable(f"status_{status}", may_have_happened=may_have_happened)
    assert judged(json_answer(token_object(STARTED), status)) == expected


@pytest.mark.parametrize("error", [{"code": "X", "message": "x"}, "x", {}, False])
def test_a_200_that_speaks_of_an_error_is_no_grant(error: object) -> None:
    assert judged(json_answer({"error": error})) == Unavailable("error_object")
    assert judged(json_answer({**token_object(STARTED), "error": error})) == Unavailable("error_object")


def test_an_error_that_is_null_is_none() -> None:
    assert judged(json_answer({**token_object(STARTED), "error": None})) == judged(json_answer(token_object(STARTED)))


@pytest.mark.parametrize(
    "content_type",
    ["application/json", "application/json; charset=utf-8", "Application/JSON ;x=y", " application/json"],
)
def test_json_is_json_whatever_its_parameters(content_type: str) -> None:
    body = json.dumps(token_object(STARTED)).encode()
    assert isinstance(judged(UpstreamAnswer(200, {"content-type": content_type}, body)), Grant)


@pytest.mark.parametrize(
    "content_type", ["", "text/html", "text/plain", "application/jsonp", "application/problem+json"]
)
def test_another_content_type_is_no_usable_answer(content_type: str) -> None:
    body = json.dumps(token_object(STARTED)).encode()
    assert judged(UpstreamAnswer(200, {"content-type": content_type}, body)) == Unavailable("content_type")
    assert isinstance(judged(UpstreamAnswer(200, {}, body)), Grant), "one that names none is read as what it is"


GOOD = json.dumps(token_object(STARTED))


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "not_json"),
        (b"OK", "not_json"),
        (b"<html>", "not_json"),
        (GOOD[:-1].encode(), "not_json"),
        (GOOD.encode() + b"{}", "not_json"),
        (GOOD.encode("utf-16"), "not_json"),
        (b"\xef\xbb\xbf" + GOOD.encode(), "not_json"),
        (GOOD.encode().replace(b"granted", b"\xff\xfe"), "not_json"),
        (GOOD.replace("3600", "NaN").encode(), "not_json"),
        (GOOD.replace("3600", "Infinity").encode(), "not_json"),
        (GOOD.replace("3600", "-Infinity").encode(), "not_json"),
        (GOOD.replace("3600", "1e999").encode(), "expires_in"),
        (GOOD.replace("3600", "9" * 10_000).encode(), "not_json"),
        (b"[" * 100_000, "not_json"),
        (b'{"a":' * 100_000, "not_json"),
        (b"null", "not_an_object"),
        (b"[]", "not_an_object"),
        (b"[" + GOOD.encode() + b"]", "not_an_object"),
        (b'"text"', "not_an_object"),
        (b"7", "not_an_object"),
        (b"{}", "token_type"),
    ],
)
def test_a_body_that_is_no_json_object_of_tokens_is_no_usable_answer(body: bytes, reason: str) -> None:
    assert judged(UpstreamAnswer(200, JSON, body)) == Unavailable(reason)


def test_nothing_that_can_be_printed_shows_a_token() -> None:
    answer = grant_answer(STARTED, access_token="s3cr3t-access", refresh_token="s3cr3t-refresh")
    assert "s3cr3t" not in repr(answer) + repr(judged(answer))
