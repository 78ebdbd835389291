"""The command `sources`."""

from __future__ import annotations

from actionstream.cli.messages import say


def sources() -> None:
    """List the cameras of this machine."""
    from actionstream.sources.camera import attached_cameras

    cameras = attached_cameras()
    for number, name in cameras:
        print(f"{number}\t{name}")
    if not cameras:
        say("no camera is attached; a source can also be a file, an address such as rtsp://camera/stream, or -")
