"""Accuracy of a network on clips it has not seen: several clips of a video, several crops of a clip."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.progress import track

from actionstream.models.card import Card
from actionstream.models.common.errors import ActionstreamError
from actionstream.models.labels import find_background
from actionstream.models.modality import open_modality
from actionstream.models.network import Network, call_on_meta
from actionstream.models.networks.folding import fold_batch_norms
from actionstream.models.training import distributed
from actionstream.models.training.datasets import Clip
from actionstream.models.training.reading import check_repeats, read_frames, stretch_of
from actionstream.models.training.sampling import FrameSampling
from actionstream.models.training.snippets import read_snippets
from actionstream.models.video import SourceError

PARTS = tuple(round(0.1 * tenth, 1) for tenth in range(1, 11))
CHUNK = 32
"""Frames of a call while a video is streamed; any number gives the same scores (law of chunking)."""


@dataclass(frozen=True)
class Tested:
    """Scores of clips, and their true labels. A background label that no clip has is no answer.

    scores  float32 (N, V, K): N videos, V views (clips x crops) of each
    truth   bool (N, K)
    labels  of the K scores
    broken  errors of videos that cannot be read, which are not among the N
    remarks on videos that are
    """

    scores: np.ndarray
    truth: np.ndarray
    labels: tuple[str, ...]
    broken: tuple[str, ...]
    remarks: tuple[str, ...] = ()

    def figures(self) -> dict[str, Any]:
        """Accuracies from 0 to 1 where each video has one label, else mean average precision.

        The accuracies are top-1 and top-5 of videos, top-1 of views ("clip_top1"), and the mean over classes;
        "answers" counts the labels that are predicted.
        """
        scores = _without_unasked(self.scores, self.labels, self.truth)
        video = scores.mean(axis=1)
        if (self.truth.sum(axis=1) != 1).any():
            return {"videos": len(video), "mAP": mean_average_precision(video, self.truth)}
        truth = self.truth.argmax(axis=1)
        answers = video.argmax(axis=1)
        right = answers == truth
        per_class = {
            label: float(right[truth == number].mean())
            for number, label in enumerate(self.labels)
            if (truth == number).any()
        }
        return {
            "videos": len(video),
            "top1": float(right.mean()),
            "top5": _top(video, truth, 5),
            "clip_top1": _top(scores.reshape(-1, len(self.labels)), truth.repeat(scores.shape[1]), 1),
            "mean_class": float(np.mean(list(per_class.values()))),
            "per_class": per_class,
            "answers": {self.labels[number]: int((answers == number).sum()) for number in np.unique(answers).tolist()},
        }

    def confusion(self) -> np.ndarray:
        """int (K, K): videos with the row's label that were predicted to have the column's."""
        counts = np.zeros((len(self.labels),) * 2, dtype=np.int64)
        scores = _without_unasked(self.scores, self.labels, self.truth)
        np.add.at(counts, (self.truth.argmax(axis=1), scores.mean(axis=1).argmax(axis=1)), 1)
        return counts


def test(
    network: Network,
    card: Card,
    clips: Sequence[Clip],
    sampled: FrameSampling,
    *,
    num_clips: int = 1,
    num_crops: int = 1,
    full: bool = False,
    device: str = "cpu",
    progress: str = "",
) -> Tested:
    """Score videos that have labels; where there are several processes, each scores a part of them.

    A network that streams, and whose card has a context, is tested as it runs live: the whole video is streamed from
    an empty state, and its score is `settled`. For others frames are sampled:

    sampled    which frames
    num_clips  of each video, evenly spread: 10 in the TSM paper's accurate setting
    num_crops  1 is the centre, 3 are spread along the longer side
    full       the input is the whole picture at the scale of the preprocessing, or with 3 crops squares of its short
               side (arXiv:1811.08383, section 5.1)
    progress   title of the progress bar; "": no bar

    Raises ValueError where `full` pictures do not fit the network.
    """
    if num_clips < 1 or num_crops not in (1, 3):
        raise ActionstreamError(f"{num_clips} clips of {num_crops} crops: 1 clip or more, and 1 or 3 crops")
    _check_labels(clips, card)
    network = _ready(network, card, device)
    scores, truth, broken = [], [], []
    remarks: set[str] = set()
    numbered = {label: number for number, label in enumerate(card.labels)}
    fitting: set[tuple[int, ...]] = set()  # shapes that the network can take
    for clip in _shown(clips[distributed.rank() :: distributed.num_processes()], progress):
        try:
            if runs_live(network, card):
                rows, _ = _streamed(network, card, clip, device, remarks)
                if not len(rows):
                    raise SourceError(f"{clip.path} is shorter than a snippet of {card.interval_seconds:.2g} s")
                scores.append(settled(rows, card)[None])
            else:
                views = _views(clip, card, sampled, num_clips, num_crops, full, remarks)
                if full and views.shape not in fitting:
                    _check_fits(network, card, views.shape)
                    fitting.add(views.shape)
                scores.append(_scored(network, card, views, device))
        except SourceError as error:
            broken.append(str(error))
            continue
        row = np.zeros(len(card.labels), dtype=bool)
        row[[numbered[label] for label in clip.labels]] = True
        truth.append(row)
    scores, truth, broken = distributed.gathered(scores), distributed.gathered(truth), distributed.gathered(broken)
    if not scores:
        raise ActionstreamError(f"none of the {len(clips)} videos can be read: {'; '.join(broken[:3])}")
    remarks = set(distributed.gathered(sorted(remarks)))
    return Tested(np.stack(scores), np.stack(truth), card.labels, tuple(broken), tuple(sorted(remarks)))


def runs_live(network: Network, card: Card) -> bool:
    """Whether a network is tested as it runs live: its first rows, the context of its card, mean nothing."""
    return network.streams and card.context > 0


def settled(rows: np.ndarray, card: Card) -> np.ndarray:
    """The score (K,) of a stream whose rows (n, K) are known: the mean of those that are about frames that were seen.

    These come after the warm-up, and after as many snippets as a score is about; else it is the last row.
    """
    return rows[min(max(card.context, card.covers), len(rows) - 1) :].mean(axis=0)


def test_online(
    network: Network,
    card: Card,
    clips: Sequence[Clip],
    *,
    device: str = "cpu",
    progress: str = "",
    broken: list[str] | None = None,
) -> dict[float, float]:
    """Top-1 accuracy of a network that streams, by the part of a video that it has seen, 0.1 to 1.

    A video is streamed from an empty state at the frame interval of the card. The prediction at a frame is the label of
    the highest score, `settled` so far. Before the first stack of pictures is full there is no prediction; that counts
    as wrong. Errors of videos that cannot be read are added to `broken`.
    """
    _check_labels(clips, card)
    if not network.streams:
        raise ActionstreamError(f"{card.network} needs whole clips, and cannot say anything before it has one")
    network = _ready(network, card, device)
    truth = np.array([[label in clip.labels for label in card.labels] for clip in clips])
    right = []
    for clip in _shown(clips, progress):
        try:
            rows, made = _streamed(network, card, clip, device, set())
        except SourceError as error:
            if broken is not None:
                broken.append(str(error))
            continue
        rows = _without_unasked(rows, card.labels, truth)
        ends = [int(made[max(round(part * len(made)), 1) - 1]) for part in PARTS]
        best = [settled(rows[:end], card).argmax() if end else None for end in ends]
        right.append([number is not None and card.labels[number] in clip.labels for number in best])
    if not right:
        raise ActionstreamError(f"none of the {len(clips)} videos can be read")
    return dict(zip(PARTS, np.mean(right, axis=0).tolist(), strict=True))


def _ready(network: Network, card: Card, device: str) -> Network:
    """The network to test; one that runs live has its batch norms folded as live: it is quicker."""
    network = network.to(device).eval()
    if not runs_live(network, card):
        return network
    wanted = card.preprocessing
    return fold_batch_norms(network, (1, 1, wanted.in_channels, wanted.height, wanted.width))


def _streamed(
    network: Network, card: Card, clip: Clip, device: str, remarks: set[str]
) -> tuple[np.ndarray, np.ndarray]:
    """Score rows (n, K) of a clip that is streamed from an empty state, and how many there are after each picture.

    Only CHUNK pictures are in memory, however long the clip is.
    """
    stretch = stretch_of(clip)
    check_repeats(clip)
    step = max(card.frame_seconds * stretch.rate, 1.0)
    places = stretch.first + np.arange(0, len(stretch), step).round().astype(int)
    places = places.clip(max=stretch.last - 1)
    stage = open_modality(card.preprocessing, interval_seconds=card.interval_seconds)
    rows, state = [np.zeros((0, len(card.labels)), np.float32)], None
    has_snippet: list[bool] = []
    for begin in range(0, len(places), CHUNK):
        part = places[begin : begin + CHUNK].tolist()
        frames = read_frames(clip.path, part, remarks=remarks)
        pushed = [stage.push(frame, place / stretch.rate) for frame, place in zip(frames, part, strict=True)]
        has_snippet += [snippet is not None for snippet in pushed]
        snippets = [snippet for snippet in pushed if snippet is not None]
        if snippets:
            given = card.preprocessing.normalise(torch.from_numpy(np.stack(snippets)[None]).to(device))
            with torch.inference_mode():
                scores, state = network(given, state)
            rows.append(scores[0].float().cpu().numpy())
    return np.concatenate(rows), np.cumsum(has_snippet)


def _scored(network: Network, card: Card, views: np.ndarray, device: str) -> np.ndarray:
    """Scores (V, K) of views, uint8 (V, T, height, width, channels)."""
    frames = card.preprocessing.normalise(torch.from_numpy(views).to(device))
    with torch.inference_mode():
        found = network(frames)[0].mean(dim=1) if network.streams else network(frames)
    return found.float().cpu().numpy()


def _without_unasked(scores: np.ndarray, labels: Sequence[str], truth: np.ndarray) -> np.ndarray:
    """Scores (..., K) that rule the background label out where no video has it; `truth` is bool (N, K)."""
    background = find_background(labels)
    if background is None or truth[:, labels.index(background)].any():
        return scores
    scores = scores.copy()
    scores[..., labels.index(background)] = -np.inf
    return scores


def _shown(clips: Sequence[Clip], progress: str) -> Iterable[Clip]:
    hidden = not progress or distributed.rank() > 0
    return track(clips, description=progress, console=Console(stderr=True), disable=hidden, transient=True)


def _check_labels(clips: Sequence[Clip], card: Card) -> None:
    for clip in clips:
        if missing := set(clip.labels) - set(card.labels):
            raise ActionstreamError(f"{clip.path} is labelled {min(missing)!r}, which the network does not know")


def _check_fits(network: Network, card: Card, views: tuple[int, ...]) -> None:
    """ValueError where pictures of this size do not go through the network."""
    _, num_frames, height, width, _ = views
    try:
        call_on_meta(network, (1, num_frames, network.in_channels, height, width))
    except (ActionstreamError, RuntimeError) as error:  # torch raises RuntimeError for sizes that do not fit
        raise ActionstreamError(
            f"{card.network} takes pictures of {card.preprocessing.width} x {card.preprocessing.height} pixels only, "
            f"not whole ones of {width} x {height}; test it without --full: {error}"
        ) from error


def _views(
    clip: Clip, card: Card, sampled: FrameSampling, num_clips: int, num_crops: int, full: bool, remarks: set[str]
) -> np.ndarray:
    """uint8 (V, T, height, width, channels)."""
    stretch, wanted = stretch_of(clip), card.preprocessing
    starts = [0.5] if num_clips == 1 else np.linspace(0, 1, num_clips).tolist()
    places = np.concatenate(
        [sampled.places(len(stretch), stretch.rate, num_pictures=wanted.num_pictures, start=start) for start in starts]
    )
    snippets = read_snippets(clip.path, stretch.first + places, wanted, whole=full or num_crops == 3, remarks=remarks)
    size = (wanted.height, wanted.width) if not full else (min(snippets.shape[1:3]),) * 2
    pictures = snippets if num_crops == 1 else _three_crops(snippets, *size)
    return pictures.reshape(num_crops * num_clips, -1, *pictures.shape[-3:])


def _three_crops(pictures: np.ndarray, height: int, width: int) -> np.ndarray:
    """At both ends of the longer side and in the centre: (N, h, w, C) to (3, N, height, width, C)."""
    rows, columns = pictures.shape[1:3]
    tops = np.linspace(0, rows - height, 3).astype(int)
    lefts = np.linspace(0, columns - width, 3).astype(int)
    if columns >= rows:
        tops = tops[[1, 1, 1]]
    else:
        lefts = lefts[[1, 1, 1]]
    return np.stack([pictures[:, y : y + height, x : x + width] for y, x in zip(tops, lefts, strict=True)])


def _top(scores: np.ndarray, truth: np.ndarray, count: int) -> float:
    """Share of rows whose true label is among the `count` highest."""
    higher = (scores > scores[np.arange(len(truth)), truth][:, None]).sum(axis=1)
    return float((higher < count).mean())


def mean_average_precision(scores: np.ndarray, truth: np.ndarray) -> float:
    """mAP of scores (N, K) against truth (N, K), not interpolated; the mean over labels that occur in the truth."""
    precisions = []
    for column in np.flatnonzero(truth.any(axis=0)):
        hits = truth[np.argsort(-scores[:, column], kind="stable"), column]
        precisions.append((np.cumsum(hits) / np.arange(1, len(hits) + 1))[hits].mean())
    return float(np.mean(precisions))
