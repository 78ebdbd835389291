"""Accuracy of a `motion` network, streamed from an empty state over clips that it has never seen."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import cv2
import numpy as np
from rich.console import Console
from rich.progress import track

from actionstream.models.card import Card
from actionstream.models.training import textures
from actionstream.models.training.motion import CONTEXT, SIZE
from actionstream.models.training.scenes import (
    MOVEMENTS,
    OPPOSITES,
    Mover,
    Random,
    Scene,
    contrasting,
    make_pose,
    make_scene,
    render,
)

NUM_FRAMES = 32
SEEN = (6, 8, 12, 16, 24, 32)
BATCH = 20


Score = Callable[[np.ndarray], np.ndarray]


def motion_accuracy(
    score: Score,
    card: Card,
    *,
    num_clips: int = 1000,
    pictures: Sequence[np.ndarray] = (),
    seed: int = 2026,
) -> dict[str, Any]:
    """Accuracy on sets of `num_clips` clips of 32 frames, as hard as the hardest of training.

    score  gives scores (B, T, K) of clips, uint8 (B, T, height, width, 3), that begin with an empty state

    Two sets have textures and shapes that training has not seen: the whole frame moves, or an object. With `pictures`
    (RGB, uint8) there are two more: a whole picture moves, or a shape cut out of one picture moves over another.

    For each set: "clips" (a clip's label is the argmax of its mean probability from the sixth frame on),
    "by_frames_seen" (the same up to frame n), "frames" (single frames, by their place in the stream),
    "opposites" (of the eight movements that have one, the share that scores above its opposite), and
    "by_movement".
    """
    random = np.random.default_rng(seed)
    sets: dict[str, Callable[[], Scene]] = {
        "rendered, whole frame": lambda: make_scene(random, "frame", SIZE, unseen=True),
        "rendered, object": lambda: make_scene(random, "object", SIZE, unseen=True),
    }
    if len(pictures) > 1:
        sets["real pictures, whole frame"] = lambda: picture_scene(random, pictures, "frame")
        sets["real pictures, cut-out"] = lambda: picture_scene(random, pictures, "object")
    return {name: _accuracy(score, card, random, scene, num_clips, name) for name, scene in sets.items()}


def picture_scene(random: Random, pictures: Sequence[np.ndarray], mover: Mover) -> Scene:
    """A scene of real pictures: one of them whole, or a shape cut out of one over another."""
    scene = make_scene(random, mover, SIZE, unseen=True)
    ground, cut = random.choice(len(pictures), 2, replace=False)
    background = _square(random, pictures[ground], len(scene.background))
    if scene.mask is None:
        return scene._replace(background=background)
    shapes = {**textures.SHAPES, **textures.UNSEEN_SHAPES}
    mask = shapes[str(random.choice(list(shapes)))](random, len(scene.background))
    texture = contrasting(_square(random, pictures[cut], len(mask)), mask, background, random)
    return scene._replace(background=background, texture=texture, mask=mask)


def _square(random: Random, picture: np.ndarray, size: int) -> np.ndarray:
    """A square part of a picture, scaled to size x size."""
    side = int(min(picture.shape[:2]) * random.uniform(0.7, 1.0))
    top, left = (int(random.integers(0, length - side + 1)) for length in picture.shape[:2])
    return cv2.resize(picture[top : top + side, left : left + side], (size, size), interpolation=cv2.INTER_AREA)


def _accuracy(
    score: Score, card: Card, random: Random, scene: Callable[[], Scene], num_clips: int, name: str
) -> dict[str, Any]:
    labels = np.arange(num_clips) % len(MOVEMENTS)
    rows = []
    for begin in track(range(0, num_clips, BATCH), description=name, console=Console(stderr=True)):
        clips = [_clip(random, scene(), MOVEMENTS[label]) for label in labels[begin : begin + BATCH]]
        rows.append(card.probabilities(score(np.stack(clips))))
    probabilities = np.concatenate(rows)  # (N, T, K)

    def right(first: int, last: int) -> np.ndarray:
        return probabilities[:, first:last].mean(1).argmax(-1) == labels

    whole = right(CONTEXT, NUM_FRAMES)
    mean = probabilities[:, CONTEXT:].mean(1)
    pairs = {MOVEMENTS.index(a): MOVEMENTS.index(b) for pair in OPPOSITES for a, b in (pair, pair[::-1])}
    above = [mean[n, label] > mean[n, pairs[label]] for n, label in enumerate(labels.tolist()) if label in pairs]
    return {
        "clips": round(float(whole.mean()), 4),
        "by_frames_seen": {n: round(float(right(CONTEXT, n).mean()), 4) for n in SEEN},
        "frames": {n: round(float(right(n - 1, n).mean()), 4) for n in SEEN},
        "opposites": round(float(np.mean(above)), 4),
        "by_movement": {
            movement: round(float(whole[labels == index].mean()), 4) for index, movement in enumerate(MOVEMENTS)
        },
        "num_clips": num_clips,
    }


def _clip(random: Random, scene: Scene, movement: str) -> np.ndarray:
    mover: Mover = "frame" if scene.mask is None else "object"
    pose = make_pose(random, movement, NUM_FRAMES, mover=mover, radius=scene.radius, realism=1.0)
    return render(scene, pose, random, SIZE, realism=1.0)
