"""What is learnt from examples: the linear layer of a taught network, and what it says of examples it has not seen.

Letters: E examples, N windows, F features, P parts, K classes; class 0 is NOTHING.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from actionstream.models.common.errors import ActionstreamError
from actionstream.teaching.examples import NOTHING, Example, labels_of, names_a_side
from actionstream.teaching.ridge import Ridge, fit_ridge
from actionstream.teaching.windows import choose_lengths, describe, of_action, of_nothing

PENALTIES = (0.003, 0.01, 0.03, 0.1, 0.3)  # they increase
MOST_EXAMPLES, MOST_WINDOWS = 1500, 2000
"""The most examples, and the most windows of a fit with fewer examples: it then takes some seconds."""
SCALES = 2.0 ** np.arange(-1, 6.25, 0.25)
USUAL_PENALTY, USUAL_SCALE = 0.03, 8.0
"""Penalties of the weights, and scales of the scores: those are taken that predict left-out examples best, the
usual ones where each label has a single example."""


@dataclass(frozen=True)
class Fit:
    """What is learnt from E examples.

    labels         of the K classes
    lengths        of the windows, in snippets
    weights        float32 (K, P F)
    offset         float32 (K,)
    probabilities  float64 (E, K): of each example, by the fit to all examples of other recordings
    """

    labels: tuple[str, ...]
    lengths: tuple[int, ...]
    weights: np.ndarray
    offset: np.ndarray
    probabilities: np.ndarray


def fit_examples(examples: Sequence[Example], *, num_parts: int, longest: int) -> Fit:
    """Learn from examples.

    longest  window, in snippets

    Raises ActionstreamError unless there are two labels; NOTHING may be one of them.
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
    penalties = [penalty / len(examples) for penalty in PENALTIES]
    fit = partial(fit_ridge, np.stack(rows), np.eye(len(labels))[classes], counts=np.array(counts))
    fits = fit(np.array(groups), penalties=penalties)
    fitted, scale = fits[PENALTIES.index(USUAL_PENALTY)], USUAL_SCALE
    several = [label for label in labels[1:] if sum(example.label == label for example in actions) > 1]
    if several:  # what is left out of a label with one example has nothing to be recognised by
        known = np.isin(classes, [0, *map(labels.index, several)])
        fitted, scale = _choose(fits, np.array(classes), np.array(groups), np.array(counts) * known)
    left_out = fitted.left_out
    if any(example.recording for example in examples):
        # The penalty is chosen on single examples all the same: few recordings choose one that is far too large.
        chosen = penalties[fits.index(fitted)]
        (of_recordings,) = fit(np.array(_recordings(examples))[groups], penalties=[chosen])
        left_out = of_recordings.left_out
    return Fit(
        labels=labels,
        lengths=choose_lengths(actions or examples, longest=longest),
        weights=(fitted.weights * scale).astype(np.float32),
        offset=(fitted.offset * scale).astype(np.float32),
        probabilities=np.exp(_log_softmax(left_out[firsts] * scale)),
    )


def _recordings(examples: Sequence[Example]) -> list[int]:
    """A number for the recording of each example."""
    names: dict[object, int] = {}
    return [names.setdefault(example.recording or number, len(names)) for number, example in enumerate(examples)]


def check_examples(examples: Sequence[Example]) -> tuple[str, ...]:
    """The labels of examples, if they can be learnt from; else ActionstreamError says what is missing."""
    labels = labels_of(examples)
    given = [label for label in labels if any(example.label == label for example in examples)]
    if len(given) < 2:
        have = f"all {len(examples)} are of {given[0]}" if given else "there is none"
        raise ActionstreamError(
            f"too few examples: {have}; expected two labels or more ({NOTHING} may be one), with five examples each"
        )
    if len(examples) > MOST_EXAMPLES:
        raise ActionstreamError(
            f"there are {len(examples)} examples; expected {MOST_EXAMPLES} at most; train on so many clips with "
            "`actionstream train --data`"
        )
    return labels


def _choose(fits: Sequence[Ridge], classes: np.ndarray, groups: np.ndarray, counts: np.ndarray) -> tuple[Ridge, float]:
    """The fit with the largest penalty that is as good as the best one, and its best scale.

    Good is a low negative log-likelihood of examples that are left out; as good means within one standard error of the
    difference (the rule of Breiman et al., Classification and Regression Trees, 1984, section 3.4.3).
    """
    best_of_each = [
        min(((_losses(fit.left_out * scale, classes, groups, counts), scale) for scale in SCALES), key=_mean_loss)
        for fit in fits
    ]
    lowest = min(best_of_each, key=_mean_loss)[0]
    as_good = [
        (fit, scale)
        for fit, (losses, scale) in zip(fits, best_of_each, strict=True)
        if losses.mean() <= lowest.mean() + (losses - lowest).std() / np.sqrt(len(losses))
    ]
    return as_good[-1]


def _losses(scores: np.ndarray, classes: np.ndarray, groups: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """The negative log-likelihood of each group's classes."""
    losses = -counts * _log_softmax(scores)[np.arange(len(classes)), classes]
    return np.bincount(groups, losses)


def _mean_loss(each: tuple[np.ndarray, float]) -> float:
    return float(each[0].mean())


def _log_softmax(scores: np.ndarray) -> np.ndarray:
    scores = scores - scores.max(axis=1, keepdims=True)
    return scores - np.log(np.exp(scores).sum(axis=1, keepdims=True))
