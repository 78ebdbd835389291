"""Augmentation: the same random choice for all frames of a clip; torchvision's transforms where they exist."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import field
from itertools import product
from typing import Annotated, Any, Literal

import torch
from pydantic import Field, Strict
from torch import Tensor
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional

from actionstream.models.common.checked import Share, ShortText, checked

Crop = Literal["corners", "random-resized", "random", "centre"]
Scales = Annotated[tuple[Annotated[float, Field(gt=0, le=1)], ...], Field(min_length=1, max_length=100), Strict(False)]


@checked
class Augmentation:
    """What happens to the pictures of a clip before a network learns from it.

    crop       "corners": a corner or the centre, of a width and height drawn from `scales` (TSN, arXiv:1608.00859,
               section 3.3); "random-resized": any part of the picture, as for Inception; "random": any place, after
               scaling so that the input size is one of `scales` times the short side; "centre": as in testing.
               Scaling does not change the values of flow, as in the TSN code.
    scales     shares of the short side
    flip       left to right, half of the time
    opposites  pairs of labels that a flip swaps, as left and right; clips of a label paired with itself are not flipped
    colours    how much brightness, contrast and saturation change; hue changes by a fifth of it; flow does not change
    """

    crop: Crop = "corners"
    scales: Scales = (1, 0.875, 0.75, 0.66)
    flip: bool = True
    opposites: dict[ShortText, ShortText] = field(default_factory=dict)
    colours: Share = 0.0

    def __call__(
        self, clip: Tensor, labels: Sequence[str], size: tuple[int, int], *, is_flow: bool = False
    ) -> tuple[Tensor, list[str]]:
        """Augment a clip, uint8 (T, C, h, w) to (T, C, height, width), and its labels, by torch's random numbers.

        C is 3 for each picture of a snippet, or 2 (x and y) for each flow.
        """
        if self.crop == "random-resized":
            clip = v2.RandomResizedCrop(size, antialias=True)(clip)
        elif self.crop == "corners":
            clip = functional.resize(_corner(clip, self.scales), list(size), antialias=True)
        elif self.crop == "random":
            clip = v2.RandomCrop(size)(_scaled(clip, self.scales, size))
        else:
            top, left = ((have - want) // 2 for have, want in zip(clip.shape[-2:], size, strict=True))
            clip = functional.crop(clip, top, left, *size)
        if self.flip and not any(self.opposites.get(label) == label for label in labels) and _chance(0.5):
            clip = functional.horizontal_flip(clip)
            if is_flow:
                clip[:, ::2] = 255 - clip[:, ::2]  # what went to the right goes to the left
            labels = [self._turned(label) for label in labels]
        if self.colours and not is_flow:
            much = self.colours
            pictures = v2.ColorJitter(much, much, much, much / 5)(clip.unflatten(1, (-1, 3)))
            clip = pictures.flatten(1, 2)
        return clip, list(labels)

    def _turned(self, label: str) -> str:
        both = {**{other: one for one, other in self.opposites.items()}, **self.opposites}
        return both.get(label, label)


SIDES = re.compile(r"(?<![a-z])(left|right)(?![a-z])")
TURNS = re.compile(r"(?:anti|counter)-?clockwise")
OTHER_WAY = ("anti", "counter", "anti-", "counter-")


def find_opposites(labels: Sequence[str]) -> dict[str, str]:
    """The `opposites` by the words in labels: left and right, clockwise and anti- or counterclockwise.

    A label with such a word but without its opposite in `labels` is paired with itself: its clips must not be flipped.
    """
    words = {re.sub(r"(?<=[a-z])(?=[A-Z])", "_", label).lower(): label for label in labels}
    opposites = {}
    for text, label in words.items():
        turned = SIDES.sub(lambda side: "left" if side[0] == "right" else "right", text)
        others = [turned]
        if TURNS.search(turned):
            others = [TURNS.sub("clockwise", turned)]
        elif "clockwise" in turned:
            others = [turned.replace("clockwise", f"{how}clockwise") for how in OTHER_WAY]
        if others != [text]:
            opposites[label] = next((words[other] for other in others if other in words), label)
    return opposites


def _chance(probability: float) -> bool:
    return bool(torch.rand(()) < probability)


def _one_of(values: Sequence[Any]) -> Any:
    return values[int(torch.randint(len(values), ()))]


def _corner(clip: Tensor, scales: Sequence[float]) -> Tensor:
    """A crop at a corner or in the centre; width and height differ by one scale at most, as in the TSN code."""
    rows, columns = clip.shape[-2:]
    short = min(rows, columns)
    pairs = [(a, b) for (m, a), (n, b) in product(enumerate(scales), repeat=2) if abs(m - n) <= 1]
    high, wide = (round(short * scale) for scale in _one_of(pairs))
    corners = [(0, 0), (0, columns - wide), (rows - high, 0), (rows - high, columns - wide)]
    top, left = _one_of([*corners, ((rows - high) // 2, (columns - wide) // 2)])
    return functional.crop(clip, top, left, high, wide)


def _scaled(clip: Tensor, scales: Sequence[float], size: tuple[int, int]) -> Tensor:
    """The clip scaled so that `size` is one of `scales` times its short side."""
    short = max(round(max(size) / _one_of(scales)), *size)
    return functional.resize(clip, [short], antialias=True)
