"""The processor time that clips take: packets of many cameras at their own pace.

Turns compare three services: without packets; with packets that go from the processes of the cameras to nobody; and
with rings and clips.
"""

from __future__ import annotations

import json
import shutil
import statistics
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from multiprocessing import Pipe
from pathlib import Path
from time import perf_counter, process_time
from typing import TYPE_CHECKING, Any

import numpy as np

from actionstream.benchmarks.alternation import Done, nobody
from actionstream.clips import Clips
from actionstream.event_id import new_event_id
from actionstream.frame import Frame
from actionstream.models.video import Decoder
from actionstream.packets import Packet
from actionstream.records import EventRecord
from actionstream.sources.packet_log import PacketLog
from actionstream.sources.packet_message import PacketReceiver, PacketSender

if TYPE_CHECKING:
    import av

EVENT_EVERY_SECONDS, EVENT_SECONDS = 15.0, 3.0
"""An event of each camera begins so often, and lasts so long: with five seconds before and after, most is recorded."""
SIZE, RATE, BIT_RATE = (1280, 720), 25, 4_000_000
WARM_UP_SECONDS = 20.0
"""Packets for so long come at once, before anything is measured: then the rings are full, as they are all day."""
PIECE_BYTES = 32_768
"""One thread writes and reads the pipes here: what is in them must fit."""


@dataclass
class _Camera:
    """The way of a camera's packets: from its decoder through a pipe to the ring."""

    name: str
    log: PacketLog
    with_packets: bool
    clips: Clips | None
    pack: PacketSender = field(default_factory=PacketSender)
    unpack: PacketReceiver = field(default_factory=PacketReceiver)
    event: EventRecord | None = None

    def __post_init__(self) -> None:
        self._theirs, self._ours = Pipe()
        self._take = self.clips.camera(self.name) if self.clips else None

    def push(self, packet: av.Packet, image: np.ndarray, seconds: float) -> None:
        """A frame and its packet, as the process of a source sends them; without the pixels."""
        message: dict[str, Any] = {"frame": {"index": 0, "time_seconds": seconds, "available": seconds}, "lost": {}}
        sent: Sequence[Packet] = ()
        if self.with_packets:
            self.log.add(packet)
            sent = self.log.take(Frame(stream=self.name, index=0, time_seconds=seconds, picture=image), 0.0)
        message["tracks"], parts = self.pack(sent)
        data = self._through(b"".join((json.dumps(message).encode(), b"\n", *parts)))
        begin = data.index(b"\n") + 1
        received = self.unpack(json.loads(data[:begin])["tracks"], memoryview(data)[begin:])
        if self._take is not None:
            self._take([each._replace(time_seconds=each.time_seconds + 1.0) for each in received])

    def _through(self, data: bytes) -> bytes:
        if len(data) <= PIECE_BYTES:
            self._theirs.send_bytes(data)
            return self._ours.recv_bytes()
        return self._through(data[:PIECE_BYTES]) + self._through(data[PIECE_BYTES:])

    def begin_event(self, seconds: float, picture: bytes) -> None:
        assert self.clips is not None
        self.event = EventRecord(
            type="new",
            id=new_event_id(),
            seq=0,
            camera=self.name,
            region=None,
            label="event",
            model="",
            score=1.0,
            best_score=1.0,
            start_seconds=seconds,
            start_wall=time.time(),
        )
        self.clips.begin(self.event, picture)

    def end_event(self, seconds: float) -> None:
        assert self.clips is not None
        assert self.event is not None
        self.clips.end(replace(self.event, type="end", seq=1, end_seconds=seconds, end_wall=time.time()))
        self.event = None

    def close(self) -> None:
        self._theirs.close()
        self._ours.close()


def encode_noise(target: Path) -> None:
    """Write ten seconds of moving noise, which needs all the bits of BIT_RATE, as a busy camera's pictures do."""
    import av

    width, height = SIZE
    noise = np.random.default_rng(0).integers(0, 64, (height, width, 3), dtype=np.uint8)
    options = {"g": "50", "preset": "ultrafast", "maxrate": str(BIT_RATE), "bufsize": str(BIT_RATE), "bf": "0"}
    with av.open(str(target), "w") as sink:
        written = sink.add_stream("libx264", rate=RATE, options=options)
        written.width, written.height, written.pix_fmt, written.bit_rate = width, height, "yuv420p", BIT_RATE
        for index in range(10 * RATE):
            sink.mux(written.encode(av.VideoFrame.from_ndarray(np.roll(noise, 3 * index, axis=0), format="rgb24")))
        sink.mux(written.encode(None))


def measure_clips(
    folder: Path, *, num_cameras: int, seconds: float, rounds: int, done: Done = nobody
) -> dict[str, Any]:
    """Percent of a core for the packets of cameras: of their way to the service, and of rings and clips."""
    film = folder / "film.mp4"
    encode_noise(film)
    with closing(Decoder(film, name=film.name)) as decoder:
        packets = [packet for packet in decoder.container.demux(decoder.track) if packet.size]
        rows = []
        for turn in range(rounds):
            measured = []
            for with_packets, with_clips in ((False, False), (True, False), (True, True)):
                clips = Clips(folder / "clips", say=print) if with_clips else None
                cameras = [_Camera(f"camera{n}", PacketLog(decoder), with_packets, clips) for n in range(num_cameras)]
                measured.append(_percent(cameras, decoder.rate, packets, clips, seconds))
                done((3 * turn + len(measured)) / (3 * rounds))
            counts = dict(clips.counts) if clips else {}
            shutil.rmtree(folder / "clips")
            base, with_way, with_all = measured
            rows.append({"base": base, "way": with_way - base, "clips": with_all - with_way, "all": with_all - base})
        size, rate = sum(packet.size for packet in packets), decoder.rate
    return {
        "cameras": num_cameras,
        "size": "{}x{}".format(*SIZE),
        "seconds": seconds,
        "megabits_a_second": 8e-6 * size * rate / len(packets),
        "rate": rate,
        "clips": counts,
        "rounds": rows,
        "median_percent": {name: statistics.median(row[name] for row in rows) for name in rows[0]},
    }


def _percent(
    cameras: Sequence[_Camera], rate: float, packets: Sequence[av.Packet], clips: Clips | None, seconds: float
) -> float:
    """Percent of a core for some time of all cameras."""
    image, picture = np.zeros((16, 16, 3), np.uint8), bytes(50_000)
    every, lasts = round(EVENT_EVERY_SECONDS * rate), round(EVENT_SECONDS * rate)
    warm_up = round(WARM_UP_SECONDS * rate)
    for index in range(warm_up + round(seconds * rate)):
        now = index / rate
        if index == warm_up:
            begin, spent = perf_counter() - now, process_time()
        for camera in cameras:
            camera.push(packets[index % len(packets)], image, now)
            if clips is not None and index >= warm_up and (index - warm_up) % every == every // 3:
                camera.begin_event(now, picture)
            if camera.event is not None and (index - warm_up) % every == every // 3 + lasts:
                camera.end_event(now)
        if index >= warm_up:
            time.sleep(max(begin + (index + 1) / rate - perf_counter(), 0.0))
    if clips is not None:
        for camera in cameras:
            if camera.event is not None:
                camera.end_event(WARM_UP_SECONDS + seconds)
        clips.close()
    spent = process_time() - spent
    for camera in cameras:
        camera.close()
    return 100 * spent / seconds
