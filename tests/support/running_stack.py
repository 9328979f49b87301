"""One stack for all tests that need one: the launcher of `make run`, on free ports, with IAM enforced.

The fixture `stack` (tests/conftest.py) starts it once, for tests/e2e and tests/browser together.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import urllib3

from local.deploy import STACK_NAME
from local.options import Options
from local.ports import LOOPBACK, free_block
from local.processes import Supervisor
from local.stack import LocalStack
from local.stack_file import StackFile
from tests.support.api_document import HttpAnswer, assert_api_documented
from tests.support.privileges import Call, read_calls

if TYPE_CHECKING:
    from mypy_boto3_lambda.type_defs import FunctionConfigurationResponseTypeDef

ORIGINS = ("http://localhost:3000", "https://app.example.com")
# Marked, so that a search of everything that comes out can find them.
GATEWAY_SECRET = {
    "gateway_name": "acme",
    "secret": "SENTINEL-signing-key-0123456789-0123456789",
    "api_secret": "SENTINEL-backend-key-0123456789-0123456789",
}
WEBHOOK_CREDENTIALS = {
    "broker": {
        "authentication": [
            {"type": 1, "username": "SENTINEL-user", "password": "SENTINEL:password"},
            {"type": 2, "token": "SENTINEL-webhook-token"},
        ],
        "delivery_id_header": "X-Delivery-Id",
    }
}
INTEGRATION_CREDENTIALS = {"api_key": "SENTINEL-api-key", "secret_key": "SENTINEL-secret-key"}
DENY_NAME = "denied-by-a-test"


class Stack(NamedTuple):
    """A running stack and a client for it."""

    file: StackFile
    local: LocalStack
    http: urllib3.PoolManager

    def call(self, method: str, path: str, **options: Any) -> urllib3.BaseHTTPResponse:
        """Call the API without any header that a plain client would not send. What it answers has to be documented."""
        answer = self.http.request(method, self.file.api_url + path, redirect=False, **options)
        headers = {name.lower(): value for name, value in answer.headers.items()}
        assert_api_documented(method, path, HttpAnswer(answer.status, headers, answer.data))
        return answer

    def oidc_token(self, user: str = "asha", **switches: object) -> str:
        """Sign in at the simulated issuer and return the access token."""
        answer = self.http.request("POST", f"{self.file.oidc_issuer}/token", json={"user": user, **switches})
        assert answer.status == 200, answer.data
        return str(answer.json()["access_token"])

    def start_anew(self, function: str) -> "FunctionConfigurationResponseTypeDef":
        """End a function's processes, with all that they have cached, and return its configuration."""
        client, name = self.file.endpoint.client("lambda"), self.file.outputs[f"{function}FunctionName"]
        timeout = client.get_function_configuration(FunctionName=name)["Timeout"]
        return client.update_function_configuration(FunctionName=name, Timeout=timeout)

    def user_token(self, bearer: str) -> urllib3.BaseHTTPResponse:
        """Call the user route with a token."""
        return self.call("POST", "/v1/tokens/user", headers={"Authorization": f"Bearer {bearer}"})


@contextmanager
def denied(stack: Stack, function: str, action: str) -> Iterator[None]:
    """Take a permission away from a function for a while, and make it start anew, with nothing cached."""
    iam = stack.file.endpoint.client("iam")
    role = stack.start_anew(function)["Role"].rpartition("/")[2]
    statement = {"Effect": "Deny", "Action": action, "Resource": "*"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    iam.put_role_policy(RoleName=role, PolicyName=DENY_NAME, PolicyDocument=document)
    try:
        yield
    finally:
        iam.delete_role_policy(RoleName=role, PolicyName=DENY_NAME)


def refused_by_accident(calls: list[Call]) -> list[Call]:
    """Return what Gatehouse's functions asked for in vain, though no test had taken it away: their roles lack it."""
    return [call for call in calls if call.was_refused_by_accident and call.role.startswith(f"{STACK_NAME}-")]


@contextmanager
def running_stack(folder: Path) -> Iterator[Stack]:
    """Start a stack, with its secrets' file and its logs in this folder.

    In the end, nothing that the functions did may have lacked a permission.
    """
    secrets_file = folder / "secrets.json"
    secrets_file.write_text(
        json.dumps(
            {
                "GatewaySecret": GATEWAY_SECRET,
                "IntegrationCredentials": INTEGRATION_CREDENTIALS,
                "WebhookCredentials": WEBHOOK_CREDENTIALS,
            }
        )
    )
    ports = free_block()
    options = Options.from_environment(
        {
            "PORT": str(ports.base),
            "CORS_ORIGINS": ",".join((*ORIGINS, f"http://{LOOPBACK}:{ports.playground}")),
            "SECRETS_FILE": str(secrets_file),
            # No tick but those that tests ask for.
            "PARAMETERS": "TokenLifetimeSeconds=600;RefreshRate=rate(59 minutes)",
        }
    )
    local = LocalStack(options, folder, print)
    with Supervisor() as supervisor, urllib3.PoolManager(retries=False, timeout=30) as http:
        yield Stack(local.start(supervisor), local, http)
        assert refused_by_accident(read_calls(local.calls_file)) == []
