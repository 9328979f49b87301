"""Python functions run on the Lambda runtime's own client, awslambdaric, in an environment of their own.

AWS: a function is a process of awslambdaric with the function's variables and a few of the runtime's, its layers
merged under /opt. It stays warm after an exception, and its log lines have the format of its `LoggingConfig`.
MiniStack 1.5.33: a worker of its own, in MiniStack's environment and interpreter; error types and log settings are
lost, and the process is replaced after an exception.
Here: the functions' logs are read as JSON, errors are told by their type, and the layer carries all the code.

MiniStack runs custom runtimes as AWS does, over the Runtime API: this makes python3.13 one of them.
"""

import hashlib
import io
import os
import queue
import shutil
import stat
import tempfile
import threading
import zipfile
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any, Final

from ministack.core import lambda_runtime
from ministack.core.responses import get_region, new_uuid
from ministack.services import lambda_svc

from local.emulator.patching import Patcher, Wrapper
from local.ports import LOOPBACK

type Json = dict[str, Any]

_BUFFERED = -1
_SEARCH_PATH = "/usr/local/bin:/usr/bin:/bin"
_HOME = "/home/sbx_user1051"
"""As on Lambda: a directory that is not there, so that no configuration of this machine's user is read."""
_layers_lock: Final = threading.Lock()


def apply(patcher: Patcher) -> None:
    """Send Python functions along MiniStack's path for custom runtimes, with awslambdaric as the runtime."""
    bootstrap = f'#!/bin/sh\nexec "{patcher.settings.functions_python}" -m awslambdaric "$_HANDLER"\n'
    endpoint = f"http://{LOOPBACK}:{patcher.settings.aws_port}"

    def code_directory(original: Wrapper, code_zip: bytes) -> str:
        directory: str = original(code_zip)
        with lambda_svc._provided_code_lock:  # no process may be started while the file is open for writing
            _write_executable(Path(directory, "bootstrap"), bootstrap)
        return directory

    def environment(_original: Wrapper, config: Json, code: str, port: int) -> dict[str, str]:
        return _environment(config, code, f"{LOOPBACK}:{port}", endpoint)

    patcher.wrap(lambda_runtime, "_worker_class_for", "b5a23849280af819", _worker_class)
    patcher.wrap(lambda_runtime.ProvidedWorker, "_build_handler_class", "806d5b8e506093e3", _runtime_api_handler)
    patcher.wrap(lambda_svc, "_execute_function_warm", "62b9218bef5b948a", _execute)
    patcher.wrap(lambda_svc, "_provided_runtime_code_dir", "85d4402ed282c80b", code_directory)
    patcher.wrap(lambda_svc, "_provided_worker_env", "8cccaed6a6d8792a", environment)


def _is_python(config: Json) -> bool:
    return str(config.get("Runtime", "")).startswith("python")


def _worker_class(original: Wrapper, config: Json) -> object:
    return lambda_runtime.ProvidedWorker if _is_python(config) else original(config)


def _execute(original: Wrapper, function: Json, event: object, request_id: str) -> object:
    if _is_python(function.get("config") or function):
        return lambda_svc._execute_function_provided_warm(function, event, request_id)
    return original(function, event, request_id)


def _runtime_api_handler(
    original: Wrapper, worker: object, generation: int, pending: queue.Queue[object]
) -> type[BaseHTTPRequestHandler]:
    handler: type[BaseHTTPRequestHandler] = original(worker, generation, pending)
    # Without these two, each answer goes out as several packets, and an invocation waits 40 ms for an acknowledgement.
    handler.wbufsize = _BUFFERED
    handler.disable_nagle_algorithm = True
    return handler


def _write_executable(path: Path, text: str) -> None:
    if not path.exists():
        path.write_text(text)
        path.chmod(path.stat().st_mode | stat.S_IXUSR)


def _environment(config: Json, code: str, runtime_api: str, endpoint: str) -> dict[str, str]:
    """Return everything that the function's process sees; nothing is inherited."""
    name, logging = config["FunctionName"], config.get("LoggingConfig") or {}
    environment = {
        "AWS_DEFAULT_REGION": get_region(),
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_EXECUTION_ENV": f"AWS_Lambda_{config['Runtime']}",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(config.get("MemorySize", 128)),
        "AWS_LAMBDA_FUNCTION_NAME": name,
        "AWS_LAMBDA_FUNCTION_VERSION": config.get("Version", "$LATEST"),
        "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
        "AWS_LAMBDA_LOG_FORMAT": "JSON" if logging.get("LogFormat") == "JSON" else "TEXT",
        "AWS_LAMBDA_LOG_GROUP_NAME": logging.get("LogGroup") or f"/aws/lambda/{name}",
        "AWS_LAMBDA_LOG_STREAM_NAME": new_uuid(),
        "AWS_LAMBDA_RUNTIME_API": runtime_api,
        "AWS_REGION": get_region(),
        "HOME": _HOME,
        "LAMBDA_RUNTIME_DIR": "/var/runtime",
        "LAMBDA_TASK_ROOT": code,
        "LANG": "en_US.UTF-8",
        "PATH": _SEARCH_PATH,
        "PYTHONDONTWRITEBYTECODE": "1",  # the directories are read-only on AWS
        "PYTHONPATH": os.pathsep.join([code, *_layer_paths(config)]),
        "PYTHONUNBUFFERED": "1",
        "TMPDIR": tempfile.gettempdir(),
        "TZ": ":UTC",
        "_HANDLER": config["Handler"],
        lambda_runtime.HOST_PREFIX_ENV: "true",  # botocore would prefix the host name of some endpoints
    }
    if level := logging.get("ApplicationLogLevel"):
        environment["AWS_LAMBDA_LOG_LEVEL"] = level
    environment.update(lambda_runtime.execution_credentials(config))
    environment.update(lambda_svc._runtime_env_vars(config))
    return environment


def _layer_paths(config: Json) -> list[str]:
    """Return where Python looks for packages in the layers, merged in their order into one directory as in /opt."""
    archives = [archive for layer in config.get("Layers") or [] if (archive := lambda_svc._resolve_layer_zip(layer))]
    if not archives:
        return []
    digest = hashlib.sha256(b"".join(hashlib.sha256(archive).digest() for archive in archives)).hexdigest()
    merged = Path(tempfile.gettempdir(), "layers", digest)
    with _layers_lock:
        if not merged.exists():
            partial = merged.with_suffix(".partial")
            shutil.rmtree(partial, ignore_errors=True)
            for archive in archives:
                zipfile.ZipFile(io.BytesIO(archive)).extractall(partial)
            partial.rename(merged)
    runtime = config["Runtime"]
    return [str(merged / "python" / "lib" / runtime / "site-packages"), str(merged / "python")]
