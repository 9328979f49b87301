"""What a foreign page in a developer's browser can send to the ports of a running stack, and what becomes of it."""

import pytest

from tests.e2e.conftest import Stack

FOREIGN = [{"Origin": "https://evil.example.com"}, {"Origin": "null"}, {"Host": "evil.example.com"}]


@pytest.mark.parametrize("headers", FOREIGN, ids=["origin", "no-origin", "rebound-name"])
@pytest.mark.parametrize("simulator", ["smallcase_api_url", "integration_api_url"])
def test_a_foreign_page_cannot_drive_a_simulator(stack: Stack, simulator: str, headers: dict[str, str]) -> None:
    controls = f"{getattr(stack.file, simulator)}/_simulator"
    for method, path, body in (
        ("GET", "state", None),
        ("OPTIONS", "faults", None),
        ("POST", "faults", b'{"fault":"html"}'),
        ("POST", "complete", b"{}"),
        ("POST", "settings", b"{}"),
    ):
        answer = stack.http.request(method, f"{controls}/{path}", headers=headers, body=body)
        assert (answer.status, answer.json()["error"]["code"]) == (403, "FOREIGN_PAGE")
        assert not [name for name in answer.headers if name.lower().startswith("access-control")]
    assert stack.http.request("GET", f"{controls}/state").json()["faults"] == []


@pytest.mark.parametrize("headers", FOREIGN, ids=["origin", "no-origin", "rebound-name"])
def test_a_foreign_page_cannot_use_the_emulated_account(stack: Stack, headers: dict[str, str]) -> None:
    account = stack.file.aws_endpoint_url
    for method, path in (("POST", "/"), ("OPTIONS", "/"), ("GET", "/_ministack/sqs/messages")):
        answer = stack.http.request(method, account + path, headers=headers)
        assert answer.status == 403
        assert not [name for name in answer.headers if name.lower().startswith("access-control")]
    assert stack.http.request("POST", f"{account}/_ministack/reset", headers=headers).status == 403
    assert stack.call("POST", "/v1/tokens/guest").status == 200


def test_the_page_of_the_playground_can_drive_a_simulator(stack: Stack) -> None:
    controls = f"{stack.file.smallcase_api_url}/_simulator"
    page = {"Origin": str(stack.file.playground_url)}
    assert stack.http.request("GET", f"{controls}/state", headers=page).status == 200
    assert stack.http.request("OPTIONS", f"{controls}/complete", headers=page).status == 204
