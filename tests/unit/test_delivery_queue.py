"""One call of SQS, signed here and sent with urllib3."""

import io
import json
from typing import Any

import pytest
import urllib3
from urllib3.connectionpool import HTTPConnectionPool
from urllib3.response import HTTPResponse

from gatehouse.delivery_queue import RETRIES, TIMEOUT, SqsDeliveryQueue
from gatehouse.problems import QueueUnavailable
from gatehouse.secret_value import Secret
from gatehouse.settings import AwsIdentity, QueueSettings
from tests.support.fakes import replace_sleep

QUEUE_URL = "https://sqs.eu-west-1.amazonaws.com/123456789012/webhooks"
MESSAGE = '{"id":"é"}'
MARK = "SENTINEL"


def queue(
    url: str = QUEUE_URL, endpoint: str = "", ca_bundle: str = "", session_token: str = "the-session-token"
) -> SqsDeliveryQueue:
    identity = AwsIdentity("AKIDEXAMPLE", Secret(f"{MARK}-key"), Secret(session_token), "eu-west-1")
    return SqsDeliveryQueue(QueueSettings(url, endpoint, ca_bundle, identity))


class Pool:
    """Stands for `urllib3.PoolManager`."""

    def __init__(self) -> None:
        self.options: dict[str, Any] = {}
        self.calls: list[tuple[str, str, dict[str, Any]]] = []
        self.result: int | Exception = 200
        self.body = f"{MARK} <Message>".encode()

    def __call__(self, **options: Any) -> "Pool":
        self.options = options
        return self

    def request(self, method: str, url: str, **how: Any) -> HTTPResponse:
        self.calls.append((method, url, how))
        if isinstance(self.result, Exception):
            raise self.result
        return HTTPResponse(self.body, status=self.result)


@pytest.fixture
def pool(monkeypatch: pytest.MonkeyPatch) -> Pool:
    fake = Pool()
    monkeypatch.setattr(urllib3, "PoolManager", fake)
    return fake


def test_a_message_is_sent_to_the_queue_once(pool: Pool) -> None:
    queue().send(MESSAGE)
    ((method, url, how),) = pool.calls
    assert (method, url) == ("POST", "https://sqs.eu-west-1.amazonaws.com/")
    assert json.loads(how["body"]) == {"QueueUrl": QUEUE_URL, "MessageBody": MESSAGE}


def test_the_call_names_its_operation_and_is_signed(pool: Pool) -> None:
    queue().send(MESSAGE)
    headers = {name.lower(): value for name, value in pool.calls[0][2]["headers"].items()}
    assert headers["x-amz-target"] == "AmazonSQS.SendMessage"
    assert headers["content-type"] == "application/x-amz-json-1.0"
    assert headers["x-amz-security-token"] == "the-session-token"
    assert headers["x-amz-date"].endswith("Z")
    assert headers["authorization"].startswith("AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/")
    assert "/eu-west-1/sqs/aws4_request" in headers["authorization"]
    signed = headers["authorization"].partition("SignedHeaders=")[2].partition(",")[0].split(";")
    assert {"host", "x-amz-target", "x-amz-date", "x-amz-security-token", "content-type"} <= set(signed)
    assert MARK not in repr(pool.calls)


def test_another_message_has_another_signature(pool: Pool) -> None:
    for message in ("one", "two"):
        queue().send(message)
    one, two = (how["headers"]["Authorization"] for _, _, how in pool.calls)
    assert one != two


def test_the_endpoint_is_the_queues_own_origin(pool: Pool) -> None:
    queue("http://localhost:4566/000000000000/webhooks").send(MESSAGE)
    assert pool.calls[0][1] == "http://localhost:4566/"


@pytest.mark.parametrize("endpoint", ["https://vpce-1.sqs.example.com", "https://vpce-1.sqs.example.com/"])
def test_an_endpoint_that_is_named_is_the_one_that_is_called(pool: Pool, endpoint: str) -> None:
    queue(endpoint=endpoint).send(MESSAGE)
    ((_, url, how),) = pool.calls
    assert url == "https://vpce-1.sqs.example.com/"
    assert json.loads(how["body"])["QueueUrl"] == QUEUE_URL


def test_credentials_without_a_session_token_sign_as_well(pool: Pool) -> None:
    queue(session_token="").send(MESSAGE)
    headers = {name.lower() for name in pool.calls[0][2]["headers"]}
    assert "authorization" in headers
    assert "x-amz-security-token" not in headers


def test_the_authorities_are_pythons_unless_others_are_named(pool: Pool) -> None:
    queue()
    assert pool.options["ca_certs"] is None
    queue(ca_bundle="/opt/authorities.pem")
    assert pool.options["ca_certs"] == "/opt/authorities.pem"


def test_every_call_has_limits(pool: Pool) -> None:
    queue()
    assert pool.options == {"timeout": TIMEOUT, "retries": RETRIES, "ca_certs": None}
    assert (TIMEOUT.connect_timeout, TIMEOUT.read_timeout) == (1.0, 3.0)


@pytest.mark.parametrize("status", [201, 204, 301, 400, 403, 404, 413, 429, 500, 503])
def test_whatever_is_not_200_is_a_queue_that_did_not_take_it(pool: Pool, status: int) -> None:
    pool.result = status
    with pytest.raises(QueueUnavailable) as caught:
        queue().send(MESSAGE)
    assert caught.value.reason == f"status_{status}"
    assert MARK not in str(caught.value)


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ("com.amazonaws.sqs#QueueDoesNotExist", "QueueDoesNotExist"),
        ("com.amazon.coral.service#AccessDeniedException", "AccessDeniedException"),
        ("AWS.SimpleQueueService.NonExistentQueue", "AWS.SimpleQueueService.NonExistentQueue"),
        ("KmsAccessDenied", "KmsAccessDenied"),
        (f"{MARK} is no code", "status_400"),
        ("x#" + "a" * 81, "status_400"),
        ("", "status_400"),
        (None, "status_400"),
        (7, "status_400"),
        ([MARK], "status_400"),
    ],
)
def test_what_aws_calls_an_error_is_the_reason_and_nothing_else_that_it_says(
    pool: Pool, said: object, reason: str
) -> None:
    pool.result, pool.body = 400, json.dumps({"__type": said, "message": MARK}).encode()
    with pytest.raises(QueueUnavailable) as caught:
        queue().send(MESSAGE)
    assert caught.value.reason == reason


@pytest.mark.parametrize("body", [b"", b"[]", b"null", b'"__type"', b"\xff", b"[" * 20_000])
def test_an_answer_without_a_code_is_known_by_its_status(pool: Pool, body: bytes) -> None:
    pool.result, pool.body = 403, body
    with pytest.raises(QueueUnavailable) as caught:
        queue().send(MESSAGE)
    assert caught.value.reason == "status_403"


@pytest.mark.parametrize(
    ("last", "reason"),
    [
        (urllib3.exceptions.SSLError(MARK), "SSLError"),
        (urllib3.exceptions.ReadTimeoutError(HTTPConnectionPool(MARK), MARK, MARK), "ReadTimeoutError"),
        (None, "MaxRetryError"),
    ],
)
def test_of_several_attempts_the_last_one_is_the_reason(pool: Pool, last: Exception | None, reason: str) -> None:
    pool.result = urllib3.exceptions.MaxRetryError(HTTPConnectionPool(MARK), MARK, last)
    with pytest.raises(QueueUnavailable) as caught:
        queue().send(MESSAGE)
    assert caught.value.reason == reason


@pytest.mark.parametrize(
    "error",
    [
        urllib3.exceptions.ProtocolError(MARK),
        urllib3.exceptions.SSLError(MARK),
        urllib3.exceptions.DecodeError(MARK),
        urllib3.exceptions.LocationParseError(MARK),
        urllib3.exceptions.MaxRetryError(HTTPConnectionPool(MARK), MARK, None),
        urllib3.exceptions.ReadTimeoutError(HTTPConnectionPool(MARK), MARK, MARK),
        urllib3.exceptions.IncompleteRead(1, 2),
    ],
    ids=repr,
)
def test_whatever_fails_on_the_way_is_known_by_its_type_and_not_by_its_text(pool: Pool, error: Exception) -> None:
    pool.result = error
    with pytest.raises(QueueUnavailable) as caught:
        queue().send(MESSAGE)
    assert caught.value.reason == type(error).__name__
    assert MARK not in str(caught.value)
    assert caught.value.__suppress_context__


class Wire:
    """What urllib3's own pool meets below its retries: a status and headers for each attempt, or a fault."""

    def __init__(self) -> None:
        self.script: list[tuple[int, dict[str, str]] | Exception] = []
        self.attempts: list[tuple[str, str]] = []
        self.pauses: list[float] = []

    def make_request(self, _connection: object, method: str, url: str, **how: Any) -> HTTPResponse:
        self.attempts.append((method, url))
        step = self.script.pop(0)
        if isinstance(step, Exception):
            raise step
        # urllib3 as well gives the answer the retries that are left: its redirects go by them.
        return HTTPResponse(
            io.BytesIO(b""), status=step[0], headers=step[1], preload_content=False, retries=how["retries"]
        )


@pytest.fixture
def wire(monkeypatch: pytest.MonkeyPatch) -> Wire:
    fake = Wire()
    monkeypatch.setattr(HTTPConnectionPool, "_make_request", fake.make_request)
    replace_sleep(monkeypatch, fake.pauses.append)
    return fake


@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_an_error_of_the_service_is_tried_again_once(wire: Wire, status: int) -> None:
    wire.script = [(status, {}), (200, {})]
    queue().send(MESSAGE)
    assert len(wire.attempts) == 2
    wire.script = [(status, {}), (status, {}), (200, {})]
    with pytest.raises(QueueUnavailable):
        queue().send(MESSAGE)
    assert len(wire.attempts) == 4


def test_an_answer_that_was_lost_is_asked_for_again(wire: Wire) -> None:
    wire.script = [urllib3.exceptions.ProtocolError(MARK), (200, {})]
    queue().send(MESSAGE)
    assert len(wire.attempts) == 2


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_no_redirect_is_followed(wire: Wire, status: int) -> None:
    wire.script = [(status, {"Location": "https://elsewhere.example.com/"}), (200, {})]
    with pytest.raises(QueueUnavailable):
        queue().send(MESSAGE)
    assert len(wire.attempts) == 1


@pytest.mark.parametrize("status", [429, 503])
def test_nobody_elses_wish_makes_a_pause_that_outlasts_the_invocation(wire: Wire, status: int) -> None:
    wire.script = [(status, {"Retry-After": "3600"}), (status, {"Retry-After": "3600"})]
    with pytest.raises(QueueUnavailable):
        queue().send(MESSAGE)
    assert sum(wire.pauses) < 1
