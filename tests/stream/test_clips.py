"""Clips of events: what cameras sent, from before the event on, and what becomes of it on the disk."""

import errno
import json
import os
import re
import signal
import subprocess
import sys
import time
from contextlib import closing, contextmanager
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from threading import Event, Thread

import numpy as np
import pytest
from browser import chromium
from packets import decoded, frames_of, made, nals, nals_of, packets_of, slices, video
from servers import as_it_is, ball, http_server, rtsp_server

from actionstream import Connection, Engine, Watch
from actionstream.benchmarks import soak_serve
from actionstream.clips import Clips, recorder
from actionstream.clips.disk import File
from actionstream.clips.paths import file_part, partial, stem_of, stem_of_file
from actionstream.clips.retention import Retention
from actionstream.clips.ring import PACKET_BYTES, Ring
from actionstream.event_id import new_event_id
from actionstream.models.common.errors import ActionstreamError
from actionstream.models.video import Decoder
from actionstream.records import EventRecord

WALL = 1_780_000_000.0  # 2026-05-28 20:26:40 UTC


def event(start: float, end: float | None = None, camera: str = "door", label: str = "wave", **fields) -> EventRecord:
    """The first record of an event, or with `end` its last one."""
    values = {"id": new_event_id(), "start_wall": WALL + start, **fields}
    return EventRecord(
        type="new" if end is None else "end", seq=0, camera=camera, region=None, label=label, model="m", score=0.5,
        best_score=0.5, start_seconds=start, end_seconds=end, end_wall=None if end is None else WALL + end, **values,
    )  # fmt: skip


def ended(record: EventRecord, end: float) -> EventRecord:
    return replace(record, type="end", seq=1, end_seconds=end, end_wall=WALL + end)


@contextmanager
def clips_in(folder: Path, **options):
    """Clips with a second before and after; what they say is in `said`."""
    said = []
    fixed = {"say": said.append, "before_seconds": 1, "after_seconds": 1, "clock": lambda: WALL}
    clips = Clips(folder, **{**fixed, **options})
    clips.said = said
    try:
        yield clips
    finally:
        clips.close()


def wait_for(condition, seconds: float = 20.0) -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.02)


def one_clip(folder: Path, packets, start: float, end: float, **options) -> tuple[Path, Clips]:
    """The clip of one event, whose packets are all there before it ends."""
    with clips_in(folder, **options) as clips:
        take = clips.camera("door")
        begun = [packet for packet in packets if packet.decode_seconds <= end]
        take(begun)
        record = event(start)
        path = folder / clips.begin(record, None)
        clips.end(ended(record, end))
        take(packets[len(begun) :])
        wait_for(lambda: clips.counts["written"] + clips.counts["failed"])
    return path, clips


def num_shown(path: Path) -> int:
    """The number of pictures of a file that may be cut off: what is not whole is passed over, as a player does it."""
    with closing(Decoder(str(path), name=path.name)) as decoder:
        return sum(1 for _ in decoder.pictures())


# the ring


def test_a_ring_begins_with_a_key_frame_and_holds_its_seconds():
    ring = Ring(2.0, 1e9)
    packets = made(*[5] * 20)  # a key frame each half second
    for n, packet in enumerate(packets):
        ring.extend([packet])
        there, end = ring.since(0)
        assert end == n + 1
        assert there[0].key
        assert there == packets[n + 1 - len(there) : n + 1]
        assert len(there) == n + 1 or 20 <= len(there) - 1 <= 25


def test_a_ring_is_bounded_in_bytes():
    ring = Ring(1e9, 20_000)
    for packet in made(3, 9, 1, 4, 30, 2, 5, size=1000):
        ring.extend([packet])
        there, _ = ring.since(0)
        assert ring.num_bytes == sum(len(each.data) + PACKET_BYTES for each in there) <= 20_000
        assert not there or there[0].key
    assert [each.key for each in there].count(True) == 2  # after the group that was too large by itself


def test_positions_in_a_ring():
    ring = Ring(3.0, 1e9)
    assert ring.position(5.0) == 0
    ring.extend(made(3)[1:])  # no key frame yet
    assert ring.since(0) == ([], 0)
    packets = made(*[10] * 8)
    ring.extend(packets)
    assert ring.since(0)[0] == packets[40:]
    assert ring.position(5.95) == 50
    assert ring.position(6.0) == 60
    assert ring.position(0.0) == 40
    assert ring.since(77) == (packets[77:], 80)
    assert ring.since(80) == ([], 80)


# names


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("front door", "front-door"),
        ("../../etc/passwd", "etc-passwd"),
        (".hidden", "hidden"),
        ("a/b\\c:d*e", "a-b-c-d-e"),
        ("", "unnamed"),
        ("👋", "unnamed"),
        ("winken-ä 手", "winken-ä-手"),
        ("x" * 300, "x" * 80),
        ("手" * 100, "手" * 26),
    ],
)
def test_parts_of_file_names(text, part):
    assert file_part(text) == part


def test_paths_of_clips(tmp_path):
    record = event(0.0, camera="a/b", label="hand: up")
    stem = stem_of(record)
    assert str(stem) == f"a-b/2026-05-28/20-26-40_hand-up_{record.id}"
    for name in (f"{stem}.mp4", f"{stem}_2.mp4", f"{stem}.json", f"{stem}_12.partial.mp4"):
        assert stem_of_file(tmp_path / name) == tmp_path / stem
    no_time = f"a-b/2026-05-28/99-26-40_hand-up_{record.id}.mp4"
    for name in ("a/2026-05-28/mine.mp4", f"a/b/{stem.name}.mp4", f"{stem}.txt", no_time):
        assert stem_of_file(tmp_path / name) is None


# what is in a clip


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("b.mp4", {"bf": "2"}),
        ("b.ts", {"bf": "2"}),
        ("flat.mkv", {"bf": "0"}),
        ("h.mp4", {"codec": "libx265"}),
        ("h.ts", {"codec": "libx265"}),
    ],
)
def test_packets_are_copied(tmp_path, name, options):
    """Every NAL unit is the source's, every picture is the same, and the times are right."""
    frames = frames_of(video(tmp_path / name, 240, **options))
    packets = [packet for frame in frames for packet in frame.packets]
    path, clips = one_clip(tmp_path / "clips", packets, 3.2, 4.0)
    shown = decoded(path)
    start = 2.0  # the last key frame before 3.2 - 1
    wanted = [packet for packet in packets if packet.time_seconds >= start]
    assert nals(path) == nals_of(wanted)[: len(nals(path))]
    times = [seconds + start for seconds, _ in shown]
    assert times[:91] == pytest.approx([start + n / 30 for n in range(91)], abs=6e-4)  # up to 4.0 + 1
    assert times[-1] < 5.2  # what those refer to
    original = [picture for _, picture in decoded(tmp_path / name)][60:151]
    assert all(np.array_equal(a, b) for (_, a), b in zip(shown[:91], original, strict=True))
    assert (clips.said, clips.counts) == ([], {"written": 1})
    described = json.loads(path.with_suffix(".json").read_text())
    assert described["files"] == [{"name": path.name, "start_seconds": pytest.approx(start, abs=1e-5)}]


def test_parameter_sets_in_the_packets_are_enough(tmp_path):
    packets = packets_of(video(tmp_path / "a.ts", 120, bf="0"))
    bare = [each._replace(track=replace(each.track, extradata=b"")) for each in packets]
    path, _ = one_clip(tmp_path / "clips", bare, 1.5, 2.0)
    assert len(decoded(path)) == len(nals(path)) >= 60


@pytest.mark.parametrize(
    ("name", "options"), [("m.avi", {"codec": "mjpeg"}), ("four.avi", {"codec": "mpeg4", "g": "15"})]
)
def test_other_codecs_are_encoded_anew(tmp_path, name, options):
    packets = packets_of(video(tmp_path / name, 150, **options))
    codec = packets[0].track.codec
    path, clips = one_clip(tmp_path / "clips", packets, 2.0, 3.0)
    assert clips.said == [f"door sends {codec}; its clips are encoded anew, as H.264, which needs a processor"]
    shown = decoded(path, "rgb24")
    original = decoded(tmp_path / name, "rgb24")[30:]
    assert [seconds for seconds, _ in shown] == pytest.approx([n / 30 for n in range(len(shown))], abs=1e-3)
    assert 90 <= len(shown) <= 93
    for (_, picture), (_, other) in zip(shown, original, strict=False):
        assert np.abs(picture.astype(int) - other).mean() < 8


def test_files_beside_a_clip(tmp_path):
    packets = packets_of(video(tmp_path / "a.mp4", 150))
    record = event(2.0)
    with clips_in(tmp_path / "clips") as clips:
        clips.camera("door")(packets)
        name = clips.begin(record, b"a picture")
        clips.end(ended(record, 3.0))
        wait_for(lambda: clips.counts["written"])
    folder = tmp_path / "clips"
    assert name == f"door/2026-05-28/20-26-42_wave_{record.id}.mp4"
    stem = name.removesuffix(".mp4")
    assert sorted(str(path.relative_to(folder)) for path in folder.rglob("*.*")) == [
        f"{stem}.jpg", f"{stem}.json", name,
    ]  # fmt: skip
    assert (folder / f"{stem}.jpg").read_bytes() == b"a picture"
    (told,) = json.loads((folder / f"{stem}.json").read_text())["events"]
    assert told == replace(ended(record, 3.0), clip=name, snapshot=f"{stem}.jpg").to_dict()


def test_a_gap_stays_a_gap(tmp_path):
    """The second connection has a clock of its own in its packets, and begins 3 s later; its track is the same."""
    packets = packets_of(video(tmp_path / "a.mp4", 90, bf="2"))
    later = [packet._replace(time_seconds=packet.time_seconds + 6.0) for packet in packets]
    path, _ = one_clip(tmp_path / "clips", packets + later, 2.0, 7.0)
    times = [seconds for seconds, _ in decoded(path)]
    assert all(b > a for a, b in pairwise(times))
    assert times[:60] == pytest.approx([n / 30 for n in range(60)], abs=1e-4)
    assert times[60:121] == pytest.approx([5 + n / 30 for n in range(61)], abs=1e-4)


def test_times_that_go_back_do_not_end_a_clip(tmp_path):
    packets = packets_of(video(tmp_path / "a.mp4", 90, bf="0"))
    back = [packet._replace(time_seconds=packet.time_seconds - 100.0) for packet in packets[45:]]
    record = event(1.0)
    with clips_in(tmp_path / "clips") as clips:
        take = clips.camera("door")
        take(packets[:45])
        path = tmp_path / "clips" / clips.begin(record, None)
        take(back)
        take(packets[45:])
        clips.end(ended(record, 1.5))
        wait_for(lambda: clips.counts["written"])
    assert clips.said == []
    times = [seconds for seconds, _ in decoded(path)]
    assert len(times) == 45 + 45 + 31
    assert times == sorted(set(times))


def test_another_size_goes_on_in_another_file(tmp_path):
    small = packets_of(video(tmp_path / "a.mp4", 60))
    large = packets_of(video(tmp_path / "b.mp4", 60, size=(96, 128)))
    large = [packet._replace(time_seconds=packet.time_seconds + 3.0) for packet in large]
    path, _ = one_clip(tmp_path / "clips", small + large[5:] + large, 1.0, 3.5)  # the new one begins with no key frame
    second = path.with_name(f"{path.stem}_2.mp4")
    assert {picture.shape for _, picture in decoded(path)} == {(72, 64)}
    assert {picture.shape for _, picture in decoded(second)} == {(144, 128)}
    parts = json.loads(path.with_suffix(".json").read_text())["files"]
    assert [part["name"] for part in parts] == [path.name, second.name]
    assert decoded(second)[0][0] == 0.0


def test_a_long_clip_has_several_files(tmp_path):
    packets = packets_of(video(tmp_path / "a.mp4", 240))
    path, _ = one_clip(tmp_path / "clips", packets, 1.0, 6.0, longest_seconds=2.2)
    parts = json.loads(path.with_suffix(".json").read_text())["files"]
    assert [round(part["start_seconds"], 3) for part in parts] == [0.0, 2.5, 5.0]
    shown = [len(decoded(path.with_name(part["name"]))) for part in parts]
    assert shown[:2] == [75, 75]


# events that share a clip


def test_events_share_a_clip(tmp_path):
    packets = packets_of(video(tmp_path / "a.mp4", 300))
    first, second, third, fourth = event(1.5), event(2.5, label="nod"), event(3.9, label="bow"), event(8.0)
    with clips_in(tmp_path / "clips") as clips:
        take = clips.camera("door")
        take([packet for packet in packets if packet.decode_seconds < 3.0])
        path = clips.begin(first, None)
        assert clips.begin(second, b"not of its own") == path
        clips.end(ended(first, 2.0))
        clips.end(ended(second, 3.0))
        assert clips.begin(third, None) == path  # it starts before the end of the second and a second more
        clips.end(ended(third, 4.5))
        take([packet for packet in packets if packet.decode_seconds >= 3.0])
        wait_for(lambda: clips.counts["written"])
        assert clips.begin(fourth, None) != path
        clips.end(ended(fourth, 8.5))
        wait_for(lambda: clips.counts["written"] == 2)
    assert clips.counts == {"written": 2, "shared": 2}
    shown = decoded(tmp_path / "clips" / path)
    assert 5.5 <= 0.5 + shown[-1][0] <= 5.6
    told = json.loads((tmp_path / "clips" / path).with_suffix(".json").read_text())["events"]
    assert [each["label"] for each in told] == ["wave", "nod", "bow"]
    assert [each["end_seconds"] for each in told] == [2.0, 3.0, 4.5]
    assert {each["clip"] for each in told} == {path}


def test_events_without_a_pause_do_not_make_one_endless_clip(tmp_path):
    """A clip that has its longest time is shared no more, also where an event of it still goes on."""
    packets = packets_of(video(tmp_path / "a.mp4", 300))
    begun = [event(start / 2) for start in range(3, 16)]  # each goes on while the next one begins
    with clips_in(tmp_path / "clips", longest_seconds=2.0) as clips:
        take = clips.camera("door")
        paths = []
        for previous, each in zip([None, *begun], begun, strict=False):
            take([packet for packet in packets if 0 <= each.start_seconds - packet.decode_seconds < 0.5])
            paths.append(clips.begin(each, None))
            if previous is not None:
                clips.end(ended(previous, each.start_seconds + 0.1))
        clips.end(ended(begun[-1], 8.0))
        assert [paths.count(path) for path in dict.fromkeys(paths)] == [4, 4, 4, 1]


def test_an_event_that_a_clip_does_not_hold_has_its_own(tmp_path):
    """One that is told late but began so early that the open clip has not what was before it."""
    packets = packets_of(video(tmp_path / "a.mp4", 300))
    late, early, apart = event(5.0), event(3.0), event(5.2, camera="yard")
    with clips_in(tmp_path / "clips") as clips:
        clips.camera("door")(packets)
        clips.camera("yard")(packets)
        paths = [clips.begin(each, None) for each in (late, early, apart)]
        for each in (late, early, apart):
            clips.end(ended(each, 6.0))
        wait_for(lambda: clips.counts["written"] == 3)
    assert len(set(paths)) == 3
    starts = [
        json.loads((tmp_path / "clips" / path).with_suffix(".json").read_text())["files"][0]["start_seconds"]
        for path in paths
    ]
    assert starts == pytest.approx([4.0, 2.0, 4.0], abs=1e-4)


def test_a_camera_that_is_forgotten(tmp_path):
    packets = packets_of(video(tmp_path / "a.mp4", 90))
    with clips_in(tmp_path / "clips") as clips:
        clips.camera("door")(packets)
        path = clips.begin(event(1.0), None)
        clips.forget("door")
        wait_for(lambda: clips.counts["written"])
        assert len(decoded(tmp_path / "clips" / path)) == 90
        (told,) = json.loads((tmp_path / "clips" / path).with_suffix(".json").read_text())["events"]
        assert told["end_seconds"] is None


def test_a_camera_that_gives_nothing(tmp_path):
    with clips_in(tmp_path / "clips") as clips:
        clips.camera("door")
        path = clips.begin(event(1.0), b"a picture")
    assert clips.counts == {"failed": 1}
    assert clips.said == [f"the clip {path} cannot be written: the camera gave no pictures"]


def test_a_camera_that_gives_no_more(tmp_path, monkeypatch):
    """The clip of an event that has ended waits for its last second, but not for ever."""
    monkeypatch.setattr("actionstream.clips.recording.QUIET_SECONDS", 0.1)
    packets = packets_of(video(tmp_path / "a.mp4", 90))
    with clips_in(tmp_path / "clips", after_seconds=0.5) as clips:
        clips.camera("door")(packets)
        record = event(1.0)
        path = clips.begin(record, None)
        clips.end(ended(record, 5.0))
        wait_for(lambda: clips.counts["written"])
    assert len(decoded(tmp_path / "clips" / path)) == 90


# the disk


def put_clip(folder: Path, days_ago: float, size: int = 1000) -> Path:
    """The files of a clip that plays nothing."""
    stem = folder / stem_of(event(-86_400 * days_ago))
    stem.parent.mkdir(parents=True, exist_ok=True)
    for suffix in (".mp4", "_2.mp4", ".jpg", ".json"):
        stem.with_name(stem.name + suffix).write_bytes(bytes(size))
    return stem


def test_old_clips_are_deleted(tmp_path):
    now = [WALL]
    stems = [put_clip(tmp_path, days) for days in (9.5, 9.4, 7.1, 6.0, 3.0, 0.0)]
    mine = stems[0].with_name("mine.mp4")
    mine.touch()
    retention = Retention(tmp_path, keep_days=7, keep_bytes=1e9, clock=lambda: now[0])
    retention.scan()
    retention.tidy()
    there = {stem_of_file(path) for path in tmp_path.rglob("*.json")}
    assert there == set(stems[3:])
    assert retention.deleted == 3
    assert list(stems[0].parent.iterdir()) == [mine]
    assert not stems[2].parent.exists()
    now[0] += 90_000
    retention.tidy()
    assert {stem_of_file(path) for path in tmp_path.rglob("*.mp4")} - {None} == set(stems[4:])


def test_too_many_clips_are_deleted(tmp_path):
    stems = [put_clip(tmp_path, days) for days in (1.0, 3.0, 2.0, 0.0)]
    retention = Retention(tmp_path, keep_days=7, keep_bytes=9000, clock=lambda: WALL)
    retention.scan()
    retention.tidy()
    assert {stem_of_file(path) for path in tmp_path.rglob("*.*")} == {stems[0], stems[3]}
    (stems[0].parent / f"{stems[0].name}.mp4").unlink()  # somebody else deletes one
    assert retention.delete_oldest()
    assert retention.delete_oldest()
    assert not retention.delete_oldest()


def test_somebody_deletes_days_while_clips_are_looked_for(tmp_path):
    days = [tmp_path / "state", *(tmp_path / "clips" / f"camera{n}" / "2026-05-28" for n in range(20))]
    ended = Event()

    def come_and_go() -> None:
        while not ended.is_set():
            for day in days:
                day.mkdir(parents=True, exist_ok=True)
            for day in days:
                day.rmdir()

    retention = Retention(tmp_path / "clips", keep_days=7, keep_bytes=9000, clock=lambda: WALL)
    thread = Thread(target=come_and_go)
    thread.start()
    try:
        for _ in range(200):
            retention.scan()
            assert soak_serve._look(tmp_path)["clips"] == 0
    finally:
        ended.set()
        thread.join()


def test_clips_are_kept_in_order_of_their_limits(tmp_path):
    """New clips push out old ones; the clip that is written is not among them."""
    folder = tmp_path / "clips"
    old = put_clip(folder, 1.0)
    packets = packets_of(video(tmp_path / "a.mp4", 90))
    path, clips = one_clip(folder, packets, 1.0, 1.8, keep_bytes=100_000)
    assert old.with_suffix(".json").exists()
    size = path.stat().st_size
    path, clips = one_clip(folder, packets, 1.0, 1.8, keep_bytes=size + 1500)
    assert clips.counts == {"written": 1, "deleted": 2}
    assert [each.name for each in folder.rglob("*.mp4")] == [path.name]


@contextmanager
def small_disk(folder: Path, kilobytes: int):
    """A disk of its own."""
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={kilobytes}k", "tmpfs", str(folder)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("a small disk can be mounted by root only")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def test_a_full_disk_loses_its_oldest_clips(tmp_path):
    packets = packets_of(video(tmp_path / "a.mp4", 150, bf="0"))
    size = sum(len(packet.data) for packet in packets)
    folder = tmp_path / "disk"
    with small_disk(folder, int(size * 2.2 / 1024) + 60):
        paths = []
        for n in range(5):
            path, clips = one_clip(folder, packets, 1.0 + n / 10, 3.8)
            assert clips.counts["written"] == 1
            assert clips.said == []
            assert len(decoded(path)) > 140
            paths.append(path)
        assert 1 <= sum(path.exists() for path in paths) <= 2
        assert clips.counts["deleted"] >= 1


def test_a_disk_that_somebody_else_fills(tmp_path):
    """The clip fails, once told; what was written of it plays; the next one is there when there is room."""
    packets = packets_of(video(tmp_path / "a.mp4", 150, bf="0"))
    folder = tmp_path / "disk"
    with small_disk(folder, 400), clips_in(folder) as clips:
        clips.camera("door")(packets)
        other = folder / "other"
        other.write_bytes(bytes(360 << 10))
        paths = []
        for n in range(1, 4):
            record = event(2.0)
            paths.append(folder / clips.begin(record, None))
            clips.end(ended(record, 3.0))
            wait_for(lambda n=n: clips.counts["failed"] == n)
        assert clips.said == [f"the clip {paths[0].relative_to(folder)} cannot be written: No space left on device"]
        assert not list(folder.rglob("*.partial*"))
        assert num_shown(paths[2]) >= 30
        other.unlink()
        record = event(2.0)
        path = folder / clips.begin(record, None)
        clips.end(ended(record, 3.0))
        wait_for(lambda: clips.counts["written"])
        assert len(decoded(path)) >= 90


def test_a_disk_that_fails_when_a_file_is_closed(tmp_path, monkeypatch):
    """As network disks do: the clip fails, and the next one is written."""
    packets = packets_of(video(tmp_path / "a.mp4", 150, bf="0"))

    def close(file):
        file._file.close()
        if str(file._file.name).endswith(".mp4"):
            raise OSError(errno.EIO, "Input/output error")

    with clips_in(tmp_path / "clips") as clips:
        clips.camera("door")(packets)
        with monkeypatch.context() as failing:
            failing.setattr(File, "close", close)
            record = event(2.0)
            clips.begin(record, None)
            clips.end(ended(record, 3.0))
            wait_for(lambda: clips.counts["failed"] == 1)
        record = event(2.0)
        clips.begin(record, None)
        clips.end(ended(record, 3.0))
        wait_for(lambda: clips.counts["written"] == 1)


def test_a_write_that_fails_is_the_last_one(tmp_path):
    """Room is asked for as long as there is some; then what is in the file stays as it is."""
    asked = []
    with small_disk(tmp_path / "disk", 16):
        file = File(tmp_path / "disk" / "x", lambda: len(asked) < 3 and not asked.append(1))
        with pytest.raises(OSError, match="No space left"):
            file.write(bytes(1 << 20))
        file.seek(0)
        assert file.write(b"abc") == 3
        file.close()
        assert len(asked) == 3
        assert not any((tmp_path / "disk" / "x").read_bytes())


def test_a_disk_that_stalls(tmp_path):
    """The memory stays bounded, no caller waits, and clips go on afterwards: here a pipe that nobody reads is the
    file."""
    packets = packets_of(video(tmp_path / "a.mp4", 90))
    folder, record = tmp_path / "clips", event(1.0)
    pipe = partial(folder / f"{stem_of(record)}.mp4")
    pipe.parent.mkdir(parents=True)
    old = partial(folder / f"{stem_of(event(0.0))}.mp4")
    old.touch()
    with clips_in(folder, memory_bytes=100_000) as clips:
        wait_for(lambda: not old.exists())  # it has looked for what an earlier process left
        os.mkfifo(pipe)
        take = clips.camera("door")
        take(packets)
        clips.begin(record, None)
        clips.end(ended(record, 1.5))
        wait_for((folder / f"{stem_of(record)}.json").exists)
        time.sleep(0.3)  # it opens the pipe
        ring = clips._rings["door"]
        for n in range(1, 20):
            take([packet._replace(time_seconds=packet.time_seconds + 4.0 * n) for packet in packets])
            other = event(4.0 * n + 1)
            clips.begin(other, None)
            clips.end(ended(other, 4.0 * n + 1.5))
            assert 0 < ring.num_bytes <= 100_000
        assert clips.counts["written"] == 0
        assert len(clips._recordings["door"]) == recorder.MOST_RECORDINGS
        end = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
        clips.forget("door")
        wait_for(lambda: not clips._recordings["door"])
        os.close(end)
    assert clips.counts["failed"] >= 1  # a pipe cannot be a clip
    assert clips.counts["written"] >= 1
    assert len(clips.said) == 1


def test_a_folder_that_cannot_be(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(ActionstreamError, match=r"file/clips cannot be the folder of clips: Not a directory"):
        Clips(tmp_path / "file" / "clips", say=print)


KILLED = """
import sys, time
sys.path.insert(0, {support!r})
from pathlib import Path
from packets import packets_of
from test_clips import event
from actionstream.clips import Clips

clips = Clips({folder!r}, say=print, before_seconds=1, after_seconds=1)
take = clips.camera("door")
packets = packets_of(Path({path!r}))
take(packets[:60])
print(clips.begin(event(1.0), b"picture"), flush=True)
for packet in packets[60:]:
    take([packet])
    time.sleep(1 / 60)
"""


def test_a_clip_survives_kill(tmp_path):
    """A process that is killed while it writes leaves a file that plays; the next process gives it its name."""
    path, folder = video(tmp_path / "a.mp4", 300, bf="2"), tmp_path / "clips"
    here = Path(__file__).parent
    program = KILLED.format(support=str(here.parent / "support"), folder=str(folder), path=str(path))
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([*filter(None, sys.path), str(here)])}
    process = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True, env=environment)
    clip = folder / process.stdout.readline().strip()
    wait_for(lambda: partial(clip).exists() and partial(clip).stat().st_size > 30_000)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    process.stdout.close()
    assert not clip.exists()
    empty = partial(clip.with_name(re.sub("wave", "nod", clip.name)))
    empty.write_bytes(partial(clip).read_bytes()[:100])
    before = num_shown(partial(clip))
    assert before >= 60
    with clips_in(folder, keep_days=1e9):
        wait_for(lambda: clip.exists() and not empty.exists())
    assert num_shown(clip) == before
    assert sorted(path.suffix for path in folder.rglob("*.*")) == [".jpg", ".json", ".mp4"]


def test_an_event_that_ends_after_its_clip(tmp_path):
    """As after a crash, or where the clip failed: the JSON has the end, and the other events stay as they are."""
    packets = packets_of(video(tmp_path / "a.mp4", 90))
    folder = tmp_path / "clips"
    first, other = event(1.0), event(1.1, label="nod")
    with clips_in(folder) as clips:
        clips.camera("door")(packets)
        path = clips.begin(first, None)
        clips.begin(other, None)
    file = (folder / path).with_suffix(".json")
    before = json.loads(file.read_text())
    assert [each["end_seconds"] for each in before["events"]] == [None, None]
    last = replace(ended(first, 9.0), clip=path, reason="restart")
    with clips_in(folder, keep_days=1e9) as clips:
        clips.end(replace(last, clip="door/2026-01-01/deleted.mp4"))
        clips.end(last)
    assert json.loads(file.read_text()) == {**before, "events": [last.to_dict(), before["events"][1]]}
    assert clips.said == []
    assert not list(tmp_path.rglob("deleted*"))


# cameras


@pytest.mark.waits
@pytest.mark.timeout(120)
def test_a_clip_of_a_camera(tmp_path, checkpoint):
    """From a real RTSP server: the NAL units are the camera's, the window is whole, the pictures are the same."""
    path = video(tmp_path / "a.mp4", 300, bf="0")
    with rtsp_server({"cam": as_it_is(path)}) as server, clips_in(tmp_path / "clips") as clips:
        watch = Watch(Engine(checkpoint), connection=Connection(retries=0))
        watch.add(server.address("cam"), name="door", packets=clips.camera("door"))
        record, clip = event(3.0), None
        for update in watch:
            if update.frame is None:
                continue
            assert update.frame.packets == ()
            if clip is None and update.frame.time_seconds >= 3.4:
                clip = tmp_path / "clips" / clips.begin(record, None)
            if update.frame.time_seconds >= 4.5:
                clips.end(ended(record, 4.2))
            if clips.counts["written"]:
                watch.stop()
    assert clips.counts["written"] == 1
    original, got = slices(nals(path)), slices(nals(clip))
    begin = original.index(got[0])
    assert got == original[begin : begin + len(got)]
    start = json.loads(clip.with_suffix(".json").read_text())["files"][0]["start_seconds"]
    assert 1.4 < start <= 2.0
    shown = decoded(clip)
    assert start + shown[-1][0] >= 5.2 - 0.05
    assert all(np.array_equal(a, b) for (_, a), (_, b) in zip(shown, decoded(path)[begin:], strict=False))


@pytest.mark.waits
@pytest.mark.timeout(120)
def test_a_camera_that_comes_back_with_another_size(tmp_path, checkpoint):
    record, clip = event(0.5), None
    with rtsp_server({"cam": ball(160, 120)}) as server, clips_in(tmp_path / "clips") as clips:
        watch = Watch(Engine(checkpoint), connection=Connection(stall_seconds=1))
        watch.add(server.address("cam"), name="door", packets=clips.camera("door"))
        killed = False
        for update in watch:
            if update.frame is None:
                continue
            if clip is None and update.frame.time_seconds > 1.0:
                clip = tmp_path / "clips" / clips.begin(record, None)
            if clip and not killed and update.frame.time_seconds > 2.0:
                killed = True
                server.kill()
                server.mounts = {"cam": ball(320, 240)}
                server.start()
            if update.frame.image.shape[0] == 240 and record.end_seconds is None:
                record = ended(record, update.frame.time_seconds)
                clips.end(record)
            if clips.counts["written"]:
                watch.stop()
    second = clip.with_name(f"{clip.stem}_2.mp4")
    parts = json.loads(clip.with_suffix(".json").read_text())["files"]
    assert [part["name"] for part in parts] == [clip.name, second.name]
    assert {picture.shape for _, picture in decoded(clip)} == {(180, 160)}
    assert {picture.shape for _, picture in decoded(second)} == {(360, 320)}
    assert parts[1]["start_seconds"] <= record.end_seconds + 1e-3
    assert parts[1]["start_seconds"] + decoded(second)[-1][0] >= record.end_seconds + 1 - 0.05


PAGE = """<video id="v" muted src="{name}"></video><script>
const v = document.getElementById("v");
v.onerror = () => document.title = "error " + v.error.message;
v.onloadeddata = () => v.play();
v.onended = () => document.title = [v.videoWidth, v.videoHeight, v.currentTime].join(" ");
</script>"""


@pytest.mark.slow
@pytest.mark.waits
def test_a_browser_plays_a_clip(tmp_path, playwright):
    packets = packets_of(video(tmp_path / "a.mp4", 150, bf="2"))
    folder = tmp_path / "clips"
    path, _ = one_clip(folder, packets, 2.0, 2.5)
    length = decoded(path)[-1][0]
    (folder / "page.html").write_text(PAGE.format(name=path.relative_to(folder)))
    with (
        http_server(folder) as address,
        chromium(playwright, tmp_path / "no camera") as browser,
    ):
        page = browser.new_page()
        page.goto(f"{address}/page.html")
        page.wait_for_function("document.title", timeout=20_000)
        width, height, seconds = map(float, page.title().split())
    assert (width, height) == (64, 48)
    assert seconds == pytest.approx(length, abs=0.15)
