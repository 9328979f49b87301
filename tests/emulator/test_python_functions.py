from typing import Any

import pytest

from tests.emulator.emulators import Emulator, Json, archive, eventually

# What a function sees: its process, its variables, what its layers bring.
LOOK = """
import json, logging, os, sys

logging.getLogger("look").warning("hello", extra={"field": 1})

class OwnError(Exception):
    pass

def handler(event, context):
    if "fail" in event:
        raise OwnError("text")
    if "level" in event:
        logging.getLogger("look").info("hidden")
        logging.getLogger("look").error("shown", extra={"connection": "c1"})
    try:
        import packed
        layer = packed.WHO
    except ImportError:
        layer = None
    return {
        "pid": os.getpid(), "env": dict(os.environ), "layer": layer, "executable": sys.executable,
        "name": context.function_name, "left": context.get_remaining_time_in_millis(), "event": event,
    }
"""


def _layer(emulator: Emulator, name: str, files: dict[str, str]) -> str:
    arn: str = emulator.client("lambda").publish_layer_version(
        LayerName=name, Content={"ZipFile": archive(files)}, CompatibleRuntimes=["python3.13"]
    )["LayerVersionArn"]
    return arn


def _make(emulator: Emulator) -> Emulator:
    lower = _layer(emulator, "lower", {"python/packed.py": "WHO = 'lower'", "python/only_lower.py": ""})
    upper = _layer(emulator, "upper", {"python/packed.py": "import only_lower\nWHO = 'upper'"})
    emulator.function(
        "look",
        LOOK,
        Layers=[lower, upper],
        Timeout=100,
        Environment={"Variables": {"OWN": "yes"}},
        LoggingConfig={"LogFormat": "JSON", "ApplicationLogLevel": "WARN", "LogGroup": "/own/look"},
    )
    return emulator


@pytest.fixture(scope="module")
def plain_functions(plain: Emulator) -> Emulator:
    return _make(plain)


@pytest.fixture(scope="module")
def functions(patched: Emulator) -> Emulator:
    return _make(patched)


def test_is_still_needed_a_function_inherits_the_emulators_variables(plain_functions: Emulator) -> None:
    assert "BIND_HOST" in plain_functions.invoke("look", {})["payload"]["env"]


def test_is_still_needed_an_exception_loses_its_type(plain_functions: Emulator) -> None:
    assert plain_functions.invoke("look", {"fail": 1})["payload"].get("errorType") != "OwnError"


def test_an_exception_keeps_its_type_and_the_function_its_process(functions: Emulator) -> None:
    before = functions.invoke("look", {})["payload"]["pid"]
    failed = functions.invoke("look", {"fail": 1})
    assert failed["error"] == "Unhandled"
    assert (failed["payload"]["errorType"], failed["payload"]["errorMessage"]) == ("OwnError", "text")
    assert functions.invoke("look", {})["payload"]["pid"] == before


def test_a_function_sees_what_lambda_gives_it_and_nothing_of_this_machine(functions: Emulator) -> None:
    seen: dict[str, str] = functions.invoke("look", {})["payload"]["env"]
    assert seen["OWN"] == "yes"
    assert seen["AWS_LAMBDA_FUNCTION_NAME"] == "look"
    assert seen["AWS_ENDPOINT_URL"] == f"http://127.0.0.1:{functions.ports.aws}"
    assert seen["AWS_REGION"] == seen["AWS_DEFAULT_REGION"] == "us-east-1"
    assert seen["AWS_SESSION_TOKEN"]
    allowed = ("AWS_", "LAMBDA_", "PYTHON", "_", "LC_")
    others = {name for name in seen if not name.startswith(allowed)}
    assert others == {"OWN", "HOME", "LANG", "PATH", "PWD", "TMPDIR", "TZ"} - ({"PWD"} - seen.keys())


def test_a_function_runs_on_its_own_interpreter_with_its_own_time(functions: Emulator) -> None:
    seen = functions.invoke("look", {"a": "₹"})["payload"]
    assert seen["executable"].endswith(".tools/runtime/bin/python")
    assert seen["event"] == {"a": "₹"}
    assert 50_000 < seen["left"] <= 100_000


def test_layers_are_merged_and_the_last_one_wins(functions: Emulator) -> None:
    assert functions.invoke("look", {})["payload"]["layer"] == "upper"


def _logged(emulator: Emulator, group: str) -> list[Json]:
    logs: Any = emulator.client("logs")
    if not logs.describe_log_groups(logGroupNamePrefix=group)["logGroups"]:
        return []
    return list(logs.filter_log_events(logGroupName=group)["events"])


def test_log_lines_are_json_from_the_level_that_was_set(functions: Emulator) -> None:
    functions.invoke("look", {"level": 1})
    lines = eventually(
        lambda: [event["message"] for event in _logged(functions, "/own/look") if "shown" in event["message"]]
    )
    assert '"level": "ERROR"' in lines[0]
    assert '"connection": "c1"' in lines[0]
    assert not [event for event in _logged(functions, "/own/look") if "hidden" in event["message"]]


def test_a_function_whose_process_dies_is_replaced(functions: Emulator) -> None:
    functions.function(
        "dies", "import os\ndef handler(event, context):\n    return os._exit(3) if event else 'lives'\n"
    )
    assert functions.invoke("dies", {"now": 1})["payload"]["errorType"] == "Runtime.ExitError"
    assert functions.invoke("dies", {})["payload"] == "lives"


def test_a_function_that_takes_too_long_is_ended(functions: Emulator) -> None:
    functions.function("slow", "import time\ndef handler(event, context):\n    time.sleep(30)\n", Timeout=1)
    assert functions.invoke("slow", {})["payload"]["errorType"] == "Sandbox.Timedout"
