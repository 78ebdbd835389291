"""What the server knows: its engine, its visitors, and what belongs to each."""

from __future__ import annotations

import secrets
import shutil
import tempfile
import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter, time
from typing import Any

from actionstream.demos.page.address import check_address
from actionstream.demos.page.clips import Clip
from actionstream.demos.page.hub import Hub, Settings, SharedEngine
from actionstream.demos.page.visitor import PageSource, Visitor
from actionstream.models.cache import cached_file
from actionstream.models.errors import ActionstreamError
from actionstream.models.weights.checkpoint import is_checkpoint, packaged
from actionstream.models.weights.loading import load
from actionstream.models.weights.published import PUBLISHED
from actionstream.runtimes import RuntimeName
from actionstream.runtimes.eager import TorchRuntime
from actionstream.sources import Source, open_source
from actionstream.sources.connection import Connection
from actionstream.videos.label import LabelledVideo

IDLE_SECONDS = 5.0
"""A live stream whose page has not asked for this long has no page any more."""
UPLOAD_SECONDS = 60.0
"""What was received, and not taken into a session within this time, is removed."""
MAX_STREAMS = 32
CHECKPOINT_SUFFIXES = (".safetensors",)
CAMERA_SHORT_SIDE = 128
"""Pixels that the page makes of its camera at least; more where the network wants more."""


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What visitors may do; see `actionstream demo --help`."""

    max_megabytes: float = 200.0
    max_minutes: float = 10.0
    max_height: int = 1440
    allow_private: bool = False

    def __post_init__(self) -> None:
        for name in ("max_megabytes", "max_minutes", "max_height"):
            if not 0 < getattr(self, name) < float("inf"):
                raise ActionstreamError(f"{name} is {getattr(self, name)}; it must be a positive number")


@dataclass(frozen=True)
class Finished:
    """A clip that is labelled, what was found, and the files to download."""

    clip: Clip
    found: LabelledVideo
    files: dict[str, Path]


@dataclass
class Session:
    """One open page: what it has uploaded lies in its folder, which is removed with it."""

    folder: Path
    model: str
    live: str | None = None
    clip: Clip | None = None
    checkpoints: dict[str, str] = field(default_factory=dict)


class Site:
    """Everything of one server. Methods may be called from any thread."""

    def __init__(self, *, model: str, runtime: RuntimeName, device: str, limits: Limits):
        self.limits = limits
        self.model = model
        self.device = device
        self._hubs = {model: Hub(SharedEngine(model, runtime=runtime, device=device))}
        self.folder = Path(tempfile.mkdtemp(prefix="actionstream-"))
        self.uploads = self.folder / "uploads"
        self.uploads.mkdir()
        self._lock = threading.RLock()
        self._opening = threading.Lock()
        self._sessions: dict[str, Session] = {}
        self._live: dict[str, tuple[Hub, Visitor]] = {}
        self._finished: dict[str, Finished] = {}
        self._closed = threading.Event()
        self._sweeper = threading.Thread(target=self._sweep, name="sweeper", daemon=True)
        self._sweeper.start()

    def session(self, key: str) -> Session:
        """The session of a page, by the key that gradio gives it."""
        with self._lock:
            if key not in self._sessions:
                folder = self.folder / secrets.token_hex(8)
                folder.mkdir(mode=0o700)
                self._sessions[key] = Session(folder=folder, model=self.model)
            return self._sessions[key]

    def end_session(self, key: str) -> None:
        """The page was closed, or loaded again."""
        with self._lock:
            session = self._sessions.pop(key, None)
        if session is not None:
            if session.live:
                self.end_live(session.live)
            self.forget_clip(session)
            with self._lock:
                own = [self._hubs.pop(path) for path in session.checkpoints.values() if path in self._hubs]
            for hub in own:
                hub.close()
            shutil.rmtree(session.folder, ignore_errors=True)

    def hub(self, model: str) -> Hub:
        """The engine of a model, which is opened when it is first wanted and stays."""
        with self._lock:
            hub = self._hubs.get(model)
        if hub is None:
            with self._opening:  # for seconds, in which all others go on
                if (hub := self._hubs.get(model)) is None:
                    hub = Hub(SharedEngine(model, device=self.device))
                    with self._lock:
                        self._hubs[model] = hub
        return hub

    def model_names(self, session: Session | None = None) -> list[str]:
        """The models that can be chosen: those that are here already, and those that a session has uploaded."""
        cached = [name for name, entry in PUBLISHED.items() if cached_file(entry.address).is_file()]
        return list(dict.fromkeys([self.model, *packaged(), *cached, *(session.checkpoints if session else ())]))

    def find_model(self, session: Session, name: str) -> str:
        """What `actionstream.models.load` takes for a name that can be chosen; ValueError for any other."""
        if name not in self.model_names(session):
            raise ActionstreamError(f"no model {name!r} is here; there are {', '.join(self.model_names(session))}")
        return session.checkpoints.get(name, name)

    def take_checkpoint(self, session: Session, upload: str) -> str:
        """Keep a checkpoint that was uploaded; its name. ValueError where it is none that can label a stream."""
        path, name = self.take_upload(session, upload, CHECKPOINT_SUFFIXES)
        try:
            if not is_checkpoint(path):
                raise ActionstreamError(
                    f"{name} is no checkpoint of ours; `actionstream convert` makes one of other files"
                )
            network, card = load(path)
            TorchRuntime(network, card, device="cpu")
        except Exception:
            path.unlink()
            raise
        name = next(each for each in (name, f"{path.stem[:4]} {name}") if each not in self.model_names(session))
        session.checkpoints[name] = str(path)
        return name

    def begin_live(self, session: Session, address: str | None, settings: Settings) -> dict[str, Any]:
        """Begin the live stream of a session, from its page's camera or from an address; what the page has to know."""
        hub = self.hub(session.model)
        if hub.failure:
            raise ActionstreamError(hub.failure)
        token = secrets.token_urlsafe(16)
        source: Source = PageSource("your camera")
        if address is not None:
            address = check_address(address, allow_private=self.limits.allow_private)
            source = open_source(address, connection=Connection(public=not self.limits.allow_private))
        visitor = Visitor(source)
        if session.live:  # only now: a request that is refused ends nothing
            self.end_live(session.live)
        with self._lock:
            if len(self._live) >= MAX_STREAMS:
                raise ActionstreamError(f"{MAX_STREAMS} live streams are open, which is the most; try again later")
            self._live[token] = hub, visitor
            session.live = token
        hub.add(token, source, visitor, settings, realtime=True)
        card = hub.engine.card
        size = card.preprocessing
        return {
            "token": token,
            "camera": address is None,
            "labels": card.labels,
            "interval": card.interval_seconds,
            "context": card.context,
            "shortSide": max(CAMERA_SHORT_SIDE, size.short_side or 0, size.height, size.width),
        }

    def take_upload(self, session: Session, upload: str, suffixes: Sequence[str]) -> tuple[Path, str]:
        """Move a file that gradio has received into the folder of its session: where it is, and what it was called.

        The text came from the page, or from anybody: ValueError where it is no file that was uploaded, or its name ends
        in none of the suffixes.
        """
        path = Path(upload)
        if path.is_symlink() or not path.is_file() or not path.resolve().is_relative_to(self.uploads.resolve()):
            raise ActionstreamError("that is no file that was uploaded here; choose one again")
        if path.stat().st_size > self.limits.max_megabytes * 1e6:
            path.unlink()
            raise ActionstreamError(f"{path.name} is larger than {self.limits.max_megabytes:g} MB, which is the most")
        if path.suffix.lower() not in suffixes:
            path.unlink()
            kind = f"a file of type {path.suffix}" if path.suffix else "a file without a suffix"
            raise ActionstreamError(f"{path.name} is {kind}; expected {', '.join(suffixes)}; choose another one")
        kept = session.folder / f"{secrets.token_hex(8)}{path.suffix}"
        shutil.move(path, kept)
        return kept, path.name

    def begin_clip(self, session: Session, path: Path, name: str) -> Clip:
        """Begin to label a video of a session, in place of the one that it had."""
        self.forget_clip(session)
        limits = self.limits
        clip = Clip(
            path,
            name=name,
            hub=self.hub(session.model),
            max_minutes=limits.max_minutes,
            max_height=limits.max_height,
        )
        session.clip = clip
        clip.begin()
        return clip

    def finish_clip(self, session: Session, clip: Clip) -> dict[str, str]:
        """What the page has to know to find what was found; ValueError says why nothing was."""
        found = clip.finish()
        finished = Finished(clip, found, clip.write(found, session.folder / clip.token))
        with self._lock:
            if session.clip is not clip:
                raise ActionstreamError("another video was chosen meanwhile")
            self._finished[clip.token] = finished
        return {"token": clip.token}

    def forget_clip(self, session: Session) -> None:
        """Remove the video of a session, and what was found in it."""
        with self._lock:
            clip, session.clip = session.clip, None
            if clip is None:
                return
            self._finished.pop(clip.token, None)
        clip.stop()
        shutil.rmtree(session.folder / clip.token, ignore_errors=True)
        if clip.path.parent == session.folder:
            clip.path.unlink(missing_ok=True)

    def finished(self, token: str) -> Finished | None:
        return self._finished.get(token)

    def live(self, token: str) -> tuple[Hub, Visitor] | None:
        return self._live.get(token)

    def end_live(self, token: str) -> None:
        with self._lock:
            hub, _ = self._live.pop(token, (None, None))
        if hub is not None:
            hub.remove(token)

    def num_streams(self) -> int:
        """Streams that have a slot, of all visitors."""
        with self._lock:
            return sum(len(hub.streams) for hub in self._hubs.values())

    def close(self) -> None:
        """End all streams and remove all uploads."""
        self._closed.set()
        self._sweeper.join()
        for hub in self._hubs.values():
            hub.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _sweep(self) -> None:
        """End the streams of pages that have gone without a word."""
        while not self._closed.wait(0.5):
            with self._lock:
                silent = [t for t, (_, each) in self._live.items() if perf_counter() - each.asked > IDLE_SECONDS]
            for token in silent:
                self.end_live(token)
            for file in self.uploads.rglob("*"):  # nobody came for it
                with suppress(OSError):
                    if file.is_file() and time() - file.stat().st_mtime > UPLOAD_SECONDS:
                        file.unlink()
