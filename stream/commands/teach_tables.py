"""What a taught model makes of its own examples, as tables: each is recognised by what all others teach."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from actionstream.commands.tables import open_console, print_table
from actionstream.teaching.examples import Example
from actionstream.teaching.fit import Fit
from actionstream.teaching.report import report_on

MOST_COLUMNS = 20
"""Labels of the largest table of confusions."""


def print_examples(examples: Sequence[Example], fit: Fit, *, interval_seconds: float) -> None:
    """Print a line for each example, and what the others make of it."""
    answers = report_on(examples, fit).answers
    rows = [
        (
            str(number),
            example.label,
            example.name,
            f"{example.num_snippets * interval_seconds:.1f} s",
            "cannot be checked" if answer is None else _answer(example, fit, of_example),
        )
        for number, (example, answer, of_example) in enumerate(
            zip(examples, answers, fit.probabilities, strict=True), 1
        )
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
    report = report_on(examples, fit)
    checked = {example.label for example, answer in zip(examples, report.answers, strict=True) if answer is not None}
    if checked and len(fit.labels) <= MOST_COLUMNS:
        rows = [
            (label, *map(str, counts))
            for label, counts in zip(fit.labels, report.confusion, strict=True)
            if label in checked
        ]
        title = "Each example, as the model takes it when it learns from all others only:"
        print_table(console, ("label", *fit.labels), rows, title=title)
        console.print()
    for sentence in report.sentences(examples, remedy="(--remove {} takes it out)"):
        console.print(sentence)
