"""Segments as subtitles, for players that know SubRip (SRT) or WebVTT (https://www.w3.org/TR/webvtt1)."""

from __future__ import annotations

from collections.abc import Iterable

from actionstream.choices import SubtitleFormat
from actionstream.results import Segment


def subtitles(segments: Iterable[Segment], *, kind: SubtitleFormat) -> str:
    """The text of a file: a cue for each segment, in the order of their starts; they may overlap."""
    cues = [] if kind == "srt" else ["WEBVTT\n"]
    ordered = sorted(segments, key=lambda each: (each.start_seconds, each.end_seconds))
    for number, segment in enumerate(ordered, 1):
        start, end = round(1000 * segment.start_seconds), round(1000 * segment.end_seconds)
        times = f"{_clock(start, kind)} --> {_clock(max(end, start + 1), kind)}"
        text = f"{_plain(segment.label, kind)} {100 * segment.score:.0f}%"
        cues.append(f"{number}\n{times}\n{text}\n")
    return "\n".join(cues)


def _clock(ms: int, kind: SubtitleFormat) -> str:
    seconds, ms = divmod(ms, 1000)
    point = "," if kind == "srt" else "."
    return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}{point}{ms:03}"


def _plain(label: str, kind: SubtitleFormat) -> str:
    """A label in one line, without characters that a player reads as markup."""
    label = " ".join(label.split())
    if kind == "vtt":
        return label.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return label.replace("-->", "->")
