"""The state of the server: its engines, the sessions of its visitors, and their uploads."""

from __future__ import annotations

import logging
import secrets
import shutil
import threading
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from time import perf_counter
from typing import Any

from actionstream.choices import RuntimeName
from actionstream.demos.page.address import check_address
from actionstream.demos.page.answers import quiet_classes
from actionstream.demos.page.clips import MAX_SNAPSHOTS, UploadedVideo
from actionstream.demos.page.cost import Cost, check_cost
from actionstream.demos.page.hub import Hub, Settings, SharedEngine
from actionstream.demos.page.lesson import Lesson
from actionstream.demos.page.lessons import Lessons
from actionstream.demos.page.limits import Limits
from actionstream.demos.page.projects import Project, Projects, open_upload
from actionstream.demos.page.sample import Sample
from actionstream.demos.page.sessions import Finished, Live, Session
from actionstream.demos.page.storage import make_folder, remove_stale
from actionstream.demos.page.taught import TaughtVisitor
from actionstream.demos.page.uploads import Room, Uploads
from actionstream.demos.page.visitor import PageSource, Visitor
from actionstream.models.common.errors import ActionstreamError
from actionstream.models.locate import Located, locate, packaged
from actionstream.models.published import PUBLISHED
from actionstream.models.weights.checkpoint import is_checkpoint
from actionstream.models.weights.loading import load
from actionstream.runtimes.eager import TorchRuntime
from actionstream.sources import open_source
from actionstream.sources.connection import Connection

logger = logging.getLogger(__name__)
CHECKPOINT_SUFFIXES = (".safetensors",)
CAMERA_SHORT_SIDE = 128
"""The least short side of camera frames, in pixels; larger where the network needs more."""
UNSMOOTHED = Settings(threshold=1.0, smoothing_seconds=0.0)
"""Of streams whose scores are features."""
BYTES_OF_LESSON = 20_000_000
"""More than the checkpoint of a lesson takes, without its examples."""


class Site:
    """Everything of one server. Methods may be called from any thread.

    project  of the person who started it; None: visitors annotate what they upload
    """

    def __init__(
        self, *, model: str, runtime: RuntimeName, device: str, limits: Limits, project: Project | None = None
    ):
        self.limits = limits
        self.project = project
        self.projects = Projects()
        if project is not None:
            self.projects.add(project)
        self.model = locate(model)
        self.device = device
        self._runtime = runtime
        self._hubs: dict[Located | None, Hub] = {
            self.model: Hub(SharedEngine(self.model, runtime=runtime, device=device))
        }
        remove_stale()
        self.folder, self._lock_of_folder = make_folder()
        self.lessons = Lessons(self.folder / "lessons")
        self._room = Room(self.folder)
        self.uploads = Uploads(self.folder / "uploads", max_per_client=limits.max_uploads_per_client)
        self._lock = threading.RLock()
        self._opening = threading.Lock()
        self._sessions: dict[str, Session] = {}
        self._live: dict[str, Live] = {}
        self._finished: dict[str, Finished] = {}
        self.forget_calls: Callable[[str], None] | None = None  # of gradio, which the server makes later
        self._closed = threading.Event()
        self.sample = Sample(lambda: self.hub(self.model).engine, self._closed)
        self._sweeper = threading.Thread(target=self._sweep, name="sweeper", daemon=True)
        self._sweeper.start()

    def open_page(self, key: str, client: str) -> None:
        """Count a new connection of a page; ActionstreamError where too many pages are open."""
        with self._lock:
            if key not in self._sessions:
                limits = self.limits
                of_it = sum(1 for each in self._sessions.values() if each.client == client)
                if len(self._sessions) >= limits.max_pages or of_it >= limits.max_pages_per_client:
                    raise ActionstreamError("too many pages are open; close some, or try again later")
                folder = self.folder / secrets.token_hex(8)
                folder.mkdir(mode=0o700)
                self._sessions[key] = Session(folder=folder, model=self.model, client=client)
            self._sessions[key].pages += 1

    def close_page(self, key: str) -> None:
        """Count a closed connection; the session ends after `idle_seconds` without a new one."""
        with self._lock:
            if session := self._sessions.get(key):
                session.pages -= 1
                session.seen = perf_counter()

    def is_connected(self, key: object) -> bool:
        """Whether this is the key of an open page."""
        return isinstance(key, str) and key in self._sessions

    def session(self, key: str) -> Session:
        """The session of a page that is connected, by the key that gradio gives it."""
        with self._lock:
            if key not in self._sessions:
                raise ActionstreamError("this page is not connected; load it again")
            return self._sessions[key]

    def end_session(self, key: str) -> None:
        """End the streams and engines of a session, and remove its uploads."""
        with self._lock:
            session = self._sessions.pop(key, None)
        if session is not None:
            if session.live:
                self.end_live(session.live)
            self.forget_clip(session)
            self.projects.remove(session.project)
            with self._lock:
                own = [self._hubs.pop(each) for each in session.checkpoints.values() if each in self._hubs]
            for hub in own:
                hub.close()
            shutil.rmtree(session.folder, ignore_errors=True)
            if self.forget_calls is not None:
                self.forget_calls(key)

    def hub(self, model: Located | None) -> Hub:
        """The hub of a model; it is opened on the first call and stays open. One that has failed is opened anew.

        None is that of all lessons, whose scores are features.
        """
        with self._lock:
            hub = self._hubs.get(model)
            if hub is not None and hub.failure is not None:
                hub = None
                del self._hubs[model]
        if hub is None:
            with self._opening:  # opening takes seconds; self._lock stays free
                if (hub := self._hubs.get(model)) is None:
                    if len(self._hubs) >= (most := self.limits.max_models):
                        raise ActionstreamError(f"{most} models are open, which is the most; try again later")
                    hub = Hub(self._open(model))
                    with self._lock:
                        self._hubs[model] = hub
        return hub

    def _open(self, model: Located | None) -> SharedEngine:
        if model is None:
            return SharedEngine(self.lessons.runtime(self.device))
        runtime: RuntimeName = self._runtime if model == self.model else "auto"
        return SharedEngine(model, runtime=runtime, device=self.device)

    def models(self, session: Session | None = None) -> dict[str, Located]:
        """The models to choose from, by name: the server's, packaged or downloaded ones, and uploads of the session."""
        others = [model for model in map(locate, (*packaged(), *PUBLISHED)) if model.is_here]
        models = {model.name: model for model in others if model.name != self.model.name}
        return {self.model.name: self.model, **models, **(session.checkpoints if session else {})}

    def find_model(self, session: Session, name: str) -> Located:
        """The model of a name that can be chosen; ValueError for any other."""
        models = self.models(session)
        if name not in models:
            raise ActionstreamError(f"no model {name!r} is here; there are {', '.join(models)}")
        return models[name]

    def take_checkpoint(self, session: Session, upload: str) -> str:
        """Keep an uploaded checkpoint and return its name; ValueError where it cannot label a stream."""
        path, name = self.take_upload(session, upload, CHECKPOINT_SUFFIXES)
        try:
            if len(session.checkpoints) >= (most := self.limits.max_checkpoints):
                raise ActionstreamError(f"you have {most} checkpoints here; load the page again to begin anew")
            cost = self._check_checkpoint(path, name)
            name = next(each for each in (name, f"{path.stem[:4]} {name}") if each not in self.models(session))
            model = Located("checkpoint", name, path)
            network, card = load(model)
            TorchRuntime(network, card, device="cpu")
        except Exception:  # any: a checkpoint that cannot be used is not kept
            path.unlink()
            raise
        session.checkpoints[name] = model
        snapshots = self.limits.max_snapshot_megabytes * 1e6
        session.max_snapshots[model] = max(2, min(MAX_SNAPSHOTS, int(snapshots // max(cost.state, 1))))
        return name

    def _check_checkpoint(self, path: Path, name: str) -> Cost:
        if not is_checkpoint(path):
            raise ActionstreamError(f"{name} is no checkpoint of ours; `actionstream convert` makes one of other files")
        return check_cost(path, name=name, max_bytes=self.limits.max_model_megabytes * 1e6)

    def open_lesson(self, session: Session, token: str) -> Lesson:
        """The lesson of a token, or a new one where it is forgotten, as that of a session."""
        with self._lock:
            used = self._used_lessons()
        lesson = self.lessons.open(token, session.client, used=used, limits=self.limits)
        session.lesson = lesson.token
        return lesson

    def lesson(self, session: Session) -> Lesson:
        """The lesson that a session has open."""
        lesson = self.lessons.find(session.lesson)
        if lesson is None:
            raise ActionstreamError("the examples of this page are forgotten; load it again to begin anew")
        return lesson

    def take_lesson(self, session: Session, upload: str) -> Lesson:
        """Add the examples of an uploaded checkpoint to the lesson of a session; the checkpoint is not kept."""
        lesson = self.lesson(session)
        path, name = self.take_upload(session, upload, CHECKPOINT_SUFFIXES)
        try:
            self._check_checkpoint(path, name)
            lesson.take_over(self.lessons.examples_in(Located("checkpoint", name, path)))
        finally:
            path.unlink()
        return lesson

    def write_lesson(self, lesson: Lesson) -> Path:
        """The file of a lesson's checkpoint, with its examples."""
        learnt = lesson.learnt
        if learnt is None:
            raise ActionstreamError("there is no model yet; it needs two labels with two examples each")
        with self.room_for(BYTES_OF_LESSON + sum(each.num_bytes for each in learnt.taken)):
            return self.lessons.write(lesson, learnt)

    def begin_lesson(self, session: Session) -> dict[str, Any]:
        """Begin a live stream of the lesson of a session; returns what the page needs to know."""
        lesson = self.lesson(session)
        hub = self.hub(None)
        token = self._begin(session, hub, TaughtVisitor(PageSource("your camera"), lesson), UNSMOOTHED)
        card = hub.engine.card
        return {
            "token": token,
            "interval": card.frame_seconds,
            "shortSide": max(CAMERA_SHORT_SIDE, card.preprocessing.height, card.preprocessing.width),
        }

    def begin_live(self, session: Session, address: str | None, settings: Settings) -> dict[str, Any]:
        """Begin the live stream of a session, from its camera or an address; returns what the page needs to know."""
        hub = self.hub(session.model)
        visitor = Visitor(PageSource("your camera"))
        if address is not None:
            public = not self.limits.allow_private
            address = check_address(address, allow_private=not public)
            visitor = Visitor(open_source(address, connection=Connection(public=public)), discreet=public)
        token = self._begin(session, hub, visitor, settings)
        card = hub.engine.card
        size = card.preprocessing
        return {
            "token": token,
            "camera": address is None,
            "labels": card.labels,
            "quiet": quiet_classes(card.labels),
            "interval": card.interval_seconds,
            "context": card.context,
            "shortSide": max(CAMERA_SHORT_SIDE, size.short_side or 0, size.height, size.width),
        }

    def _begin(self, session: Session, hub: Hub, visitor: Visitor, settings: Settings) -> str:
        """Begin a stream, which replaces that of the session; returns its token."""
        token = secrets.token_urlsafe(16)
        if session.live:  # only now: a refused address does not end the old stream
            self.end_live(session.live)
        with self._lock:
            of_it = sum(1 for each in self._live.values() if each.client == session.client)
            if len(self._live) >= self.limits.max_streams or of_it >= self.limits.max_streams_per_client:
                raise ActionstreamError("too many live streams are open; try again later")
            self._live[token] = Live(hub, visitor, session.client)
            session.live = token
        hub.add(token, visitor.source, visitor, settings, realtime=True)
        return token

    def take_upload(self, session: Session, upload: str, suffixes: Sequence[str]) -> tuple[Path, str]:
        """Move an upload into the folder of its session: where it is, and what it was called. See `Uploads.take`."""
        return self.uploads.take(upload, session.folder, suffixes, max_megabytes=self.limits.max_megabytes)

    def room_for(self, num_bytes: int) -> AbstractContextManager[None]:
        """While so many bytes are received; ActionstreamError where they, and all that is here, are too many."""
        return self._room.reserve(num_bytes, most=self.limits.max_stored_megabytes * 1e6)

    def begin_clip(self, session: Session, path: Path, name: str) -> UploadedVideo:
        """Begin to label a video of a session; it replaces the session's last video."""
        self.forget_clip(session)
        limits = self.limits
        clip = UploadedVideo(
            path,
            name=name,
            hub=self.hub(session.model),
            max_minutes=limits.max_minutes,
            max_height=limits.max_height,
            max_snapshots=session.max_snapshots.get(session.model, MAX_SNAPSHOTS),
        )
        session.clip = clip
        clip.begin()
        return clip

    def finish_clip(self, session: Session, clip: UploadedVideo) -> dict[str, str]:
        """Write the result files of a video; returns its token for the page. ValueError where labelling failed."""
        found = clip.finish()
        finished = Finished(clip, found, clip.write(found, session.folder / clip.token))
        with self._lock:
            if session.clip is not clip:
                raise ActionstreamError("another video was chosen meanwhile")
            self._finished[clip.token] = finished
        return {"token": clip.token}

    def forget_clip(self, session: Session) -> None:
        """Remove the video of a session and its results."""
        with self._lock:
            clip, session.clip = session.clip, None
            if clip is None:
                return
            self._finished.pop(clip.token, None)
        clip.stop()
        shutil.rmtree(session.folder / clip.token, ignore_errors=True)
        if clip.path.parent == session.folder:
            clip.path.unlink(missing_ok=True)

    def open_project(self, session: Session, path: Path, name: str) -> Project:
        """Begin to annotate a video of a session; it replaces the session's last one."""
        self.projects.remove(session.project)
        project = open_upload(path, name, session.folder, model=session.model, limits=self.limits)
        session.project = project.token
        self.projects.add(project)
        return project

    def finished(self, token: str) -> Finished | None:
        return self._finished.get(token)

    def live(self, token: str) -> Live | None:
        return self._live.get(token)

    def end_live(self, token: str) -> None:
        with self._lock:
            live = self._live.pop(token, None)
        if live is not None:
            live.hub.remove(token)

    def num_streams(self) -> int:
        """Streams that have a slot, of all visitors."""
        with self._lock:
            return sum(len(hub.streams) for hub in self._hubs.values())

    def close(self, seconds: float = 5.0) -> None:
        """End all streams, within `seconds`, and remove all uploads."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self._closed.set()
        until = perf_counter() + seconds
        self.lessons.close()
        self._sweeper.join(seconds)
        for hub in self._hubs.values():
            hub.close(max(0.0, until - perf_counter()))
        shutil.rmtree(self.folder, ignore_errors=True)  # files that arrived in the meantime
        self._lock_of_folder.close()

    def _sweep(self) -> None:
        """End unused sessions and streams periodically; an error is logged once, and the loop goes on."""
        told = ""
        while not self._closed.wait(0.5):
            try:
                self._end_the_silent()
                self.uploads.remove_forgotten(self.limits.upload_seconds)
            except Exception as error:  # without a sweeper the disk fills up
                if repr(error) != told:
                    logger.exception("what nobody wants any more could not be removed")
                told = repr(error)

    def _end_the_silent(self) -> None:
        now, idle = perf_counter(), self.limits.idle_seconds
        with self._lock:
            gone = [key for key, each in self._sessions.items() if not each.pages and now - each.seen > idle]
            used = self._used_lessons()
            silent = [token for token, each in self._live.items() if self._is_silent(each, now)]
        self.lessons.forget_unused(used, self.limits.lesson_seconds)
        for token in silent:
            self.end_live(token)
        for key in gone:
            self.end_session(key)

    def _used_lessons(self) -> set[str]:
        """The tokens of lessons that pages have open; the caller has the lock."""
        return {each.lesson for each in self._sessions.values()}

    def _is_silent(self, live: Live, now: float) -> bool:
        """Whether a stream gets no requests, or no frames from its page's camera."""
        if now - live.visitor.asked > self.limits.idle_seconds:
            return True
        return isinstance(live.visitor.source, PageSource) and now - live.heard > self.limits.silent_seconds
