"""Packets of sources: as they are in the file, on the clock of the frames, and only where they are asked for."""

import io
import threading
import time
from contextlib import closing
from itertools import islice

import av
import numpy as np
import pytest
from helpers import images
from odd_videos import damage, encode
from packets import TRACK, decoded, demuxed, frames_of, made, moving, nals, nals_of, packets_of, slices, video
from PIL import Image
from preparing import prepare
from servers import MotionJpeg, as_it_is, http_server, rtsp_server

from actionstream import Connection, Frame, Source, SourceError, open_source
from actionstream.live.feed import Feed
from actionstream.models.video import Decoder
from actionstream.packets import Packet, Track
from actionstream.sources.camera import CameraSource
from actionstream.sources.network import NetworkSource
from actionstream.sources.packet_log import PacketLog
from actionstream.sources.packet_message import PacketReceiver, PacketSender

FILES = {
    "b.mp4": {"bf": "2"},
    "b.ts": {"bf": "2"},
    "flat.mkv": {"bf": "0"},
    "h.mp4": {"codec": "libx265"},
    "m.avi": {"codec": "mjpeg"},
    "four.avi": {"codec": "mpeg4", "g": "10"},
}


def pictures_of(packets: list[Packet]) -> list[np.ndarray]:
    """The pictures that a decoder makes of packets alone."""
    track = packets[0].track
    decoder = av.CodecContext.create(track.codec, "r")
    decoder.extradata = track.extradata or None
    pictures = []
    for packet in packets:
        padded = av.Packet(len(packet.data))
        padded.update(packet.data)
        pictures += decoder.decode(padded)
    return [picture.to_ndarray() for picture in [*pictures, *decoder.decode(None)]]


@pytest.mark.parametrize("name", FILES)
def test_packets_of_a_file(tmp_path, name):
    path = video(tmp_path / name, 40, **FILES[name])
    frames = frames_of(path)
    packets = [packet for frame in frames for packet in frame.packets]
    assert [packet.data for packet in packets] == demuxed(path)
    assert (packets[0].track.width, packets[0].track.height) == (64, 48)
    assert sorted(p.time_seconds for p in packets) == pytest.approx([f.time_seconds for f in frames], abs=1e-6)
    dts = [packet.dts for packet in packets]
    assert dts == sorted(set(dts))
    for packet in packets:
        assert packet.time_seconds - packets[0].time_seconds == pytest.approx(
            float((packet.pts - packets[0].pts) * packet.track.time_base), abs=1e-6
        )
    shown = pictures_of(packets)
    assert len(shown) == 40
    assert all(np.array_equal(a, b) for a, (_, b) in zip(shown, decoded(path), strict=True))


def test_packets_come_with_the_frame_that_is_read_after_them(tmp_path):
    """In decoding order, and none before it is read: no frame waits for packets that are far ahead."""
    frames = frames_of(video(tmp_path / "a.mp4", 90, bf="2"))
    given = 0
    for frame in frames[20:60]:
        given += len(frame.packets)
    assert 30 < given < 60


def test_without_being_asked_for_there_are_none(tmp_path):
    path = video(tmp_path / "a.mp4", 5)
    assert not any(frame.packets for frame in open_source(path))


def test_times_by_index(tmp_path):
    """Of a file whose times do not increase, packets are timed like the frames, by their number."""
    path = video(tmp_path / "a.mkv", 30, bf="0", times=[n // 2 / 30 for n in range(30)])
    frames = frames_of(path)
    packets = [packet for frame in frames for packet in frame.packets]
    assert len(packets) == len(frames) > 10
    assert [p.time_seconds for p in packets] == pytest.approx([n / 30 for n in range(len(packets))])
    assert [round(float(p.dts * p.track.time_base), 2) for p in packets[:4]] == [0.0, 0.03, 0.07, 0.1]


def test_damaged_packets_are_there_too(tmp_path):
    path = damage(video(tmp_path / "a.mp4", 60, bf="0"), 20, 21, behind=8)
    assert [packet.data for packet in packets_of(path)] == demuxed(path)


def test_packets_before_the_first_key_frame_are_not_there(tmp_path):
    path = video(tmp_path / "a.h264", 60, key=15, bf="0")
    whole, data = demuxed(path), path.read_bytes()
    path.write_bytes(data[data.index(whole[1]) :])
    packets = packets_of(path)
    assert packets[0].key
    assert [packet.data for packet in packets] == whole[15:]


def near(packet: Packet, image: np.ndarray) -> bool:
    shown = np.asarray(Image.open(io.BytesIO(packet.data)), int)
    return shown.shape == image.shape and np.abs(shown - image).mean() < 12


def test_packets_without_pictures_are_bounded(tmp_path, monkeypatch):
    """Those that are left out are so up to a key frame."""
    monkeypatch.setattr("actionstream.sources.packet_log.MOST_WAITING", 10)
    path = video(tmp_path / "a.mp4", 40, key=15)
    with closing(Decoder(str(path), name="a.mp4")) as decoder:
        log = PacketLog(decoder)
        for packet in decoder.container.demux(decoder.track):
            log.add(packet)
        packets = log.take(Frame(stream="a", index=0, time_seconds=0.0, picture=np.zeros((48, 64, 3), np.uint8)), 0.0)
    assert [packet.data for packet in packets] == demuxed(path)[30:]
    assert packets[0].key


@pytest.mark.parametrize("kind", ["folder", "webp", "gif", "y4m", "camera"])
def test_sources_without_packets_have_jpegs(tmp_path, kind):
    pictures = [np.kron(image, np.ones((8, 8, 1), np.uint8)) for image in images(6, height=6, width=8)]
    if kind == "folder":
        for n, picture in enumerate(pictures):
            Image.fromarray(picture).save(tmp_path / f"{n}.png")
        source = open_source(tmp_path, rate=10)
    elif kind in ("webp", "gif"):
        first, *others = map(Image.fromarray, pictures)
        path = tmp_path / f"a.{kind}"
        first.save(
            path, save_all=True, append_images=others, duration=100, **{"lossless": True} if kind == "webp" else {}
        )
        source = open_source(path)
    elif kind == "y4m":
        source = open_source(encode(tmp_path / "a.y4m", pictures, codec="wrapped_avframe", rate=10))
    else:
        source = CameraSource(str(encode(tmp_path / "a.mp4", pictures)))
    source.with_packets = True
    frames = list(islice(source, 6))
    assert len(frames) == 6
    for frame in frames:
        (packet,) = frame.packets
        assert packet.key
        assert packet.time_seconds == frame.time_seconds
        assert (packet.track.codec, packet.track.width, packet.track.height) == ("mjpeg", 64, 48)
        assert near(packet, frame.image)


def test_packets_between_processes():
    other = Track("hevc", 1920, 1080, b"\1\2\xff", TRACK.time_base)
    sent = [made(3), [], made(2, track=other), made(1, size=0, track=other), made(1)]
    pack, unpack = PacketSender(), PacketReceiver()
    messages = [pack(packets) for packets in sent]
    assert [len(tracks) for tracks, _ in messages] == [1, 0, 1, 0, 1]
    assert [list(unpack(tracks, memoryview(b"".join(parts)))) for tracks, parts in messages] == sent


class Connections(Source):
    """A live source; each connection gives frames with two packets each, from time 0 on."""

    live = True
    rate = 10.0

    def __init__(self, *counts):
        super().__init__("connections")
        self.counts = list(counts)

    def __iter__(self):
        if not self.counts:
            raise SourceError("nobody answers")
        for index in range(self.counts.pop(0)):
            two = made(2, rate=20, start=index / 10)
            packets = tuple(two) if self.with_packets else ()
            image = np.zeros((4, 4, 3), np.uint8)
            yield Frame(stream="x", index=index, time_seconds=index / 10, picture=image, packets=packets)


@pytest.mark.waits
def test_a_feed_passes_on_packets_of_all_frames():
    """Also of those that are dropped, with the times of the stream, which go on after a reconnect."""
    came = []
    feed = Feed(
        "door",
        Connections(5, 5),
        threading.Condition(threading.RLock()),
        connection=Connection(retries=1),
        packets=lambda packets: came.append((threading.current_thread().name, list(packets))),
    )
    feed.start(prepare)
    while not feed.ended:
        feed.notices()
    assert feed.dropped["newer"] >= 8
    assert {name for name, _ in came} == {"feed of door"}
    times = [packet.time_seconds for _, packets in came for packet in packets]
    assert len(times) == 20
    assert times[:10] == pytest.approx([n / 20 for n in range(10)])
    assert times[10] > times[9]
    assert np.diff(times[10:]) == pytest.approx([0.05] * 9)
    assert times[10] == pytest.approx(feed.last_seconds - 0.4)
    assert feed.peek().frame.packets == ()


@pytest.mark.waits
def test_a_feed_asks_for_no_packets_unless_they_are_wanted():
    source = Connections(3)
    feed = Feed("door", source, threading.Condition(threading.RLock()), connection=Connection(retries=0))
    feed.start(prepare)
    while not feed.ended:
        feed.notices()
    assert not source.with_packets
    assert feed.received == 3


@pytest.mark.waits
def test_packets_of_a_camera(tmp_path):
    """What RTSP sends is what the server has, in its own process too, and the frames are made of it."""
    path = video(tmp_path / "a.mp4", 120, bf="0")
    with rtsp_server({"cam": as_it_is(path)}) as server:
        source = open_source(server.address("cam"), connection=Connection(retries=0))
        source.with_packets = True
        frames = list(islice(source, 60))
    packets = [packet for frame in frames for packet in frame.packets]
    assert packets[0].track.extradata
    original, got = slices(nals(path)), slices(nals_of(packets))
    begin = original.index(got[0])
    assert got == original[begin : begin + len(got)]
    by_time = {round(frame.time_seconds, 3): frame for frame in frames}
    assert [round(packet.time_seconds, 3) in by_time for packet in packets].count(False) <= 1
    assert np.diff([packet.time_seconds for packet in packets]) == pytest.approx(
        [1 / 30] * (len(packets) - 1), abs=2e-3
    )


@pytest.mark.waits
def test_packets_that_the_decoder_passes_over(tmp_path):
    """A reader that falls behind skips what is late; no packet is missing for that."""
    path = video(tmp_path / "a.mp4", 240, bf="0")
    with rtsp_server({"cam": as_it_is(path)}) as server:
        source = NetworkSource(server.address("cam"), Connection(retries=0))
        source.with_packets = True
        frames = iter(source)
        first = list(islice(frames, 10))
        time.sleep(2.5)
        packets = [packet for frame in [*first, *islice(frames, 30)] for packet in frame.packets]
        frames.close()
        source.close()
    assert source.lost["late"] > 10
    original, got = slices(nals(path)), slices(nals_of(packets))
    begin = original.index(got[0])
    assert len(got) > 50
    assert got == original[begin : begin + len(got)]


@pytest.mark.waits
def test_packets_of_a_motion_jpeg_camera(tmp_path):
    """The pictures as the server has them, at the times when they arrive."""
    for n, picture in enumerate(moving(5)):
        Image.fromarray(picture).save(tmp_path / f"{n}.jpg")
    files = [path.read_bytes() for path in sorted(tmp_path.glob("*.jpg"))]
    with http_server(tmp_path, MotionJpeg) as address:
        source = open_source(f"{address}/cam", connection=Connection(retries=0))
        source.with_packets = True
        frames = list(islice(source, 12))
    packets = [packet for frame in frames for packet in frame.packets]
    first = files.index(packets[0].data)
    assert [packet.data for packet in packets] == [files[(first + n) % 5] for n in range(len(packets))]
    assert [p.time_seconds for p in packets] == pytest.approx([f.time_seconds for f in frames], abs=0.05)
