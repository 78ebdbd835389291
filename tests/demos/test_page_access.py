"""The page for people who use a keyboard or a screen reader, or need contrast: axe on each tab, light and dark."""

import pytest
from browser import PHONE, find_faults, part, visit

pytestmark = [pytest.mark.waits, pytest.mark.slow]

GRADIO: dict[tuple[str, str], str] = {}
"""What axe finds in gradio's own elements: rule and element, with what is wrong there."""


def open_tab(page, name):
    page.get_by_role("tab", name=name).click()


def teach(page):
    part(page, "teach-name").fill("wave")
    part(page, "teach-name").press("Enter")
    page.locator(".as-row").nth(1).wait_for()


def video(page):
    page.get_by_role("button", name="Use the sample").click()
    part(page, "video-segments").locator("tr").first.wait_for()


def annotate(page):
    page.locator("#annotate-sample").click()
    page.wait_for_function("actionstream.annotate.loaded")


def compare(page):
    page.get_by_role("button", name="Compare", exact=True).click()
    part(page, "compare-strip-second").wait_for(timeout=60_000)


def models(page):
    part(page, "models-search").fill("nothing that is here")


def live(page):
    page.get_by_text("Settings").click()
    page.get_by_label("An address").check()
    part(page, "live-address").fill("file:///x")
    part(page, "live-address").press("Enter")
    part(page, "live-error").get_by_text("begins with rtsp").wait_for()


TABS = {"Live": live, "Teach": teach, "Video": video, "Annotate": annotate, "Compare": compare, "Models": models}


@pytest.mark.parametrize("tab", TABS)
def test_axe_finds_nothing_in_what_is_ours(site, browser, tab):
    """Before and after something is done in a tab; what is gradio's own is known."""
    with visit(browser, site.address) as page:
        open_tab(page, tab)
        found = find_faults(page)
        TABS[tab](page)
        found |= find_faults(page)
        assert {fault for fault in found if fault.is_ours} == set()
        assert {(fault.rule, fault.element) for fault in found} <= GRADIO.keys()


def test_arrow_keys_go_from_tab_to_tab(site, browser):
    with visit(browser, site.address) as page:
        page.get_by_role("tab", name="Live").focus()
        seen = []
        for key in ("ArrowRight", "ArrowRight", "ArrowLeft", "End", "ArrowRight", "ArrowLeft", "Home"):
            page.keyboard.press(key)
            page.wait_for_timeout(200)
            selected = page.get_by_role("tab", selected=True).text_content().strip()
            assert page.evaluate("document.activeElement.textContent.trim()") == selected
            seen.append(selected)
        assert seen == ["Teach", "Video", "Teach", "Models", "Live", "Models", "Live"]


FOCUS = "(element) => { const of = element.closest('label:has(input[type=radio])') || element;"
OUTLINE = FOCUS + " const { outlineStyle, outlineWidth } = getComputedStyle(of); return [outlineStyle, outlineWidth]; }"


def test_the_focus_is_seen(site, browser):
    """On buttons, radios, sliders and tabs, ours and gradio's, as a keyboard moves it."""
    with visit(browser, site.address) as page:
        page.get_by_text("Settings").click()
        kinds = set()
        page.get_by_role("tab", name="Live").focus()
        page.keyboard.press("Shift+Tab")
        for _ in range(30):
            page.keyboard.press("Tab")
            focused = page.evaluate_handle("document.activeElement")
            kind = focused.evaluate("(e) => e.getAttribute('role') || e.type || e.tagName")
            if kind == "BODY":
                break
            style, width = focused.evaluate(OUTLINE)
            assert (style, width) == ("solid", "3px"), kind
            kinds.add(kind)
        assert kinds >= {"tab", "button", "radio", "range", "checkbox"}
        open_tab(page, "Compare")
        radio = page.get_by_label("The sample", exact=True)
        while not radio.evaluate("(radio) => radio === document.activeElement"):
            page.keyboard.press("Tab")
        assert radio.evaluate(OUTLINE) == ["solid", "3px"]


def test_a_table_on_a_phone_says_what_each_cell_is(site, browser):
    """And is no wider than the screen."""
    with visit(browser, site.address, viewport=PHONE) as page:
        page.get_by_label("More tabs").click()
        page.get_by_role("button", name="Models").click()
        cell = part(page, "models-rows").locator("td[data-label=parameters]").first
        cell.wait_for()
        assert cell.evaluate("(cell) => getComputedStyle(cell, '::before').content") == '"parameters"'
        assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
