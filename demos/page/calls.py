"""What gradio's queue keeps of the calls of a page: without limits, each answer that nobody reads stays in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gradio import Blocks


class Calls:
    """The calls in the queue of `blocks`, by the key of their page."""

    def __init__(self, blocks: Blocks):
        self._blocks = blocks

    def num_unread(self, key: str) -> int:
        """The calls of a page that wait or run, or whose answer the page has not read."""
        return len(self._blocks._queue.pending_event_ids_session.get(key, ()))

    def forget(self, key: str) -> None:
        """Drop the answers for a page that has ended."""
        self._blocks._queue.pending_event_ids_session.pop(key, None)
        self._blocks._queue.pending_messages_per_session.pop(key, None)
