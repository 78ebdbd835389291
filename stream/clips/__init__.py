"""Clips of events, from the encoded pictures of cameras, with what was before the event."""

from actionstream.clips.recorder import Clips

__all__ = ["Clips"]
