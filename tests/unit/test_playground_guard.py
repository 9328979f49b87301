"""Which requests the playground answers: those of its own page, and no others."""

import json

import pytest

from local.http_router import Request, Response, json_response
from local.playground.guard import HEADER, Guard

GUARD = Guard.of_port(8705)
HOST = ("Host", "127.0.0.1:8705")
OWN = ("Origin", "http://127.0.0.1:8705")
MARK = (HEADER, "1")


def status(method: str, *headers: tuple[str, str], control: bool = True) -> int:
    def handler(_: Request) -> Response:
        return json_response(200, {})

    guarded = GUARD.control(handler) if control else GUARD.page(handler)
    answer = guarded(Request(method, "/", headers=headers))
    assert isinstance(answer, Response)
    if answer.status != 200:
        assert json.loads(answer.body)["error"]["code"] == "NOT_FROM_THE_PAGE"
        assert not any(name.lower().startswith("access-control") for name, _ in answer.headers)
    return answer.status


@pytest.mark.parametrize("host", ["127.0.0.1:8705", "localhost:8705", "LocalHost:8705"])
def test_the_page_is_served_under_its_own_names(host: str) -> None:
    assert status("GET", ("Host", host), control=False) == 200


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [("Host", "evil.example.com:8705")],
        [("Host", "127.0.0.1")],
        [("Host", "127.0.0.1:8700")],
        [("Host", "127.0.0.1:8705.evil.example.com")],
        [HOST, ("Host", "evil.example.com")],
    ],
)
def test_under_another_name_there_is_no_page_and_no_control(headers: list[tuple[str, str]]) -> None:
    assert status("GET", *headers, control=False) == 403
    assert status("GET", *headers, MARK) == 403
    assert status("POST", *headers, MARK, OWN) == 403


@pytest.mark.parametrize("host", ["127.0.0.1:8705", "localhost:8705"])
def test_the_page_may_call_from_where_it_was_loaded(host: str) -> None:
    assert status("POST", ("Host", host), ("Origin", f"http://{host}"), MARK) == 200
    assert status("GET", ("Host", host), ("Origin", f"http://{host}"), MARK) == 200


def test_reading_needs_no_origin_because_browsers_send_none() -> None:
    assert status("GET", HOST, MARK) == 200
    assert status("HEAD", HOST, MARK) == 200
    assert status("POST", HOST, MARK) == 403
    assert status("DELETE", HOST, MARK) == 403


@pytest.mark.parametrize(
    "origin",
    [
        "http://evil.example.com",
        "null",
        "",
        "https://127.0.0.1:8705",
        "http://127.0.0.1:8700",
        "http://localhost:8705",
        "http://127.0.0.1:8705.evil.example.com",
        "http://127.0.0.1:8705, http://evil.example.com",
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_page_of_another_origin_may_not_call(method: str, origin: str) -> None:
    assert status(method, HOST, ("Origin", origin), MARK) == 403
    assert status(method, HOST, OWN, ("Origin", origin), MARK) == 403


@pytest.mark.parametrize("mark", [[], [(HEADER, "")], [(HEADER, "0")], [("X-Other", "1")]])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_form_or_an_image_of_another_page_lacks_the_header(method: str, mark: list[tuple[str, str]]) -> None:
    assert status(method, HOST, OWN, *mark) == 403
