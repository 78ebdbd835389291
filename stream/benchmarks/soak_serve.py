"""Soak test of a service: a day in short, with a clock that runs faster than the cameras are watched."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from glob import escape, glob
from pathlib import Path
from typing import Any

from actionstream.benchmarks.alternation import Done, nobody
from actionstream.benchmarks.memory import resident_megabytes
from actionstream.models.common.files import bytes_of_files
from actionstream.serve.reading import parse_settings
from actionstream.serve.service import Service
from actionstream.serve.store import FILE

DAY_SECONDS = 86_400
LOOKS = 48
WARM_UP = 0.25
"""The part of the day after which nothing should grow: by then rings, caches and kept clips are full."""
SETTINGS = """
[server]
http = "off"
state_folder = "state"
keep_events_days = 0.1

[json]
path = "events.jsonl"
max_hours = 2
keep = 3

[clips]
folder = "clips"
keep_days = 0.1
memory_megabytes = 8

[defaults]
source = "sample"
loop = true
realtime = false
threshold = 0.4
labels = ["left", "up"]
"""


def measure_serve_soak(
    folder: Path, *, seconds: float, num_cameras: int, say: Callable[[str], None], done: Done = nobody
) -> dict[str, Any]:
    """Watch the sample on some cameras, as fast as this machine can, while the clock goes through a day.

    Every second camera is watched in every second period of three hours only. Growth is that from the first third of
    the looks at which all cameras are watched, after the warm-up, to their last third. Events are kept for 0.1 days,
    files of JSON lines are rotated every 2 hours, and clips are deleted after 0.1 days.
    """
    cameras = [f"[cameras.camera{n}]\n" for n in range(num_cameras)]
    periods = ", ".join(f'{{ hours = "{hour:02}:00-{hour + 3:02}:00" }}' for hour in range(0, 24, 6))
    cameras[1::2] = [f"{each}schedule = [{periods}]\n" for each in cameras[1::2]]
    settings = parse_settings("\n".join([SETTINGS, *cameras]), folder / "cameras.toml")
    midnight = (datetime.now() + timedelta(days=1)).replace(hour=0, minute=0, second=0, microsecond=0).timestamp()
    began, speed = time.time(), DAY_SECONDS / seconds

    def clock() -> float:
        return midnight + (time.time() - began) * speed

    looks: list[dict[str, float]] = []
    labelled: dict[str, int] = {}
    with Service(settings, say=say, clock=clock) as service:
        while (passed := (time.time() - began) / seconds) < 1:
            service.tick()
            time.sleep(0.2)
            for name, counts in service.counts().items():
                labelled[name] = max(labelled.get(name, 0), counts.labelled)
            if passed * LOOKS >= len(looks):
                looks.append({"hours": passed * 24, "cameras": len(service.counts()), **_look(folder)})
                done(passed)
    settled = [look for look in looks if look["hours"] >= 24 * WARM_UP and look["cameras"] == num_cameras]
    third = max(len(settled) // 3, 1)
    return {
        "seconds": seconds,
        "cameras": num_cameras,
        "labelled": sum(labelled.values()),
        "labelled_a_second": sum(labelled.values()) / seconds,
        "looks": looks,
        "growth": {
            name: {"from": _median(settled[:third], name), "to": _median(settled[-third:], name)}
            for name in ("megabytes", "threads", "files", "database_megabytes", "json_files", "clips")
        },
    }


def _look(folder: Path) -> dict[str, float]:
    """Count what there is; the service deletes files and folders meanwhile, which pathlib's glob does not bear."""
    return {
        "megabytes": resident_megabytes(),
        "threads": len(os.listdir("/proc/self/task")),
        "files": len(os.listdir("/proc/self/fd")),
        "database_megabytes": bytes_of_files(glob(f"{escape(str(folder))}/state/{FILE}*")) / 1e6,
        "json_files": len(glob("events*.jsonl", root_dir=folder)),
        "clips": len(glob("clips/**/*.mp4", root_dir=folder, recursive=True)),
    }


def _median(looks: list[dict[str, float]], name: str) -> float:
    values = sorted(look[name] for look in looks)
    return values[len(values) // 2]
