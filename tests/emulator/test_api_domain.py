"""The ASGI application behind the API's port, without a server and without MiniStack."""

import asyncio
import json
from typing import Any

import pytest

from local.emulator.api_domain import Answer, ApiDomain, DeployedApi, Message, Request

API = DeployedApi("000000000000", "us-east-1", "0a1b2c3d")
OK: Answer = (200, {"Content-Type": "text/plain"}, b"fine")


class Backend:
    """What would execute the request: remembers it."""

    def __init__(self, answer: Answer | Exception = OK) -> None:
        self.answer = answer
        self.requests: list[Request] = []

    async def execute(self, api: DeployedApi, request: Request) -> Answer:
        assert api is API
        self.requests.append(request)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


def _call(backend: Backend, *, api: DeployedApi | None = API, **changed: Any) -> list[Message]:
    parts = changed.pop("body", [b""])
    incoming = [
        {"type": "http.request", "body": part, "more_body": number < len(parts)} for number, part in enumerate(parts, 1)
    ]
    scope = {"method": "POST", "raw_path": b"/", "query_string": b"", "headers": [(b"host", b"127.0.0.1:1")], **changed}
    sent: list[Message] = []

    async def receive() -> Message:
        return incoming.pop(0)

    async def send(message: Message) -> None:
        sent.append(message)

    asyncio.run(ApiDomain(lambda: api, backend.execute, 4566)(scope, receive, send))
    return sent


def _headers(sent: list[Message]) -> dict[bytes, bytes]:
    return {name.lower(): value for name, value in sent[0]["headers"]}


def test_the_host_is_the_apis_own() -> None:
    backend = Backend()
    _call(backend)
    assert backend.requests[0].headers == {"host": "0a1b2c3d.execute-api.localhost:4566"}


def test_other_headers_stay_as_they_were_sent() -> None:
    backend = Backend()
    sent = [(b"X-Signature", b" a= "), (b"accept", b"a"), (b"Accept", b"b"), (b"cookie", b"a=1"), (b"Cookie", b"b=2")]
    _call(backend, headers=[*sent, (b"x-utf8", "ü".encode()), (b"x-latin1", b"\xfc")])
    headers = backend.requests[0].headers
    assert headers.pop("host")
    assert headers == {"x-signature": " a= ", "accept": "a,b", "cookie": "a=1; b=2", "x-utf8": "ü", "x-latin1": "ü"}


def test_path_query_and_body_arrive_as_they_were_sent() -> None:
    backend = Backend()
    _call(backend, raw_path=b"/a%2Fb//c", query_string=b"x=1&x=%20&y", body=[b"\x00\xff", b"{"])
    request = backend.requests[0]
    assert (request.raw_path, request.raw_query, request.body) == ("/a%2Fb//c", "x=1&x=%20&y", b"\x00\xff{")
    assert request.query == {"x": ["1", " "], "y": [""]}


def test_before_an_api_is_deployed_the_answer_is_503() -> None:
    backend = Backend()
    start, body = _call(backend, api=None)
    assert start["status"] == 503
    assert "No API" in json.loads(body["body"])["message"]
    assert backend.requests == []


def test_a_failure_of_the_emulator_is_500_and_says_nothing() -> None:
    start, body = _call(Backend(RuntimeError("details")))
    assert (start["status"], body["body"]) == (500, b'{"message":"Internal Server Error"}')


def test_an_answer_has_a_length_a_date_and_a_request_id() -> None:
    sent = _call(Backend())
    headers = _headers(sent)
    assert (headers[b"content-length"], headers[b"content-type"]) == (b"4", b"text/plain")
    assert headers[b"date"].endswith(b"GMT")
    assert len(headers[b"apigw-requestid"]) == 16
    assert sent[1]["body"] == b"fine"


def test_several_cookies_are_several_headers() -> None:
    sent = _call(Backend((200, {"Set-Cookie": ["a=1", "b=2"]}, b"")))
    assert [value for name, value in sent[0]["headers"] if name == b"Set-Cookie"] == [b"a=1", b"b=2"]


@pytest.mark.parametrize(("method", "status", "length"), [("HEAD", 200, b"4"), ("OPTIONS", 204, None)])
def test_answers_without_a_body_have_none(method: str, status: int, length: bytes | None) -> None:
    sent = _call(Backend((status, {}, b"" if status == 204 else b"fine")), method=method)
    assert sent[1]["body"] == b""
    assert _headers(sent).get(b"content-length") == length
