"""Open runtimes with a given number of threads, for benchmarks."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator
from contextlib import contextmanager

import numpy as np
import torch

from actionstream.choices import RuntimeName
from actionstream.models.common.errors import ActionstreamError
from actionstream.runtimes.opening import open_runtime
from actionstream.runtimes.runtime import Runtime


@contextmanager
def threads(number: int) -> Generator[None]:
    """Set the number of torch threads inside the context."""
    before = torch.get_num_threads()
    torch.set_num_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def thread_counts() -> list[int]:
    """1, 2, 4 ... and the number of cores."""
    cores = os.cpu_count() or 1
    return [*(2**power for power in range(cores.bit_length()) if 2**power < cores), cores]


def check_threads(number: int) -> None:
    """Raise ValueError where there are fewer cores than threads."""
    if number > (os.cpu_count() or 1):
        raise ActionstreamError(f"{number} threads are more than this machine has cores, {os.cpu_count()}")


def open_with_threads(model: str | os.PathLike[str], *, runtime: RuntimeName, device: str, num_threads: int) -> Runtime:
    """Open a model with a number of threads; a step of a torch runtime also has to run inside `threads`."""
    with threads(num_threads):
        return open_runtime(model, runtime=runtime, device=device, num_threads=num_threads)


def batch_step(runtime: Runtime, snippets: np.ndarray, batch: int, *, num_threads: int) -> Callable[[], np.ndarray]:
    """A function that scores the next snippet of each of `batch` streams."""
    slots = np.array([runtime.allocate() for _ in range(batch)])
    given = np.resize(snippets, (batch, 1, *snippets.shape[1:]))

    def step() -> np.ndarray:
        with threads(num_threads):
            return runtime.step(given, slots)

    return step
