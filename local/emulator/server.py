"""The emulator's process: MiniStack with the patches, on two ports of the loopback interface, until it is stopped.

Owns the listeners and the end: what the emulator started ends with it. Never binds another interface.
"""

import asyncio
import os
import shutil
import signal
import threading
import time
from http import HTTPStatus
from pathlib import Path
from typing import Any

import hypercorn.asyncio
from hypercorn.config import Config
from ministack import app as aws
from ministack.core import lambda_runtime
from ministack.core.responses import request_scope
from ministack.services import apigateway, lambda_svc

from local.emulator import patching
from local.emulator.api_domain import Answer, ApiDomain, DeployedApi, Receive, Request, Scope, Send
from local.emulator.settings import Settings
from local.ports import LOOPBACK
from local.visitors import is_foreign_page

_DEFAULT_STAGE = "$default"
_KEEP_ALIVE_SECONDS = 75
_DRAIN_SECONDS = 0.3
"""What requests in progress get when it is stopped."""
_STOP_SECONDS = 1.5
"""When a stop that hangs (a request that waits for messages, say) is cut short."""


def run(settings: Settings, scratch: Path) -> None:
    """Patch MiniStack and serve until SIGTERM or SIGINT; everything started on the way is gone then."""
    patching.apply_all(settings)
    config = Config()
    config.bind = [f"{LOOPBACK}:{settings.aws_port}", f"{LOOPBACK}:{settings.api_port}"]
    config.keep_alive_timeout = _KEEP_ALIVE_SECONDS
    config.graceful_timeout = _DRAIN_SECONDS
    config.loglevel = "WARNING"
    asyncio.run(_serve(config, settings, scratch))
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    _end_group(signal.SIGTERM)


async def _serve(config: Config, settings: Settings, scratch: Path) -> None:
    loop = asyncio.get_running_loop()
    asked, requests = asyncio.Event(), set[asyncio.Task[Any]]()
    # The handler only writes a byte: it may interrupt anything, and the event loop may be busy.
    read_end, write_end = os.pipe()
    for signum in (signal.SIGTERM, signal.SIGINT):
        signal.signal(signum, lambda *_: os.write(write_end, b"."))

    def on_signal() -> None:
        os.read(read_end, 1)
        threading.Thread(target=_cut_short, args=(scratch,), name="cut-short", daemon=True).start()
        _end_functions()  # and with them the requests that wait for them
        loop.call_soon_threadsafe(asked.set)

    async def stopped() -> None:
        await asked.wait()
        if requests:
            await asyncio.wait(requests, timeout=_DRAIN_SECONDS)
        for request in list(requests):
            request.cancel()

    threading.Thread(target=on_signal, name="stop", daemon=True).start()
    await hypercorn.asyncio.serve(_by_port(settings, requests), config, shutdown_trigger=stopped)


def _end_functions() -> None:
    lambda_svc.acquire_worker = lambda *_, **__: (None, "func_cap")  # a retry must not start another
    lambda_runtime.reset()


def _cut_short(scratch: Path) -> None:
    """Put an end to a stop that hangs."""
    time.sleep(_STOP_SECONDS)
    shutil.rmtree(scratch, ignore_errors=True)
    _end_group(signal.SIGKILL)
    os._exit(1)


def _end_group(signum: signal.Signals) -> None:
    """Signal what is left in the process group, where it is this process's own."""
    if os.getpgrp() == os.getpid():
        os.killpg(os.getpgrp(), signum)


def _by_port(settings: Settings, requests: set[asyncio.Task[Any]]) -> Any:  # noqa: ANN401 -- hypercorn has no types
    """Return the application behind both ports, which keeps the list of requests in progress."""
    api = ApiDomain(_deployed_api, _execute, settings.aws_port)

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await aws.app(scope, receive, send)
            return
        task = asyncio.current_task()
        if task:
            requests.add(task)
            task.add_done_callback(requests.discard)
        if scope["server"][1] == settings.api_port:
            await api(scope, receive, send)
        elif is_foreign_page(_headers(scope, b"host"), _headers(scope, b"origin")):
            # MiniStack lets every page do everything, and its keys are no secret: the account's secrets may be real.
            await _refuse(send)
        else:
            await aws.app(scope, receive, send)

    return application


def _headers(scope: Scope, name: bytes) -> list[str]:
    return [value.decode("latin-1") for each, value in scope["headers"] if each.lower() == name]


async def _refuse(send: Send) -> None:
    body = b'{"message":"Pages of this machine may do this, and no others."}'
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": HTTPStatus.FORBIDDEN, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _deployed_api() -> DeployedApi | None:
    for (account, region, api_id), stages in apigateway._stages.all_items():
        if _DEFAULT_STAGE in stages:
            return DeployedApi(account, region, api_id)
    return None


async def _execute(api: DeployedApi, request: Request) -> Answer:
    with request_scope(api.account, api.region):
        answer: Answer = await apigateway.handle_execute(
            api.api_id,
            _DEFAULT_STAGE,
            apigateway.decode_http_api_path(request.raw_path),
            request.method,
            request.headers,
            request.body,
            request.query,
            raw_query_string=request.raw_query,
        )
    return answer
