"""Checks of a picture's metadata, which can be made to cost more memory than its pixels.

A compressed text or colour profile of a PNG inflates a thousandfold. The entries of an EXIF or TIFF directory may all
claim the same bytes, and each gets a copy of them. A chunk of a PNG may claim gigabytes that the file does not have.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from os import SEEK_CUR
from pathlib import Path
from typing import BinaryIO

SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4}
"""Bytes of a value by the type of a TIFF entry."""
PNG = b"\x89PNG\r\n\x1a\n"
MAX_DIRECTORY_BYTES = 1 << 24
MAX_COMPRESSED_BYTES = 1 << 16
"""The most bytes of compressed texts and colour profiles in a PNG."""


def claims_too_much(file: BinaryIO, size: int) -> bool:
    """Whether the entries of a TIFF's or EXIF's directories claim more than twice `size` bytes."""
    total = 0
    for claimed in _claimed_bytes(file):
        total += claimed
        if total > 2 * size:
            return True
    return False


def _claimed_bytes(file: BinaryIO) -> Iterator[int]:
    head = file.read(16)
    order = {b"II": "<", b"MM": ">"}.get(head[:2])
    if order is None or len(head) < 16:
        return
    is_big = 43 in head[2:4]  # BigTIFF, with numbers of 64 bits
    a_place, a_count, an_entry = (
        struct.Struct(order + each) for each in ("Q Q HHQQ" if is_big else "I H HHII").split()
    )
    (place,) = a_place.unpack_from(head, 8 if is_big else 4)
    seen: set[int] = set()
    while place and place not in seen:
        seen.add(place)
        file.seek(place)
        count = file.read(a_count.size)
        if len(count) < a_count.size:
            return
        entries = file.read(min(an_entry.size * a_count.unpack(count)[0], MAX_DIRECTORY_BYTES))
        for begin in range(0, len(entries) - an_entry.size + 1, an_entry.size):
            _, kind, number, _ = an_entry.unpack_from(entries, begin)
            yield an_entry.size + SIZES.get(kind, 1) * number
        following = file.read(a_place.size)
        place = a_place.unpack(following)[0] if len(following) == a_place.size else 0


def file_claims_too_much(path: Path) -> bool:
    """Whether a TIFF's directories (`claims_too_much`) or a chunk of a PNG claim more than the file has.

    False for any other file.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        kind = file.read(8)
        if kind == PNG:
            return any(length > max(size, MAX_DIRECTORY_BYTES) for length in _chunk_lengths(file))
        file.seek(0)
        return kind[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+") and claims_too_much(file, size)


def _chunk_lengths(file: BinaryIO) -> Iterator[int]:
    """The lengths that the chunks of a PNG claim, after its signature."""
    while len(head := file.read(8)) == 8:
        (length,) = struct.unpack_from(">I", head)
        yield length
        file.seek(length + 4, SEEK_CUR)


def inflates(png: bytes) -> bool:
    """Whether the texts and colour profiles of a PNG take more than MAX_COMPRESSED_BYTES before they are inflated."""
    place, total = 8, 0
    while place + 8 <= len(png):
        length, kind = struct.unpack_from(">I4s", png, place)
        total += length if kind in (b"iCCP", b"iTXt", b"zTXt") else 0
        place += length + 12
    return total > MAX_COMPRESSED_BYTES
