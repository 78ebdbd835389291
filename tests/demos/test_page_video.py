"""The tab Video in a real browser."""

import json
import re
import shutil
from pathlib import Path

import httpx
import numpy as np
import pytest
from browser import PHONE, part, take_pictures, visit, wait_until
from helpers import write_video
from PIL import Image

from actionstream.evaluation.detection_table import read_table
from actionstream.sources import SAMPLE

pytestmark = [pytest.mark.waits, pytest.mark.slow]


KEY = "upload"


def open_tab(page):
    page.get_by_role("tab", name="Video").click()


def give(page, path):
    page.locator("#video-upload input[type=file]").set_input_files(path)


def segments(page):
    part(page, "video-segments").locator("tr").first.wait_for()
    return part(page, "video-segments").locator("tr")


def player_seconds(page):
    return part(page, "video-player").evaluate("(player) => player.currentTime")


def test_a_video_from_upload_to_download(site, browser, tmp_path, screenshots):
    with visit(browser, site.address, accept_downloads=True) as page:
        open_tab(page)
        give(page, shutil.copy(SAMPLE, tmp_path / "hand <b>.mp4"))
        rows = segments(page)
        assert rows.count() >= 8
        still = part(page, "video-quiet").locator("tr")
        assert {row.split()[2] for row in still.all_inner_texts()} == {"still"}
        assert "hand" in part(page, "video-remarks").text_content()
        page.wait_for_function("document.querySelector('[data-part=video-player]').readyState > 0")

        start, label = (rows.nth(1).locator("td").nth(column).text_content() for column in (0, 2))
        rows.nth(1).get_by_role("button").press("Enter")
        seconds = float(start.removeprefix("0:"))
        wait_until(lambda: abs(player_seconds(page) - seconds) < 0.11)

        canvas = part(page, "video-strip")
        box = canvas.bounding_box()
        canvas.click(position={"x": box["width"] - 0.25 * 0.8 * box["width"], "y": 30})
        wait_until(lambda: 14 < player_seconds(page) < 19)
        canvas.press("Home")
        for _ in range(5):
            canvas.press("ArrowRight")
        wait_until(lambda: player_seconds(page) == 5)
        part(page, "video-time").get_by_text("0:05.0").wait_for()
        assert (label, part(page, "video-label").text_content()) == ("left", "left")

        page.mouse.move(0, 0)
        take_pictures(page, screenshots, "video")

        files = {}
        for kind in ("JSON", "CSV", "SRT", "PNG"):
            with page.expect_download() as event:
                page.get_by_role("link", name=f"Download {kind}").click()
            files[kind] = tmp_path / f"got.{kind.lower()}"
            event.value.save_as(files[kind])
        (found,) = json.loads(files["JSON"].read_text())["results"].values()
        assert {each["label"] for each in found} >= {"right", "left", "up", "down"}
        assert len(list(read_table(files["CSV"]).rows())) == len(found)
        assert (
            len(re.findall(r"^\d\d:\d\d:\d\d,\d{3} --> ", files["SRT"].read_text(), re.MULTILINE))
            == rows.count() + still.count()
        )
        with Image.open(files["PNG"]) as picture:
            assert picture.width > 1000
        assert site.files()
    wait_until(lambda: site.files() == [])


def said_of(address, element, name, contents):
    """What the server says of a file that a program sends it, as if an upload of the page had let it through."""
    session = {"session_hash": KEY}
    with httpx.Client(base_url=address, timeout=20) as client, client.stream("GET", f"gradio_api/heartbeat/{KEY}"):
        config = client.get("config").json()
        (component,) = (each["id"] for each in config["components"] if each["props"].get("elem_id") == element)
        (event,) = (each["id"] for each in config["dependencies"] if [component, "upload"] in each["targets"])
        (path,) = client.post("gradio_api/upload", files={"files": (name, contents)}).raise_for_status().json()
        upload = {"path": path, "orig_name": name, "meta": {"_type": "gradio.FileData"}}
        asked = {"data": [upload], "fn_index": event, "trigger_id": component, **session}
        client.post("gradio_api/queue/join", json=asked).raise_for_status()
        with client.stream("GET", "gradio_api/queue/data", params=session) as answers:
            messages = [json.loads(line.removeprefix("data: ")) for line in answers.iter_lines() if line]
    assert not Path(path).exists()
    (done,) = [each for each in messages if each["msg"] == "process_completed"]
    return re.findall(r'<p class="as-error" role="alert">(.*)</p>', done["output"]["data"][1])


@pytest.mark.parametrize("name", ["notes.txt", "list.m3u8", "film.mp4.txt", "film"])
def test_the_server_itself_refuses_other_types(site, name):
    """Whoever sends a file without the page is not asked by a browser what it is."""
    (said,) = said_of(site.address, "video-upload", name, SAMPLE.read_bytes())
    kind = f"of type {Path(name).suffix}" if "." in name else "without a suffix"
    assert said.startswith(f"{name} is a file {kind}; expected .mp4, ")


def test_what_is_no_video_gets_a_message(site, browser, tmp_path):
    """And the server goes on."""
    (tmp_path / "notes.mp4").write_text("no video at all")
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "large.mp4").write_bytes(bytes(13_000_000))
    four_k = write_video(tmp_path / "four-k.mp4", [np.zeros((2160, 3840, 3), np.uint8)] * 2)
    write_video(tmp_path / "long.mp4", [np.zeros((32, 32, 3), np.uint8)] * 65, rate=1)
    with visit(browser, site.address, viewport=PHONE) as page:
        open_tab(page)
        for name, message in (
            ("notes.mp4", "notes.mp4 is not a video that can be read"),
            ("empty.mp4", "empty.mp4 is not a video that can be read: it is empty"),
            ("large.mp4", "maximum"),
            (four_k.name, "four-k.mp4 has 3840 x 2160 pixels; the most are 1080 lines"),
            ("long.mp4", "long.mp4 is longer than 1 minutes"),
        ):
            give(page, tmp_path / name)
            page.get_by_text(message).first.wait_for()
        page.get_by_role("button", name="Use the sample").click()
        page.get_by_text("Labelling sample.mp4").wait_for()
