"""What a user does on the playground, in a real browser, against the running stack."""

import json

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Visit
from tests.support.running_stack import Stack


def claims(visit: Visit) -> dict[str, object]:
    shown: dict[str, object] = json.loads(visit.page.locator("#token-claims").inner_text())
    return shown


def test_a_guest_is_given_a_guests_token_at_once(visit: Visit) -> None:
    visit.says("token-user", "guest")
    shown = claims(visit)
    assert shown["guest"] is True
    assert set(shown) == {"guest", "iat", "exp"}
    visit.says("token-left", "left")
    meter = visit.page.get_by_role("meter", name="Time left of the session token")
    assert int(meter.get_attribute("aria-valuenow") or 0) > 90
    expect(visit.page.get_by_role("button", name="Connect a broker")).to_be_disabled()
    visit.says("user-reason", "sign in first")


def test_a_token_is_asked_for_once_and_then_comes_from_memory(visit: Visit) -> None:
    visit.press("Get the token")
    visit.says("user-result", "From memory")
    assert len([each for each in visit.requests if "/v1/tokens/" in each.url]) == 1


def test_the_whole_way_of_a_connection(visit: Visit) -> None:
    visit.sign_in("Asha")
    visit.says("token-user", "guest")
    visit.connect("Meadow", "Asha's")
    visit.says("user-result", "Connected with meadow")
    visit.says("token-user", "connected")
    shown = claims(visit)
    assert set(shown) == {"smallcaseAuthId", "iat", "exp"}
    expect(visit.page.get_by_role("button", name="Disconnect")).to_be_focused()

    visit.page.reload()  # the connection is the user's, not the page's
    visit.sign_in("Asha")
    visit.says("token-user", "connected")
    assert claims(visit)["smallcaseAuthId"] == shown["smallcaseAuthId"]

    visit.press("Disconnect")
    visit.says("user-result", "Disconnected")
    visit.says("token-user", "guest")
    assert claims(visit)["guest"] is True


def test_the_broker_that_was_chosen_is_the_one_that_is_connected(visit: Visit) -> None:
    visit.sign_in("Ravi")
    visit.connect("Harbour", "Ravi's")
    visit.says("user-result", "Connected with harbour")


def test_an_account_that_is_taken_stays_with_its_user_and_it_is_said(visit: Visit) -> None:
    visit.sign_in("Asha")
    visit.connect("Meadow", "Asha's")
    visit.says("token-user", "connected")
    visit.sign_in("Ravi")
    visit.says("token-user", "guest")
    visit.connect("Meadow", "Asha's")
    visit.says("user-result", "This broker account is taken")
    visit.says("user-result", "AUTH_ID_TAKEN")
    visit.says("token-user", "guest")
    visit.sign_in("Asha")
    visit.says("token-user", "connected")
    visit.sign_in("Ravi")
    visit.connect("Meadow", "Ravi's")
    visit.says("user-result", "Connected with meadow")


@pytest.mark.parametrize("way", ["button", "key"])
def test_a_dialog_that_is_closed_connects_nobody(visit: Visit, way: str) -> None:
    visit.sign_in("Asha")
    visit.start("Connect a broker")
    dialog = visit.page.get_by_role("dialog")
    expect(dialog).to_be_visible()
    if way == "button":
        dialog.get_by_role("button", name="Cancel").click()
    else:
        visit.page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    visit.says("user-result", "closed without a login")
    visit.says("token-user", "guest")
    expect(visit.page.get_by_role("button", name="Connect a broker")).to_be_focused()


def test_every_user_gets_their_own_token(visit: Visit) -> None:
    visit.sign_in("Asha")
    visit.connect("Meadow", "Asha's")
    visit.says("token-user", "connected")
    for name, user in (("Guest", "guest"), ("Asha", "connected"), ("Ravi", "guest"), ("Asha", "connected")):
        visit.sign_in(name)
        visit.says("token-user", user)


def test_a_right_webhook_is_followed_to_log_and_bus_and_then_told_from_a_repeated_one(visit: Visit) -> None:
    visit.press("Send a right one")
    visit.says("trail-answer", "200, accepted as")
    visit.says("trail-log", "Entered, published")
    visit.says("trail-bus", "smallcase.orders.received")
    accepted = visit.page.locator("#trail-answer").inner_text().rpartition(" ")[2]
    expect(visit.page.locator("#log tr").first).to_contain_text(accepted)
    visit.press("Repeat the last")
    visit.says("trail-answer", "200, accepted as")
    visit.says("trail-log", "Recognised: no second entry")
    visit.says("trail-bus", "No second event")
    expect(visit.page.locator("#log tr").first).to_contain_text(accepted)


@pytest.mark.parametrize("sender", ["smallcase, an order", "broker, HTTP Basic", "broker, token"])
def test_a_wrong_webhook_is_refused_and_leaves_nothing(visit: Visit, sender: str) -> None:
    visit.page.get_by_label("Sender").select_option(sender)
    visit.press("Send a wrong one")
    visit.says("trail-answer", "401 DELIVERY_NOT_AUTHENTIC")
    visit.says("trail-log", "Nothing")
    visit.says("trail-bus", "Nothing")


def test_a_brokerages_webhook_arrives_under_its_source(visit: Visit) -> None:
    visit.page.get_by_label("Sender").select_option("broker, token")
    expect(visit.page.get_by_role("button", name="Repeat the last")).to_be_disabled()
    visit.press("Send a right one")
    visit.says("trail-log", "Entered, published")
    visit.says("trail-bus", "integration.broker.received")
    expect(visit.page.get_by_role("button", name="Repeat the last")).to_be_enabled()


@pytest.fixture
def fresh_upstream(stack: Stack) -> None:
    """No rate limit is used up, and no fault armed, by what ran before."""
    stack.http.request("POST", f"{stack.file.integration_api_url}/_simulator/reset")


@pytest.mark.usefixtures("fresh_upstream")
def test_the_integration_tokens_survive_an_outage_and_wrong_credentials(visit: Visit) -> None:
    visit.press("Authenticate anew")
    visit.says("outcome", "authenticated")
    visit.says("tokens-state", "fresh")
    visit.tick_until_unchanged()

    visit.press("Age to 10 min")
    visit.says("tokens-state", "due")
    visit.flip("Upstream down", "upstream")
    visit.press("Tick now")
    visit.says("outcome", "upstream_unavailable")
    visit.says("outcome-meaning", "the next tick tries again")
    visit.says("tokens-state", "due")
    visit.flip("Upstream down", "upstream")
    visit.press("Tick now")
    visit.says("outcome", "refreshed")
    visit.says("tokens-state", "fresh")

    visit.flip("Wrong credentials", "credentials")
    visit.press("Authenticate anew")
    visit.says("outcome", "credentials_rejected")
    visit.says("tokens-state", "fresh")
    visit.flip("Wrong credentials", "credentials")
    visit.press("Authenticate anew")
    visit.says("outcome", "authenticated")


def test_what_the_run_does_not_simulate_is_switched_off_with_a_reason(visit: Visit) -> None:
    elsewhere = {"oidc_url": None, "smallcase_url": None, "integration_simulated": False}
    visit.page.route(
        "**/_playground/config",
        lambda route: route.fulfill(json=route.fetch().json() | elsewhere),
    )
    visit.open()
    page = visit.page
    for role, name in (
        ("radio", "Asha"),
        ("radio", "Ravi"),
        ("button", "Connect a broker"),
        ("button", "Age to 10 min"),
        ("switch", "Upstream down"),
        ("switch", "Wrong credentials"),
    ):
        expect(page.get_by_role(role, name=name)).to_be_disabled()  # type: ignore[arg-type]  # roles are a Literal
    visit.says("user-reason", "this run uses another one")
    visit.says("tokens-reason", "not the simulator")
    expect(page.get_by_role("button", name="Tick now")).to_be_enabled()
    visit.page.unroute_all()


def test_a_page_whose_origin_is_not_listed_says_so(visit: Visit) -> None:
    visit.page.route(
        "**/_playground/config",
        lambda route: route.fulfill(json=route.fetch().json() | {"api_origins": ["https://app.example.com"]}),
    )
    visit.page.goto(visit.url)
    expect(visit.page.get_by_role("alert")).to_contain_text("CORS_ORIGINS")
    visit.page.unroute_all()
