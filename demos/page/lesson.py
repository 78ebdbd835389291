"""The lesson of one visitor: labels and examples, and what was learnt from them last."""

from __future__ import annotations

import logging
import secrets
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import count
from time import perf_counter
from typing import Any

import numpy as np

from actionstream.commands.teach import as_label
from actionstream.demos.page.limits import Limits
from actionstream.models.common.errors import ActionstreamError
from actionstream.models.labels import NOTHING
from actionstream.teaching.examples import Example, check_label
from actionstream.teaching.fit import Fit
from actionstream.teaching.live import Head, correction_length
from actionstream.teaching.report import Report, report_on

logger = logging.getLogger(__name__)
ENOUGH = 2
"""Labels with so many examples each that a model is learnt."""


@dataclass(frozen=True)
class Taken:
    """An example of a lesson; `pictures` of its clip, as JPEG, are for the page only."""

    number: int
    example: Example
    pictures: tuple[bytes, ...]

    @property
    def num_bytes(self) -> int:
        return self.example.features.nbytes + sum(map(len, self.pictures))


@dataclass(frozen=True)
class Learnt:
    """What was learnt from examples; `change` is the number of their last change."""

    change: int
    taken: tuple[Taken, ...]
    fit: Fit
    head: Head
    report: Report

    @property
    def examples(self) -> list[Example]:
        return [each.example for each in self.taken]


class Lesson:
    """Any thread may use it.

    client            the address of the visitor
    learn             what examples teach
    interval_seconds  between two snippets
    context           see Card
    longest           window, in snippets
    limits            of visitors
    due               is called when there is something to learn; some thread then calls `study`, once
    seen              when a page last had it open
    """

    def __init__(
        self,
        client: str,
        *,
        learn: Callable[[Sequence[Example]], Fit],
        interval_seconds: float,
        context: int,
        longest: int,
        limits: Limits,
        due: Callable[[Lesson], None],
    ):
        self.token = secrets.token_urlsafe(16)
        self.client = client
        self.interval_seconds = interval_seconds
        self.context = context
        self.longest = longest
        self.limits = limits
        self.seen = perf_counter()
        self.learnt: Learnt | None = None
        self.version = 0  # of all that the page shows
        self._learn = learn
        self._due = due
        self._lock = threading.Lock()
        self._labels = [NOTHING]
        self._taken: list[Taken] = []
        self._numbers = count(1)
        self._change = 0  # of the examples
        self._is_due = False
        self._trouble = ""

    @property
    def head(self) -> Head | None:
        """What the last fit says of a stream."""
        learnt = self.learnt
        return None if learnt is None else learnt.head

    def add_label(self, name: str) -> None:
        with self._lock:
            self._add_label(_checked(name))
            self.version += 1

    def remove_label(self, name: str) -> None:
        """Remove a label with its examples."""
        with self._lock:
            self._check_known(name)
            if name != NOTHING:
                self._labels.remove(name)
            self._put([each for each in self._taken if each.example.label != name])

    def add(self, label: str, features: np.ndarray, pictures: Sequence[bytes]) -> None:
        """Add an example: float16 (1, n, F). A clip that is there already is not added again."""
        with self._lock:
            self._check_known(label)
            example = Example(label, self._free_name(label), features)
            if not self._is_copy(example):
                self._add([Taken(next(self._numbers), example, tuple(pictures))])

    def remove(self, number: int) -> None:
        with self._lock:
            if all(each.number != number for each in self._taken):
                raise ActionstreamError("this example is not here any more")
            self._put([each for each in self._taken if each.number != number])

    def take_over(self, examples: Sequence[Example]) -> None:
        """Add the examples of a checkpoint: all of them, or none where that is not possible."""
        with self._lock:
            labels = list(self._labels)
            try:
                new = [each for each in examples if not self._is_copy(each)]
                for label in dict.fromkeys(each.label for each in new):
                    if label not in self._labels:
                        self._add_label(label)
                self._add([Taken(next(self._numbers), each, ()) for each in new])
            except ActionstreamError:
                self._labels = labels
                raise

    def picture(self, number: int, place: int) -> bytes | None:
        with self._lock:
            found = next((each.pictures for each in self._taken if each.number == number), ())
        return found[place] if 0 <= place < len(found) else None

    def correction_length(self, label: str) -> int:
        """How many snippets a correction takes, see there."""
        with self._lock:
            self._check_known(label)
            examples = [each.example for each in self._taken]
        return correction_length(examples, label, interval_seconds=self.interval_seconds, longest=self.longest)

    def study(self) -> None:
        """Learn from the examples; where they change meanwhile, `due` is called again."""
        with self._lock:
            change, taken = self._change, tuple(self._taken)
        learnt, trouble = None, ""
        try:
            if _are_enough(taken):
                examples = [each.example for each in taken]
                fit = self._learn(examples)
                learnt = Learnt(change, taken, fit, Head(fit), report_on(examples, fit))
        except Exception:  # whatever it is: the page goes on, and the log has it
            logger.exception("a lesson could not be learnt")
            trouble = "these examples cannot be learnt; remove the last one"
        with self._lock:
            self.learnt, self._trouble = learnt, trouble
            self.version += 1
            self._is_due = self._change != change
            if self._is_due:
                self._due(self)

    def state(self) -> dict[str, Any]:
        """All that the page shows, as JSON."""
        with self._lock:
            learnt = self.learnt
            answers = {} if learnt is None else dict(zip(learnt.taken, learnt.report.answers, strict=True))
            return {
                "version": self.version,
                "learning": self._is_due,
                "ready": learnt is not None,
                "message": self._trouble or ("" if _are_enough(self._taken) else _what_is_missing(self._taken)),
                "labels": [
                    {
                        "name": label,
                        "examples": [
                            {
                                "number": each.number,
                                "name": each.example.name,
                                "seconds": round(each.example.num_snippets * self.interval_seconds, 1),
                                "pictures": len(each.pictures),
                                "answer": answers.get(each),
                            }
                            for each in self._taken
                            if each.example.label == label
                        ],
                    }
                    for label in self._labels
                ],
                "report": learnt
                and {
                    "labels": learnt.report.labels,
                    "confusion": learnt.report.confusion.tolist(),
                    "sentences": learnt.report.sentences(learnt.examples),
                },
            }

    def _put(self, taken: list[Taken]) -> None:
        self._taken = taken
        self.version += 1
        self._change += 1
        if not _are_enough(taken):
            self.learnt = None
        if not self._is_due:
            self._is_due = True
            self._due(self)

    def _add_label(self, label: str) -> None:
        check_label(label)
        if label in self._labels:
            raise ActionstreamError(f"there is a label {label} already; take another name")
        if len(self._labels) > (most := self.limits.max_labels):
            raise ActionstreamError(f"there are {most} labels, which is the most here; remove one first")
        self._labels.append(label)

    def _check_known(self, label: str) -> None:
        if label not in self._labels:
            raise ActionstreamError(f"there is no label {label[:40]!r} here any more")

    def _add(self, new: list[Taken]) -> None:
        limits = self.limits
        if len(self._taken) + len(new) > limits.max_examples:
            raise ActionstreamError(
                f"there would be {len(self._taken) + len(new)} examples; the most are {limits.max_examples} here; "
                "remove some first, or use `actionstream teach`"
            )
        if sum(each.num_bytes for each in [*self._taken, *new]) > limits.max_examples_megabytes * 1e6:
            raise ActionstreamError(
                f"the examples would take more than {limits.max_examples_megabytes:g} MB; remove some first"
            )
        self._put([*self._taken, *new])

    def _is_copy(self, new: Example) -> bool:
        """Whether the same clip is there with the same label; ActionstreamError where it has another one."""
        for each in self._taken:
            example = each.example
            if np.array_equal(example.features[0], new.features[0]):
                if example.label != new.label:
                    raise ActionstreamError(
                        f"{example.name} of {example.label} is the same clip; remove it first if it is {new.label}"
                    )
                return True
        return False

    def _free_name(self, label: str) -> str:
        names = {each.example.name for each in self._taken if each.example.label == label}
        return next(name for number in count(1) if (name := f"clip {number}") not in names)


def _checked(name: str) -> str:
    label = as_label(name)
    check_label(label)
    return label


def _are_enough(taken: Sequence[Taken]) -> bool:
    counts = Counter(each.example.label for each in taken)
    return sum(number >= ENOUGH for number in counts.values()) >= ENOUGH


def _what_is_missing(taken: Sequence[Taken]) -> str:
    counts = Counter(each.example.label for each in taken)
    have = ", ".join(f"{number} of {label}" for label, number in counts.items())
    return f"The model comes when two labels have two examples each; so far there are {have or 'none'}"
