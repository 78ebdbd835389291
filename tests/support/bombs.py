"""Small files that cost much, and files that name others."""

from __future__ import annotations

import struct
import zlib
from functools import cache
from pathlib import Path


def gif(path: Path, side: int, frames: int = 30) -> Path:
    """A GIF of side x side pixels of which each frame changes one: 710 bytes for 30 frames of any size."""
    data = b"GIF89a" + struct.pack("<HHBBB", side, side, 0x80, 0, 0) + b"\0\0\0\xff\xff\xff"
    for n in range(frames):
        data += b"\x21\xf9\x04\0\x0a\0\0\0\x2c" + struct.pack("<HHHHB", n, n, 1, 1, 0) + b"\x02\x02\x44\x01\0"
    path.write_bytes(data + b"\x3b")
    return path


def png(path: Path, width: int, height: int, *, frames: int = 1, said_frames: int | None = None) -> Path:
    """A black PNG of one bit a pixel, which compresses a thousandfold; animated where there is more than one frame."""
    row = bytes((width + 7) // 8 + 1)
    packed = zlib.compressobj(9)
    rows = b"".join(packed.compress(row) for _ in range(height)) + packed.flush()
    data = b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0))
    if frames > 1:
        data += _chunk(b"acTL", struct.pack(">II", said_frames or frames, 0))
    for n in range(frames):
        number = 2 * n - 1
        if frames > 1:
            data += _chunk(b"fcTL", struct.pack(">IIIIIHHBB", max(number, 0), width, height, 0, 0, 1, 30, 0, 0))
        data += _chunk(b"IDAT", rows) if not n else _chunk(b"fdAT", struct.pack(">I", number + 1) + rows)
    path.write_bytes(data + _chunk(b"IEND", b""))
    return path


def exif(entries: int, size: int, *, big: bool = False, padding: int = 0) -> bytes:
    """A TIFF directory whose entries all say that the same `size` bytes are theirs."""
    if big:
        rows = b"".join(struct.pack("<HHQQ", 0x100 + n, 2, size, 16) for n in range(entries))
        return b"II+\0\x08\0\0\0" + struct.pack("<QQ", 16, entries) + rows + bytes(8 + padding)
    rows = b"".join(struct.pack("<HHII", 0x100 + n, 2, size, 8) for n in range(entries))
    return b"II*\0\x08\0\0\0" + struct.pack("<H", entries) + rows + bytes(4 + padding)


def png_with(path: Path, picture: Path, kind: bytes, data: bytes) -> Path:
    """A picture with another chunk behind its head."""
    whole = picture.read_bytes()
    path.write_bytes(whole[:33] + _chunk(kind, data) + whole[33:])
    return path


@cache
def inflating(size: int) -> bytes:
    """A thousandth of `size` bytes, of which it is made."""
    return zlib.compress(bytes(size), 9)


def y4m(path: Path, width: int, height: int) -> Path:
    """A header of raw video, and hardly anything behind it."""
    path.write_bytes(f"YUV4MPEG2 W{width} H{height} F30:1 Ip C420jpeg\nFRAME\n".encode() + bytes(100))
    return path


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def lists(folder: Path, secret: Path, suffix: str = ".mp4") -> dict[str, Path]:
    """Files called videos that are lists of other files, by the name of their format; they name `secret`."""
    found = {
        "hls": f"#EXTM3U\n#EXT-X-TARGETDURATION:5\n#EXTINF:5,\n{secret}\n#EXT-X-ENDLIST\n",
        "hls of an address": f"#EXTM3U\n#EXT-X-TARGETDURATION:5\n#EXTINF:5,\nfile://{secret}\n#EXT-X-ENDLIST\n",
        "concat": f"ffconcat version 1.0\nfile {secret.name}\n",
        "sdp": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 5004 RTP/AVP 96\n"
        "a=rtpmap:96 H264/90000\n",
        "dash": '<?xml version="1.0"?>\n<MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static" '
        'mediaPresentationDuration="PT5S" profiles="urn:mpeg:dash:profile:isoff-on-demand:2011"><Period>'
        f'<AdaptationSet mimeType="video/mp4"><Representation id="1" bandwidth="1"><BaseURL>{secret}</BaseURL>'
        "</Representation></AdaptationSet></Period></MPD>\n",
    }
    paths = {}
    for name, text in found.items():
        paths[name] = folder / f"{name.replace(' ', '_')}{suffix}"
        paths[name].write_text(text)
    return paths
