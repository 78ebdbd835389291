"""Resident memory of this process."""

from __future__ import annotations

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
