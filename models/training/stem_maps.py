"""Feature maps of frames after the early blocks of MobileNetV2, computed once: these blocks are frozen.

Letters in shapes: V views, n frames, D x h x w a map.
"""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from rich.progress import track
from torch import Tensor
from torch.nn import Conv2d, Sequential

from actionstream.models.common.errors import ActionstreamError
from actionstream.models.common.files import atomic_write
from actionstream.models.network import Carry
from actionstream.models.networks.mobilenet_v2 import MobileNetV2
from actionstream.models.preprocessing import Preprocessing
from actionstream.models.training.batches import ClipBatches, Loaded
from actionstream.models.training.datasets import Clip
from actionstream.models.training.features import digest
from actionstream.models.training.loss import Batch
from actionstream.models.training.sampling import segments
from actionstream.models.video import every_frame

VIEWS = 10
"""The whole picture and its four corners, each also flipped: similar to TSN's ten crops."""
CORNER = 0.875
BACKWARD = "backward"
"""A clip with this label runs from its end to its beginning."""


def split(network: MobileNetV2, place: int) -> tuple[Sequential, MobileNetV2]:
    """The blocks before `place`, which have no shifts, and a network of the others that takes their maps as frames.

    The second shares no weights with `network`; `join` copies its trained weights back.
    """
    late = copy.deepcopy(network)
    late.features = late.features[place:]
    late.in_channels = next(module for module in late.features.modules() if isinstance(module, Conv2d)).in_channels
    return network.features[:place], late


def join(network: MobileNetV2, late: MobileNetV2) -> None:
    """Copy the weights of `late`, which `split` made, into the last blocks and the classifier of the network."""
    network.features[-len(late.features) :].load_state_dict(late.features.state_dict())
    network.classifier.load_state_dict(late.classifier.state_dict())


def make_maps(
    folder: Path,
    stem: Sequential,
    clips: Sequence[Clip],
    preprocessing: Preprocessing,
    *,
    every: int,
    prepare: Callable[[np.ndarray], np.ndarray] = np.asarray,
) -> Path:
    """A file of safetensors with the maps of each `every`-th frame of clips, float16 (V, n, D, h, w).

    Its name has a hash of what it was made of, so that it is made once.

    prepare  what is done to a frame before its views are taken
    """
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    made_of = [digest(stem), preprocessing, every, prepare.__name__, CORNER, sorted(str(clip.path) for clip in clips)]
    path = folder / f"maps-{hashlib.sha256(repr(made_of).encode()).hexdigest()[:12]}.safetensors"
    if path.exists():
        return path
    maps = {}
    shown = track(clips, description="early blocks", console=Console(stderr=True), transient=True)
    for clip in shown:
        frames = [prepare(frame) for frame in islice(every_frame(clip.path), 0, None, every)]
        views = [_maps(stem, preprocessing, np.stack(view)) for view in zip(*map(_views, frames), strict=True)]
        maps[str(clip.path)] = torch.stack(views)
    with atomic_write(path) as file:
        try:
            save_file(maps, file)
        except SafetensorError as error:
            raise OSError(str(error)) from error
    return path


def read_maps(path: Path, clips: Sequence[Clip]) -> dict[str, Tensor]:
    """The maps of clips by the path of the clip."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    anew = "delete it, and the next run makes it anew"
    try:
        maps = load_file(path)
    except SafetensorError as error:
        raise ActionstreamError(f"{path} is damaged: {error}; {anew}") from error
    for clip in clips:
        if (found := maps.get(str(clip.path))) is None or found.dim() != 5 or found.dtype != torch.float16:
            raise ActionstreamError(f"{path} has no maps of {clip.path}; {anew}")
    return maps


def _views(frame: np.ndarray) -> list[np.ndarray]:
    rows, columns = frame.shape[:2]
    high, wide = round(rows * CORNER), round(columns * CORNER)
    corners = [frame[top:, left:][:high, :wide] for top in (0, rows - high) for left in (0, columns - wide)]
    return [view for crop in (frame, *corners) for view in (crop, crop[:, ::-1])]


@torch.inference_mode()
def _maps(stem: Sequential, preprocessing: Preprocessing, pictures: np.ndarray) -> Tensor:
    """Pictures (n, height, width, 3) of a view to maps (n, D, h, w)."""
    maps = []
    for part in np.array_split(pictures, -(-len(pictures) // 16)):
        x = preprocessing.normalise(torch.from_numpy(np.stack([preprocessing.resize(picture) for picture in part])))
        for block in stem:
            x = block(x) if isinstance(block, Sequential) else block(x, Carry(1, None))
        maps.append(x.half())
    return torch.cat(maps).contiguous()


def rows_of(maps: Tensor, clip: Clip, num_frames: int, random: np.random.Generator | None = None) -> Tensor:
    """A frame of each of `num_frames` segments of maps (..., n, D, h, w), in the order in which the clip is played."""
    places = segments(maps.shape[-4], num_frames, random)
    return maps[..., places[::-1].copy() if clip.labels == (BACKWARD,) else places, :, :, :].float()


@dataclass(frozen=True)
class MapBatches(ClipBatches):
    """Batches of maps instead of pictures, with a random view of each clip.

    maps  by the path of the clip
    """

    maps: Mapping[str, Tensor] = field(default_factory=dict)

    def _example(self, epoch: int, index: int, remarks: set[str]) -> tuple[np.ndarray, list[str]]:
        random = np.random.default_rng((self.seed, epoch, index))
        clip = self.clips[index]
        maps = self.maps[str(clip.path)]
        view = maps[int(random.integers(len(maps)))]
        return rows_of(view, clip, self.sampled.num_frames, random).movedim(1, -1).numpy(), list(clip.labels)


@dataclass(frozen=True)
class BothWays(MapBatches):
    """Batches that have each clip forward and backward, with the label of its direction.

    The content of a clip then enters the gradient with both signs, and only its order can be learnt.
    """

    def __getitem__(self, number: int) -> Loaded:
        batch, broken, remarks = super().__getitem__(number)
        if batch is None:
            return None, broken, remarks
        clips, targets = (np.concatenate([x, x[:, ::-1]]) for x in (batch.clips, batch.targets))
        return Batch(clips, targets, np.tile(batch.weights, 2)), broken, remarks
