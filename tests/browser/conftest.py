"""A real browser for the playground of the running stack: the system's Chromium, driven by Playwright.

Where there is none, these tests are skipped, and the end of the run says so. In CI they fail instead.
"""

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
from playwright.sync_api import Browser, BrowserContext, Error, Page, Request, expect, sync_playwright

from tests.support.chromium import MISSING, chromium
from tests.support.running_stack import Stack

ARGUMENTS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
ANSWER_MS = 30_000  # a function's first answer, on a machine with much else to do
DESKTOP = {"width": 1200, "height": 900}
PHONE = {"width": 360, "height": 740}


@pytest.fixture(scope="session", autouse=True)
def chromium_path() -> str:
    """Where it is. The first fixture of all: without a browser, no stack is started either."""
    path = chromium()
    if path is None:
        if os.environ.get("CI"):
            pytest.fail(f"In CI the browser tests must run, but {MISSING}.")
        pytest.skip(MISSING)
    return path


@pytest.fixture(scope="module")
def browser(chromium_path: str) -> Iterator[Browser]:
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=chromium_path, args=ARGUMENTS)
        yield launched
        launched.close()


@dataclass
class Visit:
    """A page of the playground, with everything that it sent and was sent."""

    page: Page
    url: str
    requests: list[Request] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    def open(self) -> "Visit":
        self.page.goto(self.url)
        # The last card is there when its first look has been answered.
        expect(self.page.locator("#bus tr").first).to_be_visible()
        expect(self.page.locator("#token-user")).not_to_have_text("…")
        expect(self.page.locator("#tokens-state")).not_to_have_text("…")
        return self

    def sign_in(self, name: str) -> None:
        self.page.get_by_text(name, exact=True).click()
        expect(self.page.get_by_role("radio", name=name, exact=True)).to_be_checked()

    def press(self, name: str) -> None:
        """Press a button and wait until the page is done with it: what it says may have stood there before."""
        self.start(name)
        expect(self.page.locator("[aria-busy=true]")).to_have_count(0)

    def flip(self, name: str, what: str) -> None:
        """Flip a switch and wait until it is done: what is pressed next must not overtake it."""
        with self.page.expect_response(f"**/_playground/{what}"):
            self.page.get_by_text(name).click()

    def start(self, name: str) -> None:
        """Press a button that opens a dialog."""
        self.page.get_by_role("button", name=name, exact=True).click()

    def tick_until_unchanged(self) -> None:
        """Tick until nothing is left to do of what an earlier test has begun."""
        for _ in range(5):
            self.press("Tick now")
            if "unchanged" in self.page.locator("#outcome").inner_text():
                return
            self.page.wait_for_timeout(1000)
        self.says("outcome", "unchanged")

    def connect(self, broker: str, account: str) -> None:
        self.start("Connect a broker")
        dialog = self.page.get_by_role("dialog")
        dialog.get_by_text(broker, exact=True).click()
        dialog.get_by_text(account, exact=True).click()
        dialog.get_by_role("button", name="Log in", exact=True).click()

    def says(self, what: str, text: str) -> None:
        expect(self.page.locator(f"#{what}")).to_contain_text(text)

    def network_log(self) -> str:
        """Return everything that went over the wire, both ways."""
        parts = []
        for request in self.requests:
            parts += [request.method, request.url, json.dumps(request.all_headers()), request.post_data or ""]
            if (response := request.response()) is not None:
                parts += [str(response.status), json.dumps(response.all_headers())]
                try:
                    parts.append(response.text())
                except Error:  # an answer without a body
                    continue
        return "\n".join(parts)

    def storage(self) -> str:
        """Return everything that the page has kept."""
        return json.dumps(
            self.page.evaluate(
                """async () => [
                    {...localStorage}, {...sessionStorage}, document.cookie, window.name,
                    (await indexedDB.databases()).map(({name}) => name), await caches.keys(),
                    (await navigator.serviceWorker.getRegistrations()).length, history.state,
                ]"""
            )
        )


EMPTY_STORAGE = json.dumps([{}, {}, "", "", [], [], 0, None])


@pytest.fixture
def nobody_connected(stack: Stack) -> Iterator[None]:
    """No user of the shared stack is connected, neither before nor after."""
    client, table = stack.file.endpoint.client("dynamodb"), stack.file.outputs["ConnectionsTableName"]

    def disconnect_all() -> None:
        for item in client.scan(TableName=table)["Items"]:
            client.delete_item(TableName=table, Key={"pk": item["pk"]})

    disconnect_all()
    yield
    disconnect_all()


def _visit(context: BrowserContext, stack: Stack) -> Visit:
    assert stack.file.playground_url is not None
    context.set_default_timeout(ANSWER_MS)
    visit = Visit(context.new_page(), stack.file.playground_url)
    visit.page.on("requestfinished", lambda request: visit.requests.append(request))  # noqa: PLW0108 - it marks the function, which a built-in one does not bear
    visit.page.on("pageerror", lambda error: visit.faults.append(str(error)))
    visit.page.on(
        "console",
        # What a status of 400 and more logs is no fault: refusals are part of these tests.
        lambda message: None if "Failed to load resource" in message.text else visit.faults.append(message.text),
    )
    return visit


@pytest.fixture
def visit(browser: Browser, stack: Stack, nobody_connected: None) -> Iterator[Visit]:
    expect.set_options(timeout=ANSWER_MS)
    with browser.new_context(viewport=DESKTOP, color_scheme="light") as context:  # type: ignore[arg-type]  # a plain dict
        visit = _visit(context, stack)
        yield visit.open()
        assert visit.faults == []


@pytest.fixture(params=["light", "dark"])
def phone(request: pytest.FixtureRequest, browser: Browser, stack: Stack, nobody_connected: None) -> Iterator[Visit]:
    expect.set_options(timeout=ANSWER_MS)
    with browser.new_context(viewport=PHONE, color_scheme=request.param, has_touch=True, is_mobile=True) as context:  # type: ignore[arg-type]  # as above
        visit = _visit(context, stack)
        yield visit.open()
        assert visit.faults == []
