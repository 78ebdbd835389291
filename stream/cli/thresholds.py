"""Thresholds of events as options: a number for all labels, and LABEL=NUMBER for one of them."""

from __future__ import annotations

from collections.abc import Sequence

from actionstream.choices import OTHERS
from actionstream.models.common.errors import ActionstreamError


def read_thresholds(option: str, values: Sequence[str]) -> dict[str, float]:
    """The thresholds of an option by label, with "*" for all others."""
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
