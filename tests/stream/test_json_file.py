"""The file of JSON lines as a sink."""

import json
import os

import pytest
from event_records import records

from actionstream.serve.delivery import SinkError
from actionstream.serve.json_file import JsonFileSink
from actionstream.serve.store import Stored


def open_sink(path, max_bytes=1e6):
    return JsonFileSink(path, max_bytes=max_bytes, max_seconds=1e9, keep=100, clock=lambda: 1.8e9)


def test_records_that_are_taken_stand_on_the_disk(tmp_path, monkeypatch):
    """Each byte is synchronized before `send` returns, in the files that are renamed, too."""
    sizes, sync = {}, os.fsync

    def noted(number):
        sync(number)
        state = os.fstat(number)
        sizes[state.st_ino] = state.st_size

    monkeypatch.setattr(os, "fsync", noted)
    told = records(20)
    sink = open_sink(tmp_path / "events.jsonl", max_bytes=2000)
    assert sink.send([Stored(number, record) for number, record in enumerate(told)]) == 20
    files = sorted(tmp_path.iterdir(), key=lambda path: (path.name == "events.jsonl", path.name))
    assert len(files) > 2
    assert {path.stat().st_ino: path.stat().st_size for path in files} == sizes
    lines = [json.loads(line) for path in files for line in path.read_text().splitlines()]
    assert lines == [record.to_dict() for record in told]
    sink.close()


def test_records_that_cannot_be_written_come_again(tmp_path, monkeypatch):
    told = [Stored(number, record) for number, record in enumerate(records(6))]
    sink, write = open_sink(tmp_path / "events.jsonl"), os.write

    def full(number, data):
        if told[3].record.id in data.decode():
            raise OSError(28, "No space left on device")
        return write(number, data)

    monkeypatch.setattr(os, "write", full)
    assert sink.send(told) == 3
    with pytest.raises(SinkError, match="No space left on device"):
        sink.send(told[3:])
    assert len((tmp_path / "events.jsonl").read_text().splitlines()) == 3
    sink.close()
