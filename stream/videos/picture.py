"""The timeline of a video as a picture: thumbnails, a row of scores for each class, and the segments found."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from actionstream.results import Segment
from actionstream.sampler import gap_after
from actionstream.scoring.segments import sure_segments
from actionstream.videos.label import LabelledVideo
from actionstream.videos.sheet import EMPTY, FAINT, SHORTEST_INCHES, Sheet
from actionstream.videos.thumbnails import Thumbnails

MAX_CLASSES = 20
NUMBERED = 0.3  # bars of lower scores are too pale for a number
BAR = "#d9480f"
SHADES = ("#f8f9fa", "#a5d8ff", "#1c7ed6", "#0b3d6e")
MAX_COLUMNS = 1500


def draw_timeline(
    path: Path,
    found: LabelledVideo,
    *,
    title: str,
    labels: Sequence[str],
    interval_seconds: float,
    thumbnails: Thumbnails,
) -> None:
    """Write a PNG, 14 inches wide. The upper two thirds of a row are the scores of a class, the rest its segments.

    Of segments of one label that lie inside each other it shows the best. Of more than 20 classes it shows those with
    the best segments and, where these are too few, the highest scores.
    """
    from matplotlib.colors import LinearSegmentedColormap

    shown = choose_classes(found, labels)
    names = [labels[index] for index in shown]
    sheet = Sheet(names, duration_seconds=found.scores.duration_seconds, thumbnails=thumbnails)
    told = f", {len(shown)} of {len(labels)} classes" if len(shown) < len(labels) else ""
    sheet.write_title(title, told)
    columns = score_columns(found, shown, interval_seconds=interval_seconds)
    image = sheet.axis.imshow(
        np.stack([columns, columns, np.full_like(columns, np.nan)], axis=1).reshape(3 * len(shown), -1),
        extent=(0, sheet.duration_seconds, len(shown), 0),
        aspect="auto",
        interpolation="nearest",
        cmap=LinearSegmentedColormap.from_list("score", SHADES).with_extremes(bad=EMPTY),
        vmin=0,
        vmax=1,
    )
    _draw_bars(sheet, sure_segments(found.segments, 0.0), names)
    scale = sheet.add_legend(inches=1.6)
    sheet.figure.colorbar(image, cax=scale, orientation="horizontal", ticks=[]).outline.set_visible(False)
    scale.text(-0.06, 0.5, "score 0", transform=scale.transAxes, color=FAINT, size=8, va="center", ha="right")
    scale.text(1.04, 0.5, "1", transform=scale.transAxes, color=FAINT, size=8, va="center")
    scale.text(-0.75, 0.5, "segment", transform=scale.transAxes, color=FAINT, size=8, va="center", ha="right")
    scale.plot((-0.72, -0.5), (0.5, 0.5), transform=scale.transAxes, color=BAR, linewidth=4, clip_on=False)
    sheet.write(path)


def choose_classes(found: LabelledVideo, labels: Sequence[str]) -> list[int]:
    """The classes to show, in the order of the labels: all, or those with the best segments and the highest scores."""
    best = dict.fromkeys(labels, 0.0)
    for segment in found.segments:
        best[segment.label] = max(best[segment.label], segment.score)
    peaks = found.probabilities.max(axis=0)
    ranking = sorted(range(len(labels)), key=lambda index: (-best[labels[index]], -peaks[index]))
    return sorted(ranking[:MAX_CLASSES])


def score_columns(found: LabelledVideo, shown: Sequence[int], *, interval_seconds: float) -> np.ndarray:
    """Probabilities (classes, columns of the picture): the highest of each column, NaN where there are none."""
    times, duration = found.scores.times_seconds, found.scores.duration_seconds
    num = max(1, min(MAX_COLUMNS, math.ceil(duration / interval_seconds)))
    seconds = duration / num
    place = np.minimum((times / seconds).astype(int), num - 1)
    columns = np.full((num, len(shown)), -np.inf)
    np.maximum.at(columns, place, found.probabilities[:, shown])
    there = np.unique(place)
    before = there[np.maximum(np.searchsorted(there, np.arange(num), "right") - 1, 0)]
    far = (np.arange(num) - before) * seconds > gap_after(interval_seconds)
    columns = columns[before]  # a row stands until the next one
    columns[far | (np.arange(num) < there[0])] = np.nan
    return columns.T


def _draw_bars(sheet: Sheet, segments: Sequence[Segment], labels: Sequence[str]) -> None:
    """Segments as bars, a better one above others: a higher score has a stronger colour, and short ones stay visible.

    A score stands in the middle of its bar where that is long enough, and no better bar is there.
    """
    from matplotlib.collections import PatchCollection
    from matplotlib.colors import to_rgb
    from matplotlib.patches import Rectangle

    bars, colours = [], []
    better = defaultdict[int, list[tuple[float, float]]](list)
    number = 0.4 * sheet.seconds_of_inch
    for segment in sorted(segments, key=lambda each: -each.score):
        if segment.label not in labels:
            continue
        row = labels.index(segment.label)
        length = max(segment.end_seconds - segment.start_seconds, SHORTEST_INCHES * sheet.seconds_of_inch)
        start, end = segment.start_seconds, segment.start_seconds + length
        bars.append(Rectangle((start, row + 0.68), length, 0.28))
        colours.append(1 - (1 - np.array(to_rgb(BAR))) * (0.1 + 0.9 * segment.score))
        left, middle, right = ((start + end + part) / 2 for part in (-number, 0, number))
        if (
            length > number
            and segment.score >= NUMBERED
            and all(right < begin or left > until for begin, until in better[row])
        ):
            sheet.axis.text(
                middle, row + 0.82, f"{segment.score:.2f}", color="white", size=6.5, ha="center", va="center_baseline"
            )
        better[row].append((start, end))
    collection = PatchCollection(bars[::-1], facecolors=colours[::-1], edgecolors="white", linewidths=0.5)
    sheet.axis.add_collection(collection)
