"""The lessons of all visitors: one teacher, whose backbones see for all, and threads that learn."""

from __future__ import annotations

import logging
import threading
from collections.abc import Collection
from pathlib import Path
from queue import SimpleQueue
from time import perf_counter

import numpy as np

from actionstream.demos.page.lesson import Learnt, Lesson
from actionstream.demos.page.limits import Limits
from actionstream.models.common.errors import ActionstreamError
from actionstream.models.locate import Located
from actionstream.models.weights.checkpoint import read_card
from actionstream.runtimes.eager import TorchRuntime
from actionstream.teaching import Teacher
from actionstream.teaching.examples import Example

logger = logging.getLogger(__name__)
NUM_THREADS = 2
"""Lessons that are learnt at once; others wait for their turn."""


class Lessons:
    """Any thread may use it.

    folder  of the checkpoints that are downloaded
    """

    def __init__(self, folder: Path):
        self._folder = folder
        folder.mkdir(mode=0o700)
        self._lock = threading.Lock()
        self._of_teacher = threading.Lock()
        self._teacher: Teacher | None = None
        self._lessons: dict[str, Lesson] = {}
        self._due: SimpleQueue[Lesson | None] = SimpleQueue()
        for number in range(NUM_THREADS):
            threading.Thread(target=self._study, name=f"learning {number}", daemon=True).start()

    def teacher(self) -> Teacher:
        """The teacher of all; the first call opens its backbones, which takes seconds."""
        with self._of_teacher:
            if self._teacher is None:
                self._teacher = Teacher()
            return self._teacher

    def runtime(self, device: str) -> TorchRuntime:
        """The backbones: its scores are features."""
        return TorchRuntime(*self.teacher().looking(), device=device)

    def open(self, token: str, client: str, *, used: Collection[str], limits: Limits) -> Lesson:
        """The lesson of a token, or a new one where there is none.

        used  tokens of lessons that pages have open; where there are too many lessons, the oldest other one goes
        """
        teacher = self.teacher()
        with self._lock:
            if lesson := self._lessons.get(token):
                lesson.seen = perf_counter()
                return lesson
            unused = sorted(
                (each for each in self._lessons.values() if each.token not in used), key=lambda one: one.seen
            )
            of_it = [each for each in self._lessons.values() if each.client == client]
            if len(of_it) >= limits.max_lessons_per_client:
                unused = [each for each in unused if each.client == client]
            elif len(self._lessons) < limits.max_lessons:
                unused = []
            if len(of_it) >= limits.max_lessons_per_client or len(self._lessons) >= limits.max_lessons:
                if not unused:
                    raise ActionstreamError("too many visitors teach here; try again later")
                self._forget(unused[0])
            lesson = Lesson(
                client,
                learn=teacher.learn,
                interval_seconds=teacher.card.interval_seconds,
                context=teacher.card.context,
                longest=teacher.longest,
                limits=limits,
                due=self._due.put,
            )
            self._lessons[lesson.token] = lesson
            return lesson

    def find(self, token: str) -> Lesson | None:
        return self._lessons.get(token)

    def forget_unused(self, used: Collection[str], seconds: float) -> None:
        """Forget the lessons that no page has had open for so long."""
        now = perf_counter()
        with self._lock:
            for lesson in list(self._lessons.values()):
                if lesson.token in used:
                    lesson.seen = now
                elif now - lesson.seen > seconds:
                    self._forget(lesson)

    def examples_in(self, model: Located) -> list[Example]:
        """The examples in a checkpoint, if they are what the backbones here have seen; else ActionstreamError."""
        network = read_card(model).network
        if network != "taught":
            raise ActionstreamError(
                f"{model} is {network}; expected a model that this page or `actionstream teach` wrote"
            )
        other = Teacher(model)
        if not self.teacher().sees_like(other):
            raise ActionstreamError(
                f"{model} has other backbones than this page, so its examples mean nothing here; "
                "use it with `actionstream teach` and `actionstream watch`"
            )
        if any(not np.isfinite(each.features).all() for each in other.examples):
            raise ActionstreamError(f"{model} has features that are no numbers; teach it again")
        return other.examples

    def write(self, lesson: Lesson, learnt: Learnt) -> Path:
        """Write the checkpoint of a lesson, unless it is there; those from before go."""
        path = self._folder / f"{lesson.token}-{learnt.change}.safetensors"
        teacher = self.teacher()
        with self._of_teacher:
            if not path.exists():
                self._remove_files(lesson)
                teacher.examples = learnt.examples
                teacher.take(learnt.fit)
                teacher.save(path)
                teacher.examples = []
        return path

    def close(self) -> None:
        for _ in range(NUM_THREADS):
            self._due.put(None)

    def _forget(self, lesson: Lesson) -> None:
        del self._lessons[lesson.token]
        self._remove_files(lesson)

    def _remove_files(self, lesson: Lesson) -> None:
        for path in self._folder.glob(f"{lesson.token}-*"):
            path.unlink(missing_ok=True)

    def _study(self) -> None:
        while (lesson := self._due.get()) is not None:
            lesson.study()
