"""What must not happen in a browser: a foreign page that is answered, and a secret that comes to one."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from local.http_router import Response, Router
from local.http_server import Server
from tests.browser.conftest import EMPTY_STORAGE, Visit
from tests.support.running_stack import GATEWAY_SECRET, INTEGRATION_CREDENTIALS, Stack

BLOCKED = "TypeError"


@pytest.fixture
def foreign(browser: Browser, stack: Stack) -> Iterator[Page]:
    """A page of an origin that the stack does not list."""
    router = Router()
    html = (("Content-Type", "text/html; charset=utf-8"),)
    router.add("GET", "/", lambda _: Response(200, b"<!doctype html><title>Foreign</title>", html))
    with Server(0, router, name="foreign") as server, browser.new_context() as context:
        page = context.new_page()
        page.goto(server.url)
        yield page


def fetched(page: Page, method: str, url: str, **options: object) -> object:
    """Fetch as a script of the page does, and return the status, or the name of the error."""
    return page.evaluate(
        """async ([url, options]) => {
            try { return (await fetch(url, options)).status } catch (error) { return error.name }
        }""",
        [url, {"method": method, **options}],
    )


def test_a_foreign_page_is_not_answered_by_the_api(foreign: Page, stack: Stack) -> None:
    bearer = {"authorization": f"Bearer {stack.oidc_token()}"}
    api = stack.file.api_url
    assert fetched(foreign, "POST", f"{api}/v1/tokens/guest") == BLOCKED
    assert fetched(foreign, "POST", f"{api}/v1/tokens/user", headers=bearer) == BLOCKED
    assert fetched(foreign, "POST", f"{api}/v1/transactions", headers=bearer, body='{"intent":"CONNECT"}') == BLOCKED
    assert fetched(foreign, "DELETE", f"{api}/v1/connections", headers=bearer) == BLOCKED


def test_the_own_page_is_answered_where_the_foreign_one_is_not(visit: Visit, stack: Stack) -> None:
    assert fetched(visit.page, "POST", f"{stack.file.api_url}/v1/tokens/guest") == 200


def test_a_foreign_page_cannot_drive_the_playground(foreign: Page, stack: Stack) -> None:
    switch = f"{stack.file.playground_url}/_playground/upstream"
    mark = {"X-Gatehouse-Playground": "1"}
    assert fetched(foreign, "POST", switch, body='{"down":true}') == BLOCKED
    assert fetched(foreign, "POST", switch, body='{"down":true}', headers=mark) == BLOCKED
    assert fetched(foreign, "GET", f"{stack.file.playground_url}/_playground/tokens", headers=mark) == BLOCKED
    # Sent without asking for permission, it arrives, and is refused: nothing has changed.
    fetched(foreign, "POST", switch, body='{"down":true}', mode="no-cors")
    state = stack.http.request("GET", f"{stack.file.integration_api_url}/_simulator/state").json()
    assert state["faults"] == []


def test_the_playground_cannot_be_put_into_a_foreign_pages_frame(foreign: Page, stack: Stack) -> None:
    foreign.evaluate(
        """url => new Promise((resolve) => {
            const frame = document.createElement("iframe");
            frame.onload = resolve;
            frame.src = url;
            document.body.append(frame);
        })""",
        stack.file.playground_url,
    )
    assert all(frame.get_by_role("heading").count() == 0 for frame in foreign.frames)


def test_no_secret_comes_to_the_page_its_storage_or_its_network(visit: Visit, stack: Stack) -> None:
    page = visit.page
    visit.sign_in("Asha")
    visit.connect("Meadow", "Asha's")
    visit.says("token-user", "connected")
    for name, what, said in (
        ("Authenticate anew", "outcome", "authenticated"),
        ("Tick now", "outcome", "unchanged"),
        ("Send a right one", "trail-bus", "received"),
        ("Send a wrong one", "trail-answer", "401"),
    ):
        visit.press(name)
        visit.says(what, said)
    for sender in ("broker, HTTP Basic", "broker, token"):
        page.get_by_label("Sender").select_option(sender)
        visit.press("Send a right one")
        visit.says("trail-bus", "received")
    visit.press("Disconnect")
    visit.says("user-result", "Disconnected")

    secrets = stack.file.endpoint.client("secretsmanager")
    stored = secrets.get_secret_value(SecretId=stack.file.outputs["IntegrationTokensSecretArn"])["SecretString"]
    network = visit.network_log()
    assert "/v1/connections" in network, "the log of the network is empty"
    assert "smallcaseAuthToken" in network, "the log of the network has no bodies"
    shown = page.content() + page.locator("body").inner_text()
    kept = visit.storage()
    for secret in (
        "SENTINEL",
        GATEWAY_SECRET["secret"],
        GATEWAY_SECRET["api_secret"],
        *INTEGRATION_CREDENTIALS.values(),
        *(part for part in stored.split('"') if len(part) > 40),  # access and refresh token
        "access_token_obtained_at",
        '"checksum":',
    ):
        assert secret not in shown
        assert secret not in network
        assert secret not in kept
    assert kept == EMPTY_STORAGE
    # Session and access tokens pass over the network, where they belong, and are neither shown nor kept.
    assert "eyJ" in network
    assert "eyJ" not in shown
    assert all(each.method != "GET" or "eyJ" not in each.url for each in visit.requests)


def test_the_page_calls_nobody_else(visit: Visit, stack: Stack) -> None:
    visit.sign_in("Ravi")
    visit.says("token-user", "guest")
    file = stack.file
    known = tuple(f"{url}/" for url in (file.playground_url, file.api_url, file.oidc_issuer, file.smallcase_api_url))
    assert [each.url for each in visit.requests if not each.url.startswith(known)] == []


def test_a_script_that_got_into_the_page_would_not_run(visit: Visit) -> None:
    ran = visit.page.evaluate(
        """() => {
            const script = document.createElement("script");
            try { script.textContent = "window.ran = true" } catch { return "refused" }
            document.body.append(script);
            return window.ran ?? "not run";
        }"""
    )
    assert ran in {"refused", "not run"}
    expect(visit.page.get_by_role("heading", name="Gatehouse playground")).to_be_visible()
    assert all("Content Security Policy" in fault or "Trusted" in fault for fault in visit.faults)
    visit.faults.clear()
