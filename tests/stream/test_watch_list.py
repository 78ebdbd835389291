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

from stream.sources.camera import _linux_cameras
from stream.watch_list import WatchList

pytestmark = pytest.mark.alone

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
        ([], "nothing to watch: give a SOURCE"),
        ([films[1], "absent.mp4"], "no such file: absent.mp4"),
        ([*films, "--save", "out.mp4"], "out.mp4: where there are several streams, --save wants a folder"),
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
            raise ValueError("bad is bad")
        return name or source

    def remove(name):
        done.append(("remove", name))
        raise ValueError("it has ended already")

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


def test_sources(run, tmp_path):
    code, out, err = run("sources")
    assert code == 0
    if not out:
        assert err.startswith("actionstream: no camera is attached here; a source can also be a file, an address")
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
