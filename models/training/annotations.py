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

from actionstream.models.common.checked import read_json
from actionstream.models.common.errors import ActionstreamError
from actionstream.models.common.files import find_columns, read_lines, read_table, split_row
from actionstream.models.training.datasets import Clip, Listing
from actionstream.models.training.folders import Side, Videos, side_of, stem_of
from actionstream.models.training.frame_lists import name_of
from actionstream.models.video import is_hidden

JESTER_COLUMNS = {"id": ("id", "videoid", "video"), "label": ("label", "class", "template")}
"""Column names in the header of a table for Jester, without spaces or dashes; the header is optional."""
AMBIGUOUS = "Ambiguous"


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


def activitynet(file: Path, root: Path, *, subset: Side, instead: Side | None = None) -> Listing:
    """ActivityNet's JSON, and THUMOS14's in its layout: a clip for each annotated segment of a subset.

    instead  the subset to take where the file has no videos of `subset`: THUMOS14 is trained on its validation subset

    Unusable segments are left out: without duration, before the video begins, after it ends, or marked as ambiguous
    (THUMOS14). Raises ValueError, which names the video, for a file in another layout.
    """
    videos, listing = Videos(root), Listing()
    database = read_json(file, dict[str, Any]).get("database")
    if not isinstance(database, dict):
        raise ActionstreamError(f"{file} has no object 'database', which ActivityNet's layout asks for")
    for name, video in database.items():
        if not isinstance(video, dict) or "subset" not in video:
            raise ActionstreamError(f"video {name} of {file} does not say which subset it is in")
    sides = {name: side_of(str(video["subset"])) for name, video in database.items()}
    chosen = subset if instead is None or subset in sides.values() else instead
    if chosen not in sides.values():
        there = ", ".join(sorted({str(video["subset"]) for video in database.values()})) or "none"
        raise ActionstreamError(f"{file} has no videos of the subset {chosen!r}; its subsets: {there}")
    for name, video in database.items():
        if sides[name] is None:
            listing.left_out.add("videos of a subset that is not for training, validation or test", name)
        if sides[name] != chosen:
            continue
        path = videos.find_anywhere(name)
        annotations, duration = video.get("annotations", []), video.get("duration")
        if not isinstance(annotations, list):
            raise ActionstreamError(f"video {name} of {file} has no list of annotations")
        for number, annotation in enumerate(annotations, start=1):
            where = f"annotation {number} of video {name} of {file}"
            label, start, end = _annotation(annotation, where)
            last = math.inf if duration is None else _number(duration, f"video {name} of {file}", "duration")
            _add_segment(listing, path, name, label, start, end, last)
    return listing.checked(file, root)


def thumos14(source: Path, root: Path, *, test: bool) -> Listing:
    """THUMOS14's annotations: a file in ActivityNet's layout, or a folder with CLASS_val.txt or CLASS_test.txt.

    A line of these files is "VIDEO START END". Unusable segments are left out as in `activitynet`.
    """
    if not source.is_dir():
        if test:
            return activitynet(source, root, subset="test")
        return activitynet(source, root, subset="training", instead="validation")
    videos, listing = Videos(root), Listing()
    ending = "_test.txt" if test else "_val.txt"
    files = sorted(path for path in source.glob(f"*{ending}") if not is_hidden(path))
    if not files:
        raise ActionstreamError(f"{source} has no annotations CLASS{ending}; the other subset may be in another folder")
    for file in files:
        for where, line in read_lines(file):
            fields = line.split()
            if len(fields) != 3:
                raise ActionstreamError(f"{where} is {line!r}; expected VIDEO START END")
            start, end = (_number(field, where, what) for field, what in zip(fields[1:], ("start", "end"), strict=True))
            label = file.name.removesuffix(ending)
            _add_segment(listing, videos.find_anywhere(fields[0]), fields[0], label, start, end, math.inf)
    return listing.checked(source, root)


def _add_segment(
    listing: Listing, path: Path | None, name: str, label: str, start: float, end: float, last: float
) -> None:
    """Add a segment of a video that is `last` seconds long, or leave it out where it is unusable."""
    shown = f"{name} [{start:g}, {end:g}] {label}"
    if label == AMBIGUOUS:
        listing.left_out.add("segments that are marked as ambiguous", shown)
        return
    listing.labels.add(label)
    if end <= start:
        listing.left_out.add("segments that end where they begin, or before", shown)
    elif start < 0:
        listing.left_out.add("segments that begin before their video", shown)
    elif start >= last:
        listing.left_out.add("segments after the end of their video", shown)
    else:
        listing.add(path, name, [label], seconds=(start, end), group=name)


def _annotation(annotation: Any, where: str) -> tuple[str, float, float]:
    """Label, and start and end in seconds."""
    if not isinstance(annotation, dict) or not {"label", "segment"} <= annotation.keys():
        raise ActionstreamError(f"{where} is {annotation!r}; expected {{'segment': [start, end], 'label': ...}}")
    segment = annotation["segment"]
    if not isinstance(segment, list) or len(segment) != 2:
        raise ActionstreamError(f"{where}: the segment is {segment!r}; expected [start, end] in seconds")
    start, end = (_number(value, where, what) for value, what in zip(segment, ("start", "end"), strict=True))
    return str(annotation["label"]), start, end


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
