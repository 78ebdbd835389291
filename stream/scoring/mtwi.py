"""M-TWI, multi-scale temporal window integration: from the scores of snippets to those of an untrimmed video.

The rule is that of the TSN authors (arXiv:1705.02953, on untrimmed video, and the aggregation by sliding windows in
their published code). It says what is in a video, not where. `integrate` takes a whole video at once, `Integrator` a
stream.

Letters: n rows, K classes. A cell is a place on the grid of `rows_per_second`; spans, steps and starts of windows are
counted in cells from the first row on.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from actionstream.models.common.errors import ActionstreamError
from actionstream.scoring.consensus import attention_weighting, average, maximum, top_k

Inside = Literal["maximum", "average", "attention"]
Across = Literal["top-k", "attention"]


@dataclass(frozen=True)
class WindowPlan:
    """The windows of M-TWI and their consensus functions; the defaults are as published.

    spans_seconds    how long the windows are, each a whole number of cells
    overlap          of a window with the next one of its span, as a part of it: from 0 to below 1. Windows start at
                     the first row and every ceil(span (1 - overlap)) cells from there, while there are rows
    rows_per_second  of the grid, a whole number
    inside           the consensus of the rows in a window
    across           the consensus of the n windows of a span: attention, or the mean of the k highest of each class,
                     where k is max(15, n // 4), or n if that is less
    horizon_seconds  if not None, only windows that lie wholly inside the last so many seconds count. The windows do not
                     move: they are counted from the first row

    The scores of a video are the mean over spans. A window that reaches beyond the last row is short, and counts.
    A cell without a row (a gap) adds nothing to the windows it is in, and a window without any row does not count.
    """

    spans_seconds: tuple[float, ...] = (1, 2, 4, 8, 16)
    overlap: float = 0.2
    rows_per_second: int = 1
    inside: Inside = "maximum"
    across: Across = "top-k"
    horizon_seconds: float | None = None

    def __post_init__(self) -> None:
        if not self.rows_per_second >= 1 or self.rows_per_second % 1 != 0:
            raise ActionstreamError(
                f"{self.rows_per_second} rows a second: the grid has a whole number of them, 1 or more"
            )
        if not self.spans_seconds:
            raise ActionstreamError("there are no spans; give the length in seconds of one or more")
        for seconds in self.spans_seconds:
            cells = seconds * self.rows_per_second
            if not 1 - 1e-9 <= cells < math.inf or abs(cells - round(cells)) > 1e-9:
                raise ActionstreamError(
                    f"a span of {seconds} seconds at {self.rows_per_second} rows a second is {cells} rows; "
                    "it must be a whole number, 1 or more"
                )
        if not 0 <= self.overlap < 1:
            raise ActionstreamError(f"the overlap is {self.overlap}; it is a part of a window, from 0 to below 1")
        if self.inside not in get_args(Inside):
            raise ActionstreamError(
                f"no consensus {self.inside!r} inside a window; there are {', '.join(get_args(Inside))}"
            )
        if self.across not in get_args(Across):
            raise ActionstreamError(
                f"no consensus {self.across!r} across windows; there are {', '.join(get_args(Across))}"
            )
        longest = max(self.spans_seconds)
        if self.horizon_seconds is not None and not longest <= self.horizon_seconds < math.inf:
            raise ActionstreamError(
                f"the horizon is {self.horizon_seconds} seconds; it must be no shorter than the longest span, "
                f"{longest} seconds, or None to count all windows"
            )

    @property
    def needs_attention(self) -> bool:
        """Whether rows come with a logit of attention."""
        return "attention" in (self.inside, self.across)

    def scales(self) -> list[tuple[int, int]]:
        """The span of each scale, and the step from a start to the next, in cells."""
        spans = [round(seconds * self.rows_per_second) for seconds in self.spans_seconds]
        # the small number is for 10 * (1 - 0.7), which is 3.0000000000000004 and means 3
        return [(span, max(1, math.ceil(span * (1 - self.overlap) - 1e-9))) for span in spans]

    def oldest(self, last: int) -> int:
        """The first cell inside the horizon when `last` is the cell of the last row."""
        if self.horizon_seconds is None:
            return 0
        return max(0, last + 1 - math.floor(self.horizon_seconds * self.rows_per_second + 1e-9))

    def make_window(self, rows: np.ndarray) -> np.ndarray:
        """The row of a window from the rows in it; both as `check_rows` makes them."""
        if self.inside == "maximum":
            return maximum(rows)
        if self.inside == "average":
            return average(rows)
        return attention_weighting(rows, rows[:, -1])

    def make_windows(self, rows: np.ndarray, bounds: np.ndarray) -> np.ndarray:
        """The rows of the windows with these bounds (W, 2), counted in rows, none of them empty."""
        if self.inside == "maximum":  # vectorised: a loop takes seconds for an hour of short windows
            beyond = np.full((1, rows.shape[1]), -np.inf)  # for bounds at the end
            return np.maximum.reduceat(np.concatenate([rows, beyond]), bounds.ravel())[::2]
        return np.stack([self.make_window(rows[begin:end]) for begin, end in bounds.tolist()])

    def join_windows(self, windows: np.ndarray) -> np.ndarray:
        """Scores (K,) from the rows of all windows of a span."""
        scores = windows[:, :-1] if self.needs_attention else windows
        if self.across == "top-k":
            return top_k(scores, max(15, len(scores) // 4))
        return attention_weighting(scores, windows[:, -1])


PUBLISHED = WindowPlan()
"""For one row a second, as in the paper."""


def integrate(
    scores: np.ndarray,
    *,
    plan: WindowPlan = PUBLISHED,
    times_seconds: np.ndarray | None = None,
    attention_logits: np.ndarray | None = None,
) -> np.ndarray:
    """The scores (K,) of a video, float64, from the scores (n, K) of its rows, or (n, crops, K) with several crops.

    times_seconds     (n,), never decreasing: each row belongs to the cell nearest to it, counted from the first row.
                      None where row i is cell i
    attention_logits  (n,), where the plan has attention: see `attention_weighting`

    Of several crops, and then of several rows in one cell, the maximum is taken first, for each class. The logit of
    attention is treated like a class: that of a window is the consensus, inside the window, of the logits of its rows.

    Softmax is left to the caller, since it comes last, after the scores of several modalities are added. Scores and
    logits that are not finite are refused (ValueError), as are arrays of other shapes.
    """
    rows = check_rows(scores, attention_logits, plan)
    if times_seconds is None:
        cells = np.arange(len(rows))
    else:
        times = np.asarray(times_seconds, np.float64)
        if times.shape != (len(rows),):
            raise ActionstreamError(f"{len(rows)} rows with times of shape {times.shape}: give a time for each row")
        if not np.isfinite(times).all() or (np.diff(times) < 0).any():
            raise ActionstreamError(
                "times must be finite and never decrease: sort the rows by time, or integrate each part"
            )
        cells, firsts = np.unique(cells_of(times, times[0], plan), return_index=True)
        rows = np.maximum.reduceat(rows, firsts)
    oldest = plan.oldest(int(cells[-1]))
    results = []
    for span, step in plan.scales():
        starts = _starts_covering_any(cells, span, step)
        starts = starts[starts >= oldest]
        bounds = np.stack([np.searchsorted(cells, starts), np.searchsorted(cells, starts + span)], axis=1)
        results.append(plan.join_windows(plan.make_windows(rows, bounds)))
    return np.mean(results, axis=0)


def check_rows(scores: np.ndarray, attention_logits: np.ndarray | None, plan: WindowPlan) -> np.ndarray:
    """Rows (n, K), float64, the maximum over crops; with attention (n, K + 1), where the last column is the logit."""
    rows = np.asarray(scores, np.float64)
    if rows.ndim not in (2, 3) or 0 in rows.shape:
        raise ActionstreamError(
            f"scores are (rows, classes) or (rows, crops, classes), none of them 0, not {rows.shape}"
        )
    finite = np.isfinite(rows).reshape(len(rows), -1).all(axis=1)
    if rows.ndim == 3:
        rows = rows.max(axis=1)
    if plan.needs_attention:
        if attention_logits is None:
            raise ActionstreamError("attention weighting needs the logit of attention of each row beside its scores")
        logits = np.asarray(attention_logits, np.float64)
        if logits.shape != (len(rows),):
            raise ActionstreamError(f"{len(rows)} rows with logits of shape {logits.shape}: give a logit for each row")
        finite &= np.isfinite(logits)
        rows = np.column_stack([rows, logits])
    elif attention_logits is not None:
        raise ActionstreamError(
            "there are logits of attention, but the plan has attention neither inside nor across windows"
        )
    if not finite.all():
        raise ActionstreamError(
            f"{len(rows) - finite.sum()} of {len(rows)} rows are not finite, the first of them row {finite.argmin()}: "
            "leave out the rows of frames that could not be scored"
        )
    return rows


def cells_of(times_seconds: np.ndarray | float, first_seconds: float, plan: WindowPlan) -> np.ndarray:
    """The cells nearest to times, int64, counted from the cell of the first row; half-way, the later one.

    A sampler takes the frames nearest to its ticks, so they lie a little before or after them.
    """
    # the small number makes half-way the same for every first_seconds
    times = np.asarray(times_seconds, np.float64)
    return np.floor((times - first_seconds) * plan.rows_per_second + 0.5 + 1e-6).astype(np.int64)


def starts_covering(cell: int, span: int, step: int) -> range:
    """The starts of the windows that a cell is in."""
    first = max(0, cell - span + 1)
    return range(-(-first // step) * step, cell + 1, step)


def _starts_covering_any(cells: np.ndarray, span: int, step: int) -> np.ndarray:
    """The starts of the windows that any of the cells is in, increasing."""
    first, last = -(-np.maximum(0, cells - span + 1) // step), cells // step
    starts = first[:, None] + np.arange(-(-span // step))
    return np.unique(starts[starts <= last[:, None]]) * step
