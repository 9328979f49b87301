"""Webhooks over HTTP, from the deployed template to the log and the bus."""

import hmac
import json
import time
import uuid
from base64 import b64encode
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import urllib3

from tests.e2e.conftest import ARRIVAL_SECONDS, GATEWAY_SECRET, Stack, denied
from tests.e2e.test_nothing_leaks import everything_logged
from tests.e2e.token_lifecycle import log_lines, until

BROKER = "/v1/webhooks/integration/broker"
BEARER = {"Authorization": "Bearer SENTINEL-webhook-token"}
BASIC = {"Authorization": "Basic " + b64encode(b"SENTINEL-user:SENTINEL:password").decode()}


def postback(**changes: object) -> dict[str, Any]:
    """Return an order postback with its checksum, new each time."""
    body: dict[str, Any] = {
        "smallcaseAuthId": "63f6b2c1a0d4e5f6a7b8c9d0",
        "transactionId": f"TRX_{uuid.uuid4().hex}",
        "batchId": "66a1f0c2e4b7d90012ab34cd",
        "status": "COMPLETED",
        "orders": [{"averagePrice": 1520.05}],
        "timestamp": "2026-11-22T03:42:48.000Z",
        **changes,
    }
    covered = f"{body['timestamp']}{body['smallcaseAuthId']}".encode()
    return {"checksum": hmac.digest(GATEWAY_SECRET["api_secret"].encode(), covered, "sha256").hex(), **body}


def send(stack: Stack, document: dict[str, Any], kind: str = "orders") -> urllib3.BaseHTTPResponse:
    return stack.call("POST", f"/v1/webhooks/smallcase/{kind}", json=document)


def deliver(stack: Stack, body: bytes, headers: dict[str, str]) -> urllib3.BaseHTTPResponse:
    return stack.call("POST", BROKER, body=body, headers=headers)


def code(answer: urllib3.BaseHTTPResponse) -> tuple[int, str]:
    return answer.status, answer.json()["code"]


def logged(stack: Stack, condition: Callable[[dict[str, Any]], bool]) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = []
    pages = stack.file.endpoint.client("dynamodb").get_paginator("scan")
    for page in pages.paginate(TableName=stack.file.outputs["WebhooksTableName"]):
        items += page["Items"]
    return [item for item in items if condition(item)]


def arrived(stack: Stack, condition: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    """Wait until exactly one entry that fits is published."""
    deadline = time.monotonic() + ARRIVAL_SECONDS
    while True:
        items = logged(stack, condition)
        assert len(items) <= 1, "doubled in the log"
        if items and items[0]["state"]["S"] == "published":
            return items[0]
        assert time.monotonic() < deadline, "never published"
        time.sleep(0.1)


def has_id(delivery_id: str) -> Callable[[dict[str, Any]], bool]:
    return lambda item: bool(item["id"]["S"] == delivery_id)


def holds(text: str) -> Callable[[dict[str, Any]], bool]:
    return lambda item: text.encode() in item["body"]["B"]


def test_a_postback_reaches_log_and_bus(stack: Stack) -> None:
    document = postback()
    answer = send(stack, document)
    assert answer.status == 200
    item = arrived(stack, has_id(answer.json()["id"]))
    assert json.loads(item["body"]["B"]) == document
    assert (item["source"]["S"], item["kind"]["S"]) == ("smallcase", "orders")
    assert item["recognised"]["BOOL"] is True
    assert int(item["ttl"]["N"]) > time.time() + 29 * 24 * 3600


@pytest.mark.parametrize("headers", [BASIC, BEARER])
@pytest.mark.parametrize("content_type", ["application/json", "text/plain", "application/octet-stream"])
def test_a_delivery_of_the_integration_api_is_kept_byte_for_byte(
    stack: Stack, headers: dict[str, str], content_type: str
) -> None:
    body = b"\xff\xfe\x00 no text " + uuid.uuid4().bytes
    answer = deliver(stack, body, {**headers, "Content-Type": content_type})
    assert answer.status == 200
    item = arrived(stack, has_id(answer.json()["id"]))
    assert item["body"]["B"] == body
    assert item["source"]["S"] == "integration.broker"


def test_the_largest_legal_body_fits_all_the_way(stack: Stack) -> None:
    body = uuid.uuid4().bytes * (256 * 1024 // 16)
    answer = deliver(stack, body, {**BEARER, "Content-Type": "application/octet-stream"})
    assert answer.status == 200
    assert arrived(stack, has_id(answer.json()["id"]))["body"]["B"] == body
    assert code(deliver(stack, body + b"x", {**BEARER, "Content-Type": "application/octet-stream"}))[0] == 413


def test_ten_identical_deliveries_at_once_are_one_in_the_log(stack: Stack) -> None:
    document = postback()
    with ThreadPoolExecutor(10) as pool:
        answers = list(pool.map(lambda _: send(stack, document), range(10)))
    assert [answer.status for answer in answers] == [200] * 10
    item = arrived(stack, holds(document["transactionId"]))
    assert item["id"]["S"] in {answer.json()["id"] for answer in answers}


def test_a_repeated_delivery_is_the_same_and_a_new_state_is_another(stack: Stack) -> None:
    document = postback(status="PLACED")
    again = postback(**{**document, "timestamp": "2026-11-22T03:57:48.000Z", "checksum": None} | {"checksum": ""})
    del again["checksum"]
    covered = f"{again['timestamp']}{again['smallcaseAuthId']}".encode()
    again["checksum"] = hmac.digest(GATEWAY_SECRET["api_secret"].encode(), covered, "sha256").hex()
    assert send(stack, document).status == send(stack, again).status == 200
    arrived(stack, holds(document["transactionId"]))
    completed = {**document, "status": "COMPLETED"}
    answer = send(stack, completed)
    arrived(stack, has_id(answer.json()["id"]))
    assert len(logged(stack, holds(document["transactionId"]))) == 2


def test_a_delivery_id_tells_deliveries_of_one_body_apart(stack: Stack) -> None:
    body = uuid.uuid4().hex.encode()
    ids = [deliver(stack, body, {**BEARER, "X-Delivery-Id": name}).json()["id"] for name in ("a", "b")]
    for each in ids:
        arrived(stack, has_id(each))


FORGED: dict[str, dict[str, Any]] = {
    "another key": {"checksum": "0" * 64},
    "no checksum": {"checksum": None},
    "a checksum that is a number": {"checksum": 1},
    "another user": {"smallcaseAuthId": "000000000000000000000000"},
    "another time": {"timestamp": "2027-01-01T00:00:00.000Z"},
    "no timestamp": {"timestamp": None},
    "no id": {"smallcaseAuthId": None},
}


@pytest.mark.parametrize("changes", FORGED.values(), ids=FORGED)
def test_a_forged_postback_is_401_and_leaves_nothing(stack: Stack, changes: dict[str, Any]) -> None:
    document = {name: value for name, value in {**postback(), **changes}.items() if value is not None}
    assert code(send(stack, document)) == (401, "DELIVERY_NOT_AUTHENTIC")
    assert logged(stack, holds(document["transactionId"])) == []


def test_the_checksum_of_mutual_funds_covers_the_transaction(stack: Stack) -> None:
    document = postback()
    assert code(send(stack, document, "mf-holdings")) == (401, "DELIVERY_NOT_AUTHENTIC")
    covered = f"{document['timestamp']}{document['transactionId']}".encode()
    document["checksum"] = hmac.digest(GATEWAY_SECRET["api_secret"].encode(), covered, "sha256").hex()
    assert send(stack, document, "mf-holdings").status == 200


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Bearer wrong"},
        {"Authorization": "Basic " + b64encode(b"SENTINEL-user:wrong").decode()},
        {"Authorization": "Basic ="},
        {"Authorization": "Bearer SENTINEL-webhook-token,Bearer SENTINEL-webhook-token"},
        {"X-Token": "SENTINEL-webhook-token"},
    ],
)
def test_wrong_credentials_and_an_unknown_source_get_the_same_answer(stack: Stack, headers: dict[str, str]) -> None:
    wrong = deliver(stack, b"{}", headers)
    unknown = stack.call("POST", "/v1/webhooks/integration/nobody", body=b"{}", headers={**BEARER})
    assert code(wrong) == code(unknown) == (401, "DELIVERY_NOT_AUTHENTIC")
    assert {**wrong.json(), "request_id": ""} == {**unknown.json(), "request_id": ""}


@pytest.mark.parametrize(
    ("path", "body", "headers", "expected"),
    [
        ("smallcase/orders", b"{", {"Content-Type": "application/json"}, (400, "DELIVERY_NOT_READABLE")),
        ("smallcase/orders", b'{"a":1,"a":2}', {"Content-Type": "application/json"}, (400, "DELIVERY_NOT_READABLE")),
        ("smallcase/orders", b"\xff\xfe", {"Content-Type": "application/json"}, (400, "DELIVERY_NOT_READABLE")),
        ("smallcase/orders", b"{}", {"Content-Type": "text/plain"}, (415, "UNSUPPORTED_MEDIA_TYPE")),
        ("smallcase/unknown", b"{}", {"Content-Type": "application/json"}, (404, "UNKNOWN_KIND")),
        ("integration/broker", b"{}", {**BEARER, "Content-Encoding": "gzip"}, (415, "UNSUPPORTED_MEDIA_TYPE")),
    ],
)
def test_bad_input_is_refused_with_a_code(
    stack: Stack, path: str, body: bytes, headers: dict[str, str], expected: tuple[int, str]
) -> None:
    assert code(stack.call("POST", f"/v1/webhooks/{path}", body=body, headers=headers)) == expected


def queue_faults(stack: Stack) -> set[str]:
    """Return what the edge has said about why the queue did not take a delivery, without its suffix."""
    lines = log_lines(stack.file.endpoint, f"/aws/lambda/{stack.file.outputs['ReceiveWebhookFunctionName']}")
    records = [json.loads(line) for line in lines if "webhook.queue_unavailable" in line]
    return {record["reason"].removesuffix("Exception") for record in records}


def test_a_queue_out_of_reach_is_503_and_nothing_is_acknowledged(stack: Stack) -> None:
    document = postback()
    with denied(stack, "ReceiveWebhook", "sqs:SendMessage"):
        answer = send(stack, document)
        assert code(answer) == (503, "QUEUE_UNAVAILABLE")
        assert int(answer.headers["retry-after"]) > 0
    until(lambda: "AccessDenied" in queue_faults(stack), "the reason that the runbook names")
    assert logged(stack, holds(document["transactionId"])) == []
    assert send(stack, document).status == 200
    arrived(stack, holds(document["transactionId"]))


def test_a_log_out_of_reach_brings_the_delivery_back(stack: Stack) -> None:
    document = postback()
    with denied(stack, "ProcessWebhook", "dynamodb:PutItem"):
        answer = send(stack, document)
        assert answer.status == 200
    deadline = time.monotonic() + ARRIVAL_SECONDS
    while not logged(stack, has_id(answer.json()["id"])):
        assert time.monotonic() < deadline, "the delivery was lost"
        time.sleep(0.5)


def test_nothing_of_a_delivery_is_logged(stack: Stack) -> None:
    mark = f"body-{uuid.uuid4().hex}"
    for answer in (
        deliver(stack, mark.encode(), BEARER),
        deliver(stack, mark.encode(), {"Authorization": f"Bearer {mark}", "X-Delivery-Id": mark}),
        send(stack, postback(note=mark)),
        send(stack, postback(checksum=mark)),
    ):
        assert answer.status in (200, 401)
        assert mark not in json.dumps([dict(answer.headers), answer.json()])
    arrived(stack, lambda item: item["body"]["B"] == mark.encode())
    said = everything_logged(stack)
    assert "webhook.published" in said
    for secret in (mark, "SENTINEL-webhook-token", "SENTINEL:password", GATEWAY_SECRET["api_secret"]):
        assert secret not in said
