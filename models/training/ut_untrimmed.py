"""The recipe `ut-untrimmed`: a live model of UT-Interaction's six interactions and background.

It is trained on streams, as it is used: clips and background follow each other without a pause, each snippet has a
label of its own, and the state of the network carries over from one clip to the next.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from PIL import Image, ImageFilter
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from actionstream.models.card import Card
from actionstream.models.labels import BACKGROUND
from actionstream.models.preprocessing import Preprocessing
from actionstream.models.training.annotations import ut_interaction
from actionstream.models.training.datasets import Clip
from actionstream.models.training.loop import train
from actionstream.models.training.loss import Batch
from actionstream.models.training.stem_maps import VIEWS, join, make_maps, read_maps, split
from actionstream.models.training.ut_interaction import EVERY, HOW, NETWORK, RATE, STEM, Recipe
from actionstream.models.weights.checkpoint import save

PICTURE = (320, 240)
HELD_OUT = (
    *("set1_seq05", "set1_seq07", "set1_seq08", "set1_seq09", "set1_seq10"),
    *("set2_seq19", "set2_seq20"),
)
"""Sequences that the untrimmed videos are made of; they are not used for training."""
STEP = 3
"""Stride from one snippet to the next, in maps."""
INTERVAL_SECONDS = STEP * EVERY / RATE
NUM_SNIPPETS = 24
BACKGROUND_SHARE = 0.4


def fit(frame: np.ndarray) -> np.ndarray:
    """Fit a picture of any shape (h, w, 3) into 320 x 240, in the middle of a blurred copy of itself."""
    wide, high = PICTURE
    picture = Image.fromarray(frame)
    scale = min(wide / picture.width, high / picture.height)
    size = round(picture.width * scale), round(picture.height * scale)
    whole = picture.resize(PICTURE, Image.Resampling.BILINEAR).filter(ImageFilter.GaussianBlur(16))
    whole.paste(picture.resize(size, Image.Resampling.BILINEAR), ((wide - size[0]) // 2, (high - size[1]) // 2))
    return np.array(whole)


def clips_to_learn_from(root: Path) -> list[Clip]:
    """Interactions and background of the sequences that are not held out."""
    files = [root / "manifest.csv", root / "manifest_background.csv"]
    clips = [clip for file in files for clip in ut_interaction(file, root).complete()]
    return [clip for clip in clips if clip.group not in HELD_OUT]


@dataclass(frozen=True)
class StreamBatches(Dataset[Batch]):
    """Pieces of streams, made of maps; batch `step` is a function of the seed and the step alone."""

    clips: Sequence[Clip]
    labels: Sequence[str]
    maps: Mapping[str, Tensor]
    batch_size: int
    num_steps: int
    seed: int

    def __len__(self) -> int:
        return self.num_steps

    def __getitem__(self, step: int) -> Batch:
        random = np.random.default_rng((self.seed, step))
        maps, numbers = zip(*(self._stream(random) for _ in range(self.batch_size)), strict=True)
        targets = np.eye(len(self.labels), dtype=np.float32)[np.stack(numbers)]
        return Batch(np.stack(maps), targets, np.ones(targets.shape[:2], np.float32))

    def _stream(self, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Maps (T, h, w, D) that begin anywhere in a clip, and the numbers of their labels (T,)."""
        view = int(random.integers(VIEWS))
        parts, numbers, missing = [], [], NUM_SNIPPETS
        skipped = random.random()
        while missing > 0:
            nothing = random.random() < BACKGROUND_SHARE
            chosen = [clip for clip in self.clips if (clip.labels[0] == BACKGROUND) == nothing]
            clip = chosen[int(random.integers(len(chosen)))]
            maps = self.maps[str(clip.path)][view]
            maps = maps[int(skipped * (len(maps) - STEP)) + int(random.integers(STEP)) :: STEP][:missing]
            parts.append(maps.float().movedim(1, -1).numpy())
            numbers += [self.labels.index(clip.labels[0])] * len(maps)
            missing -= len(maps)
            skipped = 0.0
        return np.concatenate(parts), np.array(numbers)


def train_untrimmed(root: Path, start: str, output: Path, *, seed: int, num_steps: int, device: str) -> None:
    """Train the network and write its checkpoint."""
    recipe = Recipe(root=str(root), start=start, seed=seed)
    clips = clips_to_learn_from(root)
    labels = sorted({clip.labels[0] for clip in clips})
    network = recipe.network(len(labels))
    stem, late = split(network, STEM)
    file = make_maps(output.parent, stem, clips, recipe.preprocessing(), every=EVERY, prepare=fit)
    maps = read_maps(file, clips)
    batches = StreamBatches(clips, labels, maps, recipe.batch_size, num_steps, seed)
    how = replace(HOW, num_steps=num_steps)
    train(
        late,
        DataLoader(batches, batch_size=None),
        how,
        Preprocessing.of_features(*next(iter(maps.values())).shape[-3:]),
        seed=seed,
        device=device,
    )
    join(network, late.cpu())
    card = Card(
        network=NETWORK,
        arguments=recipe.arguments(len(labels)),
        labels=tuple(labels),
        preprocessing=recipe.preprocessing(),
        interval_seconds=INTERVAL_SECONDS,
        context=2,
        training={"recipe": "ut-untrimmed", "seed": seed, "steps": num_steps, "held out": list(HELD_OUT)},
    )
    save(output, network, card)
