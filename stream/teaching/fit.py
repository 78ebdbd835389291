"""What is learnt from examples: the linear layer of a taught network, and what it says of examples it has not seen.

Letters: E examples, N windows, F features, P parts, K classes; class 0 is NOTHING.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np

from actionstream.models.common.errors import ActionstreamError
from actionstream.teaching.examples import NOTHING, Example, labels_of, names_a_side
from actionstream.teaching.ridge import fit_ridge
from actionstream.teaching.windows import choose_lengths, describe, of_action, of_nothing

PENALTIES = (0.003, 0.01, 0.03, 0.1, 0.3)
MOST_EXAMPLES, MOST_WINDOWS = 3000, 4000
"""The most examples, and about the most windows of a fit: it then takes some seconds and a gigabyte."""
SCALES = 2.0 ** np.arange(-1, 6.25, 0.25)
"""Penalties of the weights, and scales of the scores: those are taken that predict examples best that are left out."""


@dataclass(frozen=True)
class Fit:
    """What is learnt from E examples.

    labels         of the K classes
    lengths        of the windows, in snippets
    weights        float32 (K, P F)
    offset         float32 (K,)
    probabilities  float64 (E, K): of each example, by the fit to all others
    """

    labels: tuple[str, ...]
    lengths: tuple[int, ...]
    weights: np.ndarray
    offset: np.ndarray
    probabilities: np.ndarray


def fit_examples(examples: Sequence[Example], *, num_parts: int, longest: int) -> Fit:
    """Learn from examples.

    longest  window, in snippets

    Raises ActionstreamError unless two labels, NOTHING among them or not, have two examples each.
    """
    labels = check_examples(examples)
    actions = [example for example in examples if example.label != NOTHING]
    mirrored = not names_a_side(labels)
    most = max(1, MOST_WINDOWS // (2 * len(examples)))  # of an example, for each of action and nothing
    rows: list[np.ndarray] = []
    classes: list[int] = []
    groups: list[int] = []
    counts: list[float] = []
    firsts: list[int] = []

    def add(windows: list[np.ndarray], target: int, group: int) -> None:
        rows.extend(describe(window, num_parts) for window in windows)
        classes.extend([target] * len(windows))
        groups.extend([group] * len(windows))
        counts.extend([1 / len(windows)] * len(windows))

    for number, example in enumerate(examples):
        firsts.append(len(rows))
        if example.label == NOTHING:
            add(example.windows(longest)[:most], 0, number)
            continue
        add(list(of_action(example, longest=longest, mirrored=mirrored))[:most], labels.index(example.label), number)
        add(list(of_nothing(actions, actions.index(example), longest=longest))[:most], 0, number)
    fits = fit_ridge(
        np.stack(rows), np.eye(len(labels))[classes], np.array(groups), penalties=PENALTIES, counts=np.array(counts)
    )
    fitted, scale = min(
        product(fits, SCALES),
        key=lambda each: _surprise(each[0].left_out * each[1], np.array(classes), np.array(counts)),
    )
    return Fit(
        labels=labels,
        lengths=choose_lengths(actions or examples, longest=longest),
        weights=(fitted.weights * scale).astype(np.float32),
        offset=(fitted.offset * scale).astype(np.float32),
        probabilities=np.exp(_log_softmax(fitted.left_out[firsts] * scale)),
    )


def check_examples(examples: Sequence[Example]) -> tuple[str, ...]:
    """The labels of examples, if they can be learnt from; else ActionstreamError says what is missing."""
    labels = labels_of(examples)
    numbers = {label: sum(example.label == label for example in examples) for label in labels}
    given = [label for label in labels if numbers[label]]
    few = [label for label in given if numbers[label] < 2]
    if len(given) < 2 or few:
        have = ", ".join(f"{label} has {numbers[label]}" for label in given) or "there is none"
        raise ActionstreamError(
            f"too few examples: {have}; expected 2 examples or more of each label, and 2 labels or more "
            f"({NOTHING} may be one)"
        )
    if len(examples) > MOST_EXAMPLES:
        raise ActionstreamError(
            f"there are {len(examples)} examples; expected {MOST_EXAMPLES} at most; train on so many clips with "
            "`actionstream train --data`"
        )
    return labels


def _surprise(scores: np.ndarray, classes: np.ndarray, counts: np.ndarray) -> float:
    """The mean negative logarithm of the probability of each row's class."""
    return -float(counts @ _log_softmax(scores)[np.arange(len(classes)), classes]) / float(counts.sum())


def _log_softmax(scores: np.ndarray) -> np.ndarray:
    scores = scores - scores.max(axis=1, keepdims=True)
    return scores - np.log(np.exp(scores).sum(axis=1, keepdims=True))
