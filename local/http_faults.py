"""Answers as broken or slow servers give them, for the simulators' fault switches.

Each function returns an Answer for a route's handler to return; all of them end with the connection closed.
"""

from collections.abc import Callable

from local.http_router import Response, Wire

type Fault = Callable[[Wire], None]


def delayed(response: Response, seconds: float) -> Fault:
    """Answer correctly, but late."""

    def answer(wire: Wire) -> None:
        wire.pause(seconds)
        wire.send(response.encode())

    return answer


def drip(response: Response, *, chunk_bytes: int, every_seconds: float) -> Fault:
    """Answer correctly, a few bytes at a time: each read of the client succeeds, the whole takes for ever."""

    def answer(wire: Wire) -> None:
        data = response.encode()
        for start in range(0, len(data), chunk_bytes):
            if start:
                wire.pause(every_seconds)
            wire.send(data[start : start + chunk_bytes])

    return answer


def cut(response: Response, *, after_bytes: int) -> Fault:
    """Close after so many bytes of the body, fewer than its Content-Length announced."""

    def answer(wire: Wire) -> None:
        data = response.encode()
        wire.send(data[: len(data) - len(response.body) + after_bytes])

    return answer


def hang(seconds: float) -> Fault:
    """Say nothing for so long, then close without an answer."""

    def answer(wire: Wire) -> None:
        wire.pause(seconds)

    return answer


def reset() -> Fault:
    """Reset the connection instead of an answer."""

    def answer(wire: Wire) -> None:
        wire.reset()

    return answer


def raw(data: bytes) -> Fault:
    """Send exactly these bytes: what is no HTTP, or not quite."""

    def answer(wire: Wire) -> None:
        wire.send(data)

    return answer
