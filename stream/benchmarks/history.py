"""Reports of benchmarks over time: kept in a folder by machine, date and version, and drawn."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from actionstream.models.common.errors import ActionstreamError
from actionstream.models.common.files import write_figure, write_text

BULKY = ("each", "rounds_ms")
"""Keys of single measurements, which are not kept."""
COLUMNS = 3
INK, FAINT = "#1f2933", "#7b8794"


def read_report(path: Path) -> dict[str, Any]:
    """A report that `bench --json` printed."""
    try:
        report = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise ActionstreamError(f"{path} cannot be read: {error}") from error
    if not isinstance(report, dict) or not {"benchmark", "machine"} <= set(report):
        raise ActionstreamError(
            f"{path} is no report of a benchmark; expected what `actionstream bench ... --json` prints"
        )
    return report


def keep(reports: Sequence[Path], folder: Path) -> list[Path]:
    """Keep reports from files; returns where they are. All are read before the first is written."""
    return [_keep(report, folder) for report in [read_report(path) for path in reports]]


def figures(report: dict[str, Any]) -> Iterator[tuple[str, float]]:
    """The names and values of what a report is about."""
    benchmark, about = report["benchmark"], report.get("model") or ""
    if benchmark == "latency":
        for share in ("p50", "p99"):
            yield f"latency, {about}, {share}, ms", report["total_ms"][share]
    elif benchmark == "throughput":
        for row in report["rows"]:
            yield f"throughput, {about}, batch {row['batch']}, frames/s", row["frames_a_second"]
    elif benchmark == "streams":
        yield f"streams of {report['rate']:g} frames/s, {about}", report["streams"]
    elif benchmark == "ratios":
        for row in report["rows"]:
            yield f"{row['figure']}, {row['network']}, {row['runtime']}", row["ratio"]["median"]
    elif benchmark == "soak" and "growth_megabytes" in report:
        yield f"growth over {report['frames']:,} frames, MB", report["growth_megabytes"]


def draw(folder: Path, picture: Path) -> int:
    """Write a PNG with a panel for each figure of all reports in a folder, over time; returns the number of reports."""
    from matplotlib.figure import Figure

    reports = [(path.parent.name, read_report(path)) for path in sorted(folder.glob("*/*.json"))]
    values: dict[str, dict[str, list[tuple[str, float]]]] = {}
    for machine, report in reports:
        for name, value in figures(report):
            values.setdefault(name, {}).setdefault(machine, []).append((report["machine"]["date"], value))
    if not values:
        raise ActionstreamError(
            f"{folder} has no report to draw; give some, as `actionstream bench ... --json` prints them"
        )
    rows = -(-len(values) // COLUMNS)
    drawn = Figure(figsize=(5 * COLUMNS, 2.4 * rows + 0.8), facecolor="white", layout="constrained")
    panels = drawn.subplots(rows, COLUMNS, squeeze=False).flatten()
    machines = list(dict.fromkeys(machine for machine, _ in reports))
    for panel, (name, by_machine) in zip(panels, sorted(values.items()), strict=False):
        dates = sorted({date for points in by_machine.values() for date, _ in points})
        for machine, points in by_machine.items():
            places = [dates.index(date) for date, _ in points]
            panel.plot(places, [value for _, value in points], "o-", color=f"C{machines.index(machine)}", label=machine)
        panel.set_xticks(range(len(dates)), dates)
        panel.set_title(name, size=9, color=INK, loc="left", parse_math=False)
        panel.set_ylim(bottom=min(0, panel.get_ylim()[0]))
        panel.margins(x=0.2)
        panel.spines[["top", "right"]].set_visible(False)
        panel.tick_params(colors=FAINT, labelsize=8)
    for panel in panels[len(values) :]:
        panel.set_axis_off()
    lines = {line.get_label(): line for panel in panels for line in panel.get_lines()}
    drawn.legend(lines.values(), lines.keys(), loc="outside lower left", frameon=False, fontsize=8)
    write_figure(picture, drawn, dpi=90)
    return len(reports)


def _keep(report: dict[str, Any], folder: Path) -> Path:
    """Write a report into the folder of its machine; one of the same benchmark, model, date and version is replaced."""
    machine = report["machine"]
    place = _slug(f"{machine['cpu']} {machine['cores']} cores {' '.join(machine.get('features', ()))}")
    version = machine["versions"].get("actionstream", "unknown")
    about = [Path(str(report[key])).stem for key in ("model", "runtime") if report.get(key)]
    path = folder / place / f"{_slug(' '.join([machine['date'], version, report['benchmark'], *about]))}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, json.dumps(_without_bulk(report), indent=1) + "\n")
    return path


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9.]+", "-", text.lower()).strip("-")


def _without_bulk(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_bulk(each) for name, each in value.items() if name not in BULKY}
    if isinstance(value, list):
        return [_without_bulk(each) for each in value]
    return value
