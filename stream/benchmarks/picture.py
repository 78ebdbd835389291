"""Plot the latency of frames and its parts."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from actionstream.benchmarks.latency import PARTS
from actionstream.models.common.files import write_figure

COLOURS = ("#0b3d6e", "#ced4da", "#74c0fc", "#d9480f", "#f59f00", "#2f9e44")  # of PARTS
INK, FAINT = "#1f2933", "#7b8794"
SHARES = {"median": 0.5, "95 %": 0.95, "99 %": 0.99, "longest": 1.0}
LEAST_MS = 1e-3


def draw_latency(path: Path, frames: Sequence[dict[str, Any]], *, title: str) -> None:
    """Write a PNG. Left: the cumulative distribution of each part and of the total. Right: the parts of four frames,
    those with the median, the 95th and 99th percentile, and the longest total.

    frames  for each frame, the milliseconds of each of PARTS
    """
    from matplotlib.figure import Figure

    spent = np.array([[frame[part] for part in PARTS] for frame in frames])
    totals = spent.sum(axis=1)
    figure = Figure(figsize=(12, 4.6), facecolor="white", layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(1, 1))

    percent = 100 * (np.arange(len(spent)) + 1) / len(spent)
    for part, values, colour in zip(PARTS, spent.T, COLOURS, strict=True):
        left.step(np.sort(np.maximum(values, LEAST_MS)), percent, where="post", color=colour, label=part, linewidth=2)
    left.step(np.sort(totals), percent, where="post", color=INK, label="total", linewidth=2, linestyle=":")
    left.set(xscale="log", xlabel="ms", ylabel="% of the frames within", ylim=(0, 101))
    left.legend(frameon=False, labelcolor=INK, fontsize=9)

    order = np.argsort(totals)
    for place, share in enumerate(SHARES.values()):
        nearest = order[min(len(order) - 1, int(np.ceil(share * len(order))) - 1)]
        begin = 0.0
        for part, colour in zip(spent[nearest], COLOURS, strict=True):
            right.barh(place, part, left=begin, color=colour, height=0.6)
            begin += part
        right.text(begin, place, f" {begin:.1f}", va="center", color=INK, fontsize=9)
    right.set_yticks(range(len(SHARES)), list(SHARES))
    right.set(xlabel="ms of one frame")
    right.margins(x=0.12)
    right.invert_yaxis()
    for axis in (left, right):
        axis.spines[["top", "right"]].set_visible(False)
        axis.tick_params(colors=FAINT)
    figure.suptitle(title, color=INK, size=12, weight="bold", x=0.01, ha="left", parse_math=False)
    write_figure(path, figure, dpi=110)
