"""The board: what is true now of each camera, for those who show the present and not the past."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

CameraStatus = Literal["connecting", "live", "disconnected", "scheduled off", "disabled", "failed", "ended"]


@dataclass(frozen=True, slots=True)
class Fact:
    """The name of one thing that is true now.

    kind    "status": (a CameraStatus, its reason or None); "enabled": a bool; "label": the label that goes on, the one
            with the best score; "on": a bool, whether an event of the label goes on
    region  None: the whole picture, or the camera itself
    """

    kind: Literal["status", "enabled", "label", "on"]
    camera: str
    region: str | None = None
    label: str | None = None


class Board:
    """Facts and their values; each change is told to all listeners, in order.

    A listener is called in the thread that makes the change, so it only puts the change into a queue.
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._facts: dict[Fact, Any] = {}
        self._listeners: list[Callable[[Fact, Any], None]] = []

    def set(self, fact: Fact, value: Any) -> None:
        """Set a fact; None removes it. Nothing is told where it is so already."""
        with self._lock:
            if self._facts.get(fact) == value:
                return
            if value is None:
                del self._facts[fact]
            else:
                self._facts[fact] = value
            for listener in self._listeners:
                listener(fact, value)

    def get(self, fact: Fact) -> Any:
        """The value of a fact; None where it is not set."""
        with self._lock:
            return self._facts.get(fact)

    def forget(self, camera: str) -> None:
        """Remove all facts of a camera."""
        with self._lock:
            for fact in [fact for fact in self._facts if fact.camera == camera]:
                self.set(fact, None)

    def facts(self) -> dict[Fact, Any]:
        """A copy of all facts."""
        with self._lock:
            return dict(self._facts)

    def listen(self, listener: Callable[[Fact, Any], None]) -> Callable[[], None]:
        """Tell a listener each change from now on; returns the function that ends it."""
        with self._lock:
            self._listeners.append(listener)

        def stop() -> None:
            with self._lock:
                self._listeners.remove(listener)

        return stop
