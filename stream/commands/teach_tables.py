"""What a taught model makes of its own examples, as tables: each is recognised by what all others teach."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from actionstream.commands.tables import open_console, print_table
from actionstream.models.training.remarks import describe
from actionstream.teaching.examples import Example
from actionstream.teaching.fit import Fit

MOST_COLUMNS = 20
"""Labels of the largest table of confusions."""


def print_examples(examples: Sequence[Example], fit: Fit, *, interval_seconds: float) -> None:
    """Print a line for each example, and what the others make of it."""
    counts = Counter(example.label for example in examples)
    rows = [
        (
            str(number),
            example.label,
            example.name,
            f"{example.num_snippets * interval_seconds:.1f} s",
            "cannot be checked" if counts[example.label] == 1 else _answer(example, fit, of_example),
        )
        for number, (example, of_example) in enumerate(zip(examples, fit.probabilities, strict=True), 1)
    ]
    print_table(open_console(), ("", "label", "clip", "duration", "looks like"), rows)


def _answer(example: Example, fit: Fit, probabilities: np.ndarray) -> str:
    best = int(probabilities.argmax())
    said = f"{fit.labels[best]} {100 * probabilities[best]:.0f} %"
    own = probabilities[fit.labels.index(example.label)]
    return said if fit.labels[best] == example.label else f"{said}, {example.label} {100 * own:.0f} %"


def print_report(examples: Sequence[Example], fit: Fit) -> None:
    """Print which examples are recognised, which labels are confused, and which example fits least."""
    console = open_console()
    counts = Counter(example.label for example in examples)
    checked = [number for number, example in enumerate(examples) if counts[example.label] > 1]
    answers = {number: fit.labels[int(fit.probabilities[number].argmax())] for number in checked}
    confusion = Counter((examples[number].label, answer) for number, answer in answers.items())
    labels = [label for label in fit.labels if counts[label] > 1]
    if labels and len(fit.labels) <= MOST_COLUMNS:
        rows = [(label, *(str(confusion[label, answer]) for answer in fit.labels)) for label in labels]
        title = "Each example, as the model takes it when it learns from all others only:"
        print_table(console, ("label", *fit.labels), rows, title=title)
        console.print()
    if checked:
        right = sum(confusion[label, label] for label in labels)
        console.print(describe(right, len(checked)))
    pairs = Counter[tuple[str, ...]]()
    for (label, answer), count in confusion.items():
        if label != answer:
            pairs[tuple(sorted((label, answer), key=fit.labels.index))] += count
    if pairs:
        (pair, count) = pairs.most_common(1)[0]
        console.print(
            f"confused most: {pair[0]} and {pair[1]}, {count} of {counts[pair[0]] + counts[pair[1]]} examples"
        )
    wrong = [number for number, answer in answers.items() if answer != examples[number].label]
    if wrong:
        worst = min(wrong, key=lambda number: _own(examples, fit, number))
        console.print(
            f"fits least: {examples[worst].name} of {examples[worst].label} looks like {answers[worst]} "
            f"(--remove {worst + 1} takes it out)"
        )
    if single := [label for label, count in counts.items() if count == 1]:
        console.print(f"cannot be checked, as there is one example: {', '.join(single)}")


def _own(examples: Sequence[Example], fit: Fit, number: int) -> float:
    """The probability of an example's own label."""
    return float(fit.probabilities[number, fit.labels.index(examples[number].label)])
