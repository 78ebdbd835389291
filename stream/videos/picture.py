"""The timeline of a video as a picture: thumbnails, a row of scores for each class, and the segments found."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from actionstream.frame import Frame
from actionstream.models.common.files import write_figure
from actionstream.results import Segment
from actionstream.sampler import gap_after
from actionstream.videos.label import LabelledVideo

MAX_CLASSES = 20
NUMBERED = 0.3  # bars of lower scores are too pale for a number
INK, FAINT, BAR, EMPTY = "#1f2933", "#7b8794", "#d9480f", "#f1f3f5"
SHADES = ("#f8f9fa", "#a5d8ff", "#1c7ed6", "#0b3d6e")
ROW_INCHES, STRIP_INCHES, DOTS = 0.4, 0.95, 120
WIDTH_INCHES = 14.0
MAX_COLUMNS = 1500
STEPS_SECONDS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400)


class Thumbnails:
    """Small pictures spread evenly over a video of unknown length: at least `count` if there are as many frames.

    Up to twice as many are kept; when the room is full, every other one is dropped, and later ones are taken half as
    often.
    """

    def __init__(self, count: int = 40, height: int = 120):
        self.kept: list[tuple[float, np.ndarray]] = []
        self._room = 2 * count
        self._height = height
        self._spacing_seconds = 0.1
        self._next_seconds = -math.inf

    def push(self, frame: Frame) -> None:
        """The next frame of the video."""
        if frame.time_seconds < self._next_seconds:
            return
        if len(self.kept) == self._room:
            self.kept = self.kept[::2]
            self._spacing_seconds = (self.kept[-1][0] - self.kept[0][0]) / (len(self.kept) - 1)
        rows, columns = frame.image.shape[:2]
        size = max(1, round(columns * self._height / rows)), self._height
        picture = Image.fromarray(frame.image).resize(size, Image.Resampling.BILINEAR)
        self.kept.append((frame.time_seconds, np.asarray(picture)))
        self._next_seconds = frame.time_seconds + self._spacing_seconds

    def nearest(self, time_seconds: float) -> np.ndarray:
        """The picture that was taken nearest to a time."""
        return min(self.kept, key=lambda each: abs(each[0] - time_seconds))[1]


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

    Of more than 20 classes it shows those with the best segments and, where these are too few, the highest scores.
    """
    from matplotlib.colors import LinearSegmentedColormap
    from matplotlib.figure import Figure

    shown = choose_classes(found, labels)
    duration = found.scores.duration_seconds
    name_inches = 0.35 + 0.085 * max(len(_short(labels[index])) for index in shown)
    wide, strips = WIDTH_INCHES - name_inches - 0.35, ROW_INCHES * len(shown)
    height = 0.55 + STRIP_INCHES + 0.1 + strips + 0.75
    figure = Figure(figsize=(WIDTH_INCHES, height), facecolor="white")
    left = name_inches / WIDTH_INCHES
    box = {"left": left, "width": wide / WIDTH_INCHES}

    strip = figure.add_axes((box["left"], (strips + 0.85) / height, box["width"], STRIP_INCHES / height))
    _draw_strip(strip, thumbnails, duration, wide)
    axis = figure.add_axes((box["left"], 0.75 / height, box["width"], strips / height))
    colours = LinearSegmentedColormap.from_list("score", SHADES).with_extremes(bad=EMPTY)
    columns = score_columns(found, shown, interval_seconds=interval_seconds)
    image = axis.imshow(
        np.stack([columns, columns, np.full_like(columns, np.nan)], axis=1).reshape(3 * len(shown), -1),
        extent=(0, duration, len(shown), 0),
        aspect="auto",
        interpolation="nearest",
        cmap=colours,
        vmin=0,
        vmax=1,
    )
    axis.hlines(np.arange(len(shown) + 1), 0, duration, color="white", linewidth=2.5)
    _draw_bars(axis, found.segments, [labels[index] for index in shown], duration, wide)
    axis.set(xlim=(0, duration), ylim=(len(shown), 0))
    axis.set_yticks(np.arange(len(shown)) + 0.5, [_short(labels[index]) for index in shown], parse_math=False)
    step = next((each for each in STEPS_SECONDS if duration / each <= 14), 14400)
    ticks = np.arange(0, duration, step)
    axis.set_xticks(ticks, [clock(seconds) for seconds in ticks])
    axis.tick_params(length=0, colors=INK, labelsize=9)
    axis.tick_params(axis="x", length=3, color=FAINT)
    for side in (*axis.spines.values(), *strip.spines.values()):
        side.set_visible(False)

    told = f"{clock(duration)} h" if duration >= 3600 else f"{clock(duration)} min"
    if len(shown) < len(labels):
        told += f", {len(shown)} of {len(labels)} classes"
    top = 1 - 0.3 / height
    legible = title.encode("utf-8", "replace").decode()  # names of files may have bytes that are no text
    figure.text(left, top, legible, color=INK, size=12, weight="bold", va="center", parse_math=False)
    figure.text(left + box["width"], top, told, color=FAINT, size=9, va="center", ha="right")
    scale = figure.add_axes((left + box["width"] - 1.6 / WIDTH_INCHES, 0.2 / height, 1.6 / WIDTH_INCHES, 0.09 / height))
    figure.colorbar(image, cax=scale, orientation="horizontal", ticks=[]).outline.set_visible(False)
    scale.text(-0.06, 0.5, "score 0", transform=scale.transAxes, color=FAINT, size=8, va="center", ha="right")
    scale.text(1.04, 0.5, "1", transform=scale.transAxes, color=FAINT, size=8, va="center")
    scale.text(-0.75, 0.5, "segment", transform=scale.transAxes, color=FAINT, size=8, va="center", ha="right")
    scale.plot((-0.72, -0.5), (0.5, 0.5), transform=scale.transAxes, color=BAR, linewidth=4, clip_on=False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a letter that the font does not have is drawn as a box
        write_figure(path, figure, dpi=DOTS)


def choose_classes(found: LabelledVideo, labels: Sequence[str]) -> list[int]:
    """The classes to show, in the order of the labels: all, or those with the best segments and the highest scores."""
    best = dict.fromkeys(labels, 0.0)
    for segment in found.segments:
        best[segment.label] = max(best[segment.label], segment.score)
    peaks = found.probabilities.max(axis=0)
    ranking = sorted(range(len(labels)), key=lambda index: (-best[labels[index]], -peaks[index]))
    return sorted(ranking[:MAX_CLASSES])


def clock(seconds: float, *, digits: int = 0) -> str:
    """m:ss, or h:mm:ss from an hour on, with so many digits after the point."""
    whole, rest = divmod(round(seconds * 10**digits), 10**digits)
    hours = f"{whole // 3600}:" if whole >= 3600 else ""
    point = f".{rest:0{digits}}" if digits else ""
    return f"{hours}{whole // 60 % 60:0{2 if hours else 1}}:{whole % 60:02}{point}"


def _draw_strip(axis, thumbnails: Thumbnails, duration: float, wide_inches: float) -> None:
    """As many pictures as fit side by side, each from the middle of its part of the video."""
    rows, columns = thumbnails.kept[0][1].shape[:2]
    picture_inches = STRIP_INCHES * columns / rows
    count = max(1, int(wide_inches / (picture_inches + 0.04)))
    half = duration * picture_inches / wide_inches / 2
    for middle in (np.arange(count) + 0.5) * duration / count:
        axis.imshow(thumbnails.nearest(middle), extent=(middle - half, middle + half, 0, 1), aspect="auto")
    axis.set(xlim=(0, duration), ylim=(0, 1), xticks=[], yticks=[])


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


def _draw_bars(axis, segments: Sequence[Segment], labels: Sequence[str], duration: float, wide_inches: float) -> None:
    """Segments as bars: a higher score has a stronger colour, short ones stay visible, scores stand where they fit."""
    from matplotlib.collections import PatchCollection
    from matplotlib.colors import to_rgb
    from matplotlib.patches import Rectangle

    seconds_of_inch = duration / wide_inches
    bars, colours = [], []
    for segment in sorted(segments, key=lambda each: each.score):
        if segment.label not in labels:
            continue
        row = labels.index(segment.label)
        length = max(segment.end_seconds - segment.start_seconds, 0.025 * seconds_of_inch)
        bars.append(Rectangle((segment.start_seconds, row + 0.68), length, 0.28))
        colours.append(1 - (1 - np.array(to_rgb(BAR))) * (0.1 + 0.9 * segment.score))
        if length > 0.4 * seconds_of_inch and segment.score >= NUMBERED:
            middle = segment.start_seconds + length / 2
            axis.text(middle, row + 0.82, f"{segment.score:.2f}", color="white", size=6.5, ha="center", va="center")
    axis.add_collection(PatchCollection(bars, facecolors=colours, edgecolors="white", linewidths=0.5))


def _short(label: str) -> str:
    return label if len(label) <= 40 else f"{label[:39]}…"
