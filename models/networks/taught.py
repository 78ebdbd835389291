"""A network that a few examples teach: frozen backbones, a ring of their last features, and one linear layer.

The linear layer reads windows of several lengths that end at the snippet. Each window is cut into ordered parts, and a
part is described by the mean of its features: the order of the parts tells an action from its reverse. The ring is a
leaf of the state; so it streams like every other network.

Letters: B streams, T snippets, S pictures of a snippet, N snippets of the ring, F features, L lengths, P parts,
K classes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import Annotated, Any, Literal, cast

import torch
from pydantic import Field, Strict
from torch import Tensor, nn
from torch.nn import functional

from actionstream.kernels import Leaf, read, replace
from actionstream.models.catalogue import create
from actionstream.models.common.checked import NumFrames, Plain, ShortText, checked
from actionstream.models.common.errors import ActionstreamError
from actionstream.models.network import Network, State
from actionstream.models.preprocessing import Side

Small = Annotated[int, Field(ge=1, le=64)]
Stage = Annotated[int, Field(ge=0, le=64)]
MOST_RAW = 2**20
"""The most features before hashing; the packaged backbones have 5,440."""
MOST_RING = 2**24
"""The most values of a stream's ring, 64 MB; eight seconds of 1,024 features have 61,440."""


@checked
class Backbone:
    """How a taught network uses a backbone.

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


@checked
class _Windows:
    """The bounds of a taught network's arguments, which a card may have from anywhere."""

    lengths: Annotated[tuple[NumFrames, ...], Strict(False), Field(min_length=1, max_length=64)]
    num_parts: Small
    num_features: Annotated[int, Field(ge=1, le=65_536)]

    def __post_init__(self) -> None:
        if max(self.lengths) * self.num_features > MOST_RING:
            raise ActionstreamError(
                f"a ring of {max(self.lengths)} snippets of {self.num_features} features; expected "
                f"{MOST_RING:,} values at most"
            )


class Taught(Network):
    """Frozen backbones, a ring of their last features, and a linear layer over the ordered parts of windows.

    backbones     what `Backbone` takes, one mapping each; the features of all are concatenated
    num_features  to which they are hashed (F), by feature hashing (Weinberger et al., ICML 2009)
    lengths       of the windows, in snippets; the ring has the longest (N)
    num_parts     of a window (P)
    in_channels   3 for each picture of a snippet

    Class 0 is "none of these": a window's score of a class is its margin over it, and the network's score is the
    highest of all windows. The backbones are frozen: always in eval mode, and without gradients.
    """

    def __init__(
        self,
        *,
        backbones: Sequence[dict[str, Any]],
        num_features: int = 1024,
        lengths: Sequence[int] = (8, 16, 24),
        num_parts: int = 6,
        num_classes: int = 2,
        in_channels: int = 6,
    ):
        super().__init__(num_classes=num_classes, in_channels=in_channels, shift="none", n_div=8, shift_padding="zero")
        num_pictures = in_channels // 3
        self.uses = [Backbone(**backbone) for backbone in backbones]
        windows = _Windows(lengths=tuple(lengths), num_parts=num_parts, num_features=num_features)
        if not 1 <= len(self.uses) <= 16:
            raise ActionstreamError(f"a taught network has {len(self.uses)} backbones; expected 1 to 16")
        if in_channels % 3 or any(num_pictures % use.pictures for use in self.uses):
            raise ActionstreamError(
                f"a snippet of {in_channels} channels does not divide into pictures for each backbone: "
                f"{', '.join(str(use.pictures) for use in self.uses)}"
            )
        self.lengths = windows.lengths
        self.num_parts = num_parts
        self.num_features = num_features
        self.backbones = nn.ModuleList(create(use.network, **use.arguments) for use in self.uses)
        self._num_leaves: list[int] = []
        num_raw = 0
        for network, use in self._pairs():
            if not network.streams or network.in_channels != 3 or isinstance(network, Taught):
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
        self.linear = nn.Linear(num_features * num_parts, num_classes)
        self.backbones.requires_grad_(False)

    def train(self, mode: bool = True) -> Taught:
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
        """Frames (B, T, 3 S, H, W) to the ordered parts of windows, and the new state, see `remember`."""
        num_leaves = sum(self._num_leaves) + 2
        if state is not None and len(state) != num_leaves:
            raise ActionstreamError(
                f"the state of this network has {num_leaves} leaves, not {len(state)}; is it of another network?"
            )
        features, of_backbones = self.look(frames, None if state is None else state[:-2])
        described, leaves = self.remember(features, None if state is None else state[-2:])
        return described, (*of_backbones, *leaves)

    def remember(self, features: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """Features (B, T, F) to the ordered parts of the windows that end there (B, T, P F, L, 1), and the new leaves.

        The leaves are the ring, and the number of snippets so far, up to the length of the ring.
        """
        ring, age = self._empty_ring(len(features)) if state is None else state
        is_first = (read(age) == 0).unsqueeze(2)
        past = torch.where(is_first, features[:, :1], read(ring))  # the first snippet stands in for those before it
        rows = torch.cat([past, features], dim=1)
        num_snippets, length = features.shape[1], past.shape[1]
        windows = torch.stack([rows[:, t + 1 : t + 1 + length] for t in range(num_snippets)], dim=1)
        parts = self._weights().to(rows.dtype) @ windows
        described = parts.unflatten(2, (-1, self.num_parts)).flatten(3).transpose(2, 3).unsqueeze(4)
        new_age = (read(age) + num_snippets).clamp(max=length)
        return described, (replace(ring, rows[:, -length:]), replace(age, new_age))

    def head(self, features: Tensor) -> Tensor:
        """The ordered parts of windows (B, T, P F, L, 1) to scores (B, T, K)."""
        scores = self.linear(features.squeeze(4).transpose(2, 3))
        return (scores - scores[..., :1]).amax(dim=2)

    def set_linear(self, weights: Tensor, offset: Tensor, lengths: Sequence[int]) -> None:
        """Another linear layer, weights (K, P F) and offset (K,), for windows of other lengths."""
        self.lengths = tuple(lengths)
        self.num_classes = len(offset)
        self.linear = nn.Linear(weights.shape[1], len(offset))
        self.linear.load_state_dict({"weight": weights, "bias": offset})

    def empty_state(self, num_streams: int, height: int, width: int) -> tuple[Tensor, ...]:
        of_backbones = [network.empty_state(num_streams, use.size, use.size) for network, use in self._pairs()]
        return *chain.from_iterable(of_backbones), *self._empty_ring(num_streams)

    def _empty_ring(self, num_streams: int) -> tuple[Tensor, Tensor]:
        """The features of the last snippets, and the number of snippets so far, up to the ring's length."""
        ring = self.signs.new_zeros(num_streams, max(self.lengths), self.num_features)
        return ring, self.signs.new_zeros(num_streams, 1, dtype=torch.float32)  # bfloat16 cannot count beyond 256

    def _pairs(self) -> Iterator[tuple[Network, Backbone]]:
        return zip(cast("Iterable[Network]", self.backbones), self.uses, strict=True)

    def _hashed(self, features: Tensor) -> Tensor:
        """Features (..., D) to (..., F): each is added, with its sign, to one of F sums."""
        signed = functional.pad(features * self.signs, (0, -features.shape[-1] % self.num_features))
        return signed.unflatten(-1, (-1, self.num_features)).sum(dim=-2)

    def _weights(self) -> Tensor:
        """The weights (L P, N) of the ring's snippets in each part of each window."""
        longest = max(self.lengths)
        like = self.signs
        return torch.cat(
            [
                functional.pad(part_weights(self.num_parts, length, like), (longest - length, 0))
                for length in self.lengths
            ]
        )


class Looking(Network):
    """The backbones of a taught network alone: the scores of a snippet are its features, see `Taught.look`.

    Streams that are taught different labels share it.
    """

    def __init__(self, taught: Taught):
        super().__init__(
            num_classes=taught.num_features, in_channels=taught.in_channels, shift="none", n_div=8, shift_padding="zero"
        )
        self.taught = taught

    def trunk(self, frames: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        return self.taught.look(frames, state)

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
