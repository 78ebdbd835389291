"""Features of long videos, for Timeception: a feature map of each of many segments, from the backbone of a network."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
from pydantic import Field, Strict
from torch import nn

from actionstream.models.card import Card
from actionstream.models.common.checked import NumFrames, Plain, ShortText, checked, parse_json
from actionstream.models.common.errors import ActionstreamError
from actionstream.models.common.files import atomic_write, read_text, write_text
from actionstream.models.network import Network
from actionstream.models.networks.timeception import segment_maps
from actionstream.models.preprocessing import Preprocessing
from actionstream.models.training.datasets import Clip
from actionstream.models.training.reading import read_frames, stretch_of
from actionstream.models.training.sampling import segments
from actionstream.models.video import SourceError

FRAMES_AT_ONCE = 64
"""Frames of a video in memory, whatever its length."""
FILE = "features.json"


@checked
class FeatureSettings:
    """What made the features of a folder; they are kept in it as features.json.

    network         of the catalogue, with its arguments
    weights         SHA-256 of its weights
    preprocessing   of the frames
    num_segments    spread evenly over a video (T)
    segment_frames  successive frames of each, over which the maps are averaged
    shape           of a file, float16 (T, D, h, w)
    """

    network: ShortText
    arguments: Plain
    weights: ShortText
    preprocessing: Preprocessing
    num_segments: NumFrames
    segment_frames: NumFrames
    shape: Annotated[
        tuple[Annotated[int, Field(ge=1, le=65_536)], ...], Field(min_length=4, max_length=4), Strict(False)
    ]

    def to_json(self) -> str:
        return json.dumps(asdict(self), indent=1)

    @classmethod
    def read(cls, folder: Path) -> FeatureSettings | None:
        """The settings of a folder; None where it has no features, ActionstreamError where its file is invalid."""
        file = folder / FILE
        if not file.is_file():
            return None
        return parse_json(read_text(file), cls, f"the settings of features {file}")

    def keep(self, folder: Path) -> None:
        """Write the settings into a folder; ValueError where it has features that were made with other settings."""
        there = self.read(folder)
        if there is None:
            write_text(folder / FILE, self.to_json())
        elif there.to_json() != self.to_json():
            ours, theirs = json.loads(self.to_json()), json.loads(there.to_json())
            name = next(name for name in ours if ours[name] != theirs[name])
            raise ActionstreamError(
                f"{folder} has features that were made with {name} {theirs[name]}, not {ours[name]}; "
                "take another folder"
            )


class Extractor:
    """Makes the features of videos (Timeception, arXiv:1812.01289, section 4).

    A segment is 8 successive frames where the network looks at time, else a single frame.
    """

    def __init__(self, network: Network, card: Card, *, num_segments: int, device: str = "cpu"):
        if card.preprocessing.modality != "rgb":
            raise ActionstreamError(
                f"features are made of pictures, and {card.network} takes {card.preprocessing.modality}"
            )
        if network.segment is not None:
            raise ActionstreamError(f"{card.network} uses features of another network; give a checkpoint of that one")
        self._network = network.to(device).eval()
        self._device = device
        alone = network.streams and network.shift == "none"
        size = card.preprocessing.height, card.preprocessing.width
        segment_frames = 1 if alone else 8
        try:
            one = self._maps(torch.zeros(1, segment_frames, network.in_channels, *size, device=device))
        except RuntimeError as error:  # what torch raises for sizes that do not fit
            raise ActionstreamError(
                f"{card.network} cannot take segments of {segment_frames} frames: {error}"
            ) from error
        self.settings = FeatureSettings(
            network=card.network,
            arguments=json.loads(json.dumps(card.arguments)),
            weights=digest(network),
            preprocessing=card.preprocessing,
            num_segments=num_segments,
            segment_frames=segment_frames,
            shape=(num_segments, *one.shape[1:]),
        )

    def __call__(self, video: Path, *, tell: Callable[[], object] = lambda: None) -> np.ndarray:
        """The features of a video or a folder of frames, float16 (T, D, h, w). SourceError where it cannot be read.

        tell  is called when a part of it is done
        """
        settings = self.settings
        num_frames = len(stretch_of(Clip(video, ())))
        places = segment_places(num_frames, settings.num_segments, settings.segment_frames)
        maps = []
        for part in np.array_split(places, -(-places.size // FRAMES_AT_ONCE)):
            pictures = np.stack(read_frames(video, part.ravel().tolist(), shape=settings.preprocessing.resize))
            given = torch.from_numpy(pictures.reshape(*part.shape, *pictures.shape[1:])).to(self._device)
            maps.append(self._maps(settings.preprocessing.normalise(given)).half().cpu().numpy())
            tell()
        features = np.concatenate(maps)
        if not np.isfinite(features).all():
            raise SourceError(f"{video} has features beyond what float16 holds")
        return features

    @torch.inference_mode()
    def _maps(self, given: torch.Tensor) -> torch.Tensor:
        return segment_maps(self._network, given)


def segment_places(num_frames: int, num_segments: int, segment_frames: int) -> np.ndarray:
    """Places of the frames of each segment, int64 (num_segments, segment_frames).

    They are successive frames around the middles of equal parts of the video. In a short video segments
    overlap. A video that is shorter than a segment repeats its last frame.
    """
    first = segments(num_frames, num_segments) - segment_frames // 2
    first = np.clip(first, 0, max(num_frames - segment_frames, 0))
    return np.minimum(first[:, None] + np.arange(segment_frames), num_frames - 1)


def write_features(path: Path, features: np.ndarray) -> None:
    """Write a file of features by an atomic write."""
    path.parent.mkdir(parents=True, exist_ok=True)
    data = io.BytesIO()  # for a file on a full disk np.save tells counts of bytes, and no reason
    np.save(data, features)
    with atomic_write(path) as partial:
        partial.write_bytes(data.getbuffer())


def digest(network: nn.Module) -> str:
    """The SHA-256 of its weights."""
    whole = hashlib.sha256()
    for name, tensor in sorted(network.state_dict().items()):
        whole.update(name.encode())
        whole.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return whole.hexdigest()
