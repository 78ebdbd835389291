"""The names that data sets give to their sides."""

from __future__ import annotations

import re
from typing import Literal

Side = Literal["training", "validation", "test"]
SIDES: dict[Side, tuple[str, ...]] = {
    "training": ("train", "training", "trainset"),
    "validation": ("val", "valid", "validation", "validate", "valset", "dev", "eval", "evaluation"),
    "test": ("test", "testing", "tests", "testset"),
}
"""Names of the sides of data sets, in folders and in annotations; capitals, spaces and dashes do not matter."""


def side_of(name: str) -> Side | None:
    """The side that a name means."""
    letters = re.sub(r"[\W_]", "", name.lower())
    return next((side for side, names in SIDES.items() if letters in names), None)
