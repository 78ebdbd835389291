"""Sinks of results: JSON lines, the terminal, a video with an overlay, a window; and files that they write to."""

from actionstream.sinks.json_lines import JsonLines
from actionstream.sinks.overlay import Overlay
from actionstream.sinks.rotating import RotatingText
from actionstream.sinks.saved_video import SavedVideo
from actionstream.sinks.sink import Sink, SinkClosed
from actionstream.sinks.spooled import SpooledText
from actionstream.sinks.terminal import Terminal
from actionstream.sinks.video_file import VideoFile
from actionstream.sinks.window import DesktopWindow

__all__ = [
    "DesktopWindow",
    "JsonLines",
    "Overlay",
    "RotatingText",
    "SavedVideo",
    "Sink",
    "SinkClosed",
    "SpooledText",
    "Terminal",
    "VideoFile",
]
