"""The playground's server beside a running stack: its control calls, and who may make them."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
import urllib3

from local.playground.guard import HEADER
from tests.e2e.conftest import Stack
from tests.e2e.test_webhooks import arrived, has_id, logged
from tests.e2e.token_lifecycle import Lifecycle, until

MARK = "SENTINEL"
SENDERS = ("smallcase", "broker.0", "broker.1")


def call(stack: Stack, method: str, path: str, **options: Any) -> urllib3.BaseHTTPResponse:
    return stack.http.request(method, f"{stack.file.playground_url}{path}", redirect=False, **options)


def control(stack: Stack, method: str, name: str, **members: object) -> dict[str, Any]:
    """Make a control call as the page does."""
    assert stack.file.playground_url is not None
    headers = {HEADER: "1"} | ({"Origin": stack.file.playground_url} if method == "POST" else {})
    body = {"json": members} if method == "POST" else {}
    answer = call(stack, method, f"/_playground/{name}", headers=headers, **body)
    document: dict[str, Any] = answer.json()
    assert answer.status == 200, document
    assert MARK not in json.dumps(document)
    return document


@pytest.fixture(scope="module", autouse=True)
def _good_tokens(stack: Stack) -> None:
    """Whatever ran before on this stack."""
    Lifecycle(stack).start_over()


@pytest.fixture
def tokens(stack: Stack) -> Iterator[None]:
    """The simulator as it starts, and afterwards good tokens and everything back in its place."""

    def put_back() -> None:
        stack.http.request("POST", f"{stack.file.integration_api_url}/_simulator/reset")
        control(stack, "POST", "credentials", wrong=False)
        until(lambda: control(stack, "POST", "authenticate")["outcome"] == "authenticated", "good tokens", 60)

    put_back()
    yield
    put_back()


def test_the_page_is_served_with_its_policy(stack: Stack) -> None:
    answer = call(stack, "GET", "/")
    assert answer.status == 200
    assert b"<title>Gatehouse playground</title>" in answer.data
    policy = answer.headers["content-security-policy"]
    for url in (stack.file.api_url, stack.file.oidc_issuer, str(stack.file.smallcase_api_url)):
        assert url in policy
    assert stack.file.aws_endpoint_url not in policy


@pytest.mark.parametrize("path", ["/package.json", "/.npmrc", "/server.py", "/../stack.py", "/%2e%2e/secrets.py"])
def test_no_other_file_is_served(stack: Stack, path: str) -> None:
    assert call(stack, "GET", path).status == 404


def test_the_page_is_told_addresses_and_senders_and_no_secret(stack: Stack) -> None:
    config = control(stack, "GET", "config")
    assert config["api_url"] == stack.file.api_url
    assert config["oidc_url"] == stack.file.oidc_issuer
    assert config["smallcase_url"] == stack.file.smallcase_api_url
    assert config["integration_simulated"] is True
    assert stack.file.playground_url in config["api_origins"]
    assert tuple(sender["id"] for sender in config["senders"]) == SENDERS


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {HEADER: "1"},
        {"Origin": "http://evil.example.com", HEADER: "1"},
        {"Origin": "null", HEADER: "1"},
        {"Host": "evil.example.com", HEADER: "1"},
    ],
)
def test_nobody_but_the_page_can_flip_a_switch(stack: Stack, headers: dict[str, str]) -> None:
    answer = call(stack, "POST", "/_playground/upstream", json={"down": True}, headers=headers)
    assert answer.status == 403
    assert "access-control-allow-origin" not in answer.headers
    assert control(stack, "GET", "tokens")["upstream_down"] is False


def test_a_preflight_of_another_origin_is_not_granted(stack: Stack) -> None:
    asked = {
        "Origin": "http://evil.example.com",
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": HEADER,
    }
    answer = call(stack, "OPTIONS", "/_playground/tick", headers=asked)
    assert answer.status >= 400
    assert not [name for name in answer.headers if name.lower().startswith("access-control")]


@pytest.mark.parametrize("sender", SENDERS)
def test_a_right_delivery_reaches_log_and_bus_and_a_wrong_one_nothing(stack: Stack, sender: str) -> None:
    control(stack, "GET", "config")  # from here on, events are caught
    answer = control(stack, "POST", "webhooks", sender=sender, how="right")
    assert answer["status"] == 200
    delivery_id = answer["body"]["id"]
    arrived(stack, has_id(delivery_id))

    def seen() -> dict[str, Any] | None:
        found = control(stack, "GET", "arrivals")
        return found if delivery_id in {event["delivery_id"] for event in found["bus"]} else None

    found = until(seen, "the event")
    assert found is not None
    (entry,) = [entry for entry in found["log"] if entry["id"] == delivery_id]
    assert entry["state"] == "published"
    assert "body" not in entry

    repeated = control(stack, "POST", "webhooks", sender=sender, how="duplicate")
    assert repeated["status"] == 200
    assert repeated["body"]["id"] != delivery_id
    wrong = control(stack, "POST", "webhooks", sender=sender, how="wrong")
    assert (wrong["status"], wrong["body"]["code"]) == (401, "DELIVERY_NOT_AUTHENTIC")
    assert logged(stack, has_id(repeated["body"]["id"])) == []


@pytest.mark.parametrize("members", [{}, {"sender": "nobody", "how": "right"}, {"sender": "smallcase", "how": "x"}])
def test_a_delivery_that_nobody_can_send_is_refused(stack: Stack, members: dict[str, str]) -> None:
    assert stack.file.playground_url is not None
    headers = {HEADER: "1", "Origin": stack.file.playground_url}
    answer = call(stack, "POST", "/_playground/webhooks", json=members, headers=headers)
    assert (answer.status, answer.json()["error"]["code"]) == (400, "INVALID_CONTROL")


@pytest.mark.usefixtures("tokens")
def test_an_aged_token_is_replaced_by_the_next_tick(stack: Stack) -> None:
    assert control(stack, "POST", "tick") == {"function": "refresh_tokens", "outcome": "unchanged"}
    assert 3500 < control(stack, "GET", "tokens")["seconds_left"] <= 3600
    assert control(stack, "POST", "age")["outcome"] == "authenticated"
    assert 500 < control(stack, "GET", "tokens")["seconds_left"] <= 600
    assert control(stack, "POST", "tick")["outcome"] == "refreshed"
    status = control(stack, "GET", "tokens")
    assert 3500 < status["seconds_left"] <= 3600
    assert status["margin_seconds"] == 1500

    def last() -> bool:
        return bool((control(stack, "GET", "tokens")["last"] or {}).get("outcome") == "refreshed")

    until(last, "the outcome in the log")


@pytest.mark.usefixtures("tokens")
def test_an_outage_leaves_the_token_and_ends_with_it(stack: Stack) -> None:
    control(stack, "POST", "age")
    control(stack, "POST", "upstream", down=True)
    assert control(stack, "GET", "tokens")["upstream_down"] is True
    assert control(stack, "POST", "tick")["outcome"] == "upstream_unavailable"
    assert control(stack, "GET", "tokens")["seconds_left"] > 0
    control(stack, "POST", "upstream", down=False)
    assert control(stack, "POST", "tick")["outcome"] == "refreshed"


@pytest.mark.usefixtures("tokens")
def test_wrong_credentials_are_rejected_and_the_right_ones_taken_again(stack: Stack) -> None:
    control(stack, "POST", "credentials", wrong=True)
    assert control(stack, "GET", "tokens")["credentials_wrong"] is True
    assert control(stack, "POST", "authenticate")["outcome"] == "credentials_rejected"
    control(stack, "POST", "credentials", wrong=False)
    assert control(stack, "POST", "authenticate")["outcome"] == "authenticated"
    assert control(stack, "GET", "tokens")["credentials_wrong"] is False
