"""Timeception's two studies (arXiv:1812.01289, section 4) on rendered long videos that are made of ordered parts.

The first compares kernels of several sizes or dilations with kernels of one size. The second tests both on videos whose
parts are faster or slower than in training.

A long video has 64 segments of 8 rendered frames; each is a scene of its own with one movement. Four movements follow
each other, with stillness before, between and after. The class is their order: neither a single segment nor all
segments without their times show it. The features come from the backbone of `motion`.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import permutations
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.progress import track
from torch import Tensor

from actionstream.models.catalogue import create
from actionstream.models.locate import PACKAGED
from actionstream.models.network import Network
from actionstream.models.networks.timeception import SCALES, segment_maps
from actionstream.models.preprocessing import Preprocessing
from actionstream.models.training.loop import train
from actionstream.models.training.loss import Batch
from actionstream.models.training.motion import SIZE
from actionstream.models.training.optimisation import Optimisation
from actionstream.models.training.scenes import Mover, Random, make_pose, make_scene, render
from actionstream.models.weights.loading import load

PARTS = ("left", "up", "closer", "clockwise")
ORDERS = tuple(permutations(range(len(PARTS))))
STILL = len(PARTS)
NUM_SEGMENTS, SEGMENT_FRAMES = 64, 8
NUM_LAYERS = 3
BATCH = 16
UNEVEN = 1.4
"""In all videos the length of a part, or of the stillness between two, varies by up to this factor."""
SPEED = 3.0
"""In altered videos the speed of a piece changes by up to this factor."""
PIECES = {"original": 0, "very coarse": 2, "coarse": 4, "fine": 8, "very fine": 16}
"""Pieces of a video that change their speed independently; the paper's four granularities, with our numbers."""
NUM_STEPS, NUM_SEEDS = 200, 3
NUM_TAKES = {"training": 200, "test": 100}
"""Rendered segments of each movement; training and test videos share none."""
NUM_VIDEOS = 240  # of a test


def study_extents(*, num_steps: int = NUM_STEPS, seed: int = 0, device: str = "cpu") -> dict[str, Any]:
    """Train Timeception with each kind of scales from NUM_SEEDS seeds, and test it on original and altered videos.

    Returns "accuracy", from 0 to 1, for each kind, granularity and seed; "parameters", their number for each kind;
    "reach", the segments that its last layer sees; and the constants that the videos are made with.
    """
    takes = {side: render_takes(count, number) for number, (side, count) in enumerate(NUM_TAKES.items())}
    tests = {name: held_out_videos(takes["test"], pieces) for name, pieces in PIECES.items()}
    channels = takes["test"].shape[2]
    preprocessing = Preprocessing.of_features(channels, 1, 1)
    accuracy: dict[str, dict[str, list[float]]] = {kind: {name: [] for name in PIECES} for kind in SCALES}
    parameters = {}
    for each in range(seed, seed + NUM_SEEDS):
        for kind in SCALES:
            torch.manual_seed(each)
            network = create(
                "timeception", in_channels=channels, num_layers=NUM_LAYERS, num_classes=len(ORDERS), scales=kind
            )
            parameters[kind] = sum(parameter.numel() for parameter in network.parameters())
            batches = training_batches(takes["training"], num_steps, each)
            how = Optimisation(num_steps=num_steps, learning_rate=3e-3)
            train(network, batches, how, preprocessing, seed=each, device=device)
            for name, (videos, labels) in tests.items():
                accuracy[kind][name].append(_accuracy(network, videos, labels, device))
    return {
        "accuracy": accuracy,
        "parameters": parameters,
        "reach": {kind: reach(kind, NUM_LAYERS) for kind in SCALES},
        "chance": 1 / len(ORDERS),
        "pieces": PIECES,
        "speed": SPEED,
        "videos": NUM_VIDEOS,
        "takes": NUM_TAKES,
        "steps": num_steps,
        "seeds": list(range(seed, seed + NUM_SEEDS)),
    }


def reach(scales: str, num_layers: int) -> int:
    """The receptive field of the last layer, in segments."""
    widest = max((size - 1) * dilation for size, dilation in SCALES[scales])
    return 1 + sum((widest + 1) * 2**layer for layer in range(num_layers))  # one for the pooling by two


def render_takes(count: int, seed: int) -> np.ndarray:
    """Features of rendered segments, float32 (movement, count, D, 1, 1): the movements of PARTS, and stillness.

    They are averaged over space: a movement may be anywhere in the picture, and this is a study of time.
    """
    network, card = load(PACKAGED / "motion.safetensors")
    takes = []
    for number, movement in enumerate((*PARTS, "still")):
        maps = []
        for take in track(
            range(count), description=f"rendering {movement}", console=Console(stderr=True), transient=True
        ):
            random = np.random.default_rng((seed, number, take))
            mover: Mover = "object" if random.random() < 0.5 else "frame"
            scene = make_scene(random, mover, SIZE)
            pose = make_pose(random, movement, SEGMENT_FRAMES, mover=mover, radius=scene.radius, realism=0.3)
            frames = torch.from_numpy(render(scene, pose, random, SIZE, realism=0.3))
            with torch.inference_mode():
                maps.append(segment_maps(network, card.preprocessing.normalise(frames[None])))
        takes.append(torch.cat(maps).mean(dim=(-2, -1), keepdim=True).numpy())
    return np.stack(takes)


def make_video(takes: np.ndarray, label: int, random: Random) -> np.ndarray:
    """The features of a long video with its parts in the order of the label, (NUM_SEGMENTS, D, 1, 1)."""
    movements = [STILL]
    for part in ORDERS[label]:
        movements += [part, STILL]
    lengths = UNEVEN ** random.uniform(-1, 1, len(movements))
    ends = lengths.cumsum() / lengths.sum() * NUM_SEGMENTS
    going_on = np.array(movements)[np.searchsorted(ends, np.arange(NUM_SEGMENTS) + 0.5)]
    return takes[going_on, random.integers(takes.shape[1], size=NUM_SEGMENTS)]


def altered_places(num_pieces: int, random: Random) -> np.ndarray:
    """The original segment at each place after equal pieces were sped up or slowed down, int64 (NUM_SEGMENTS,).

    The numbers never decrease, and the video keeps its length.
    """
    lengths = SPEED ** random.uniform(-1, 1, num_pieces)
    ends = np.concatenate([[0], lengths.cumsum()]) / lengths.sum() * NUM_SEGMENTS
    before = np.linspace(0, NUM_SEGMENTS, num_pieces + 1)
    return np.interp(np.arange(NUM_SEGMENTS) + 0.5, ends, before).astype(np.int64)


def training_batches(takes: np.ndarray, num_steps: int, seed: int) -> Iterator[Batch]:
    """Batches of long videos, all different."""
    for step in range(num_steps):
        random = np.random.default_rng((seed, step))
        labels = random.integers(len(ORDERS), size=BATCH)
        videos = np.stack([make_video(takes, label, random) for label in labels])
        targets = np.eye(len(ORDERS), dtype=np.float32)[labels]
        yield Batch(np.moveaxis(videos, 2, -1), targets, np.ones(BATCH, np.float32))


def held_out_videos(takes: np.ndarray, num_pieces: int) -> tuple[Tensor, Tensor]:
    """Test videos and their labels, always the same; `num_pieces` of each change their speed (0: none)."""
    labels = np.arange(NUM_VIDEOS) % len(ORDERS)
    videos = []
    for number, label in enumerate(labels):
        video = make_video(takes, int(label), np.random.default_rng(number))
        if num_pieces:
            video = video[altered_places(num_pieces, np.random.default_rng((number, num_pieces)))]
        videos.append(video)
    return torch.from_numpy(np.stack(videos)), torch.from_numpy(labels)


def _accuracy(network: Network, videos: Tensor, labels: Tensor, device: str) -> float:
    with torch.inference_mode():
        said = torch.cat([network(part.to(device)).argmax(dim=-1).cpu() for part in videos.split(BATCH)])
    return float((said == labels).float().mean())
