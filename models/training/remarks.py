"""What is wrong with a test, and how sure its figure is."""

from __future__ import annotations

from collections.abc import Mapping
from math import sqrt
from typing import Any

FEW = 20
"""Clips of a test; with fewer the figure says little."""


def wilson(right: int, total: int) -> tuple[float, float]:
    """The 95 % confidence interval of a share (Wilson, 1927)."""
    z = 1.959964
    share = right / total
    middle = share + z**2 / (2 * total)
    half = z * sqrt(share * (1 - share) / total + z**2 / (4 * total**2))
    scale = 1 + z**2 / total
    return max(0.0, (middle - half) / scale), min(1.0, (middle + half) / scale)


def describe(right: int, total: int) -> str:
    """A count of right answers, and what it says of new clips."""
    low, high = wilson(right, total)
    return (
        f"{right} of {total} are right; of new clips like these, between {100 * low:.0f} and {100 * high:.0f} % "
        "(95 % confidence)"
    )


def sureness(figures: Mapping[str, Any]) -> dict[str, Any]:
    """How many clips of a test are right, and the 95 % confidence interval of that; {} for clips of several labels."""
    if "top1" not in figures:
        return {}
    total = figures["videos"]
    right = round(figures["top1"] * total)
    return {"right": right, "tested": total, "between": wilson(right, total)}


def remarks_on(figures: Mapping[str, Any], *, num_shared: int = 0) -> list[str]:
    """What is wrong with a test, and what to do about it, in lines.

    figures     of `Tested`; nothing is said of answers where clips have several labels
    num_shared  clips of the test whose recordings were learnt from
    """
    lines = []
    total = figures["videos"]
    if "answers" in figures:
        answers, truth = figures["answers"], figures["per_class"]
        if never := [label for label in truth if label not in answers]:
            if len(answers) == 1 < len(truth):
                lines.append(
                    f"all {total} clips get one answer, {next(iter(answers))}: nothing else was learnt; look whether "
                    "the clips show the action from begin to end, and give more of each label"
                )
            else:
                lines.append(
                    f"never answered: {', '.join(never)}; give more clips of these labels, of other recordings"
                )
    if total < FEW:
        lines.append(f"{total} clips are few for a test; expected {FEW} or more; give more clips, of other recordings")
    if num_shared:
        lines.append(
            f"{num_shared} of {total} clips of the test are of recordings that were learnt from, so new recordings "
            "will do worse; test on clips of other days, people or cameras"
        )
    return lines
