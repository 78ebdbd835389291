"""Frozen backbones: the features of each snippet, for networks that learn a small layer over them.

Letters: B streams, T snippets, S pictures of a snippet, F features.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import Annotated, Any, Literal, Self, cast

import torch
from pydantic import Field, Strict
from torch import Tensor, nn
from torch.nn import functional

from actionstream.kernels import Leaf
from actionstream.models.catalogue import create
from actionstream.models.common.checked import Plain, ShortText, checked
from actionstream.models.common.errors import ActionstreamError
from actionstream.models.network import Network, State
from actionstream.models.preprocessing import Side

Small = Annotated[int, Field(ge=1, le=64)]
Stage = Annotated[int, Field(ge=0, le=64)]
MOST_RAW = 2**20
"""The most features before hashing; the packaged backbones have 5,440."""


@checked
class Backbone:
    """How a network uses a frozen backbone.

    network, arguments  for `create`
    size                height and width of its frames
    mean, std, order    see Preprocessing
    pictures            how many pictures of a snippet it sees, evenly spaced; the last is always one of them
    maps                (stage, grid) of each feature map that is read: the stage counts from 0 (`Network.maps`), and
                        the map becomes the means of grid x grid cells
    """

    network: ShortText
    arguments: Plain
    size: Side
    mean: Annotated[tuple[Annotated[float, Field(ge=-1e6, le=1e6)], ...], Strict(False)]
    std: Annotated[tuple[Annotated[float, Field(ge=1e-6, le=1e6)], ...], Strict(False)]
    maps: Annotated[
        tuple[Annotated[tuple[Stage, Small], Strict(False)], ...], Strict(False), Field(min_length=1, max_length=64)
    ]
    order: Literal["rgb", "bgr"] = "rgb"
    pictures: Small = 1

    def __post_init__(self) -> None:
        if len(self.mean) not in (1, 3) or len(self.std) not in (1, 3):
            raise ActionstreamError(f"mean is {self.mean} and std {self.std}; expected 1 or 3 values of each")


class FrozenBackbones(Network):
    """The base of networks over frozen backbones: features (B, T, F) of each snippet, and the state of the backbones.

    backbones     what `Backbone` takes, one mapping each; the features of all are concatenated
    num_features  to which they are hashed (F), by feature hashing (Weinberger et al., ICML 2009)
    in_channels   3 for each picture of a snippet

    The backbones are always in eval mode, and without gradients. A derived class has a memory: `remember` looks at the
    features over time. Its leaves come after those of the backbones.
    """

    def __init__(self, *, backbones: Sequence[dict[str, Any]], num_features: int, num_classes: int, in_channels: int):
        super().__init__(num_classes=num_classes, in_channels=in_channels, shift="none", n_div=8, shift_padding="zero")
        num_pictures = in_channels // 3
        self.uses = [Backbone(**backbone) for backbone in backbones]
        if not 1 <= len(self.uses) <= 16:
            raise ActionstreamError(f"the network has {len(self.uses)} backbones; expected 1 to 16")
        if in_channels % 3 or any(num_pictures % use.pictures for use in self.uses):
            raise ActionstreamError(
                f"a snippet of {in_channels} channels does not divide into pictures for each backbone: "
                f"{', '.join(str(use.pictures) for use in self.uses)}"
            )
        self.num_features = num_features
        self.backbones = nn.ModuleList(create(use.network, **use.arguments) for use in self.uses)
        self._num_leaves: list[int] = []
        num_raw = 0
        for network, use in self._pairs():
            if not network.streams or network.in_channels != 3 or isinstance(network, FrozenBackbones):
                raise ActionstreamError(f"{use.network} cannot be a backbone: one streams and takes RGB pictures")
            shapes, num_leaves = network.shapes(use.size, use.size)
            if max(stage for stage, _ in use.maps) >= len(shapes):
                raise ActionstreamError(
                    f"{use.network} has {len(shapes)} stages; expected maps of these, not {use.maps}"
                )
            num_raw += sum(shapes[stage][2] * grid**2 for stage, grid in use.maps)
            self._num_leaves.append(num_leaves)
        if num_raw > MOST_RAW:
            raise ActionstreamError(f"the maps have {num_raw:,} values; expected {MOST_RAW:,} at most")
        signs = torch.randint(2, (num_raw,), generator=torch.Generator().manual_seed(0), device="cpu") * 2.0 - 1
        self.signs: Tensor
        self.register_buffer("signs", signs.to(next(self.parameters()).device))
        self.backbones.requires_grad_(False)

    def train(self, mode: bool = True) -> Self:
        super().train(mode)
        self.backbones.eval()
        return self

    def look(self, frames: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """Frames (B, T, 3 S, H, W) to features (B, T, F), and the new state of the backbones."""
        pictures = frames.unflatten(2, (-1, 3))
        found: list[Tensor] = []
        new: list[Leaf] = []
        begin = 0
        for (network, use), num_leaves in zip(self._pairs(), self._num_leaves, strict=True):
            every = pictures.shape[2] // use.pictures
            seen = _normalised(_resized(pictures[:, :, every - 1 :: every].flatten(1, 2), use.size), use)
            maps, leaves = network.maps(seen, None if state is None else state[begin : begin + num_leaves])
            for stage, grid in use.maps:
                each = functional.normalize(_resized(maps[stage], grid).flatten(2), dim=2)
                found.append(each.unflatten(1, (-1, use.pictures)).mean(dim=2))
            new += leaves
            begin += num_leaves
        return self._hashed(torch.cat(found, dim=2)), tuple(new)

    def trunk(self, frames: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """Frames (B, T, 3 S, H, W) to what `remember` gives, and the new state."""
        before = sum(self._num_leaves)
        if state is not None and len(state) != (expected := before + len(self.empty_memory(1))):
            raise ActionstreamError(
                f"the state of this network has {expected} leaves, not {len(state)}; is it of another network?"
            )
        features, of_backbones = self.look(frames, None if state is None else state[:before])
        described, memory = self.remember(features, None if state is None else state[before:])
        return described, (*of_backbones, *memory)

    def remember(self, features: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """Features (B, T, F) to the input of `head`, and the new leaves of the memory."""
        raise NotImplementedError

    def empty_memory(self, num_streams: int) -> tuple[Tensor, ...]:
        """The leaves of `remember` for new streams."""
        raise NotImplementedError

    def empty_state(self, num_streams: int, height: int, width: int) -> tuple[Tensor, ...]:
        of_backbones = [network.empty_state(num_streams, use.size, use.size) for network, use in self._pairs()]
        return *chain.from_iterable(of_backbones), *self.empty_memory(num_streams)

    def _pairs(self) -> Iterator[tuple[Network, Backbone]]:
        return zip(cast("Iterable[Network]", self.backbones), self.uses, strict=True)

    def _hashed(self, features: Tensor) -> Tensor:
        """Features (..., D) to (..., F): each is added, with its sign, to one of F sums."""
        signed = functional.pad(features * self.signs, (0, -features.shape[-1] % self.num_features))
        return signed.unflatten(-1, (-1, self.num_features)).sum(dim=-2)


class Looking(Network):
    """The backbones of a network alone: the scores of a snippet are its features, see `FrozenBackbones.look`.

    Streams with different layers over the same backbones share it.
    """

    def __init__(self, network: FrozenBackbones):
        super().__init__(
            num_classes=network.num_features,
            in_channels=network.in_channels,
            shift="none",
            n_div=8,
            shift_padding="zero",
        )
        self.network = network

    def trunk(self, frames: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        return self.network.look(frames, state)

    def head(self, features: Tensor) -> Tensor:
        return features


def part_weights(num_parts: int, length: int, like: Tensor) -> Tensor:
    """Weights (num_parts, length): row p has the mean of equal part p of `length` values, which may cut values."""
    borders = torch.arange(num_parts + 1, dtype=torch.float64, device=like.device) * (length / num_parts)
    starts = torch.arange(length, dtype=torch.float64, device=like.device)
    ends = torch.minimum(borders[1:, None], starts + 1)
    return ((ends - torch.maximum(borders[:-1, None], starts)).clamp(min=0) * (num_parts / length)).to(like.dtype)


def _resized(maps: Tensor, size: int) -> Tensor:
    """Maps (..., h, w) to the means of size x size equal cells; unchanged where they have this size."""
    height, width = maps.shape[-2:]
    if height != size:
        maps = part_weights(size, height, maps) @ maps
    return maps if width == size else maps @ part_weights(size, width, maps).T


def _normalised(frames: Tensor, use: Backbone) -> Tensor:
    """Pixels (B, T, 3, h, w), RGB from 0 to 255, to the frames of a backbone."""
    if use.order == "bgr":
        frames = frames.flip(2)
    mean, std = (torch.tensor(values, dtype=frames.dtype, device=frames.device) for values in (use.mean, use.std))
    return (frames - mean.view(-1, 1, 1)) / std.view(-1, 1, 1)
