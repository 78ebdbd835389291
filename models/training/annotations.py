"""Annotations of data sets as they are published: each format is one function from a file to a list of clips.

The formats follow the data sets' own documentation. A video that a list names but that is missing is left out and
counted: many videos are no longer available.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from actionstream.models.annotations.annotated import AMBIGUOUS, AnnotatedVideo
from actionstream.models.common.checked import read_json
from actionstream.models.common.errors import ActionstreamError
from actionstream.models.common.files import find_columns, read_lines, read_table, split_row
from actionstream.models.training.annotated import usable_annotations
from actionstream.models.training.datasets import Clip, Listing
from actionstream.models.training.folders import Videos, find_videos, stem_of
from actionstream.models.training.frame_lists import name_of
from actionstream.models.video import is_hidden

JESTER_COLUMNS = {"id": ("id", "videoid", "video"), "label": ("label", "class", "template")}
"""Column names in the header of a table for Jester, without spaces or dashes; the header is optional."""


def ucf101_split(clips: Sequence[Clip], file: Path) -> Listing:
    """The clips of an official list (trainlist01.txt, testlist01.txt); a line is CLASS/VIDEO.avi and maybe a number."""
    labels: dict[str, list[str]] = {}
    for clip in clips:
        labels.setdefault(stem_of(clip.path.name), []).append(clip.labels[0])
    wanted = []
    for where, line in read_lines(file):
        path = re.sub(r"[\s,;]+\d+$", "", line)
        folder, _, name = path.replace("\\", "/").rpartition("/")
        known = [folder.rpartition("/")[2]] if folder else labels.get(stem_of(name), [])
        if len(known) > 1:
            raise ActionstreamError(f"{where} is {line!r}, a video of {' and '.join(known)}; expected CLASS/VIDEO.avi")
        wanted.append((known[0] if known else "", name))
    return _named(clips, wanted, file)


def hmdb51_split(clips: Sequence[Clip], folder: Path, number: int, *, test: bool) -> Listing:
    """The clips of split 1, 2 or 3, from a folder of lists such as wave_test_split1.txt: 1 marks training, 2 test."""
    ending = f"_test_split{number}.txt"
    files = sorted(path for path in folder.glob(f"*{ending}") if not is_hidden(path))
    if not files:
        raise ActionstreamError(f"{folder} has no lists of split {number}, such as wave{ending}")
    wanted = []
    for file in files:
        for where, line in read_lines(file):
            row = re.fullmatch(r"(.+?)[\s,;]+([012])", line)
            if row is None:
                raise ActionstreamError(f"{where} is {line!r}; expected VIDEO.avi and 0, 1 (training) or 2 (test)")
            if row[2] == ("2" if test else "1"):
                wanted.append((file.name.removesuffix(ending), row[1]))
    return _named(clips, wanted, folder)


def _named(clips: Sequence[Clip], wanted: Sequence[tuple[str, str]], source: Path) -> Listing:
    """The clips with these (label, name of the video), in their own order."""
    listing = Listing()
    names, found = {(label, stem_of(name)) for label, name in wanted}, set()
    for clip in clips:
        key = clip.labels[0], stem_of(clip.path.name)
        if key in names:
            listing.add(clip.path, clip.path.name, clip.labels, group=clip.group)
            found.add(key)
    for label, name in wanted:
        if (label, stem_of(name)) not in found:
            listing.add(None, f"{label}/{name}", [label] if label else [])
    return listing.checked(source, clips[0].path.parent.parent)


def something_something(file: Path, root: Path) -> Listing:
    """Something-Something's JSON: a list of id and template, or of id alone in a test list; videos are ID.webm."""
    videos, listing = Videos(root), Listing()
    for number, entry in enumerate(read_json(file, list[Any]), start=1):
        if not isinstance(entry, dict) or "id" not in entry:
            raise ActionstreamError(f"entry {number} of {file} has no id; expected {{'id': ..., 'template': ...}}")
        name, template = str(entry["id"]), str(entry.get("template") or "").replace("[", "").replace("]", "")
        listing.add(videos.find_anywhere(name), name, [template] if template else [])
    return listing.checked(file, root)


def jester(file: Path, root: Path) -> Listing:
    """Jester's CSV: id;label, or id alone in a test list; videos are folders of frames named ID, or files."""
    videos, listing = Videos(root), Listing()
    rows = read_lines(file)
    divider = next((divider for divider in (";", ",", "\t") if divider in rows[0][1]), ";")
    columns = find_columns(split_row(rows[0][1], divider), JESTER_COLUMNS)
    header = "id" in columns
    for where, line in rows[1:] if header else rows:
        fields = split_row(line, divider)
        id_, label = (columns["id"], columns.get("label", len(fields))) if header else (0, 1)
        if len(fields) <= id_ or (not header and len(fields) > 2):
            raise ActionstreamError(f"{where} is {line!r}; expected id{divider}label, or id alone")
        listing.add(
            videos.find_anywhere(fields[id_]), fields[id_], [text for text in fields[label : label + 1] if text]
        )
    return listing.checked(file, root)


def kinetics(file: Path, root: Path) -> Listing:
    """Kinetics' CSV (label, youtube_id, time_start, time_end ...); videos in one folder, or in a folder for each label.

    Video files are named ID_000001_000011.mp4, as the crawlers of Kinetics write them, or ID.mp4.
    """
    videos, listing = Videos(root), Listing()
    for where, row in read_table(file, "youtube_id", "time_start", "time_end"):
        name, label = row["youtube_id"], row.get("label", "")
        start, end = (int(_number(row[column], where, column)) for column in ("time_start", "time_end"))
        cut = f"{name}_{start:06d}_{end:06d}"
        path = videos.find_anywhere(cut, label) or videos.find_anywhere(name, label)
        listing.add(path, cut, [label] if label else [], group=name)
    return listing.checked(file, root)


def charades(file: Path, root: Path, labels: Sequence[str]) -> Listing:
    """Charades' CSV: a clip for each video, with the labels of all its actions: "c092 11.90 21.20;c147 0.00 12.60"."""
    videos, listing = Videos(root), Listing()
    for where, row in read_table(file, "id", "actions"):
        numbers = set()
        for action in filter(None, map(str.strip, row["actions"].split(";"))):
            number = action.split()[0].removeprefix("c")
            if not number.isdecimal():
                raise ActionstreamError(f"{where} has the action {action!r}; expected such as c092 11.90 21.20")
            numbers.add(int(number))
        names = [name_of(labels, str(number), where) for number in sorted(numbers)]
        listing.add(videos.find_anywhere(row["id"]), row["id"], names, group=row.get("subject", ""))
    return listing.checked(file, root)


def segment_clips(annotated: Sequence[AnnotatedVideo], videos: Videos) -> Listing:
    """A clip for each segment of annotated videos; unusable segments are left out.

    Without duration, before the video begins, after it ends, there twice, or marked as ambiguous (THUMOS14).
    """
    listing = Listing()
    paths = find_videos(videos, (video.name for video in annotated), listing.left_out)
    for video in annotated:
        listing.labels.update(each.label for each in video.annotations if each.label != AMBIGUOUS)
        last = math.inf if video.duration_seconds is None else video.duration_seconds
        for each in usable_annotations(video, last, listing.left_out):
            if video.name in paths:
                seconds = each.start_seconds, each.end_seconds
                listing.add(paths[video.name], video.name, [each.label], seconds=seconds, group=video.group)
    return listing


def ut_interaction(file: Path, root: Path) -> Listing:
    """A table (CSV) of UT-Interaction's segmented clips: path, label, split_group; the group is a sequence of a set."""
    videos, listing = Videos(root), Listing()
    for _, row in read_table(file, "path", "label", "split_group"):
        listing.add(videos.find(row["path"]), row["path"], [row["label"]], group=row["split_group"])
    return listing.checked(file, root)


def _number(value: Any, where: str, what: str) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number):
        raise ActionstreamError(f"{where}: {what} is {value!r}; expected a number")
    return number
