"""Lists of videos with their labels, in the layouts of common training code."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from actionstream.models.common.errors import ActionstreamError
from actionstream.models.common.files import DIVIDERS, find_columns, read_lines, split_row
from actionstream.models.labels.files import Labels
from actionstream.models.training.datasets import Listing
from actionstream.models.training.folders import Videos

COLUMNS = {
    "path": ("path", "video", "videopath", "videoname", "videoid", "file", "filename", "filepath", "clip", "folder"),
    "start": ("start", "startframe", "begin", "first", "firstframe"),
    "end": ("end", "endframe", "stop", "last", "lastframe"),
    "frames": ("frames", "numframes", "totalframes", "nframes", "framecount"),
    "label": ("label", "labelid", "labelindex", "labelname", "class", "classid", "classname", "target", "action"),
}
"""Names that a header may give to the columns, without spaces or dashes."""
INTEGER = re.compile(r"-?\d+")


class _ListedClip(NamedTuple):
    """A row; label is "" in an unlabelled list, numbers are (), (num_frames,) or (start, end)."""

    path: str
    numbers: tuple[int, ...]
    label: str


def frame_list(file: Path, root: Path, labels: Sequence[str], *, labelled: bool = True) -> Listing:
    """Lists of the TSN, TSM, MMAction2 and IBM code; spaces, tabs, commas or semicolons divide the columns.

    path label                   the label is a number, from 0 on, or a name
    path num_frames label        TSN, TSM; num_frames is -1 where it is unknown
    path start end label         IBM; frames counted from 1, both ends included
    path, path num_frames ...    the same without labels, as in a test list

    A header may name the columns in another order. Without `labels` a number is used as the name. Raises ValueError,
    with the line, for a row in another layout.
    """
    videos, listing, known = Videos(root), Listing(), frozenset(labels)
    rows = read_lines(file)
    header = _header(rows[0][1], labelled)
    if header:
        titles = split_row(rows[0][1].lstrip("#"), header[0])
        unread = (title for place, title in enumerate(titles) if place not in header[1].values())
        listing.left_out.add("columns that are not read", *filter(None, unread))
    for where, text in rows[1:] if header else rows:
        if header:
            divider, columns = header
            found = _row_of(split_row(text, divider), columns, where)
        else:
            readings = list(_readings(text, known, labelled))
            if not readings:
                what = "path, path num_frames, or path start end" + (", and a label" if labelled else "")
                and_labels = " from 0 on, or one of the names in the labels" if labelled and labels else ""
                raise ActionstreamError(f"{where} is {text!r}; expected {what}{and_labels}")
            found = next((reading for reading in readings if videos.find(reading.path)), readings[0])
        names = (name_of(labels, found.label, where),) if labelled else ()
        if found.numbers == (0,):
            listing.labels.update(names)
            listing.left_out.add("rows that say 0 frames", found.path)
        else:
            listing.add(videos.find(found.path), found.path, names, frames=_stretch(found.numbers, where, text))
    return listing.checked(file, root)


def name_of(labels: Sequence[str], label: str, where: str) -> str:
    """The name of a label by its number; a name, or a number where `labels` is empty, is returned as it is."""
    if not labels or not INTEGER.fullmatch(label):
        if labels and label not in labels:
            raise ActionstreamError(f"{where} has the label {label!r}, which is none of the {len(labels)} labels")
        return label
    first = labels.first if isinstance(labels, Labels) else 0
    if not first <= int(label) < first + len(labels):
        counted = "; it seems to count from 1, and labels count from 0" if int(label) == len(labels) else ""
        if first:
            counted = ", as the file of labels numbers them; a list that counts from 0 needs labels without numbers"
        raise ActionstreamError(f"{where} has label {label}, and there are {len(labels)}, from {first} on{counted}")
    return labels[int(label) - first]


def _stretch(numbers: tuple[int, ...], where: str, text: str) -> tuple[int, int] | None:
    """(first, one past the last) frame, counted from 0; None for all frames."""
    if numbers in ((), (-1,)):
        return None
    first, last = (1, *numbers) if len(numbers) == 1 else numbers
    if not 0 <= first <= max(last, 1) or last < 1:
        raise ActionstreamError(
            f"{where} is {text!r}: frames from {first} to {last}; expected a start, and an end after it"
        )
    return max(first, 1) - 1, last


def _readings(text: str, known: frozenset[str], labelled: bool) -> Iterator[_ListedClip]:
    """The possible readings of a row, the most likely first: paths and labels may have spaces in them."""
    for divider in (*(divider for divider in DIVIDERS if divider in text), None):
        fields = split_row(text, divider)
        joint = divider or " "
        for words in range(1, len(fields)) if labelled else (0,):
            label = joint.join(fields[len(fields) - words :])
            if labelled and known and label not in known and not (words == 1 and INTEGER.fullmatch(label)):
                continue
            before = fields[: len(fields) - words]
            for count in (2, 1, 0):
                numbers = before[len(before) - count :]
                path = joint.join(before[: len(before) - count])
                if path and len(numbers) == count and all(map(INTEGER.fullmatch, numbers)):
                    yield _ListedClip(path, tuple(map(int, numbers)), label)


def _header(text: str, labelled: bool) -> tuple[str | None, dict[str, int]] | None:
    """The divider and the place of each column, if a row is a header."""
    for divider in (*DIVIDERS, None):
        columns = find_columns(split_row(text.lstrip("#"), divider), COLUMNS)
        if "path" in columns and len(columns) > 1 and (not labelled or "label" in columns):
            return divider, columns
    return None


def _row_of(fields: Sequence[str], columns: dict[str, int], where: str) -> _ListedClip:
    """A row by the columns of the header."""
    if len(fields) <= max(columns.values()):
        raise ActionstreamError(f"{where} has {len(fields)} fields; the header has {', '.join(columns)}")
    named = {role: fields[place] for role, place in columns.items()}
    wanted = ("start", "end") if {"start", "end"} <= columns.keys() else ("frames",) if "frames" in columns else ()
    for role in wanted:
        if not INTEGER.fullmatch(named[role]):
            raise ActionstreamError(f"{where}: {role} is {named[role]!r}; expected a number of frames")
    return _ListedClip(named["path"], tuple(int(named[role]) for role in wanted), named.get("label", ""))
