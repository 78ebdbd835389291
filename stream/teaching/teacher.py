"""The teacher: examples of actions go in, a checkpoint that labels them live comes out."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import cast

import numpy as np
import torch

from actionstream.frame import Frame
from actionstream.models.backbones import BACKBONES, build, looking
from actionstream.models.card import Card
from actionstream.models.common.errors import ActionstreamError
from actionstream.models.locate import Model
from actionstream.models.networks.frozen_backbones import Looking
from actionstream.models.networks.taught import Taught
from actionstream.models.weights.checkpoint import read_attached, save
from actionstream.models.weights.loading import load
from actionstream.scoring.calibration import FalseStarts, count_false_starts
from actionstream.sources import SourceError, open_source
from actionstream.teaching.examples import NOTHING, Example
from actionstream.teaching.fit import Fit, fit_examples
from actionstream.teaching.live import Head
from actionstream.teaching.looking import Looker

LONGEST_SECONDS = 8.0
"""The longest window."""
BACKGROUND_SECONDS = 10.0
"""The length of the examples that long background is cut into."""
NUM_FOLDS = 5
"""Of the cross-validation that counts false starts."""


class Teacher:
    """Learns actions from a few examples of each.

        teacher = Teacher()
        for clip in clips:
            teacher.add("wave", clip)
        teacher.fit()
        teacher.save("mine.safetensors")

    model      a checkpoint that a teacher wrote, to go on from its examples
    backbones  checkpoints whose networks stream, for a new one
    """

    def __init__(self, model: Model | None = None, *, backbones: Sequence[Model] = BACKBONES):
        self.examples: list[Example] = []
        if model is None:
            built, card = build("taught", backbones)
            network = cast(Taught, built)
        else:
            network, card = load(model)  # type: ignore[assignment]
            if not isinstance(network, Taught):
                raise ActionstreamError(f"{model} is {card.network}; expected a model that `actionstream teach` wrote")
            self.examples = _examples_in(model, network, card)
        self.card: Card = card
        self._network: Taught = network
        self._looker = Looker(network, card)

    @property
    def longest(self) -> int:
        """The longest window, in snippets."""
        return round(LONGEST_SECONDS / self.card.interval_seconds)

    def looking(self) -> tuple[Looking, Card]:
        """The backbones alone, as a network whose scores are features, and its card."""
        return looking(self._network, self.card)

    def add(self, label: str, clip: str | os.PathLike[str] | Iterable[Frame], *, name: str = "") -> Example:
        """Add an example of a label, and return it; see `look`."""
        example = self.look(label, clip, name=name)
        self.examples.append(example)
        return example

    def look(self, label: str, clip: str | os.PathLike[str] | Iterable[Frame], *, name: str = "") -> Example:
        """What the backbones see of a clip, as an example of a label.

        clip  a video file or folder of pictures, or frames in their order
        name  of the example in messages; the file's unless given
        """
        if isinstance(clip, str | os.PathLike):
            path = Path(clip)
            with closing(open_source(path)) as source, named(path):
                return self.look(label, source, name=name or path.name)
        return Example(label, name or f"example {len(self.examples) + 1}", self._looker(clip))

    def add_background(
        self, clip: str | os.PathLike[str] | Iterable[Frame], *, name: str = "", recording: str = ""
    ) -> list[Example]:
        """Add what the camera sees when nothing happens, up to an hour: an example of NOTHING for each ten seconds.

        name       see `look`
        recording  whose examples are left out together; this clip unless given
        """
        if isinstance(clip, str | os.PathLike):
            path = Path(clip)
            with closing(open_source(path)) as source, named(path):
                return self.add_background(source, name=name or path.name, recording=recording)
        name = name or f"example {len(self.examples) + 1}"
        features = self.look_at_background(clip)
        length = round(BACKGROUND_SECONDS / self.card.interval_seconds)
        num_pieces = max(1, round(len(features) / length))
        pieces = []
        for piece, rows in enumerate(np.array_split(features, num_pieces)):
            seconds = piece * len(features) / num_pieces * self.card.interval_seconds
            begin = f", {int(seconds // 60)}:{seconds % 60:02.0f}" if num_pieces > 1 else ""
            pieces.append(Example(NOTHING, name + begin, rows[None], recording or (name if num_pieces > 1 else "")))
        self.examples += pieces
        return pieces

    def look_at_background(self, frames: Iterable[Frame]) -> np.ndarray:
        """What the backbones see of frames of up to an hour, as seen: float16 (n, F)."""
        return self._looker(frames, background=True)[0]

    def remove(self, number: int) -> Example:
        """Remove the example with this number, counted from 0."""
        if not 0 <= number < len(self.examples):
            raise ActionstreamError(f"no example {number}; there are {len(self.examples)}")
        return self.examples.pop(number)

    def fit(self) -> Fit:
        """Learn from the examples."""
        fit = self.learn(self.examples)
        self.take(fit)
        return fit

    def learn(self, examples: Sequence[Example]) -> Fit:
        """What other examples teach; the teacher does not change, and any thread may call this."""
        return fit_examples(examples, num_parts=self._network.num_parts, longest=self.longest)

    def count_false_starts(self) -> FalseStarts:
        """The false starts in the examples of NOTHING, each seen by a fit to the examples of other recordings.

        Call it after `fit`.
        """
        card = self.checkpoint()[1]
        actions = [example for example in self.examples if example.label != NOTHING]
        recordings = _recordings([example for example in self.examples if example.label == NOTHING])
        streams = []
        for fold in range(min(NUM_FOLDS, len(recordings))):
            others = chain.from_iterable(r for number, r in enumerate(recordings) if number % NUM_FOLDS != fold)
            head = Head(self.learn([*actions, *others]))
            for recording in recordings[fold::NUM_FOLDS]:
                rows = np.concatenate([example.features[0] for example in recording])
                scores = head.scores_of_all(rows)[card.context :]
                if len(scores):
                    times = np.arange(len(scores)) * card.interval_seconds
                    streams.append((card.probabilities(scores), times))
        return count_false_starts(streams, card.labels, background=NOTHING, interval_seconds=card.interval_seconds)

    def set_thresholds(self, found: FalseStarts, per_hour: float) -> None:
        """Set the thresholds of events so that false starts are as rare as this; the next `fit` forgets them."""
        self.card = replace(
            self.card,
            thresholds=found.choose(per_hour),
            training={**self.card.training, "false_starts_per_hour": per_hour},
        )

    def take(self, fit: Fit) -> None:
        """Take what was learnt from the examples."""
        self._network.set_linear(torch.from_numpy(fit.weights), torch.from_numpy(fit.offset), fit.lengths)
        self.card = replace(
            self.card,
            labels=fit.labels,
            arguments={**self.card.arguments, "num_classes": len(fit.labels), "lengths": fit.lengths},
            covers=min(fit.lengths),
            thresholds={},
            training={
                **self.card.training,
                "examples": [
                    {"label": each.label, "name": each.name, "recording": each.recording} for each in self.examples
                ],
            },
        )

    def sees_like(self, other: Teacher) -> bool:
        """Whether it sees the same features of a frame as another: the examples of one can be those of the other."""
        mine, its = (
            (each._network.uses, each._network.num_features, each._network.num_parts, each.card.preprocessing,
             each.card.interval_seconds, each.card.frame_seconds)
            for each in (self, other)
        )  # fmt: skip
        if mine != its:
            return False
        weights = other._network.backbones.state_dict()
        return all(torch.equal(each, weights[name]) for name, each in self._network.backbones.state_dict().items())

    def checkpoint(self) -> tuple[Taught, Card]:
        """The network and its card, as the last `fit` left them."""
        if not self.card.labels:
            raise ActionstreamError("there is no model yet; add examples and call fit()")
        return self._network, self.card

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the checkpoint, with the features of the examples in it."""
        network, card = self.checkpoint()
        features = [torch.from_numpy(np.ascontiguousarray(each.features)) for each in self.examples]
        save(path, network, card, half=True, attached={f"{n:05}": each for n, each in enumerate(features)})


@contextmanager
def named(clip: Path) -> Iterator[None]:
    """Put the name of a clip before an error in it; those of its file have it already."""
    try:
        yield
    except SourceError:
        raise
    except ActionstreamError as error:
        raise ActionstreamError(f"{clip}: {error}") from error


def _recordings(examples: Sequence[Example]) -> list[list[Example]]:
    """The examples of each recording; where there is only one, parts of it."""
    recordings: dict[str, list[Example]] = {}
    for example in examples:
        recordings.setdefault(example.recording or example.name, []).append(example)
    if len(recordings) > 1:
        return list(recordings.values())
    length = max(1, math.ceil(len(examples) / NUM_FOLDS))
    return [list(examples[begin : begin + length]) for begin in range(0, len(examples), length)]


def _examples_in(model: Model, network: Taught, card: Card) -> list[Example]:
    """The examples in a checkpoint: their names are in the card, their features are attached."""
    named = card.training.get("examples")
    features = [tensor.numpy() for tensor in read_attached(model).values()]
    wanted = "names and features of examples, as `actionstream teach` writes them"
    if not isinstance(named, list | tuple) or len(named) != len(features):
        raise ActionstreamError(f"{model} has no examples to go on from; expected {wanted}")
    examples = []
    for each, rows in zip(named, features, strict=True):
        if (
            not isinstance(each, dict)
            or {*each} - {"recording"} != {"label", "name"}
            or not all(isinstance(text, str) for text in each.values())
        ):
            raise ActionstreamError(f"{model} has an example {each!r:.100}; expected {wanted}")
        if (
            rows.dtype != np.float16
            or rows.ndim != 3
            or rows.shape[2] != network.num_features
            or len(rows) not in (1, 2)
        ):
            raise ActionstreamError(f"{model} has features {rows.dtype} {rows.shape} of an example; expected {wanted}")
        examples.append(Example(each["label"], each["name"], rows, each.get("recording", "")))
    return examples
