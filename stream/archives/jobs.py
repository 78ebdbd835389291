"""What a job is: something that is done with each video of an archive."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol, Self, cast

from actionstream.choices import DeviceName, PrecisionName, RuntimeName
from actionstream.engine.fusion import open_scorer
from actionstream.engine.scorer import Scorer
from actionstream.models.common.checked import ShortText, checked
from actionstream.models.common.choices import LiveMode
from actionstream.models.labels import find_background
from actionstream.sources import Source, SourceError, open_source

Tell = Callable[[float], object]
"""Is told how many seconds of the video are done."""
Do = Callable[[str, Path, str, Tell], list[str]]
"""Does a video: takes its path, the folder of the results, and its name there; returns warnings about it.

Raises ActionstreamError or OSError where the video is at fault.
"""


class Job(Protocol):
    """A checked dataclass with settings for all videos; processes on other machines get them as JSON."""

    @property
    def num_threads(self) -> int | None:
        """Of a process."""

    @property
    def device(self) -> DeviceName:
        """What its network runs on."""

    def is_done(self, folder: Path, name: str) -> bool:
        """Whether the files of a video are all there."""

    def open(self) -> Do:
        """Do what takes long, once in each process."""


@checked
class ModelJob:
    """What jobs have in common that score videos live."""

    model: ShortText
    streaming: LiveMode | None = None
    runtime: RuntimeName = "auto"
    precision: PrecisionName = "float32"
    device: DeviceName = "auto"
    num_threads: int | None = None
    background: ShortText | None = None

    def open_scorer(self, say: Callable[[str], None] = lambda _: None) -> Scorer:
        """The scorer of the model; `say` is told a runtime that was not asked for by its name."""
        loading: dict[str, Any] = {} if self.streaming is None else {"streaming": self.streaming}
        return open_scorer(
            self.model,
            runtime=self.runtime,
            precision=self.precision,
            device=self.device,
            num_threads=self.num_threads,
            say=say,
            **loading,
        )

    def pinned(self, scorer: Scorer, *, num_threads: int) -> Self:
        """The same, with all that a machine would choose by itself as it is here."""
        pinned = replace(self, num_threads=num_threads, background=find_background(scorer.card.labels, self.background))
        if len(scorer.runs_with) > 1:  # networks that are fused, of different kinds: each has one runtime that fits
            return pinned
        ((software, precision),) = scorer.runs_with
        return replace(
            pinned,
            runtime=cast(RuntimeName, software),
            precision=cast(PrecisionName, precision),
            device=device_here(self.device) if software in ("torch", "graphs") else "cpu",
        )


def device_here(asked: DeviceName) -> DeviceName:
    """The device that is meant on this machine, where "auto" is asked for."""
    from actionstream.runtimes.eager import choose_device

    return cast(DeviceName, choose_device(asked).type)


def open_video(video: str | Path) -> Source:
    """Open a video file, a folder of pictures, or "sample", the clip of the package."""
    if not Path(video).exists() and video != "sample":
        raise SourceError(f"no such file: {video}; give video files, or folders of images")
    return open_source(video if video == "sample" else Path(video))
