"""Lambda's Runtime API on loopback, with a clock.

Owns the moments that count: when a process first asks for an event (it has initialised), and how long it takes from an
event handed out to its answer.

https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html
"""

import queue
import time
from typing import NamedTuple, Self

from bench.loopback import LoopbackServer, Request, Response

_WAIT_SECONDS = 60


class FunctionFailed(Exception):
    """The function reported an error, or answered nothing in time."""


class Answered(NamedTuple):
    """An invocation."""

    body: bytes
    sent_at: float  # perf_counter, as below
    received_at: float

    @property
    def seconds(self) -> float:
        """How long it took."""
        return self.received_at - self.sent_at


class RuntimeApi:
    """One function's Runtime API."""

    def __init__(self) -> None:
        self._asked: queue.SimpleQueue[float] = queue.SimpleQueue()
        self._events: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        self._answers: queue.SimpleQueue[tuple[float, Request]] = queue.SimpleQueue()
        self._sent_at = 0.0
        self._count = 0
        self._server = LoopbackServer(self._answer)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._server.close()

    @property
    def address(self) -> str:
        """The value of AWS_LAMBDA_RUNTIME_API."""
        return f"127.0.0.1:{self._server.port}"

    def wait_initialised(self) -> float:
        """Return when the process asked for an event. Raises FunctionFailed."""
        try:
            return self._asked.get(timeout=_WAIT_SECONDS)
        except queue.Empty:
            raise FunctionFailed("it never asked for an event") from None

    def invoke(self, event: bytes) -> Answered:
        """Hand out an event, to a process that waits for one, and return the answer. Raises FunctionFailed."""
        self._events.put(event)
        try:
            received_at, request = self._answers.get(timeout=_WAIT_SECONDS)
        except queue.Empty:
            raise FunctionFailed("no answer in time") from None
        if not request.path.endswith("/response"):
            raise FunctionFailed(request.body.decode(errors="replace"))
        return Answered(request.body, self._sent_at, received_at)

    def _answer(self, request: Request) -> Response:
        now = time.perf_counter()
        if request.path.endswith("/invocation/next"):
            self._asked.put(now)
            event = self._events.get()
            self._count += 1
            deadline = int(time.time() * 1000) + 30_000
            headers = (
                ("Lambda-Runtime-Aws-Request-Id", f"8476a536-e9f4-11e8-9739-{self._count:012x}"),
                ("Lambda-Runtime-Deadline-Ms", str(deadline)),
                ("Lambda-Runtime-Invoked-Function-Arn", "arn:aws:lambda:eu-west-1:123456789012:function:bench"),
                (
                    "Lambda-Runtime-Trace-Id",
                    "Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700;Parent=9a9197af755a6419;Sampled=0",
                ),
            )
            self._sent_at = time.perf_counter()
            return Response(event, 200, headers)
        if request.path.endswith("/init/error"):
            self._asked.put(now)
        self._answers.put((now, request))
        return Response(b'{"status":"OK"}', 202)
