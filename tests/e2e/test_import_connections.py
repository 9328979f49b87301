"""An import of a thousand connections into the deployed stack, stopped half way and gone on with."""

import csv
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jwt
import pytest

from local.paths import ROOT
from tests.e2e.conftest import Stack

ROWS = 1_000
CONFLICTS = 10
END_SECONDS = 120

# The program itself, with another place to find the running stack in.
PROGRAM = """
import os, pathlib, sys
from functools import partial
from ops.deployment import Deployment
from ops.import_connections import main
sys.exit(main(os.environ, partial(Deployment.open, state=pathlib.Path(os.environ["STATE"]))))
"""


def subject(number: int) -> str:
    return f"brought-{number:04}"


def auth_id(number: int) -> str:
    return f"{number:024x}"


@pytest.fixture
def start(stack: Stack, tmp_path: Path) -> Callable[..., subprocess.Popen[str]]:
    stack.file.write(tmp_path)

    def _start(**variables: str) -> subprocess.Popen[str]:
        paths = os.pathsep.join([str(ROOT), str(ROOT / "layers" / "gatehouse")])
        environment = {**os.environ, "PYTHONPATH": paths, "STATE": str(tmp_path), "OPS_STAGE": "local", **variables}
        return subprocess.Popen(
            [sys.executable, "-c", PROGRAM], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    return _start


def write(file: Path, issuer: str, rows: list[tuple[str, str]]) -> None:
    with file.open("w", newline="", encoding="utf-8") as opened:
        csv.writer(opened).writerows([("iss", "sub", "smallcase_auth_id"), *((issuer, *row) for row in rows)])


def brought(stack: Stack) -> dict[str, str]:
    """What the table has of the import: holder to id. Both directions must be there, for every row or for none."""
    items: dict[str, Any] = {}
    pages = stack.file.endpoint.client("dynamodb").get_paginator("scan")
    for page in pages.paginate(TableName=stack.file.outputs["ConnectionsTableName"], ConsistentRead=True):
        items |= {item["pk"]["S"]: item for item in page["Items"]}
    held = {pk: item["smallcase_auth_id"]["S"] for pk, item in items.items() if "#brought-" in pk}
    owners = {
        pk: item["user_pk"]["S"] for pk, item in items.items() if "#brought-" in item.get("user_pk", {}).get("S", "")
    }
    assert owners == {f"AUTHID#{smallcase_auth_id}": pk for pk, smallcase_auth_id in held.items()}
    return {pk.rpartition("#")[2]: smallcase_auth_id for pk, smallcase_auth_id in held.items()}


def test_an_import_of_a_thousand_with_ten_conflicts_is_interrupted_and_resumed(
    stack: Stack, tmp_path: Path, start: Callable[..., subprocess.Popen[str]]
) -> None:
    issuer = stack.file.oidc_issuer
    # Five users of the file hold another id, and five of its ids are held by others.
    before = [(subject(number), auth_id(9_000 + number)) for number in range(100, 600, 100)]
    before += [(f"brought-other-{number}", auth_id(number)) for number in range(150, 650, 100)]
    write(tmp_path / "before.csv", issuer, before)
    with start(FILE=str(tmp_path / "before.csv"), APPLY="1") as earlier:
        assert earlier.wait(END_SECONDS) == 0, earlier.communicate()

    file = tmp_path / "users.csv"
    write(file, issuer, [(subject(number), auth_id(number)) for number in range(ROWS)])
    with start(FILE=str(file)) as dry:
        out, err = dry.communicate(timeout=END_SECONDS)
    assert (dry.returncode, err) == (1, "")
    assert f"{ROWS} rows. New {ROWS - CONFLICTS}, connected already 0, conflicts {CONFLICTS}." in out
    assert brought(stack) == dict(before)

    with start(FILE=str(file), APPLY="1") as first:
        assert first.stdout is not None
        said = ""
        while f" of {ROWS}" not in said:
            line = first.stdout.readline()
            assert line, f"ended before it could be interrupted: {said}"
            said += line
        first.send_signal(signal.SIGINT)
        out, err = first.communicate(timeout=END_SECONDS)
    assert (first.returncode, err) == (128 + signal.SIGINT, "Stopped.\n")
    assert "Stopped after " in out
    assert f"make import-connections FILE={file} APPLY=1" in out
    half = len(brought(stack)) - len(before)
    assert 0 < half < ROWS - CONFLICTS

    with start(FILE=str(file), APPLY="1") as second:
        out, err = second.communicate(timeout=END_SECONDS)
    assert (second.returncode, err) == (1, "")
    new = ROWS - CONFLICTS - half
    assert f"{ROWS} rows. Imported {new}, connected already {half}, conflicts {CONFLICTS}." in out

    with file.with_name("users.conflicts.csv").open(newline="") as opened:
        listed = list(csv.reader(opened))
    taken, already = (
        "AUTH_ID_TAKEN: another user holds the smallcase_auth_id",
        "ALREADY_CONNECTED: the user holds another smallcase_auth_id",
    )
    numbers = sorted([*range(100, 600, 100), *range(150, 650, 100)])
    assert listed == [
        ["line", "reason"],
        *([str(number + 2), taken if number % 100 else already] for number in numbers),
    ]
    conflicting = set(numbers)
    assert brought(stack) == {
        **dict(before),
        **{subject(number): auth_id(number) for number in range(ROWS) if number not in conflicting},
    }
    assert "brought-" not in out

    answer = stack.user_token(stack.oidc_token(claims={"sub": subject(7)}))
    assert answer.json()["user"] == "connected"
    payload = jwt.decode(answer.json()["smallcaseAuthToken"], options={"verify_signature": False})
    assert payload["smallcaseAuthId"] == auth_id(7)


def test_make_says_what_is_missing() -> None:
    finished = subprocess.run(
        ["make", "import-connections"], cwd=ROOT, capture_output=True, text=True, timeout=END_SECONDS, check=False
    )
    assert finished.returncode == 2
    assert "FILE is missing: a CSV file with the header iss,sub,smallcase_auth_id." in finished.stderr
