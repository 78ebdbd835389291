"""Which frames the model sees."""

from __future__ import annotations

from dataclasses import dataclass


def gap_after(interval_seconds: float) -> float:
    """The pause in a stream, in seconds, after which its state is of no use, where nobody says otherwise."""
    if not interval_seconds > 0:
        raise ValueError(f"interval_seconds is {interval_seconds}; it must be positive")
    return max(8 * interval_seconds, 0.5)


@dataclass(frozen=True, slots=True)
class Decision:
    """What the sampler says of a frame: whether the model wants it, and why the state must be emptied first."""

    sampled: bool
    reset: str | None = None


@dataclass
class Sampler:
    """Picks frames by time, so that a source of any rate gives the network the rhythm it was trained with.

    Ticks lie `interval_seconds` apart from the first frame on; of the frames around a tick the nearest is
    picked, judged by the last distance between frames, so that nothing has to be waited for. A source that
    is slower than the ticks has all of its frames picked and none twice.

    The state of the stream has to be emptied, and the ticks begin anew, at
      "start"      the first frame, and the first one after a `reset`,
      "gap"        a frame more than `gap_seconds` after the one before (default: 8 intervals, 0.5 s at least), or
                   one that says of itself that it comes after a gap,
      "jump back"  a frame that is not later than the one before,
      "new size"   a picture of another height or width.
    """

    interval_seconds: float
    gap_seconds: float | None = None

    def __post_init__(self) -> None:
        usual = gap_after(self.interval_seconds)
        if self.gap_seconds is None:
            self.gap_seconds = usual
        self._tick = 0.0  # the next one
        self._last: float | None = None
        self._size: tuple[int, int] | None = None

    def push(self, time_seconds: float, size: tuple[int, int], *, after_gap: bool = False) -> Decision:
        """Decide on the next frame of the source: its time, and its (height, width)."""
        last = self._last  # read once: another thread may `reset`
        reset = self._why_reset(last, time_seconds, size, after_gap)
        spacing = 0.0 if reset or last is None else time_seconds - last
        if reset:
            self._tick = time_seconds
        self._last, self._size = time_seconds, size
        # Later frames come about `spacing` apart: this one is the nearest to a tick less than half of it away.
        reach = time_seconds + min(spacing, self.interval_seconds) / 2
        if self._tick > reach + 1e-9 * (1 + abs(time_seconds)):
            return Decision(False, reset)
        behind = int((reach - self._tick) / self.interval_seconds + 1e-6)
        self._tick += (behind + 1) * self.interval_seconds
        return Decision(True, reset)

    def _why_reset(self, last: float | None, time_seconds: float, size: tuple[int, int], after_gap: bool) -> str | None:
        assert self.gap_seconds is not None
        if last is None:
            return "start"
        if after_gap or time_seconds - last > self.gap_seconds:
            return "gap"
        if time_seconds <= last:
            return "jump back"
        if size != self._size:
            return "new size"
        return None

    def reset(self) -> None:
        """Forget all frames: the next one begins anew."""
        self._last = None
