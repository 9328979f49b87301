"""`make example`: what it builds of, what Gatehouse fills in, and what it says when it cannot."""

import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto import mock_aws

from local import example, invoke, logs, parameters
from local.build import Project
from local.deploy import EXAMPLE_PREFIX, Endpoint
from local.invoke import function_name
from local.paths import ROOT, NotInstalled
from local.processes import CommandFailed
from local.stack_file import NoStack, StackFile
from local.stop_signals import StopRequested
from tests.unit.test_local_programs import RUNNING

OUTPUTS = {
    "EventBusName": "gatehouse-local",
    "GatehouseLayerArn": "the-layer",
    "IntegrationTokensSecretArn": "the-secret",
    "GatewaySecretArn": "another-secret",
}
FULL = replace(RUNNING, outputs=OUTPUTS, integration_api_url="http://127.0.0.1:8703")


def test_an_example_is_a_folder_with_a_template() -> None:
    project = example.project("events")
    assert project.template == ROOT / "examples" / "events" / "template.yaml"
    assert project.folders == (ROOT / "examples" / "events",)
    assert project.built_template == ROOT / ".aws-sam" / "examples" / "events" / "template.yaml"


@pytest.mark.parametrize("name", ["", "nothing", "../functions", ".", "events/../events", "/"])
def test_another_name_is_answered_with_those_that_there_are(name: str) -> None:
    with pytest.raises(example.UnknownExample, match="consumer, events"):
        example.project(name)


def test_gatehouse_fills_in_what_the_example_asks_for_and_nothing_else() -> None:
    assert example.filled_in(example.project("events").template, FULL) == {"EventBusName": "gatehouse-local"}
    assert example.filled_in(example.project("consumer").template, FULL) == {
        "GatehouseLayerArn": "the-layer",
        "IntegrationTokensSecretArn": "the-secret",
        "IntegrationBaseUrl": "http://127.0.0.1:8703",
    }


def test_the_parameters_of_a_template_are_read_from_its_text() -> None:
    assert parameters.declared(example.project("events").template) == {"EventBusName", "RememberDays"}


class Deployment:
    """Stands for building and deploying: keeps what it was asked for."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.built: list[Any] = []
        self.deployed: list[Any] = []
        self.failure: BaseException | None = None
        monkeypatch.setattr("local.example.build.build", self.build)
        monkeypatch.setattr("local.example.deploy", self.deploy)
        monkeypatch.setattr("local.example.check_installed", lambda: None)
        monkeypatch.setattr(StackFile, "read", lambda: FULL)
        monkeypatch.delenv("PARAMETERS", raising=False)

    def build(self, _supervisor: object, _log: Path, project: Project) -> None:
        self.built.append(project)

    def deploy(
        self, _supervisor: object, _endpoint: object, values: dict[str, str], _log: Path, **how: Any
    ) -> dict[str, str]:
        if self.failure is not None:
            raise self.failure
        self.deployed.append((values, how["stack_name"], how["project"]))
        return {"TableName": "the-table", "TakeFunctionName": f"{how['stack_name']}-take"}


@pytest.fixture
def deployment(monkeypatch: pytest.MonkeyPatch) -> Deployment:
    return Deployment(monkeypatch)


def test_an_example_is_deployed_as_a_stack_of_its_own_and_its_outputs_are_said(
    deployment: Deployment, capsys: pytest.CaptureFixture[str]
) -> None:
    assert example.main(["events"]) == 0
    project = example.project("events")
    assert deployment.built == [project]
    assert deployment.deployed == [({"EventBusName": "gatehouse-local"}, "gatehouse-example-events", project)]
    said = capsys.readouterr().out
    assert "  TableName         the-table\n" in said
    assert said.endswith("make logs FUNCTION=gatehouse-example-events-take\n")


def test_what_a_user_says_comes_on_top(deployment: Deployment, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PARAMETERS", "RememberDays=7; EventBusName = another")
    assert example.main(["events"]) == 0
    assert deployment.deployed[0][0] == {"EventBusName": "another", "RememberDays": "7"}


@pytest.mark.parametrize(
    ("arguments", "told", "said"),
    [
        ([], "", "There is no example ''"),
        (["nothing"], "", "consumer, events"),
        (["events"], "Rate=1", "the template has no parameter Rate"),
        (["events"], "RememberDays", "Name=value"),
    ],
)
def test_what_cannot_be_is_said_before_anything_is_built(
    deployment: Deployment,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    told: str,
    said: str,
) -> None:
    monkeypatch.setenv("PARAMETERS", told)
    assert example.main(arguments) == 1
    assert said in capsys.readouterr().err
    assert deployment.built == []


@pytest.mark.parametrize("failure", [NoStack("make run"), NotInstalled("make tools")])
def test_without_what_it_needs_it_says_what_to_do(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], failure: Exception
) -> None:
    def fail() -> None:
        raise failure

    monkeypatch.setattr("local.example.check_installed", fail)
    assert example.main(["events"]) == 1
    assert str(failure) in capsys.readouterr().err


def test_a_deployment_that_fails_is_said_with_its_log(
    deployment: Deployment, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    log = tmp_path / "deploy.log"
    log.write_text("the reason\n")
    deployment.failure = CommandFailed("sam deploy", "failed with exit code 1", log, 1)
    assert example.main(["events"]) == 1
    assert "the reason" in capsys.readouterr().err


def test_a_stop_is_obeyed(deployment: Deployment) -> None:
    deployment.failure = StopRequested(signal.SIGINT)
    assert example.main(["events"]) == 128 + signal.SIGINT


def test_an_examples_function_goes_by_its_deployed_name() -> None:
    name = f"{EXAMPLE_PREFIX}events-remember-delivery"
    assert function_name({}, name) == name


@pytest.mark.parametrize("program", [invoke.main, logs.main])
def test_an_examples_function_that_is_not_deployed_is_said(
    program: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(StackFile, "read", lambda: RUNNING)
    monkeypatch.setattr(Endpoint, "client", lambda _self, service: boto3.client(service))
    with mock_aws():
        assert program([f"{EXAMPLE_PREFIX}nothing"]) == 1
    assert f"{EXAMPLE_PREFIX}nothing" in capsys.readouterr().err
