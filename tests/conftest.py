"""What every test gets: no sockets (but for the folders that are there for them), no AWS account, no stray settings."""

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import Phase, settings
from xdist.remote import Producer
from xdist.scheduler import LoadFileScheduling

from tests.support.chromium import MISSING

if TYPE_CHECKING:
    from tests.e2e.token_lifecycle import First, Lifecycle
    from tests.support.running_stack import Stack

ROOT = Path(__file__).resolve().parent.parent
FOLDERS_WITH_SOCKETS = ("e2e", "browser", "emulator")
FOLDERS_WITH_STACK = ("tests/browser/", "tests/e2e/")
FILES_WITHOUT_STACK = {  # the longer ones
    f"tests/e2e/test_{name}.py"
    for name in ("artifacts", "bench", "built_layer", "http_server", "make_run", "processes")
}

# Under nohup a hangup is ignored, and by the programs that tests start as well; one that is handled is not inherited.
if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
    signal.signal(signal.SIGHUP, lambda *_: None)

# Reproducible in CI and here; `make verify` looks further.
settings.register_profile("gatehouse", derandomize=True, deadline=None, max_examples=200)
# Run once for each mutant: that there is a counterexample is enough, and it is not made smaller.
settings.register_profile(
    "mutation", settings.get_profile("gatehouse"), max_examples=50, phases=(Phase.explicit, Phase.generate)
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "gatehouse"))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.relative_to(ROOT / "tests").parts[0] in FOLDERS_WITH_SOCKETS:
            item.add_marker(pytest.mark.enable_socket)


class Scheduling(LoadFileScheduling):  # type: ignore[misc]  # no type information published
    """Hands out files to processes, and all that share the one stack to the same one, in their order."""

    def _split_scope(self, nodeid: str) -> str:
        file: str = super()._split_scope(nodeid)
        return "the stack" if file.startswith(FOLDERS_WITH_STACK) and file not in FILES_WITHOUT_STACK else file


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> Scheduling:
    return Scheduling(config, log)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> Iterator[None]:
    yield
    skipped = [report for report in terminalreporter.getreports("skipped") if MISSING in str(report.longrepr)]
    if skipped:  # after everything else, where it is not overlooked
        terminalreporter.section("BROWSER TESTS NOT RUN", sep="!", red=True, bold=True)
        terminalreporter.write_line(f"{len(skipped)} tests of the page were skipped: {MISSING}.")


@pytest.fixture(autouse=True)
def _no_aws_account(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fake credentials and no endpoint, whatever the shell has."""
    for name in ("AWS_PROFILE", "AWS_ENDPOINT_URL", "AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


@pytest.fixture(autouse=True)
def _no_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is printed is neither coloured nor cut to a width, whatever the shell has."""
    for name in ("COLUMNS", "FORCE_COLOR", "TTY_COMPATIBLE"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(autouse=True)
def _fresh_clients() -> Iterator[None]:
    """No client or setting made in one test is used in another."""
    yield
    for module in list(sys.modules.values()):
        if getattr(module, "__name__", "").startswith(("gatehouse.", "functions.")):
            for value in list(vars(module).values()):
                if hasattr(value, "cache_clear"):
                    value.cache_clear()


@pytest.fixture(autouse=True)
def _answers_are_documented(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever a function behind the API answers in a test stands in docs/openapi.yaml."""
    edges = [module for name, module in list(sys.modules.items()) if name.startswith("functions.")]
    for module in edges:
        if hasattr(module, "respond"):
            from tests.support.api_document import held  # noqa: PLC0415 - only where a function is tested

            monkeypatch.setattr(module, "respond", held(module.respond))


@pytest.fixture(scope="session")
def untouched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple["Lifecycle", "First"]]:
    """The one running stack of tests/e2e and tests/browser, and its tokens before any test laid hands on them."""
    # boto3 and all: only where it is needed
    from tests.e2e.token_lifecycle import look_first  # noqa: PLC0415
    from tests.support.running_stack import running_stack  # noqa: PLC0415

    with running_stack(tmp_path_factory.mktemp("stack")) as running:
        yield look_first(running)


@pytest.fixture(scope="session")
def stack(untouched: tuple["Lifecycle", "First"]) -> "Stack":
    """The running stack."""
    return untouched[0].stack
