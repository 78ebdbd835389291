"""The idle gate: a cheap look at each snippet decides whether the network has to score it."""

from __future__ import annotations

import copy
import math
from collections import deque
from dataclasses import dataclass
from typing import Generic, Literal, NamedTuple, TypeVar

import numpy as np

from actionstream.live.movement import Movement
from actionstream.models.card import Card
from actionstream.models.common.errors import ActionstreamError

PROBE_SECONDS, HOLD_SECONDS, LEAD_SECONDS = 2.0, 2.0, 1.0

Item = TypeVar("Item")
Why = Literal["awake", "wake", "probe", "idle"]


class Kept(NamedTuple, Generic[Item]):
    """A snippet in the ring: its time, and what the caller gave with it."""

    time_seconds: float
    item: Item


@dataclass(frozen=True, slots=True)
class Decision(Generic[Item]):
    """The gate's decision on a snippet.

    due  the items that the network has to score now, oldest first
    why  "awake": the scene moves, or moved a short time ago; due is this snippet
         "wake":  the scene begins to move; due is the ring of the last snippets, then this one
         "probe": the scene is still, and a step is due all the same; due is the oldest snippet of the ring
         "idle":  the scene is still; due is empty
    """

    due: tuple[Item, ...]
    why: Why


class Gate(Generic[Item]):
    """Decides for one stream which snippets the network scores, so that a still scene costs few steps.

    While the scene is still the state of the stream stays as it is, and one snippet each `probe_seconds` is scored.
    When it begins to move, the snippets of the last `lead_seconds` that were not scored are scored first: the network
    sees the whole beginning, at its own rhythm. The snippet that is scored while the scene is still is the oldest of
    these, so that they are complete whenever the movement begins.

    probe_seconds  between two steps while the scene is still
    hold_seconds   the scene counts as moving for so long after its last movement, and after a reset. The state then
                   has snippets of the still scene only, and those that are skipped would not change it: take the
                   model's memory at least
    lead_seconds   length of the ring. It covers what moves too little to be noticed, and the model's memory, so that
                   the snippets before the skipped ones do not matter
    """

    def __init__(
        self,
        *,
        probe_seconds: float = PROBE_SECONDS,
        hold_seconds: float = HOLD_SECONDS,
        lead_seconds: float = LEAD_SECONDS,
    ):
        for name, value in (("probe_seconds", probe_seconds), ("hold_seconds", hold_seconds)):
            if not 0 < value < math.inf:
                raise ActionstreamError(f"{name} is {value}; expected more than 0")
        if not 0 <= lead_seconds < math.inf:
            raise ActionstreamError(f"lead_seconds is {lead_seconds}; expected 0 or more")
        self.probe_seconds = probe_seconds
        self.hold_seconds = hold_seconds
        self.lead_seconds = lead_seconds
        self._movement = Movement()
        self._ring: deque[Kept[Item]] = deque()
        self._idle = False
        self._last_seconds: float | None = None
        self._moved_seconds = self._scored_seconds = -math.inf

    @classmethod
    def of(cls, card: Card, *, probe_seconds: float = PROBE_SECONDS) -> Gate[Item]:
        """The gate of a stream of a model: it holds, and keeps in its ring, at least what the scores are about."""
        memory_seconds = card.interval_seconds * max(card.context + 1, card.covers, card.num_frames)
        return cls(
            probe_seconds=probe_seconds,
            hold_seconds=max(HOLD_SECONDS, memory_seconds),
            lead_seconds=max(LEAD_SECONDS, memory_seconds),
        )

    @property
    def idle(self) -> bool:
        """Whether the scene is still, since the last snippet."""
        return self._idle

    def push(self, snippet: np.ndarray, time_seconds: float, item: Item) -> Decision[Item]:
        """Decide on the next snippet.

        snippet       what the network would get, uint8 (height, width, channels)
        time_seconds  its time, later than that of the last one
        item          what `Decision.due` has for it; it is kept for lead_seconds
        """
        last = self._last_seconds
        if last is not None and not time_seconds > last:
            raise ActionstreamError(
                f"time_seconds is {time_seconds}; expected more than {last}, the time of the last snippet; "
                "reset() the gate where a stream starts anew"
            )
        passed = 0.0 if last is None else time_seconds - last
        self._last_seconds = time_seconds
        moves = self._movement.push(snippet, passed, still=self._idle)
        if moves or last is None:
            self._moved_seconds = time_seconds
        was_idle, self._idle = self._idle, time_seconds - self._moved_seconds >= self.hold_seconds - 1e-9
        if self._idle:
            return self._stay(time_seconds, item)
        self._ring.append(Kept(time_seconds, item))
        self._trim(time_seconds)
        due = tuple(each.item for each in self._ring)
        self._ring.clear()
        self._scored_seconds = time_seconds
        return Decision(due, "wake" if was_idle else "awake")

    def reset(self) -> None:
        """The next snippet does not follow the last one; it is scored. What is known of the noise is kept."""
        self._movement.reset()
        self._ring.clear()
        self._idle = False
        self._last_seconds = None
        self._moved_seconds = self._scored_seconds = -math.inf

    def copy(self) -> Gate[Item]:
        """An independent copy, to continue from the same point later."""
        twin = copy.copy(self)
        twin._movement, twin._ring = self._movement.copy(), self._ring.copy()
        return twin

    def _stay(self, time_seconds: float, item: Item) -> Decision[Item]:
        """The decision while the scene is still."""
        self._ring.append(Kept(time_seconds, item))
        oldest = self._trim(time_seconds)
        if oldest.time_seconds - self._scored_seconds < self.probe_seconds - 1e-9:
            return Decision((), "idle")
        self._scored_seconds = oldest.time_seconds
        self._ring.popleft()
        return Decision((oldest.item,), "probe")

    def _trim(self, time_seconds: float) -> Kept[Item]:
        """Forget what is older than the ring is long; return the oldest that is left."""
        while self._ring[0].time_seconds < time_seconds - self.lead_seconds - 1e-9:
            self._ring.popleft()
        return self._ring[0]
