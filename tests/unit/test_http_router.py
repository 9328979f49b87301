import json

import pytest

from local import http_faults
from local.http_router import Answer, Request, Response, Router, json_response


def router(*, cors: bool = False) -> Router:
    made = Router(cors=cors)
    made.add("GET", "/users/{id}", lambda request: json_response(200, {"id": request.params["id"]}))
    made.add("POST", "/users/{id}", lambda request: Response(201, request.body))
    made.add("GET", "/users/all", lambda _: Response(500))
    made.add("GET", "/files/{rest+}", lambda request: json_response(200, request.params))
    made.add("GET", "/a.b", lambda _: Response(200))
    made.add("GET", "/broken", lambda _: http_faults.reset())
    return made


def answered(answer: Answer) -> Response:
    assert isinstance(answer, Response)
    return answer


@pytest.mark.parametrize(
    ("method", "path", "status", "body"),
    [
        ("GET", "/users/7", 200, {"id": "7"}),
        ("GET", "/users/a%2Fb%20c", 200, {"id": "a/b c"}),
        ("GET", "/users/%FF", 200, {"id": "\ufffd"}),
        ("GET", "/users/all", 200, {"id": "all"}),
        ("HEAD", "/users/7", 200, {"id": "7"}),
        ("GET", "/files/a/b", 200, {"rest": "a/b"}),
        ("GET", "/users/", 404, {"error": "not_found"}),
        ("GET", "/users/7/", 404, {"error": "not_found"}),
        ("GET", "/files/", 404, {"error": "not_found"}),
        ("GET", "/aXb", 404, {"error": "not_found"}),
        ("GET", "/a.b\n", 404, {"error": "not_found"}),
        ("OPTIONS", "/users/7", 405, {"error": "method_not_allowed"}),
        ("get", "/users/7", 405, {"error": "method_not_allowed"}),
    ],
)
def test_path_and_method_choose_the_handler(method: str, path: str, status: int, body: object) -> None:
    response = answered(router().answer(Request(method, path)))
    assert (response.status, json.loads(response.body)) == (status, body)


def test_a_refused_method_is_told_the_methods_of_all_routes_of_the_path() -> None:
    assert ("Allow", "GET, POST") in answered(router().answer(Request("PUT", "/users/all"))).headers


@pytest.mark.parametrize(("method", "path"), [("GET", "/a.b"), ("PUT", "/a.b"), ("GET", "/?"), ("OPTIONS", "/a.b")])
def test_with_cors_every_answer_may_be_read_by_every_page(method: str, path: str) -> None:
    response = answered(router(cors=True).answer(Request(method, path)))
    assert ("Access-Control-Allow-Origin", "*") in response.headers


def test_with_cors_a_preflight_is_answered() -> None:
    response = answered(router(cors=True).answer(Request("OPTIONS", "/users/7")))
    assert response.status == 204
    assert "authorization" in dict(response.headers)["Access-Control-Allow-Headers"]


def test_errors_take_the_form_that_the_simulator_gives_them() -> None:
    made = Router(error=lambda status: Response(status, b"mine"))
    assert answered(made.answer(Request("GET", "/"))) == Response(404, b"mine")
    assert made.error(413) == Response(413, b"mine")


def test_headers_are_found_in_any_case_and_in_their_order() -> None:
    request = Request("GET", "/", headers=(("X-A", "1"), ("other", "2"), ("x-a", "3")))
    assert (request.header("x-A"), request.header_all("X-a"), request.header("none")) == ("1", ["1", "3"], None)


@pytest.mark.parametrize(
    ("response", "head", "expected"),
    [
        (Response(200, b"hi"), False, b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi"),
        (Response(200, b"hi"), True, b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n"),
        (Response(204, b"hi"), False, b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n"),
        (
            Response(599, b"", (("A", "1"), ("A", "2"))),
            False,
            b"HTTP/1.1 599 Unknown\r\nA: 1\r\nA: 2\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
        ),
    ],
)
def test_an_answer_becomes_its_bytes(response: Response, *, head: bool, expected: bytes) -> None:
    assert response.encode(head=head) == expected


class RecordingWire:
    def __init__(self) -> None:
        self.events: list[object] = []

    def send(self, data: bytes) -> None:
        self.events.append(data)

    def pause(self, seconds: float) -> None:
        self.events.append(seconds)

    def reset(self) -> None:
        self.events.append("reset")


OK = Response(200, b"body")
HEAD = OK.encode(head=True)


@pytest.mark.parametrize(
    ("fault", "events"),
    [
        (http_faults.delayed(OK, 3), [3, HEAD + b"body"]),
        (http_faults.drip(OK, chunk_bytes=len(HEAD), every_seconds=2), [HEAD, 2, b"body"]),
        (http_faults.cut(OK, after_bytes=1), [HEAD + b"b"]),
        (http_faults.cut(OK, after_bytes=0), [HEAD]),
        (http_faults.hang(9), [9]),
        (http_faults.reset(), ["reset"]),
        (http_faults.raw(b"\x00"), [b"\x00"]),
    ],
)
def test_a_fault_does_to_the_connection_what_its_name_says(fault: http_faults.Fault, events: list[object]) -> None:
    wire = RecordingWire()
    fault(wire)
    assert wire.events == events
