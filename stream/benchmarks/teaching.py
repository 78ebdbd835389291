"""How well few examples teach: accuracy on clips of other recordings, over random draws of the examples."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from actionstream.benchmarks.alternation import Done
from actionstream.frame import Frame
from actionstream.models.card import softmax
from actionstream.models.common.errors import ActionstreamError
from actionstream.models.common.files import read_text
from actionstream.sources import open_source
from actionstream.teaching import Teacher
from actionstream.teaching.examples import Example
from actionstream.teaching.ridge import fit_ridge

MOST_TRIES = 1000
REVERSED = ", reversed"
Clip = tuple[Path, str, str, str]
"""Path, label, group and part."""


@dataclass(frozen=True, eq=False)
class Seen:
    """A clip that the backbones have seen.

    group     name of its recording
    part      of the data set, within which examples and tests are taken
    pictures  float32 (D,): the mean over the clip of what single pictures show, for the baseline
    """

    example: Example
    group: str
    part: str
    pictures: np.ndarray


def read_clips(manifest: Path, *, group: str, within: str | None) -> list[Clip]:
    """The clips of a table with a head: path, label, group and part of each; paths are relative to its folder."""
    rows = list(csv.DictReader(io.StringIO(read_text(manifest))))
    wanted = ["path", "label", group, *([within] if within else [])]
    if missing := [name for name in wanted if not rows or rows[0].get(name) is None]:
        raise ActionstreamError(f"{manifest} has no column {missing[0]!r}; expected a head with {', '.join(wanted)}")
    return [(manifest.parent / row["path"], row["label"], row[group], row[within] if within else "all") for row in rows]


def look_at_clips(clips: Sequence[Clip], teacher: Teacher, *, with_reverse: bool, done: Done) -> list[Seen]:
    """What the backbones, and a classifier of single pictures, see of each clip, and of its reverse."""
    pictures = Teacher(backbones=["imagenet"])
    seen = []
    for number, (path, label, group, part) in enumerate(clips):
        with closing(open_source(path)) as source:
            frames = list(source)
        of_pictures = pictures.look_at_background(frames).astype(np.float32).mean(axis=0)
        seen.append(Seen(teacher.look(label, frames, name=path.name), group, part, of_pictures))
        if with_reverse:
            backwards = teacher.look(label + REVERSED, _reversed(frames), name=path.name)
            seen.append(Seen(backwards, group, part, of_pictures))
        done((number + 1) / len(clips))
    return seen


def _reversed(frames: Sequence[Frame]) -> Iterator[Frame]:
    last = frames[-1].time_seconds
    for index, frame in enumerate(reversed(frames)):
        yield replace(frame, index=index, time_seconds=last - frame.time_seconds)


def measure_teaching(
    seen: Sequence[Seen], teacher: Teacher, *, num_groups: int, each: int | None, draws: int, done: Done
) -> list[dict[str, Any]]:
    """The accuracy for each part of the data set: mean and standard deviation over the draws, and of the parts of it.

    num_groups  recordings whose clips are the examples; they are drawn until all labels are among them
    each        examples of a label and a recording that are taken, from recordings that have all labels; None: all

    At the end: the best label at the last snippet. At any time: the label with the highest probability in the clip.
    """
    parts = sorted({clip.part for clip in seen})
    rows = []
    for place, part in enumerate(parts):
        clips = [clip for clip in seen if clip.part == part]
        figures = []
        for draw in range(draws):
            examples, tests = draw_examples(clips, num_groups, each, np.random.default_rng(draw))
            figures.append((*_accuracy(teacher, examples, tests), _picture_accuracy(examples, tests)))
            done((place * draws + draw + 1) / (len(parts) * draws))
        names = ("at_the_end", "at_any_time", "single_pictures")
        means = dict(zip(names, np.mean(figures, axis=0).tolist(), strict=True))
        deviations = dict(zip(names, np.std(figures, axis=0).tolist(), strict=True))
        labels = len({clip.example.label for clip in clips})
        rows.append({"part": part, "labels": labels, "groups": num_groups, "accuracy": means, "deviation": deviations})
    return rows


def draw_examples(
    clips: Sequence[Seen], num_groups: int, each: int | None, random: np.random.Generator
) -> tuple[list[Seen], list[Seen]]:
    """The examples, and the clips of all other recordings."""
    labels = {clip.example.label for clip in clips}
    groups = sorted({clip.group for clip in clips})
    if each is not None:
        groups = [g for g in groups if {clip.example.label for clip in clips if clip.group == g} == labels]
    for _ in range(MOST_TRIES):
        chosen = set(random.permutation(groups)[:num_groups].tolist())
        examples = [clip for clip in clips if clip.group in chosen]
        if len(chosen) == num_groups and {clip.example.label for clip in examples} == labels:
            break
    else:
        raise ActionstreamError(f"no {num_groups} of {len(groups)} recordings have clips of all {len(labels)} labels")
    if each is not None:
        taken = Counter[tuple[str, str]]()
        shuffled = [examples[number] for number in random.permutation(len(examples))]
        examples = []
        for clip in shuffled:
            taken[clip.group, clip.example.label] += 1
            if taken[clip.group, clip.example.label] <= each:
                examples.append(clip)
    tests = [clip for clip in clips if clip.group not in chosen]
    if not tests:
        raise ActionstreamError(f"all {len(groups)} recordings are examples; expected some for the test")
    return examples, tests


@torch.inference_mode()
def _accuracy(teacher: Teacher, examples: Sequence[Seen], tests: Sequence[Seen]) -> tuple[float, float]:
    teacher.examples = [clip.example for clip in examples]
    teacher.fit()
    network, card = teacher.checkpoint()
    at_the_end = at_any_time = 0
    for clip in tests:
        described, _ = network.remember(torch.from_numpy(clip.example.features[:1].astype(np.float32)))
        scores = network.head(described)[0].numpy()
        at_the_end += card.labels[1 + scores[-1, 1:].argmax()] == clip.example.label
        at_any_time += card.labels[1 + softmax(scores)[:, 1:].max(axis=0).argmax()] == clip.example.label
    return at_the_end / len(tests), at_any_time / len(tests)


def _picture_accuracy(examples: Sequence[Seen], tests: Sequence[Seen]) -> float:
    """The accuracy of a linear classifier of single pictures, whose scores are averaged over a clip."""
    labels = sorted({clip.example.label for clip in examples})
    targets = np.eye(len(labels))[[labels.index(clip.example.label) for clip in examples]]
    rows = np.stack([clip.pictures for clip in examples])
    fit = fit_ridge(rows, targets, np.arange(len(rows)), penalties=[0.03 / len(rows)], counts=np.ones(len(rows)))[0]
    scores = np.stack([clip.pictures for clip in tests]) @ fit.weights.T + fit.offset
    return float(np.mean([labels[n] == clip.example.label for n, clip in zip(scores.argmax(1), tests, strict=True)]))
