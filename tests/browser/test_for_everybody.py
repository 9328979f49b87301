"""The playground for everybody: on a phone, with a keyboard alone, read out, and in both colour schemes."""

import itertools
import os
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import DESKTOP, Visit

PICTURE = Path(__file__).resolve().parents[2] / "docs" / "images" / "playground.png"
CONTROLS = "a[href], button, input, select, textarea, [tabindex]"
NAMED_ROLES = {"button", "radio", "switch", "combobox", "meter", "dialog", "table", "radiogroup", "group", "link"}
# WCAG 2.2, 1.4.3 and 1.4.11.
TEXT_CONTRAST = 4.5
CONTROL_CONTRAST = 3.0

CONTRASTS = """([textMinimum, controlMinimum]) => {
    const channels = (colour) => {
        const [r, g, b, a = 1] = colour.match(/[\\d.]+/g).map(Number);
        return { rgb: [r, g, b], a };
    };
    const luminance = ([r, g, b]) => {
        const [x, y, z] = [r, g, b].map((c) => (c /= 255) <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
        return 0.2126 * x + 0.7152 * y + 0.0722 * z;
    };
    const behind = (element) => {
        for (let each = element; each; each = each.parentElement) {
            const { rgb, a } = channels(getComputedStyle(each).backgroundColor);
            if (a === 1) return rgb;
            if (a !== 0) throw new Error("a translucent background is not understood here");
        }
        return [255, 255, 255];
    };
    const ratio = (one, other) => {
        const [low, high] = [luminance(one), luminance(other)].sort((a, b) => a - b);
        return (high + 0.05) / (low + 0.05);
    };
    const visible = (element) => element.checkVisibility()
        && !element.closest(":disabled, [aria-busy=true]")
        && !element.previousElementSibling?.matches("input:disabled");
    const found = [];
    let seen = 0;
    for (const element of document.querySelectorAll("body *")) {
        if (!visible(element)) continue;
        const style = getComputedStyle(element);
        const ownText = [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
        if (ownText || element.matches("select")) {
            seen += 1;
            const is = ratio(channels(style.color).rgb, behind(element));
            if (is < textMinimum) found.push([element.outerHTML.slice(0, 120), is]);
        }
        if (element.matches("button, select, input[role=switch], .segments span, .choices span")) {
            seen += 1;
            const edge = channels(style.borderTopColor).rgb;
            const around = behind(element.parentElement);
            const is = Math.max(ratio(edge, around), ratio(behind(element), around));
            if (is < controlMinimum) found.push([element.outerHTML.slice(0, 120), is]);
        }
    }
    return { found, seen };
}"""


def scrolls_sideways(page: Page) -> bool:
    return bool(page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth"))


def bad_contrasts(page: Page) -> list[Any]:
    result = page.evaluate(CONTRASTS, [TEXT_CONTRAST, CONTROL_CONTRAST])
    assert result["seen"] > 20
    return list(result["found"])


def test_on_a_phone_everything_can_be_done_and_nothing_scrolls_sideways(phone: Visit) -> None:
    page = phone.page
    assert not scrolls_sideways(page)
    phone.sign_in("Asha")
    phone.start("Connect a broker")
    expect(page.get_by_role("dialog")).to_be_visible()
    assert not scrolls_sideways(page)
    assert bad_contrasts(page) == []
    page.get_by_role("button", name="Log in").click()
    phone.says("token-user", "connected")
    phone.press("Send a right one")
    phone.says("trail-bus", "smallcase.orders.received")
    assert not scrolls_sideways(page)
    assert bad_contrasts(page) == []
    page.set_viewport_size({"width": 320, "height": 640})
    assert not scrolls_sideways(page)


def test_on_a_phone_what_is_pressed_is_large_enough_for_a_finger(phone: Visit) -> None:
    for button in phone.page.get_by_role("button").all():
        box = button.bounding_box()
        assert box is not None
        assert box["height"] >= 40
        assert box["width"] >= 44


def nameless(page: Page) -> list[str]:
    """Return the roles of what a screen reader would announce without a name."""
    nodes = page.context.new_cdp_session(page).send("Accessibility.getFullAXTree")["nodes"]
    found = [
        (node["role"]["value"], node.get("name", {}).get("value", "").strip())
        for node in nodes
        if not node["ignored"] and node.get("role", {}).get("value") in NAMED_ROLES
    ]
    assert len(found) >= 5
    return [role for role, name in found if not name]


def test_every_control_has_a_name(visit: Visit) -> None:
    assert nameless(visit.page) == []
    visit.sign_in("Asha")
    visit.start("Connect a broker")
    expect(visit.page.get_by_role("dialog", name="Log in to a broker")).to_be_visible()
    assert nameless(visit.page) == []  # the page behind it is not there meanwhile


def test_the_check_of_names_can_fail(visit: Visit) -> None:
    visit.page.evaluate("document.querySelector('label[for=sender]').replaceWith(document.querySelector('#sender'))")
    assert nameless(visit.page) == ["combobox"]


def test_what_happens_is_read_out(visit: Visit) -> None:
    for name in ("user-result", "outcome", "outcome-meaning", "tokens-result", "trail"):
        expect(visit.page.locator(f"#{name}")).to_have_role("status")
    expect(visit.page.locator("#notice")).to_have_role("alert")


def test_the_outline_of_headings_has_no_gap_and_the_page_a_language(visit: Visit) -> None:
    page = visit.page
    assert page.locator("html").get_attribute("lang") == "en"
    levels = page.evaluate("[...document.querySelectorAll('main h2, main h3, h1')].map((h) => Number(h.tagName[1]))")
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in itertools.pairwise(levels))


def test_the_tab_key_reaches_every_control_and_shows_where_it_is(visit: Visit) -> None:
    page = visit.page
    expected = page.evaluate(
        f"""() => new Set([...document.querySelectorAll({CONTROLS!r})]
            .filter((each) => each.checkVisibility() && !each.disabled && each.tabIndex >= 0)
            .map((each) => each.type === "radio" ? each.name : each.id)).size"""
    )
    reached = []
    for _ in range(expected):
        page.keyboard.press("Tab")
        reached.append(
            page.evaluate(
                """() => {
                    const at = document.activeElement;
                    const shown = at.type === "radio" ? at.nextElementSibling : at;
                    const { outlineStyle, outlineWidth } = getComputedStyle(shown);
                    return [at.type === "radio" ? at.name : at.id, outlineStyle, parseFloat(outlineWidth)];
                }"""
            )
        )
    assert len({name for name, _, _ in reached}) == expected >= 9
    assert [each for each in reached if each[1] == "none" or each[2] < 2] == []


def test_a_keyboard_alone_connects_and_disconnects(visit: Visit) -> None:
    keyboard = visit.page.keyboard
    keyboard.press("Tab")
    keyboard.press("ArrowRight")
    expect(visit.page.get_by_role("radio", name="Asha", exact=True)).to_be_checked()
    expect(visit.page.get_by_role("button", name="Connect a broker")).to_be_enabled()
    keyboard.press("Tab")
    keyboard.press("Tab")
    expect(visit.page.get_by_role("button", name="Connect a broker")).to_be_focused()
    keyboard.press("Enter")
    expect(visit.page.get_by_role("radio", name="Meadow")).to_be_focused()
    keyboard.press("ArrowDown")
    expect(visit.page.get_by_role("radio", name="Harbour")).to_be_checked()
    keyboard.press("Tab")
    expect(visit.page.get_by_role("radio", name="Asha's")).to_be_focused()
    keyboard.press("Enter")
    visit.says("user-result", "Connected with harbour")
    expect(visit.page.get_by_role("button", name="Disconnect")).to_be_focused()
    keyboard.press("Space")
    visit.says("user-result", "Disconnected")
    expect(visit.page.get_by_role("button", name="Connect a broker")).to_be_focused()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_and_every_control_can_be_told_from_what_is_behind_it(visit: Visit, scheme: Any) -> None:
    visit.page.emulate_media(color_scheme=scheme)
    assert bad_contrasts(visit.page) == []
    # The states that come and go, all at once.
    visit.page.evaluate(
        """() => {
            const tones = ["good", "warn", "bad", "neutral"];
            document.querySelectorAll(".badge, .trail span").forEach((each, index) => {
                each.dataset.tone = tones[index % 4];
            });
            document.querySelectorAll(".result").forEach((each, index) => {
                each.textContent = "Said.";
                each.dataset.tone = tones[index % 4];
            });
            document.querySelector("#notice").hidden = false;
            document.querySelector("#notice").textContent = "Noticed.";
        }"""
    )
    assert bad_contrasts(visit.page) == []
    for tone in ("good", "warn", "bad"):
        visit.page.evaluate(
            "(tone) => document.querySelectorAll('[data-tone]').forEach((each) => each.dataset.tone = tone)", tone
        )
        assert bad_contrasts(visit.page) == []


def test_the_check_of_contrasts_can_fail(visit: Visit) -> None:
    visit.page.evaluate("document.querySelector('h1').style.setProperty('color', '#999')")
    assert len(bad_contrasts(visit.page)) == 1


def test_the_screenshot_of_the_readme(visit: Visit, tmp_path: Path) -> None:
    """`make screenshot` keeps it; any other run only sees that it can be made."""
    visit.sign_in("Asha")
    visit.connect("Meadow", "Asha's")
    visit.says("token-user", "connected")
    for sender in ("broker, token", "smallcase, an order"):
        visit.page.get_by_label("Sender").select_option(sender)
        visit.press("Send a right one")
        visit.says("trail-bus", "received")
    visit.tick_until_unchanged()
    visit.page.mouse.move(0, 0)
    visit.page.evaluate("document.activeElement.blur()")
    assert visit.page.viewport_size == DESKTOP
    picture = PICTURE if os.environ.get("SCREENSHOT") else tmp_path / PICTURE.name
    picture.parent.mkdir(exist_ok=True)
    visit.page.screenshot(path=picture, full_page=True)
    assert picture.read_bytes().startswith(b"\x89PNG")
