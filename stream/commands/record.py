"""The command `record`: clips of the user's own label, from a camera, in a folder for `train --data`."""

from __future__ import annotations

import re
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from actionstream.models.common.errors import ActionstreamError
from actionstream.results import Update
from actionstream.sinks.video_file import VideoFile
from actionstream.sources import SourceError, open_source


def record_clips(
    label: str, *, source: str, folder: Path, num_clips: int, seconds: float, pause_seconds: float
) -> None:
    """Record clips of a label one after the other, with a pause before each; only complete clips are kept."""
    if not label.strip() or label != Path(label).name or label.startswith("."):
        raise ActionstreamError(f"the label {label!r} cannot be the name of a folder; take another one")
    if not seconds > 0 or not pause_seconds >= 0:
        raise ActionstreamError(
            f"--seconds is {seconds:g} and --pause is {pause_seconds:g}; expected above 0 "
            "for --seconds, and 0 or more for --pause"
        )
    camera = open_source(int(source) if source.isdecimal() else source)  # a number is always a camera here
    place = folder / label
    place.mkdir(parents=True, exist_ok=True)
    taken = [re.fullmatch(rf"{re.escape(label)}_(\d+)\.mp4", path.name) for path in place.iterdir()]
    first = max((int(match[1]) for match in taken if match), default=0) + 1
    done = 0
    file: VideoFile | None = None
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn()
    try:
        with closing(camera), Progress(*columns, console=Console(stderr=True)) as progress:
            task = progress.add_task(label, total=num_clips)
            begin: float | None = None
            for frame in camera:
                begin = frame.time_seconds + pause_seconds if begin is None else begin
                passed = frame.time_seconds - begin
                if passed < 0:
                    progress.update(task, description=f"{label}: begins in {-passed:.0f} s")
                    continue
                if passed < seconds:
                    progress.update(task, description=f"{label}: recording")
                    file = file or VideoFile(place / f"{label}_{first + done:03}.mp4", None)
                    file.push(Update(stream=camera.name, frame=replace(frame, time_seconds=passed)))
                    continue
                if file is not None:
                    file.close()
                    done += 1
                begin = file = None
                progress.update(task, completed=done)
                if done == num_clips:
                    break
    finally:
        if file is not None:
            file.discard()
    print(f"{place}: {done} clips of {seconds:g} s")
    if done < num_clips:
        raise SourceError(f"{camera.name} ended after {done} of {num_clips} clips")
