"""Where results go: JSON lines, the terminal, a video with an overlay, a window."""

from stream.sinks.json_lines import JsonLines
from stream.sinks.overlay import Overlay
from stream.sinks.sink import Sink, SinkClosed
from stream.sinks.terminal import Terminal
from stream.sinks.video_file import VideoFile
from stream.sinks.window import Window

__all__ = ["JsonLines", "Overlay", "Sink", "SinkClosed", "Terminal", "VideoFile", "Window"]
