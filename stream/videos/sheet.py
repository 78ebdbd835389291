"""The sheet that pictures of videos are drawn on: thumbnails above, a row for each label, the time below."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from actionstream.models.common.files import write_figure
from actionstream.videos.thumbnails import Thumbnails

INK, FAINT, EMPTY = "#1f2933", "#7b8794", "#f1f3f5"
ROW_INCHES, STRIP_INCHES, DOTS = 0.4, 0.95, 120
WIDTH_INCHES = 14.0
SHORTEST_INCHES = 0.025
"""Shorter bars are drawn with this length, so that they stay visible."""
STEPS_SECONDS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400)


class Sheet:
    """A sheet, 14 inches wide. Row n of `axis` lies between n and n + 1, from the top; x is in seconds.

    seconds_of_inch  seconds in an inch of the axis
    corner           of the figure, right and below, where a legend ends
    """

    def __init__(self, labels: Sequence[str], *, duration_seconds: float, thumbnails: Thumbnails):
        from matplotlib.figure import Figure

        names = [label if len(label) <= 40 else f"{label[:39]}…" for label in labels]
        self.duration_seconds = duration_seconds
        name_inches = 0.35 + 0.085 * max(map(len, names))
        wide, rows = WIDTH_INCHES - name_inches - 0.35, ROW_INCHES * len(names)
        self.seconds_of_inch = duration_seconds / wide
        self._height = 0.55 + STRIP_INCHES + 0.1 + rows + 0.75
        self.figure = Figure(figsize=(WIDTH_INCHES, self._height), facecolor="white")
        self._left, self._width = name_inches / WIDTH_INCHES, wide / WIDTH_INCHES
        strip = self._add_axes((rows + 0.85), STRIP_INCHES)
        _draw_strip(strip, thumbnails, duration_seconds, wide)
        self.axis = self._add_axes(0.75, rows)
        self.corner = self._left + self._width, 0.1 / self._height
        self.axis.hlines(np.arange(len(names) + 1), 0, duration_seconds, color="white", linewidth=2.5, zorder=1.5)
        self.axis.set(xlim=(0, duration_seconds), ylim=(len(names), 0), autoscale_on=False)
        self.axis.set_yticks(np.arange(len(names)) + 0.5, names, parse_math=False)
        step = next((each for each in STEPS_SECONDS if duration_seconds / each <= 14), 14400)
        ticks = np.arange(0, duration_seconds, step)
        self.axis.set_xticks(ticks, [clock(seconds) for seconds in ticks])
        self.axis.tick_params(length=0, colors=INK, labelsize=9)
        self.axis.tick_params(axis="x", length=3, color=FAINT)
        for side in (*self.axis.spines.values(), *strip.spines.values()):
            side.set_visible(False)

    def write_title(self, title: str, told: str) -> None:
        """Write the title on the left, and the duration and what is told after it on the right."""
        top = 1 - 0.3 / self._height
        legible = title.encode("utf-8", "replace").decode()  # names of files may have bytes that are no text
        unit = "h" if self.duration_seconds >= 3600 else "min"
        told = f"{clock(self.duration_seconds)} {unit}{told}"
        self.figure.text(self._left, top, legible, color=INK, size=12, weight="bold", va="center", parse_math=False)
        self.figure.text(self._left + self._width, top, told, color=FAINT, size=9, va="center", ha="right")

    def add_legend(self, *, inches: float) -> Any:
        """New axes of this width for a legend, in the right corner below."""
        width = inches / WIDTH_INCHES
        box = (self.corner[0] - width, 0.2 / self._height, width, 0.09 / self._height)
        return self.figure.add_axes(box)

    def write(self, path: Path) -> None:
        """Write the sheet as PNG."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a letter that the font does not have is drawn as a box
            write_figure(path, self.figure, dpi=DOTS)

    def _add_axes(self, bottom_inches: float, inches: float) -> Any:
        return self.figure.add_axes((self._left, bottom_inches / self._height, self._width, inches / self._height))


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
