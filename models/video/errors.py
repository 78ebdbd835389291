"""What goes wrong with a source of frames."""

from __future__ import annotations

from actionstream.models.common.errors import ActionstreamError


class SourceError(ActionstreamError):
    """A source that cannot be opened or read, or is truncated; the message is one line for the user."""


def reason(error: BaseException) -> str:
    """The message of an error, without its number and path."""
    return (getattr(error, "strerror", None) or str(error) or type(error).__name__).strip().splitlines()[0].rstrip(".")
