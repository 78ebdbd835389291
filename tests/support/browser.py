"""The page's real server, and a real browser: Debian's Chromium, whose camera is a file."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import av
import numpy as np
import pytest
from helpers import missing
from servers import free_port

from actionstream.sources import SAMPLE

CHROMIUM = Path("/usr/bin/chromium")
ROOT = Path(__file__).parents[2]
WIDTH, HEIGHT, MARK = 160, 120, 6
MOVEMENTS = (
    "still", "right", "left", "down", "up", "shaking", "closer", "away", "clockwise", "anticlockwise", "still",
)  # fmt: skip
"""Of the sample, two seconds each."""
PHONE = {"width": 390, "height": 844}


class Server:
    """`actionstream demo`, or another command, in a process of its own, whose temporary files are in `folder`.

    token  what the printed address has behind #
    """

    def __init__(self, *options: str, folder: Path, command: str = "demo"):
        self.port = free_port()
        self.address = f"http://127.0.0.1:{self.port}/"
        self.folder = folder
        here = {"TMPDIR": str(folder), "OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE"}
        environment = {**os.environ, **here}
        arguments = [sys.executable, "-m", "actionstream", command, "--port", str(self.port), *options]
        self.process = subprocess.Popen(arguments, env=environment, stderr=subprocess.PIPE, text=True)
        first = self.process.stderr.readline()
        if self.address not in first:
            self.process.kill()
            raise AssertionError(first + self.process.communicate()[1])
        self.token = first.partition(self.address)[2].partition(" ")[0].removeprefix("#")

    def num_streams(self) -> int:
        with urllib.request.urlopen(f"{self.address}live/status") as answer:
            return json.load(answer)["streams"]

    def files(self) -> list[Path]:
        """All that lies in the folder for its temporary files."""
        return [Path(folder, name) for folder, _, names in os.walk(self.folder) for name in names]

    def uploads(self) -> list[Path]:
        """The folders of uploads that are received or wait."""
        return list(self.folder.glob(f"actionstream-page-*/uploads/{32 * '[0-9a-f]'}"))

    def end(self) -> str:
        """Stop it as a user would; what it said on standard error."""
        self.process.terminate()
        said = self.process.communicate(timeout=30)[1]
        assert self.process.returncode == 143, said
        return said


@contextmanager
def server(*options: str, folder: Path, command: str = "demo") -> Iterator[Server]:
    """A server that has said nothing on standard error when it ends, and leaves nothing in its folder."""
    one = Server(*options, folder=folder, command=command)
    try:
        yield one
        assert one.end() == ""
        assert one.files() == []
    finally:
        one.process.kill()
        one.process.wait()
        one.process.stderr.close()


def write_camera(path: Path, pieces: Sequence[tuple[int, float, float]] = ()) -> Path:
    """The sample as Y4M, 15 frames a second, with a mark in the corner whose brightness says which movement it is.

    pieces  number for the mark, begin and end in seconds, in the order in which they are shown; all of it unless given
    """
    with av.open(str(SAMPLE)) as film:
        pictures = [(each.time, each.reformat(WIDTH, HEIGHT, "yuv420p").to_ndarray()) for each in film.decode(video=0)]
    pictures = pictures[::2]
    pieces = pieces or [(n, 2 * n, 2 * n + 2) for n in range(len(MOVEMENTS))]
    with path.open("wb") as file:
        file.write(f"YUV4MPEG2 W{WIDTH} H{HEIGHT} F15:1 Ip A1:1 C420jpeg\n".encode())
        for number, begin, end in pieces:
            for planes in [planes.copy() for time, planes in pictures if begin <= time < end]:
                planes[:MARK, :MARK] = 16 + 18 * number
                for colour in planes[HEIGHT:].reshape(2, HEIGHT // 2, WIDTH // 2):
                    colour[: MARK // 2, : MARK // 2] = 128
                file.write(b"FRAME\n" + np.ascontiguousarray(planes).tobytes())
    return path


@contextmanager
def chromium(playwright, camera: Path) -> Iterator:
    """A browser; `new_page` of it or of its contexts."""
    if not CHROMIUM.exists():
        missing("Debian's chromium (.ci/packages.txt)")
    switches = [
        "--use-fake-device-for-media-stream",
        "--use-fake-ui-for-media-stream",
        f"--use-file-for-fake-video-capture={camera}",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
    ]
    browser = playwright.chromium.launch(executable_path=CHROMIUM, args=switches)
    try:
        yield browser
    finally:
        browser.close()


@contextmanager
def visit(browser, address: str, *, token: str = "", **options) -> Iterator:
    """An open page of a visitor of its own, which in the end has said no error and asked nobody else for anything.

    token  of the project that `actionstream annotate` has open, so that its tab is shown first

    Gradio asks how far a small file has come when it has arrived already: what is said of that does not count.
    """
    context = browser.new_context(**{"viewport": {"width": 1200, "height": 900}, **options})
    errors, strangers = [], []
    page = context.new_page()
    page.set_default_timeout(20_000)
    page.on("console", lambda message: errors.append(said(message)) if message.type == "error" else None)
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("request", lambda request: strangers.append(request.url) if is_strange(request.url, address) else None)
    page.goto(f"{address}#{token}" if token else address)
    page.get_by_role("button", name="Draft" if token else "Start", exact=bool(token)).wait_for()
    try:
        yield page
        late = any("/upload_progress" in text for text in errors)
        assert [text for text in errors if not (late and re.match("Response |.*/upload_progress", text))] == []
        assert strangers == []
    finally:
        context.close()


def said(message) -> str:
    return f"{message.text} ({message.location['url']})"


def is_strange(url: str, address: str) -> bool:
    return not url.startswith((address, "data:", f"blob:{address}"))


def part(page, name: str):
    return page.locator(f'[data-part="{name}"]')


OURS = '[class^="as-"], [class*=" as-"], [data-part]'
"""Where our own markup begins; all else is gradio's."""
AXE = """
async (ours) => (await axe.run(document)).violations.flatMap(({ id, nodes }) => nodes.map(({ target, html }) => {
  const element = document.querySelector(target.at(-1));
  const role = element.getAttribute("role");
  const isOurs = element.closest(ours) !== null;
  return [id, element.tagName.toLowerCase() + (role ? `[role=${role}]` : ""), isOurs, isOurs ? html : ""];
}))
"""


class Fault(NamedTuple):
    """What axe finds wrong: its rule, the element, whether that is our own markup, and this markup."""

    rule: str
    element: str
    is_ours: bool
    html: str


def find_faults(page) -> set[Fault]:
    """The faults that axe finds in all that the page shows, light and dark; skips where axe is not installed."""
    axe = pytest.importorskip("axe_playwright_python")
    script = Path(axe.__file__).with_name("axe.min.js").read_text()
    found = set()
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        page.wait_for_function("(dark) => document.body.classList.contains('dark') === dark", arg=scheme == "dark")
        page.wait_for_timeout(500)  # colours change slowly
        page.evaluate(script)
        found |= {Fault(*each) for each in page.evaluate(AXE, OURS)}
    return found


def wait_until(condition, seconds: float = 15.0) -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.1)


def take_pictures(page, folder: Path, name: str) -> None:
    """Of the whole page, as a desktop shows it and, dark, a phone; on that nothing is wider than the screen."""
    page.set_viewport_size({"width": 1280, "height": 800})
    page.evaluate("document.activeElement.blur(); scrollTo(0, 0)")
    page.wait_for_timeout(500)
    page.screenshot(path=folder / f"page-{name}.png")
    page.set_viewport_size(PHONE)
    page.emulate_media(color_scheme="dark")
    page.wait_for_timeout(500)
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    assert page.evaluate("document.body.classList.contains('dark')")
    page.screenshot(path=folder / f"page-{name}-phone.png", full_page=True)
