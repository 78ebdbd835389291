"""Thresholds of events as options: a number for all labels, and LABEL=NUMBER for one of them."""

from __future__ import annotations

from collections.abc import Sequence

from actionstream.models.common.errors import ActionstreamError

OTHERS = "*"
"""The key of all labels without a threshold of their own, as in `actionstream.scoring.events.Threshold`."""
START = 0.6


def read_thresholds(start: Sequence[str], end: Sequence[str]) -> tuple[dict[str, float], dict[str, float]]:
    """The start and end thresholds of --threshold and --end-threshold, by label, with "*" for the others.

    Where no end threshold is given for a label or for all, it is half of the start threshold.
    """
    starts = {OTHERS: START} | _read("--threshold", start)
    ends = _read("--end-threshold", end)
    if OTHERS not in ends:
        ends = {label: number / 2 for label, number in starts.items()} | ends
    return starts, ends


def _read(option: str, values: Sequence[str]) -> dict[str, float]:
    thresholds: dict[str, float] = {}
    for value in values:
        label, divider, text = value.rpartition("=")
        name = label if divider else OTHERS
        if not _is_threshold(text):
            raise ActionstreamError(
                f"{option} is {value!r}; expected a number from 0 to 1, or LABEL=NUMBER such as waving=0.8"
            )
        if name in thresholds:
            of = f"the label {label!r}" if divider else "all labels"
            raise ActionstreamError(f"{option} has two numbers for {of}; give one")
        thresholds[name] = float(text)
    return thresholds


def _is_threshold(text: str) -> bool:
    try:
        return 0 <= float(text) <= 1
    except ValueError:
        return False
