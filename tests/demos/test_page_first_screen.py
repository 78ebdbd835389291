"""What a visitor meets first: a sample that plays, one button, and no error that hides."""

from time import monotonic

import pytest
from browser import PHONE, part, visit, wait_until

pytestmark = [pytest.mark.waits, pytest.mark.slow]

DESKTOP = {"width": 1280, "height": 800}
PLAYS = "document.querySelector('[data-part=live-sample]')?.currentTime > 0"
LABELLED = """
document.querySelector('[data-part=live-stage]').dataset.on === 'sample'
  && document.querySelector('[data-part=live-sample]').currentTime > 0
  && document.querySelector('[data-part=live-label]').textContent !== ''
"""


def bottom(page, name):
    """The lower edge of a part, in pixels from the top of the page."""
    box = part(page, name).bounding_box()
    return box["y"] + box["height"]


def seconds_of_sample(page):
    return part(page, "live-sample").evaluate("(video) => video.currentTime")


def use_camera(page, does):
    """What the browser does when the page asks for the camera."""
    page.evaluate(f"() => {{ navigator.mediaDevices.getUserMedia = {does}; }}")


def test_the_sample_plays_and_is_labelled(site, browser):
    """With what it shows: right, from the second second on. `pytest -s` prints how soon."""
    for who in ("the first visitor of this browser", "the next one"):
        began = monotonic()
        with visit(browser, site.address, viewport=DESKTOP) as page:
            page.wait_for_function(PLAYS)
            plays = monotonic() - began
            page.wait_for_function(LABELLED)
            print(f"{who}: the sample plays after {plays:.1f} s, and has a label after {monotonic() - began:.1f} s")
    with visit(browser, site.address, viewport=DESKTOP) as page:
        page.wait_for_function(LABELLED, timeout=4000)
        part(page, "live-stage").get_by_text("Sample", exact=True).wait_for()
        page.wait_for_function("document.querySelector('[data-part=live-label]').textContent === 'right'")
        assert 2 < seconds_of_sample(page) < 4.5
        page.wait_for_function("document.querySelector('[data-part=live-label]').textContent === 'left'")
        page.get_by_role("button", name="Pause").click()
        before = seconds_of_sample(page)
        page.wait_for_timeout(400)
        assert seconds_of_sample(page) == before
        page.get_by_role("button", name="Play", exact=True).click()
        page.wait_for_function(
            "(time) => document.querySelector('[data-part=live-sample]').currentTime > time", arg=before
        )
        part(page, "live-sample").evaluate("(video) => (video.currentTime = video.duration - 0.5)")
        page.wait_for_function("document.querySelector('[data-part=live-label]').textContent === 'right'")


def test_who_only_looks_costs_the_engine_nothing(site, browser):
    with visit(browser, site.address) as first:
        first.wait_for_function(LABELLED)
        wait_until(lambda: site.num_streams() == 0)  # the sample was scored, once
        with visit(browser, site.address) as second:
            second.wait_for_function(LABELLED)
            assert site.num_streams() == 0


def test_all_is_on_one_screen(site, browser):
    with visit(browser, site.address, viewport=DESKTOP) as page:
        page.wait_for_function(LABELLED)
        for name in ("live-start", "live-label", "live-bars", "live-strip"):
            assert bottom(page, name) <= DESKTOP["height"], name
    with visit(browser, site.address, viewport=PHONE) as page:
        page.wait_for_function(LABELLED)
        for name in ("live-stage", "live-start", "live-label"):
            assert bottom(page, name) <= PHONE["height"], name
        assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]


def test_an_error_stands_on_the_picture_until_the_next_start(site, browser):
    """And the sample plays on below it; a stream that is stopped before it begins is given back."""
    with visit(browser, site.address) as page:
        page.wait_for_function(LABELLED)
        use_camera(page, "async () => { throw new DOMException('', 'NotAllowedError'); }")
        part(page, "live-start").click()
        error = part(page, "live-error")
        error.get_by_text("does not allow this page to use the camera").wait_for()
        stage, box = (part(page, name).bounding_box() for name in ("live-stage", "live-error"))
        assert stage["y"] < box["y"] < stage["y"] + stage["height"] / 2
        assert part(page, "live-start").text_content() == "Start the camera"
        page.wait_for_function(LABELLED)
        use_camera(page, "() => new Promise(() => {})")
        part(page, "live-start").click()
        assert not error.is_visible()
        part(page, "live-start").get_by_text("Stop").click()
        page.wait_for_function(LABELLED)
        wait_until(lambda: site.num_streams() == 0)


def test_the_sample_rests_where_movement_is_not_wanted(site, browser):
    with visit(browser, site.address, reduced_motion="reduce") as page:
        page.wait_for_function("document.querySelector('[data-part=live-label]').textContent === 'right'")
        assert part(page, "live-sample").evaluate("(video) => video.paused")
        page.get_by_role("button", name="Play", exact=True).wait_for()


def test_rows_in_which_nothing_happens_are_apart(site, browser):
    with visit(browser, site.address) as page:
        page.wait_for_function(LABELLED)
        labels, rows = page.evaluate("[actionstream.live.strip.labels, actionstream.live.strip.rows()]")
        assert [labels[row] for row in rows][-1] == "still"
        page.get_by_text("nothing happens").first.wait_for()
