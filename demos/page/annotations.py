"""A file of annotations in ActivityNet's layout that changes one video at a time, and keeps all else that it has.

Besides the layout's own keys (`actionstream.evaluation.activitynet`), a video may have `reviewed`, true when a person
is done with it and false when it was only begun, and `proposals`, segments of a model that nobody has accepted yet.
A node of `taxonomy` may have `color`.
"""

from __future__ import annotations

import hashlib
import json
import re
import threading
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from actionstream.evaluation.files import read_object, write_text
from actionstream.models.common.checked import Plain, ShortText, checked
from actionstream.models.common.errors import ActionstreamError
from actionstream.models.common.files import check_target
from actionstream.teaching.examples import check_label

NEW = {"version": "1.3", "taxonomy": [], "database": {}}
SUBSET = "training"
"""The subset of a video that the file does not know yet."""
MOST_LABELS = 1000
MOST_SECONDS = 1e7
COLOR = "#[0-9a-f]{6}"
LISTS = ("annotations", "proposals")


@checked
class Entry:
    """What the page says of a video; `version` is that of the entry that it replaces."""

    video: ShortText
    version: ShortText
    duration: Annotated[float, Field(gt=0, le=MOST_SECONDS)]
    annotations: list[Plain]
    proposals: list[Plain]
    reviewed: bool


@checked
class LabelChange:
    """A new label (`was` is null), a new name or color of a label, or its end (`name` is null)."""

    was: ShortText | None
    name: ShortText | None
    color: ShortText | None = None


class Changed(ActionstreamError):
    """The entry is not the one that the page has seen."""


class Annotations:
    """The file is read for each request, because other programs may change it; any thread may use this class.

    path       need not exist yet
    max_bytes  the most that is written

    Raises ActionstreamError for a file in another layout, and where it cannot be written.
    """

    def __init__(self, path: Path, *, max_bytes: float, labels: Sequence[str] = ()):
        self.path = path.resolve()  # a link stays a link
        self._max_bytes = max_bytes
        self._lock = threading.Lock()
        self._seen: tuple[tuple[int, ...], dict[str, Any]] | None = None
        check_target(self.path)
        with self._lock:
            data = self._read()
            known = {each["name"] for each in _labels(data)}
            if new := [label for label in dict.fromkeys(labels) if label not in known]:
                for label in new:
                    check_label(label)
                data["taxonomy"] += [{"nodeName": label} for label in new]
                self._write(data)

    def names(self) -> set[str]:
        """The videos of the file."""
        with self._lock:
            return set(self._read()["database"])

    def labels(self) -> list[dict[str, str]]:
        """Name and, where it has one, color of each label: those of the taxonomy first, then all that are in use."""
        with self._lock:
            return _labels(self._read())

    def counts(self, videos: Iterable[str]) -> list[dict[str, Any]]:
        """How many annotations each video has, and whether it is reviewed."""
        with self._lock:
            database = self._read()["database"]
        entries = [(name, database.get(name)) for name in videos]
        return [
            {
                "name": name,
                "segments": len(_list(entry, "annotations")),
                "reviewed": isinstance(entry, dict) and entry.get("reviewed") is True,
            }
            for name, entry in entries
        ]

    def entry(self, video: str) -> dict[str, Any]:
        """What the file says of a video, and the version of it."""
        with self._lock:
            entry = self._read()["database"].get(video)
        if not isinstance(entry, dict | None) or any(not isinstance((entry or {}).get(key, []), list) for key in LISTS):
            raise ActionstreamError(f"video {video} of {self.path.name} is in another layout; correct the file")
        entry = entry or {}
        _check_finite([entry.get(key) for key in LISTS], f"video {video} of {self.path.name}")
        return {
            "version": _version(entry),
            "duration": entry.get("duration"),
            "reviewed": entry.get("reviewed") is True,
            **{key: entry.get(key, []) for key in LISTS},
        }

    def save(self, entry: Entry) -> str:
        """Write what the page says of a video, and return the new version; Changed where it has seen another one."""
        with self._lock:
            data = self._read()
            before = data["database"].get(entry.video) or {}
            if not isinstance(before, dict) or _version(before) != entry.version:
                raise Changed(f"{entry.video} was changed in another tab or by another program")
            for key in LISTS:
                _check_new(getattr(entry, key), _list(before, key))
            after = {"subset": SUBSET, **before, "duration": entry.duration, "annotations": entry.annotations}
            after |= {"reviewed": entry.reviewed, "proposals": entry.proposals}
            if not entry.proposals:
                del after["proposals"]
            data["database"][entry.video] = after
            self._write(data)
            return _version(after)

    def change_label(self, change: LabelChange) -> None:
        """Add, rename, colour or remove a label, in all videos."""
        with self._lock:
            data = self._read()
            names = [each["name"] for each in _labels(data)]
            if change.was is not None and change.was not in names:
                raise ActionstreamError(f"there is no label {change.was}; load the page again")
            if change.name is None:
                _remove_label(data, change.was)
            else:
                check_label(change.name)
                if change.name != change.was and change.name in names:
                    raise ActionstreamError(f"there is a label {change.name} already; choose another name")
                if change.was is None and len(names) >= MOST_LABELS:
                    raise ActionstreamError(f"there are {MOST_LABELS} labels, which is the most")
                _put_label(data, change.was, change.name, change.color)
            self._write(data)

    def _read(self) -> dict[str, Any]:
        """The file; the caller may change the lists and objects of the answer if it then writes them."""
        if not self.path.exists():
            return json.loads(json.dumps(NEW))
        there = self.path.stat()
        stamp = (there.st_ino, there.st_mtime_ns, there.st_size)
        if self._seen is None or self._seen[0] != stamp:
            data = read_object(self.path, key="database")
            if not isinstance(data.setdefault("taxonomy", []), list):
                raise ActionstreamError(f"{self.path}: taxonomy is no list of labels")
            self._seen = stamp, data
        return self._seen[1]

    def _write(self, data: dict[str, Any]) -> None:
        self._seen = None  # whatever happens: what is in memory may not be what is in the file
        text = json.dumps(data) + "\n"
        if len(text) > self._max_bytes:
            raise ActionstreamError(f"the annotations take {len(text):,} bytes; the most are {self._max_bytes:,.0f}")
        write_text(self.path, text)


def _version(entry: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(entry, sort_keys=True).encode()).hexdigest()[:16]


def _list(entry: Any, key: str) -> list[Any]:
    found = entry.get(key) if isinstance(entry, dict) else None
    return found if isinstance(found, list) else []


def _segments(data: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The annotations and proposals of all videos."""
    for entry in data["database"].values():
        for key in LISTS:
            yield from (each for each in _list(entry, key) if isinstance(each, dict))


def _nodes(data: dict[str, Any]) -> list[dict[str, Any]]:
    """The nodes of the taxonomy that are labels: others are groups of them."""
    nodes = [each for each in data["taxonomy"] if isinstance(each, dict) and isinstance(each.get("nodeName"), str)]
    groups = {str(each.get("parentName")) for each in nodes}
    return [each for each in nodes if each["nodeName"] not in groups]


def _labels(data: dict[str, Any]) -> list[dict[str, str]]:
    labels = {each["nodeName"]: {"name": each["nodeName"]} for each in _nodes(data)}
    for node in _nodes(data):
        if re.fullmatch(COLOR, str(node.get("color"))):
            labels[node["nodeName"]]["color"] = node["color"]
    for entry in data["database"].values():
        for each in _list(entry, "annotations"):
            if isinstance(each, dict) and isinstance(each.get("label"), str):
                labels.setdefault(each["label"], {"name": each["label"]})
    return list(labels.values())


def _put_label(data: dict[str, Any], was: str | None, name: str, color: str | None) -> None:
    if color is not None and not re.fullmatch(COLOR, color):
        raise ActionstreamError(f"the color is {color[:20]!r}; expected one such as #1c7ed6")
    node = next((each for each in _nodes(data) if each["nodeName"] == was), None)
    if node is None:
        node = {"nodeName": name}
        data["taxonomy"].append(node)
    node["nodeName"] = name
    if color is not None:
        node["color"] = color
    if was not in (None, name):
        for each in _segments(data):
            if each.get("label") == was:
                each["label"] = name


def _remove_label(data: dict[str, Any], name: str | None) -> None:
    if number := Counter(str(each.get("label")) for each in _segments(data))[str(name)]:
        raise ActionstreamError(f"{name} has {number} segments in all videos; delete them first")
    labels = _nodes(data)
    data["taxonomy"] = [each for each in data["taxonomy"] if each not in labels or each["nodeName"] != name]


def _check_finite(value: Any, what: str) -> None:
    try:
        json.dumps(value, allow_nan=False)
    except ValueError as error:
        raise ActionstreamError(f"{what} has a number that is not finite") from error


def _check_new(segments: list[dict[str, Any]], before: list[Any]) -> None:
    """ActionstreamError for a segment that makes no sense, unless the file has had it."""
    known = {json.dumps(each, sort_keys=True) for each in before}
    for each in segments:
        _check_finite(each, "a segment")
        if json.dumps(each, sort_keys=True) in known:
            continue
        label, times = each.get("label"), each.get("segment")
        if not isinstance(label, str):
            raise ActionstreamError("a segment has no label; expected its name")
        check_label(label)
        numbers = times if isinstance(times, list) else []
        if len(numbers) != 2 or not all(isinstance(n, int | float) and not isinstance(n, bool) for n in numbers):
            raise ActionstreamError(f"a segment of {label} has no times; expected [start, end] in seconds")
        if not 0 <= numbers[0] < numbers[1] <= MOST_SECONDS:
            raise ActionstreamError(f"a segment of {label} is {numbers}; expected a start before its end, in seconds")
