"""After requests with markers everywhere: none in any log that the stack writes, in any answer, or in the tables."""

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest

from local.logs import lines
from tests.e2e.conftest import Stack

MARK = "SENTINEL"


def everything_logged(stack: Stack) -> str:
    client = stack.file.endpoint.client("logs")
    groups = [group["logGroupName"] for group in client.describe_log_groups()["logGroups"]]
    found = [line for group in groups for line in lines(stack.file.endpoint, group)]
    found += [log.read_text(errors="replace") for log in stack.local.logs.iterdir()]
    return "\n".join(found)


def marked(bearer: str) -> dict[str, str]:
    return {
        "Authorization": f"Bearer {bearer}",
        "Cookie": f"session={MARK}",
        "X-Anything": MARK,
        "User-Agent": MARK,
        "Origin": f"https://{MARK}.example.com",
    }


@pytest.fixture
def bearers(stack: Stack) -> dict[str, str]:
    return {
        "good": stack.oidc_token(claims={"email": MARK}),
        "no subject": stack.oidc_token(claims={"sub": None, "email": MARK}),
        "rubbish": f"{MARK}.{MARK}.{MARK}",
    }


def answers(stack: Stack, bearers: dict[str, str]) -> Iterator[tuple[int, dict[str, str], Any]]:
    body = json.dumps({"smallcaseAuthToken": MARK}).encode()
    for bearer in bearers.values():
        for path in ("guest", "user", MARK):
            answer = stack.call("POST", f"/v1/tokens/{path}?q={MARK}", body=body, headers=marked(bearer))
            yield answer.status, dict(answer.headers), answer.json()


def test_no_secret_token_header_or_body_comes_out(stack: Stack, bearers: dict[str, str]) -> None:
    issued = []
    for _status, headers, document in answers(stack, bearers):
        if "smallcaseAuthToken" in document:
            issued.append(document.pop("smallcaseAuthToken"))
        assert MARK not in json.dumps([headers, document])
    assert len(issued) >= 4
    logged = until_it_holds(stack, "session_token.issued")
    for line in logged.splitlines():
        assert MARK not in line or "/v1/tokens/" in line, line  # the emulator's own access line names the path
    for token in (*issued, bearers["good"], bearers["no subject"]):
        assert token not in logged
        assert token.rpartition(".")[2] not in logged


def until_it_holds(stack: Stack, text: str) -> str:
    deadline = time.monotonic() + 40
    while text not in (logged := everything_logged(stack)):
        assert time.monotonic() < deadline, f"{text} was never logged"
    return logged


def test_the_tables_hold_no_secret(stack: Stack) -> None:
    client = stack.file.endpoint.client("dynamodb")
    for output in ("ConnectionsTableName", "StateTableName"):
        assert MARK not in str(client.scan(TableName=stack.file.outputs[output])["Items"])


def test_the_artifacts_hold_no_secret_and_no_environment_either(stack: Stack) -> None:
    client = stack.file.endpoint.client("lambda")
    for name, value in stack.file.outputs.items():
        if name.endswith("FunctionName"):
            assert MARK not in str(client.get_function_configuration(FunctionName=value)["Environment"])
