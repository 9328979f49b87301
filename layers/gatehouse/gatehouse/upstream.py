"""Calls to outside systems, as values: what is asked, what is answered, and how it can fail.

Owns reading an answer: JSON or a known fault, and how long to wait. It talks to nobody (`http_transport` does) and
never quotes what came in.
"""

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import NoReturn, Protocol

from gatehouse.problems import ServiceError


class UpstreamFault(ServiceError):
    """A call that had no usable answer. `reason` is a code; `sent` is False where provably nothing was sent."""

    def __init__(self, reason: str, *, sent: bool = True) -> None:
        super().__init__(f"upstream: {reason}")
        self.reason = reason
        self.sent = sent


@dataclass(frozen=True, slots=True)
class UpstreamRequest:
    """A request. Headers and body may hold secrets, so neither is shown."""

    method: str
    url: str
    headers: Mapping[str, str] = field(repr=False)
    body: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class UpstreamAnswer:
    """A complete answer. Names of headers are in lower case."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: bytes = field(default=b"", repr=False)

    def json_object(self) -> dict[str, object]:
        """Return the body as a JSON object. Raises `UpstreamFault` for anything else, another content type included.

        Neither contract names the header, so an answer without one is read as what it is.
        """
        content_type = self.headers.get("content-type", "application/json")
        if content_type.partition(";")[0].strip().lower() != "application/json":
            raise UpstreamFault("content_type")
        try:
            value = json.loads(self.body.decode(), parse_constant=refuse_constant)
        except (ValueError, RecursionError):
            raise UpstreamFault("not_json") from None
        if not isinstance(value, dict):
            raise UpstreamFault("not_an_object")
        return value

    def retry_after_seconds(self, now: float) -> float | None:
        """Return how long the peer asks to wait, from seconds or an HTTP date; None where it does not say."""
        text = self.headers.get("retry-after", "").strip()
        if text.isascii() and text.isdecimal():
            return float(text[:10])
        with suppress(ValueError, OverflowError):
            return max(0.0, parsedate_to_datetime(text).timestamp() - now)
        return None


class Transport(Protocol):
    """Makes calls."""

    def send(self, request: UpstreamRequest, timeout_seconds: float) -> UpstreamAnswer:
        """Return the answer, whatever its status, within `timeout_seconds`. Raises `UpstreamFault`."""
        ...


def refuse_constant(_name: str) -> NoReturn:
    """Refuse NaN and Infinity, which Python's JSON reader takes: for its `parse_constant`. Raises ValueError."""
    raise ValueError("NaN and Infinity are no JSON")


def is_header_safe(token: str) -> bool:
    """Whether a token can stand in a header: printable ASCII without spaces, and not nothing."""
    return token != "" and token.isascii() and token.isprintable() and " " not in token
