"""The tab Teach in a real browser, whose camera shows four movements again and again."""

from collections import Counter

import pytest
from browser import PHONE, chromium, part, server, take_pictures, visit, wait_until, write_camera

from actionstream.models import read_card
from actionstream.teaching import Teacher

pytestmark = [pytest.mark.waits, pytest.mark.slow]

STILL, RIGHT, DOWN, CLOSER, UP = range(5)
BEGINS = {RIGHT: 2.2, DOWN: 6.2, CLOSER: 12.2, UP: 8.2}
"""In the sample, in seconds; each is shown for 1.6 s, after 0.8 s of stillness."""
NAMES = {RIGHT: "right / ➡", DOWN: "down", CLOSER: "<b>closer</b>", UP: "up"}

LOOK = """
() => {
  const canvas = document.createElement("canvas");
  const pen = canvas.getContext("2d", { willReadFrequently: true });
  window.seen = [];
  const look = () => {
    requestAnimationFrame(look);
    const video = document.querySelector("[data-part=teach-video]");
    if (!video || !video.videoWidth) return;
    pen.drawImage(video, 0, 0, 160, 120, 0, 0, 160, 120);
    const mark = Math.round((pen.getImageData(2, 2, 1, 1).data[1] * 219) / 255 / 18);
    if (mark !== window.mark) window.began = performance.now();
    window.mark = mark;
    window.seen.push([mark, document.querySelector("[data-part=teach-label]").textContent]);
  };
  look();
}
"""
"""Writes down which movement is on the screen, and which label."""


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """A server with the usual limits."""
    with server(folder=tmp_path_factory.mktemp("server")) as one:
        yield one


@pytest.fixture(scope="module")
def moving(playwright, tmp_path_factory):
    """A browser with that camera."""
    pieces = [piece for mark, begin in BEGINS.items() for piece in ((STILL, 0.2, 1.0), (mark, begin, begin + 1.6))]
    with chromium(playwright, write_camera(tmp_path_factory.mktemp("camera") / "moving.y4m", pieces)) as one:
        yield one


def open_tab(page):
    page.get_by_role("tab", name="Teach").click()
    page.locator(".as-row").first.wait_for(timeout=60_000)


def start_camera(page):
    page.get_by_role("button", name="Start the camera").click()
    page.wait_for_function("Number(document.querySelector('[data-part=teach-rate]').textContent) > 1", timeout=60_000)
    page.evaluate(LOOK)


def wait_for(page, mark):
    """Until a movement begins."""
    page.wait_for_function("(mark) => window.mark === mark && performance.now() - window.began < 150", arg=mark)


def row(page, label):
    return page.locator(".as-row").filter(has=page.get_by_text(label, exact=True))


def add_label(page, name):
    part(page, "teach-name").fill(name)
    part(page, "teach-name").press("Enter")
    row(page, name).wait_for()


def has_examples(page, label, number):
    row(page, label).get_by_text(f"{number} example", exact=False).first.wait_for()


def wait_until_learnt(page):
    page.wait_for_function(
        "document.querySelector('[data-part=teach-state]').textContent.startsWith('The model is learnt')"
    )


def said_of(page, mark):
    """The label that is said most, besides "nothing", from the middle of a movement on until the next one begins."""
    wait_for(page, mark)
    page.wait_for_timeout(800)
    page.evaluate("window.seen = []")
    page.wait_for_function("(mark) => window.mark !== mark && window.mark !== 0", arg=mark)
    said = Counter(label for _, label in page.evaluate("window.seen"))
    del said["nothing"]
    return max(said, key=said.get, default=None)


def message(page):
    return part(page, "teach-message").text_content()


def test_a_visitor_teaches_three_actions_and_corrects_a_fourth(site, moving, screenshots, tmp_path):
    with visit(moving, site.address) as page:
        open_tab(page)
        row(page, "nothing").locator(".as-hold").click()
        assert message(page) == "Start the camera first"
        start_camera(page)
        for label in NAMES.values():
            add_label(page, label)
        assert page.locator(".as-row b").count() == 0
        part(page, "teach-name").press_sequentially("4")  # no correction
        part(page, "teach-countdown").fill("0")
        part(page, "teach-length").fill("1.5")
        for number in (1, 2):
            for mark in (RIGHT, DOWN, CLOSER):
                hold = row(page, NAMES[mark]).locator(".as-hold")
                hold.scroll_into_view_if_needed()
                wait_for(page, mark)
                if number == 1:
                    hold.click(click_count=2, delay=20)
                elif mark == DOWN:
                    hold.focus()
                    page.keyboard.down(" ")
                    page.wait_for_timeout(1200)
                    page.keyboard.up(" ")
                else:
                    hold.hover()
                    page.mouse.down()
                    page.wait_for_timeout(1200)
                    page.mouse.up()
                has_examples(page, NAMES[mark], number)
        wait_until_learnt(page)
        assert {mark: said_of(page, mark) for mark in (RIGHT, DOWN, CLOSER)} == {
            mark: NAMES[mark] for mark in (RIGHT, DOWN, CLOSER)
        }
        wait_for(page, UP)
        page.evaluate("window.seen = []")
        page.wait_for_function("(mark) => window.mark !== mark", arg=UP)
        assert "up" not in {label for _, label in page.evaluate("window.seen")}
        page.locator("body").press("4")
        has_examples(page, "up", 1)
        wait_until_learnt(page)
        assert said_of(page, UP) == "up"

        assert "cannot be checked, as there is one example: up" in part(page, "teach-sentences").inner_text()
        assert part(page, "teach-confusion").locator("td").count() == 1 + 5 * 5
        reel = row(page, "down").locator(".as-reel").first
        reel.hover()
        page.wait_for_function(
            "document.querySelectorAll('.as-row')[2].querySelectorAll('.as-reel')[0].children.length > 2"
        )
        take_pictures(page, screenshots, "teach")
        page.set_viewport_size({"width": 1200, "height": 900})
        with page.expect_download() as download:
            part(page, "teach-download").click()
        download.value.save_as(tmp_path / "taught.safetensors")
        assert [each.label for each in Teacher(str(tmp_path / "taught.safetensors")).examples].count("down") == 2
        assert read_card(str(tmp_path / "taught.safetensors")).labels == ("nothing", *NAMES.values())

        page.reload()
        open_tab(page)
        assert page.locator(".as-clip").count() == 7
        assert message(page) == ""
        row(page, "up").get_by_role("button", name="Delete clip 1 of up").click()
        has_examples(page, "up", 0)
        page.on("dialog", lambda dialog: dialog.accept())
        row(page, "down").get_by_role("button", name="Remove the label down with its examples").click()
        row(page, "down").wait_for(state="detached")
        assert page.locator(".as-clip").count() == 4

    with visit(moving, site.address, viewport=PHONE) as page:
        open_tab(page)
        assert page.locator(".as-clip").count() == 0  # those of another visitor
        page.get_by_text("Go on with a model that you taught before").click()
        page.locator("#teach-upload input[type=file]").set_input_files(tmp_path / "taught.safetensors")
        page.locator(".as-clip").nth(6).wait_for()
        wait_until_learnt(page)
        assert page.locator(".as-row-name").all_inner_texts() == ["nothing", *NAMES.values()]
        assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    wait_until(lambda: site.num_streams() == 0)


def test_recordings_that_are_not_finished_leave_nothing(site, moving):
    with visit(moving, site.address) as page:
        open_tab(page)
        start_camera(page)
        add_label(page, "wave")
        hold = row(page, "wave").locator(".as-hold")
        page.evaluate("scrollTo(0, document.body.scrollHeight)")

        def is_dropped(why):
            page.get_by_text(f"The recording of wave was dropped, because {why}").wait_for()
            assert hold.text_content() == "Record"

        hold.hover()
        page.mouse.down()
        page.wait_for_function("document.querySelector('[data-recording=yes]')")
        page.evaluate("window.dispatchEvent(new Event('blur'))")
        is_dropped("the window lost the focus")
        page.mouse.up()
        hold.focus()
        page.keyboard.down("Enter")
        page.keyboard.press("Tab")
        is_dropped("the button lost the focus")
        page.keyboard.up("Enter")
        hold.click()  # counts down for 3 s
        page.get_by_text("wave in 3").wait_for()
        page.keyboard.press("Escape")
        is_dropped("Escape was pressed")
        hold.click()
        page.wait_for_timeout(700)
        hold.click()
        is_dropped("the button was clicked again")
        page.keyboard.down(" ")
        page.wait_for_timeout(600)
        page.get_by_role("button", name="Stop the camera").evaluate("(button) => button.click()")
        is_dropped("the camera stopped")
        page.keyboard.up(" ")
        page.keyboard.press("1")
        assert message(page) == "Start the camera first"

        start_camera(page)
        hold.hover()
        page.mouse.down()
        page.wait_for_timeout(600)
        page.reload()
        open_tab(page)
        row(page, "wave").wait_for()
        assert page.locator(".as-clip").count() == 0

        start_camera(page)
        page.get_by_role("tab", name="Live").click()
        page.keyboard.press("1")  # is for the tab Teach
        page.get_by_role("button", name="Start the camera").click()
        wait_until(lambda: site.num_streams() == 1)
        open_tab(page)
        page.wait_for_function("!actionstream.teach.ticket")
        assert page.locator(".as-clip").count() == 0
    wait_until(lambda: site.num_streams() == 0)
