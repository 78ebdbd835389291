"""Datasets as people have them: each format is one function from a file or folder to a list of clips.

Facts on the formats are from the data sets' own documentation, and for lists from the TSN, TSM and IBM
action-recognition-pytorch code.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

VIDEOS = (".mp4", ".avi", ".mkv", ".webm", ".mov", ".mpg", ".mpeg", ".m4v")
FEATURES = ".npy"
"""Of files that `actionstream features` writes, a map for each segment of a video: float (T, D, h, w)."""
IMAGES = (".jpg", ".jpeg", ".png", ".bmp")


@dataclass(frozen=True)
class Clip:
    """A stretch of a video, or of a folder of frames, and what happens in it.

    path     a video file, a folder of pictures in the order of their names, or a file of features
    labels   names; several where they may be right at once, none where nobody says
    seconds  (start, end) of the stretch; None for all of it
    frames   (first, one past the last) of it, counted from 0, where a list says frames
    group    clips of one recording: they belong to one side of a split
    """

    path: Path
    labels: tuple[str, ...]
    seconds: tuple[float, float] | None = None
    frames: tuple[int, int] | None = None
    group: str = ""

    def __post_init__(self) -> None:
        for stretch in (self.seconds, self.frames):
            if stretch is not None and not 0 <= stretch[0] < stretch[1]:
                raise ValueError(
                    f"{self.path} from {stretch[0]} to {stretch[1]}: a clip begins at 0 or later, and ends"
                )


def folder_tree(root: Path) -> list[Clip]:
    """A folder for each class, with its videos or folders of frames: UCF101, HMDB51, and trees of 00001.jpg."""
    clips = []
    for folder in sorted(path for path in root.iterdir() if path.is_dir()):
        for path in sorted(folder.iterdir()):
            if path.suffix.lower() in (*VIDEOS, FEATURES) or (path.is_dir() and has_pictures(path)):
                clips.append(Clip(path, (folder.name,), group=_group(path)))
    if not clips:
        raise ValueError(f"{root} has no folder with videos ({', '.join(VIDEOS)}) or folders of frames in it")
    return clips


def has_pictures(folder: Path) -> bool:
    """Whether a folder has pictures in it, and so is a video."""
    return any(path.suffix.lower() in IMAGES for path in folder.iterdir())


def _group(path: Path) -> str:
    """What clips of one recording share: v_Archery_g07_c02.avi is of v_Archery_g07. Empty for other names."""
    named = re.fullmatch(r"(.+)_c\d+", path.stem)
    return named[1] if named else ""


def ucf101_split(clips: Sequence[Clip], file: Path) -> list[Clip]:
    """The clips that an official list names (trainlist01.txt, testlist01.txt)."""
    wanted = {line.split()[0].split("/")[-1] for line in _lines(file)}
    return _all_of(clips, wanted, file)


def hmdb51_split(clips: Sequence[Clip], folder: Path, number: int, *, test: bool) -> list[Clip]:
    """The clips of split 1, 2 or 3, from the folder of its lists, wave_test_split1.txt ...: 1 is training, 2 test."""
    files = sorted(folder.glob(f"*_test_split{number}.txt"))
    if not files:
        raise ValueError(f"{folder} has no lists of split {number}, such as wave_test_split{number}.txt")
    rows = [line.split() for file in files for line in _lines(file)]
    return _all_of(clips, {name for name, side in rows if side == ("2" if test else "1")}, folder)


def _all_of(clips: Sequence[Clip], wanted: set[str], source: Path) -> list[Clip]:
    found = [clip for clip in clips if clip.path.name in wanted]
    if missing := wanted - {clip.path.name for clip in found}:
        raise ValueError(f"{source} names {len(missing)} videos that are not there, such as {min(missing)}")
    return found


def split_by_group(clips: Sequence[Clip], *, seed: int, share: float = 0.2) -> tuple[list[Clip], list[Clip]]:
    """Clips for training and for validation: about `share` of each label's groups are for validation."""
    held_out: set[str] = set()
    for label in sorted({label for clip in clips for label in clip.labels}):
        groups = sorted({clip.group or str(clip.path) for clip in clips if label in clip.labels})
        order = np.random.default_rng((seed, len(groups))).permutation(groups)
        held_out |= set(order[: max(1, round(share * len(groups)))].tolist() if len(groups) > 1 else ())
    sides: tuple[list[Clip], list[Clip]] = [], []
    for clip in clips:
        sides[(clip.group or str(clip.path)) in held_out].append(clip)
    return sides


def check_split(training: Sequence[Clip], validation: Sequence[Clip]) -> None:
    """ValueError where a recording, or a label that training has not, is on the other side."""
    groups = [{clip.group or str(clip.path) for clip in side} for side in (training, validation)]
    if leaked := groups[0] & groups[1]:
        raise ValueError(f"{len(leaked)} groups are in training and validation, such as {min(leaked)}")
    labels = [{label for clip in side for label in clip.labels} for side in (training, validation)]
    if new := labels[1] - labels[0]:
        raise ValueError(f"validation has labels that training has not: {', '.join(sorted(new)[:5])}")


def frame_list(file: Path, root: Path, labels: Sequence[str], *, labelled: bool = True) -> list[Clip]:
    """Lists of the TSN, TSM and IBM code, with spaces or semicolons between; the label is a number.

    path num_frames label        TSN, TSM
    path start end label         IBM; frames counted from 1, both ends included
    path num_frames, path start end: the same where nothing is labelled, as in a test list
    """
    pattern = re.compile(rf"(.+?)((?:[;\s]+\d+){{{1 + labelled},{2 + labelled}}})")
    clips = []
    for number, line in enumerate(_lines(file), start=1):
        match = pattern.fullmatch(line)
        if match is None:
            what = "path num_frames, or path start end" + (", and a label" if labelled else "")
            raise ValueError(f"line {number} of {file} is {line!r}; it is {what}")
        values = [int(value) for value in re.findall(r"\d+", match[2])]
        names = (_name(labels, values.pop(), f"line {number} of {file}"),) if labelled else ()
        first, last = (1, *values) if len(values) == 1 else values
        clips.append(Clip(root / match[1], names, frames=(max(first, 1) - 1, last)))
    return clips


def _name(labels: Sequence[str], number: int, where: str) -> str:
    if number >= len(labels):
        raise ValueError(f"{where} has label {number}, and there are {len(labels)}, from 0 on")
    return labels[number]


def something_something(file: Path, root: Path) -> list[Clip]:
    """Something-Something's JSON: a list of id and template, or of id alone in a test list; videos are ID.webm."""
    clips = []
    for entry in _json(file, list):
        template = entry.get("template", "").replace("[", "").replace("]", "")
        clips.append(Clip(_video(root, str(entry["id"])), (template,) if template else ()))
    return clips


def jester(file: Path, root: Path) -> list[Clip]:
    """Jester's CSV: id;label, or id alone in a test list; videos are folders of frames named ID, or files."""
    rows = [line.split(";") for line in _lines(file)]
    return [Clip(_video(root, row[0]), tuple(row[1:2])) for row in rows]


def kinetics(file: Path, root: Path) -> list[Clip]:
    """Kinetics' CSV (label, youtube_id, time_start, time_end ...), for videos in a folder for each label or in one.

    Their names are ID_000001_000011.mp4, as its crawlers write them, or ID.mp4. Videos that are not there are left out,
    since many are not to be had any more.
    """
    there = {path.stem: path for path in root.rglob("*") if path.suffix.lower() in (*VIDEOS, FEATURES)}
    clips = []
    for row in _csv(file, "youtube_id", "time_start", "time_end"):
        name = row["youtube_id"]
        cut = f"{name}_{int(float(row['time_start'])):06d}_{int(float(row['time_end'])):06d}"
        path = there.get(cut) or there.get(name)
        if path is not None:
            clips.append(Clip(path, (row["label"],) if row.get("label") else (), group=name))
    if not clips:
        raise ValueError(f"none of the videos of {file} is in {root}")
    return clips


def charades(file: Path, root: Path, labels: Sequence[str]) -> list[Clip]:
    """Charades' CSV, a clip for each video with all that happens in it: "c092 11.90 21.20;c147 0.00 12.60"."""
    clips = []
    for row in _csv(file, "id", "actions"):
        numbers = sorted({int(action.split()[0][1:]) for action in row["actions"].split(";") if action})
        names = tuple(_name(labels, number, f"video {row['id']} of {file}") for number in numbers)
        clips.append(Clip(_video(root, row["id"]), names, group=row.get("subject", "")))
    return clips


def activitynet(file: Path, root: Path, *, subset: str) -> list[Clip]:
    """ActivityNet's JSON, and THUMOS14's in its layout: a clip for each annotated segment of a subset.

    Segments that are marked as ambiguous (THUMOS14) have nothing to teach, and are left out.
    """
    clips = []
    for name, video in _json(file, dict).get("database", {}).items():
        if video.get("subset") != subset:
            continue
        path = _video(root, name)
        for annotation in video.get("annotations", []):
            start, end = map(float, annotation["segment"])
            if annotation["label"] == "Ambiguous":
                continue
            clips.append(Clip(path, (annotation["label"],), seconds=(start, end), group=name))
    if not clips:
        raise ValueError(f"{file} has no segments of the subset {subset!r}")
    return clips


def ut_interaction(file: Path, root: Path) -> list[Clip]:
    """A table (CSV) of UT-Interaction's segmented clips: path, label, split_group; the group is a sequence of a set."""
    clips = []
    for row in _csv(file, "path", "label", "split_group"):
        video = root / row["path"]
        path = video if video.is_file() else video.with_suffix("")
        clips.append(Clip(path, (row["label"],), group=row["split_group"]))
    return clips


def leave_one_out(clips: Sequence[Clip], number: int) -> tuple[list[Clip], list[Clip]]:
    """The clips of the other groups of the same set, and those of group `number`, counted from 1 in order of names.

    The set of a group is what comes before the underscore: set1_seq01 is of set1.
    """
    groups = sorted({clip.group for clip in clips})
    if not 1 <= number <= len(groups):
        raise ValueError(f"no group {number} to leave out; there are {len(groups)}: {groups[0]} to {groups[-1]}")
    out = groups[number - 1]
    same_set = [clip for clip in clips if clip.group.split("_")[0] == out.split("_")[0]]
    return [clip for clip in same_set if clip.group != out], [clip for clip in same_set if clip.group == out]


def _video(root: Path, name: str) -> Path:
    """A video, folder of frames or file of features by its name; with v_ before it, as ActivityNet's files have."""
    folder = root / name
    files = (root / f"{before}{name}{suffix}" for before in ("", "v_") for suffix in (*VIDEOS, FEATURES))
    return folder if folder.is_dir() else next((path for path in files if path.is_file()), root / f"{name}.mp4")


def _lines(file: Path) -> list[str]:
    return [line.strip() for line in file.read_text(encoding="utf-8").splitlines() if line.strip()]


def _csv(file: Path, *columns: str) -> list[dict[str, str]]:
    with file.open(newline="", encoding="utf-8") as lines:
        rows = list(csv.DictReader(lines))
    if missing := [column for column in columns if not rows or column not in rows[0]]:
        raise ValueError(f"{file} has no column {missing[0]}; it needs {', '.join(columns)}, and a row")
    return rows


def _json(file: Path, kind: type) -> Any:
    try:
        value = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{file} is not JSON: {error}") from error
    if not isinstance(value, kind):
        raise ValueError(f"{file} holds a {type(value).__name__}, and a {kind.__name__} is wanted")
    return value
