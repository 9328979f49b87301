"""What the code may log: constant event names, and fields from a short list whose values are safe by their meaning."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import ROOT

FOLDERS = ("layers/gatehouse/gatehouse", "functions", "examples")
SOURCES = sorted(path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py"))
LEVELS = {"debug", "info", "warning", "error", "critical", "log", "exception"}

KNOWN_FIELDS = {
    "api_request_id",  # API Gateway's, to find the line of its access log
    "by",  # browser or webhook
    "code",  # of the problem table
    "count",  # how many there are of something
    "delivery",  # the id that its sender was answered
    "error_location",  # file:line of each frame
    "error_type",  # an exception's class
    "event",  # a name from the bus's own list
    "faults",  # names of environment variables and what is wrong with them
    "field",  # a member of a secret
    "intent",  # one that the operator allows
    "outcome",  # from a closed set
    "reason",  # a code from a closed set
    "runbook",  # where it says what to do
    "secret",  # an ARN
    "source",  # of a webhook: smallcase or one that an operator named
    "user",  # guest or connected
}


def calls(path: Path) -> Iterator[ast.Call]:
    for node in ast.walk(ast.parse(path.read_text())):
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and node.func.attr in LEVELS
            and isinstance(node.func.value, ast.Name)
            and node.func.value.id == "log"
        ):
            yield node


ALL_CALLS = [
    pytest.param(call, id=f"{path.parent.name}/{path.name}:{call.lineno}") for path in SOURCES for call in calls(path)
]


def test_the_search_finds_the_calls() -> None:
    assert len(ALL_CALLS) >= 5


@pytest.mark.parametrize("call", ALL_CALLS)
def test_a_log_line_is_a_constant_event_with_known_fields(call: ast.Call) -> None:
    assert isinstance(call.func, ast.Attribute)
    assert call.func.attr != "exception", "its text may quote anything"
    arguments = call.args[1:] if call.func.attr == "log" else call.args
    assert len(arguments) == 1, "no values are formatted into the message"
    assert isinstance(arguments[0], ast.Constant)
    assert re.fullmatch(r"[a-z_]+(\.[a-z_]+)+", str(arguments[0].value))
    for keyword in call.keywords:
        assert keyword.arg == "extra", "no exc_info: its text may quote anything"
        assert isinstance(keyword.value, ast.Dict)
        assert {key.value for key in keyword.value.keys if isinstance(key, ast.Constant)} <= KNOWN_FIELDS
        assert all(isinstance(key, ast.Constant) for key in keyword.value.keys)


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_nothing_is_printed_and_no_other_logger_is_used(path: Path) -> None:
    tree = ast.parse(path.read_text())
    called = {ast.unparse(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    assert not called & {
        "print",
        "traceback.print_exc",
        "logging.info",
        "logging.error",
        "logging.exception",
        "breakpoint",
    }


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_the_layer_reads_no_environment(path: Path) -> None:
    if "layers" in path.parts:
        read = {ast.unparse(node) for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Attribute)}
        assert not read & {"os.environ", "os.getenv", "os.environb"}
