"""The machine that a benchmark runs on."""

from __future__ import annotations

import os
import platform
from datetime import date
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

PACKAGES = ("actionstream", "torch", "onnxruntime", "openvino", "ai-edge-litert", "numpy", "av", "opencv-python")


FEATURES = (
    "avx2",
    "avx512f",
    "avx512_vnni",
    "avx_vnni",
    "avx512_bf16",
    "amx_int8",
    "amx_bf16",
    "asimddp",
    "sve",
    "bf16",
)
"""Flags of processors that the speed of a network depends on."""


def machine() -> dict[str, Any]:
    """CPU and its features, cores, memory, load, date, and the versions of installed packages.

    None where the system does not say.
    """
    names = [line.split(":")[1].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")]
    flags = " ".join(line for line in _lines("/proc/cpuinfo") if line.startswith(("flags", "Features"))).split()
    memory = [int(line.split()[1]) * 1024 / 1e9 for line in _lines("/proc/meminfo") if line.startswith("MemTotal")]
    return {
        "cpu": names[0] if names else platform.processor() or platform.machine(),
        "features": [name for name in FEATURES if name in flags],
        "cores": os.cpu_count(),
        "memory_gigabytes": round(memory[0], 1) if memory else None,
        "load": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
        "system": platform.system(),
        "date": date.today().isoformat(),
        "versions": {"python": platform.python_version(), **_versions()},
    }


def _versions() -> dict[str, str]:
    found = {}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def _lines(path: str) -> list[str]:
    file = Path(path)
    return file.read_text().splitlines() if file.exists() else []
