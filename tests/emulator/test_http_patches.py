import base64
import json

import pytest

from local.emulator.patches.http_event import completed
from tests.emulator.emulators import API_ID, Emulator, http_request

INTERNAL_SERVER_ERROR = b'{"message":"Internal Server Error"}'
NOT_UTF8 = b'{"broken": "\xff\xfe"}'
JSON_TYPE = ("Content-Type", "application/json")


def test_is_still_needed_a_failed_function_tells_its_exception(plain: Emulator) -> None:
    answer = plain.call_api("GET", "/fails")
    assert answer.status == 502
    assert b"nobody's business" in answer.body


def test_a_failed_function_is_500_and_says_nothing(patched: Emulator) -> None:
    answer = patched.call_api("GET", "/fails")
    assert (answer.status, answer.body) == (500, INTERNAL_SERVER_ERROR)


def test_is_still_needed_cookies_stay_a_header_and_details_are_missing(plain: Emulator) -> None:
    event = plain.call_api("GET", "/plain", [("Cookie", "a=1; b=2")]).json
    assert event["headers"]["cookie"] == "a=1; b=2"
    assert "cookies" not in event
    assert event["pathParameters"] is None
    assert "domainPrefix" not in event["requestContext"]


def test_an_event_has_the_details_of_payload_2(patched: Emulator) -> None:
    event = patched.call_api("GET", "/plain", [("Cookie", "a=1; b=2")]).json
    assert event["cookies"] == ["a=1", "b=2"]
    assert "cookie" not in event["headers"]
    assert "pathParameters" not in event
    assert event["requestContext"]["domainPrefix"] == API_ID
    assert event["headers"]["x-forwarded-for"] == "127.0.0.1"


def test_a_complete_event_stays_as_it_is() -> None:
    event = {
        "version": "2.0",
        "headers": {"x-forwarded-for": "192.0.2.1"},
        "pathParameters": {"kind": "orders"},
        "requestContext": {"apiId": "a", "domainPrefix": "b", "http": {"sourceIp": "192.0.2.1"}},
    }
    assert completed(event) == event


def test_is_still_needed_bytes_that_are_no_utf8_are_lost(plain: Emulator) -> None:
    event = plain.call_api("POST", "/x", [JSON_TYPE], NOT_UTF8).json
    assert event["isBase64Encoded"] is False
    assert event["body"].encode() != NOT_UTF8


def test_bytes_that_are_no_utf8_arrive_as_they_were_sent(patched: Emulator) -> None:
    event = patched.call_api("POST", "/x", [JSON_TYPE], NOT_UTF8).json
    assert event["isBase64Encoded"] is True
    assert base64.b64decode(event["body"]) == NOT_UTF8


@pytest.mark.parametrize(
    ("content_type", "is_base64"),
    [("application/json", False), ("text/plain; charset=utf-8", False), ("application/octet-stream", True)],
)
def test_a_utf8_body_is_text_by_its_content_type(patched: Emulator, content_type: str, *, is_base64: bool) -> None:
    event = patched.call_api("POST", "/x", [("Content-Type", content_type)], "grüße ₹".encode()).json
    assert event["isBase64Encoded"] is is_base64


def test_the_apis_port_needs_no_host_header(patched: Emulator) -> None:
    event = patched.call_api("GET", "/v1/a%2Fb%20c?x=1&y=%20&x=2").json
    assert event["headers"]["host"] == f"{API_ID}.execute-api.localhost:{patched.ports.aws}"
    assert event["rawPath"] == "/v1/a/b c"
    assert event["rawQueryString"] == "x=1&y=%20&x=2"
    assert event["queryStringParameters"] == {"x": "1,2", "y": " "}


@pytest.mark.parametrize("path", ["/_ministack/health", "/health", "/_aws/sqs/messages", "/oauth2/token", "/iceberg"])
def test_the_apis_port_leads_to_the_api_and_nowhere_else(patched: Emulator, path: str) -> None:
    assert patched.call_api("GET", path).json["rawPath"] == path


def test_the_aws_port_still_serves_the_api_by_its_host_name(patched: Emulator) -> None:
    host = ("Host", f"{API_ID}.execute-api.localhost:{patched.ports.aws}")
    assert json.loads(http_request(patched.ports.aws, "GET", "/plain", [host]).body)["rawPath"] == "/plain"
