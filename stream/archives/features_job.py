"""Features of the videos of an archive."""

from __future__ import annotations

from pathlib import Path

import torch

from actionstream.archives.jobs import Do, Tell
from actionstream.choices import DeviceName
from actionstream.models.common.checked import NumFrames, ShortText, checked
from actionstream.models.training.features import Extractor, write_features
from actionstream.models.video import FEATURES
from actionstream.models.weights.loading import load
from actionstream.runtimes.eager import choose_device


@checked
class FeaturesJob:
    """Extract the features of videos. weights: a file beside the model, which then is a network"""

    model: ShortText
    weights: ShortText | None
    num_segments: NumFrames
    device: DeviceName
    num_threads: int | None = None

    def extractor(self) -> Extractor:
        """Load the network."""
        network, card = load(self.model, weights=self.weights and Path(self.weights))
        return Extractor(network, card, num_segments=self.num_segments, device=choose_device(self.device).type)

    def is_done(self, folder: Path, name: str) -> bool:
        """Whether the features of a video are there."""
        return (folder / f"{name}{FEATURES}").is_file()

    def open(self) -> Do:
        """Load the network."""
        if self.num_threads is not None:
            torch.set_num_threads(self.num_threads)
        extractor = self.extractor()

        def do(video: str, folder: Path, name: str, tell: Tell) -> list[str]:
            write_features(folder / f"{name}{FEATURES}", extractor(Path(video), tell=lambda: tell(0.0)))
            return []

        return do
