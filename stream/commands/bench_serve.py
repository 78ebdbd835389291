"""The benchmarks of `serve`: outages, and a day in short."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

from actionstream.benchmarks.clips import measure_clips
from actionstream.benchmarks.outages import measure_outages
from actionstream.benchmarks.soak_serve import measure_serve_soak
from actionstream.commands.bench_report import described, print_report, stages
from actionstream.commands.bench_tables import show_clips, show_outages, show_serve_soak
from actionstream.models.common.errors import ActionstreamError


def bench_outages(*, minutes: float, num_kills: int, away_minutes: float, num_cameras: int, as_json: bool) -> None:
    """Count what arrives of a service that is killed, and whose broker is away."""
    if away_minutes * 1.7 > minutes:
        raise ActionstreamError(
            f"--away is {away_minutes:g} minutes; expected {minutes / 1.7:.2g} or less of {minutes:g}"
        )
    report = described("outages")
    with stages() as stage, tempfile.TemporaryDirectory(prefix="actionstream-") as folder:
        report |= measure_outages(
            Path(folder),
            seconds=60 * minutes,
            num_kills=num_kills,
            away_seconds=60 * away_minutes,
            num_cameras=num_cameras,
            done=stage("outages"),
        )
    print_report(report, show_outages, as_json=as_json)


def bench_clips(*, num_cameras: int, seconds: float, rounds: int, as_json: bool) -> None:
    """Measure the processor time of rings and clips."""
    report = described("clips")
    with stages() as stage, tempfile.TemporaryDirectory(prefix="actionstream-") as folder:
        report |= measure_clips(
            Path(folder), num_cameras=num_cameras, seconds=seconds, rounds=rounds, done=stage("clips")
        )
    print_report(report, show_clips, as_json=as_json)


def bench_serve_soak(*, minutes: float, num_cameras: int, say: Callable[[str], None], as_json: bool) -> None:
    """Measure whether anything grows in a service while its clock goes through a day."""
    report = described("soak", serve=True)
    with stages() as stage, tempfile.TemporaryDirectory(prefix="actionstream-") as folder:
        report |= measure_serve_soak(
            Path(folder), seconds=60 * minutes, num_cameras=num_cameras, say=say, done=stage("a day in short")
        )
    print_report(report, show_serve_soak, as_json=as_json)
