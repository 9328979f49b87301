"""Every answer that docs/openapi.yaml names for a function is one that its code gives: each in a situation of its own.

The other direction holds in every test: an answer that is not documented fails it (tests/conftest.py).
"""

import base64
import json
from collections.abc import Callable, Iterator
from typing import Any

import boto3
import pytest

from functions.connect_user import app as connect_app
from functions.issue_guest_token import app as guest_app
from functions.issue_user_token import app as user_app
from functions.receive_webhook import app as webhook_app
from functions.start_transaction import app as start_app
from gatehouse.delivery_queue import SqsDeliveryQueue
from gatehouse.http import MAX_BODY_BYTES
from gatehouse.problems import INTERNAL_ERROR, PROBLEMS, QueueUnavailable
from gatehouse.upstream import UpstreamAnswer, UpstreamFault
from tests.support.api_document import PATH, documented, problems, read, successes
from tests.support.connection_fakes import (
    ASHA,
    ASHAS_ID,
    RAVI,
    RAVIS_ID,
    ConnectionAccount,
    api_event,
    auth_token,
    code,
    connection_account,
)
from tests.support.events import event, gateway_secret, user_event
from tests.support.token_fakes import Context

type Given = dict[str, Any]
type Situation = Callable[["Api"], Given]

TOO_LARGE: Given = {"body": " " * (MAX_BODY_BYTES + 1)}
TOKEN = "token-of-the-broker"


class Api:
    """The five functions behind the API, over an account in memory; every call is right unless it is changed."""

    def __init__(self, account: ConnectionAccount, monkeypatch: pytest.MonkeyPatch) -> None:
        self.account = account
        self.gateway = account.api
        self._monkeypatch = monkeypatch
        sources = json.dumps({"broker": {"authentication": [{"type": 2, "token": TOKEN}]}})
        self.sources_arn = boto3.client("secretsmanager").create_secret(Name="sources", SecretString=sources)["ARN"]
        account.environment(
            WEBHOOK_CREDENTIALS_ARN=self.sources_arn,
            CHECKSUM_ENCODING="hex",
            WEBHOOK_QUEUE_URL="https://sqs.eu-west-1.amazonaws.com/123456789012/queue",
            AWS_SESSION_TOKEN="session",
            AWS_REGION="eu-west-1",
        )
        monkeypatch.setattr(SqsDeliveryQueue, "send", lambda _self, _message: None)

    # What can be wrong around a call; each returns the API.

    def without_settings(self) -> "Api":
        self._monkeypatch.delenv("GATEWAY_SECRET_ARN")
        return self

    def without_secrets(self) -> "Api":
        self.account.delete_secret()
        boto3.client("secretsmanager").delete_secret(SecretId=self.sources_arn, ForceDeleteWithoutRecovery=True)
        return self

    def with_placeholders(self) -> "Api":
        self.account.write_secret(gateway_secret(secret="REPLACE_ME"))
        boto3.client("secretsmanager").put_secret_value(SecretId=self.sources_arn, SecretString="[]")
        return self

    def without_table(self) -> "Api":
        self.account.delete_table()
        return self

    def without_queue(self) -> "Api":
        def refuse(_self: SqsDeliveryQueue, _message: str) -> None:
            raise QueueUnavailable("status_403")

        self._monkeypatch.setattr(SqsDeliveryQueue, "send", refuse)
        return self

    def with_gateway(self, *replies: UpstreamAnswer | UpstreamFault) -> "Api":
        self.gateway.replies += replies
        return self

    # The calls.

    def guest(self, **changes: Any) -> Given:
        return guest_app.handler(event("issue_guest_token", **changes), None)

    def user(self, claims: dict[str, object] | None = None, **changes: Any) -> Given:
        return user_app.handler({**user_event(**(claims or {})), **changes}, None)

    def start(self, document: object = None, claims: dict[str, object] | None = None, **changes: Any) -> Given:
        call = api_event("start_transaction", ASHA, document or {"intent": "CONNECT"}, **(claims or {}))
        return start_app.handler({**call, **changes}, Context())

    def connect(
        self, members: dict[str, object] | None = None, claims: dict[str, object] | None = None, **changes: Any
    ) -> Given:
        """Connect Asha, with a transaction that she has completed where the members name none."""
        document = {"smallcaseAuthToken": auth_token(), **(members or {})}
        if "transactionId" not in document:
            document["transactionId"] = self.account.started(ASHA, ASHAS_ID)
        call = api_event("connect_user", ASHA, document, **(claims or {}))
        return connect_app.handler({**call, **changes}, Context())

    def disconnect(self, claims: dict[str, object] | None = None, **changes: Any) -> Given:
        return connect_app.handler({**api_event("connect_user_delete", ASHA, **(claims or {})), **changes}, Context())

    def postback(self, headers: dict[str, str] | None = None, **changes: Any) -> Given:
        call = event("receive_webhook", **changes)
        return webhook_app.handler({**call, "headers": {**call["headers"], **(headers or {})}}, None)

    def deliver(self, headers: dict[str, str] | None = None, **changes: Any) -> Given:
        call = event("receive_webhook", body="anything", pathParameters={"source": "broker"})
        call |= {"routeKey": INTEGRATION, "headers": {"authorization": f"Bearer {TOKEN}", **(headers or {})}, **changes}
        return webhook_app.handler(call, None)

    # The ends that a connection can have.

    def connect_again_after_a_disconnection(self) -> Given:
        transaction_id = self.account.started(ASHA, ASHAS_ID)
        self.connect({"transactionId": transaction_id})
        self.disconnect()
        return self.connect({"transactionId": transaction_id})

    def connect_after(self, status: str) -> Given:
        transaction_id = self.account.started(ASHA, ASHAS_ID)
        self.gateway.transactions[transaction_id]["status"] = status
        return self.connect({"transactionId": transaction_id})

    def connect_while_holding_another(self) -> Given:
        self.account.connect(ASHA, RAVIS_ID)
        return self.connect()

    def connect_what_somebody_else_holds(self) -> Given:
        self.account.connect_by(RAVI, auth_token(), self.account.started(RAVI, ASHAS_ID))
        return self.connect()

    def connect_while_the_gateway(self, says: UpstreamAnswer) -> Given:
        transaction_id = self.account.started(ASHA, ASHAS_ID)
        return self.with_gateway(*[says] * 3).connect({"transactionId": transaction_id})


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> Iterator[Api]:
    with connection_account(monkeypatch) as account:
        yield Api(account, monkeypatch)


GUEST, USER, START = "POST /v1/tokens/guest", "POST /v1/tokens/user", "POST /v1/transactions"
CONNECT, DISCONNECT = "POST /v1/connections", "DELETE /v1/connections"
SMALLCASE = "POST /v1/webhooks/smallcase/{kind}"
INTEGRATION = "POST /v1/webhooks/integration/{source}"

NAMELESS: dict[str, object] = {"sub": None}
NO_JSON: Given = {"headers": {"content-type": "text/plain"}}
COMPRESSED = {"content-encoding": "gzip"}

SITUATIONS: dict[str, dict[tuple[int, str], Situation]] = {
    GUEST: {
        (200, ""): lambda api: api.guest(),
        (413, "BODY_TOO_LARGE"): lambda api: api.guest(**TOO_LARGE),
        (500, "INTERNAL_ERROR"): lambda api: api.without_settings().guest(),
        (503, "GATEWAY_NOT_CONFIGURED"): lambda api: api.with_placeholders().guest(),
        (503, "SECRET_UNAVAILABLE"): lambda api: api.without_secrets().guest(),
    },
    USER: {
        (200, ""): lambda api: api.user(),
        (401, "CALLER_NOT_IDENTIFIED"): lambda api: api.user(NAMELESS),
        (413, "BODY_TOO_LARGE"): lambda api: api.user(**TOO_LARGE),
        (500, "INTERNAL_ERROR"): lambda api: api.without_settings().user(),
        (503, "GATEWAY_NOT_CONFIGURED"): lambda api: api.with_placeholders().user(),
        (503, "SECRET_UNAVAILABLE"): lambda api: api.without_secrets().user(),
        (503, "CONNECTIONS_UNAVAILABLE"): lambda api: api.without_table().user(),
    },
    START: {
        (201, ""): lambda api: api.start(),
        (400, "INVALID_REQUEST"): lambda api: api.start({"notes": 1}),
        (401, "CALLER_NOT_IDENTIFIED"): lambda api: api.start(claims=NAMELESS),
        (403, "INTENT_NOT_ALLOWED"): lambda api: api.start({"intent": "TRANSACTION"}),
        (413, "BODY_TOO_LARGE"): lambda api: api.start(**TOO_LARGE),
        (415, "UNSUPPORTED_MEDIA_TYPE"): lambda api: api.start(**NO_JSON),
        (500, "INTERNAL_ERROR"): lambda api: api.without_settings().start(),
        (502, "GATEWAY_REFUSED"): lambda api: api.with_gateway(UpstreamAnswer(400)).start(),
        (503, "GATEWAY_UNAVAILABLE"): lambda api: api.with_gateway(UpstreamFault("timeout")).start(),
        (503, "GATEWAY_NOT_CONFIGURED"): lambda api: api.with_placeholders().start(),
        (503, "SECRET_UNAVAILABLE"): lambda api: api.without_secrets().start(),
        (503, "CONNECTIONS_UNAVAILABLE"): lambda api: api.without_table().start(),
    },
    CONNECT: {
        (200, ""): lambda api: api.connect(),
        (400, "INVALID_REQUEST"): lambda api: api.connect({"transactionId": ""}),
        (400, "INVALID_SMALLCASE_TOKEN"): lambda api: api.connect({"smallcaseAuthToken": "rubbish"}),
        (401, "CALLER_NOT_IDENTIFIED"): lambda api: api.connect({"transactionId": "TRX_1"}, NAMELESS),
        (404, "TRANSACTION_UNKNOWN"): lambda api: api.connect({"transactionId": "TRX_unknown"}),
        (409, "TRANSACTION_USED"): lambda api: api.connect_again_after_a_disconnection(),
        (409, "TRANSACTION_EXPIRED"): lambda api: api.connect_after("EXPIRED"),
        (409, "TRANSACTION_NOT_COMPLETED"): lambda api: api.connect_after("PROCESSING"),
        (409, "TRANSACTION_MISMATCH"): lambda api: api.connect({"smallcaseAuthToken": auth_token(RAVIS_ID)}),
        (409, "ALREADY_CONNECTED"): lambda api: api.connect_while_holding_another(),
        (409, "AUTH_ID_TAKEN"): lambda api: api.connect_what_somebody_else_holds(),
        (413, "BODY_TOO_LARGE"): lambda api: api.connect(**TOO_LARGE),
        (415, "UNSUPPORTED_MEDIA_TYPE"): lambda api: api.connect(**NO_JSON),
        (500, "INTERNAL_ERROR"): lambda api: api.without_settings().connect({"transactionId": "TRX_1"}),
        (502, "GATEWAY_REFUSED"): lambda api: api.connect_while_the_gateway(UpstreamAnswer(404)),
        (503, "GATEWAY_UNAVAILABLE"): lambda api: api.connect_while_the_gateway(UpstreamAnswer(500)),
        (503, "GATEWAY_NOT_CONFIGURED"): lambda api: api.with_placeholders().connect({"transactionId": "TRX_1"}),
        (503, "SECRET_UNAVAILABLE"): lambda api: api.without_secrets().connect({"transactionId": "TRX_1"}),
        (503, "CONNECTIONS_UNAVAILABLE"): lambda api: api.without_table().connect({"transactionId": "TRX_1"}),
    },
    DISCONNECT: {
        (204, ""): lambda api: api.disconnect(),
        (401, "CALLER_NOT_IDENTIFIED"): lambda api: api.disconnect(NAMELESS),
        (413, "BODY_TOO_LARGE"): lambda api: api.disconnect(**TOO_LARGE),
        (500, "INTERNAL_ERROR"): lambda api: api.without_settings().disconnect(),
        (503, "CONNECTIONS_UNAVAILABLE"): lambda api: api.without_table().disconnect(),
    },
    SMALLCASE: {
        (200, ""): lambda api: api.postback(),
        (400, "DELIVERY_NOT_READABLE"): lambda api: api.postback(body="{"),
        (401, "DELIVERY_NOT_AUTHENTIC"): lambda api: api.postback(body="{}"),
        (404, "UNKNOWN_KIND"): lambda api: api.postback(pathParameters={"kind": "others"}),
        (413, "BODY_TOO_LARGE"): lambda api: api.postback(**TOO_LARGE),
        (415, "UNSUPPORTED_MEDIA_TYPE"): lambda api: api.postback(COMPRESSED),
        (500, "INTERNAL_ERROR"): lambda api: api.without_settings().postback(),
        (503, "QUEUE_UNAVAILABLE"): lambda api: api.without_queue().postback(),
        (503, "GATEWAY_NOT_CONFIGURED"): lambda api: api.with_placeholders().postback(),
        (503, "SECRET_UNAVAILABLE"): lambda api: api.without_secrets().postback(),
    },
    INTEGRATION: {
        (200, ""): lambda api: api.deliver(),
        # Base64 that is none: API Gateway sends no such thing, and the code takes nobody's word for it.
        (400, "DELIVERY_NOT_READABLE"): lambda api: api.deliver(body="é", isBase64Encoded=True),
        (401, "DELIVERY_NOT_AUTHENTIC"): lambda api: api.deliver({"authorization": "Bearer wrong"}),
        (413, "BODY_TOO_LARGE"): lambda api: api.deliver(body=base64.b64encode(bytes(300_000)).decode()),
        (415, "UNSUPPORTED_MEDIA_TYPE"): lambda api: api.deliver(COMPRESSED),
        (500, "INTERNAL_ERROR"): lambda api: api.without_settings().deliver(),
        (503, "QUEUE_UNAVAILABLE"): lambda api: api.without_queue().deliver(),
        (503, "WEBHOOKS_NOT_CONFIGURED"): lambda api: api.with_placeholders().deliver(),
        (503, "SECRET_UNAVAILABLE"): lambda api: api.without_secrets().deliver(),
    },
}


NAMED = {
    (route, status, code)
    for route, operation in documented().items()
    for status, code in [*problems(operation), *((status, "") for status in successes(operation))]
}


def test_every_documented_answer_has_a_situation() -> None:
    assert {(route, *expected) for route, situations in SITUATIONS.items() for expected in situations} == NAMED


@pytest.mark.parametrize(("route", "status", "expected"), sorted(NAMED))
def test_the_code_gives(api: Api, route: str, status: int, expected: str) -> None:
    assert code(SITUATIONS[route][status, expected](api)) == (status, expected)


def test_every_problem_stands_in_the_document_with_its_status() -> None:
    table = {(problem.status, problem.code) for problem in [*PROBLEMS.values(), INTERNAL_ERROR]}
    assert {(status, code) for _, status, code in NAMED if code} == table
    listed: list[str] = read(PATH)["components"]["schemas"]["ProblemCode"]["enum"]
    assert len(listed) == len(set(listed))
    assert set(listed) == {code for _, code in table}
