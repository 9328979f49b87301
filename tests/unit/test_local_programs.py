"""The parts of `make run` that need no process: quoting, secrets, the stack file, what is printed."""

import json
import os
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from gatehouse.secret_value import Secret
from gatehouse.webhook_credentials import Source, judge_sources
from local import invoke, logs
from local.__main__ import how_to_use
from local.deploy import override
from local.invoke import function_name
from local.options import Options
from local.paths import ROOT
from local.secrets import OUTPUTS, local_secrets
from local.stack import LocalStack, report_to_terminal
from local.stack_file import NoStack, StackFile

RUNNING = StackFile(
    api_url="http://127.0.0.1:8700",
    aws_endpoint_url="http://127.0.0.1:8701",
    aws_access_key_id="test",
    aws_secret_access_key="test",
    region="ap-south-1",
    stack_name="gatehouse-local",
    outputs={"IssueGuestTokenFunctionName": "gatehouse-local-issue-guest-token"},
    integration_api_url=None,
    smallcase_api_url=None,
    oidc_issuer="http://127.0.0.1:8702",
    oidc_audience="gatehouse",
    playground_url="http://127.0.0.1:8705",
    pids=[1, 2],
)


@pytest.mark.parametrize(
    ("value", "quoted"), [("a", 'A="a"'), ("a b,c", 'A="a b,c"'), ('a"b', 'A="a\\"b"'), ("a\\b", 'A="a\\\\b"')]
)
def test_a_parameter_is_quoted_for_sam(value: str, quoted: str) -> None:
    assert override("A", value) == quoted


def test_made_up_secrets_are_usable_and_different_each_time() -> None:
    options = Options.from_environment({})
    first, second = local_secrets(options)["GatewaySecret"], local_secrets(options)["GatewaySecret"]
    assert first["gateway_name"] == "gatehouse-local"
    assert len({str(each[key]) for each in (first, second) for key in ("secret", "api_secret")}) == 4
    assert set(local_secrets(options)) <= set(OUTPUTS)


def test_named_secrets_take_the_place_of_made_up_ones() -> None:
    options = replace(Options.from_environment({}), secrets={"GatewaySecret": {"gateway_name": "acme"}})
    assert local_secrets(options)["GatewaySecret"] == {"gateway_name": "acme"}


def test_made_up_webhook_credentials_are_usable_in_both_ways() -> None:
    made_up = local_secrets(Options.from_environment({}))["WebhookCredentials"]
    (source,) = judge_sources(Secret(json.dumps(made_up))).entries.values()
    assert isinstance(source, Source)
    assert len(source.basic) == len(source.tokens) == 1


def test_no_credentials_are_made_up_for_an_integration_api_of_somebody_else() -> None:
    ours = local_secrets(Options.from_environment({}))
    theirs = local_secrets(Options.from_environment({"INTEGRATION_BASE_URL": "https://api.example.com"}))
    assert "IntegrationCredentials" in ours
    assert "IntegrationCredentials" not in theirs


def test_the_stack_file_is_read_as_it_was_written(tmp_path: Path) -> None:
    RUNNING.write(tmp_path)
    assert StackFile.read(tmp_path) == RUNNING
    assert set(json.loads((tmp_path / "stack.json").read_text())) >= {"api_url", "outputs", "pids"}
    RUNNING.remove(tmp_path)
    with pytest.raises(NoStack):
        StackFile.read(tmp_path)
    RUNNING.remove(tmp_path)


def test_a_run_does_not_remove_another_runs_file(tmp_path: Path) -> None:
    other = replace(RUNNING, pids=[3])
    other.write(tmp_path)
    RUNNING.remove(tmp_path)
    assert StackFile.read(tmp_path) == other


def test_when_the_later_of_two_runs_ends_the_file_tells_of_the_earlier_one_again(tmp_path: Path) -> None:
    ended = subprocess.Popen(["/bin/true"])
    ended.wait()
    earlier, later = replace(RUNNING, pids=[os.getpid(), 7]), replace(RUNNING, pids=[os.getppid(), 8])
    killed = replace(RUNNING, pids=[ended.pid, 9])  # by force, so that it could not clean up
    for run in (earlier, killed, later):
        run.write(tmp_path)
    assert StackFile.read(tmp_path) == later
    later.remove(tmp_path)
    assert StackFile.read(tmp_path) == earlier
    earlier.remove(tmp_path)
    with pytest.raises(NoStack):
        StackFile.read(tmp_path)


def test_when_the_earlier_of_two_runs_ends_the_file_goes_on_telling_of_the_later_one(tmp_path: Path) -> None:
    earlier, later = replace(RUNNING, pids=[os.getpid(), 7]), replace(RUNNING, pids=[os.getppid(), 8])
    earlier.write(tmp_path)
    later.write(tmp_path)
    earlier.remove(tmp_path)
    assert StackFile.read(tmp_path) == later
    later.remove(tmp_path)
    assert not (tmp_path / "stack.json").exists()


def test_a_broken_stack_file_is_no_stack(tmp_path: Path) -> None:
    (tmp_path / "stack.json").write_text("{")
    with pytest.raises(NoStack, match="make run"):
        StackFile.read(tmp_path)


def test_a_function_is_found_by_its_folders_name() -> None:
    assert function_name(RUNNING.outputs, "issue_guest_token") == "gatehouse-local-issue-guest-token"
    assert function_name(RUNNING.outputs, "nothing") is None


@pytest.mark.parametrize(
    ("environment", "integration", "smallcase"),
    [
        ({}, "http://127.0.0.1:8703", "http://127.0.0.1:8704"),
        (
            {"INTEGRATION_BASE_URL": "https://api.example.com/a/", "SMALLCASE_BASE_URL": "https://gateway.example.com"},
            "https://api.example.com/a",
            "https://gateway.example.com",
        ),
    ],
)
def test_the_functions_are_told_the_upstreams_of_the_run(
    environment: dict[str, str], integration: str, smallcase: str, tmp_path: Path
) -> None:
    parameters = LocalStack(Options.from_environment(environment), tmp_path, print)._parameters()
    assert (parameters["IntegrationBaseUrl"], parameters["SmallcaseBaseUrl"]) == (integration, smallcase)


def test_commands_to_copy_are_printed() -> None:
    running = replace(RUNNING, smallcase_api_url="http://127.0.0.1:8704")
    text = how_to_use(running, Options.from_environment({}), ROOT / ".local" / "run-8700" / "logs")
    assert "curl -s -X POST http://127.0.0.1:8700/v1/tokens/guest" in text
    assert "http://127.0.0.1:8702/token" in text
    assert "Playground http://127.0.0.1:8705" in text
    assert "http://127.0.0.1:8704  (smallcase Gateway API)" in text
    assert ".local/run-8700/logs" in text


def test_no_sign_in_is_printed_for_an_issuer_that_is_not_ours() -> None:
    options = Options.from_environment({"OIDC_ISSUER": "https://auth.example.com"})
    text = how_to_use(RUNNING, options, ROOT / ".local" / "run-8700" / "logs")
    assert "/token -d" not in text
    assert "/v1/tokens/user" in text


@pytest.mark.parametrize("program", [invoke.main, logs.main])
def test_a_program_without_a_stack_says_how_to_start_one(
    program: object, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def no_stack() -> StackFile:
        raise NoStack("Start one with `make run`.")

    monkeypatch.setattr(StackFile, "read", no_stack)
    assert callable(program)
    assert program(["issue_guest_token"]) == 1
    assert "make run" in capsys.readouterr().err


@pytest.mark.parametrize("program", [invoke.main, logs.main])
def test_an_unknown_function_is_said(
    program: object, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(StackFile, "read", lambda: RUNNING)
    assert callable(program)
    assert program(["nothing"]) == 1
    assert "nothing" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("terminal", "printed"),
    [(True, "\r\033[K  Building …\r\033[K  Building: 1 s\n"), (False, "  Building: 1 s\n")],
)
def test_a_finished_step_takes_the_place_of_its_beginning(
    terminal: bool, printed: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: terminal)
    report_to_terminal("Building …")
    report_to_terminal("Building: 1 s")
    assert capsys.readouterr().out == printed
