"""Movement: whether a snippet shows more than the noise of its camera, which is learnt."""

from __future__ import annotations

import copy
import math

import numpy as np

CELLS = 32
"""A snippet is averaged into so many rows and columns of cells: each has the mean of its pixels and channels."""
FLOOR, CEILING = 3.0, 24.0
"""Grey levels: a change of less is never movement, and one of more always is, whatever the noise."""
NOISES, USUALS = 4.0, 2.0
"""A change is movement from this many times the noise of its cell, and this many times the usual level."""
SHARE = 0.9
"""The noise of a cell is the change that it stays below for this share of the time; so is the usual level."""
FIRST_NOISE, LEAST_NOISE = 0.7, 0.1
"""Grey levels: the noise of a cell before anything is known, and the least that it can be."""
STILL_SECONDS, MOVING_SECONDS = 10.0, 0.5
"""Time constants of the background: it follows daylight while the scene is still, and what stops while it moves."""
STILL_RATE, MOVING_RATE, USUAL_RATE = 0.1, 0.02, 0.007
"""Powers of e a second by which the noise grows, at most: while the scene is still; while it moves, slowly, so that an
action is no noise; and the usual level while the scene moves."""
LONGEST_SECONDS = 1.0
"""A longer pause between two snippets counts as this long: it tells no more than one snippet does."""
LEAST_CONTRAST = 10.0
"""Grey levels squared: a picture with less variance does not tell how bright parts change with the light."""


class Movement:
    """Tells for each snippet of a stream whether something moves in it.

    Each cell has a background, which is its moving average, and a noise, which is what it usually differs by. A change
    of light over the whole picture is subtracted. The level of a snippet is the largest change, in limits, that two
    neighbouring cells have, or one cell twice; the limit of a cell is NOISES times its noise. Something moves where the
    level is above 1, and above USUALS times the usual level, for what is in another cell each time: rain, or shaking.

    Sensor noise, flicker, compression, leaves and rain are learnt in seconds or a few minutes. What moves without a
    pause for minutes is learnt, too, unless it changes cells by more than CEILING.
    """

    def __init__(self) -> None:
        self._shape: tuple[int, ...] = ()
        self._rows = self._columns = np.zeros((0, 0), np.float32)  # weights of the means of cells
        self._noise = np.zeros((0, 0), np.float32)
        self._background: np.ndarray | None = None
        self._usual = 1 / USUALS

    def push(self, snippet: np.ndarray, passed_seconds: float, *, still: bool) -> bool:
        """Whether something moves in the next snippet, uint8 (height, width, channels); False for the first one.

        passed_seconds  since the last snippet
        still           whether the scene was still so far: then the noise is learnt faster, and the background slower
        """
        if snippet.shape != self._shape:
            self._resize(snippet.shape)
        rows, columns, channels = snippet.shape
        pixels = snippet.reshape(rows, columns * channels).astype(np.float32)
        cells = self._rows @ pixels @ self._columns
        if self._background is None:
            self._background = cells
            return False
        size = np.abs(_without_light(cells - self._background, self._background))
        level = _largest(size / np.clip(NOISES * self._noise, FLOOR, CEILING))
        moves = level > max(1.0, USUALS * self._usual) or bool(size.max() > CEILING and _largest(size) > CEILING)
        passed_seconds = min(passed_seconds, LONGEST_SECONDS)
        rate = passed_seconds * (STILL_RATE if still else MOVING_RATE)
        up, down = _steps(rate)
        self._noise *= np.where(size > self._noise, np.float32(up), np.float32(down))
        np.clip(self._noise, LEAST_NOISE, CEILING / NOISES, out=self._noise)
        up, down = _steps(passed_seconds * (STILL_RATE if still else USUAL_RATE))
        usual = self._usual * (up if level > self._usual else down)
        self._usual = min(max(usual, 1 / USUALS), CEILING / FLOOR / USUALS)
        share = -math.expm1(-passed_seconds / (STILL_SECONDS if still else MOVING_SECONDS))
        self._background = self._background + np.float32(share) * (cells - self._background)
        return moves

    def reset(self) -> None:
        """The next snippet does not follow the last one; the noise of the camera is kept."""
        self._background = None

    def copy(self) -> Movement:
        """An independent copy, to continue from the same point later."""
        twin = copy.copy(self)
        twin._noise = self._noise.copy()
        return twin

    def _resize(self, shape: tuple[int, ...]) -> None:
        self._shape = shape
        self._rows = _weights(shape[0], 1)
        self._columns = _weights(shape[1], shape[2]).T
        self._noise = np.full((len(self._rows), self._columns.shape[1]), FIRST_NOISE, np.float32)
        self._usual = 1 / USUALS
        self._background = None


def _weights(size: int, channels: int) -> np.ndarray:
    """The weights of pixels in the means of cells, float32 (cells, size * channels); each row adds up to 1."""
    edges = np.linspace(0, size, min(CELLS, size) + 1)
    places = np.arange(size)
    inside = np.minimum(places + 1, edges[1:, None]) - np.maximum(places, edges[:-1, None])
    weights = inside.clip(0, 1) / (edges[1] * channels)
    return np.repeat(weights, channels, axis=1).astype(np.float32)


def _steps(rate: float) -> tuple[float, float]:
    """Factors up and down that hold a quantity at the quantile SHARE of what it is compared with."""
    return math.exp(rate * SHARE), math.exp(-rate * (1 - SHARE))


def _without_light(change: np.ndarray, background: np.ndarray) -> np.ndarray:
    """The change of cells without what a change of light, or of exposure, explains: a gain and an offset.

    Cells that change much more than most others are left out of the fit, since they may move.
    """
    shade = background - background.mean()
    for _ in range(2):  # the first fit tells which cells are left out of the second
        size = np.abs(change)
        most = size < 3 * _median(size) + 0.5
        shades = shade * most
        contrast = np.vdot(shades, shade) + LEAST_CONTRAST * np.count_nonzero(most)
        change = change - shade * (np.vdot(shades, change) / contrast)
    return change - _median(change)


def _median(values: np.ndarray) -> np.float32:
    """The upper median, in a fifth of the time that np.median takes."""
    middle = values.size // 2
    return np.partition(values, middle, axis=None)[middle]


def _largest(values: np.ndarray) -> float:
    """The largest value that two neighbouring cells reach, or that one cell reaches twice."""
    down, right = np.minimum(values[1:], values[:-1]), np.minimum(values[:, 1:], values[:, :-1])
    return float(max(down.max(initial=0), right.max(initial=0), values.max() / 2))
