"""Delivery: workflows, dependency updates, hooks and locked requirements, as far as they can be judged from here."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.conftest import ROOT

WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
PINNED = re.compile(r"^\s*(?:- )?uses: ([\w.-]+/[\w.-]+(?:/[\w.-]+)*)@([0-9a-f]{40}) # v\d+\.\d+\.\d+$")
TARGETS = set(re.findall(r"^([a-z-]+):.*##", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))
LOCKED = [*(ROOT / "requirements").glob("*.txt"), *(ROOT / "layers").glob("*/requirements.txt")]

each_workflow = pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)


def read(path: Path) -> dict[Any, Any]:
    document: dict[Any, Any] = yaml.safe_load(path.read_text())
    return document


def jobs(path: Path) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = read(path)["jobs"]
    return found


def steps(path: Path) -> Iterator[dict[str, Any]]:
    for job in jobs(path).values():
        yield from job["steps"]


def test_there_are_workflows_to_judge() -> None:
    assert {path.stem for path in WORKFLOWS} == {"ci", "nightly", "deploy"}


@each_workflow
def test_every_action_is_pinned_by_its_commit(path: Path) -> None:
    lines = [line for line in path.read_text().splitlines() if "uses:" in line]
    assert lines
    assert [line for line in lines if not PINNED.match(line)] == []
    assert len(lines) == sum("uses" in step for step in steps(path))


def test_an_action_is_pinned_at_one_commit_everywhere() -> None:
    pins: dict[str, set[str]] = {}
    for path in WORKFLOWS:
        for line in path.read_text().splitlines():
            if found := PINNED.match(line):
                pins.setdefault(found[1], set()).add(line.partition("@")[2])
    assert pins
    assert {action: pinned for action, pinned in pins.items() if len(pinned) > 1} == {}


@each_workflow
def test_steps_run_what_a_developer_runs(path: Path) -> None:
    commands = [step["run"] for step in steps(path) if "run" in step]
    assert commands
    for command in commands:
        found = re.fullmatch(r'make ([a-z-]+)(?: [A-Z]+="\$[A-Z]+")*', command)
        assert found, command
        assert found[1] in TARGETS


@each_workflow
def test_nothing_that_somebody_wrote_is_put_into_a_command(path: Path) -> None:
    assert [step["run"] for step in steps(path) if "${{" in step.get("run", "")] == []
    triggers = read(path)[True]  # what YAML 1.1 makes of `on`
    assert "pull_request_target" not in triggers
    assert "workflow_run" not in triggers


@each_workflow
def test_a_workflow_may_read_the_repository_and_no_more(path: Path) -> None:
    assert read(path)["permissions"] == {"contents": "read"}
    for name, job in jobs(path).items():
        allowed = {"contents": "read", "id-token": "write"} if path.stem == "deploy" else {"contents": "read"}
        assert job.get("permissions", {"contents": "read"}) == allowed, name
    for step in steps(path):
        if step.get("uses", "").startswith("actions/checkout@"):
            assert step["with"] == {"persist-credentials": False}


@each_workflow
def test_a_workflow_ends_and_does_not_run_beside_itself(path: Path) -> None:
    assert read(path)["concurrency"]["group"]
    assert all(job["timeout-minutes"] <= 120 for job in jobs(path).values())


def test_no_workflow_knows_a_stored_key() -> None:
    for path in WORKFLOWS:
        assert "secrets." not in path.read_text(), path.name
        assert "access-key" not in path.read_text(), path.name


def test_a_deployment_is_for_one_stage_that_samconfig_knows_and_is_not_interrupted() -> None:
    (path,) = [each for each in WORKFLOWS if each.stem == "deploy"]
    document = read(path)
    samconfig = (ROOT / "samconfig.toml").read_text()
    assert list(document[True]) == ["workflow_dispatch"]
    for stage in document[True]["workflow_dispatch"]["inputs"]["stage"]["options"]:
        assert f"[{stage}.deploy.parameters]" in samconfig
    assert document["concurrency"]["cancel-in-progress"] is False
    assert document["jobs"]["deploy"]["environment"] == "${{ inputs.stage }}"


def test_the_build_sees_no_credentials() -> None:
    (path,) = [each for each in WORKFLOWS if each.stem == "deploy"]
    order = [step.get("run") or step["uses"].partition("@")[0] for step in steps(path)]
    assert order.index("make build") < order.index("aws-actions/configure-aws-credentials")
    assert order[-1].startswith("make deploy")


def test_nobody_is_asked_to_confirm_a_deployment_that_a_workflow_makes() -> None:
    assert "$(if $(CI),--no-confirm-changeset)" in (ROOT / "Makefile").read_text()


def test_updates_are_looked_for_wherever_something_is_locked() -> None:
    updates = read(ROOT / ".github" / "dependabot.yml")["updates"]
    places = {
        (update["package-ecosystem"], directory)
        for update in updates
        for directory in update.get("directories", [update.get("directory")])
    }
    assert places == {
        ("pip", "/"),
        ("pip", "/layers/gatehouse"),
        ("pip", "/layers/powertools"),
        ("github-actions", "/"),
        ("npm", "/local/playground"),
    }
    for _, directory in places:
        assert (ROOT / directory.lstrip("/")).is_dir()
    for update in updates:
        assert [group["patterns"] for group in update["groups"].values()] == [["*"]]


def test_what_is_exact_on_purpose_is_not_updated() -> None:
    exact = set(re.findall(r'"([a-z0-9-]+)==', (ROOT / "pyproject.toml").read_text()))
    (python,) = [
        each for each in read(ROOT / ".github" / "dependabot.yml")["updates"] if each["package-ecosystem"] == "pip"
    ]
    assert exact <= {each["dependency-name"] for each in python["ignore"]}


def test_hooks_are_this_checkouts_own() -> None:
    for repository in read(ROOT / ".pre-commit-config.yaml")["repos"]:
        assert repository["repo"] == "local"
        for hook in repository["hooks"]:
            assert hook["language"] == "system"
            program, *arguments = hook["entry"].split()
            assert (ROOT / program).exists()
            assert [each for each in arguments if each.endswith(".py") and not (ROOT / each).exists()] == []


@pytest.mark.parametrize("path", LOCKED, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_every_locked_requirement_has_a_hash(path: Path) -> None:
    entries = re.split(r"\n(?=[a-z0-9])", path.read_text())
    packages = [entry for entry in entries if re.match(r"[a-z0-9._-]+(\[[a-z,]+\])?==", entry)]
    assert packages
    assert [entry.partition(" ")[0] for entry in packages if "--hash=sha256:" not in entry] == []
    assert len(packages) == len(re.findall(r"^[a-z0-9]", path.read_text(), flags=re.MULTILINE))


def test_make_installs_nothing_without_hashes() -> None:
    installs = re.findall(r"^.*pip install.*$", (ROOT / "Makefile").read_text(), flags=re.MULTILINE)
    assert len(installs) >= 3
    assert [line for line in installs if "--require-hashes" not in line] == []
