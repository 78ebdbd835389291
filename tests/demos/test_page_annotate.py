"""The tab Annotate in a real browser: `actionstream annotate` with a folder, and an upload of `actionstream demo`."""

import json
import shutil
from contextlib import suppress

import httpx
import pytest
from browser import PHONE, find_faults, part, server, take_pictures, visit, wait_until

from actionstream.evaluation.activitynet import read_truth
from actionstream.sources import SAMPLE

pytestmark = [pytest.mark.waits, pytest.mark.slow]

VIDEOS = ("door", "hall", "kitchen", "yard", "<b>attic")
HALL = {
    "subset": "validation",
    "duration": 22.0,
    "by": "somebody",
    "annotations": [
        {"label": "clap", "segment": [2.0, 4.0], "sure": False},
        {"label": "clap"},
    ],
}


class Folder:
    """A server with a folder of videos, and the file of their annotations."""

    def __init__(self, one, path):
        self.server, self.path, self.address, self.token = one, path, one.address, one.token

    def database(self):
        return json.loads(self.path.read_text())["database"]

    def segments(self, video):
        """Label and times of the annotations, in the order of the file."""
        found = self.database().get(video, {}).get("annotations", [])
        return [(each["label"], *each["segment"]) for each in found if "segment" in each]

    def becomes(self, video, *segments):
        """Wait until these are saved."""
        with suppress(AssertionError):
            wait_until(lambda: self.segments(video) == list(segments))
        assert self.segments(video) == list(segments)

    def visit(self, browser, **options):
        return visit(browser, self.address, token=self.token, **options)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("annotate")
    (root / "videos").mkdir()
    for name in VIDEOS:
        shutil.copy(SAMPLE, root / "videos" / f"{name}.mp4")
    path = root / "segments.json"
    path.write_text(json.dumps({"version": "1.2", "database": {"hall": HALL, "away": {"subset": "testing"}}}))
    options = (str(root / "videos"), "-o", str(path), "--labels", "wave,clap")
    with server(*options, folder=tmp_path_factory.mktemp("server"), command="annotate") as one:
        yield Folder(one, path)


def choose(page, video):
    part(page, "annotate-video").select_option(video)
    wait_for_video(page, video)


def wait_for_video(page, video):
    """Until its segments are there, and it can be played: before that there is no time to go to."""
    page.wait_for_function("(name) => actionstream.annotate.video === name && actionstream.annotate.loaded", arg=video)
    page.wait_for_function("document.querySelector('[data-part=annotate-player]').readyState > 0")


def press(page, *keys):
    for key in keys:
        page.keyboard.press(key)


def seek(page, seconds):
    """By the keys, since they are what a person has."""
    press(page, "Home", *int(seconds) * ["ArrowRight"])


def bar(page, video_label):
    """A segment on the timeline, by the begin of its name."""
    return page.locator(f".as-segment[aria-label^='{video_label}']")


def drag(page, begin, by):
    page.mouse.move(*begin)
    page.mouse.down()
    page.mouse.move(begin[0] + by / 2, begin[1], steps=2)
    page.mouse.move(begin[0] + by, begin[1], steps=2)
    page.mouse.up()


def message(page):
    return part(page, "annotate-message").text_content()


def test_a_person_marks_by_keys_and_corrects(folder, browser):
    with folder.visit(browser) as page:
        choose(page, "kitchen")
        seek(page, 3)
        press(page, "1", *3 * ["ArrowRight"], "2", "ArrowRight", "1")  # wave and clap overlap
        folder.becomes("kitchen", ("wave", 3, 7))
        press(page, "Escape", "2")
        assert message(page) == "clap starts at 0:07.000"
        press(page, "2")
        assert message(page) == "clap ends where it starts; go on, or press Escape"
        press(page, "ArrowLeft", "ArrowLeft", "2")  # backwards
        folder.becomes("kitchen", ("wave", 3, 7), ("clap", 5, 7))
        assert folder.database()["kitchen"]["subset"] == "training"
        page.get_by_text("Saved", exact=True).wait_for()

        press(page, "ArrowRight", "[")  # clap is selected
        folder.becomes("kitchen", ("wave", 3, 7), ("clap", 6, 7))
        row = part(page, "annotate-rows").locator("tr").first
        row.get_by_label("End of wave").fill("0:05.125")
        row.get_by_label("End of wave").press("Enter")
        folder.becomes("kitchen", ("wave", 3, 5.125), ("clap", 6, 7))
        for wrong, said in (
            ("2", "starts before it ends"),
            ("x", "starts before it ends"),
            ("1:00", "the video ends at"),
        ):
            row.get_by_label("End of wave").fill(wrong)
            row.get_by_label("End of wave").press("Enter")
            assert said in message(page)
            assert row.get_by_label("End of wave").input_value() == "0:05.125"
        row.get_by_label("Label of wave").select_option("clap")
        folder.becomes("kitchen", ("clap", 3, 5.125), ("clap", 6, 7))
        page.locator("body").press("Delete")
        folder.becomes("kitchen", ("clap", 6, 7))
        press(page, "Control+z", "Control+z")
        folder.becomes("kitchen", ("wave", 3, 5.125), ("clap", 6, 7))
        press(page, "Control+Shift+z", "Control+y")
        folder.becomes("kitchen", ("clap", 6, 7))
        part(page, "annotate-name").press_sequentially("a 12,")  # no segments
        folder.becomes("kitchen", ("clap", 6, 7))


def test_a_person_drags_on_the_timeline(folder, browser):
    with folder.visit(browser) as page:
        choose(page, "door")
        seek(page, 4)
        press(page, "1", *4 * ["ArrowRight"], "1")
        folder.becomes("door", ("wave", 4, 8))
        second = part(page, "annotate-inner").bounding_box()["width"] / 22

        def box():
            return bar(page, "wave").bounding_box()

        middle = box()["y"] + box()["height"] / 2
        drag(page, (box()["x"] + box()["width"] / 2, middle), 3 * second)
        wait_until(lambda: abs(folder.segments("door")[0][1] - 7) < 0.1)
        assert folder.segments("door")[0][2] - folder.segments("door")[0][1] == pytest.approx(4, abs=0.002)
        drag(page, (box()["x"] + 2, middle), -2 * second)
        wait_until(lambda: abs(folder.segments("door")[0][1] - 5) < 0.1)
        drag(page, (box()["x"] + box()["width"] - 2, middle), 30 * second)
        wait_until(lambda: folder.segments("door")[0][2] == 22)
        drag(page, (box()["x"] + box()["width"] - 2, middle), -40 * second)  # past its start
        wait_until(lambda: 0 < folder.segments("door")[0][2] - folder.segments("door")[0][1] < 0.01)
        press(page, "Control+z")
        wait_until(lambda: folder.segments("door")[0][2] == 22)

        ruler = part(page, "annotate-ruler").bounding_box()
        page.mouse.click(ruler["x"] + 11 * second, ruler["y"] + 5)
        page.wait_for_function("Math.abs(document.querySelector('[data-part=annotate-player]').currentTime - 11) < 0.1")
        for _ in range(3):
            part(page, "annotate-in").click()
        assert part(page, "annotate-inner").bounding_box()["width"] > 80 * second
        now = part(page, "annotate-now").bounding_box()["x"]
        assert abs(now - ruler["x"] - 11 * second) < 3  # what is played stays where it is
        part(page, "annotate-fit").click()
        assert part(page, "annotate-inner").bounding_box()["width"] == pytest.approx(22 * second)


def test_the_player(folder, browser):
    with folder.visit(browser) as page:
        choose(page, "yard")
        time = "document.querySelector('[data-part=annotate-player]').currentTime"
        page.locator("body").press("ArrowRight")
        press(page, ".", ".", ",")
        page.wait_for_function(f"Math.abs({time} - 1 - 1 / 30) < 0.002")
        part(page, "annotate-speed").select_option("4")
        part(page, "annotate-speed").evaluate("(select) => select.blur()")
        press(page, " ")
        part(page, "annotate-play").get_by_text("Pause").wait_for()
        assert page.evaluate("document.querySelector('[data-part=annotate-player]').playbackRate") == 4
        press(page, " ")
        part(page, "annotate-play").get_by_text("Play").wait_for()
        choose(page, "door")
        assert page.evaluate("document.querySelector('[data-part=annotate-player]').playbackRate") == 4


def test_the_model_drafts_and_a_person_decides(folder, browser, screenshots):
    """Beside what is there already; nothing counts as an annotation before it is accepted."""
    with folder.visit(browser) as page:
        choose(page, "hall")
        assert message(page) == "1 annotations without times are kept as they are"
        assert bar(page, "clap").count() == 1
        part(page, "annotate-draft").click()
        part(page, "annotate-accept").wait_for()
        wait_until(lambda: len(folder.database()["hall"].get("proposals", ())) >= 9)
        assert folder.database()["hall"]["annotations"] == HALL["annotations"]
        take_pictures(page, screenshots, "annotate")
        page.set_viewport_size({"width": 1200, "height": 1010})

        bar(page, "down").click()
        press(page, "a")
        wait_until(lambda: len(folder.segments("hall")) == 2)
        bar(page, "still").first.click()
        press(page, "Delete")
        part(page, "annotate-rows").get_by_role("button", name="Accept up").click()
        wait_until(lambda: len(folder.segments("hall")) == 3)
        number = len(folder.database()["hall"]["proposals"])
        page.wait_for_function("!actionstream.annotate.dirty && !actionstream.annotate.saving")
        page.reload()
        part(page, "annotate-draft").wait_for()
        choose(page, "hall")
        assert page.locator(".as-segment[data-proposal=yes]").count() == number
        part(page, "annotate-accept").click()
        wait_until(lambda: len(folder.segments("hall")) == 3 + number)
        press(page, "Control+z")
        wait_until(lambda: len(folder.segments("hall")) == 3)
        part(page, "annotate-reject").click()
        wait_until(lambda: "proposals" not in folder.database()["hall"])
        times = part(page, "annotate-rows").get_by_label("End of clap")
        times.fill("4.25")
        times.press("Enter")
        wait_until(lambda: folder.segments("hall")[0] == ("clap", 2, 4.25))
        part(page, "annotate-reviewed").check()
        wait_until(lambda: folder.database()["hall"].get("reviewed") is True)
        page.get_by_text("1 of 5 reviewed").wait_for()
        assert "✓ hall (4)" in part(page, "annotate-video").inner_text()
        page.get_by_text("Train on this").click()
        train = f"actionstream train --data {folder.path.parent}/videos --annotations {folder.path} -o runs/live"
        assert part(page, "annotate-commands").inner_text().splitlines()[0] == train

        part(page, "annotate-draft").click()  # what is there is not proposed again
        page.wait_for_function("!actionstream.annotate.drafting")
        page.wait_for_function("!actionstream.annotate.dirty && !actionstream.annotate.saving")
        proposed = {each["label"] for each in folder.database()["hall"]["proposals"]}
        assert "left" in proposed
        assert not proposed & {"down", "up"}
        left = folder.database()["hall"]
        assert (left["by"], left["subset"]) == ("somebody", "validation")
        assert left["annotations"][0] == {**HALL["annotations"][0], "segment": [2.0, 4.25]}
        assert folder.database()["away"] == {"subset": "testing"}
        found = read_truth(folder.path, subset="validation").segments.rows()
        assert {label for _, _, _, label, _ in found} == {"clap", "down", "up"}
        part(page, "annotate-next").click()
        page.wait_for_function("actionstream.annotate.video !== 'hall'")
    wait_until(lambda: folder.server.num_streams() == 0)


def test_two_tabs_do_not_lose_work(folder, browser):
    with folder.visit(browser) as first, folder.visit(browser) as second:
        for page in (first, second):
            choose(page, "<b>attic")
        press(first, "1", "ArrowRight", "1")
        folder.becomes("<b>attic", ("wave", 0, 1))
        seek(second, 2)
        press(second, "2", "ArrowRight", "2")
        part(second, "annotate-conflict").wait_for()
        assert folder.segments("<b>attic") == [("wave", 0, 1)]
        second.get_by_text("Not saved: changed elsewhere").wait_for()
        part(second, "annotate-theirs").click()
        bar(second, "wave").wait_for()
        assert bar(second, "clap").count() == 0
        press(second, "2", "ArrowRight", "2")
        folder.becomes("<b>attic", ("wave", 0, 1), ("clap", 3, 4))
        press(first, "ArrowRight", "1", "ArrowRight", "1")
        part(first, "annotate-mine").click()
        folder.becomes("<b>attic", ("wave", 0, 1), ("wave", 2, 3))
        assert first.locator("b").count() == 0


def test_labels_are_added_renamed_coloured_and_removed(folder, browser):
    with folder.visit(browser, viewport=PHONE) as page:
        choose(page, "yard")
        for name in ("sit", "<i>stand"):
            part(page, "annotate-name").fill(name)
            part(page, "annotate-name").press("Enter")
            page.get_by_role("button", name=f"Start a segment of {name}", exact=True).wait_for()
        assert page.locator("i").count() == 0
        lane = page.get_by_role("button", name="Start a segment of sit", exact=True)
        lane.click()
        seek(page, 2)
        page.get_by_role("button", name="End a segment of sit", exact=True).click()
        folder.becomes("yard", ("sit", 0, 2))
        page.get_by_text("Names and colors of labels").click()
        page.get_by_label("Color of sit").fill("#123456")
        wait_until(lambda: {"nodeName": "sit", "color": "#123456"} in json.loads(folder.path.read_text())["taxonomy"])
        page.get_by_label("Name of sit").fill("rest")
        page.get_by_label("Name of sit").press("Enter")
        folder.becomes("yard", ("rest", 0, 2))
        bar(page, "rest").wait_for()
        assert bar(page, "rest").evaluate("(bar) => getComputedStyle(bar).backgroundColor") == "rgb(18, 52, 86)"
        page.get_by_role("button", name="Remove the label <i>stand").click()
        page.get_by_role("button", name="Start a segment of <i>stand").wait_for(state="detached")
        assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]


def test_axe_finds_nothing(folder, browser):
    with folder.visit(browser) as page:
        choose(page, "door")
        press(page, "1", "ArrowRight", "1", "2")  # one segment, and one that goes on
        bar(page, "wave").first.wait_for()
        page.evaluate("for (const each of document.querySelectorAll('details')) each.open = true")
        assert {fault for fault in find_faults(page) if fault.is_ours} == set()


def test_who_has_not_the_whole_address_gets_nothing(folder, browser):
    """Another user of this machine, or a page of another site: neither names nor videos."""
    page = browser.new_page()
    for token, said in (
        ("", "Open the whole address that actionstream annotate prints"),
        ("#x", "does not know this page any more"),
    ):
        page.goto("about:blank")
        page.goto(folder.address + token)
        page.get_by_text(said).wait_for()
        assert not part(page, "annotate").is_visible()
    page.close()


def test_only_the_token_opens_the_folder(folder):
    paths = ("state", "entry?video=hall", "video?video=hall", "file", "draft?video=hall")
    with httpx.Client(base_url=folder.address) as client:
        config = client.get("config").text
        assert folder.token not in config
        assert not any(f'"{name}"' in config for name in ("hall", "kitchen"))
        for path in paths:
            assert client.get(f"annotate/{'x' * 22}/{path}").status_code == 404
            assert client.get(f"annotate/{folder.token}/{path}", headers={"Host": "evil.example"}).status_code == 421
            evil = {"Origin": "http://evil.example"}
            assert client.get(f"annotate/{folder.token}/{path}", headers=evil).status_code == 403
        name = {"video": str(folder.path)}
        for path in ("entry", "video"):
            assert client.get(f"annotate/{folder.token}/{path}", params=name).status_code == 400
        got = client.get(f"annotate/{folder.token}/video?video=hall", headers={"Range": "bytes=100-199"})
        assert (got.status_code, got.content) == (206, SAMPLE.read_bytes()[100:200])


def test_a_visitor_annotates_an_upload(site, browser, tmp_path):
    with visit(browser, site.address, accept_downloads=True) as page:
        page.get_by_role("tab", name="Annotate").click()
        page.locator("#annotate-upload input[type=file]").set_input_files(shutil.copy(SAMPLE, tmp_path / "my film.mp4"))
        wait_for_video(page, "my film")
        part(page, "annotate-name").fill("wave")
        part(page, "annotate-name").press("Enter")
        page.get_by_role("button", name="Start a segment of wave").click()
        press(page, "ArrowRight", "1")
        bar(page, "wave").wait_for()
        page.wait_for_function("!actionstream.annotate.dirty && !actionstream.annotate.saving")
        with page.expect_download() as download:
            part(page, "annotate-download").click()
        download.value.save_as(tmp_path / "got.json")
        truth = read_truth(tmp_path / "got.json", subset="training")
        assert list(truth.segments.rows()) == [("my film", 0.0, 1.0, "wave", 1.0)]
        page.locator("#annotate-sample").click()
        page.wait_for_function("actionstream.annotate.video === 'sample'")
        page.get_by_text("No segment yet").wait_for()
    wait_until(lambda: site.files() == [])
