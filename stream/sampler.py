"""The sampler: it picks the frames that the model sees."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median

from actionstream.models.common.errors import ActionstreamError

SLOW = 1.6
"""A source is too slow for a model when its frames are further apart than this many intervals of the model."""
STRETCH_SECONDS = 15.0
"""The time over which it is counted how many sampled frames get a label."""
PACE_FRAMES = 15
"""The number of distances between frames from which the pace of a source is computed."""
SIZE_PIXELS, SIZE_SHARE = 4, 0.02
"""A side of a picture is the same if it differs by no more than the larger of the two limits."""


def gap_after(interval_seconds: float) -> float:
    """The default pause in a stream, in seconds, after which its state is of no use."""
    if not interval_seconds > 0:
        raise ActionstreamError(f"interval_seconds is {interval_seconds}; it must be positive")
    return max(8 * interval_seconds, 0.5)


@dataclass(frozen=True, slots=True)
class Decision:
    """The sampler's decision on a frame: whether the model sees it, and why the state must be emptied first."""

    sampled: bool
    reset: str | None = None


@dataclass
class Sampler:
    """Picks frames by time, so that a source of any rate gives the network the rhythm it was trained with.

    Ticks lie `interval_seconds` apart from the first frame on. The frame nearest to a tick is picked. The last
    distance between frames serves as an estimate of the next one, so that the sampler need not wait for it. A
    source that is slower than the ticks has each of its frames picked once.

    The state of the stream has to be emptied, and the ticks start again, at
      "start"      the first frame,
      "gap"        a frame more than `gap_seconds` after the one before (default: 8 intervals, 0.5 s at least), or
                   a frame with `after_gap`,
      "jump back"  a frame that is not later than the one before,
      "new size"   a picture whose height or width differs from the first one since the last reset by more than
                   SIZE_PIXELS and more than SIZE_SHARE: a tracker's cut-outs and scans differ by a few pixels.
    """

    interval_seconds: float
    gap_seconds: float | None = None

    def __post_init__(self) -> None:
        usual = gap_after(self.interval_seconds)
        if self.gap_seconds is None:
            self.gap_seconds = usual
        self._tick = 0.0  # time of the next tick
        self._last: float | None = None
        self._size: tuple[int, int] = (0, 0)  # at the last reset

    def push(self, time_seconds: float, size: tuple[int, int], *, after_gap: bool = False) -> Decision:
        """Decide on the next frame of the source: its time, and its (height, width)."""
        reset = self._why_reset(time_seconds, size, after_gap)
        spacing = 0.0 if reset or self._last is None else time_seconds - self._last
        if reset:
            self._tick, self._size = time_seconds, size
        self._last = time_seconds
        # Later frames come about `spacing` apart: this one is the nearest to a tick less than half of it away.
        reach = time_seconds + min(spacing, self.interval_seconds) / 2
        if self._tick > reach + 1e-9 * (1 + abs(time_seconds)):
            return Decision(False, reset)
        behind = int((reach - self._tick) / self.interval_seconds + 1e-6)
        self._tick += (behind + 1) * self.interval_seconds
        return Decision(True, reset)

    def _why_reset(self, time_seconds: float, size: tuple[int, int], after_gap: bool) -> str | None:
        assert self.gap_seconds is not None
        last = self._last
        if last is None:
            return "start"
        if after_gap or time_seconds - last > self.gap_seconds:
            return "gap"
        if time_seconds <= last:
            return "jump back"
        if any(abs(a - b) > max(SIZE_PIXELS, SIZE_SHARE * b) for a, b in zip(size, self._size, strict=True)):
            return "new size"
        return None


class Pace:
    """Checks that a source has enough frames a second for a model.

    It takes the median distance between frames, so that a gap or a slow start does not matter. `push` and `flush`
    return a warning for the user, once.

    name              of the source
    interval_seconds  between two frames of the model
    """

    def __init__(self, name: str, interval_seconds: float):
        self._name = name
        self._interval_seconds = interval_seconds
        self._last: float | None = None
        self._distances: list[float] = []
        self._known = False

    def push(self, time_seconds: float) -> str | None:
        """The next frame of the source."""
        if self._known:
            return None
        if self._last is not None:
            self._distances.append(time_seconds - self._last)
        self._last = time_seconds
        return self.flush() if len(self._distances) == PACE_FRAMES else None

    def flush(self) -> str | None:
        """The source has ended."""
        if self._known or len(self._distances) < 2:
            return None
        self._known = True
        seconds = median(self._distances)
        if seconds <= SLOW * self._interval_seconds:
            return None
        rate = f"{1 / seconds:.1f}".removesuffix(".0")
        return (
            f"{self._name} has {rate} frame{'s' * (rate != '1')} a second; the model was trained on "
            f"{1 / self._interval_seconds:.0f}: labels may be wrong; use a faster source"
        )


class Shortfall:
    """Checks that a model is fast enough for a live source. `push` returns a warning for the user, once.

    The first STRETCH_SECONDS do not count: a model is slow until it is exported.

    name  of the source
    """

    def __init__(self, name: str):
        self._name = name
        self._begin: tuple[float, int, int] | None = None
        self._is_first = True
        self._known = False

    def push(self, time_seconds: float, sampled: int, replaced: int) -> str | None:
        """The next frame; the numbers of frames that were sampled so far, and of those that newer ones replaced."""
        if self._known:
            return None
        if self._begin is None:
            self._begin = time_seconds, sampled, replaced
        begin, sampled_before, replaced_before = self._begin
        if time_seconds - begin < STRETCH_SECONDS:
            return None
        wanted, lost = sampled - sampled_before, replaced - replaced_before
        is_first, self._is_first = self._is_first, False
        self._begin = time_seconds, sampled, replaced
        if is_first or not wanted or lost < wanted / 2:
            return None
        self._known = True
        return (
            f"{self._name}: the model is too slow for this machine: {wanted - lost} of {wanted} sampled frames were "
            f"labelled in {time_seconds - begin:.0f} s; take another model, the precision auto, or fewer sources"
        )
