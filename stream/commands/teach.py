"""The command `teach`: a live model of the user's own actions, from a few clips of each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from actionstream.commands.calibration import background_videos, calibrate_teacher, print_false_starts
from actionstream.commands.record import check_folder_name, check_times, open_camera, recorded, write_clip
from actionstream.commands.teach_tables import print_examples, print_report
from actionstream.models.backbones import BACKBONES
from actionstream.models.common.errors import ActionstreamError
from actionstream.models.common.files import check_target
from actionstream.models.locate import CHECKPOINTS, locate
from actionstream.models.training.folders import folder_tree
from actionstream.sources import SourceError, open_source
from actionstream.sources.source import reason
from actionstream.teaching import Teacher
from actionstream.teaching.examples import NOTHING, Example, check_label
from actionstream.teaching.fit import MOST_EXAMPLES
from actionstream.teaching.looking import MOST_SECONDS
from actionstream.teaching.teacher import named

SUFFIX = ".safetensors"
Clip = tuple[str, Path]
"""A label, and a video file or a folder of pictures."""


@dataclass(frozen=True, kw_only=True)
class Recording:
    """What is recorded from a camera.

    camera  a number, or any source
    labels  in the order in which they are recorded, `num_clips` of each
    folder  where the clips are kept, in a folder for each label; None: nowhere
    """

    camera: str
    labels: Sequence[str]
    num_clips: int
    seconds: float
    pause_seconds: float
    folder: Path | None

    def check(self) -> None:
        """Raise ActionstreamError where not everything can be recorded."""
        check_times(self.seconds, self.pause_seconds)
        if self.seconds > MOST_SECONDS:
            raise ActionstreamError(f"--seconds is {self.seconds:g}; expected {MOST_SECONDS:.0f} at most")
        for label in self.labels:
            check_label(label)
            if self.folder is not None:
                check_folder_name(label)


def teach_model(
    model: str | None,
    output: Path | None,
    *,
    backbones: Sequence[str] = (),
    data: Path | None = None,
    added: Sequence[tuple[str, str]] = (),
    removed: Sequence[int] = (),
    background: Sequence[Path] = (),
    false_starts_per_hour: float | None = None,
    recording: Recording | None = None,
    lists: bool = False,
    say: Callable[[str], None],
) -> tuple[Path | None, bool]:
    """Teach a model, a new one or one that was taught, and print what it makes of its examples.

    removed  numbers of examples, counted from 1, before others are added
    background             videos, or folders of them, that are labelled NOTHING
    false_starts_per_hour  for which the thresholds are chosen; None: as the model was taught before
    lists    whether the examples are listed; if nothing else is asked for, nothing is written

    Returns the file that was written, if any, and whether everything was recorded.
    """
    if (
        output is None
        and model is not None
        and (data or added or removed or background or false_starts_per_hour or recording)
    ):
        output = locate(model).file(*CHECKPOINTS)
    if output is not None and output.suffix != SUFFIX:
        raise ActionstreamError(f"{output} cannot be written: its name must end in {SUFFIX}")
    clips = [(as_label(label), Path(clip)) for label, clip in added]
    for label, path in clips:
        check_label(label)
        if not path.exists():
            raise SourceError(f"no such file: {path}; expected a video, or a folder of pictures")
    clips += [(NOTHING, path) for path in background_videos(background, say)]
    if recording is not None:
        recording.check()
    of_data = _clips_of(data, say) if data is not None else []
    teacher = Teacher(model, backbones=backbones or BACKBONES)
    _remove(teacher, removed)
    if recording is not None:
        _check_labels(teacher, recording, clips + of_data)
    if (number := len(teacher.examples) + len(clips) + len(of_data)) > MOST_EXAMPLES:
        raise ActionstreamError(
            f"there are {number} clips; expected {MOST_EXAMPLES} at most; train on so many clips with "
            "`actionstream train --data`"
        )
    if output is not None:
        check_target(output)
    _look(teacher, clips, say, passes_over=False)
    _look(teacher, of_data, say, passes_over=True)
    is_complete = recording is None or _record(teacher, recording, say)
    _leave_out_copies(teacher, say)
    fit = teacher.fit()
    calibrated = calibrate_teacher(teacher, false_starts_per_hour)
    if output is not None:
        teacher.save(output)
    if lists:
        print_examples(teacher.examples, fit, interval_seconds=teacher.card.interval_seconds)
    else:
        print_report(teacher.examples, fit)
    if calibrated is not None:
        print_false_starts(calibrated, teacher.card.thresholds)
    if output is not None:
        print(f"wrote {output}: {len(teacher.examples)} examples of {len(_labels(teacher))} labels")
    return output, is_complete


def as_label(name: str) -> str:
    """The label that a user means: a label "background" is that of no action."""
    name = name.strip()
    return NOTHING if name.lower() in (NOTHING, "background") else name


def _labels(teacher: Teacher) -> list[str]:
    return list(dict.fromkeys(example.label for example in teacher.examples))


def _clips_of(data: Path, say: Callable[[str], None]) -> list[Clip]:
    """The clips of a folder of folders; what is left out is said."""
    listing = folder_tree(data)
    for line in listing.left_out.lines():
        say(line)
    return [(as_label(clip.labels[0]), clip.path) for clip in listing]


def _remove(teacher: Teacher, numbers: Sequence[int]) -> None:
    for number in sorted(set(numbers), reverse=True):
        if not 1 <= number <= len(teacher.examples):
            raise ActionstreamError(
                f"there is no example {number}; expected 1 to {len(teacher.examples)}, as --list shows them"
            )
        teacher.remove(number - 1)


def _check_labels(teacher: Teacher, recording: Recording, clips: Sequence[Clip]) -> None:
    if len({*_labels(teacher), *recording.labels, *(label for label, _ in clips)}) < 2:
        given = ", ".join(recording.labels) or "no label"
        raise ActionstreamError(f"there is {given} to learn; expected two labels or more ({NOTHING} may be one)")


def _look(teacher: Teacher, clips: Sequence[Clip], say: Callable[[str], None], *, passes_over: bool) -> None:
    """Add clips, with a progress bar on standard error; passes_over: whether broken ones are named and left out."""
    if not clips:
        return
    columns = TextColumn("looking at clips"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        for label, path in bar.track(clips):
            try:
                _add(teacher, label, path, say)
            except (ActionstreamError, OSError) as error:
                if not passes_over:
                    raise
                say(f"left out of {label}: {error if isinstance(error, ActionstreamError) else reason(error)}")


def _add(teacher: Teacher, label: str, path: Path, say: Callable[[str], None]) -> None:
    with closing(open_source(path)) as source:
        with named(path):
            if label == NOTHING:
                teacher.add_background(source, name=path.name)
            else:
                teacher.add(label, source, name=path.name)
        for remark in source.warnings:
            say(remark)


def _record(teacher: Teacher, recording: Recording, say: Callable[[str], None]) -> bool:
    """Record clips and add them; returns whether all were recorded.

    Another thread looks at each clip, so that no frame of the camera waits meanwhile.
    """
    number = Counter(example.label for example in teacher.examples)
    looks: list[Future[Example]] = []
    with closing(open_camera(recording.camera)) as camera, ThreadPoolExecutor(1) as looking:
        clips = recorded(
            camera,
            recording.labels,
            num_clips=recording.num_clips,
            seconds=recording.seconds,
            pause_seconds=recording.pause_seconds,
        )
        try:
            with closing(clips):
                for label, clip in clips:
                    frames = []
                    for frame in clip:
                        teacher.card.preprocessing.resize(frame.picture)  # now: its reader forgets the frame soon
                        frames.append(frame)
                    number[label] += 1
                    name = f"clip {number[label]}"
                    if recording.folder is not None:
                        name = write_clip(frames, recording.folder, label).name
                    looks.append(looking.submit(teacher.add, label, frames, name=name))
        except SourceError as error:
            if not looks:
                raise
            say(str(error))
            is_complete = False
        else:
            is_complete = True
        for look in looks:
            look.result()
    return is_complete


def _leave_out_copies(teacher: Teacher, say: Callable[[str], None]) -> None:
    """Leave out examples that are there already; ActionstreamError where one has two labels."""
    seen: dict[int, list[Example]] = {}  # by length
    copies = []
    for number, example in enumerate(teacher.examples):
        others = seen.setdefault(example.num_snippets, [])
        first = next((other for other in others if _are_copies(example, other)), example)
        others.append(example)
        if first.label != example.label:
            raise ActionstreamError(
                f"{first.name} of {first.label} and {example.name} of {example.label} are the same clip; "
                "expected one label for it; leave one out"
            )
        if first is not example:
            say(f"left out: {example.name} of {example.label} is the same clip as {first.name}")
            copies.append(number)
    for number in reversed(copies):
        teacher.remove(number)


def _are_copies(one: Example, other: Example) -> bool:
    """Whether two examples of one length are of the same clip; the last digits of features depend on the batch.

    Parts of one recording may look the same: nothing happens in them.
    """
    if one.recording and one.recording == other.recording:
        return False
    for rows in (slice(0, 1), slice(None)):  # the first row tells nearly always, and is quick
        a, b = (each.features[0, rows].astype(np.float32) for each in (one, other))
        if np.abs(a - b).max() > 0.002 * np.abs(b).max():
            return False
    return True
