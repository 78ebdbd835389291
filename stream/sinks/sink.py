"""The protocol of sinks."""

from __future__ import annotations

from typing import Protocol

from actionstream.results import Update


class Sink(Protocol):
    """Takes the updates of one stream, or of all."""

    def push(self, update: Update) -> None: ...

    def close(self) -> None: ...


class SinkClosed(Exception):
    """A sink has lost its reader: the window was closed, or the reader of a pipe has ended."""
