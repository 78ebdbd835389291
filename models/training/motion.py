"""The recipe of `motion`, the checkpoint that ships: ten movements of any object, learnt from rendered clips."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from actionstream.models.card import Card
from actionstream.models.catalogue import create
from actionstream.models.common.choices import Shift
from actionstream.models.network import Network
from actionstream.models.preprocessing import Preprocessing
from actionstream.models.training.batches import begin_worker
from actionstream.models.training.loop import train
from actionstream.models.training.loss import Batch
from actionstream.models.training.optimisation import Optimisation
from actionstream.models.training.scenes import MOVEMENTS, SHAKING, STILL, Mover, join, make_pose, make_scene, render

SIZE = 64
INTERVAL_SECONDS = 1 / 15
CONTEXT = 5  # snippets before a score is worth reading
PREPROCESSING = Preprocessing(height=SIZE, width=SIZE, mean=(128.0,), std=(128.0,))
NETWORK = "tsm_resnet18"
ARGUMENTS: dict[str, Any] = {"num_classes": len(MOVEMENTS), "width": 0.5, "n_div": 4}
FRAMES_PER_STEP = 160
NUM_STEPS = 12000


@dataclass(frozen=True)
class Lesson:
    """How the clips of a step are rendered.

    A group is one scene in all ten movements, so that only the movement differs; with random clips alone the network
    stays at chance for thousands of steps. But batch norm sees the whole group, so most lessons mix both, and the last
    ones have no groups.
    """

    num_frames: int
    realism: float
    objects: float  # share of scenes in which an object moves, not the whole frame
    changes: float  # share of clips in which the movement begins late or changes
    grouped: float  # share of clips that come as one scene in all movements


def lesson(progress: float, step: int) -> Lesson:
    """From easy to hard: short strong movements of the whole frame first, then everything a webcam shows."""
    if progress < 0.08:
        return Lesson(4, realism=0.0, objects=0.0, changes=0.0, grouped=1.0)
    if progress < 0.18:
        return Lesson(8, realism=0.3, objects=0.4, changes=0.1, grouped=0.5)
    ramp = min(1.0, (progress - 0.18) / 0.27)
    num_frames = 16 if step % 3 == 0 else 8
    grouped = 0.0 if progress > 0.85 or num_frames == 16 else 0.5
    return Lesson(num_frames, realism=0.3 + 0.7 * ramp, objects=0.5 + 0.2 * ramp, changes=0.3, grouped=grouped)


class MotionBatches(Dataset[Batch]):
    """The batches of a training run; batch `step` is a function of the seed and the step alone."""

    def __init__(self, num_steps: int, seed: int):
        self.num_steps = num_steps
        self.seed = seed

    def __len__(self) -> int:
        return self.num_steps

    def __getitem__(self, step: int) -> Batch:
        if step >= self.num_steps:
            raise IndexError(step)
        random = np.random.default_rng((self.seed, step))
        plan = lesson(step / self.num_steps, step)
        num_clips = FRAMES_PER_STEP // plan.num_frames
        num_groups = int(num_clips * plan.grouped) // len(MOVEMENTS)
        examples = [example for _ in range(num_groups) for example in _clips(random, plan, range(len(MOVEMENTS)))]
        while len(examples) < num_clips:
            examples += _clips(random, plan, random.integers(len(MOVEMENTS), size=1))
        clips, targets, weights = zip(*examples, strict=True)
        return Batch(np.stack(clips), np.stack(targets), np.stack(weights))


Example = tuple[np.ndarray, np.ndarray, np.ndarray]


def _clips(random: np.random.Generator, plan: Lesson, movements: Iterable[int]) -> list[Example]:
    """Clips of one scene, one for each of the movements."""
    mover: Mover = "object" if random.random() < plan.objects else "frame"
    scene = make_scene(random, mover, SIZE)
    examples = []
    for label in movements:
        moves = np.full(plan.num_frames, label)
        cut = 0
        if random.random() < plan.changes:
            cut = int(random.integers(1, plan.num_frames - 2))
        before = STILL if random.random() < 0.5 else int(random.integers(len(MOVEMENTS)))
        move = partial(make_pose, random, mover=mover, radius=scene.radius, realism=plan.realism)
        if cut > 1 and before != STILL:
            first = move(MOVEMENTS[before], cut)
            then = move(MOVEMENTS[label], plan.num_frames - cut + 1)
            pose = join(first, then)
            moves[:cut] = before
        else:
            pose = move(MOVEMENTS[label], plan.num_frames, onset=cut)
            moves[:cut] = STILL
        frames = render(scene, pose, random, SIZE, realism=plan.realism)
        examples.append((frames, *_targets(moves, cut)))
    return examples


def _targets(moves: np.ndarray, cut: int) -> tuple[np.ndarray, np.ndarray]:
    """Target probabilities (T, K) and weights (T,) for the movement of each frame.

    The first frame alone shows no movement, so all movements are equally likely there. Frames around a change of
    movement, and frames in which a shake has only gone one way, have weight 0.
    """
    targets = np.eye(len(MOVEMENTS), dtype=np.float32)[moves]
    weights = np.ones(len(moves), np.float32)
    targets[0], weights[0], weights[1] = 1 / len(MOVEMENTS), 0.2, 0.3
    begin = max(cut, 1)
    unsure = 4 if SHAKING in moves[[0, -1]] else 2
    if cut or unsure == 4:
        weights[begin : begin + unsure] = 0
    return targets, weights


def train_motion(
    *,
    shift: Shift = "uni",
    num_steps: int = NUM_STEPS,
    seed: int = 0,
    device: str = "cpu",
    workers: int = 1,
    start: Mapping[str, Any] | None = None,
    every: int = 200,
    on_progress: Callable[[int, Network, dict[str, Any]], None] | None = None,
) -> Network:
    """Train the network of `motion` from random weights; with shift "none" the same network without memory.

    `start`, `every` and `on_progress` are those of actionstream.models.training.loop.train.
    """
    torch.manual_seed(seed)
    network = create(NETWORK, shift=shift, **ARGUMENTS)
    batches = DataLoader(
        MotionBatches(num_steps, seed),
        batch_size=None,
        sampler=range(0 if start is None else start["step"], num_steps),
        num_workers=workers,
        worker_init_fn=begin_worker,
        # a forked copy of a process with threads, as torch has, can deadlock
        multiprocessing_context="spawn" if workers else None,
    )
    train(
        network,
        batches,
        Optimisation(num_steps=num_steps, precision="bfloat16" if device == "cuda" else "float32"),
        PREPROCESSING,
        device=device,
        start=start,
        every=every,
        on_progress=on_progress,
    )
    return network


def motion_card(shift: Shift, training: dict[str, Any], accuracy: dict[str, Any]) -> Card:
    """The card of a network that `train_motion` returned."""
    return Card(
        network=NETWORK,
        arguments={**ARGUMENTS, "shift": shift},
        labels=MOVEMENTS,
        preprocessing=PREPROCESSING,
        interval_seconds=INTERVAL_SECONDS,
        context=CONTEXT,
        licence="Apache-2.0",
        training=training,
        accuracy=accuracy,
    )
