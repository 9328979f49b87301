"""The playground's control calls without a stack: what is answered when something around it fails."""

import json
from collections.abc import Callable
from typing import Any

import pytest
import urllib3
from botocore.exceptions import ClientError, EndpointConnectionError

from local.deploy import Endpoint
from local.http_router import Request, Response, Router
from local.playground.account import Account
from local.playground.guard import HEADER, Guard
from local.playground.server import Playground, routes
from local.playground.surroundings import Surroundings
from local.simulator_controls import ControlRefusedError

SURROUNDINGS = Surroundings(
    api_url="http://127.0.0.1:8700",
    aws_endpoint_url="http://127.0.0.1:8701",
    outputs={
        "GatewaySecretArn": "gateway",
        "WebhookCredentialsSecretArn": "webhooks",
        "WebhooksTableName": "log",
        "EventBusName": "bus",
        "RefreshTokensFunctionName": "refresh-tokens",
        "ReceiveWebhookFunctionName": "receive-webhook",
    },
    page_origins=["http://127.0.0.1:8705"],
    oidc_simulator=None,
    integration_simulator=None,
    smallcase_simulator=None,
)
CREDENTIALS = {"shop": {"authentication": [{"type": 2, "token": "SENTINEL"}], "token_header": "X-Token"}}
NOT_THERE = ClientError({"Error": {"Code": "ResourceNotFoundException", "Message": "SENTINEL"}}, "GetSecretValue")
OUT_OF_REACH = EndpointConnectionError(endpoint_url="http://127.0.0.1:8701/SENTINEL")


class FakeClient:
    """Any boto3 client: answers a call with what a test has set, or raises it."""

    def __init__(self, answers: dict[str, Any]) -> None:
        self._answers = answers

    def __getattr__(self, name: str) -> Callable[..., Any]:
        def call(**_: object) -> Any:
            answer = self._answers[name]
            if isinstance(answer, Exception):
                raise answer
            return answer

        return call


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    made: dict[str, Any] = {"get_secret_value": {"SecretString": json.dumps(CREDENTIALS)}}
    monkeypatch.setattr(Endpoint, "client", lambda _self, _service: FakeClient(made))
    return made


@pytest.fixture
def account(answers: dict[str, Any]) -> Account:
    return Account(SURROUNDINGS)


@pytest.mark.parametrize("error", [NOT_THERE, OUT_OF_REACH])
def test_what_the_account_says_of_a_failure_is_not_passed_on(
    account: Account, answers: dict[str, Any], error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    answers["get_secret_value"] = error
    with pytest.raises(ControlRefusedError) as refused:
        account.secret("Gateway")
    assert (refused.value.status, refused.value.code) == (502, "ACCOUNT")
    assert "SENTINEL" not in str(refused.value) + caplog.text
    assert type(error).__name__ in caplog.text


def test_a_function_that_fails_is_said(account: Account, answers: dict[str, Any]) -> None:
    answers["invoke"] = {"FunctionError": "Unhandled"}
    with pytest.raises(ControlRefusedError) as refused:
        account.invoke("refresh_tokens")
    assert (refused.value.status, refused.value.code) == (502, "FUNCTION_FAILED")


def test_a_function_that_is_not_deployed_is_a_mistake_here(account: Account) -> None:
    with pytest.raises(KeyError):
        account.invoke("nothing")


class FakeApi:
    """Stands for the pool: answers every delivery alike, or not at all."""

    def __init__(self, status: int, body: bytes) -> None:
        self.answer: Any = urllib3.HTTPResponse(body=body, status=status)
        self.sent: list[dict[str, Any]] = []

    def request(self, method: str, url: str, **options: Any) -> Any:
        self.sent.append({"method": method, "url": url, **options})
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> FakeApi:
    made = FakeApi(200, b'{"id": "abc"}')
    monkeypatch.setattr(urllib3, "PoolManager", lambda **_: made)
    return made


@pytest.fixture
def router(api: FakeApi, answers: dict[str, Any]) -> Router:
    return routes(Playground(SURROUNDINGS), Guard.of_port(8705), ())


def post(router: Router, name: str, **members: object) -> tuple[int, Any]:
    headers = (("Host", "127.0.0.1:8705"), ("Origin", "http://127.0.0.1:8705"), (HEADER, "1"))
    answer = router.answer(Request("POST", f"/_playground/{name}", headers=headers, body=json.dumps(members).encode()))
    assert isinstance(answer, Response)
    return answer.status, json.loads(answer.body)


def test_a_token_of_a_source_with_a_header_goes_into_that_header(router: Router, api: FakeApi) -> None:
    status, document = post(router, "webhooks", sender="shop.0", how="right")
    assert (status, document) == (200, {"status": 200, "body": {"id": "abc"}})
    (sent,) = api.sent
    assert sent["url"] == "http://127.0.0.1:8700/v1/webhooks/integration/shop"
    assert sent["headers"]["X-Token"] == "SENTINEL"
    assert sent["redirect"] is False


def test_a_repeated_delivery_is_the_same_to_the_letter(router: Router, api: FakeApi) -> None:
    assert post(router, "webhooks", sender="shop.0", how="duplicate")[0] == 409
    assert api.sent == []
    post(router, "webhooks", sender="shop.0", how="right")
    post(router, "webhooks", sender="shop.0", how="wrong")
    post(router, "webhooks", sender="shop.0", how="duplicate")
    assert api.sent[2] == api.sent[0] != api.sent[1]


def test_a_delivery_that_was_not_accepted_is_not_one_to_repeat(router: Router, api: FakeApi) -> None:
    api.answer = urllib3.HTTPResponse(body=b"<html>", status=503)
    assert post(router, "webhooks", sender="shop.0", how="right") == (200, {"status": 503, "body": None})
    assert post(router, "webhooks", sender="shop.0", how="duplicate")[1]["error"]["code"] == "NOTHING_TO_REPEAT"


def test_an_api_that_does_not_answer_is_said(router: Router, api: FakeApi) -> None:
    api.answer = urllib3.exceptions.ProtocolError("SENTINEL")
    status, document = post(router, "webhooks", sender="shop.0", how="right")
    assert (status, document["error"]["code"]) == (502, "API")
    assert "SENTINEL" not in json.dumps(document)


@pytest.mark.parametrize("text", ["", "[]", "REPLACE_ME"])
def test_without_webhook_credentials_only_smallcase_can_send(
    router: Router, answers: dict[str, Any], text: str
) -> None:
    answers["get_secret_value"] = {"SecretString": text}
    assert post(router, "webhooks", sender="shop.0", how="right")[0] == 400


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b'{"down": NaN}'])
def test_a_body_that_is_no_object_is_refused(router: Router, body: bytes) -> None:
    headers = (("Host", "127.0.0.1:8705"), ("Origin", "http://127.0.0.1:8705"), (HEADER, "1"))
    answer = router.answer(Request("POST", "/_playground/upstream", headers=headers, body=body))
    assert isinstance(answer, Response)
    assert answer.status == 400


def test_every_control_call_is_guarded(router: Router) -> None:
    for method, name in (("GET", "config"), ("GET", "tokens"), ("GET", "arrivals"), ("POST", "tick"), ("POST", "age")):
        answer = router.answer(Request(method, f"/_playground/{name}", headers=(("Host", "127.0.0.1:8705"),)))
        assert isinstance(answer, Response)
        assert answer.status == 403, name
