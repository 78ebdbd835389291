"""The tab Live in a real browser, with a real camera but for its lens."""

from contextlib import ExitStack, suppress
from itertools import groupby

import av
import pytest
from browser import HEIGHT, MOVEMENTS, PHONE, WIDTH, part, take_pictures, visit, wait_until
from playwright.sync_api import Error
from servers import MotionJpeg, free_port, http_server, silent_server

from actionstream.sources import SAMPLE

pytestmark = [pytest.mark.alone, pytest.mark.slow]

LOOK = """
([x, y]) => {
  const canvas = document.createElement("canvas");
  const pen = canvas.getContext("2d", { willReadFrequently: true });
  const video = document.querySelector("[data-part=live-video]");
  window.seen = [];
  const look = () => {
    requestAnimationFrame(look);
    if (!video.videoWidth) return;
    pen.drawImage(video, 0, 0, 160, 120, 0, 0, 160, 120);
    const label = document.querySelector("[data-part=live-label]").textContent;
    const labelled = Number(document.querySelector("[data-part=live-labelled]").textContent);
    window.seen.push([performance.now() / 1000, pen.getImageData(x, y, 1, 1).data[1], label, labelled]);
  };
  look();
}
"""
"""Writes down what is on the screen: the time, the mark in the camera's picture, the label, and the labels so far."""

TURNED = """
() => {
const open = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
navigator.mediaDevices.getUserMedia = async (wanted) => {
  const video = document.createElement("video");
  video.srcObject = await open(wanted);
  await video.play();
  const canvas = Object.assign(document.createElement("canvas"), { width: 160, height: 120 });
  const pen = canvas.getContext("2d");
  pen.setTransform(ACROSS, 0, 0, DOWN, ACROSS < 0 ? 160 : 0, DOWN < 0 ? 120 : 0);
  const draw = () => { pen.drawImage(video, 0, 0, 160, 120); video.requestVideoFrameCallback(draw); };
  draw();
  return canvas.captureStream(30);
};
}
"""
"""A camera that is mounted another way round."""


def start(page):
    part(page, "live-start").get_by_text("Start").click()


def movement(mark):
    """Which of MOVEMENTS a mark in the picture says."""
    return round(mark * 219 / 255 / 18)


def watch(page, seconds):
    """What was on the screen: rows of time, movement, label, and labels so far."""
    page.evaluate("window.seen = []")
    page.wait_for_timeout(1000 * seconds)
    return [(at, movement(mark), label, labelled) for at, mark, label, labelled in page.evaluate("window.seen")]


def delays(seen):
    """How long after each movement has come on the screen its label has."""
    begins = {}
    for at, moving, _, _ in seen:
        begins.setdefault(moving, at)
    return [
        next((at - begins[k] for at, _, label, _ in seen if at >= begins[k] and label == MOVEMENTS[k]), 99)
        for k in range(1, len(MOVEMENTS) - 1)
    ]


def best_rate(seen, seconds=5.0):
    """Labels a second, in the best stretch: other programs run on the machine."""
    return max(
        (later[3] - row[3]) / (later[0] - row[0])
        for row, later in zip(seen, seen[int(len(seen) * seconds / (seen[-1][0] - seen[0][0])) :], strict=False)
    )


def test_the_camera_gets_the_right_labels_in_time(site, browser, screenshots):
    with visit(browser, site.address) as page:
        page.evaluate(LOOK, [2, 2])
        start(page)
        seen = watch(page, 22)
        take_pictures(page, screenshots, "live")
        order = [moving for moving, _ in groupby(row[1] for row in seen)]
        assert order[:10] == list(range(10))
        assert max(delays(seen)) < 1
        assert best_rate(seen) >= 12


def directions(page):
    """The directions that the page has named, one after the other, without those of circles."""
    page.wait_for_timeout(500)
    seen = [(movement(mark), label) for _, mark, label, _ in page.evaluate("window.seen")]
    named = [label for moving, label in seen if moving < MOVEMENTS.index("clockwise") and label in MOVEMENTS[1:5]]
    return " ".join(label for label, _ in groupby(named))


def test_three_pages_at_once_get_labels_of_their_own(site, browser):
    """Three cameras that are mounted in different ways see the same movements in different directions."""
    ways = [(1, 1, "right left down up"), (-1, 1, "left right down up"), (1, -1, "right left up down")]
    with ExitStack() as stack:
        pages = [stack.enter_context(visit(browser, site.address, viewport=PHONE)) for _ in ways]
        for page, (across, down, _) in zip(pages, ways, strict=True):
            page.evaluate(TURNED.replace("ACROSS", str(across)).replace("DOWN", str(down)))
            page.evaluate(LOOK, [2 if across > 0 else WIDTH - 3, 2 if down > 0 else HEIGHT - 3])
            start(page)
        wait_until(lambda: site.num_streams() == 3)
        for page, (_, _, wanted) in zip(pages, ways, strict=True):
            wait_until(lambda page=page, wanted=wanted: wanted in directions(page), 120)
    wait_until(lambda: site.num_streams() == 0)


def test_a_page_that_crashes_frees_its_slot(site, browser):
    with visit(browser, site.address) as page:
        start(page)
        wait_until(lambda: site.num_streams() == 1)
        with suppress(Error):  # it cannot answer any more
            page.goto("chrome://crash", timeout=2000)
        wait_until(lambda: site.num_streams() == 0)


def test_sliders_buttons_and_the_overlay_act_at_once_by_keyboard(site, browser):
    with visit(browser, site.address) as page:
        while page.evaluate("document.activeElement.textContent.trim()") != "Start the camera":
            page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        page.wait_for_function("document.querySelector('[data-part=live-stage]').dataset.on == 'camera'")
        page.wait_for_function("document.querySelector('[data-part=live-label]').dataset.sure == 'yes'")
        page.get_by_text("Settings").press("Enter")
        page.get_by_label("Label in the picture").press("Space")
        part(page, "live-overlay").wait_for()
        part(page, "live-threshold").focus()
        for _ in range(50):
            page.keyboard.press("ArrowRight")
        assert part(page, "live-threshold-value").text_content() == "1.00"
        page.wait_for_function("document.querySelector('[data-part=live-label]').textContent == 'nothing'")
        page.get_by_role("button", name="Forget what it has seen").press("Enter")
        page.wait_for_function("document.querySelector('[data-part=live-label]').textContent == '…'")
        page.get_by_role("button", name="Stop").press("Enter")
        assert page.evaluate("document.activeElement.textContent") == "Start the camera"  # the same button
        wait_until(lambda: site.num_streams() == 0)
        assert part(page, "live-message").text_content() == "Stopped"
        assert part(page, "live-stage").get_attribute("data-on") == "sample"
        assert not part(page, "live-figures").is_visible()


@pytest.fixture
def addresses(tmp_path):
    """Addresses of cameras in the network: one that works, one that is silent, one that nobody has."""
    with av.open(str(SAMPLE)) as film:
        for number, picture in enumerate(film.decode(video=0)):
            if 75 <= number < 120:  # to the right
                picture.to_image().save(tmp_path / f"{number:04}.jpg")
    with http_server(tmp_path, MotionJpeg) as moving, silent_server() as port:
        yield {
            "moving": f"{moving}/camera.mjpg",
            "silent": f"http://127.0.0.1:{port}/",
            "nobody": f"http://127.0.0.1:{free_port()}/",
        }


def test_addresses(site, browser, addresses):
    with visit(browser, site.address) as page:
        page.get_by_label("An address").check()
        field = page.get_by_label("Address", exact=True)
        for text, message in (
            ("file:///etc/passwd", "it begins with rtsp"),
            ("<b>rtsp</b>", "it begins with rtsp"),
        ):
            field.fill(text)
            field.press("Enter")
            part(page, "live-error").get_by_text(message).wait_for()
        field.fill(addresses["nobody"])
        start(page)
        part(page, "live-error").get_by_text("Connection refused").wait_for()
        field.fill(addresses["moving"])
        start(page)
        part(page, "live-error").wait_for(state="hidden")
        page.wait_for_function("document.querySelector('[data-part=live-label]').textContent == 'right'")
        page.wait_for_function("document.querySelector('[data-part=live-picture]').naturalWidth > 0")
        for _ in range(4):  # again, while it runs
            field.press("Enter")
            page.wait_for_timeout(700)
        page.wait_for_function("document.querySelector('[data-part=live-label]').textContent == 'right'")
        wait_until(lambda: site.num_streams() == 1)  # the old ones end soon after


def test_what_the_page_weighs(site, browser, capsys):
    """Over the wire, with nothing in the cache; README states it."""
    with visit(browser, site.address) as page:
        entries = page.evaluate(
            """[...performance.getEntriesByType("navigation"), ...performance.getEntriesByType("resource")]
            .map((entry) => entry.transferSize)"""
        )
        paint = page.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime")
    with capsys.disabled():
        print(f"\nthe page: {sum(entries) / 1e6:.2f} MB in {len(entries)} requests, first paint after {paint:.0f} ms")
    assert 0 < sum(entries) < 1_000_000
