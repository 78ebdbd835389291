"""Frames a second of a runtime, by batch size and by number of threads."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

from actionstream.benchmarks.alternation import Done, Quartiles, alternate, burst, nobody, ratios
from actionstream.benchmarks.networks import sample_snippets
from actionstream.benchmarks.opening import batch_step, open_with_threads
from actionstream.choices import RuntimeName

BATCHES = (1, 2, 4, 8)


def measure_throughput(
    model: str | os.PathLike[str],
    *,
    runtime: RuntimeName,
    device: str,
    batches: Sequence[int],
    threads: Sequence[int],
    rounds: int,
    done: Done = nobody,
) -> list[dict[str, Any]]:
    """Measure steps of each batch size with each number of threads in turn: pixels of the sample in, scores out.

    Returns a row for each. "over_batch_1" is the time of N steps of batch 1 over that of one step of batch N, with as
    many threads, divided round by round.
    """
    cases: dict[str, tuple[int, int]] = {}
    steps: dict[str, Callable[[], float]] = {}
    for number in threads:
        opened = open_with_threads(model, runtime=runtime, device=device, num_threads=number)
        snippets = sample_snippets(opened.card, max(batches))
        for batch in {1: None, **dict.fromkeys(batches)}:
            name = f"batch {batch}, threads {number}"
            cases[name] = batch, number
            steps[name] = burst(batch_step(opened, snippets, batch, num_threads=number))
    seconds = alternate(steps, rounds=rounds, done=done)
    rows = []
    for name, (batch, number) in cases.items():
        as_many = [batch * each for each in seconds[f"batch 1, threads {number}"]]
        rounds_ms = [1000 * each for each in seconds[name]]
        spent = Quartiles.of(rounds_ms)
        rows.append(
            {
                "batch": batch,
                "threads": number,
                "step_ms": asdict(spent),
                "frames_a_second": 1000 * batch / spent.median,
                "over_batch_1": asdict(ratios(as_many, seconds[name])),
                "rounds_ms": rounds_ms,
            }
        )
    return rows
