"""Memory of this process, and of those that it has started."""

from __future__ import annotations

import os
from contextlib import suppress
from glob import glob
from pathlib import Path


def resident_megabytes(which: str = "VmRSS") -> float:
    """Resident memory now ("VmRSS") or its peak ("VmHWM"); NaN on systems other than Linux."""
    file = Path("/proc/self/status")
    lines = file.read_text().splitlines() if file.exists() else []
    return next((int(line.split()[1]) * 1024 / 1e6 for line in lines if line.startswith(which)), float("nan"))


def forget_peak() -> None:
    """Reset the peak of the resident memory to the present value."""
    file = Path("/proc/self/clear_refs")
    if file.exists():
        file.write_text("5")  # proc(5)


def family_megabytes() -> float:
    """Memory of this process and all its descendants; what several share counts once (PSS). NaN without /proc."""
    if not Path("/proc/self/smaps_rollup").exists():
        return float("nan")
    total = 0
    for pid in _family(os.getpid()):
        with suppress(OSError):  # it has ended
            lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
            total += next(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return total * 1024 / 1e6


def _family(pid: int) -> list[int]:
    children: list[int] = []
    for file in glob(f"/proc/{pid}/task/*/children"):
        with suppress(OSError):
            children += map(int, Path(file).read_text().split())
    return [pid, *(each for child in children for each in _family(child))]
