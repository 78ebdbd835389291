"""A service: cameras that come and go, events that end, settings that change, restarts."""

import json
import pickle
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from dataclasses import replace
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest
from broker import kept_by, listener, mosquitto
from event_records import records
from helpers import random_card, random_network
from servers import free_port

from actionstream.benchmarks.outages import measure_outages
from actionstream.models import save
from actionstream.models.common.errors import ActionstreamError
from actionstream.serve import cameras as cameras_module
from actionstream.serve import saved_streams
from actionstream.serve.board import Fact
from actionstream.serve.reading import parse_settings
from actionstream.serve.service import Service
from actionstream.serve.store import FILE, Store
from actionstream.sources import SAMPLE

SERVER = '[server]\nhttp = "off"\nstate_folder = "state"\ntime_zone = "UTC"\n'
DEFAULTS = '[defaults]\nsource = "sample"\nloop = true\nthreshold = 0.3\n'
MONDAY = 1_800_230_400.0  # 2027-01-18, 00:00 UTC


class Running:
    """A service in this process, from the text of its settings."""

    def __init__(self, folder, text, **options):
        folder.mkdir(exist_ok=True)
        self.folder = folder
        self.said = []
        self.service = Service(self.settings(text), say=self.said.append, **options)

    def settings(self, text):
        own, cameras = ("", text) if text.startswith("[") else text.split("\n", maxsplit=1)
        return parse_settings(f"{SERVER}{own}\n{DEFAULTS}{cameras}", self.folder / "cameras.toml")

    def until(self, holds, seconds=30.0):
        end = time.monotonic() + seconds
        while not holds():
            assert time.monotonic() < end, (self.said, self.service._board.facts())
            self.service.tick()
            time.sleep(0.05)

    def status(self, camera):
        value = self.service._board.get(Fact("status", camera))
        return value and value[0]

    def records(self):
        return records_of(self.folder)


def records_of(folder):
    with closing(sqlite3.connect(folder / "state" / FILE)) as database:
        return [json.loads(body) for (body,) in database.execute("SELECT body FROM records ORDER BY number")]


def ends(records, camera="door"):
    return [each["reason"] for each in records if each["type"] == "end" and each["camera"] == camera]


@pytest.fixture
def run(tmp_path):
    running = []

    def start(text, **options):
        running.append(Running(tmp_path, text, **options))
        return running[-1]

    yield start
    for each in running:
        each.service.stop()


def check_pairs(records):
    by_id = {}
    for each in records:
        by_id.setdefault(each["id"], []).append(each)
    assert by_id
    for told in by_id.values():
        assert [each["type"] for each in told] == ["new", *["update"] * (len(told) - 2), "end"]
        assert [each["seq"] for each in told] == list(range(len(told)))


def test_events_are_told_until_the_service_stops(tmp_path):
    door = Running(tmp_path, '[json]\npath = "events.jsonl"\n[cameras.door]\n')
    door.until(lambda: len(door.records()) > 4)
    assert door.status("door") == "live"
    door.service.stop()
    records = door.records()
    check_pairs(records)
    assert "stopped" in ends(records)
    lines = [json.loads(line) for line in (tmp_path / "events.jsonl").read_text().splitlines()]
    assert [(each["id"], each["seq"]) for each in lines] == [(each["id"], each["seq"]) for each in records]
    assert {each["schema"] for each in lines} == {"actionstream/1"}
    assert not door.said


def test_at_the_end_retained_topics_say_that_all_has_stopped(tmp_path):
    with mosquitto(tmp_path) as broker:
        cameras = '[cameras.door]\n[cameras.hall]\nsource = "none.mp4"\n'
        both = Running(tmp_path, f'[mqtt]\nhost = "127.0.0.1"\nport = {broker.port}\n{cameras}')
        with listener(broker.port, "actionstream/#") as heard:
            both.until(lambda: heard.last("actionstream/hall/status") == "failed")
            both.until(lambda: '"ON"' in str(heard.retained) and heard.last("actionstream/door/status") == "live")
            both.service.stop()
        kept = kept_by(broker.port)
    assert {kept[f"actionstream/{name}"] for name in ("available", "door/status", "hall/status")} == {"stopped"}
    assert not [topic for topic, payload in kept.items() if "/labels/" in topic and '"ON"' in payload]


def test_settings_choose_what_is_told(run):
    text = '[cameras.door]\nlabels = ["left", "up"]\n[cameras.hall]\nignored_labels = ["left"]\nupdate_seconds = 0.2\n'
    both = run(text + "[cameras.hall.regions]\nwest = [0, 0, 0.5, 1]\nall = [0, 0, 1, 1]\n")
    both.until(lambda: {("door", None), ("hall", "west"), ("hall", "all")} <= places(both.records()))
    both.until(lambda: any(each["type"] == "update" for each in both.records()))
    records = both.records()
    assert {each["label"] for each in records if each["camera"] == "door"} <= {"left", "up"}
    assert "left" not in {each["label"] for each in records if each["camera"] == "hall"}


def places(records):
    return {(each["camera"], each["region"]) for each in records}


@pytest.mark.filterwarnings("ignore:mc4_18 was trained")  # as it is, for clips
def test_models_run_as_the_settings_say(tmp_path, exports, monkeypatch):
    """Cameras of one model share it, where they run it in the same way."""
    monkeypatch.setenv("ACTIONSTREAM_CACHE", str(tmp_path / "cache"))
    card = replace(random_card("mc4_18"), num_frames=8)
    save(tmp_path / "clips.safetensors", random_network(card), card)
    modes = "".join(
        f'[cameras.{name}]\nmodel = "{tmp_path}/clips.safetensors"\nstreaming = "{name.split("_")[0]}"\n'
        for name in ("window", "causal", "causal_2", "delayed")
    )
    running = Running(tmp_path, f'runtime = "torch"\n{modes}')
    running.service.tick()
    cards = [watch.engine.card for watch in running.service._cameras._watches.values()]
    assert [(each.num_frames, each.delay_snippets) for each in cards] == [(8, 0), (1, 0), (1, 6)]
    running.service.stop()

    text = f'precision = "int8"\n[cameras.door]\nmodel = "{exports}/model.onnx"\n'
    running = Running(tmp_path / "int8", text)
    running.until(lambda: running.status("door") == "live", seconds=60)
    assert running.said == [f"{exports}/model.onnx runs with onnx in int8"]
    running.service.stop()


def test_a_schedule(run):
    now = [MONDAY + 7.9 * 3600]
    door = run('[cameras.door]\nschedule = { hours = "08:00-18:00", days = "mon-fri" }\n', clock=lambda: now[0])
    door.until(lambda: door.status("door") == "scheduled off")
    assert not door.service.counts()
    now[0] = MONDAY + 8 * 3600
    door.until(lambda: any(each["type"] == "new" for each in door.records()))
    now[0] = MONDAY + 18 * 3600
    door.until(lambda: door.status("door") == "scheduled off")
    check_pairs(door.records())
    assert "scheduled off" in ends(door.records())
    now[0] = MONDAY + 5 * 24 * 3600 + 12 * 3600
    door.until(lambda: door.status("door") == "scheduled off")


def test_a_switch_is_kept(tmp_path):
    door = Running(tmp_path, "[cameras.door]\n")
    door.until(lambda: any(each["type"] == "new" for each in door.records()))
    door.service._enable("door", False)
    door.until(lambda: door.status("door") == "disabled")
    assert "disabled" in ends(door.records())
    door.service.stop()
    again = Running(tmp_path, "[cameras.door]\n")
    again.until(lambda: again.status("door") == "disabled")
    assert not again.service.counts()
    again.service._enable("door", True)
    again.until(lambda: again.status("door") == "live")
    again.service.stop()


def test_only_what_changes_begins_anew(run):
    both = run("[cameras.door]\n[cameras.hall]\n")
    both.until(lambda: {"door", "hall"} == {each["camera"] for each in both.records()})
    before = both.service.counts()
    both.service.apply(both.settings("[cameras.door]\n[cameras.hall]\nthreshold = 0.5\n[cameras.new]\n"))
    both.until(lambda: both.status("new") == "live" and "settings changed" in ends(both.records(), "hall"))
    both.until(lambda: both.status("hall") == "live" and "hall" in both.service.counts())
    after = both.service.counts()
    assert after["door"].received > before["door"].received
    assert "settings changed" not in ends(both.records())
    both.service.apply(both.settings("[cameras.hall]\nthreshold = 0.5\n"))
    both.until(lambda: set(both.service.counts()) == {"hall"})
    assert both.status("door") is None
    assert "removed" in ends(both.records())


def test_a_camera_that_fails_is_tried_again(run, monkeypatch, tmp_path):
    monkeypatch.setattr(cameras_module, "FIRST_WAIT_SECONDS", 0.2)
    film = tmp_path / "film.mp4"
    both = run('[cameras.door]\nsource = "film.mp4"\n[cameras.hall]\n')
    both.until(lambda: both.status("door") == "failed" and both.status("hall") == "live")
    assert "no such file" in both.said[0]
    film.write_bytes(SAMPLE.read_bytes())
    both.until(lambda: both.status("door") == "live")


def test_a_file_ends_once(run):
    door = run("[cameras.door]\nloop = false\nrealtime = false\n")
    door.until(lambda: door.status("door") == "ended")
    check_pairs(door.records())
    assert "source ended" in ends(door.records())
    for _ in range(5):
        door.service.tick()
    assert door.status("door") == "ended"


def test_a_camera_is_stopped_just_after_it_has_ended_by_itself(tmp_path):
    door = Running(tmp_path, "[cameras.door]\nloop = false\nrealtime = false\n")
    door.service.tick()
    (watch,) = door.service._cameras._watches.values()
    end = time.monotonic() + 30
    while not watch.is_unused:
        assert time.monotonic() < end
        time.sleep(0.01)
    door.service.stop()  # the service has not taken note of the end
    check_pairs(door.records())


def test_of_a_camera_that_is_removed_nothing_is_true(run):
    both = run("[cameras.door]\n[cameras.hall]\n")
    both.until(lambda: both.status("door") == "live")
    both.service.apply(both.settings("[cameras.hall]\n"))
    both.service._board.set(Fact("status", "door"), ("live", None))  # as a frame does that was on its way
    both.until(lambda: set(both.service.counts()) == {"hall"})
    assert {fact.camera for fact in both.service._board.facts()} == {"hall"}


def test_a_failure_after_a_long_time_is_the_first_one(run, monkeypatch):
    monkeypatch.setattr(cameras_module, "FIRST_WAIT_SECONDS", 0.1)
    monkeypatch.setattr(cameras_module, "LONGEST_WAIT_SECONDS", 0.3)
    door = run("[cameras.door]\n")
    for _ in range(2):
        door.until(lambda: door.status("door") == "live")
        time.sleep(0.4)
        (watch,) = door.service._cameras._watches.values()
        with monkeypatch.context() as patched:
            patched.setattr(watch.engine, "score", lambda pairs: 1 / 0)
            door.until(lambda: door.status("door") == "failed")
        assert door.service._cameras._failures["door"].count == 1


def test_a_model_that_fails_begins_anew(run, monkeypatch):
    monkeypatch.setattr(cameras_module, "FIRST_WAIT_SECONDS", 0.2)
    door = run("[cameras.door]\n")
    door.until(lambda: any(each["type"] == "new" for each in door.records()))
    (watch,) = door.service._cameras._watches.values()
    monkeypatch.setattr(watch.engine, "score", lambda pairs: 1 / 0)
    door.until(lambda: any("division by zero" in line for line in door.said))
    monkeypatch.undo()
    num_records = len(door.records())
    door.until(lambda: len(door.records()) > num_records + 2 and door.status("door") == "live")


def test_one_service_has_a_state_folder(run, tmp_path):
    run("[cameras.door]\n")
    with pytest.raises(ActionstreamError, match=r"state is used by another service.* take another one with --state"):
        Running(tmp_path, "[cameras.door]\n")


def test_a_sink_that_cannot_be_opened_is_left_out_until_it_can(run, tmp_path):
    text = '[cameras.door]\n[json]\npath = "later/events.jsonl"\n'
    door = run("[cameras.door]\n")
    door.service.apply(door.settings(text))
    door.until(lambda: len(door.records()) > 4)
    told = f"json: {tmp_path}/later/events.jsonl cannot be written: No such file or directory; its records wait"
    assert [each for each in door.said if each.startswith("json")] == [f"{told} in the store"]
    (tmp_path / "later").mkdir()
    file = tmp_path / "later" / "events.jsonl"
    door.until(lambda: file.exists() and file.read_text().count("\n") > 4)
    ids = [(each["id"], each["seq"]) for each in door.records()]
    told = [(each["id"], each["seq"]) for each in map(json.loads, file.read_text().splitlines())]
    assert told[0] in ids[:3]
    assert told == ids[ids.index(told[0]) :][: len(told)]
    assert door.said[-1] == "json is open now"


def test_a_store_that_cannot_be_written_ends_nothing_when_settings_and_switches_change(run, tmp_path):
    door = run("[cameras.door]\n")
    written = door.service._store._database.execute
    written("PRAGMA query_only = ON")
    text = '[cameras.door]\n[json]\npath = "events.jsonl"\n'
    door.service.apply(door.settings(text))
    error = "attempt to write a readonly database"
    assert door.said == [f"the state folder: no sink can be added: {error}"]
    door.until(lambda: door.status("door") == "live")
    door.service._enable("door", False)
    assert f"door: its switch counts, but a restart forgets it: {error}" in door.said
    door.until(lambda: door.status("door") == "disabled")
    assert not (tmp_path / "events.jsonl").exists()
    door.service.apply(door.settings(text.replace("[json]", "threshold = 0.4\n[json]")))
    door.service.tick()
    assert door.status("door") == "disabled"  # the switch counts on
    door.service.apply(door.settings(text))
    written("PRAGMA query_only = OFF")
    door.until((tmp_path / "events.jsonl").exists)
    door.service._enable("door", True)
    told = len(door.records())
    door.until(lambda: len(door.records()) > told + 2)
    lines = [json.loads(line)["id"] for line in (tmp_path / "events.jsonl").read_text().splitlines()]
    assert lines[0] in [each["id"] for each in door.records()]


def test_a_start_with_a_store_that_cannot_be_written(run, tmp_path, monkeypatch):
    """Events that a crash left open end when the store can be written again."""
    (first,) = records(1)
    with closing(Store(tmp_path / "state")) as store:
        store.append([(first, None)])
    open_store = Store._open

    def _open(store):
        open_store(store)
        store._database.execute("PRAGMA query_only = ON")

    monkeypatch.setattr(Store, "_open", _open)
    door = run("[cameras.door]\n")
    door.until(lambda: any(each.startswith("events cannot be stored: attempt to write") for each in door.said))
    assert [each["type"] for each in door.records()] == ["new"]
    door.service._store._database.execute("PRAGMA query_only = OFF")
    door.until(lambda: ends(door.records(), first.camera) == ["restart"])


def test_clips_that_cannot_be_written_end_nothing_before_they_are_wanted(tmp_path):
    (tmp_path / "clips").write_text("a file")
    with pytest.raises(ActionstreamError, match="clips cannot be the folder of clips"):
        Running(tmp_path, '[clips]\nfolder = "clips"\n[cameras.door]\n')
    Store(tmp_path / "state").close()  # nothing holds it


def with_long_gap(source):
    return f'[cameras.door]\nsource = "{source}"\nsmoothing_seconds = 3\ngap_seconds = 600\n'


@pytest.fixture
def broken_off(tmp_path):
    """The folder of a service that was killed while an event went on, which the kept state knows, and its source."""
    film = tmp_path / "film.mp4"
    film.write_bytes(SAMPLE.read_bytes())
    door = Running(tmp_path / "before", with_long_gap(film))

    def kept_event():
        left = door.service._left()
        return left and left["door"].resume.open_events & {record.id for record in door.service._store.open_events()}

    door.until(kept_event)
    door.service._keep(door.service._left())
    folder = tmp_path / "after"
    shutil.copytree(door.folder, folder)
    door.service.stop()
    return folder, film


def ended_by_restart(folder):
    return {each["id"] for each in records_of(folder) if each["reason"] == "restart"}


def test_an_event_that_the_stream_knows_goes_on_after_a_restart(broken_off):
    folder, film = broken_off
    door = Running(folder, with_long_gap(film))
    open_before = {record.id for record in door.service._store.open_events()}
    door.until(lambda: open_before & {each["id"] for each in door.records() if each["type"] == "end"})
    door.service.stop()
    check_pairs(door.records())
    assert not open_before & ended_by_restart(folder)


@pytest.mark.parametrize("why", ["started later", "disabled", "no source", "another source"])
def test_an_event_that_cannot_go_on_ends_at_the_restart(broken_off, why):
    folder, film = broken_off
    with closing(Store(folder / "state")) as store:
        open_before = {record.id for record in store.open_events()}
        if why == "disabled":
            store.set_enabled("door", False)
    if why == "started later":
        (each,) = saved_streams.read(folder / "state").values()
        saved_streams.write(folder / "state", {"door": replace(each, resume=each.resume.without_events())})
    elif why == "no source":
        film.unlink()
    elif why == "another source":
        film = SAMPLE
    door = Running(folder, with_long_gap(film))
    door.service.tick()
    assert ended_by_restart(folder) == open_before
    door.service.stop()
    check_pairs(door.records())


def test_the_end_of_an_event_that_cannot_go_on_is_noted_beside_its_clip(broken_off):
    folder, film = broken_off
    beside = folder / "clips" / "door" / "2026-01-01" / "clip.json"
    beside.parent.mkdir(parents=True)
    with closing(Store(folder / "state")) as store:
        store.set_enabled("door", False)
        left_open = [replace(record, clip="door/2026-01-01/clip.mp4") for record in store.open_events()]
        store.append((replace(record, type="update", seq=record.seq + 1), None) for record in left_open)
    beside.write_text(json.dumps({"events": [record.to_dict() for record in left_open]}))
    door = Running(folder, with_long_gap(film) + '[clips]\nfolder = "clips"\nkeep_days = 36500\n')
    door.until(lambda: {each["reason"] for each in json.loads(beside.read_text())["events"]} == {"restart"})
    door.service.stop()


def test_a_start_that_fails_leaves_the_saved_streams(tmp_path):
    saved = tmp_path / "state" / saved_streams.FILE
    saved.parent.mkdir()
    saved.write_bytes(b"of an earlier process")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        server = SERVER.replace("off", f"127.0.0.1:{taken.getsockname()[1]}")
        settings = parse_settings(f'{server}[cameras.door]\nsource = "sample"\n', tmp_path / "cameras.toml")
        with pytest.raises(ActionstreamError, match=r"the address 127\.0\.0\.1:.* cannot be used"):
            Service(settings, say=print)
    assert saved.exists()


def test_an_error_of_something_else_is_not_told_as_one_of_the_state_folder(tmp_path):
    (tmp_path / "events.jsonl").mkdir()
    settings = parse_settings(
        f'{SERVER}[json]\npath = "events.jsonl"\n[cameras.door]\nsource = "sample"\n', tmp_path / "c"
    )

    def say(text):
        raise BrokenPipeError(text)

    for _ in range(2):  # it holds nothing
        with pytest.raises(BrokenPipeError, match=r"^json: .*events.jsonl cannot be written"):
            Service(settings, say=say)


def command(folder, text):
    (folder / "cameras.toml").write_text(text)
    with open(folder / "log", "a") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "actionstream", "serve", folder / "cameras.toml"], stdout=log, stderr=log
        )


def wait(folder, process, holds):
    end = time.monotonic() + 60
    while not holds():
        log = (folder / "log").read_text()
        assert time.monotonic() < end, log
        assert process.poll() is None, log
        time.sleep(0.1)


def wait_for_new(folder, process, count=1):
    database = folder / "state" / FILE

    def has_new():
        try:
            return sum(each["type"] == "new" for each in records_of(folder)) >= count
        except sqlite3.OperationalError:  # it has no tables yet
            return False

    wait(folder, process, lambda: database.exists() and has_new())


def open_events(records):
    return {each["id"] for each in records} - {each["id"] for each in records if each["type"] == "end"}


def kept_events(folder):
    """The events that go on in the states that were kept last."""
    path = folder / "state" / saved_streams.FILE
    left = pickle.loads(path.read_bytes()) if path.exists() else {}
    return {event for each in left.values() for event in each.resume.open_events}


@pytest.mark.alone
def test_after_kill_9_events_go_on_where_the_gap_is_short_and_end_where_it_is_long(tmp_path):
    for gap, reasons in ((0.5, {"restart"}), (600, set())):
        folder = tmp_path / str(gap)
        folder.mkdir()
        text = f"{SERVER}{DEFAULTS}[cameras.door]\nsmoothing_seconds = 3\ngap_seconds = {gap}\n"
        process = command(folder, text)
        wait_for_new(folder, process)
        wait(folder, process, lambda at=folder: kept_events(at) & open_events(records_of(at)))
        process.send_signal(signal.SIGKILL)
        process.wait()
        before = records_of(folder)
        is_open = kept_events(folder) & open_events(before)
        assert is_open
        process = command(folder, text)
        wait_for_new(folder, process, sum(each["type"] == "new" for each in before) + 1)
        process.terminate()
        assert process.wait(30) == 143
        records = records_of(folder)
        check_pairs(records)
        assert {each["reason"] for each in records if each["id"] in is_open and each["reason"] == "restart"} == reasons


@pytest.mark.alone
def test_the_command_follows_its_file_and_says_how_it_is(tmp_path):
    port = free_port()
    text = SERVER.replace('"off"', f'"127.0.0.1:{port}"') + DEFAULTS
    process = command(tmp_path, text + "[cameras.door]\n")
    wait_for_new(tmp_path, process)
    with urlopen(f"http://127.0.0.1:{port}/readiness", timeout=5) as answer:
        assert json.load(answer)["cameras"] == {"door": {"status": "live", "reason": None}}
    with urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
        metrics = answer.read().decode()
    assert 'actionstream_frames_labelled_total{camera="door"}' in metrics
    assert 'actionstream_events_total{camera="door"' in metrics
    (tmp_path / "cameras.toml").write_text(text + "[cameras.door]\nthreshold = 3\n")
    wait(tmp_path, process, lambda: "cameras.door.threshold is 3" in (tmp_path / "log").read_text())
    (tmp_path / "cameras.toml").write_text(text + '[cameras.hall]\nsource = "nothing.mp4"\nloop = false\n')
    wait(tmp_path, process, lambda: "hall: no such file" in (tmp_path / "log").read_text())
    told = (tmp_path / "log").read_text().splitlines()
    assert "cameras are watched: door" in told[0]
    assert "cameras.toml has changed" in told[2]

    def readiness():
        try:
            with urlopen(f"http://127.0.0.1:{port}/readiness", timeout=5) as answer:
                return answer.status
        except HTTPError as error:
            return error.code

    wait(tmp_path, process, lambda: readiness() == 503)  # the door is live until its last frame
    process.send_signal(signal.SIGINT)
    assert process.wait(30) == 130
    assert "Traceback" not in (tmp_path / "log").read_text()
    check_pairs(records_of(tmp_path))


@pytest.mark.alone
@pytest.mark.timeout(300)
def test_nothing_is_lost_when_everything_fails(tmp_path):
    """`bench outages` in short: a broker that is away, a webhook that fails, and a service that is killed."""
    report = measure_outages(tmp_path, seconds=45, num_kills=5, away_seconds=8, num_cameras=2)
    assert report["unpaired"] == 0
    assert report["ended_by_restart"] > 0
    for sink in report["sinks"].values():
        assert sink["records"] > 50
        assert (sink["missing"], sink["unknown"], sink["in_order"]) == (0, 0, True)
    assert report["sinks"]["webhook"]["came_again"] > 0
    assert report["frames_a_second"]["ratio"] > 0
