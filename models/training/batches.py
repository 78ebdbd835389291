"""Clips of a data set as batches; sampling and augmentation depend on seed, epoch and clip alone."""

from __future__ import annotations

import signal
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from actionstream.models.common.errors import ActionstreamError, in_a_line, is_mistake, is_out_of_memory
from actionstream.models.common.processes import leave_with_parent
from actionstream.models.preprocessing import Preprocessing
from actionstream.models.training.augmentation import Augmentation
from actionstream.models.training.datasets import Clip
from actionstream.models.training.loss import Batch
from actionstream.models.training.reading import stretch_of
from actionstream.models.training.sampling import FrameSampling
from actionstream.models.training.snippets import read_snippets
from actionstream.models.video import SourceError

MAX_BROKEN = 0.5
"""Share of the clips that may be broken; more is an error of the data set, not of a few files."""


Loaded = tuple[Batch | None, list[str], set[str]]
"""A batch, or None where no clip can be read; the errors of broken clips; the remarks on the other clips."""


@dataclass(frozen=True)
class ClipBatches(Dataset[Loaded]):
    """The batches of a run; each depends on the seed and its number alone.

    weights  of the labels, in their order; all 1 unless given
    share    (n, N): part n of N of each batch, n from 0; each process trains on its own part
    """

    clips: Sequence[Clip]
    labels: Sequence[str]
    sampled: FrameSampling
    preprocessing: Preprocessing
    augmentation: Augmentation
    batch_size: int
    num_batches: int
    seed: int
    weights: Sequence[float] = field(default=())
    share: tuple[int, int] = (0, 1)

    def __len__(self) -> int:
        return self.num_batches

    def __getitem__(self, number: int) -> Loaded:
        inputs, targets, weights = [], [], []
        broken: list[str] = []
        remarks: set[str] = set()
        for epoch, index in self._members(number):
            example = self._example_or_next(epoch, index, broken, remarks)
            if example is None:
                return None, broken, remarks
            frames, names = example
            wanted = np.zeros(len(self.labels), np.float32)
            wanted[[self.labels.index(name) for name in names]] = 1
            inputs.append(frames)
            targets.append(wanted)
            weights.append(self.weights[self.labels.index(names[0])] if self.weights else 1.0)
        batch = Batch(np.stack(inputs), np.stack(targets), np.array(weights, np.float32), self.sampled.num_warm)
        return batch, broken, remarks

    def _members(self, number: int) -> Iterator[tuple[int, int]]:
        """(epoch, index) of the clips of this share of a batch; a batch may reach into the next epoch."""
        part, parts = self.share
        size = self.batch_size // parts
        for place in range(number * self.batch_size + part * size, number * self.batch_size + (part + 1) * size):
            epoch, within = divmod(place, len(self.clips))
            yield epoch, int(_order(self.seed, epoch, len(self.clips))[within])

    def _example_or_next(
        self, epoch: int, index: int, broken: list[str], remarks: set[str]
    ) -> tuple[np.ndarray, list[str]] | None:
        """The example of a clip, or of the first readable clip after it, so that batches are always full."""
        for place in range(index, index + len(self.clips)):
            try:
                return self._example(epoch, place % len(self.clips), remarks)
            except SourceError as error:
                broken.append(str(error))
        return None

    def _example(self, epoch: int, index: int, remarks: set[str]) -> tuple[np.ndarray, list[str]]:
        random = np.random.default_rng((self.seed, epoch, index))
        clip = self.clips[index]
        stretch = stretch_of(clip)
        wanted = self.preprocessing
        places = self.sampled.places(len(stretch), stretch.rate, random, num_pictures=wanted.num_pictures)
        snippets = read_snippets(clip.path, stretch.first + places, wanted, whole=True, remarks=remarks)
        if wanted.modality == "features":
            return snippets, list(clip.labels)
        size = wanted.height, wanted.width
        with torch.random.fork_rng(devices=()):
            torch.manual_seed(int(random.integers(2**62)))
            pictures = torch.from_numpy(snippets).movedim(-1, 1)
            augmented, names = self.augmentation(pictures, clip.labels, size, is_flow=wanted.is_flow)
        return augmented.movedim(1, -1).numpy(), names


@lru_cache(maxsize=2)  # a batch may lie in two epochs
def _order(seed: int, epoch: int, num_clips: int) -> np.ndarray:
    """The order of the clips in an epoch."""
    return np.random.default_rng((seed, epoch)).permutation(num_clips)


def load_batches(
    batches: ClipBatches,
    *,
    first: int = 0,
    workers: int = 1,
    broken: set[str] | None = None,
    remarks: set[str] | None = None,
) -> Iterator[Batch]:
    """Batches from number `first` on; a clip that cannot be read is skipped, and its error is added to `broken`.

    Remarks on clips that can be read are added to `remarks`.

    Raises ValueError when more than MAX_BROKEN of all clips cannot be read.
    """
    broken = set() if broken is None else broken
    loader = DataLoader(
        _Told(batches),
        batch_size=None,
        sampler=range(first, len(batches)),
        num_workers=workers,
        worker_init_fn=begin_worker,
        # a forked copy of a process with threads, as torch has, can deadlock
        multiprocessing_context="spawn" if workers else None,
    )
    for loaded in _unless_killed(loader):
        if isinstance(loaded, str):
            raise ActionstreamError(loaded)
        batch, messages, odd = loaded
        broken.update(messages)
        if remarks is not None:
            remarks.update(odd)
        if len(broken) > MAX_BROKEN * len(batches.clips):
            shown = "; ".join(sorted(broken)[:5])
            raise ActionstreamError(
                f"{len(broken)} of {len(batches.clips)} clips cannot be read, more than half: {shown}"
            )
        if batch is not None:
            yield batch


def _unless_killed(loader: Iterable[Loaded | str]) -> Iterator[Loaded | str]:
    """What a loader gives; ActionstreamError where the system killed a worker process."""
    try:
        yield from loader
    except RuntimeError as error:
        if "DataLoader worker" not in str(error):
            raise
        raise ActionstreamError(
            f"a process that reads clips has died, often because memory ran out; take fewer --workers: {error}"
        ) from error


@dataclass(frozen=True)
class _Told(Dataset[Loaded | str]):
    """Batches, or the message for the user: torch passes an error of a worker process on as the text of a traceback."""

    batches: ClipBatches

    def __getitem__(self, number: int) -> Loaded | str:
        try:
            return self.batches[number]
        except Exception as error:
            if is_mistake(error) or is_out_of_memory(error):
                return in_a_line(error)
            raise


def begin_worker(worker: int) -> None:
    """Set up a worker process: one thread; it ignores Ctrl-C and ends with the training process."""
    import cv2

    leave_with_parent()
    cv2.setNumThreads(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
