"""The store of a service: order, cursors, open events, and what stays after a kill."""

import os
import random
import signal
import sqlite3
import stat
import subprocess
import sys
import threading
import time
from dataclasses import replace

import pytest
from event_records import records

from actionstream.models.common.errors import ActionstreamError
from actionstream.serve.store import FILE, LAYOUT, Store


@pytest.fixture
def store(tmp_path):
    opened = Store(tmp_path)
    yield opened
    opened.close()


def tell(store, told, picture=None):
    return store.append((record, picture) for record in told)


def test_records_come_back_as_they_were_with_their_pictures(store):
    told = [replace(record, region="Tür", clip="hall/a.mp4", reason=None) for record in records(6)]
    store.set_sinks(["a"])
    assert tell(store, told[:1], b"jpeg") == 1
    assert tell(store, told[1:]) == 5
    found = store.after("a", 100)
    assert [stored.record for stored in found] == told
    assert [stored.picture for stored in found] == [b"jpeg"] + [None] * 5
    assert [stored.number for stored in found] == sorted({stored.number for stored in found})
    assert store.after("a", 2) == found[:2]
    store.taken("a", found[1].number)
    assert store.after("a", 100) == found[2:]
    assert store.backlog("a") == 4


def test_no_event_ends_twice_or_goes_on_after_its_end(store):
    new, update, end = records(3)
    store.set_sinks(["a"])
    assert tell(store, [update, end]) == 0  # an event that was never told of
    assert tell(store, [new, new]) == 1
    assert store.open_events() == [new]
    assert tell(store, [update]) == 1
    assert store.open_events() == [update]
    assert tell(store, [end, end, update]) == 1
    assert store.open_events() == []
    assert [stored.record for stored in store.after("a", 10)] == [new, update, end]


def test_open_events_come_oldest_first_and_outlive_the_store(tmp_path):
    told = [record for _ in range(3) for record in records(1)]
    store = Store(tmp_path)
    tell(store, reversed(told))
    store.close()
    store = Store(tmp_path)
    assert store.open_events() == sorted(told, key=lambda record: record.id)
    store.close()


def test_new_sinks_begin_with_the_next_record_and_removed_ones_are_forgotten(tmp_path):
    told = records(9)
    store = Store(tmp_path)
    store.set_sinks(["old"])
    tell(store, told[:3])
    store.set_sinks(["old", "new"])
    tell(store, told[3:6])
    assert [stored.record for stored in store.after("new", 10)] == told[3:6]
    assert [stored.record for stored in store.after("old", 10)] == told[:6]
    store.taken("old", store.after("old", 2)[-1].number)
    store.close()
    store = Store(tmp_path)  # a restart is no change
    store.set_sinks(["new", "old"])
    assert (store.backlog("new"), store.backlog("old")) == (3, 4)
    store.set_sinks(["new"])
    assert store.after("old", 10) == []
    store.set_sinks(["new", "old"])
    tell(store, told[6:])
    assert [stored.record for stored in store.after("old", 10)] == told[6:]
    store.set_sinks([])
    store.close()


def test_pruning_keeps_what_a_sink_has_not_taken(store):
    told = records(30)
    store.set_sinks(["fast", "slow"])
    tell(store, told, b"jpeg")
    numbers = [stored.number for stored in store.after("fast", 30)]
    store.taken("fast", numbers[-1])
    store.taken("slow", numbers[9])
    assert store.prune(before_wall=told[4].start_wall) == 0
    kept = store._database.execute("SELECT number, picture IS NULL FROM records").fetchall()
    assert [bool(without) for _, without in kept] == [True] * (len(kept) - 20) + [False] * 20
    assert len(kept) < 30
    assert [stored.number for stored in store.after("slow", 30)] == numbers[10:]
    assert store.prune(before_wall=1e12) == 0
    assert store.backlog("slow") == 20
    assert store.prune(before_wall=0, most=5) == 15  # lost for the slow one, and said
    assert [stored.record for stored in store.after("slow", 30)] == told[-5:]
    assert tell(store, records(1)) == 1  # numbers are not given twice
    assert store.newest == numbers[-1] + 1


def test_pictures_are_bounded_where_a_sink_is_away(store, monkeypatch):
    monkeypatch.setattr("actionstream.serve.store.MOST_PICTURES", 4)
    store.set_sinks(["away"])
    told = records(9)
    tell(store, told, b"jpeg")
    assert store.prune(before_wall=1e12) == 0
    found = store.after("away", 100)
    assert [stored.record for stored in found] == told
    assert [stored.picture is not None for stored in found] == [False] * 5 + [True] * 4


def test_pruning_without_sinks(store):
    tell(store, records(3))
    assert store.prune(before_wall=1e12) == 0
    assert store._one("SELECT count(*) FROM records") == 0


def test_switches_and_the_heartbeat_outlive_the_store(tmp_path):
    store = Store(tmp_path)
    assert store.enabled("hall")
    assert store.last_beat() is None
    store.set_enabled("hall", False)
    store.beat(10.0)
    store.beat(20.5)
    store.close()
    store = Store(tmp_path)
    assert not store.enabled("hall")
    assert store.enabled("door")
    assert store.last_beat() == 20.5
    store.set_enabled("hall", True)
    assert store.enabled("hall")
    store.close()


def test_those_who_wait_are_woken_by_records(store):
    store.set_sinks(["a"])
    waiting = threading.Thread(target=store.wait, args=(store.newest, 60))
    waiting.start()
    tell(store, records(1))
    waiting.join(20)
    assert not waiting.is_alive()
    store.wait(0, 60)  # there is one already
    waiting = threading.Thread(target=store.wait, args=(store.newest, 60))
    waiting.start()
    while waiting.is_alive():
        store.wake()
        time.sleep(0.01)


def test_a_store_of_another_layout_is_refused(tmp_path):
    Store(tmp_path).close()
    with sqlite3.connect(tmp_path / FILE) as database:
        database.execute(f"PRAGMA user_version = {LAYOUT + 1}")
    database.close()
    with pytest.raises(ActionstreamError, match=rf"has layout {LAYOUT + 1}; .* reads layout {LAYOUT}; move the file"):
        Store(tmp_path)


def test_a_file_that_is_no_store_is_refused(tmp_path):
    (tmp_path / FILE).write_bytes(b"this is no database" * 1000)
    with pytest.raises(ActionstreamError, match=r"the store .* cannot be used: file is not a database"):
        Store(tmp_path)


def test_a_damaged_store_is_refused_with_what_to_do(tmp_path):
    store = Store(tmp_path)
    tell(store, records(300))
    store.close()
    path = tmp_path / FILE
    data = path.read_bytes()
    path.write_bytes(data[:4096] + bytes(len(data) - 4096))
    with pytest.raises(ActionstreamError, match=r"cannot be used: .*malformed; if it is damaged, move it away"):
        Store(tmp_path)


def test_folders_that_cannot_be_used(tmp_path):
    (tmp_path / "file").write_text("")
    for folder in (tmp_path / "file", tmp_path / "file" / "below", "/proc/actionstream"):
        with pytest.raises(ActionstreamError, match=r"the state folder .* cannot be used"):
            Store(tmp_path / folder)


def test_others_cannot_read_the_folder(tmp_path):
    Store(tmp_path / "state").close()
    assert stat.S_IMODE((tmp_path / "state").stat().st_mode) == 0o700


APPENDING = """
import sys
from pathlib import Path
from event_records import records
from actionstream.serve.store import Store
store = Store(Path(sys.argv[1]))
store.set_sinks(["a"])
while True:
    told = records(3, camera=sys.argv[2])
    for record in told:
        store.append([(record, None)])
        print(record.key, flush=True)
"""


@pytest.mark.slow
def test_a_kill_loses_no_record_that_was_stored_and_tells_none_twice(tmp_path):
    """What a process said after `append` is in the store; at most one record more, and no event is open twice."""
    said, taken, chance = [], [], random.Random(2)
    for turn in range(12):
        process = subprocess.Popen(
            [sys.executable, "-c", APPENDING, tmp_path, f"camera {turn}"],
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        )
        lines = [process.stdout.readline() for _ in range(chance.randrange(1, 60))]
        process.send_signal(signal.SIGKILL)
        lines += process.stdout.read().splitlines(keepends=True)
        process.wait()
        process.stdout.close()
        keys = [line.strip() for line in lines if line.endswith("\n")]
        store = Store(tmp_path)
        store.set_sinks(["a"])
        found = store.after("a", 10_000)
        got = [stored.record.key for stored in found]
        assert got[: len(keys)] == keys
        assert len(got) <= len(keys) + 1
        said += keys
        taken += got
        store.taken("a", found[-1].number)
        for event in store.open_events():  # as a service does when it comes back
            end = replace(event, type="end", seq=event.seq + 1, reason="restart", end_seconds=1.0, end_wall=1.9e9)
            assert store.append([(end, None), (end, None)]) == 1
        assert store.open_events() == []
        taken += [stored.record.key for stored in store.after("a", 10)]
        store.taken("a", store.newest)
        store.close()
    assert len(set(taken)) == len(taken)
    assert set(said) <= set(taken)
    events = [key.rsplit("-", 2) for key in taken]
    new, end = ({event for event, kind, _ in events if kind == which} for which in ("new", "end"))
    assert new == end
