"""Encoded pictures of a source, as it sends them: what a clip is made of without encoding again."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import NamedTuple


@dataclass(frozen=True, slots=True)
class Track:
    """The encoding of a video track: the name of its codec for FFmpeg, the size of its pictures, its extradata."""

    codec: str
    width: int
    height: int
    extradata: bytes
    time_base: Fraction


class Packet(NamedTuple):
    """An encoded picture; a tuple, since many are made.

    time_seconds  time of its picture on the clock of the stream, as in `Frame`
    pts, dts      in units of the track's time base; they begin anew with each connection
    key           whether decoding can begin here
    """

    track: Track
    time_seconds: float
    pts: int
    dts: int
    key: bool
    data: bytes

    @property
    def decode_seconds(self) -> float:
        """When it is to be decoded, on the clock of `time_seconds`: no later packet is shown before."""
        time_base = self.track.time_base
        return self.time_seconds - (self.pts - self.dts) * time_base.numerator / time_base.denominator
