"""What `make schemathesis` notes and judges beside Schemathesis itself."""

import re
import tomllib
from collections import Counter
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.fuzz.answers import Given, never_succeeded, note, read, table
from tests.fuzz.settings import Prepared
from tests.support.api_document import documented, successes

CONFIG = ROOT / "tests" / "fuzz" / "schemathesis.toml"
EVERY_SUCCESS = [
    Given(route, status, "") for route, operation in documented().items() for status in successes(operation)
]


def test_answers_are_noted_and_counted(tmp_path: Path) -> None:
    path = tmp_path / "answers.jsonl"
    assert read(path) == Counter()
    for _ in range(2):
        note(str(path), Given("POST /v1/connections", 409, "TRANSACTION_USED"))
    assert read(path) == Counter({Given("POST /v1/connections", 409, "TRANSACTION_USED"): 2})


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b'{"code": "INVALID_REQUEST", "status": 400}', "INVALID_REQUEST"),
        (b'{"message": "Not Found"}', "message"),
        (b'{"id": "x"}', ""),
        (b"", ""),
        (b"\xff", ""),
        (b"[]", ""),
    ],
)
def test_any_answer_can_be_noted(body: bytes, code: str) -> None:
    assert Given.of("r", 400, body) == Given("r", 400, code)


def test_a_run_without_a_success_of_every_route_is_none() -> None:
    assert never_succeeded(EVERY_SUCCESS) == []
    for given in EVERY_SUCCESS:
        assert never_succeeded(set(EVERY_SUCCESS) - {given}) == [given.route]
    assert never_succeeded([given._replace(status=404) for given in EVERY_SUCCESS]) == list(documented())


def test_the_table_has_every_answer() -> None:
    rows = table(Counter(dict.fromkeys(EVERY_SUCCESS, 1) | {Given("POST /v1/connections", 409, "X"): 3}))
    assert rows.row_count == len(EVERY_SUCCESS) + 1


def test_what_was_prepared_is_handed_over_in_the_environment() -> None:
    prepared = Prepared(*map(str, range(len(Prepared._fields))))
    assert Prepared.from_environment(prepared.to_environment()) == prepared
    with pytest.raises(KeyError):
        Prepared.from_environment({})


def unexplained(text: str) -> list[str]:
    """Return the tables of a configuration that allow something, without a reason above them."""
    blocks = re.findall(r"((?:^#.*\n)*)^\[{1,2}([\w.]+)\]{1,2}$", text, flags=re.MULTILINE)
    excused = {name for reason, name in blocks if len(reason.split()) > 10}
    allowing = [name for _, name in blocks if name.startswith(("checks", "operations", "warnings"))]
    return [name for name in allowing if name not in excused]


def test_every_exception_has_its_reason() -> None:
    text = CONFIG.read_text()
    assert unexplained(text) == []
    assert unexplained("[checks.ignored_auth]\nenabled = false\n") == ["checks.ignored_auth"]
    settings = tomllib.loads(text)
    assert settings["warnings"] == {"fail-on": True}
    assert "enabled" not in settings["checks"]
    assert set(settings["checks"]) == {"unsupported_method"}
