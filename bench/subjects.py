"""What is measured: the functions that somebody waits for, a bare handler, and what people write instead."""

import base64
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Final, NamedTuple

from bench.stand_ins import GATEWAY_SECRET_ARN, PASSWORD, USERNAME, WEBHOOK_SECRET_ARN, StandIns
from local.paths import ARTIFACTS, ROOT

BARE: Final = "bare handler"
GUEST: Final = "issue_guest_token"
USER: Final = "issue_user_token"
TRANSACTION: Final = "start_transaction"
WEBHOOK: Final = "receive_webhook"
OURS: Final = frozenset({GUEST, USER, TRANSACTION, WEBHOOK})

_PEERS: Final = ROOT / "bench" / "peers"
_PEER_PACKAGES: Final = ROOT / ".tools" / "peers" / "lib" / "python3.13" / "site-packages"
_LAYER: Final = ARTIFACTS / "GatehouseLayer" / "python"
_BODY: Final = json.dumps({"order": "A-17", "status": "COMPLETE", "lines": [{"sku": "INFY", "quantity": 2}] * 8})


class Subject(NamedTuple):
    """Something to measure."""

    name: str
    code: Path
    packages: tuple[Path, ...]
    event: Mapping[str, object]
    expected: str  # a piece of the answer's body, without which the answer is not one
    status: int = 200

    @property
    def search_path(self) -> tuple[Path, ...]:
        """Where the process looks for modules, before what the runtime brings itself."""
        return (self.code, *self.packages)


def subjects() -> tuple[Subject, ...]:
    """Return them all; the bare handler first."""
    guest, webhook = _read_event(GUEST), _webhook_event()
    peer = (_PEER_PACKAGES,)
    token = "smallcaseAuthToken"  # noqa: S105 - a member's name
    return (
        Subject(BARE, _PEERS / "bare", (), guest, "ok"),
        Subject(GUEST, ARTIFACTS / "IssueGuestTokenFunction", (_LAYER,), guest, token),
        Subject("boto3 + PyJWT", _PEERS / "token_boto3", peer, guest, token),
        Subject("Powertools, all of it", _PEERS / "token_powertools", peer, guest, token),
        Subject("FastAPI + Mangum + boto3", _PEERS / "token_fastapi", peer, guest, token),
        Subject(USER, ARTIFACTS / "IssueUserTokenFunction", (_LAYER,), _read_event(USER), '"connected'),
        Subject(
            TRANSACTION,
            ARTIFACTS / "StartTransactionFunction",
            (_LAYER,),
            _read_event(TRANSACTION),
            "transactionId",
            status=201,
        ),
        Subject(WEBHOOK, ARTIFACTS / "ReceiveWebhookFunction", (_LAYER,), webhook, '"id"'),
        Subject("webhook with boto3", _PEERS / "webhook_boto3", peer, webhook, '"id"'),
    )


def environment(subject: Subject, runtime_api: str, stand_ins: StandIns) -> dict[str, str]:
    """Return everything that the process sees: Lambda's own variables, and those of the template."""
    return {
        "AWS_ACCESS_KEY_ID": "bench",
        "AWS_SECRET_ACCESS_KEY": "bench",
        "AWS_SESSION_TOKEN": "bench",
        "AWS_REGION": "eu-west-1",
        "AWS_DEFAULT_REGION": "eu-west-1",
        "AWS_EXECUTION_ENV": "AWS_Lambda_python3.13",
        "AWS_LAMBDA_FUNCTION_NAME": "bench",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "512",
        "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
        "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
        "AWS_LAMBDA_LOG_FORMAT": "JSON",
        "AWS_LAMBDA_LOG_LEVEL": "INFO",
        "AWS_LAMBDA_RUNTIME_API": runtime_api,
        "LAMBDA_TASK_ROOT": str(subject.code),
        "LANG": "en_US.UTF-8",
        "HOME": "/nonexistent",
        "PATH": "/usr/bin:/bin",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONPATH": ":".join(map(str, subject.search_path)),
        "PYTHONUNBUFFERED": "1",
        "TZ": ":UTC",
        "_HANDLER": "app.handler",
        # Where the calls go.
        "AWS_ENDPOINT_URL_SECRETS_MANAGER": stand_ins.secrets_manager.url,
        "AWS_ENDPOINT_URL_SQS": stand_ins.sqs.url,
        "AWS_ENDPOINT_URL_DYNAMODB": stand_ins.dynamodb.url,
        "AWS_CA_BUNDLE": str(stand_ins.ca_bundle),
        "SSL_CERT_FILE": str(stand_ins.ca_bundle),
        "PARAMETERS_SECRETS_EXTENSION_HTTP_PORT": str(stand_ins.extension.port),
        # The template's.
        "SECRETS_EXTENSION": "on",
        "GATEWAY_SECRET_ARN": GATEWAY_SECRET_ARN,
        "WEBHOOK_CREDENTIALS_ARN": WEBHOOK_SECRET_ARN,
        "WEBHOOK_QUEUE_URL": f"{stand_ins.sqs.url}/123456789012/webhooks",
        "TOKEN_LIFETIME_SECONDS": "900",
        "ALLOW_SHORT_SECRETS": "false",
        "CHECKSUM_ENCODING": "hex",
        "CONNECTIONS_TABLE": "connections",
        "SMALLCASE_BASE_URL": stand_ins.smallcase.url,
        "ALLOWED_INTENTS": "CONNECT",
        # The peers'.
        "POWERTOOLS_SERVICE_NAME": "bench",
        "POWERTOOLS_METRICS_NAMESPACE": "Bench",
    }


def _read_event(name: str) -> dict[str, object]:
    event: dict[str, object] = json.loads((ROOT / "events" / f"{name}.json").read_text(encoding="utf-8"))
    return event


def _webhook_event() -> dict[str, object]:
    """Return the guest's event with a delivery on it."""
    event = _read_event(GUEST)
    route = "POST /v1/webhooks/integration/{source}"
    path = "/v1/webhooks/integration/broker"
    credentials = base64.b64encode(f"{USERNAME}:{PASSWORD}".encode()).decode()
    context = event["requestContext"]
    if not isinstance(context, dict):
        raise TypeError("requestContext")
    return {
        **event,
        "routeKey": route,
        "rawPath": path,
        "requestContext": {**context, "routeKey": route, "http": {**context["http"], "path": path}},
        "headers": {
            "authorization": f"Basic {credentials}",
            "content-type": "application/json",
            "content-length": str(len(_BODY)),
        },
        "pathParameters": {"source": "broker"},
        "body": _BODY,
        "isBase64Encoded": False,
    }
