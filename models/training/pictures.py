"""Learning curves and confusion matrices as PNG."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from actionstream.models.common.files import write_figure


def draw_curves(path: Path, figures: Mapping[str, Sequence[float]], *, over: str) -> None:
    """A line for each figure against the figure `over`, such as "epoch"; the loss has an axis of its own."""
    import matplotlib as mpl

    mpl.use("agg")
    from matplotlib import pyplot

    canvas, axis = pyplot.subplots(figsize=(8, 4.5), layout="constrained")
    right = axis.twinx()
    for number, (name, values) in enumerate(figures.items()):
        if name != over:
            side = right if name == "loss" else axis
            side.plot(figures[over], values, label=name, color=f"C{number}", linestyle="--" if name == "loss" else "-")
    axis.set(xlabel=over, ylim=(0, 1))
    axis.grid(alpha=0.3)
    right.set(ylabel="loss", ylim=(0, None))
    canvas.legend(loc="outside upper center", ncols=4)
    write_figure(path, canvas, dpi=120)
    pyplot.close(canvas)


def draw_confusion(path: Path, counts: np.ndarray, labels: Sequence[str]) -> None:
    """Rows are true labels, columns predicted ones, colours the share of the row; counts for up to 30 labels."""
    import matplotlib as mpl

    mpl.use("agg")
    from matplotlib import pyplot

    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    side = min(max(4.0, 0.45 * len(labels) + 2), 24)
    canvas, axis = pyplot.subplots(figsize=(side + 1, side), layout="constrained")
    image = axis.imshow(share, vmin=0, vmax=1, cmap="Blues")
    canvas.colorbar(image, ax=axis, label="share of the row", shrink=0.8)
    ticks = range(len(labels))
    axis.set_xticks(ticks, labels, rotation=90)
    axis.set_yticks(ticks, labels)
    axis.set(xlabel="said", ylabel="true")
    if len(labels) <= 30:
        for row, column in zip(*np.nonzero(counts), strict=True):
            dark = share[row, column] > 0.5
            axis.text(column, row, counts[row, column], ha="center", va="center", color="white" if dark else "black")
    write_figure(path, canvas, dpi=120)
    pyplot.close(canvas)


def draw_means(path: Path, figures: Mapping[str, Mapping[str, Sequence[float]]], *, over: str) -> None:
    """A line for each name, with the mean and the standard deviation of two or more shares at each tick."""
    import matplotlib as mpl

    mpl.use("agg")
    from matplotlib import pyplot

    canvas, axis = pyplot.subplots(figsize=(8, 4.5), layout="constrained")
    for name, ticks in figures.items():
        means = [np.mean(values) for values in ticks.values()]
        spreads = [np.std(values, ddof=1) for values in ticks.values()]
        axis.errorbar(list(ticks), means, yerr=spreads, label=name, capsize=4, marker="o")
    axis.set(xlabel=over, ylabel="right", ylim=(0, 1.02))
    axis.grid(alpha=0.3)
    axis.legend()
    write_figure(path, canvas, dpi=120)
    pyplot.close(canvas)
