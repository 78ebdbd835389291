"""Clips of the user's own labels, from a camera; the command `record` keeps them in folders for `train --data`."""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from actionstream.frame import Frame
from actionstream.models.common.errors import ActionstreamError
from actionstream.results import Update
from actionstream.sinks.video_file import VideoFile
from actionstream.sources import Source, SourceError, open_source


def record_clips(
    label: str, *, source: str, folder: Path, num_clips: int, seconds: float, pause_seconds: float
) -> None:
    """Record clips of a label one after the other, with a pause before each; only complete clips are kept."""
    check_folder_name(label)
    check_times(seconds, pause_seconds)
    done = 0
    times = {"seconds": seconds, "pause_seconds": pause_seconds}
    with closing(open_camera(source)) as camera:
        try:
            with closing(recorded(camera, [label], num_clips=num_clips, **times)) as clips:
                for _, clip in clips:
                    write_clip(clip, folder, label)
                    done += 1
        finally:
            print(f"{folder / label}: {done} clips of {seconds:g} s")


def check_folder_name(label: str) -> None:
    if not label.strip() or label != Path(label).name or label.startswith("."):
        raise ActionstreamError(f"the label {label!r} cannot be the name of a folder; take another one")


def check_times(seconds: float, pause_seconds: float) -> None:
    if not seconds > 0 or not pause_seconds >= 0:
        raise ActionstreamError(
            f"--seconds is {seconds:g} and --pause is {pause_seconds:g}; expected above 0 "
            "for --seconds, and 0 or more for --pause"
        )


def open_camera(text: str) -> Source:
    """Open a source in whose name a number is always a camera."""
    return open_source(int(text) if text.isdecimal() else text)


def recorded(
    camera: Source, labels: Sequence[str], *, num_clips: int, seconds: float, pause_seconds: float
) -> Generator[tuple[str, Iterator[Frame]]]:
    """Record clips of each label; yields the label and the frames, whose times count from the begin of the clip.

    The frames of a clip come as they are recorded: take all of them before the next clip. A progress bar on standard
    error says what to do when; it ends when the generator is closed.

    Raises SourceError where the source ends before the last clip is complete.
    """
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn()
    frames = iter(camera)
    with Progress(*columns, console=Console(stderr=True)) as progress:
        for label in labels:
            task = progress.add_task(label, total=num_clips)
            for done in range(num_clips):
                show = partial(progress.update, task, completed=done)
                ended = f"{camera.name} ended after {done} of {num_clips} clips of {label}"
                yield label, _clip(frames, label, seconds, pause_seconds, show=show, ended=ended)
            progress.update(task, description=label, completed=num_clips)


def _clip(
    frames: Iterator[Frame],
    label: str,
    seconds: float,
    pause_seconds: float,
    *,
    show: Callable[..., None],
    ended: str,
) -> Iterator[Frame]:
    begin: float | None = None
    is_begun = False
    for frame in frames:
        begin = frame.time_seconds + pause_seconds if begin is None else begin
        passed = frame.time_seconds - begin
        if passed < 0:
            show(description=f"{label}: begins in {-passed:.0f} s")
        elif passed < seconds:
            is_begun = True
            show(description=f"{label}: recording")
            yield replace(frame, time_seconds=passed)
        elif is_begun:
            return
        else:  # the camera stood still for the whole clip
            begin = None
    raise SourceError(ended)


def write_clip(frames: Iterable[Frame], folder: Path, label: str) -> Path:
    """Write a clip to the folder of its label, as LABEL_001.mp4 or with the next free number; the path.

    Nothing is left of a clip whose frames end with an error.
    """
    place = folder / label
    place.mkdir(parents=True, exist_ok=True)
    taken = [re.fullmatch(rf"{re.escape(label)}_(\d+)\.mp4", path.name) for path in place.iterdir()]
    number = max((int(match[1]) for match in taken if match), default=0) + 1
    path = place / f"{label}_{number:03}.mp4"
    file = VideoFile(path, None)
    try:
        for frame in frames:
            file.push(Update(stream=frame.stream, frame=frame))
        file.close()
    finally:
        file.discard()
    return path
