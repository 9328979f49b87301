"""Findings of checkov and cfn-lint are suppressed one by one, each with its reason, and nowhere else."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cfnlint.decode.cfn_yaml import load

from tests.conftest import ROOT

TEMPLATES = [ROOT / "template.yaml", *sorted((ROOT / "examples").glob("*/template.yaml"))]
NAMES = [path.relative_to(ROOT).as_posix() for path in TEMPLATES]
LEAST_WORDS = 4


def suppressions(template: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the resource and the entry of every suppression."""
    for name, resource in template["Resources"].items():
        for entry in resource.get("Metadata", {}).get("checkov", {}).get("skip", []):
            yield name, entry


def without_reason(template: dict[str, Any]) -> list[str]:
    """Return the suppressions that do not say which check and why."""
    return [
        f"{name}: {entry.get('id')}"
        for name, entry in suppressions(template)
        if not re.fullmatch(r"CKV2?_AWS_\d+", str(entry.get("id")))
        or len(str(entry.get("comment", "")).split()) < LEAST_WORDS
        or set(entry) != {"id", "comment"}
    ]


@pytest.mark.parametrize("path", TEMPLATES, ids=NAMES)
def test_every_suppression_of_checkov_has_its_reason(path: Path) -> None:
    assert without_reason(load(str(path))) == []


def test_there_are_some_and_one_without_a_reason_is_noticed() -> None:
    assert len(list(suppressions(load(str(TEMPLATES[0]))))) > 20
    for entry in (
        {"id": "CKV_AWS_115"},
        {"id": "CKV_AWS_115", "comment": "accepted"},
        {"id": "CKV_AWS_*", "comment": "There is a good reason for this"},
    ):
        skip = {"checkov": {"skip": [entry]}}
        assert without_reason({"Resources": {"Function": {"Metadata": skip}}})


@pytest.mark.parametrize("path", TEMPLATES, ids=NAMES)
def test_no_resource_suppresses_one_check_twice(path: Path) -> None:
    found = [(name, entry["id"]) for name, entry in suppressions(load(str(path)))]
    assert len(set(found)) == len(found)


def unexplained(text: str) -> list[str]:
    """Return the suppressions of cfn-lint that are no single warning, or have no comment right above them.

    cfn-lint has no place of its own for a reason.
    """
    found = []
    for before, block in re.findall(
        r"((?:^ *#.*\n)*)(^.*cfn-lint:.*\n(?: +config:\n +ignore_checks:.*\n)?)", text, re.MULTILINE
    ):
        checks = re.findall(r"ignore_checks: \[([^\]]*)\]", block)
        if len(before.split()) < LEAST_WORDS or len(checks) != 1 or not re.fullmatch(r"W\d{4}", checks[0]):
            found.append(block.strip())
    return found


@pytest.mark.parametrize("path", TEMPLATES, ids=NAMES)
def test_every_suppression_of_cfn_lint_is_one_warning_with_its_reason_above(path: Path) -> None:
    assert unexplained(path.read_text()) == []


@pytest.mark.parametrize(
    "text",
    [
        "    Metadata: { cfn-lint: { config: { ignore_checks: [W1030] } } }\n",
        "    # why\n    Metadata: { cfn-lint: { config: { ignore_checks: [W1030] } } }\n",
        "    # Said at length, and with a reason.\n    Metadata: { cfn-lint: { config: { ignore_checks: [W] } } }\n",
        "  # Said at length, and with a reason.\n  cfn-lint:\n    config:\n      ignore_checks: [W1030, E1001]\n",
        "  # Said at length, and with a reason.\n\n  cfn-lint:\n    config:\n      ignore_checks: [W1030]\n",
    ],
)
def test_a_suppression_of_cfn_lint_that_is_not_explained_is_noticed(text: str) -> None:
    assert unexplained(text)


@pytest.mark.parametrize("name", [".cfnlintrc.yaml", ".checkov.yaml"])
def test_no_check_is_switched_off_for_all(name: str) -> None:
    settings = load(str(ROOT / name))
    assert set(settings) <= {"templates", "regions", "file", "framework", "compact", "quiet", "skip-download"}
    listed = {str(path) for pattern in settings.get("templates", settings.get("file")) for path in ROOT.glob(pattern)}
    assert listed == set(map(str, TEMPLATES))


def test_no_comment_suppresses_anything() -> None:
    files = [*TEMPLATES, *(ROOT / "functions").rglob("*.py"), *(ROOT / "examples").rglob("*.py")]
    assert [str(path) for path in files if "checkov:skip" in path.read_text()] == []
