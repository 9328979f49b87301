"""From a stage's name to a deployment."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError, EndpointConnectionError, ProfileNotFound

from local.deploy import STACK_NAME
from ops.deployment import Deployment, NoDeployment
from tests.unit.test_local_programs import RUNNING

SAMCONFIG = """
[dev.global.parameters]
stack_name = "gatehouse-dev"

[prod.global.parameters]
stack_name = "gatehouse-prod"
region = "ap-south-1"

[nameless.global.parameters]
region = "ap-south-1"
"""
STACK = {
    "Parameters": [{"ParameterKey": "EventLogDays", "ParameterValue": "30"}],
    "Outputs": [
        {"OutputKey": "EventBusName", "OutputValue": "the-bus"},
        {"OutputKey": "ApiUrl", "OutputValue": "https://api.example.com"},
    ],
}


@pytest.fixture
def samconfig(tmp_path: Path) -> Path:
    path = tmp_path / "samconfig.toml"
    path.write_text(SAMCONFIG)
    return path


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What CloudFormation was asked, and what it answers or raises (`answer`)."""
    asked: dict[str, Any] = {"answer": STACK}

    def client(session: boto3.Session, service: str, **options: Any) -> object:
        credentials = session.get_credentials()
        asked.update(service=service, region=session.region_name, endpoint_url=options["endpoint_url"])
        asked.update(key=credentials.access_key if credentials else None)

        def describe_stacks(**arguments: str) -> dict[str, Any]:
            asked.update(arguments)
            if isinstance(asked["answer"], Exception):
                raise asked["answer"]
            return {"Stacks": [asked["answer"]]}

        return SimpleNamespace(describe_stacks=describe_stacks)

    monkeypatch.setattr(boto3.Session, "client", client)
    return asked


def test_a_stage_on_aws_is_the_stack_that_samconfig_names(samconfig: Path, asked: dict[str, Any]) -> None:
    found = Deployment.open("dev", samconfig=samconfig)
    assert (asked["service"], asked["StackName"]) == ("cloudformation", "gatehouse-dev")
    assert (asked["endpoint_url"], asked["key"]) == (None, "testing"), "the shell's account"
    assert found.outputs == {"EventBusName": "the-bus", "ApiUrl": "https://api.example.com"}
    assert found.parameters == {"EventLogDays": "30"}
    assert found.title == "gatehouse-dev (stage dev, AWS, eu-west-1)"


def test_a_region_in_samconfig_comes_before_the_shells(samconfig: Path, asked: dict[str, Any]) -> None:
    assert Deployment.open("prod", samconfig=samconfig).region == asked["region"] == "ap-south-1"


def test_a_stage_without_a_region_says_so(
    samconfig: Path, asked: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    with pytest.raises(NoDeployment, match="AWS_REGION"):
        Deployment.open("dev", samconfig=samconfig)


@pytest.mark.parametrize("stage", ["nothing", "nameless", ""])
def test_a_stage_that_samconfig_does_not_know_says_so(samconfig: Path, asked: dict[str, Any], stage: str) -> None:
    with pytest.raises(NoDeployment, match=rf"no stage '{stage}'"):
        Deployment.open(stage, samconfig=samconfig)


def test_the_local_stage_is_the_running_stack_and_not_the_shells_account(
    tmp_path: Path, asked: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    running = replace(RUNNING, aws_access_key_id="of-the-emulator")
    running.write(tmp_path)
    found = Deployment.open("local", state=tmp_path)
    assert (asked["endpoint_url"], asked["key"]) == (running.aws_endpoint_url, "of-the-emulator")
    assert (asked["region"], asked["StackName"]) == (running.region, STACK_NAME)
    assert found.title == "gatehouse-local (stage local, http://127.0.0.1:8701)"
    assert found.output("ApiUrl") == running.api_url, "where it really is"
    assert found.output("EventBusName") == "the-bus"


def test_without_a_running_stack_the_local_stage_says_how_to_start_one(tmp_path: Path) -> None:
    with pytest.raises(NoDeployment, match="make run"):
        Deployment.open("local", state=tmp_path)


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ClientError({"Error": {"Code": "ValidationError", "Message": "quoted"}}, "DescribeStacks"), "ValidationError"),
        (EndpointConnectionError(endpoint_url="https://quoted"), "EndpointConnectionError"),
    ],
)
def test_a_stack_that_cannot_be_looked_at_is_said_with_a_code_and_no_text(
    samconfig: Path, asked: dict[str, Any], error: Exception, said: str
) -> None:
    asked["answer"] = error
    with pytest.raises(NoDeployment, match=said) as caught:
        Deployment.open("dev", samconfig=samconfig)
    assert "quoted" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_a_profile_that_is_not_there_is_said(samconfig: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "nobodys")
    with pytest.raises(NoDeployment, match=ProfileNotFound.__name__):
        Deployment.open("dev", samconfig=samconfig)


def test_an_output_that_is_not_there_is_said(samconfig: Path, asked: dict[str, Any]) -> None:
    with pytest.raises(NoDeployment, match="gatehouse-dev has no output WebhooksTableName"):
        Deployment.open("dev", samconfig=samconfig).output("WebhooksTableName")


def test_a_stack_without_outputs_and_parameters_has_none(samconfig: Path, asked: dict[str, Any]) -> None:
    asked["answer"] = {}
    found = Deployment.open("dev", samconfig=samconfig)
    assert (found.outputs, found.parameters) == ({}, {})


def test_clients_go_where_the_deployment_is(
    tmp_path: Path, asked: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    RUNNING.write(tmp_path)
    Deployment.open("local", state=tmp_path).client("sqs")
    assert (asked["service"], asked["endpoint_url"]) == ("sqs", RUNNING.aws_endpoint_url)


def test_a_deployment_shows_no_credentials(tmp_path: Path, asked: dict[str, Any]) -> None:
    replace(RUNNING, aws_secret_access_key="very-secret").write(tmp_path)
    assert "very-secret" not in repr(Deployment.open("local", state=tmp_path))


def test_every_stage_of_the_repository_names_its_stack(asked: dict[str, Any]) -> None:
    for stage in ("dev", "prod"):
        assert Deployment.open(stage).stack_name == f"gatehouse-{stage}"
