import base64
from typing import Any

import pytest

from gatehouse.http import parse_request
from gatehouse.json_request import read_object, read_text
from gatehouse.problems import InvalidRequest, UnsupportedMediaType
from gatehouse.strict_json import Json, Number


def read(body: str, content_type: str | None = "application/json", **event: Any) -> dict[str, Json]:
    headers = {} if content_type is None else {"Content-Type": content_type}
    return read_object(parse_request({"headers": {**headers, **event.pop("headers", {})}, "body": body, **event}))


def test_an_object_is_read_with_its_numbers_as_they_were_written() -> None:
    members = read('{"intent": "CONNECT", "price": 1520.10}')
    assert members == {"intent": "CONNECT", "price": "1520.10"}
    assert isinstance(members["price"], Number)


@pytest.mark.parametrize("content_type", ["application/json", "Application/JSON; charset=utf-8", " application/json "])
def test_json_is_taken_however_it_is_named(content_type: str) -> None:
    assert read("{}", content_type) == {}


@pytest.mark.parametrize("content_type", [None, "", "text/plain", "application/jsonp", "application/json, text/plain"])
def test_anything_but_json_is_refused(content_type: str | None) -> None:
    with pytest.raises(UnsupportedMediaType):
        read("{}", content_type)


@pytest.mark.parametrize("encoding", ["gzip", "br", "identity, gzip"])
def test_a_compressed_body_is_refused(encoding: str) -> None:
    with pytest.raises(UnsupportedMediaType):
        read("{}", headers={"Content-Encoding": encoding})


def test_a_body_that_is_said_not_to_be_compressed_is_read() -> None:
    assert read("{}", headers={"Content-Encoding": " Identity"}) == {}


def test_a_body_in_base64_is_read() -> None:
    assert read(base64.b64encode(b'{"a": "b"}').decode(), isBase64Encoded=True) == {"a": "b"}


@pytest.mark.parametrize(
    "body",
    ["", " ", "{", "[]", '"text"', "null", "1", '{"a": 1, "a": 1}', '{"a": NaN}', "\ufeff{}", "{}{}", "{'a': 1}"],
)
def test_a_body_that_is_no_strict_object_is_refused(body: str) -> None:
    with pytest.raises(InvalidRequest):
        read(body)


def test_base64_that_is_none_is_refused() -> None:
    with pytest.raises(InvalidRequest):
        read("{}", isBase64Encoded=True)


def test_a_member_is_a_text_within_its_limit() -> None:
    assert read_text({"a": "bc"}, "a", 2) == "bc"
    assert read_text({"a": "b"}, "a", 2) == "b"


@pytest.mark.parametrize("value", ["", "abc", Number("1"), True, None, [], {}])
def test_a_member_that_is_no_text_or_too_long_is_refused(value: Json) -> None:
    with pytest.raises(InvalidRequest):
        read_text({"a": value}, "a", 2)


def test_a_member_that_is_not_there_is_refused() -> None:
    with pytest.raises(InvalidRequest):
        read_text({"b": "b"}, "a", 2)
