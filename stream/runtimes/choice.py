"""The fastest runtime for this machine: what was measured, kept in the cache by model, machine and versions."""

from __future__ import annotations

import hashlib
import json
import os
import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from statistics import geometric_mean
from typing import Annotated, Any, Literal, cast

from pydantic import Field, Strict

from actionstream.choices import PrecisionName
from actionstream.models.common.cache import cache_folder
from actionstream.models.common.checked import ShortText, checked, parse_json
from actionstream.models.common.errors import ActionstreamError
from actionstream.models.common.files import write_text
from actionstream.runtimes.plans import num_cores_here

FORMAT = 1
"""Increase it when runtimes must be measured again."""
PACKAGES = ("actionstream", "onnxruntime", "openvino", "numpy")
GAIN = 0.95
"""Another runtime than ONNX Runtime in float32 must take at most this share of its time: measured times are noisy."""

Name = Literal["onnx", "openvino"]
InPrecision = Literal["float32", "bfloat16", "int8"]


@dataclass(frozen=True)
class Candidate:
    """A runtime for exported files, in a precision."""

    runtime: Name
    precision: InPrecision

    def __str__(self) -> str:
        return f"{self.runtime} in {self.precision}"


BASIS = Candidate("onnx", "float32")
"""What "auto" takes until something faster is known."""
CANDIDATES = (
    BASIS,
    Candidate("openvino", "float32"),
    Candidate("openvino", "bfloat16"),
    Candidate("onnx", "int8"),
    Candidate("openvino", "int8"),
)


@checked
class Measured:
    """What was measured of a candidate.

    batches     numbers of streams of the steps
    ms          the milliseconds of a step with so many streams; none for a candidate that is refused
    difference  largest difference of a probability from the reference, which is float64; None where it cannot run
    refused     why it is not used; None where it can be
    """

    runtime: Name
    precision: InPrecision
    batches: Annotated[tuple[int, ...], Field(max_length=100), Strict(False)] = ()
    ms: Annotated[tuple[float, ...], Field(max_length=100), Strict(False)] = ()
    difference: float | None = None
    refused: ShortText | None = None

    @property
    def candidate(self) -> Candidate:
        return Candidate(self.runtime, self.precision)


@checked
class _Memory:
    rows: Annotated[tuple[Measured, ...], Field(max_length=100), Strict(False)]


def candidates(precision: PrecisionName) -> list[Candidate]:
    """The candidates of a precision whose packages are installed; "auto": of each precision. BASIS is always there."""
    installed = [each for each in CANDIDATES if find_spec({"onnx": "onnxruntime"}.get(each.runtime, each.runtime))]
    return [each for each in installed if each == BASIS or precision in ("auto", each.precision)]


def fastest(rows: Sequence[Measured], precision: PrecisionName) -> Candidate | None:
    """The candidate of a precision ("auto": of any) with the shortest steps in the geometric mean over batch sizes.

    None where nothing in this precision can be used.
    """
    means = {
        row.candidate: geometric_mean(row.ms)
        for row in rows
        if row.refused is None and row.ms and precision in ("auto", row.precision)
    }
    if not means:
        return None
    best = min(means, key=lambda each: means[each])
    return best if means[best] <= GAIN * means.get(BASIS, float("inf")) else BASIS


def remembered(path: Path, precision: PrecisionName, *, num_threads: int | None) -> Candidate | None:
    """The fastest candidate for an exported file, as measured on this machine; None where that is unknown."""
    if candidates(precision) == [BASIS]:
        return None
    place = _place(path, precision, num_threads)
    try:
        memory = parse_json(place.read_text("utf-8"), _Memory, str(place))
    except (OSError, ActionstreamError):  # it is measured again
        return None
    return fastest(memory.rows, precision)


def remember(path: Path, precision: PrecisionName, rows: Sequence[Measured], *, num_threads: int | None) -> None:
    """Keep what was measured of an exported file, for `remembered`; OSError where the cache cannot be written."""
    write_text(_place(path, precision, num_threads), json.dumps({"rows": [asdict(cast(Any, row)) for row in rows]}))


def _place(path: Path, precision: PrecisionName, num_threads: int | None) -> Path:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256")
    digest.update(json.dumps([FORMAT, _machine(), precision, num_threads]).encode())
    return cache_folder() / "runtimes" / f"{digest.hexdigest()[:32]}.json"


def _machine() -> dict[str, Any]:
    """What the speed of a runtime depends on."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    processor = [next((line for line in lines if line.startswith(key)), "") for key in ("model name", "flags")]
    return {
        "processor": [*processor, platform.processor(), platform.machine()],
        "cores": [num_cores_here(), os.cpu_count()],
        "versions": {name: _version(name) for name in PACKAGES},
    }


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
