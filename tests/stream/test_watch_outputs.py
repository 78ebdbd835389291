"""What `watch` writes to: a reader that stalls holds up nobody, and --json takes a file."""

import json
import os
import shlex
import subprocess
import sys
import time
from pathlib import Path

import pytest
from helpers import on_a_terminal

from actionstream import open_source

pytestmark = pytest.mark.waits

COMMAND = Path(sys.executable).with_name("actionstream")
SOURCES = ["sample"] * 2
FRAMES = 330 * len(SOURCES)


def values(text):
    return [json.loads(line) for line in text.splitlines()]


def frames_of(lines):
    """The frames of the predictions, by stream, in order."""
    found = {}
    for value in lines:
        if "labels" in value:
            found.setdefault(value["stream"], []).append(value["frame"])
    return found


def is_written(path, count):
    """Wait until a file has so many predictions; how many it has after a minute."""
    for _ in range(600):
        found = path.read_text().count('"labels"') if path.exists() else 0
        if found >= count:
            break
        time.sleep(0.1)
    return found


@pytest.mark.parametrize("both", [False, True])
def test_a_reader_that_stalls_holds_up_nobody(tmp_path, both):
    """All labels are in a file, and all frames in the videos, before a byte of the pipe is read; then all is there.

    Also where messages go into the same pipe.
    """
    path = tmp_path / "lines.jsonl"
    arguments = [*SOURCES, "--json", "--json", path, "--save", tmp_path / "videos"]
    read, write = os.pipe()
    errors = write if both else subprocess.DEVNULL
    process = subprocess.Popen([COMMAND, "watch", *arguments], stdout=write, stderr=errors)
    os.close(write)
    try:
        assert is_written(path, FRAMES) == FRAMES
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(1.0)  # at its end it waits for the reader
        videos = list((tmp_path / "videos").glob("*.mp4"))
        assert [len(list(open_source(video))) for video in videos] == [660] * len(SOURCES)
        with open(read) as pipe:
            printed = pipe.read()
        assert process.wait(20) == 0
    finally:
        process.kill()
        process.wait()
    assert printed == path.read_text()
    assert set(map(tuple, frames_of(values(printed)).values())) == {tuple(range(0, 660, 2))}


def test_sources_at_their_own_speed_go_on_beside_a_reader_that_sleeps(tmp_path):
    """As a shell starts it: the reader sleeps until most labels are in the file; all come, and in order."""
    path = tmp_path / "lines.jsonl"
    watch = [COMMAND, "watch", *SOURCES, "--realtime", "--max-frames", "200", "--json"]
    command = shlex.join(map(str, [*watch, f"--json={path}"]))
    reader = "(while [ ! -e go ]; do sleep 0.1; done; cat > read)"
    shell = subprocess.Popen(["bash", "-c", f"{command} | {reader}"], cwd=tmp_path)
    assert is_written(path, 170) >= 170, "80,000 bytes, which are more than a pipe holds"
    (tmp_path / "go").touch()
    assert shell.wait(60) == 0
    lines = path.read_text()
    assert (tmp_path / "read").read_text() == lines
    assert list(frames_of(values(lines)).values()) == [list(range(0, 200, 2))] * 2


def test_a_terminal_that_is_stopped_holds_up_nobody(tmp_path):
    """Nobody reads the terminal; the table is drawn again and again, and the labels go on."""
    import pty

    master, slave = pty.openpty()
    path = tmp_path / "lines.jsonl"
    environment = {**os.environ, "TERM": "xterm-256color"}
    command = [COMMAND, "watch", "sample", "sample", "--realtime", "--json", path]
    process = subprocess.Popen(command, stdout=slave, stderr=slave, env=environment)
    os.close(slave)
    try:
        assert is_written(path, 150) >= 150
    finally:
        process.kill()
        process.wait()
        os.close(master)


def test_json_takes_a_file_or_nothing(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    short = ("--max-frames", 20)
    for arguments, files, is_json in [
        (("--json", "sample"), [], True),
        (("sample", "--json"), [], True),
        (("sample", "--json=-"), [], True),
        (("sample", "--json", "a.jsonl"), ["a.jsonl"], False),
        (("sample", "--json", "b.NDJSON", "--json", "c.json"), ["b.NDJSON", "c.json"], False),
        (("--json=lines.txt", "sample"), ["lines.txt"], False),
        (("--json", "d.jsonl", "--json", "sample"), ["d.jsonl"], True),
        (("sample", "--json", "--json=e.jsonl"), ["e.jsonl"], True),
        (("--json", "--", "sample"), [], True),
    ]:
        code, out, err = run("watch", *short, *arguments)
        assert (code, err) == (0, ""), arguments
        assert out.startswith("{") == is_json, arguments
        for name in files:
            written = Path(name).read_text()
            assert len(frames_of(values(written))["sample.mp4"]) == 10
            assert written == out or not is_json
            Path(name).unlink()
        assert list(tmp_path.iterdir()) == []


def test_json_files_rotate(run, tmp_path):
    path = tmp_path / "a.jsonl"
    run("watch", "sample", "--json", path, "--json-megabytes", 0.03, "--json-keep", 3)
    files = sorted(tmp_path.iterdir(), key=lambda file: (file == path, file))
    assert len(files) == 4
    assert all(file.stat().st_size <= 30_000 for file in files)
    frames = frames_of(values("".join(file.read_text() for file in files)))["sample.mp4"]
    assert frames == list(range(frames[0], 660, 2))
    assert frames[0] > 0
    before = path.read_text()
    run("watch", "sample", "--json", path, "--max-frames", 2)
    assert path.read_text().startswith(before), "without the options too: it is appended"
    assert len(path.read_text()) > len(before)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--json-keep", "3"], "--json-keep is for a FILE of --json; give both, or leave it out"),
        (["--json", "--json-hours", "3"], "--json-hours is for a FILE of --json; give both, or leave it out"),
        (["--json", "a.json", "--json-hours", "0"], "--json-hours is 0; expected a number above 0"),
        (["--json", "a.json", "--json-megabytes", "nan"], "--json-megabytes is nan; expected a number above 0"),
        (["--json", "no/a.json"], "no/a.json cannot be written: No such file or directory"),
        (["--json=."], ". cannot be written: it is not an ordinary file"),
    ],
)
def test_what_is_refused(run, tmp_path, monkeypatch, arguments, words):
    monkeypatch.chdir(tmp_path)
    assert run("watch", "sample", *arguments) == (2, "", f"actionstream: {words}\n")
    assert list(tmp_path.iterdir()) == []


def test_events_only(run, tmp_path):
    path = tmp_path / "events.jsonl"
    code, out, _ = run("watch", "sample", "--json", path, "--events")
    told = values(path.read_text())
    ends = [value["label"] for value in told if value["event"] == "end"]
    assert code == 0
    assert {value["event"] for value in told} == {"start", "end", "close"}
    assert [line.split()[-1] for line in out.splitlines()] == ends
    code, text = on_a_terminal([COMMAND, "watch", "sample", "--events", "--max-frames", "200"])
    assert code == 0
    assert "\x1b[?25l" not in text, "a table hides the cursor"
    assert "still" in text
    assert "frames" not in text
