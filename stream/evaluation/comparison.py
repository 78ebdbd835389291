"""A picture of a video that compares the true segments with those that were announced live."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from actionstream.evaluation.announcements import TOLERANCE_SECONDS, match_announcements
from actionstream.evaluation.live import LiveVideo
from actionstream.evaluation.segments import Segments, Truth
from actionstream.videos.sheet import EMPTY, INK, SHORTEST_INCHES, Sheet
from actionstream.videos.thumbnails import Thumbnails

MAX_LABELS = 30
TRUE, FOUND, REPEATED, UNCLEAR, LATE, WRONG = "#495057", "#2f9e44", "#b2d8b9", "#ced4da", "#f08c00", "#e03131"
TRUE_TOP, FOUND_TOP, BAR_HEIGHT = 0.12, 0.54, 0.34
MARKS: dict[str, dict[str, Any]] = {
    "missed": {"marker": "o", "markersize": 6, "markerfacecolor": "white", "markeredgecolor": WRONG},
    "late": {"marker": ">", "markersize": 6, "markerfacecolor": LATE, "markeredgecolor": "white"},
    "false": {"marker": "x", "markersize": 6, "markeredgecolor": WRONG},
}


def draw_comparison(
    path: Path,
    truth: Truth,
    video: LiveVideo,
    *,
    thumbnails: Thumbnails,
) -> None:
    """Write a PNG, 14 inches wide: in the row of a label its true segments, and those announced below them.

    truth  of this video alone

    The verdicts are those of `match_announcements`. A line goes from the start of a true segment to its announcement
    where that is late. Of more than 30 labels it shows those with most true segments.
    """
    announced, duration_seconds = video.announcements, video.duration_seconds
    matched = match_announcements(truth, announced)
    wanted, found = truth.segments, announced.segments
    names, num_labels = choose_labels(wanted, found)
    missed = ~np.isin(np.arange(len(wanted)), matched.taken)
    taken, late = matched.taken >= 0, matched.late

    sheet = Sheet(names or [""], duration_seconds=duration_seconds, thumbnails=thumbnails)
    sheet.axis.axhspan(0, max(1, len(names)), color=EMPTY, linewidth=0, zorder=0)
    told = f", {len(wanted) - missed.sum()} of {len(wanted)} announced, {late.sum()} late, {matched.false.sum()} false"
    sheet.write_title(video.name, told + (f"; {len(names)} of {num_labels} labels" if len(names) < num_labels else ""))
    if not names:
        sheet.axis.text(duration_seconds / 2, 0.5, "no segments", color=INK, size=9, ha="center", va="center")

    _draw_bars(sheet, wanted[~missed], names, TRUE_TOP, TRUE, "white")
    _draw_bars(sheet, wanted[missed], names, TRUE_TOP, "white", WRONG)
    verdicts = (
        (REPEATED, matched.repeated),
        (UNCLEAR, ~(taken | matched.repeated | matched.false)),
        (FOUND, taken),
        (WRONG, matched.false),
    )
    for colour, which in verdicts:
        _draw_bars(sheet, found[which], names, FOUND_TOP, colour, "white")

    starts, times = wanted.start_seconds[matched.taken[late]], announced.times_seconds[late]
    rows = _heights(found.labels[late], names, FOUND_TOP)
    sheet.axis.hlines(rows, starts, times, color=LATE, linewidth=3, zorder=3)
    middles = wanted.intervals[missed].mean(axis=1).clip(0, duration_seconds)
    for name, seconds, heights in (
        ("late", times, rows),
        ("missed", middles, _heights(wanted.labels[missed], names, FOUND_TOP)),
        ("false", announced.times_seconds[matched.false], _heights(found.labels[matched.false], names, TRUE_TOP)),
    ):
        sheet.axis.plot(seconds, heights, linestyle="none", clip_on=False, zorder=4, **MARKS[name])
    _add_legend(sheet)
    sheet.write(path)


def choose_labels(wanted: Segments, found: Segments) -> tuple[list[str], int]:
    """The labels to show, in alphabetical order, and the number of all; those with most true segments go first."""
    num_true, num_found = (
        dict(zip(*(part.tolist() for part in np.unique(each.labels, return_counts=True)), strict=True))
        for each in (wanted, found)
    )
    labels = sorted({*num_true, *num_found})
    ranking = sorted(labels, key=lambda label: (-num_true.get(label, 0), -num_found.get(label, 0)))
    return sorted(ranking[:MAX_LABELS]), len(labels)


def _draw_bars(sheet: Sheet, segments: Segments, names: list[str], top: float, face: str, edge: str) -> None:
    """Bars in the rows of their labels, cut off at the end of the video."""
    from matplotlib.collections import PatchCollection
    from matplotlib.patches import Rectangle

    shortest = SHORTEST_INCHES * sheet.seconds_of_inch
    bars = [
        Rectangle(
            (start, names.index(label) + top), max(min(end, sheet.duration_seconds) - start, shortest), BAR_HEIGHT
        )
        for _, start, end, label, _ in segments.rows()
        if label in names
    ]
    sheet.axis.add_collection(PatchCollection(bars, facecolors=face, edgecolors=edge, linewidths=0.8, zorder=2))


def _heights(labels: np.ndarray, names: list[str], top: float) -> list[float]:
    """The middle of the bars of each label; NaN, which is not drawn, for labels without a row."""
    return [names.index(label) + top + BAR_HEIGHT / 2 if label in names else np.nan for label in labels.tolist()]


def _add_legend(sheet: Sheet) -> None:
    from matplotlib.legend_handler import HandlerTuple
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    def mark(name: str, **line: Any) -> Line2D:
        return Line2D([], [], **{"linestyle": "none", **line}, **MARKS[name])

    entries: dict[str, Any] = {
        "true": Patch(facecolor=TRUE),
        "true, missed": (Patch(facecolor="white", edgecolor=WRONG), mark("missed")),
        "announced": Patch(facecolor=FOUND),
        f"over {TOLERANCE_SECONDS:g} s late": mark("late", linestyle="-", linewidth=3, color=LATE),
        "repeated": Patch(facecolor=REPEATED),
        "false alarm": (Patch(facecolor=WRONG), mark("false")),
    }
    sheet.figure.legend(
        list(entries.values()),
        list(entries),
        handler_map={tuple: HandlerTuple(ndivide=None)},
        loc="lower right",
        bbox_to_anchor=sheet.corner,
        ncols=len(entries),
        frameon=False,
        fontsize=8,
        labelcolor=INK,
        handlelength=2.4,
        columnspacing=1.6,
        borderaxespad=0,
    )
