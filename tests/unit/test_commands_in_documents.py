"""Every command in the documents is run by a test or by the build, or is listed here with the reason why not."""

import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import botocore.session
import pytest
from botocore import xform_name

from tests.conftest import ROOT

DOCUMENTS = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").glob("*.md"))]
MAKEFILE = (ROOT / "Makefile").read_text()
TARGETS = set(re.findall(r"^([a-z-]+):.*##", MAKEFILE, flags=re.MULTILINE))

# A target that a test runs, as `make` does or by its program: the file, and what in it shows that.
RUN_BY_A_TEST = {
    "run": ("tests/e2e/test_make_run.py", '["make", "run"]'),
    "deploy": ("tests/unit/test_deploy_plan.py", '"deploy"'),  # looked at; the deployment itself needs AWS
    "example": ("tests/e2e/test_examples.py", "example.deploy_example("),
    "configure": ("tests/unit/test_configure.py", "configure.main("),
    "doctor": ("tests/unit/test_doctor.py", "doctor.main("),
    "status": ("tests/unit/test_status.py", "status.main("),
    "replay": ("tests/e2e/test_operations.py", "replay.main"),
    "redrive": ("tests/e2e/test_operations.py", "redrive.main"),
    "show-webhook": ("tests/e2e/test_operations.py", "show_webhook.main"),
    "import-connections": ("tests/e2e/test_import_connections.py", '["make", "import-connections"]'),
    "invoke": ("tests/unit/test_local_programs.py", "invoke"),
    "logs": ("tests/unit/test_local_programs.py", "logs"),
    "scaling": ("tests/unit/test_scaling_model.py", "program.main("),
    "simulate": ("tests/unit/test_availability.py", "program.main("),
    "privileges": ("tests/e2e/test_privileges.py", "PRIVILEGES"),
    "bench": ("tests/e2e/test_bench.py", "main("),
    "bench-quick": ("tests/e2e/test_bench.py", "main("),
}
# What only people run, and why.
BY_HAND = {
    "clean": "removes the checkout's environments, the running one included",
    "format": "changes files; `make check` holds the result",
    "lock": "asks the package index for newer versions",
    "load": "takes minutes; its plan and its accounting have unit tests",
    "screenshot": "writes the README's picture; the browser tests drive the same page",
}
# Commands that are not make's: what they begin with, and who runs them. A block with a command of the AWS CLI needs AWS
# as a whole, with what the shell does around it; that there are such commands with such options, a test below holds.
OTHERS = {
    "sam build --template-file examples/": "tests/e2e/test_examples.py builds both examples",
    "sam deploy --template-file .aws-sam/examples/": "needs AWS; the same test deploys them into the emulator",
    "pipx install pre-commit": "installs a tool of one's own",
    "pre-commit install": "that tool's",
}
# Options that the AWS CLI adds to every command or to some, and a command that is its own.
CLI_OPTIONS = {"query", "output", "cli-binary-format"}
CLI_COMMANDS = {("logs", "tail"): {"since", "filter-pattern", "follow"}}


class Command(NamedTuple):
    """A command in a document."""

    document: str
    text: str
    needs_aws: bool


def blocks(text: str) -> Iterator[tuple[str, str]]:
    for indent, language, body in re.findall(r"^( *)```(\w*)\n(.*?)^ *```$", text, flags=re.DOTALL | re.MULTILINE):
        yield language, "".join(line.removeprefix(indent) for line in body.splitlines(keepends=True))


def is_shell(language: str, body: str) -> bool:
    """Whether a block is of commands: not one in another language, a drawing, an HTTP exchange or a table of values."""
    if language not in ("", "sh", "bash"):
        return False
    first = body.partition("\n")[0]
    is_exchange = re.match(r"(GET|POST|DELETE|\d{3}) ", first) is not None
    is_csv = "," in first and " " not in first
    is_query = re.match(r"(fields|filter|stats) ", first) is not None  # of Logs Insights
    return "──" not in body and not is_exchange and not is_csv and not is_query


def commands(path: Path) -> list[Command]:
    found = []
    for language, body in blocks(path.read_text()):
        if is_shell(language, body):
            joined = re.sub(r"\\\n\s*", "", body)
            lines = [re.sub(r"(^|\s+)#.*$", "", line).strip() for line in joined.splitlines()]
            lines = [line.replace("make -s ", "make ") for line in lines]
            lines = [line for line in lines if line]
            needs_aws = any(re.search(r"(^|\$\()aws ", line) for line in lines)
            found += [Command(path.name, line, needs_aws) for line in lines]
    return found


ALL = [command for path in DOCUMENTS for command in commands(path)]
OF_MAKE = [command for command in ALL if command.text.startswith("make ")]
OF_OTHERS = [command for command in ALL if not command.text.startswith("make ")]


def run_by_the_build() -> set[str]:
    """Return the targets that `.ci/run` or a workflow runs, with those that `make verify` is made of."""
    texts = [(ROOT / ".ci" / "run").read_text(), *(path.read_text() for path in (ROOT / ".github").rglob("*.yml"))]
    found = {target for text in texts for target in re.findall(r"^\s*(?:- run: )?make ([a-z-]+)", text, re.MULTILINE)}
    (verified,) = re.findall(r"^verify: ([a-z -]+?) *##", MAKEFILE, flags=re.MULTILINE)
    return found | set(verified.split())


def test_the_documents_have_commands() -> None:
    assert len(OF_MAKE) >= 15
    assert len(OF_OTHERS) >= 5
    assert {command.document for command in ALL} >= {"README.md", "runbook.md", "CONTRIBUTING.md"}


@pytest.mark.parametrize("command", OF_MAKE, ids=lambda command: f"{command.document}: {command.text}")
def test_make_knows_what_a_document_asks_of_it(command: Command) -> None:
    target, *variables = command.text.removeprefix("make ").split(" ")
    assert target in TARGETS
    assert all(re.match(r"[A-Z_]+=|[^=]*$", each) for each in variables)


@pytest.mark.parametrize("command", OF_MAKE, ids=lambda command: f"{command.document}: {command.text}")
def test_somebody_runs_every_target_in_the_documents(command: Command) -> None:
    target = command.text.split(" ")[1]
    assert target in {*RUN_BY_A_TEST, *run_by_the_build(), *BY_HAND}


@pytest.mark.parametrize("command", OF_OTHERS, ids=lambda command: f"{command.document}: {command.text}")
def test_every_other_command_is_known(command: Command) -> None:
    assert command.needs_aws or command.text.startswith(tuple(OTHERS))


def of_the_aws_cli() -> list[tuple[str, str, list[str]]]:
    """Return service, operation and options of every command of the AWS CLI."""
    found = []
    for command in OF_OTHERS:
        if called := re.search(r"(?:^|\$\()(aws [a-z0-9-]+ .*?)(?:\)|; done)?$", command.text):
            _, service, operation, *words = shlex.split(re.sub(r"\$\(date [^)]*\)", "then", called[1]))
            found.append((service, operation, [word[2:] for word in words if word.startswith("--")]))
    return found


def test_every_command_of_the_aws_cli_is_one_with_these_options() -> None:
    session = botocore.session.Session()
    commands_of_aws = of_the_aws_cli()
    assert len(commands_of_aws) >= 5
    for service, operation, options in commands_of_aws:
        if (service, operation) in CLI_COMMANDS:
            assert set(options) <= CLI_COMMANDS[service, operation]
            continue
        model = session.get_service_model(service)
        operations = {xform_name(name, "-"): name for name in model.operation_names}
        assert operation in operations, f"{service} {operation}"
        shape = model.operation_model(operations[operation]).input_shape
        members = {xform_name(member, "-") for member in (shape.members if shape else {})}
        assert set(options) - CLI_OPTIONS <= members, f"{service} {operation}"


@pytest.mark.parametrize("target", RUN_BY_A_TEST)
def test_the_test_that_runs_a_target_does_so(target: str) -> None:
    path, shown = RUN_BY_A_TEST[target]
    assert shown in (ROOT / path).read_text()


@pytest.mark.parametrize("target", sorted(TARGETS - {"help"}))
def test_every_target_of_make_is_run_by_somebody_and_its_program_is_there(target: str) -> None:
    assert target in {*RUN_BY_A_TEST, *run_by_the_build(), *BY_HAND}
    made = subprocess.run(["make", "-n", target], cwd=ROOT, capture_output=True, text=True, check=True)
    for module in re.findall(r"python -m ((?:local|ops|bench|tests)[\w.]*)", made.stdout):
        path = ROOT / module.replace(".", "/")
        assert path.with_suffix(".py").exists() or (path / "__main__.py").exists(), module


def test_what_nobody_has_any_more_is_not_listed() -> None:
    assert {*RUN_BY_A_TEST, *BY_HAND} <= TARGETS
    begun = tuple(command.text for command in OF_OTHERS)
    assert [each for each in OTHERS if not any(text.startswith(each) for text in begun)] == []


def test_a_command_for_a_stage_on_aws_names_one_that_there_is() -> None:
    stages = set(re.findall(r"^\[(\w+)\.deploy", (ROOT / "samconfig.toml").read_text(), flags=re.MULTILINE))
    named = {stage for command in OF_MAKE for stage in re.findall(r"STAGE=(\w+)", command.text)}
    assert named
    assert named <= stages - {"default"}
