"""The README: what a stranger looks for is there, and what it says of numbers and settings is so."""

import importlib
import re
from pathlib import Path
from typing import Any

import pytest
from cfnlint.decode.cfn_yaml import load

from gatehouse.webhook_credentials import Source
from ops.scaling import assumed, limits, model
from ops.scaling.model import Load
from tests.conftest import ROOT
from tests.unit.test_docs import table

README = (ROOT / "README.md").read_text()
ASSUMPTIONS = table(README, "what | confidence")


def sections() -> list[str]:
    return re.findall(r"^## (.+)$", README, flags=re.MULTILINE)


def test_what_a_stranger_looks_for_comes_in_that_order() -> None:
    wanted = [
        "Two commands",
        "Deploy",
        "Configure",
        "Use it from your page",
        "Operate",
        "What differs on a laptop",
        "Cost",
        "Limits",
        "Assumptions",
        "Licences",
    ]
    found = [section for section in sections() if section in wanted]
    assert found == wanted
    assert "### What the emulator cannot show" in README


@pytest.fixture(scope="module")
def template() -> dict[str, Any]:
    written: dict[str, Any] = load(str(ROOT / "template.yaml"))
    return written


def is_there(setting: str, template: dict[str, Any]) -> bool:
    """Whether a setting is a parameter, a member of a source of webhooks, or a name of the layer."""
    if setting in template["Parameters"] or setting in Source._fields:
        return True
    module, _, name = setting.partition(".")
    return bool(name) and hasattr(importlib.import_module(f"gatehouse.{module}"), name)


@pytest.mark.parametrize("what", ASSUMPTIONS)
def test_an_assumption_has_a_confidence_and_something_to_set(what: str, template: dict[str, Any]) -> None:
    confidence, setting = ASSUMPTIONS[what]
    assert re.match(r"M|L|not documented", confidence)
    named = re.findall(r"[A-Za-z_.]+", setting) if "`, `" in f"`{setting}`" else [setting]
    assert all(is_there(each, template) for each in named) or setting.startswith("your page")


def test_the_assumptions_were_found() -> None:
    assert len(ASSUMPTIONS) >= 12


def test_the_cost_is_the_models() -> None:
    typical = model.month(model.of_company(assumed.TYPICAL))
    work = sum(typical[service] for service in ("Lambda", "API Gateway", "SQS", "DynamoDB", "EventBridge"))
    assert f"pays about ${sum(typical.values()):.0f} a month" in README
    assert f"uses costs about ${sum(model.month(Load()).values()):.0f}" in README
    assert round(work) == 11
    assert "some eleven dollars for the work" in README


def test_the_limit_of_one_source_is_the_models() -> None:
    (index,) = [limit for limit in limits.of_webhooks() if limit.name.startswith("Index")]
    assert f"one source of webhooks is bounded by {index.rate:.0f} deliveries a second" in README


def linked_from(path: Path) -> set[Path]:
    """Return the documents that a document links; of a folder, all in it."""
    links = re.findall(r"\]\((?!https?://|#)([^)#]+)", path.read_text())
    targets = [(path.parent / link).resolve() for link in links]
    return {each for target in targets for each in (target.glob("*.md") if target.is_dir() else [target])}


def test_every_document_can_be_reached_from_the_readme() -> None:
    reached, left = set(), {ROOT / "README.md"}
    while left:
        path = left.pop()
        reached.add(path)
        left |= {each for each in linked_from(path) if each.suffix == ".md"} - reached
    documents = {*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")}
    assert {path.relative_to(ROOT).as_posix() for path in documents - reached} == set()
