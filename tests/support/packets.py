"""Packets of files and of nothing, and what is in clips."""

from __future__ import annotations

from fractions import Fraction
from itertools import count
from pathlib import Path

import av
import numpy as np
from odd_videos import encode

from actionstream.clips.parameter_sets import nal_units
from actionstream.packets import Packet, Track
from actionstream.sources import open_source

TRACK = Track("h264", 64, 48, b"", Fraction(1, 90_000))


def moving(num: int, height: int = 48, width: int = 64) -> list[np.ndarray]:
    """Pictures of a bright square that moves over noise, each another."""
    random = np.random.default_rng(0)
    pictures = []
    for n in range(num):
        picture = random.integers(0, 60, (height, width, 3), dtype=np.uint8)
        x = 2 * n % (width - 16)
        picture[8:24, x : x + 16] = 255 - n % 64
        pictures.append(picture)
    return pictures


def video(path: Path, num: int = 90, *, key: int = 15, codec: str = "libx264", **options) -> Path:
    """A video with a key frame every `key` pictures."""
    if codec == "libx265":
        options = {"x265-params": f"log-level=none:keyint={key}:min-keyint={key}:scenecut=0", **options}
    elif codec == "libx264":
        options = {"g": str(key), "sc_threshold": "0", **options}
    pixels = "yuvj420p" if codec == "mjpeg" else "yuv420p"
    return encode(path, moving(num, *options.pop("size", (48, 64))), codec=codec, pixels=pixels, **options)


def frames_of(source) -> list:
    """The frames of a source that is asked for packets; a path or what `open_source` takes."""
    source = open_source(source) if not hasattr(source, "with_packets") else source
    source.with_packets = True
    return list(source)


def packets_of(source) -> list[Packet]:
    return [packet for frame in frames_of(source) for packet in frame.packets]


def made(*groups: int, rate: float = 10.0, size: int = 1000, track: Track = TRACK, start: float = 0.0) -> list[Packet]:
    """Packets that cannot be decoded: groups of so many pictures."""
    numbers = count()
    return [
        Packet(
            track, start + (n := next(numbers)) / rate, round(n * 9e4 / rate), round(n * 9e4 / rate), not i, bytes(size)
        )
        for length in groups
        for i in range(length)
    ]


def demuxed(path: Path) -> list[bytes]:
    with av.open(str(path)) as file:
        return [bytes(packet) for packet in file.demux(video=0) if packet.size]


def decoded(path: Path, pixels: str | None = None) -> list[tuple[float, np.ndarray]]:
    """Times and pictures of a file: its planes as they are, or converted."""
    with av.open(str(path)) as file:
        return [(picture.time, picture.to_ndarray(format=pixels)) for picture in file.decode(video=0)]


def nals(path: Path) -> list[list[bytes]]:
    """The NAL units of each packet of a file with start codes, or of an MP4 or Matroska."""
    if path.suffix not in (".mp4", ".mkv"):
        return [nal_units(data) for data in demuxed(path)]
    return [_by_lengths(data) for data in demuxed(path)]


def nals_of(packets: list[Packet]) -> list[list[bytes]]:
    """The NAL units of each packet."""
    has_lengths = packets[0].track.extradata[:1] == b"\1"
    return [_by_lengths(packet.data) if has_lengths else nal_units(packet.data) for packet in packets]


def slices(units: list[list[bytes]]) -> list[bytes]:
    """The NAL units of H.264 that are parts of pictures, without parameter sets and messages."""
    return [unit for some in units for unit in some if unit[0] & 0x1F in (1, 5)]


def _by_lengths(data: bytes) -> list[bytes]:
    units = []
    while data:
        length = int.from_bytes(data[:4])
        units.append(data[4 : 4 + length])
        data = data[4 + length :]
    return units
