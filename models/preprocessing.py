"""From a picture of any size to what a network takes: one definition for training and live."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class Preprocessing:
    """How a checkpoint wants its frames. Part of its meaning, so it is stored with it.

    height, width  pixels that go into the network
    short_side     None: the whole picture is squeezed into height x width. Else its short side is scaled
                   to this many pixels and the centre is cut out.
    mean, std      in pixel values 0..255, a value for each channel or one for all; x becomes (x - mean) / std
    order          of the channels that go into the network, and of mean and std: pictures are always "rgb"; "bgr" turns
                   them round
    """

    height: int
    width: int
    short_side: int | None = None
    mean: tuple[float, ...] = (123.675, 116.28, 103.53)
    std: tuple[float, ...] = (58.395, 57.12, 57.375)
    order: str = "rgb"

    def __post_init__(self) -> None:
        if min(self.height, self.width) < 1:
            raise ValueError(f"the network's input is {self.height} x {self.width} pixels; both must be positive")
        if self.short_side is not None and self.short_side < max(self.height, self.width):
            raise ValueError(f"short_side {self.short_side} is less than the {self.height} x {self.width} to cut out")
        if self.order not in ("rgb", "bgr"):
            raise ValueError(f'order is {self.order!r}; it is "rgb" or "bgr"')
        object.__setattr__(self, "mean", tuple(self.mean))
        object.__setattr__(self, "std", tuple(self.std))

    def resize(self, image: np.ndarray) -> np.ndarray:
        """An RGB picture, uint8 (h, w, 3), to uint8 (height, width, 3); bilinear with anti-aliasing."""
        check_image(image)
        rows, columns = image.shape[:2]
        if self.short_side is None:
            box = (0.0, 0.0, float(columns), float(rows))
        else:
            scale = min(rows, columns) / self.short_side
            wide, high = self.width * scale, self.height * scale
            left, top = (columns - wide) / 2, (rows - high) / 2
            box = (left, top, left + wide, top + high)
        if (rows, columns) == (self.height, self.width) and box == (0.0, 0.0, columns, rows):
            return image
        picture = Image.fromarray(image).resize((self.width, self.height), Image.Resampling.BILINEAR, box=box)
        return np.array(picture)

    def normalise(self, snippets: Tensor) -> Tensor:
        """uint8 (..., height, width, C) to float32 (..., C, height, width), channels last in memory."""
        import torch

        mean = torch.tensor(self.mean, device=snippets.device)
        std = torch.tensor(self.std, device=snippets.device)
        if self.order == "bgr":
            snippets = snippets.flip(-1)
        return ((snippets.float() - mean) / std).movedim(-1, -3)


def check_image(image: np.ndarray) -> None:
    """Raise ValueError unless `image` is an RGB picture, uint8 (h, w, 3) with pixels in it."""
    if not isinstance(image, np.ndarray) or image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        given = f"{image.dtype} {image.shape}" if isinstance(image, np.ndarray) else type(image).__name__
        raise ValueError(f"an image is an RGB array, uint8 (height, width, 3); this is {given}")
    if 0 in image.shape:
        raise ValueError(f"an image of {image.shape[1]} x {image.shape[0]} pixels has nothing in it")
