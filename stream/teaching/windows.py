"""Windows of examples, as rows of a fit: what the action is, and what is none of the actions.

A window is described as in `actionstream.models.networks.taught`: the means of its ordered parts, one after the other.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from actionstream.teaching.examples import Example

CROPS = ((0.0, 1.0), (0.0, 0.85), (0.15, 1.0), (0.07, 0.93))
"""Begin and end of the windows of an action, as shares of the example: live, a window never fits exactly."""
BEGUN = (0.3, 0.5)
"""Shares of an action that has only begun: as much as that is none of the actions yet."""


def describe(rows: np.ndarray, num_parts: int) -> np.ndarray:
    """The ordered parts of a window: rows (n, F) to (P F,), float32."""
    borders = np.linspace(0, len(rows), num_parts + 1)
    starts = np.arange(len(rows))
    inside = np.minimum(borders[1:, None], starts + 1) - np.maximum(borders[:-1, None], starts)
    return ((inside.clip(0) * (num_parts / len(rows))).astype(np.float32) @ rows.astype(np.float32)).ravel()


def choose_lengths(examples: Sequence[Example], *, longest: int) -> tuple[int, ...]:
    """Lengths of windows, in snippets, so that each example is nearly as long as one of them.

    They are at most a third apart; the shortest and the longest tenth of the examples do not count. Where half of the
    examples are longer than `longest`, half of that is a length, too, see `of_action`.
    """
    lengths = np.minimum([example.num_snippets for example in examples], longest)
    low, high = np.quantile(lengths, [0.1, 0.9])
    num_lengths = 1 + int(np.ceil(np.log(high / low) / np.log(1.35)))
    chosen = {round(length) for length in np.geomspace(low, high, num_lengths)}
    if np.median([example.num_snippets for example in examples]) > longest:
        chosen.add(max(1, longest // 2))
    return tuple(sorted(chosen))


def of_action(example: Example, *, longest: int, mirrored: bool) -> Iterator[np.ndarray]:
    """Windows (n, F) of the action in an example, the most telling ones first.

    An example that is longer than `longest` lasts or repeats itself, so windows of half that length show it, too.
    """
    variants = example.features[: 2 if mirrored else 1]
    for begin, end in CROPS:
        for rows in variants:
            cut = _cut(rows, begin, end)
            if len(cut) <= longest:
                yield cut
            else:
                yield from Example(example.label, example.name, cut[None]).windows(longest)
                yield from Example(example.label, example.name, cut[None]).windows(max(1, longest // 2))


def of_nothing(examples: Sequence[Example], number: int, *, longest: int) -> Iterator[np.ndarray]:
    """Windows (n, F) around example `number` that are none of the actions, the most telling ones first.

    An action that has only begun, one that is nearly over, the end of it and the begin of another, and stillness.
    """
    rows = examples[number].features[0]
    other = examples[(number + len(examples) // 2 + 1) % len(examples)].features[0][:longest]
    yield np.concatenate([_cut(rows[-longest:], 0.5, 1), _cut(other, 0, 0.5)])
    if len(rows) > longest:  # a part of it is as good as the whole
        return
    for share in BEGUN:
        begun = _cut(rows, 0, share)
        yield np.concatenate([np.repeat(rows[:1], len(rows) - len(begun), axis=0), begun])
    over = _cut(rows, 0.7, 1)
    yield np.concatenate([over, np.repeat(rows[-1:], len(rows) - len(over), axis=0)])
    yield rows[:1]


def _cut(rows: np.ndarray, begin: float, end: float) -> np.ndarray:
    """The stretch of rows (n, F) between two shares of it; one row at least."""
    first, last = round(begin * len(rows)), round(end * len(rows))
    return rows[min(first, len(rows) - 1) : max(last, first + 1)]
