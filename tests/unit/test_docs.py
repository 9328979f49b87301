"""What the documents say about the code, held against the code."""

import json
import re
from typing import Any, get_args

import pytest
from cfnlint.decode.cfn_yaml import load

from gatehouse import authenticator, refresher
from gatehouse.delivery_event import detail
from gatehouse.envelope import Envelope
from gatehouse.problems import INTERNAL_ERROR, PROBLEMS
from local.options import DEFAULT_AUDIENCE, DEFAULT_PORT
from tests.conftest import ROOT

README = (ROOT / "README.md").read_text()
DOCUMENTS = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]


def table(text: str, heading: str) -> dict[str, list[str]]:
    """Return the rows of the table with this first heading: first cell, without its code marks, to the other cells."""
    lines = [line.strip() for line in text.splitlines()]
    start = next(number for number, line in enumerate(lines) if line.startswith(f"| {heading} |"))
    rows = {}
    for line in lines[start + 2 :]:
        if not line.startswith("|"):
            break
        first, *others = [cell.strip() for cell in line.strip("|").split("|")]
        rows[first.strip("`")] = [cell.strip("`") for cell in others]
    return rows


@pytest.fixture(scope="module")
def template() -> dict[str, Any]:
    written: dict[str, Any] = load(str(ROOT / "template.yaml"))
    return written


def test_the_readme_lists_every_parameter_with_its_default(template: dict[str, Any]) -> None:
    documented = {name: cells[0] for name, cells in table(README, "parameter").items()}
    assert documented == {name: str(each.get("Default", "")) for name, each in template["Parameters"].items()}


def test_the_readme_lists_every_secret(template: dict[str, Any]) -> None:
    secrets = {name for name, each in template["Resources"].items() if each["Type"] == "AWS::SecretsManager::Secret"}
    assert set(table(README, "secret")) == secrets


def test_the_readme_lists_every_variable_of_make_run() -> None:
    documented = table(README, "variable of `make run`")
    read = set(re.findall(r'"([A-Z]+(?:_[A-Z]+)*)"', (ROOT / "local" / "options.py").read_text()))
    assert set(documented) == read
    assert documented["PORT"][0] == str(DEFAULT_PORT)
    assert documented["OIDC_AUDIENCE"][0] == DEFAULT_AUDIENCE


def test_the_table_of_problems_is_the_codes() -> None:
    documented = table((ROOT / "docs" / "api.md").read_text(), "code")
    rows = [*PROBLEMS.values(), INTERNAL_ERROR]
    assert documented == {row.code: [str(row.status), row.detail] for row in rows}


def test_the_readme_lists_every_outcome_with_its_function() -> None:
    documented = {outcome: cells[0].strip("`") for outcome, cells in table(README, "outcome").items()}
    tick, authentication = set(get_args(refresher.Outcome)), set(get_args(authenticator.Outcome))
    assert {name for name, of in documented.items() if of == "both"} == tick & authentication
    assert {name for name, of in documented.items() if of == "refresh_tokens"} == tick - authentication
    assert {name for name, of in documented.items() if of == "authenticate"} == authentication - tick


def test_the_events_document_lists_every_event_that_is_published() -> None:
    sources = "".join(path.read_text() for path in (ROOT / "layers" / "gatehouse" / "gatehouse").glob("*.py"))
    published = set(re.findall(r'"((?:tokens|connections)\.[a-z]+(?:-[a-z]+)*)",', sources))
    logged = set(re.findall(r'log\.\w+\(\s*"([a-z_.]+)"', sources))
    assert set(table((ROOT / "docs" / "events.md").read_text(), "detail type")) == published - logged


def test_the_api_document_lists_every_route(template: dict[str, Any]) -> None:
    routes = {
        f"{event['Properties']['Method']} {event['Properties']['Path']}"
        for resource in template["Resources"].values()
        for event in resource["Properties"].get("Events", {}).values()
        if event["Type"] == "HttpApi"
    }
    assert set(table((ROOT / "docs" / "api.md").read_text(), "route")) == routes


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_every_make_target_in_the_documents_exists(path: Any) -> None:
    targets = set(re.findall(r"^([a-z-]+):.*##", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))
    named = set(re.findall(r"(?:^|`)make ([a-z-]+)", path.read_text(), flags=re.MULTILINE))
    assert named <= targets


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_every_relative_link_in_the_documents_leads_somewhere(path: Any) -> None:
    links = re.findall(r"\]\((?!https?://|#)([^)#]+)", path.read_text())
    assert [link for link in links if not (path.parent / link).exists()] == []


def test_the_decision_records_are_numbered_without_gaps() -> None:
    numbers = sorted(int(path.name[:4]) for path in (ROOT / "docs" / "adr").glob("*.md"))
    assert numbers == list(range(1, len(numbers) + 1))


def test_every_event_file_is_named_after_a_function() -> None:
    functions = {path.name for path in (ROOT / "functions").iterdir() if path.is_dir()}
    assert {path.stem for path in (ROOT / "events").iterdir()} == functions


def test_the_events_document_lists_every_member_of_a_deliverys_detail() -> None:
    envelope = Envelope("i", "x", "smallcase", "orders", "2026-11-22T03:42:48Z", "", recognised=True, body=b"{}")
    binary = envelope._replace(body=b"\xff")
    members = {*json.loads(detail(envelope, replayed=True)), *json.loads(detail(binary))}
    assert set(table((ROOT / "docs" / "events.md").read_text(), "member of the detail")) == members
