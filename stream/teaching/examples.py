"""Examples of a taught model: the features of clips, with their labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from actionstream.models.common.errors import ActionstreamError
from actionstream.models.labels import NOTHING


@dataclass(frozen=True, eq=False)
class Example:
    """A clip of one label, as the backbones see it.

    label      of the action, or NOTHING
    name       of the clip, for messages
    features   float16 (V, n, F): n snippets, as seen, and mirrored where V is 2
    recording  name of the recording, whose examples are left out together; "": this clip is all of it
    """

    label: str
    name: str
    features: np.ndarray
    recording: str = ""

    def __post_init__(self) -> None:
        check_label(self.label)
        if self.features.ndim != 3 or not self.features.size:
            raise ActionstreamError(f"{self.name} has no snippet; expected a clip of a second or more")

    @property
    def num_snippets(self) -> int:
        return self.features.shape[1]

    def windows(self, length: int) -> list[np.ndarray]:
        """Stretches (length, F) of the example as seen, half of `length` apart; all of it where it is not longer."""
        rows = self.features[0]
        last = max(len(rows) - length, 0)
        begins = np.linspace(0, last, 1 + int(np.ceil(last / max(length / 2, 1)))).round().astype(int)
        return [rows[begin : begin + length] for begin in begins]


def check_label(label: str) -> None:
    visible = label.replace("\u200d", "")  # it joins emoji, and Python does not count it as printable
    if not visible.strip() or len(label) > 200 or not visible.isprintable():
        raise ActionstreamError(f"the label {label[:40]!r} is no name; expected 1 to 200 printable characters")


def labels_of(examples: Sequence[Example]) -> tuple[str, ...]:
    """The labels of a taught model: NOTHING, then those of the examples in the order in which they came."""
    return tuple(dict.fromkeys([NOTHING, *(example.label for example in examples)]))


def names_a_side(labels: Sequence[str]) -> bool:
    """Whether a label says left or right, so that a mirrored example would be one of another label."""
    words = {word for label in labels for word in label.lower().replace("_", " ").replace("-", " ").split()}
    return bool(words & {"left", "right", "leftwards", "rightwards", "clockwise", "anticlockwise", "counterclockwise"})
