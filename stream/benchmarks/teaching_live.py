"""How well few examples teach a live model: false starts where nothing happens, and detection in whole videos."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from actionstream.benchmarks.alternation import Done, alternate, burst, ratios
from actionstream.benchmarks.teaching import Clip, Seen, draw_examples
from actionstream.evaluation.activitynet import read_truth
from actionstream.evaluation.detection import activitynet_detection
from actionstream.evaluation.segments import SegmentRow, Segments, Truth
from actionstream.models.labels import NOTHING
from actionstream.runtimes.eager import TorchRuntime
from actionstream.scoring.calibration import FalseStarts, count_false_starts, poisson_interval
from actionstream.sources import open_source
from actionstream.teaching import Teacher
from actionstream.teaching.examples import Example
from actionstream.teaching.live import Head
from actionstream.videos.label import label_scores
from actionstream.videos.scores import VideoScores

IOU_THRESHOLDS = (0.3, 0.5, 0.7)


@dataclass(frozen=True, eq=False)
class Footage:
    """What the backbones see of a clip without action, or of a whole video: features, float16 (n, F), as seen."""

    group: str
    part: str
    features: np.ndarray


def look_at_footage(clips: Sequence[Clip], teacher: Teacher, *, done: Done) -> list[Footage]:
    """What the backbones see of clips, however long."""
    seen = []
    for number, (path, _, group, part) in enumerate(clips):
        with closing(open_source(path)) as source:
            seen.append(Footage(group, part, teacher.look_at_background(source)))
        done((number + 1) / len(clips))
    return seen


def read_videos(path: Path) -> tuple[Truth, list[Clip]]:
    """The annotations of subset "validation" in ActivityNet's layout, and the videos beside them, NAME.mp4."""
    truth = read_truth(path, subset="validation")
    return truth, [(path.parent / f"{name}.mp4", "", name, "") for name in truth.durations_seconds]


def measure_false_starts(
    seen: Sequence[Seen],
    background: Sequence[Footage],
    teacher: Teacher,
    *,
    num_groups: int,
    each: int | None,
    draws: int,
    per_hour: Sequence[float],
    done: Done,
) -> list[dict[str, Any]]:
    """False starts in the background of recordings without examples, and actions that are missed there.

    The background of the recordings with the examples is taught as NOTHING, and the thresholds are chosen on it, for
    each number of false starts an hour. An action is missed where its label never starts in its clip.
    """
    parts = sorted({footage.part for footage in background})
    rows = []
    for place, part in enumerate(parts):
        clips = [clip for clip in seen if clip.part == part]
        measured: dict[float, list[tuple[float, int, int, int]]] = {promise: [] for promise in per_hour}
        for draw in range(draws):
            examples, tests = draw_examples(clips, num_groups, each, np.random.default_rng(draw))
            taught = {clip.group for clip in examples}
            teach(teacher, examples, [footage for footage in background if footage.group in taught])
            head = Head(teacher.learn(teacher.examples))
            counted = teacher.count_false_starts()
            others = [f.features for f in background if f.part == part and f.group not in taught]
            held_out = _starts(head, others, teacher)
            of_clips = [_starts(head, [clip.example.features[0]], teacher) for clip in tests]
            for promise in per_hour:
                thresholds = counted.choose(promise)
                missed = sum(
                    not starts.only(clip.example.label).at(thresholds[clip.example.label])
                    for clip, starts in zip(tests, of_clips, strict=True)
                )
                measured[promise].append((held_out.hours, held_out.at(thresholds), missed, len(tests)))
            done((place * draws + draw + 1) / (len(parts) * draws))
        for promise, found in measured.items():
            hours, starts, missed, actions = np.sum(found, axis=0).tolist()
            rows.append(
                {
                    "part": part,
                    "promised_per_hour": promise,
                    "counted_per_hour": starts / hours,
                    "draws_in_interval": sum(_lies_in(count, promise * each_hours) for each_hours, count, *_ in found),
                    "missed": missed / actions,
                    "minutes_of_a_draw": 60 * hours / draws,
                }
            )
    return rows


def _lies_in(count: int, mean: float) -> bool:
    """Whether the 95 % interval of a count has the mean in it."""
    low, high = poisson_interval(count)
    return low <= mean <= high


def measure_detection(
    seen: Sequence[Seen],
    background: Sequence[Footage],
    videos: Mapping[str, np.ndarray],
    truth: Truth,
    teacher: Teacher,
    *,
    num_groups: int,
    each: int | None,
    draws: int,
    done: Done,
) -> dict[str, Any]:
    """The mean average precision of segments in whole videos, by name, whose features (n, F) are given."""
    figures = []
    for draw in range(draws):
        examples, _ = draw_examples(seen, num_groups, each, np.random.default_rng(draw))
        taught = {clip.group for clip in examples}
        teach(teacher, examples, [footage for footage in background if footage.group in taught])
        card = teacher.checkpoint()[1]
        head = Head(teacher.learn(teacher.examples))
        rows: list[SegmentRow] = []
        for name, features in videos.items():
            scores = VideoScores(
                times_seconds=np.arange(len(features)) * card.interval_seconds,
                scores=head.scores_of_all(features),
                rows_since_reset=np.arange(1, len(features) + 1),
                duration_seconds=truth.durations_seconds[name],
            )
            segments = label_scores(scores, card, name=name, background=NOTHING).segments
            rows += [(name, each.start_seconds, each.end_seconds, each.label, each.score) for each in segments]
        found = activitynet_detection(truth, Segments.from_rows(rows), iou_thresholds=IOU_THRESHOLDS)
        figures.append(found.map)
        done((draw + 1) / draws)
    names = [f"{threshold:g}" for threshold in IOU_THRESHOLDS]
    return {
        "videos": len(videos),
        "mAP": dict(zip(names, np.mean(figures, axis=0).tolist(), strict=True)),
        "deviation": dict(zip(names, np.std(figures, axis=0).tolist(), strict=True)),
    }


def measure_step(teacher: Teacher, *, rounds: int = 15, done: Done) -> dict[str, float]:
    """Milliseconds of a live step of one stream, of the taught model and of its backbones alone, in alternation."""
    sides = {"taught": teacher.checkpoint(), "backbones": teacher.looking()}
    steps = {}
    for name, (network, card) in sides.items():
        runtime = TorchRuntime(network, card, device="cpu")
        wanted = card.preprocessing
        shape = (1, 1, wanted.height, wanted.width, wanted.in_channels)
        snippets = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
        steps[name] = burst(partial(runtime.step, snippets, np.array([runtime.allocate()])))
    seconds = alternate(steps, rounds=rounds, done=done)
    return {
        **{f"{name}_ms": 1000 * median(each) for name, each in seconds.items()},
        "ratio": ratios(seconds["taught"], seconds["backbones"]).median,
    }


def teach(teacher: Teacher, examples: Sequence[Seen], background: Sequence[Footage]) -> None:
    """Teach the examples of a draw, and the background as NOTHING."""
    teacher.examples = [clip.example for clip in examples]
    teacher.examples += [Example(NOTHING, f.group, f.features[None], f.group) for f in background]
    teacher.fit()


def _starts(head: Head, streams: Sequence[np.ndarray], teacher: Teacher) -> FalseStarts:
    """The starts of all labels in streams of features (n, F)."""
    card = teacher.card
    scored = [head.scores_of_all(rows)[card.context :] for rows in streams]
    times = [np.arange(len(scores)) * card.interval_seconds for scores in scored]
    pairs = [(card.probabilities(rows), each) for rows, each in zip(scored, times, strict=True) if len(rows)]
    return count_false_starts(pairs, card.labels, background=NOTHING, interval_seconds=card.interval_seconds)
