"""Emulators for tests: started on free ports, with clients, functions and stacks made on them."""

import http.client
import io
import json
import os
import subprocess
import sys
import textwrap
import time
import zipfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Self, cast

import boto3
from botocore.config import Config

from local.emulator import settings
from local.ports import LOOPBACK, Ports, free_block

ROOT: Final = Path(__file__).resolve().parent.parent.parent
FUNCTIONS_PYTHON: Final = ROOT / ".tools" / "runtime" / "bin" / "python"
REGION: Final = "us-east-1"
API_ID: Final = "0a1b2c3d"

_POLL_SECONDS = 0.02
_TRUST = {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
_VERSION = "2012-10-17"

type Json = dict[str, Any]


def eventually[T](look: Callable[[], T], within: float = 20) -> T:
    """Call until the result is true, and return it; the last false one after `within` seconds."""
    deadline = time.monotonic() + within
    while not (result := look()) and time.monotonic() < deadline:
        time.sleep(_POLL_SECONDS)
    return result


def archive(files: Mapping[str, str]) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as packed:
        for name, text in files.items():
            packed.writestr(name, textwrap.dedent(text))
    return content.getvalue()


@dataclass(frozen=True)
class Response:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


def http_request(
    port: int, method: str, path: str, headers: Iterable[tuple[str, str]] = (), body: bytes = b""
) -> Response:
    connection = http.client.HTTPConnection(LOOPBACK, port, timeout=20)
    try:
        # What is sent is what is said here.
        connection.putrequest(method, path, skip_host=any(name == "Host" for name, _ in headers))
        for name, value in headers:
            connection.putheader(name, value)
        if body:
            connection.putheader("Content-Length", str(len(body)))
        connection.endheaders(body or None)
        answer = connection.getresponse()
        return Response(answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read())
    finally:
        connection.close()


def environment(ports: Ports, temporary: Path, disabled: Iterable[str] = ()) -> dict[str, str]:
    """What a parent gives the emulator: nothing but this, and what coverage needs to follow it."""
    coverage = {name: value for name, value in os.environ.items() if name.startswith("COVERAGE_")}
    return coverage | {
        "PATH": os.environ["PATH"],
        "HOME": str(temporary),
        "TMPDIR": str(temporary),
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_REGION": REGION,
        settings.AWS_PORT: str(ports.aws),
        settings.API_PORT: str(ports.api),
        settings.FUNCTIONS_PYTHON: str(FUNCTIONS_PYTHON),
        settings.DISABLE_PATCHES: ",".join(disabled),
        settings.CALLS_FILE: str(temporary / "calls.jsonl"),
    }


@dataclass
class Emulator:
    """One running emulator. A context manager: leaving it stops the process and waits for its end."""

    ports: Ports
    log: Path
    process: subprocess.Popen[bytes] | None = None
    """None where somebody else has started it."""
    _clients: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def start(cls, temporary: Path, disabled: Iterable[str] = ()) -> Self:
        ports, log = free_block(), temporary / "emulator.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", "local.emulator"],
                cwd=ROOT,
                env=environment(ports, temporary, disabled),
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        emulator = cls(ports, log, process)
        assert eventually(emulator.is_ready, 60), log.read_text()
        return emulator

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for client in self._clients.values():
            client.close()
        if self.process and self.process.stdin:
            self.process.terminate()
            self.process.wait(timeout=30)
            self.process.stdin.close()

    def is_ready(self) -> bool:
        if self.process and self.process.poll() is not None:
            raise AssertionError(self.log.read_text())
        try:
            return http_request(self.ports.aws, "GET", "/_ministack/health").status == 200
        except OSError:
            return False

    def client(self, service: str, key: str = "test", secret: str = "test") -> Any:
        name = f"{service}/{key}"
        if name not in self._clients:
            self._clients[name] = cast("Any", boto3).client(  # the service is a parameter: no overload fits
                service,
                endpoint_url=f"http://{LOOPBACK}:{self.ports.aws}",
                region_name=REGION,
                aws_access_key_id=key,
                aws_secret_access_key=secret,
                config=Config(retries={"total_max_attempts": 1}),
            )
        return self._clients[name]

    def call_api(self, method: str, path: str, headers: Iterable[tuple[str, str]] = (), body: bytes = b"") -> Response:
        return http_request(self.ports.api, method, path, headers, body)

    def role(self, name: str) -> str:
        arn: str = self.client("iam").create_role(
            RoleName=name, AssumeRolePolicyDocument=json.dumps({"Version": _VERSION, "Statement": [_TRUST]})
        )["Role"]["Arn"]
        return arn

    def user_client(self, service: str, name: str, *statements: Json) -> Any:
        """A client of somebody who may do what the statements say."""
        iam = self.client("iam")
        iam.create_user(UserName=name)
        policy = json.dumps({"Version": _VERSION, "Statement": statements})
        iam.put_user_policy(UserName=name, PolicyName="p", PolicyDocument=policy)
        key = iam.create_access_key(UserName=name)["AccessKey"]
        return self.client(service, key["AccessKeyId"], key["SecretAccessKey"])

    def function(self, name: str, source: str, **settings: Any) -> str:
        """Create a function of one module, `app.handler`, and return its ARN."""
        arn: str = self.client("lambda").create_function(
            FunctionName=name,
            Runtime="python3.13",
            Handler="app.handler",
            Role=self.role(f"{name}-role"),
            Code={"ZipFile": archive({"app.py": source})},
            **{"Timeout": 60, **settings},
        )["FunctionArn"]
        return arn

    def invoke(self, name: str, event: object) -> Json:
        """Invoke; the payload, with `FunctionError` where there is one."""
        answer = self.client("lambda").invoke(FunctionName=name, Payload=json.dumps(event))
        return {"payload": json.load(answer["Payload"]), "error": answer.get("FunctionError")}

    def http_api(self, function_arn: str, authorizer: Json | None = None) -> None:
        """Put the function behind every route of an HTTP API; behind `/protected` with the authorizer."""
        api = self.client("apigatewayv2")
        api_id = api.create_api(Name="api", ProtocolType="HTTP", Tags={"ms-custom-id": API_ID})["ApiId"]
        integration = api.create_integration(
            ApiId=api_id, IntegrationType="AWS_PROXY", IntegrationUri=function_arn, PayloadFormatVersion="2.0"
        )
        target = f"integrations/{integration['IntegrationId']}"
        api.create_route(ApiId=api_id, RouteKey="ANY /{proxy+}", Target=target)
        api.create_route(ApiId=api_id, RouteKey="GET /plain", Target=target)
        if authorizer:
            created = api.create_authorizer(
                ApiId=api_id,
                Name="oidc",
                AuthorizerType="JWT",
                IdentitySource=["$request.header.Authorization"],
                JwtConfiguration=authorizer,
            )
            api.create_route(
                ApiId=api_id,
                RouteKey="GET /protected",
                Target=target,
                AuthorizationType="JWT",
                AuthorizerId=created["AuthorizerId"],
            )
        api.create_stage(ApiId=api_id, StageName="$default", AutoDeploy=True)

    def deploy(self, stack: str, template: Json) -> Json:
        """Create or update a stack and return its outputs; AssertionError if it fails."""
        cloudformation = self.client("cloudformation")
        text = json.dumps({"AWSTemplateFormatVersion": "2010-09-09", **template})
        known = [s["StackName"] for s in cloudformation.describe_stacks()["Stacks"]]
        change = cloudformation.update_stack if stack in known else cloudformation.create_stack
        change(StackName=stack, TemplateBody=text, Capabilities=["CAPABILITY_IAM"])

        def settled() -> Json | None:
            found: Json = cloudformation.describe_stacks(StackName=stack)["Stacks"][0]
            return None if found["StackStatus"].endswith("_IN_PROGRESS") else found

        result = eventually(settled)
        assert result is not None, f"{stack} is not finished"
        events = cloudformation.describe_stack_events(StackName=stack)["StackEvents"]
        reasons = [event.get("ResourceStatusReason") for event in events]
        assert result["StackStatus"] in {"CREATE_COMPLETE", "UPDATE_COMPLETE"}, reasons
        return {output["OutputKey"]: output["OutputValue"] for output in result.get("Outputs", [])}
