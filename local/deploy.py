"""Deploying a built template into the emulator with SAM CLI: Gatehouse's, or an example's beside it.

Owns how SAM CLI is called, and reading a stack's outputs. It declares no resource: those stand in the templates alone.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal, overload

import boto3
from botocore.config import Config

from local.build import GATEHOUSE, Project, sam_environment
from local.paths import ROOT, SAM
from local.processes import Supervisor

if TYPE_CHECKING:
    from mypy_boto3_cloudformation import CloudFormationClient
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_events import EventBridgeClient
    from mypy_boto3_iam import IAMClient
    from mypy_boto3_lambda import LambdaClient
    from mypy_boto3_logs import CloudWatchLogsClient
    from mypy_boto3_secretsmanager import SecretsManagerClient
    from mypy_boto3_sqs import SQSClient

STACK_NAME: Final = "gatehouse-local"
EXAMPLE_PREFIX: Final = "gatehouse-example-"
"""Before the name of an example, the name of its stack."""

REGION: Final = "ap-south-1"
ACCESS_KEY_ID: Final = "test"
SECRET_ACCESS_KEY: Final = "test"  # noqa: S105 - the emulator's root user
DEPLOY_SECONDS: Final = 240


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An emulated AWS account."""

    url: str

    def environment(self) -> dict[str, str]:
        """Return the variables that point an AWS client at the account."""
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ACCESS_KEY_ID": ACCESS_KEY_ID,
            "AWS_SECRET_ACCESS_KEY": SECRET_ACCESS_KEY,
            "AWS_DEFAULT_REGION": REGION,
        }

    @overload
    def client(self, service: Literal["cloudformation"]) -> "CloudFormationClient": ...
    @overload
    def client(self, service: Literal["dynamodb"]) -> "DynamoDBClient": ...
    @overload
    def client(self, service: Literal["events"]) -> "EventBridgeClient": ...
    @overload
    def client(self, service: Literal["iam"]) -> "IAMClient": ...
    @overload
    def client(self, service: Literal["lambda"]) -> "LambdaClient": ...
    @overload
    def client(self, service: Literal["logs"]) -> "CloudWatchLogsClient": ...
    @overload
    def client(self, service: Literal["secretsmanager"]) -> "SecretsManagerClient": ...
    @overload
    def client(self, service: Literal["sqs"]) -> "SQSClient": ...

    def client(self, service: str) -> object:
        """Return a boto3 client of the account."""
        return boto3.client(  # type: ignore[call-overload]  # the overloads above name the services
            service,
            endpoint_url=self.url,
            region_name=REGION,
            aws_access_key_id=ACCESS_KEY_ID,
            aws_secret_access_key=SECRET_ACCESS_KEY,
            config=Config(connect_timeout=2, read_timeout=60, retries={"total_max_attempts": 2}),
        )


def deploy(
    supervisor: Supervisor,
    endpoint: Endpoint,
    parameters: Mapping[str, str],
    log: Path,
    *,
    project: Project = GATEHOUSE,
    stack_name: str = STACK_NAME,
) -> dict[str, str]:
    """Deploy what was built and return the stack's outputs. Raises CommandFailed."""
    environment = sam_environment() | endpoint.environment() | {"SAM_CLI_POLL_DELAY": "0.3"}
    supervisor.run(
        "sam deploy",
        [
            str(SAM),
            "deploy",
            "--config-file",
            str(ROOT / "samconfig.toml"),
            "--config-env",
            "local",
            "--stack-name",
            stack_name,
            "--template-file",
            str(project.built_template),
            "--region",
            REGION,
            "--parameter-overrides",
            *(override(name, value) for name, value in parameters.items()),
        ],
        env=environment,
        log=log,
        timeout=DEPLOY_SECONDS,
        cwd=ROOT,
    )
    (stack,) = endpoint.client("cloudformation").describe_stacks(StackName=stack_name)["Stacks"]
    return {output["OutputKey"]: output["OutputValue"] for output in stack.get("Outputs", [])}


def override(name: str, value: str) -> str:
    """Return a parameter in the form that SAM CLI takes, quoted."""
    quoted = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'{name}="{quoted}"'
