"""A healthy deployment on AWS, for the operators' programs that look at all of it, and ways to break it.

Every answer is in a dictionary, as botocore would return it; a test changes one and looks what is said. Another test
holds all of them against botocore's own models.
"""

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any

from botocore.exceptions import ClientError

from gatehouse import iso8601
from gatehouse.problems import PROBLEMS, GatehouseError, problem_document
from gatehouse.upstream import UpstreamAnswer, UpstreamFault, UpstreamRequest
from ops.deployment import Deployment
from tests.support.fakes import Clock
from tests.support.ops_fakes import FakeDeployments

NOW = iso8601.parse("2026-11-22T12:00:00Z")
DAY_SECONDS = 24 * 60 * 60
ISSUER = "https://auth.company.com/realm"
INTEGRATION = "https://integration.broker.com"
GATEWAY = "https://gatewayapi.smallcase.com"
API = "https://abc.execute-api.eu-west-1.amazonaws.com"
EXTENSION = "arn:aws:lambda:eu-west-1:015030872274:layer:AWS-Parameters-and-Secrets-Lambda-Extension-Arm64:101"

FUNCTIONS = (
    "IssueGuestToken",
    "IssueUserToken",
    "StartTransaction",
    "ConnectUser",
    "RefreshTokens",
    "Authenticate",
    "ReceiveWebhook",
    "ProcessWebhook",
)
WITHOUT_EXTENSION = {"RefreshTokens", "Authenticate", "ProcessWebhook"}
PARAMETERS = {
    "OidcIssuer": ISSUER,
    "OidcAudience": "gatehouse",
    "CorsOrigins": "https://app.company.com,https://www.company.com",
    "AllowShortSecrets": "false",
    "SmallcaseBaseUrl": GATEWAY,
    "AllowedIntents": "CONNECT",
    "VerifyTransactionDetails": "true",
    "ConnectByWebhook": "false",
    "IntegrationBaseUrl": INTEGRATION,
    "IntegrationCredentialsIn": "body",
    "RefreshRate": "rate(5 minutes)",
    "RefreshMarginSeconds": "1500",
    "SecretsExtension": "on",
}
OUTPUTS = {
    "ApiUrl": API,
    "GatewaySecretArn": "gateway",
    "IntegrationCredentialsSecretArn": "credentials",
    "IntegrationTokensSecretArn": "tokens",
    "WebhookCredentialsSecretArn": "webhooks",
    "StateTableName": "state",
    "WebhooksTableName": "log",
    "WebhookQueueUrl": "https://sqs/webhooks",
    "WebhookDeadLetterQueueUrl": "https://sqs/webhook-failures",
    "TokenDeadLetterQueueUrl": "https://sqs/token-failures",
    "EventBusName": "gatehouse-prod",
    **{f"{name}FunctionName": name for name in FUNCTIONS},
}
# Marked, so that a search of everything that is said can find them.
MARK = "SENTINEL"
SECRETS: Mapping[str, Any] = {
    "gateway": {"gateway_name": f"{MARK}-name", "secret": f"{MARK}-signing" + "s" * 32, "api_secret": MARK + "a" * 32},
    "credentials": {"api_key": f"{MARK}-api-key", "secret_key": f"{MARK}-secret-key"},
    "webhooks": {
        "broker": {
            "authentication": [
                {"type": 1, "username": f"{MARK}-user", "password": f"{MARK}-password"},
                {"type": 2, "token": f"{MARK}-token"},
            ]
        },
        "shop": {"authentication": [{"type": 2, "token": f"{MARK}-shop"}]},
        "removed": None,
    },
    "tokens": {
        "access_token": f"{MARK}-access",
        "refresh_token": f"{MARK}-refresh",
        "token_type": "Bearer",
        "expires_at": iso8601.render(NOW + 3000),
        "access_token_obtained_at": iso8601.render(NOW - 600),
        "refresh_token_obtained_at": iso8601.render(NOW - DAY_SECONDS),
    },
}


def refused(operation: str, code: str = "AccessDeniedException") -> ClientError:
    """Return AWS's refusal, with a text that must not be shown."""
    return ClientError({"Error": {"Code": code, "Message": f"{MARK} quoted"}}, operation)


def log_event(seconds_ago: float, **members: str) -> dict[str, Any]:
    """Return a line of a function's log."""
    line = json.dumps({"level": "INFO", **members})
    return {"timestamp": int((NOW - seconds_ago) * 1000), "message": line, "logStreamName": "stream"}


class FakeClient:
    """A client whose operations answer from a dictionary; an exception there is raised, a callable is called."""

    def __init__(self, answers: dict[str, Any]) -> None:
        self._answers = answers

    def __getattr__(self, operation: str) -> Callable[..., Any]:
        answers = self._answers

        def call(**arguments: Any) -> Any:
            answer = answers[operation]
            if isinstance(answer, Exception):
                raise answer
            return answer(**arguments) if callable(answer) else answer

        return call

    def get_paginator(self, operation: str) -> "FakeClient":
        return FakeClient({"paginate": lambda **arguments: [getattr(self, operation)(**arguments)]})

    def close(self) -> None:
        """Nothing is open."""


class FakeWeb:
    """Everything outside AWS, by URL."""

    def __init__(self) -> None:
        document = {"issuer": ISSUER, "jwks_uri": f"{ISSUER}/keys"}
        self.answers: dict[str, UpstreamAnswer | UpstreamFault] = {
            f"POST {API}/v1/tokens/guest": json_answer(200, {"smallcaseAuthToken": f"{MARK}-session"}),
            f"GET {ISSUER}/.well-known/openid-configuration": json_answer(200, document),
            f"GET {INTEGRATION}/api/v1/integration": json_answer(404, {"error": {"code": MARK, "message": MARK}}),
            f"GET {GATEWAY}": json_answer(404, {"success": False, "errors": [MARK]}),
        }
        self.sent: list[UpstreamRequest] = []

    def send(self, request: UpstreamRequest, timeout_seconds: float) -> UpstreamAnswer:
        assert timeout_seconds <= 10
        self.sent.append(request)
        answer = self.answers[f"{request.method} {request.url}"]
        if isinstance(answer, UpstreamFault):
            raise answer
        return answer


def json_answer(status: int, document: object) -> UpstreamAnswer:
    """Return an answer of JSON with marked headers."""
    return UpstreamAnswer(status, {"content-type": "application/json", "x-mark": MARK}, json.dumps(document).encode())


def problem_answer(error: type[GatehouseError]) -> UpstreamAnswer:
    """Return one of the API's own problems."""
    row = PROBLEMS[error]
    headers = {"content-type": "application/problem+json"}
    return UpstreamAnswer(row.status, headers, json.dumps(problem_document(row, "request")).encode())


class FakeAccount:
    """A deployment, healthy until a test breaks it."""

    def __init__(self) -> None:
        self.clock = Clock(NOW)
        self.web = FakeWeb()
        self.deployments = FakeDeployments(OUTPUTS, PARAMETERS)
        self.secrets = {name: json.dumps(value) for name, value in SECRETS.items()}
        self.changed_days_ago = dict.fromkeys(SECRETS, 1.0)
        self.items: dict[str, dict[str, Any]] = {}
        self.messages = {url: ("0", "0") for name, url in OUTPUTS.items() if name.endswith("QueueUrl")}
        self.ages: list[float] = []
        self.logs: dict[str, list[dict[str, Any]]] = {
            "RefreshTokens": [
                log_event(500, message="function.done", outcome="refreshed"),
                log_event(200, message="function.done", outcome="unchanged"),
                log_event(200, message="something.else", outcome="upstream_unavailable"),
                {"timestamp": int(NOW * 1000), "message": "END RequestId: x"},
            ],
            "Authenticate": [log_event(4000, message="function.done", outcome="authenticated")],
        }
        self.configurations: dict[str, dict[str, Any]] = {name: self._configuration(name) for name in FUNCTIONS}
        self.answers: dict[str, dict[str, Any]] = {
            "cloudformation": {
                "describe_stacks": {
                    "Stacks": [
                        {
                            "StackName": "gatehouse-prod",
                            "StackStatus": "UPDATE_COMPLETE",
                            "CreationTime": datetime.fromtimestamp(NOW - 90 * DAY_SECONDS, UTC),
                        }
                    ]
                },
                "list_stack_resources": {
                    "StackResourceSummaries": [
                        resource("AWS::Scheduler::ScheduleGroup", "gatehouse-prod"),
                        resource("AWS::Scheduler::Schedule", "gatehouse-prod-refresh-tokens"),
                        resource("AWS::Events::Rule", "gatehouse-prod|gatehouse-prod-Authenticate-X"),
                        resource("AWS::Lambda::Function", "RefreshTokens"),
                    ]
                },
            },
            "secretsmanager": {"get_secret_value": self._secret},
            "dynamodb": {"get_item": self._item, "query": self._deliveries},
            "logs": {"filter_log_events": self._log_events},
            "lambda": {
                "get_function_configuration": lambda FunctionName: self.configurations[FunctionName],  # noqa: N803
                "list_event_source_mappings": {"EventSourceMappings": [{"State": "Enabled"}]},
            },
            "scheduler": {
                "get_schedule": {
                    "State": "ENABLED",
                    "ScheduleExpression": "rate(5 minutes)",
                    "FlexibleTimeWindow": {"Mode": "OFF"},
                }
            },
            "events": {"describe_rule": {"State": "ENABLED"}},
            "sqs": {"get_queue_attributes": self._queue},
            "cloudwatch": {
                "describe_alarms": {"MetricAlarms": [], "CompositeAlarms": []},
                "get_metric_statistics": lambda **_: {"Datapoints": [{"Maximum": age} for age in self.ages]},
            },
            "sts": {
                "get_caller_identity": {
                    "Account": "123456789012",
                    "ResponseMetadata": {"HTTPHeaders": {"date": http_date(NOW)}},
                }
            },
        }

    def __call__(self, stage: str) -> Deployment:
        self.deployments.clients = {name: FakeClient(answers) for name, answers in self.answers.items()}
        return self.deployments(stage)

    @property
    def parameters(self) -> dict[str, str]:
        """The stack's parameters."""
        return self.deployments.parameters

    @property
    def outputs(self) -> dict[str, str]:
        """The stack's outputs."""
        return self.deployments.outputs

    def change_secret(self, name: str, **members: object) -> None:
        """Change members of a secret; None removes one."""
        changed = {**json.loads(self.secrets[name]), **members}
        self.secrets[name] = json.dumps({key: value for key, value in changed.items() if value is not None})

    def change_tokens(self, **seconds: float) -> None:
        """Change times of the tokens, as seconds from now."""
        self.change_secret("tokens", **{name: iso8601.render(NOW + each) for name, each in seconds.items()})

    def _secret(self, SecretId: str) -> dict[str, Any]:  # noqa: N803 - boto3's own name
        changed = NOW - self.changed_days_ago[SecretId] * DAY_SECONDS
        return {
            "SecretString": self.secrets[SecretId],
            "VersionId": f"{SecretId}-version-" + "1" * 32,
            "CreatedDate": datetime.fromtimestamp(changed, UTC),
        }

    def _item(self, Key: dict[str, Any], **_: object) -> dict[str, Any]:  # noqa: N803
        item = self.items.get(Key["pk"]["S"])
        return {} if item is None else {"Item": {**Key, **item}}

    def _deliveries(self, ExpressionAttributeValues: dict[str, Any], **_: object) -> dict[str, Any]:  # noqa: N803
        return {"Count": 7 if ExpressionAttributeValues[":source"]["S"] == "integration.shop" else 0}

    def _log_events(self, logGroupName: str, **_: object) -> dict[str, Any]:  # noqa: N803
        return {"events": self.logs[logGroupName.rpartition("/")[2]]}

    def _queue(self, QueueUrl: str, **_: object) -> dict[str, Any]:  # noqa: N803
        waiting, hidden = self.messages[QueueUrl]
        return {
            "Attributes": {
                "QueueArn": f"arn:aws:sqs:eu-west-1:123456789012:{QueueUrl.rpartition('/')[2]}",
                "ApproximateNumberOfMessages": waiting,
                "ApproximateNumberOfMessagesNotVisible": hidden,
            }
        }

    def _configuration(self, name: str) -> dict[str, Any]:
        layers = [{"Arn": "arn:aws:lambda:eu-west-1:123456789012:layer:gatehouse-prod-gatehouse:1"}]
        variables = {"EXAMPLE": MARK}
        if name not in WITHOUT_EXTENSION:
            layers.append({"Arn": EXTENSION})
            variables["SECRETS_EXTENSION"] = "on"
        environment = {"Variables": variables}
        return {"State": "Active", "LastUpdateStatus": "Successful", "Layers": layers, "Environment": environment}


def resource(kind: str, name: str) -> dict[str, Any]:
    """Return a resource of the stack."""
    return {
        "ResourceType": kind,
        "PhysicalResourceId": name,
        "LogicalResourceId": "Some",
        "LastUpdatedTimestamp": datetime.fromtimestamp(NOW, UTC),
        "ResourceStatus": "CREATE_COMPLETE",
    }


def http_date(epoch_seconds: float) -> str:
    """Return a time as in a Date header."""
    return format_datetime(datetime.fromtimestamp(epoch_seconds, UTC), usegmt=True)
