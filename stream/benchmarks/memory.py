"""How much memory this process has."""

from __future__ import annotations

from pathlib import Path


def resident_megabytes(which: str = "VmRSS") -> float:
    """What this process has in memory now, or had at most ("VmHWM"); NaN where the system does not say (not Linux)."""
    file = Path("/proc/self/status")
    lines = file.read_text().splitlines() if file.exists() else []
    return next((int(line.split()[1]) * 1024 / 1e6 for line in lines if line.startswith(which)), float("nan"))


def forget_peak() -> None:
    """What this process has in memory at most is counted from now on."""
    file = Path("/proc/self/clear_refs")
    if file.exists():
        file.write_text("5")  # proc(5)
