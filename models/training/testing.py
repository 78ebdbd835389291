"""How well a network tells clips it has not seen: several clips of a video, several crops of a clip."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.progress import track

from models.checkpoint import Card
from models.network import Network
from models.training.clips import Sampled
from models.training.datasets import Clip
from models.training.reading import BrokenVideo, read_frames, stretch_of

PARTS = tuple(round(0.1 * tenth, 1) for tenth in range(1, 11))
CHUNK = 32
"""Frames of a call while a video is streamed; any number gives the same scores (law of chunking)."""


@dataclass(frozen=True)
class Tested:
    """Scores of clips, and what is true of them.

    scores  float32 (N, V, K): N videos, V views (clips x crops) of each
    truth   bool (N, K)
    labels  of the K scores
    broken  what was wrong with videos that are not among the N
    """

    scores: np.ndarray
    truth: np.ndarray
    labels: tuple[str, ...]
    broken: tuple[str, ...]

    def figures(self) -> dict[str, Any]:
        """Shares from 0 to 1: where one label is right, top-1 and top-5 of views and of videos, and their mean over
        classes; where several may be, mean average precision."""
        video = self.scores.mean(axis=1)
        if (self.truth.sum(axis=1) != 1).any():
            return {"videos": len(video), "mAP": mean_average_precision(video, self.truth)}
        truth = self.truth.argmax(axis=1)
        right = video.argmax(axis=1) == truth
        per_class = {
            label: float(right[truth == number].mean())
            for number, label in enumerate(self.labels)
            if (truth == number).any()
        }
        return {
            "videos": len(video),
            "top1": float(right.mean()),
            "top5": _top(video, truth, 5),
            "clip_top1": _top(self.scores.reshape(-1, len(self.labels)), truth.repeat(self.scores.shape[1]), 1),
            "mean_class": float(np.mean(list(per_class.values()))),
            "per_class": per_class,
        }

    def confusion(self) -> np.ndarray:
        """int (K, K): videos of the row's label that were taken for the column's."""
        counts = np.zeros((len(self.labels),) * 2, dtype=np.int64)
        np.add.at(counts, (self.truth.argmax(axis=1), self.scores.mean(axis=1).argmax(axis=1)), 1)
        return counts


def test(
    network: Network,
    card: Card,
    clips: Sequence[Clip],
    sampled: Sampled,
    *,
    num_clips: int = 1,
    num_crops: int = 1,
    device: str = "cpu",
    progress: str = "",
) -> Tested:
    """Score videos that have labels.

    num_clips  of each video, evenly spread: 10 in the TSM paper's accurate setting
    num_crops  1 is the centre, 3 are spread along the longer side
    progress   a word for the progress bar; none without
    """
    if num_clips < 1 or num_crops not in (1, 3):
        raise ValueError(f"{num_clips} clips of {num_crops} crops: 1 clip or more, and 1 or 3 crops")
    network = network.to(device).eval()
    scores, truth, broken = [], [], []
    numbered = {label: number for number, label in enumerate(card.labels)}
    shown = track(clips, description=progress, console=Console(stderr=True), disable=not progress, transient=True)
    for clip in shown:
        if missing := set(clip.labels) - numbered.keys():
            raise ValueError(f"{clip.path} is labelled {min(missing)!r}, which the network does not know")
        try:
            views = _views(clip, card, sampled, num_clips, num_crops)
        except BrokenVideo as error:
            broken.append(str(error))
            continue
        frames = card.preprocessing.normalise(torch.from_numpy(views).to(device))
        with torch.inference_mode():
            found = network(frames)[0].mean(dim=1) if network.streams else network(frames)
        scores.append(found.float().cpu().numpy())
        row = np.zeros(len(card.labels), dtype=bool)
        row[[numbered[label] for label in clip.labels]] = True
        truth.append(row)
    if not scores:
        raise ValueError(f"none of the {len(clips)} videos can be read: {'; '.join(broken[:3])}")
    return Tested(np.stack(scores), np.stack(truth), card.labels, tuple(broken))


def test_online(
    network: Network, card: Card, clips: Sequence[Clip], *, device: str = "cpu", progress: str = ""
) -> dict[float, float]:
    """How right a network that streams is when how much of a video has been seen: top-1 by part of it, 0.1 to 1.

    A video is streamed from an empty state in the rhythm of the card; what is said at a frame is the label of the mean
    score so far.
    """
    if not network.streams:
        raise ValueError(f"{card.network} needs whole clips, and cannot say anything before it has one")
    network = network.to(device).eval()
    right = []
    shown = track(clips, description=progress, console=Console(stderr=True), disable=not progress, transient=True)
    for clip in shown:
        try:
            stretch = stretch_of(clip)
            step = card.interval_seconds * stretch.rate
            places = stretch.first + np.arange(0, len(stretch), step).round().astype(int).clip(max=len(stretch) - 1)
            frames = read_frames(clip.path, places.tolist())
        except BrokenVideo:
            continue
        rows, state = [], None
        for begin in range(0, len(frames), CHUNK):
            pictures = np.stack([card.preprocessing.resize(frame) for frame in frames[begin : begin + CHUNK]])
            given = card.preprocessing.normalise(torch.from_numpy(pictures[None]).to(device))
            with torch.inference_mode():
                scores, state = network(given, state)
            rows.append(scores[0].float().cpu().numpy())
        scores = np.concatenate(rows)
        said = (scores.cumsum(axis=0) / np.arange(1, len(scores) + 1)[:, None]).argmax(axis=1)
        ends = [max(round(part * len(said)), 1) - 1 for part in PARTS]
        right.append([card.labels[label] in clip.labels for label in said[ends]])
    return dict(zip(PARTS, np.mean(right, axis=0).tolist(), strict=True))


def _views(clip: Clip, card: Card, sampled: Sampled, num_clips: int, num_crops: int) -> np.ndarray:
    """uint8 (V, T, height, width, 3)."""
    stretch = stretch_of(clip)
    starts = [0.5] if num_clips == 1 else np.linspace(0, 1, num_clips).tolist()
    places = [stretch.first + sampled.places(len(stretch), stretch.rate, start=start) for start in starts]
    frames = read_frames(clip.path, np.concatenate(places).tolist())
    if num_crops == 1:
        pictures = np.stack([card.preprocessing.resize(frame) for frame in frames])[None]
    else:
        pictures = np.stack([_three_crops(card.preprocessing.scale(frame), card) for frame in frames], axis=1)
    size = pictures.shape[2:]
    return pictures.reshape(num_crops, num_clips, -1, *size).reshape(num_crops * num_clips, -1, *size)


def _three_crops(picture: np.ndarray, card: Card) -> np.ndarray:
    """At both ends of the longer side and in the centre, (3, height, width, 3)."""
    high, wide = card.preprocessing.height, card.preprocessing.width
    tops = np.linspace(0, picture.shape[0] - high, 3).astype(int)
    lefts = np.linspace(0, picture.shape[1] - wide, 3).astype(int)
    if picture.shape[1] >= picture.shape[0]:
        tops = tops[[1, 1, 1]]
    else:
        lefts = lefts[[1, 1, 1]]
    return np.stack([picture[top : top + high, left : left + wide] for top, left in zip(tops, lefts, strict=True)])


def _top(scores: np.ndarray, truth: np.ndarray, count: int) -> float:
    """Share of rows whose true label is among the highest."""
    higher = (scores > scores[np.arange(len(truth)), truth][:, None]).sum(axis=1)
    return float((higher < count).mean())


def mean_average_precision(scores: np.ndarray, truth: np.ndarray) -> float:
    """Of scores (N, K) against truth (N, K): not interpolated, over the labels that something has."""
    precisions = []
    for column in np.flatnonzero(truth.any(axis=0)):
        hits = truth[np.argsort(-scores[:, column], kind="stable"), column]
        precisions.append((np.cumsum(hits) / np.arange(1, len(hits) + 1))[hits].mean())
    return float(np.mean(precisions))
