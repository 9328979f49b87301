import base64
import json
import logging
from typing import Any

import pytest

from gatehouse.http import MAX_BODY_BYTES, Answer, Request, parse_request, respond
from gatehouse.problems import CallerNotIdentified, GatewayNotConfigured
from tests.support.events import event, user_event

CALL = event("issue_guest_token")


def fine(_request: Request) -> Answer:
    return Answer(200, {"fine": True}, {"cache-control": "no-store"})


def body(answer: dict[str, Any]) -> Any:
    return json.loads(answer["body"])


def test_a_result_becomes_a_json_answer_with_its_headers() -> None:
    answer = respond(CALL, fine)
    assert answer == {
        "statusCode": 200,
        "headers": {"content-type": "application/json", "cache-control": "no-store"},
        "body": '{"fine":true}',
    }


def test_the_request_id_is_api_gateways_own() -> None:
    assert parse_request(CALL).request_id == CALL["requestContext"]["requestId"]


def test_claims_are_the_authorizers() -> None:
    assert parse_request(user_event(sub="asha")).claims["sub"] == "asha"


@pytest.mark.parametrize(
    ("raw", "encoded", "size"),
    [
        ("", False, 0),
        ("abc", False, 3),
        ("é", False, 2),
        ("\ud800", False, 3),
        (base64.b64encode(b"a").decode(), True, 1),
        (base64.b64encode(b"ab").decode(), True, 2),
        (base64.b64encode(b"abc").decode(), True, 3),
        (base64.b64encode(bytes(1000)).decode(), True, 1000),
    ],
)
def test_a_body_is_measured_as_it_was_sent(raw: str, encoded: bool, size: int) -> None:
    assert parse_request({**CALL, "body": raw, "isBase64Encoded": encoded}).body_size() == size


@pytest.mark.parametrize("encoded", [False, True])
def test_a_body_of_the_limit_is_taken_and_one_byte_more_is_not(encoded: bool) -> None:
    for size, status in ((MAX_BODY_BYTES, 200), (MAX_BODY_BYTES + 1, 413)):
        raw = base64.b64encode(bytes(size)).decode() if encoded else "x" * size
        assert respond({**CALL, "body": raw, "isBase64Encoded": encoded}, fine)["statusCode"] == status


def test_a_known_error_becomes_its_problem() -> None:
    def refuse(_request: Request) -> Answer:
        raise GatewayNotConfigured("secret", "placeholder")

    answer: dict[str, Any] = respond(CALL, refuse)
    assert answer["statusCode"] == 503
    assert answer["headers"] == {
        "content-type": "application/problem+json",
        "cache-control": "no-store",
        "retry-after": "60",
    }
    assert body(answer)["code"] == "GATEWAY_NOT_CONFIGURED"
    assert body(answer)["request_id"] == CALL["requestContext"]["requestId"]


def test_a_problem_without_a_waiting_time_names_none() -> None:
    def refuse(_request: Request) -> Answer:
        raise CallerNotIdentified

    assert "retry-after" not in str(respond(CALL, refuse)["headers"])


@pytest.mark.parametrize(
    ("error", "level"), [(CallerNotIdentified(), "WARNING"), (GatewayNotConfigured("f", "r"), "ERROR")]
)
def test_the_callers_fault_is_a_warning_and_ours_an_error(
    error: Exception, level: str, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(_request: Request) -> Answer:
        raise error

    with caplog.at_level(logging.INFO):
        respond(CALL, refuse)
    assert [(record.message, record.levelname) for record in caplog.records] == [("request.refused", level)]


def test_a_bug_is_answered_and_logged_by_type_and_place_without_its_text(caplog: pytest.LogCaptureFixture) -> None:
    def stumble(_request: Request) -> Answer:
        raise RuntimeError("the text may hold anything")

    answer: dict[str, Any] = respond(CALL, stumble)
    assert answer["statusCode"] == 500
    assert body(answer)["code"] == "INTERNAL_ERROR"
    (record,) = caplog.records
    fields = vars(record)
    assert fields["error_type"] == "RuntimeError"
    assert "test_http.py:" in fields["error_location"]
    assert record.exc_info is None
    assert "anything" not in str(fields)


@pytest.mark.parametrize(
    ("raw", "encoded", "body"),
    [("", False, b""), ("é", False, "é".encode()), ("\ud800", False, b"\xed\xa0\x80"), ("/w==", True, b"\xff")],
)
def test_a_body_is_read_as_it_was_sent(raw: str, encoded: bool, body: bytes) -> None:
    assert parse_request({**CALL, "body": raw, "isBase64Encoded": encoded}).body() == body


@pytest.mark.parametrize("raw", ["é", "a", "****"])
def test_base64_that_is_none_is_an_error_of_the_body_alone(raw: str) -> None:
    request = parse_request({**CALL, "body": raw, "isBase64Encoded": True})
    with pytest.raises(ValueError):  # noqa: PT011 - its text is of no interest
        request.body()


def test_names_of_headers_are_read_in_lower_case_and_values_that_are_no_text_not_at_all() -> None:
    request = parse_request({**CALL, "headers": {"X-Name": "value", "other": 7}})
    assert request.headers == {"x-name": "value"}


def test_an_answer_without_a_document_has_no_body_and_no_content_type() -> None:
    answer = respond({}, lambda _request: Answer(204, None, {"x-header": "value"}))
    assert answer == {"statusCode": 204, "headers": {"x-header": "value"}}
