"""What a sink is."""

from __future__ import annotations

from typing import Protocol

from actionstream.results import Update


class Sink(Protocol):
    """Takes what is new about one stream, or about all."""

    def push(self, update: Update) -> None: ...

    def close(self) -> None: ...


class SinkClosed(Exception):
    """Nobody looks any more: the window was closed, or the reader of a pipe has gone."""
