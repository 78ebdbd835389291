"""Several sources from the command line, and a list of them that changes while it is followed."""

import json
import os
import pty
import signal
import subprocess
import sys
import time
from itertools import islice
from pathlib import Path

import av
import pytest
from helpers import images, write_video
from servers import free_port

from actionstream.live.watch_list import WatchList
from actionstream.models.common.errors import ActionstreamError
from actionstream.sources.camera import _linux_cameras

pytestmark = pytest.mark.waits

COMMAND = Path(sys.executable).with_name("actionstream")


@pytest.fixture
def films(tmp_path):
    return [write_video(tmp_path / f"{name}.mkv", images(30, seed)) for seed, name in enumerate("ab")]


def values_of(out):
    return [json.loads(line) for line in out.splitlines()]


def test_several_sources_in_one_table(films, run, tmp_path):
    code, out, err = run("watch", *films, films[0], "--json", "--save", tmp_path / "out")
    assert (code, err) == (0, "")
    values = values_of(out)
    streams = {"a.mkv", "b.mkv", "a.mkv (2)"}
    assert {value["stream"] for value in values} == streams
    closes = {value["stream"]: value for value in values if value.get("event") == "close"}
    assert {stream: close["labelled"] for stream, close in closes.items()} == dict.fromkeys(streams, 15)
    assert all(close["dropped"] == {"between samples": 15} for close in closes.values())
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"a.mkv.mp4", "b.mkv.mp4", "a.mkv_2_.mp4"}
    for path in (tmp_path / "out").iterdir():
        with av.open(str(path)) as container:
            assert len(list(container.decode(video=0))) == 30
    code, out, err = run("watch", *films)
    assert (code, err) == (0, "")
    assert "a.mkv: 30 frames, 15 labelled" in out
    assert "b.mkv: 30 frames, 15 labelled" in out


def test_a_row_for_each_on_a_terminal(films):
    master, slave = pty.openpty()
    environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "120", "LINES": "40"}
    command = [COMMAND, "watch", "sample", f"rtsp://127.0.0.1:{free_port()}/cam", "--realtime", "--max-frames", "60"]
    process = subprocess.Popen([*command, "--retries", "2"], stdout=slave, stderr=slave, env=environment)
    os.close(slave)
    screen = b""
    try:
        while part := os.read(master, 65536):
            screen += part
    except OSError:  # the terminal closes when the program has ended
        pass
    os.close(master)
    text = screen.decode()
    assert process.wait(30) == 1
    for words in ("sample.mp4", "connecting", "disconnected", "frames/s", "connection refused; trying again in"):
        assert words in text


def test_what_fails_alone_and_what_is_refused(films, run, tmp_path):
    films[0].write_bytes(films[0].read_bytes()[: films[0].stat().st_size // 2])
    code, out, err = run("watch", *films, "--json")
    assert (code, err.count("\n"), "a.mkv is cut short" in err) == (1, 1, True)
    closes = {value["stream"]: value for value in values_of(out) if value.get("event") == "close"}
    assert (closes["b.mkv"]["reason"], closes["b.mkv"]["received"]) == (None, 30)
    assert closes["a.mkv"]["reason"].startswith("a.mkv is cut short")
    for arguments, words in [
        ([], "watch has no source; give a SOURCE"),
        ([films[1], "absent.mp4"], "no such file: absent.mp4"),
        ([*films, "--save", "out.mp4"], "--save is the file out.mp4; expected a folder"),
        (["sample", "--stall-timeout", "0"], "stall_seconds is 0.0; it must be a positive number"),
        (["97", "--retries", "5"], "camera 97 cannot be opened"),
        (["--watch-list", "absent.txt"], "the watch list absent.txt cannot be read: No such file or directory"),
        ([f"rtsp://me:secret@127.0.0.1:{free_port()}/x", "--retries", "0"], "/x cannot be opened: connection refused"),
    ]:
        code, out, err = run("watch", *arguments)
        assert (code, out, err.count("\n"), words in err, "secret" in err) == (2, "", 1, True, False), err


def test_a_watch_list_is_followed(films, tmp_path):
    """From the outside: lines come, go and are wrong, and the program goes on until it is told to stop."""
    listed = tmp_path / "list.txt"
    listed.write_text(f"# two films\n\n{films[0]} as first\nabsent.mp4\n")
    process = subprocess.Popen(
        [COMMAND, "watch", "--watch-list", listed, "--json", "--realtime"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )

    def read_until(words):
        for line in process.stdout:
            if words in line:
                return json.loads(line)
        return pytest.fail(f"no {words}")

    assert read_until('"close"')["stream"] == "first"
    time.sleep(1)
    listed.write_text("sample as second\n")
    assert read_until("labels")["stream"] == "second"
    listed.unlink()
    time.sleep(1.2)
    listed.write_text(f"{films[1]}\n")
    assert read_until('"close"')["stream"] == "second"
    assert read_until('"close"')["stream"] == "b.mkv"
    process.send_signal(signal.SIGTERM)
    with process.stdout, process.stderr:
        assert process.stdout.read() == ""
        told = process.stderr.read().splitlines()
    assert process.wait(10) == 143
    assert [line.split(":")[1].strip() for line in told] == [
        "no such file",
        f"the watch list {listed} cannot be read",
    ]


def test_a_line_that_stays_is_left_alone(tmp_path):
    done = []
    path = tmp_path / "list"

    def add(source, name):
        done.append(("add", source, name))
        if source == "bad":
            raise ActionstreamError("bad is bad")
        return name or source

    def remove(name):
        done.append(("remove", name))
        raise ActionstreamError("it has ended already")

    said = []
    followed = WatchList(path, add=add, remove=remove, say=said.append)
    path.write_text("a\nbad\nb c as d e\n")
    followed.poll()
    assert done == [("add", "a", None), ("add", "bad", None), ("add", "b c", "d e")]
    assert said == []
    for _ in range(3):
        done.clear()
        followed.poll()
        assert (done, said) == ([("add", "bad", None)], ["bad is bad"])
    done.clear()
    path.write_text("a\n# b c as d e\nx\nnew as a\n")  # "new" takes the name of "a", which has ended
    followed.poll()
    assert done == [("remove", "d e"), ("add", "x", None), ("add", "new", "a")]
    done.clear()
    path.write_text("x\nnew as a\n")
    followed.poll()
    assert done == []  # and is not ended with the line of its predecessor
    assert said == ["bad is bad"]
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ValueError, match=r"the watch list .* cannot be read: it is no text"):
        WatchList(path, add=add, remove=remove, say=said.append).start()


class Streams:
    """What a watch list did with lines, in order."""

    def __init__(self, path):
        self.done, self.said = [], []
        self.list = WatchList(path, add=self.add, remove=self.remove, say=self.said.append)

    def add(self, source, name):
        self.done.append(("add", source, name))
        return name or source

    def remove(self, name):
        self.done.append(("remove", name))


def until(condition):
    end = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_a_failed_line_is_tried_again_while_the_file_stays(tmp_path, monkeypatch):
    monkeypatch.setattr("actionstream.live.followed_file.POLL_SECONDS", 0.02)
    (tmp_path / "list").write_text("bad\n")
    tries, said = [], []

    def add(source, name):
        tries.append(source)
        if len(tries) < 4:
            raise ActionstreamError("bad is bad")
        return source

    follow = WatchList(tmp_path / "list", add=add, remove=print, say=said.append)
    follow.start()
    until(lambda: len(tries) == 4)
    follow.stop()
    assert said == ["bad is bad"]


def test_a_line_that_is_too_long(tmp_path):
    (tmp_path / "list").write_text(f"# two\n{'a' * 5000}\n")
    follow = WatchList(tmp_path / "list", add=print, remove=print, say=print)
    with pytest.raises(ActionstreamError, match=r"^line 2 of the watch list has 5,000 characters; a source has 4096"):
        follow.start()


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_lists_of_any_editor(tmp_path, encoding, end):
    path = tmp_path / "list"
    path.write_bytes(end.join(["sample as Küche", "", "# none", "rtsp://cam/x"]).encode(encoding))
    streams = Streams(path)
    streams.list.poll()
    assert streams.done == [("add", "sample", "Küche"), ("add", "rtsp://cam/x", None)]


def test_lists_in_utf_16_and_names_with_odd_spaces(tmp_path):
    added = []
    path = tmp_path / "list.txt"
    path.write_bytes("a.mp4 as door\u2028left\r\nb.mp4\r\n".encode("utf-16"))
    follow = WatchList(path, add=lambda source, name: added.append((source, name)) or source, remove=print, say=print)
    follow.poll()
    assert added == [("a.mp4", "door\u2028left"), ("b.mp4", None)]


def test_as_in_a_path(tmp_path, monkeypatch):
    """What is there is meant; else the last one begins the name."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "same as before"
    folder.mkdir()
    for name in ("film.mp4", "a as b.mp4", "1.png"):
        (folder / name).touch()
    expected = {
        f"{folder}/film.mp4": (f"{folder}/film.mp4", None),
        f"{folder}/film.mp4 as door": (f"{folder}/film.mp4", "door"),
        f"{folder}/a as b.mp4": (f"{folder}/a as b.mp4", None),
        f"{folder}/a as b.mp4 as door": (f"{folder}/a as b.mp4", "door"),
        f"{folder}": (f"{folder}", None),
        "same as before": ("same as before", None),
        "same as before as now": ("same as before", "now"),
        f"{folder}/*.png": (f"{folder}/*.png", None),
        f"{folder}/*.png as pictures": (f"{folder}/*.png", "pictures"),
        "rtsp://cam/x as as": ("rtsp://cam/x", "as"),
        "0 as door as seen": ("0 as door", "seen"),
        "assign": ("assign", None),
    }
    (tmp_path / "list").write_text("\n".join(expected))
    streams = Streams(tmp_path / "list")
    streams.list.poll()
    assert [each[1:] for each in streams.done] == list(expected.values())


@pytest.mark.parametrize(
    "line",
    [
        "0 as hall --threshold 0.9",
        "rtsp://cam/x --rate 5",
        "a.mp4 as hall --json",
        "rtsp://cam/x threshold=0.9",
        "rtsp://me:pass word@cam/x as hall",
    ],
)
def test_a_line_has_no_options(line, tmp_path, monkeypatch):
    """They would be a part of the name without a word."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.mp4").touch()
    (tmp_path / "b --c.mp4").touch()
    (tmp_path / "list").write_text(f"{line}\nb --c.mp4 as door\n")
    added, said = [], []
    follow = WatchList(
        tmp_path / "list", add=lambda *each: added.append(each) or each[0], remove=print, say=said.append
    )
    follow.poll()
    follow.poll()
    assert added == [("b --c.mp4", "door")]
    option = next((word for word in line.split() if word.startswith("--")), "words after its address")
    assert len(said) == 1
    assert said[0].startswith(f"a line of the watch list has {option}; expected SOURCE or SOURCE as NAME; ")
    assert "pass" not in said[0]


def test_sources(run, tmp_path):
    code, out, err = run("sources")
    assert code == 0
    if not out:
        assert err.startswith("actionstream: no camera is attached; a source can also be a file, an address")
    for number, index, name in [(10, 0, "Second"), (2, 0, "Webcam"), (3, 1, "Webcam")]:
        device = tmp_path / f"video{number}"
        device.mkdir()
        (device / "index").write_text(f"{index}\n")
        (device / "name").write_text(f"{name}\n")
    assert _linux_cameras(tmp_path) == [("2", "Webcam"), ("10", "Second")]


def test_a_name_can_get_another_source(tmp_path, films):
    """The stream that has the name ends first, and the new one follows."""
    listed = tmp_path / "list.txt"
    listed.write_text("sample as door\n")
    process = subprocess.Popen(
        [COMMAND, "watch", "--watch-list", listed, "--json", "--realtime"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process.stdout, process.stderr:
        assert any("labels" in line for line in process.stdout)
        listed.write_text(f"{films[0]} as door\n")
        closes = [json.loads(line) for line in islice((x for x in process.stdout if '"close"' in x), 2)]
        process.terminate()
        assert [close["stream"] for close in closes] == ["door", "door"]
        assert closes[1]["received"] == 30
        process.stdout.read()
        assert process.stderr.read() == ""
    assert process.wait(10) == 143
