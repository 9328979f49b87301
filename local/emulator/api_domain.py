"""The HTTP API under its own address: what arrives on the API's port is a request to the one API that is deployed.

On AWS an API answers under a host name of its own. Here it has a port, so that curl, Python and browsers reach it
without a Host header of their own making, and nothing else of the emulator can be reached there. The function sees
the host name that the API would have. Never touches another header, the body or the query string.
"""

import base64
import logging
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from email.utils import formatdate
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qs

type Scope = Mapping[str, Any]
type Message = dict[str, Any]
type Receive = Callable[[], Awaitable[Message]]
type Send = Callable[[Message], Awaitable[None]]
type Answer = tuple[int, Mapping[str, str | list[str]], bytes]

_REQUEST_ID_BYTES = 11  # 16 characters of base64, as on AWS
_JSON = {"Content-Type": "application/json"}
_NOT_DEPLOYED = (503, _JSON, b'{"message":"No API is deployed yet"}')
_FAILED = (500, _JSON, b'{"message":"Internal Server Error"}')

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class DeployedApi:
    """An HTTP API with a stage $default."""

    account: str
    region: str
    api_id: str


@dataclass(frozen=True, slots=True)
class Request:
    """One request to the API. Header names are in lower case, `raw_path` is percent-encoded as it was sent."""

    method: str
    raw_path: str
    raw_query: str
    query: dict[str, list[str]]
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class ApiDomain:
    """The ASGI application behind the API's port."""

    deployed_api: Callable[[], DeployedApi | None]
    """The API that is deployed, None before there is one."""
    execute: Callable[[DeployedApi, Request], Awaitable[Answer]]
    """Answers a request to it."""
    aws_port: int

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one HTTP request."""
        body = b"".join([part async for part in _body(receive)])
        api = self.deployed_api()
        if api is None:
            answer: Answer = _NOT_DEPLOYED
        else:
            host = f"{api.api_id}.execute-api.localhost:{self.aws_port}"
            try:
                answer = await self.execute(api, _request(scope, body, host))
            except Exception:  # noqa: BLE001 -- whatever it is, AWS answers 500 and says nothing
                _log.exception("the request failed in the emulator")
                answer = _FAILED
        await _send(send, answer, with_body=scope["method"] != "HEAD")


async def _body(receive: Receive) -> AsyncIterator[bytes]:
    while True:
        message = await receive()
        yield message.get("body", b"")
        if not message.get("more_body", False):
            return


def _request(scope: Scope, body: bytes, host: str) -> Request:
    headers: dict[str, str] = {}
    for raw_name, raw_value in scope["headers"]:
        name, value = raw_name.decode("latin-1").lower(), _header_text(raw_value)
        # Repeated headers are one value with commas; cookies have a separator of their own.
        separator = "; " if name == "cookie" else ","
        headers[name] = f"{headers[name]}{separator}{value}" if name in headers else value
    headers["host"] = host
    query = scope["query_string"].decode("latin-1")
    return Request(
        method=scope["method"],
        raw_path=scope["raw_path"].decode("latin-1"),
        raw_query=query,
        query=parse_qs(query, keep_blank_values=True),
        headers=headers,
        body=body,
    )


def _header_text(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1")


async def _send(send: Send, answer: Answer, *, with_body: bool) -> None:
    status, headers, body = answer
    lines = [(name, value) for name, values in headers.items() for value in _as_list(values)]
    own = {
        "apigw-requestid": base64.b64encode(os.urandom(_REQUEST_ID_BYTES)).decode(),
        "content-length": str(len(body)),
        "date": formatdate(usegmt=True),
    }
    given = {name.lower() for name, _ in lines}
    lines += [(name, value) for name, value in own.items() if name not in given]
    if status == HTTPStatus.NO_CONTENT:
        lines = [(name, value) for name, value in lines if name.lower() != "content-length"]
    encoded = [(name.encode("latin-1"), value.encode()) for name, value in lines]
    await send({"type": "http.response.start", "status": status, "headers": encoded})
    await send({"type": "http.response.body", "body": body if with_body else b""})


def _as_list(values: object) -> list[str]:
    return [str(value) for value in values] if isinstance(values, list | tuple) else [str(values)]
