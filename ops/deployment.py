"""Which deployment a command works on: a stage of samconfig.toml on AWS, or `local`, the stack of `make run`.

Owns the way from a stage's name to clients, parameters and outputs. On AWS the credentials and the region are the
shell's, as for `make deploy`.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Self

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from local.paths import ROOT, STATE
from local.stack_file import NoStack, StackFile

LOCAL = "local"

_CONFIG = Config(connect_timeout=5, read_timeout=60, retries={"mode": "standard", "total_max_attempts": 4})


class NoDeployment(Exception):
    """The stage is unknown, or nothing is deployed there. The message says what to do."""


@dataclass(frozen=True, slots=True)
class Deployment:
    """A deployed stack."""

    stage: str
    stack_name: str
    parameters: Mapping[str, str]
    outputs: Mapping[str, str]
    _session: boto3.Session = field(repr=False)
    _endpoint_url: str | None = None

    @property
    def region(self) -> str:
        """The region that it is in."""
        return str(self._session.region_name)

    @property
    def title(self) -> str:
        """What a command prints first, so that nobody works on another stage than they think."""
        where = self._endpoint_url or f"AWS, {self.region}"
        return f"{self.stack_name} (stage {self.stage}, {where})"

    def client(self, service: str) -> Any:  # noqa: ANN401 - a client of any service
        """Return a client of a service."""
        return self._session.client(service, endpoint_url=self._endpoint_url, config=_CONFIG)  # type: ignore[call-overload]

    def output(self, name: str) -> str:
        """Return one of the stack's outputs. Raises NoDeployment."""
        if name not in self.outputs:
            raise NoDeployment(f"{self.stack_name} has no output {name}: deploy this version of the template first.")
        return self.outputs[name]

    @property
    def public_url(self) -> str:
        """Where senders call the API: under the company's own domain, where it has one. Raises NoDeployment."""
        return (self.outputs.get("CustomUrl") or self.output("ApiUrl")).rstrip("/")

    @classmethod
    def open(cls, stage: str, *, samconfig: Path = ROOT / "samconfig.toml", state: Path = STATE) -> Self:
        """Find a stage's deployment. Raises NoDeployment.

        `samconfig` names the stages on AWS; `state` is the folder in which the local stack keeps its `stack.json`.
        """
        if stage == LOCAL:
            try:
                running = StackFile.read(state)
            except NoStack as error:
                raise NoDeployment(str(error)) from None
            session = boto3.Session(
                aws_access_key_id=running.aws_access_key_id,
                aws_secret_access_key=running.aws_secret_access_key,
                region_name=running.region,
            )
            found = cls._describe(stage, running.stack_name, session, running.aws_endpoint_url)
            # The output says where the API would be on AWS.
            return replace(found, outputs={**found.outputs, "ApiUrl": running.api_url})
        try:
            configured = tomllib.loads(samconfig.read_text(encoding="utf-8"))[stage]["global"]["parameters"]
            stack_name = configured["stack_name"]
        except KeyError:
            raise NoDeployment(f"samconfig.toml has no stage {stage!r} with a stack_name.") from None
        try:
            session = boto3.Session(region_name=configured.get("region"))
            region = session.region_name
        except BotoCoreError as error:
            raise NoDeployment(f"AWS cannot be reached: {type(error).__name__}.") from None
        if region is None:
            raise NoDeployment("No AWS region: set AWS_REGION, or `region` for this stage in samconfig.toml.")
        return cls._describe(stage, stack_name, session, None)

    @classmethod
    def _describe(cls, stage: str, stack_name: str, session: boto3.Session, endpoint_url: str | None) -> Self:
        try:
            client = session.client("cloudformation", endpoint_url=endpoint_url, config=_CONFIG)
            (stack,) = client.describe_stacks(StackName=stack_name)["Stacks"]
        except ClientError as error:
            code = error.response["Error"]["Code"]
            raise NoDeployment(f"{stack_name} is not there, or may not be looked at ({code}).") from None
        except BotoCoreError as error:
            raise NoDeployment(f"AWS cannot be reached: {type(error).__name__}.") from None
        return cls(
            stage,
            stack_name,
            {each["ParameterKey"]: each["ParameterValue"] for each in stack.get("Parameters", [])},
            {each["OutputKey"]: each["OutputValue"] for each in stack.get("Outputs", [])},
            session,
            endpoint_url,
        )
