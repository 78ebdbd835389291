"""Videos as phones, editors, cameras and browsers make them: turned, trimmed, damaged, of variable rate."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

ORIENTATIONS = {
    "upright": (1, 0, 0, 1),
    "quarter": (0, 1, -1, 0),
    "half": (-1, 0, 0, -1),
    "three quarters": (0, -1, 1, 0),
    "mirrored": (-1, 0, 0, 1),
    "upside down": (1, 0, 0, -1),
    "transposed": (0, 1, 1, 0),
    "transposed back": (0, -1, -1, 0),
}
"""a, b, c, d of a display matrix: the pixel at (x, y) is shown at (a x + c y, b x + d y)."""


def encode(
    path: Path,
    pictures: Sequence[np.ndarray],
    *,
    rate: int = 30,
    times: Sequence[float] | None = None,
    codec: str = "libx264",
    pixels: str = "yuv420p",
    held_seconds: float | None = None,
    **options: str,
) -> Path:
    """A video of pictures, shown from `times` on, the last one for `held_seconds`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    base = Fraction(1, rate) if path.suffix in (".avi", ".mpg", ".gif") else Fraction(1, 90000)
    stamps = [round((times[n] if times else n / rate) / base) for n in range(len(pictures))]
    last = round((held_seconds or 1 / rate) / base)
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=rate)
        stream.height, stream.width = pictures[0].shape[:2]
        stream.pix_fmt, stream.options = pixels, options
        stream.codec_context.time_base = base

        def mux(packets) -> None:
            for packet in packets:
                if held_seconds and packet.pts == stamps[-1]:
                    packet.duration = last
                container.mux(packet)

        for picture, stamp in zip(pictures, stamps, strict=True):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(format=pixels)
            frame.pts, frame.time_base = stamp, base
            mux(stream.encode(frame))
        mux(stream.encode(None))
    return path


def seen_through(picture: np.ndarray, orientation: str) -> np.ndarray:
    """What has to be stored for a picture to be shown when it is seen through a display matrix."""
    a, b, c, d = ORIENTATIONS[orientation]
    stored = picture.swapaxes(0, 1) if a == 0 else picture
    right, down = (b, c) if a == 0 else (a, d)  # of the stored axes
    return np.ascontiguousarray(stored[:: -1 if down < 0 else 1, :: -1 if right < 0 else 1])


def orient(path: Path, orientation: str) -> Path:
    """Write the display matrix of the first track of an MP4."""
    data = bytearray(path.read_bytes())
    begin = 0
    for wanted in (b"moov", b"trak", b"tkhd"):
        while data[begin + 4 : begin + 8] != wanted:
            begin += struct.unpack_from(">I", data, begin)[0]
        begin += 8
    a, b, c, d = (value << 16 for value in ORIENTATIONS[orientation])
    struct.pack_into(">9i", data, begin + 40, a, b, 0, c, d, 0, 0, 0, 1 << 30)
    path.write_bytes(data)
    return path


def trim(path: Path, target: Path, hidden: int, *, rate: int = 30) -> Path:
    """Cut off the first frames without encoding anew: they stay in the file, and an edit list hides them."""
    with av.open(str(path)) as source, av.open(str(target), "w") as container:
        stream = container.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.dts is not None:
                back = round(hidden / rate / packet.time_base)
                packet.pts, packet.dts, packet.stream = packet.pts - back, packet.dts - back, stream
                container.mux(packet)
    return target


def put_into(
    source: Path, target: Path, *, whole: dict[str, str] | None = None, track: dict[str, str] | None = None
) -> Path:
    """The packets of a video in another container; `whole` and `track` are metadata of it."""
    with av.open(str(source)) as file, av.open(str(target), "w") as container:
        stream = container.add_stream_from_template(file.streams.video[0])
        container.metadata.update(whole or {})
        stream.metadata.update(track or {})
        for packet in file.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                container.mux(packet)
    return target


def show_only(path: Path, seconds: float) -> Path:
    """Shorten the edit list of an MP4, as a trimmer of phones does: what is behind stays in the file."""
    data = bytearray(path.read_bytes())
    place = data.index(b"elst") + 12  # its only entry begins with a duration in thousandths
    struct.pack_into(">I", data, place, round(1000 * seconds))
    path.write_bytes(data)
    return path


def damage(path: Path, *numbers: int, behind: int = 0) -> Path:
    """Overwrite the first bytes of packets, by their numbers, or those behind so many."""
    with av.open(str(path)) as container:
        places = [packet.pos for packet in container.demux(video=0) if packet.size]
    data = bytearray(path.read_bytes())
    for number in numbers:
        place = places[number] + behind
        data[place : place + 8] = b"\xff" * 8
    path.write_bytes(data)
    return path
