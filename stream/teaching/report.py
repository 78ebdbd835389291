"""What a taught model makes of its own examples: each is recognised by what all others teach."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from actionstream.models.training.remarks import describe
from actionstream.teaching.examples import Example
from actionstream.teaching.fit import Fit


@dataclass(frozen=True)
class Report:
    """What a fit says of each example that is left out of it.

    labels     of the fit (K)
    answers    the label that each example looks like; None where its label has no other example: it cannot be checked
    confusion  int (K, K): checked examples of the row's label that look like the column's
    confused   the two labels that are confused most, and how many of how many examples; None where all are right
    worst      the number of the wrong example whose own label is least likely; None where all are right
    """

    labels: tuple[str, ...]
    answers: tuple[str | None, ...]
    confusion: np.ndarray
    confused: tuple[str, str, int, int] | None
    worst: int | None

    def sentences(self, examples: Sequence[Example], *, remedy: str = "") -> list[str]:
        """The report in words; `remedy` follows the example that fits least, with its number from 1 in place of {}."""
        sentences = []
        if total := int(self.confusion.sum()):
            sentences.append(describe(int(self.confusion.trace()), total))
        if self.confused is not None:
            first, second, count, of = self.confused
            sentences.append(f"confused most: {first} and {second}, {count} of {of} examples")
        if self.worst is not None:
            worst = examples[self.worst]
            said = f"fits least: {worst.name} of {worst.label} looks like {self.answers[self.worst]}"
            sentences.append(f"{said} {remedy.format(self.worst + 1)}".rstrip())
        single = [each.label for each, answer in zip(examples, self.answers, strict=True) if answer is None]
        if single:
            sentences.append(f"cannot be checked, as there is one example: {', '.join(single)}")
        return sentences


def report_on(examples: Sequence[Example], fit: Fit) -> Report:
    """The report on the examples of a fit."""
    counts = Counter(example.label for example in examples)
    best = fit.probabilities.argmax(axis=1)
    own = [fit.labels.index(example.label) for example in examples]
    checked = [number for number, example in enumerate(examples) if counts[example.label] > 1]
    confusion = np.zeros((len(fit.labels), len(fit.labels)), int)
    pairs = Counter[tuple[int, int]]()
    for number in checked:
        confusion[own[number], best[number]] += 1
        if own[number] != best[number]:
            pairs[min(own[number], int(best[number])), max(own[number], int(best[number]))] += 1
    confused = None
    if pairs:
        (pair, count) = pairs.most_common(1)[0]
        first, second = (fit.labels[index] for index in pair)
        confused = first, second, count, counts[first] + counts[second]
    return Report(
        labels=fit.labels,
        answers=tuple(
            fit.labels[best[number]] if counts[example.label] > 1 else None for number, example in enumerate(examples)
        ),
        confusion=confusion,
        confused=confused,
        worst=min(
            (number for number in checked if own[number] != best[number]),
            key=lambda number: fit.probabilities[number, own[number]],
            default=None,
        ),
    )
