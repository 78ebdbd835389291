"""Training with few clips: a run that fits a linear layer to frozen backbones, as the command `teach` does."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, replace
from datetime import date
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import track

from actionstream.commands.calibration import calibrate_teacher
from actionstream.commands.teach import as_label
from actionstream.frame import Frame
from actionstream.models.backbones import BACKBONES, build
from actionstream.models.common.errors import ActionstreamError
from actionstream.models.common.files import atomic_write
from actionstream.models.labels import NOTHING
from actionstream.models.training.augmentation import Augmentation
from actionstream.models.training.batches import MAX_BROKEN
from actionstream.models.training.data import Data, report
from actionstream.models.training.datasets import Clip, check_split
from actionstream.models.training.optimisation import Optimisation
from actionstream.models.training.pictures import draw_confusion
from actionstream.models.training.reading import read_frames, seconds_of, stretch_of
from actionstream.models.training.remarks import remarks_on, sureness
from actionstream.models.training.run import Run
from actionstream.models.training.sampling import FrameSampling
from actionstream.models.training.settings import TrainingSettings
from actionstream.models.training.testing import Tested, test
from actionstream.models.video import FEATURES, SourceError, every_frame
from actionstream.scoring.calibration import FalseStarts
from actionstream.sources.source import reason
from actionstream.teaching import Teacher
from actionstream.teaching.examples import Example
from actionstream.teaching.fit import MOST_EXAMPLES, Fit
from actionstream.teaching.looking import MOST_SECONDS

NETWORK = "taught"
CHUNK = 32
"""Pictures of a part of a video that are in memory."""


def are_few(clips: Sequence[Clip]) -> bool:
    """Whether frozen backbones learn from these clips: there are not too many, each of one action with one label."""
    if len(clips) > MOST_EXAMPLES or any(len(clip.labels) != 1 or clip.path.suffix == FEATURES for clip in clips):
        return False
    durations = []
    for clip in clips:
        try:
            durations.append(seconds_of(clip))
        except SourceError:  # it is named when it is read
            continue
    return not durations or float(np.median(durations)) <= MOST_SECONDS


def settings_for(data: Data, *, seed: int) -> TrainingSettings:
    """The settings of a run with frozen backbones; those of the training loop have no meaning for it."""
    card = build(NETWORK, BACKBONES)[1]
    labels = (as_label(label) for label in data.open()[2])
    return TrainingSettings(
        data=data,
        network=NETWORK,
        arguments=card.arguments,
        labels=tuple(dict.fromkeys([NOTHING, *labels])),
        preprocessing=card.preprocessing,
        sampled=FrameSampling(interval_seconds=card.interval_seconds, frame_seconds=card.frame_seconds),
        augmentation=Augmentation(),
        optimisation=Optimisation(),
        epochs=1,
        seed=seed,
    )


def fit_run(
    run: Run, background: Sequence[Path], *, device: str, say: Callable[[str], None]
) -> tuple[dict[str, Any], Teacher]:
    """Fit a run, test it, write its files, and return its summary and what has learnt.

    background  videos in which none of the labels happens

    It is tested on the clips for validation; where there are none, on each recording by what all others teach.
    """
    training, validation, labels = run.settings.data.open()
    for line in report(run.settings.data, training, validation, labels):
        say(line)
    check_split(training, validation)
    teacher = Teacher()
    seen: set[str] = set()
    lacking = _lack_recordings(training)
    broken = _look(teacher, training, seen, by_recording=not lacking)
    num_clips = len(teacher.examples)
    for video in background:
        try:
            teacher.add_background(video)
        except (ActionstreamError, OSError) as error:
            say(f"left out of the background: {error if isinstance(error, ActionstreamError) else reason(error)}")
    fit = teacher.fit()
    network, card = teacher.checkpoint()
    remarks = sorted(seen)
    if validation:
        known = [replace(clip, labels=tuple(map(as_label, clip.labels))) for clip in validation]
        tested = test(network, card, known, run.settings.sampled, device=device, progress="validation")
        broken += tested.broken
        remarks += tested.remarks
    else:
        tested = _left_out(teacher.examples[:num_clips], fit)
        if lacking:
            remarks.append(
                f"all clips of {', '.join(lacking)} are of one recording: each clip is tested by all others, some of "
                "the same recording, so new recordings will do worse; record these labels at another time, too"
            )
    figures = tested.figures() if len(tested.scores) else {}
    if figures:
        remarks += remarks_on(figures)
        with atomic_write(run.folder / "confusion.png") as file:
            draw_confusion(file, tested.confusion(), fit.labels)
    counts = Counter(example.label for example in teacher.examples[:num_clips])
    if single := [label for label, count in counts.items() if count == 1 and not validation]:
        remarks.append(f"cannot be tested, as there is one clip: {', '.join(single)}; give five or more of each label")
    settings = {"settings": asdict(run.settings), "date": date.today().isoformat()}
    teacher.card = replace(card, accuracy=figures, training={**card.training, **settings})
    _save(run, teacher)
    best = {name: value for name, value in figures.items() if isinstance(value, float)}
    by = "validation" if validation else "clip" if lacking or not any(clip.group for clip in training) else "recording"
    found = {"best": best, "tested_by": by, **sureness(figures)}
    return run.finish(training, validation, broken=broken, remarks=remarks, found=found), teacher


def calibrate(run: Run, teacher: Teacher, per_hour: float | None) -> FalseStarts | None:
    """Count the false starts of a run that was fitted, and write thresholds for a wished number of them."""
    found = calibrate_teacher(teacher, per_hour)
    if per_hour is not None:
        _save(run, teacher)
    return found


def _save(run: Run, teacher: Teacher) -> None:
    for name in ("last", "best"):
        teacher.save(run.folder / f"{name}.safetensors")


def _lack_recordings(clips: Sequence[Clip]) -> list[str]:
    """Labels of several clips that are all of one recording, which cannot be left out."""
    of_labels: dict[str, list[str]] = {}
    for clip in clips:
        of_labels.setdefault(clip.labels[0], []).append(clip.group or str(clip.path))
    return [label for label, groups in of_labels.items() if len(groups) > 1 and len(set(groups)) == 1]


def _look(teacher: Teacher, clips: Sequence[Clip], remarks: set[str], *, by_recording: bool) -> list[str]:
    """Add the clips to the examples, with a progress bar; returns the errors of those that cannot be read.

    Remarks on the others are added to `remarks`.
    """
    console = Console(stderr=True)
    broken: list[str] = []
    hidden = not console.is_terminal
    for clip in track(clips, "looking at clips", console=console, transient=True, disable=hidden):
        try:
            example = teacher.look(as_label(clip.labels[0]), _frames(clip, remarks), name=clip.path.name)
        except SourceError as error:
            broken.append(str(error))
        except ActionstreamError as error:  # it is too long, or too short
            broken.append(f"{clip.path}: {error}")
        else:
            teacher.examples.append(replace(example, recording=clip.group if by_recording else ""))
    if len(broken) > MAX_BROKEN * len(clips):
        shown = "; ".join(broken[:5])
        raise ActionstreamError(f"{len(broken)} of {len(clips)} clips cannot be read, more than half: {shown}")
    return broken


def _frames(clip: Clip, remarks: set[str]) -> Iterator[Frame]:
    """All frames of a clip, at the rate of its video."""
    stretch = stretch_of(clip)
    images: Iterable[np.ndarray]
    if clip.seconds is None and clip.frames is None:
        images = every_frame(clip.path, remarks=remarks)
    else:
        places = range(stretch.first, stretch.last)
        parts = (places[begin : begin + CHUNK] for begin in range(0, len(places), CHUNK))
        images = chain.from_iterable(read_frames(clip.path, part, remarks=remarks) for part in parts)
    for index, image in enumerate(images):
        yield Frame(stream=clip.path.name, index=index, time_seconds=index / stretch.rate, picture=image)


def _left_out(examples: Sequence[Example], fit: Fit) -> Tested:
    """Each example by the fit to those of other recordings, where its label has others."""
    counts = Counter(example.label for example in examples)
    tested = [number for number, example in enumerate(examples) if counts[example.label] > 1]
    truth = [[label == examples[number].label for label in fit.labels] for number in tested]
    return Tested(fit.probabilities[tested][:, None], np.array(truth, bool), fit.labels, ())
