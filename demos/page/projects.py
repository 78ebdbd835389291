"""Projects of the tab Annotate: videos, and the file of their annotations.

`actionstream annotate` opens one of a folder for one person, who gets its token with the address of the page. A visitor
of `actionstream demo` gets one of the video that they upload.
"""

from __future__ import annotations

import os
import secrets
import shlex
import threading
from collections.abc import Mapping, Sequence
from contextlib import closing
from math import inf
from pathlib import Path
from typing import Any

from actionstream.demos.page.annotations import Annotations
from actionstream.demos.page.clips import UploadedVideo
from actionstream.demos.page.hub import Hub
from actionstream.demos.page.limits import Limits
from actionstream.models.common.errors import ActionstreamError
from actionstream.models.common.limits import max_text_bytes
from actionstream.models.labels import list_labels, read_labels
from actionstream.models.locate import Located
from actionstream.models.video import VIDEO_SUFFIXES
from actionstream.models.video.files import is_hidden
from actionstream.scoring import sure_segments
from actionstream.sources.video import FileSource

MOST_DRAFTS = 2
"""Videos of all projects that are labelled at once."""


class Project:
    """Whoever knows the token may see the videos and change the annotations.

    videos  their files, by their names in the annotations
    model   of drafts; None is that of the page
    kept    whether the file stays when the page has ended
    """

    def __init__(
        self,
        annotations: Annotations,
        videos: Mapping[str, Path],
        *,
        model: Located | None = None,
        max_minutes: float = inf,
        max_height: float = inf,
        kept: bool = False,
    ):
        self.token = secrets.token_urlsafe(16)
        self.annotations = annotations
        self.videos = dict(videos)
        self.model = model
        self.kept = kept
        self.draft: Draft | None = None
        self._max_minutes = max_minutes
        self._max_height = max_height
        self._known: dict[str, tuple[float, float]] = {}

    def path(self, video: str) -> Path:
        """The file of a video."""
        if video not in self.videos:
            raise ActionstreamError(f"no video {video[:80]!r} is open here")
        return self.videos[video]

    def state(self) -> dict[str, Any]:
        """What the page shows of all videos, as JSON."""
        return {
            "file": str(self.annotations.path) if self.kept else None,
            "commands": self._commands() if self.kept else None,
            "labels": self.annotations.labels(),
            "videos": self.annotations.counts(self.videos),
        }

    def entry(self, video: str) -> dict[str, Any]:
        """What the page shows of one video, as JSON; `duration` is None where neither of the two files says it."""
        seconds, rate = self._measure(video)
        entry = self.annotations.entry(video)
        duration = entry["duration"]
        is_number = isinstance(duration, int | float) and 0 < duration < inf
        return {**entry, "duration": duration if is_number else seconds or None, "rate": rate}

    def begin_draft(self, video: str, hub: Hub) -> Draft:
        """Let the model label a video; it replaces what it was labelling."""
        self.stop_draft()
        self.draft = Draft(
            video,
            UploadedVideo(
                self.path(video),
                name=video,
                hub=hub,
                max_minutes=self._max_minutes,
                max_height=self._max_height,
                max_snapshots=2,
            ),
        )
        return self.draft

    def close(self) -> None:
        """Stop the draft; what was uploaded, and its annotations, are removed."""
        self.stop_draft()
        folder = self.annotations.path.parent
        for file in () if self.kept else (self.annotations.path, *self.videos.values()):
            if file.resolve().parent == folder:  # the sample is not
                file.unlink(missing_ok=True)

    def stop_draft(self) -> None:
        draft, self.draft = self.draft, None
        if draft is not None:
            draft.clip.stop()

    def _commands(self) -> str:
        """What learns from the videos and the file, and what drafts with that."""
        folder = shlex.quote(os.path.commonpath([path.absolute().parent for path in self.videos.values()]))
        file = shlex.quote(str(self.annotations.path.absolute()))
        return (
            f"actionstream train --data {folder} --annotations {file} -o runs/live\n"
            f"actionstream annotate {folder} -o {file} --model runs/live"
        )

    def _measure(self, video: str) -> tuple[float, float]:
        """Seconds and frames a second of a video, as its file says."""
        if video not in self._known:
            with closing(FileSource(str(self.path(video)), name=video, uploaded=True)) as source:
                self._known[video] = source.seconds, source.rate
        seconds, rate = self._known[video]
        if seconds > 60 * self._max_minutes:
            raise ActionstreamError(f"{video} is longer than {self._max_minutes:g} minutes, which is the most")
        return seconds, rate


class Draft:
    """What a model proposes for a video."""

    def __init__(self, video: str, clip: UploadedVideo):
        self.video = video
        self.clip = clip
        self._lock = threading.Lock()
        self._proposals: list[dict[str, Any]] | None = None
        clip.begin()

    @property
    def runs(self) -> bool:
        return not self.clip.done.is_set() and self.clip.hub.failure is None

    def state(self) -> dict[str, Any]:
        """The share that is done, or the proposals, as JSON; ActionstreamError where labelling failed."""
        if self.runs:
            return {"done": min(1.0, self.clip.seconds_done / self.clip.seconds) if self.clip.seconds else 0.0}
        with self._lock:
            if self._proposals is None:
                self._proposals = [
                    {
                        "label": each.label,
                        "segment": [round(each.start_seconds, 3), round(each.end_seconds, 3)],
                        "score": round(each.score, 3),
                    }
                    for each in sure_segments(self.clip.finish().segments)
                ]
            return {"proposals": self._proposals}


class Projects:
    """All projects of a server, by their tokens."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._all: dict[str, Project] = {}

    def add(self, project: Project) -> None:
        with self._lock:
            self._all[project.token] = project

    def find(self, token: str) -> Project | None:
        return self._all.get(token)

    def remove(self, token: str) -> None:
        """End a project, if there is one."""
        with self._lock:
            project = self._all.pop(token, None)
        if project is not None:
            project.close()

    def begin_draft(self, project: Project, video: str, hub: Hub) -> None:
        """See `Project.begin_draft`; ActionstreamError where too many videos are being labelled."""
        with self._lock:
            others = [each.draft for each in self._all.values() if each is not project]
            if sum(draft is not None and draft.runs for draft in others) >= MOST_DRAFTS:
                raise ActionstreamError("other videos are being labelled; try again later")
            project.begin_draft(video, hub)


def open_folder(videos: Sequence[Path], out: Path, *, labels: str | None) -> Project:
    """The project of a person's own videos, or folders of them, whose annotations are in `out`.

    labels  their names with commas between them, a file of them, or a list of the package
    """
    if out.suffix.lower() != ".json":
        raise ActionstreamError(f"--out is {out}; expected a name that ends in .json")
    files = [file for each in videos for file in _videos_in(each)]
    annotations = Annotations(out, max_bytes=max_text_bytes(), labels=_names(labels))
    known = annotations.names()
    named: dict[str, Path] = {}
    for file in files:
        name = file.name if file.name in known else file.stem
        if named.setdefault(name, file) != file:
            raise ActionstreamError(f"{named[name]} and {file} have the same name; give one of them another")
    return Project(annotations, named, kept=True)


def open_upload(path: Path, name: str, folder: Path, *, model: Located, limits: Limits) -> Project:
    """The project of an uploaded video, whose annotations are in `folder` while its page is open."""
    annotations = Annotations(folder / f"{path.stem}.json", max_bytes=1000 * limits.max_annotations_kilobytes)
    video = {Path(name).stem[:200] or "video": path}
    return Project(annotations, video, model=model, max_minutes=limits.max_minutes, max_height=limits.max_height)


def _videos_in(path: Path) -> list[Path]:
    if path.is_file():
        return [path.resolve()]
    if not path.is_dir():
        raise ActionstreamError(f"no file or folder {path}")
    found = (each for each in path.iterdir() if each.suffix.lower() in VIDEO_SUFFIXES and not is_hidden(each))
    files = sorted(each.resolve() for each in found if each.is_file())
    if not files:
        raise ActionstreamError(f"{path} has no video; expected files such as film.mp4")
    return files


def _names(labels: str | None) -> Sequence[str]:
    if labels is None:
        return ()
    is_file = Path(labels).is_file() or ("," not in labels and Path(labels).suffix == ".txt")
    if is_file or labels in list_labels():
        return read_labels(labels)
    names = [label.strip() for label in labels.split(",") if label.strip()]
    if not names:
        raise ActionstreamError(f"--labels is {labels!r}; expected names with commas between them, or a file of names")
    return names
