"""What the documents say about the code, held against the code."""

import json
import re
from pathlib import Path
from typing import Any, get_args

import pytest
from cfnlint.decode.cfn_yaml import load

from gatehouse import authenticator, refresher
from gatehouse.delivery_event import detail
from gatehouse.envelope import Envelope
from gatehouse.problems import INTERNAL_ERROR, PROBLEMS
from gatehouse.secrets import CACHE_SECONDS
from local.options import DEFAULT_AUDIENCE, DEFAULT_PORT
from tests.conftest import ROOT
from tests.load.settings import BOUNDS
from tests.support.event_schemas import SCHEMAS

README = (ROOT / "README.md").read_text()
RUNBOOK = (ROOT / "docs" / "runbook.md").read_text()
EVENTS = (ROOT / "docs" / "events.md").read_text()
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


def test_the_load_document_lists_every_variable_with_its_default() -> None:
    documented = table((ROOT / "docs" / "load.md").read_text(), "variable of `make load`")
    defaults = {name: str(default) for name, (default, _, _) in BOUNDS.items()}
    assert {name: cells[0] for name, cells in documented.items()} == {**defaults, "PLOT": ""}


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


def test_the_events_document_lists_every_event_as_its_schema_says() -> None:
    documented = {}
    for linked, (source, listed, _) in table(EVENTS, "event").items():
        event, name = re.findall(r"^\[`([^`]+)`\]\(schemas/([a-z.-]+)\.json\)$", linked)[0]
        documented[name] = event, source, re.findall(r"`?(\w+)`?(?:, |$)", listed)
    described = {}
    for name, schema in SCHEMAS.items():
        source, members = schema["properties"]["source"]["const"], list(schema["properties"]["detail"]["properties"])
        # The members of a delivery have a table of their own.
        described[name] = schema["title"], source, members if source != "gatehouse.webhooks" else []
    assert documented == described


def test_the_events_document_lists_every_member_that_a_delivery_can_have() -> None:
    listed = table(EVENTS, "member of the detail")
    deliveries = [
        SCHEMAS[name]["properties"]["detail"]["properties"] for name in ("smallcase.received", "integration.received")
    ]
    assert set(listed) == {member for properties in deliveries for member in properties}


@pytest.mark.parametrize(("language", "path"), [("yaml", "template.yaml"), ("python", "remember_delivery/app.py")])
def test_what_the_events_document_shows_of_the_example_is_in_it(language: str, path: str) -> None:
    (shown,) = re.findall(rf"```{language}\n(.*?)```", EVENTS, flags=re.DOTALL)
    assert shown in (ROOT / "examples" / "events" / path).read_text()


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
    named = set(re.findall(r"(?:^|`)make (?:-s )?([a-z][a-z-]*)", path.read_text(), flags=re.MULTILINE))
    assert named <= targets


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_every_relative_link_in_the_documents_leads_somewhere(path: Any) -> None:
    links = re.findall(r"\]\((?!https?://|#)([^)#]+)", path.read_text())
    assert [link for link in links if not (path.parent / link).exists()] == []


def anchors(document: Path) -> set[str]:
    """Return the anchors of a document's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", document.read_text(), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_every_anchor_in_the_documents_is_that_of_a_heading(path: Any) -> None:
    links = re.findall(r"\]\((?!https?://)([^)#]*)#([^)]+)\)", path.read_text())
    targets = [(path.parent / document if document else path, anchor) for document, anchor in links]
    assert [anchor for target, anchor in targets if anchor not in anchors(target)] == []


def variables(program: Path) -> set[str]:
    """Return the variables of make that a program of ops/ reads."""
    named = re.findall(r'(?:text|required|flag|count|_moment)\((?:variables, )?"([A-Z_]+)"', program.read_text())
    return {*named, "STAGE"}


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_every_variable_of_an_operators_command_is_one_that_it_reads(path: Path) -> None:
    for command, given in re.findall(r"make (?:-s )?([a-z-]+)((?: +[A-Z_]+=\S*)+)", path.read_text()):
        program = ROOT / "ops" / f"{command.replace('-', '_')}.py"
        if program.exists():
            assert set(re.findall(r"([A-Z_]+)=", given)) <= variables(program), command


def test_the_runbook_lists_every_variable_of_make_replay() -> None:
    assert set(table(RUNBOOK, "variable of `make replay`")) == variables(ROOT / "ops" / "replay.py")


def test_the_runbook_waits_as_long_as_a_secret_is_kept(template: dict[str, Any]) -> None:
    environments = [each["Properties"].get("Environment", {}) for each in template["Resources"].values()]
    kept = {
        int(each["Variables"]["SECRETS_MANAGER_TTL"])
        for each in environments
        if "SECRETS_MANAGER_TTL" in each.get("Variables", {})
    }
    (extension,) = kept
    assert f"{extension} seconds in the secrets\n   extension and {CACHE_SECONDS} in the function" in RUNBOOK
    assert f"**Wait {(extension + CACHE_SECONDS) // 60} minutes.**" in RUNBOOK


def test_the_decision_records_are_numbered_without_gaps() -> None:
    numbers = sorted(int(path.name[:4]) for path in (ROOT / "docs" / "adr").glob("*.md"))
    assert numbers == list(range(1, len(numbers) + 1))


def test_every_event_file_is_named_after_a_function_and_its_trigger() -> None:
    functions = {path.name for path in (ROOT / "functions").iterdir() if path.is_dir()}
    files = {path.stem for path in (ROOT / "events").iterdir()}
    assert functions <= files
    assert [name for name in files - functions if not name.startswith(tuple(f"{each}_" for each in functions))] == []


def test_every_event_file_is_used_by_a_test() -> None:
    tests = "".join(path.read_text() for path in (ROOT / "tests").rglob("*.py"))
    assert [path.stem for path in (ROOT / "events").iterdir() if f'"{path.stem}"' not in tests] == []


def test_the_events_document_lists_every_member_of_a_deliverys_detail() -> None:
    envelope = Envelope("i", "x", "smallcase", "orders", "2026-11-22T03:42:48Z", "", recognised=True, body=b"{}")
    binary = envelope._replace(body=b"\xff")
    members = {*json.loads(detail(envelope, replayed=True)), *json.loads(detail(binary))}
    assert set(table(EVENTS, "member of the detail")) == members
