"""What is left out of a data set, counted and named by reason, so that nothing is dropped silently."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

NAMES_SHOWN = 3


class LeftOut(dict[str, dict[str, None]]):
    """Names of what was left out, each once and in order, by reason; a reason is a plural: "videos that ..."."""

    def add(self, reason: str, *names: str) -> None:
        if names:
            self.setdefault(reason, {}).update(dict.fromkeys(names))

    def merge(self, other: LeftOut) -> None:
        for reason, names in other.items():
            self.add(reason, *names)

    def lines(self) -> list[str]:
        """A line for each reason: how many, and the first few."""
        return [f"left out: {reason}: {len(names)} ({_first(names)})" for reason, names in self.items()]

    def summary(self) -> dict[str, dict[str, Any]]:
        """The same as plain values, for a file."""
        return {reason: {"count": len(names), "names": list(names)[:NAMES_SHOWN]} for reason, names in self.items()}


def _first(names: Iterable[str]) -> str:
    every = list(names)
    return ", ".join(every[:NAMES_SHOWN]) + (", ..." if len(every) > NAMES_SHOWN else "")
