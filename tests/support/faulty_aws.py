"""A way to the emulated AWS on which single operations can be made to fail: throttled, gone, or held half-way.

Owns the faults that the emulator cannot be asked for. It stands between a function and the emulator, where the function
has its URL for `AWS_ENDPOINT_URL`; all that is not armed passes as it came, signatures included.
"""

import json
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import NamedTuple

import urllib3

from local.ports import LOOPBACK

HELD_SECONDS = 30
_PER_CONNECTION = {"connection", "content-length", "keep-alive", "transfer-encoding"}


class Refusal(NamedTuple):
    """What AWS answers."""

    status: int
    code: str


THROTTLED = Refusal(400, "ThrottlingException")
NOT_THERE = Refusal(400, "ResourceNotFoundException")


class FaultyAws:
    """The faults that are armed. An operation is named as in `X-Amz-Target`: `PutSecretValue`, `PutItem`, …"""

    def __init__(self, url: str) -> None:
        self.url = url
        self.seen: list[str] = []
        self._refusals: dict[str, tuple[Refusal, int | None]] = {}
        self._held: str | None = None
        self._is_reached = threading.Event()
        self._is_over = threading.Event()

    def refuse(self, refusal: Refusal, *operations: str, times: int | None = None) -> None:
        """Answer these operations so: as many times, or (None) until `disarm`."""
        self._refusals |= dict.fromkeys(operations, (refusal, times))

    def hold(self, operation: str) -> None:
        """Let this operation arrive and never be done."""
        self._is_reached.clear()
        self._is_over.clear()
        self._held = operation

    def is_reached(self) -> bool:
        """Whether somebody waits in the operation that is held."""
        return self._is_reached.is_set()

    def disarm(self) -> None:
        """Let everything pass from now on; what was held is lost."""
        self._refusals.clear()
        self._held = None
        self._is_over.set()

    def meet(self, operation: str) -> Refusal | None:
        """Return what an operation is answered; None where it passes. Called by the server, once for each request."""
        self.seen.append(operation)
        if operation == self._held:
            self._is_reached.set()
            self._is_over.wait(HELD_SECONDS)
            return Refusal(500, "InternalFailure")
        refusal, left = self._refusals.get(operation, (None, None))
        if refusal is not None and left is not None:
            if left <= 1:
                del self._refusals[operation]
            else:
                self._refusals[operation] = refusal, left - 1
        return refusal


@contextmanager
def faulty_aws(upstream_url: str) -> Iterator[FaultyAws]:
    """Serve on a free port until the block ends."""
    with urllib3.PoolManager(retries=False, timeout=HELD_SECONDS) as http:

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                refusal = aws.meet(self.headers.get("X-Amz-Target", "").rpartition(".")[2])
                if refusal is not None:
                    document = {"__type": refusal.code, "message": "as a test asked for"}
                    self._send(refusal.status, {"Content-Type": "application/x-amz-json-1.1"}, json.dumps(document))
                    return
                answer = http.request(
                    "POST",
                    upstream_url + self.path,
                    body=body,
                    headers={name: value for name, value in self.headers.items() if name.lower() != "connection"},
                    decode_content=False,
                )
                self._send(answer.status, dict(answer.headers), answer.data)

            def _send(self, status: int, headers: dict[str, str], body: str | bytes) -> None:
                data = body.encode() if isinstance(body, str) else body
                try:
                    self.send_response_only(status)
                    for name, value in headers.items():
                        if name.lower() not in _PER_CONNECTION:
                            self.send_header(name, value)
                    self.send_header("Content-Length", str(len(data)))
                    self.end_headers()
                    self.wfile.write(data)
                except OSError:  # whoever asked has been killed
                    self.close_connection = True

            def handle_one_request(self) -> None:
                try:
                    super().handle_one_request()
                except OSError:
                    self.close_connection = True

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        with ThreadingHTTPServer((LOOPBACK, 0), Handler) as server:
            server.daemon_threads = True
            aws = FaultyAws(f"http://{LOOPBACK}:{server.server_port}")
            threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
            try:
                yield aws
            finally:
                aws.disarm()
                server.shutdown()


def kill_functions(function_name: str, endpoint_url: str) -> int:
    """Kill (SIGKILL) the processes that run this function against this endpoint, and return how many there were.

    The endpoint is a test's own, and so are these processes. Where /proc is not, there are none.
    """
    wanted = {f"AWS_LAMBDA_FUNCTION_NAME={function_name}", f"AWS_ENDPOINT_URL={endpoint_url}"}
    killed = 0
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if wanted <= set((folder / "environ").read_bytes().decode(errors="replace").split("\0")):
                os.kill(int(folder.name), signal.SIGKILL)
                killed += 1
        except OSError:
            continue  # it has ended, or is somebody else's
    return killed
