"""The command `fleet`: cameras of a file on the nodes of a Ray cluster, their state, and nodes that are emptied."""

from __future__ import annotations

import queue
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn, cast

from actionstream.cluster import LOCAL, cluster
from actionstream.commands import signals
from actionstream.commands.serve import follow
from actionstream.commands.tables import open_console, print_table
from actionstream.fleet.on_ray import Fleet
from actionstream.models.common.errors import ActionstreamError
from actionstream.serve.settings import Settings

TICK_SECONDS = 0.5
LONGEST_STOP_SECONDS = 30.0
"""From a signal to the end of the process, whatever hangs then."""
CAMERAS_HEAD = ("camera", "node", "status", "frames/s", "dropped", "lag (ms)", "cost (CPUs)")
NODES_HEAD = ("node", "address", "cameras", "CPUs", "load", "")


def run_fleet(path: Path, *, address: str, state_folder: Path | None, say: Callable[[str], None]) -> NoReturn:
    """Run the fleet until a signal comes. SettingsError where the file is wrong: then nothing is started."""
    changes: queue.SimpleQueue[Settings | signals.Stopped] = queue.SimpleQueue()
    followed = follow(path, lambda settings: changes.put(_checked(settings, path)), state_folder=state_folder, say=say)
    settings = cast(Settings, changes.get())
    with cluster(address) as where, signals.told(changes.put, LONGEST_STOP_SECONDS):
        place = "the cores of this machine" if address == LOCAL else f"the cluster at {where}"
        fleet = Fleet()
        epoch, ran_before = fleet.start(settings)
        say(f"the fleet {'runs already' if ran_before else 'is started'} on {place}")
        seen, failure = 0, ""
        try:
            while True:
                try:
                    now, seen, lines = fleet.said(seen)
                    if now != epoch:  # another process of the coordinator, which has the settings of its first start
                        epoch, seen = fleet.apply(settings), 0
                        say("the coordinator was started again")
                    failure = ""
                except ActionstreamError as error:
                    lines = [] if failure else [str(error)]
                    failure = str(error)
                for line in lines:
                    say(line)
                try:
                    change = changes.get(timeout=TICK_SECONDS)
                except queue.Empty:
                    continue
                if isinstance(change, signals.Stopped):
                    raise change
                settings = change
                epoch = fleet.apply(settings)
                say(f"{path} has changed, and counts")
        finally:
            followed.stop()
            for line in fleet.stop():
                say(line)


def _checked(settings: Settings, path: Path) -> Settings:
    if settings.clips is not None:
        raise ActionstreamError(f"{path} has [clips]; a fleet writes no clips; take it out, or use serve")
    return settings


def print_status(address: str) -> None:
    """Print a table of all cameras, and one of the nodes. ActionstreamError where no fleet runs."""
    with cluster(address):
        status = Fleet().status()
    console = open_console()
    cameras = [
        (
            line.row.camera,
            line.row.node or "",
            line.row.status,
            f"{line.row.frames_a_second:.1f}",
            str(line.dropped),
            line.row.lag,
            "" if line.cost is None else f"{line.cost:.2f}",
        )
        for line in status.cameras
    ]
    nodes = [
        (
            line.name,
            line.address,
            str(line.num_cameras),
            f"{line.cpus:g}",
            f"{line.load:.0%}",
            "drains" if line.is_draining else "",
        )
        for line in status.nodes
    ]
    print_table(console, CAMERAS_HEAD, cameras)
    console.print()
    print_table(console, NODES_HEAD, nodes)


def drain(node: str, *, undo: bool, address: str, say: Callable[[str], None]) -> None:
    """Let all cameras leave a node, or come to it again. ActionstreamError where there is no such node."""
    with cluster(address):
        name = Fleet().drain(node, undo=undo)
    what = f"cameras may come to {name} again" if undo else f"all cameras leave {name}"
    say(f"{what}; --status shows where they are")
