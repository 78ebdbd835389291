"""False starts of models on footage without action, and the thresholds of events that are chosen by them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from actionstream.commands.tables import open_console
from actionstream.engine.fusion import open_scorer
from actionstream.models.common.errors import ActionstreamError
from actionstream.models.labels import NOTHING, find_background
from actionstream.models.training.folders import videos_under
from actionstream.models.training.left_out import LeftOut
from actionstream.models.weights.checkpoint import read_card, save_card
from actionstream.scoring.calibration import FalseStarts, count_false_starts, poisson_interval
from actionstream.scoring.events import START
from actionstream.sources import SourceError, open_source
from actionstream.sources.source import reason
from actionstream.teaching import Teacher
from actionstream.videos.scores import score_video

LEAST_SECONDS = 30.0
"""The least duration of footage on which false starts are counted."""


@dataclass(frozen=True)
class Calibration:
    """How false starts are counted.

    background  videos, or folders of them, in which none of the labels happens
    per_hour    the wished number of false starts, for which thresholds are chosen; None: they stay
    """

    background: tuple[Path, ...] = ()
    per_hour: float | None = None


def background_videos(paths: Sequence[Path], say: Callable[[str], None]) -> list[Path]:
    """The videos that are given, and those in folders of any depth."""
    videos: list[Path] = []
    for path in paths:
        if not path.exists():
            raise SourceError(f"no such file or folder: {path}; expected videos in which none of the actions happens")
        left_out = LeftOut()
        found = list(videos_under(path, left_out)) if path.is_dir() else [path]
        if not found:
            raise SourceError(f"{path} has no video in it; expected some in which none of the actions happens")
        for line in left_out.lines():
            say(line)
        videos += found
    return videos


def calibrate_teacher(teacher: Teacher, per_hour: float | None) -> FalseStarts | None:
    """Count the false starts of a teacher that has learnt, and set the thresholds for a wished number of them.

    None: as it was wished before, if it was. Returns None where nothing is wished, and there is too little footage.
    """
    per_hour = per_hour or teacher.card.training.get("false_starts_per_hour")
    seconds = teacher.card.interval_seconds * sum(
        example.num_snippets for example in teacher.examples if example.label == NOTHING
    )
    if seconds < LEAST_SECONDS and per_hour is None:
        return None
    _check_long_enough(seconds, f"the examples of {NOTHING} last")
    found = teacher.count_false_starts()
    if per_hour is not None:
        teacher.set_thresholds(found, per_hour)
    return found


def calibrate_checkpoints(
    files: Sequence[Path], videos: Iterable[Path], per_hour: float | None, *, device: str, say: Callable[[str], None]
) -> FalseStarts:
    """Count the false starts of the first checkpoint in videos, and write thresholds for a wished number into all."""
    scorer = open_scorer(files[0], device=device)
    card = scorer.card
    streams = []
    for video in videos:
        try:
            scores = score_video(open_source(video), scorer).after(card.context)
        except (ActionstreamError, OSError) as error:
            say(f"left out of the background: {error if isinstance(error, ActionstreamError) else reason(error)}")
            continue
        if len(scores.scores):
            streams.append((card.probabilities(scores.scores), scores.times_seconds))
    found = count_false_starts(
        streams, card.labels, background=find_background(card.labels), interval_seconds=card.interval_seconds
    )
    _check_long_enough(found.seconds, "the footage without action lasts")
    if per_hour is not None:
        thresholds = found.choose(per_hour)
        for file in files:
            save_card(file, replace(read_card(file), thresholds=thresholds))
    return found


def _check_long_enough(seconds: float, what: str) -> None:
    if seconds < LEAST_SECONDS:
        raise ActionstreamError(
            f"{what} {seconds:.0f} s; expected {LEAST_SECONDS:.0f} s or more to count false starts on; give "
            "--background with footage in which none of the actions happens"
        )


def print_false_starts(found: FalseStarts, thresholds: Mapping[str, float]) -> None:
    """Print how many labels start falsely where nothing happens, and at which thresholds."""
    console = open_console()
    if thresholds:
        chosen = ", ".join(f"{label} {number:.2f}" for label, number in thresholds.items())
        console.print(f"thresholds of events: {chosen}")
    starts = found.at(thresholds or START)
    low, high = (count / found.hours for count in poisson_interval(starts))
    console.print(
        f"false starts where nothing happens: {starts} in {found.seconds / 60:.1f} minutes, {starts / found.hours:.0f} "
        f"an hour; of more such footage, between {low:.0f} and {high:.0f} (95 % confidence)"
    )
