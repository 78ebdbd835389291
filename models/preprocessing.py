"""Preprocessing: from pictures of any size to the input of a network, the same in training and live.

The step between, which makes snippets of pixels, differences or flow from the pictures, is in models.modality.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Annotated, Literal, NamedTuple

import numpy as np
from PIL import Image
from pydantic import Field, Strict

from actionstream.models.common.checked import checked
from actionstream.models.common.choices import FlowMethod, ModalityName
from actionstream.models.common.errors import ActionstreamError

if TYPE_CHECKING:
    import torch
    from torch import Tensor


Side = Annotated[int, Field(ge=1, le=4096)]
"""A side of a picture, in pixels."""
MOST_STACKED = 256
"""The most pictures, differences or flows in a snippet; feature maps may have more channels."""
MOST_VALUES = 2**26
"""The most values of a snippet; a picture with the largest sides has 50 million."""
HALVED_FROM = 4
LONGEST = 8  # `scale` cuts a picture to this many times its short side: more would take gigabytes


class Box(NamedTuple):
    """A part of a picture, in pixels from its left upper corner."""

    left: float
    top: float
    right: float
    bottom: float


class Resizable(ABC):
    """A picture that makes arrays of itself when they are asked for."""

    height: int
    width: int

    @abstractmethod
    def image(self) -> np.ndarray:
        """RGB uint8 (height, width, 3)."""

    @abstractmethod
    def resized(self, wanted: Preprocessing) -> np.ndarray:
        """What `wanted.resize` makes of the image, to a grey level or so."""


@checked
class Preprocessing:
    """How frames become the input of a network. It is stored in the checkpoint, because the weights depend on it.

    height, width  pixels that go into the network
    short_side     None: the whole picture is squeezed into height x width. Else its short side is scaled
                   to this many pixels and the centre is cut out.
    mean, std      in pixel values 0..255, a value for each channel, of a picture or of the whole snippet, or one for
                   all; x becomes (x - mean) / std
    order          channel order of the network's input, of mean and of std; pictures are always "rgb", and "bgr"
                   reverses their channels
    modality       what a snippet is: "rgb", a picture; "rgb-difference", differences between successive pictures;
                   "flow", optical flow; "warped-flow", optical flow without the camera motion; "features", feature
                   maps of another network
    stack          pictures, differences or flows in a snippet (5 in the TSN paper), or channels of the features
    flow_method    "dis", or "tvl1" as in the TSN paper, which needs opencv-contrib-python and takes much longer
    """

    height: Side
    width: Side
    short_side: Side | None = None
    mean: Annotated[tuple[Annotated[float, Field(ge=-1e6, le=1e6)], ...], Strict(False)] = (123.675, 116.28, 103.53)
    std: Annotated[tuple[Annotated[float, Field(ge=1e-6, le=1e6)], ...], Strict(False)] = (58.395, 57.12, 57.375)
    order: Literal["rgb", "bgr"] = "rgb"
    modality: ModalityName = "rgb"
    stack: Annotated[int, Field(ge=1, le=65_536)] = 1
    flow_method: FlowMethod = "dis"

    def __post_init__(self) -> None:
        if self.short_side is not None and self.short_side < max(self.height, self.width):
            raise ActionstreamError(
                f"short_side {self.short_side} is less than the {self.height} x {self.width} to cut out"
            )
        most = self.stack if self.modality == "features" else MOST_STACKED
        if self.stack > most:
            raise ActionstreamError(f"stack is {self.stack}; expected {most} at most for {self.modality}")
        if self.height * self.width * self.channels > MOST_VALUES:
            raise ActionstreamError(
                f"a snippet is {self.height} x {self.width} pixels of {self.channels} channels; expected "
                f"{MOST_VALUES:,} values at most"
            )
        if self.is_flow and self.order == "bgr":
            raise ActionstreamError('flow has no colours to turn round; its order is "rgb"')
        for name, values in (("mean", self.mean), ("std", self.std)):
            if len(values) not in (1, self.in_channels // self.stack, self.in_channels):
                raise ActionstreamError(
                    f"{name} has {len(values)} values; it has 1, or one for each of {self.in_channels}"
                )

    @classmethod
    def of_features(cls, channels: int, height: int, width: int) -> Preprocessing:
        """The preprocessing for feature maps of another network, which are not changed."""
        return cls(height=height, width=width, mean=(0.0,), std=(1.0,), modality="features", stack=channels)

    @property
    def is_flow(self) -> bool:
        """Whether snippets are optical flow."""
        return self.modality in ("flow", "warped-flow")

    @property
    def in_channels(self) -> int:
        """Channels that go into the network."""
        return self.stack * {"rgb": 3, "rgb-difference": 3, "features": 1}.get(self.modality, 2)

    @property
    def channels(self) -> int:
        """Channels of a snippet in bytes; for differences these are the pictures, which `normalise` subtracts."""
        return self.in_channels + 3 * (self.modality == "rgb-difference")

    @property
    def num_pictures(self) -> int:
        """Pictures that a snippet is made of."""
        return {"rgb": self.stack, "features": 1}.get(self.modality, self.stack + 1)

    def box(self, rows: int, columns: int) -> Box:
        """The part of a picture of this size that is resized."""
        if self.short_side is None:
            return Box(0.0, 0.0, float(columns), float(rows))
        # multiply whole numbers before the division: a quotient that is rounded up would lie outside the picture
        wide, high = (side * min(rows, columns) / self.short_side for side in (self.width, self.height))
        left, top = (columns - wide) / 2, (rows - high) / 2
        return Box(left, top, left + wide, top + high)

    def resize(self, image: np.ndarray | Resizable) -> np.ndarray:
        """An RGB picture, uint8 (h, w, 3), to uint8 (height, width, 3); bilinear with anti-aliasing.

        A picture of HALVED_FROM times the size or more is halved first, as long as both sides are even: means of 2 x 2
        pixels take a tenth of the time, and change the result by some tenths of a grey level.

        A feature map (height, width, channels) stays as it is; a picture that is decoded makes the result itself.
        """
        if isinstance(image, Resizable):
            return image.resized(self)
        if self.modality == "features":
            return self._checked_map(image)
        image = self._halved(image)
        rows, columns = image.shape[:2]
        box = self.box(rows, columns)
        if (rows, columns) == (self.height, self.width) and box == (0.0, 0.0, columns, rows):
            return image
        picture = Image.fromarray(image).resize((self.width, self.height), Image.Resampling.BILINEAR, box=box)
        return np.array(picture)

    def scale(self, image: np.ndarray | Resizable) -> np.ndarray:
        """Resize an RGB picture, uint8 (h, w, 3), to the scale of `resize`, but without the crop.

        `crop` of the result is the region of `resize`, to half a pixel. A picture longer than LONGEST times its short
        side is cut to its middle.
        """
        if isinstance(image, Resizable):
            image = image.image()
        if self.modality == "features":
            return self._checked_map(image)
        image = self._halved(image)
        size = self.width, self.height
        if self.short_side is not None:
            image = _middle(image, LONGEST * min(image.shape[:2]))
            rows, columns = image.shape[:2]
            ratio = self.short_side / min(rows, columns)
            size = round(columns * ratio), round(rows * ratio)
        return np.array(Image.fromarray(image).resize(size, Image.Resampling.BILINEAR))

    def crop(self, values: np.ndarray) -> np.ndarray:
        """The centre crop of a scaled picture, or of its flow: (h, w, ...) to (height, width, ...)."""
        top, left = (values.shape[0] - self.height) // 2, (values.shape[1] - self.width) // 2
        return values[top : top + self.height, left : left + self.width]

    def _halved(self, image: np.ndarray) -> np.ndarray:
        """The picture, halved until a side is odd or less than HALVED_FROM times the wanted size."""
        check_image(image)
        height, width = (self.height, self.width) if self.short_side is None else (self.short_side, self.short_side)
        while image.shape[0] % 2 == image.shape[1] % 2 == 0 and (
            min(image.shape[0] / height, image.shape[1] / width) >= HALVED_FROM
        ):
            image = halve(image)
        return image

    def _checked_map(self, values: np.ndarray) -> np.ndarray:
        wanted = self.height, self.width, self.stack
        if values.shape != wanted or not np.issubdtype(values.dtype, np.floating):
            raise ActionstreamError(
                f"a feature map is float {wanted}, height, width and channels; this is {values.dtype} {values.shape}"
            )
        return values

    def mean_and_std(self, device: torch.device) -> tuple[Tensor, Tensor]:
        """Mean and std as tensors (channels or 1, 1, 1)."""
        import torch

        def over_channels(values: tuple[float, ...]) -> Tensor:
            times = 1 if len(values) == 1 else self.in_channels // len(values)
            return torch.tensor(values * times, device=device)[:, None, None]

        return over_channels(self.mean), over_channels(self.std)

    def normalise(self, snippets: Tensor, known: tuple[Tensor, Tensor] | None = None) -> Tensor:
        """uint8 (..., height, width, channels) to float32 (..., in_channels, height, width), in channels_last format.

        Features have the same layout, and are float already.

        known  an earlier result of `mean_and_std`: a CUDA graph cannot copy it from the host while it is captured
        """
        mean, std = known or self.mean_and_std(snippets.device)
        if self.order == "bgr":
            snippets = snippets.unflatten(-1, (-1, 3)).flip(-1).flatten(-2)
        values = snippets.float()
        if self.modality == "rgb-difference":
            values = values[..., 3:] - values[..., :-3]
        return (values.movedim(-1, -3) - mean) / std


def _middle(image: np.ndarray, longest: int) -> np.ndarray:
    """The middle of a picture: sides that are longer than `longest` are cut to it."""
    top, left = (max(0, (side - longest) // 2) for side in image.shape[:2])
    return image[top : top + longest, left : left + longest]


def halve(image: np.ndarray) -> np.ndarray:
    """Means of 2 x 2 pixels of a picture with even sides, rounded: uint8 (2 h, 2 w, 3) to (h, w, 3)."""
    try:
        import cv2
    except ImportError:  # Pillow gives the same result, five times slower
        return np.array(Image.fromarray(image).reduce(2))
    return cv2.resize(image, (image.shape[1] // 2, image.shape[0] // 2), interpolation=cv2.INTER_AREA)


def check_image(image: np.ndarray) -> None:
    """Raise ValueError unless `image` is an RGB picture, uint8 (h, w, 3) with pixels in it."""
    if not isinstance(image, np.ndarray) or image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        given = f"{image.dtype} {image.shape}" if isinstance(image, np.ndarray) else type(image).__name__
        raise ActionstreamError(f"an image is an RGB array, uint8 (height, width, 3); this is {given}")
    if 0 in image.shape:
        raise ActionstreamError(f"an image of {image.shape[1]} x {image.shape[0]} pixels has nothing in it")
