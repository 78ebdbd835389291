"""What the server keeps of one visitor: the session of an open page, its live stream, and its labelled video."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter

from actionstream.demos.page.clips import UploadedVideo
from actionstream.demos.page.hub import Hub
from actionstream.demos.page.visitor import Visitor
from actionstream.models.locate import Located
from actionstream.videos.label import LabelledVideo


@dataclass(frozen=True)
class Finished:
    """A labelled video, its result, and the files to download; `turn` lets one request decode at a time."""

    clip: UploadedVideo
    found: LabelledVideo
    files: dict[str, Path]
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)


@dataclass
class Live:
    """A live stream, its sink, and the time of the last frame from the page's camera (`heard`)."""

    hub: Hub
    visitor: Visitor
    client: str
    heard: float = field(default_factory=perf_counter)
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)


@dataclass
class Session:
    """One open page; its folder has its uploads and is removed with it.

    client  the client address of the page
    pages   the number of open connections
    seen    when a connection last closed
    lesson  the token of its lesson
    project  the token of its project in the tab Annotate
    max_snapshots  the most snapshots of a video, for each checkpoint
    """

    folder: Path
    model: Located
    client: str
    pages: int = 0
    seen: float = field(default_factory=perf_counter)
    live: str | None = None
    lesson: str = ""
    project: str = ""
    clip: UploadedVideo | None = None
    checkpoints: dict[str, Located] = field(default_factory=dict)
    max_snapshots: dict[Located, int] = field(default_factory=dict)
