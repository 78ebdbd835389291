"""The training loop: one network, batches in, weights out."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import torch
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from torch import Tensor
from torch.nn import functional

from models.network import Network
from models.preprocessing import Preprocessing


@dataclass(frozen=True)
class Batch:
    """Clips to learn from.

    clips    uint8 (B, T, height, width, C)
    targets  float32 (B, T, K), the wanted probabilities of each snippet
    weights  float32 (B, T), how much each snippet counts; 0 where nobody could know
    """

    clips: np.ndarray
    targets: np.ndarray
    weights: np.ndarray


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """AdamW with a linear warm-up, then a cosine down to nothing."""

    num_steps: int
    learning_rate: float = 1.5e-3
    warmup: float = 0.03  # part of the steps
    weight_decay: float = 0.02
    max_norm: float = 5.0

    def rate(self, step: int) -> float:
        rising = max(1, round(self.warmup * self.num_steps))
        if step < rising:
            return self.learning_rate * (step + 1) / rising
        return self.learning_rate * 0.5 * (1 + math.cos(math.pi * (step - rising) / max(1, self.num_steps - rising)))


def train(
    network: Network,
    batches: Iterable[Batch],
    schedule: Schedule,
    preprocessing: Preprocessing,
    *,
    device: str = "cpu",
    every: int = 200,
    on_progress: Callable[[int], None] | None = None,
) -> None:
    """Train `network`, which streams, on `batches` (one for each step) in place.

    `on_progress` is called with the number of steps done, after each `every` steps and at the end, the
    network in eval mode. Raises FloatingPointError when the loss is not a number; the parameters are then
    those of the last good step.
    """
    network.to(device).to(memory_format=torch.channels_last).train()
    decayed = [p for p in network.parameters() if p.dim() > 1]
    others = [p for p in network.parameters() if p.dim() <= 1]
    groups = [{"params": decayed, "weight_decay": schedule.weight_decay}, {"params": others, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups)
    loss_average = right_average = 0.0
    with _progress() as progress:
        task = progress.add_task("training", total=schedule.num_steps, loss=0.0, right=0.0, rate=0.0)
        for step, batch in enumerate(batches):
            for group in optimizer.param_groups:
                group["lr"] = schedule.rate(step)
            frames = preprocessing.normalise(torch.from_numpy(batch.clips).to(device))
            targets = torch.from_numpy(batch.targets).to(device)
            weights = torch.from_numpy(batch.weights).to(device)
            with torch.autocast(device, torch.bfloat16, enabled=device == "cuda"):
                scores, _ = network(frames)
            loss, right = _loss(scores.float(), targets, weights)
            if not math.isfinite(loss.item()):
                raise FloatingPointError(f"the loss is {loss.item()} at step {step}; try a smaller learning rate")
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(network.parameters(), schedule.max_norm)
            optimizer.step()

            share = max(0.02, 1 / (step + 1))
            loss_average += share * (loss.item() - loss_average)
            right_average += share * (right - right_average)
            speed = progress.tasks[task].speed or 0.0
            progress.update(task, advance=1, loss=loss_average, right=right_average, rate=speed * len(batch.clips))
            done = step + 1
            if on_progress is not None and (done % every == 0 or done == schedule.num_steps):
                network.eval()
                on_progress(done)
                network.train()
    network.eval()


def _loss(scores: Tensor, targets: Tensor, weights: Tensor) -> tuple[Tensor, float]:
    """Cross entropy against soft targets, and the share of snippets that are right, both by weight."""
    losses = functional.cross_entropy(scores.flatten(0, 1), targets.flatten(0, 1), reduction="none")
    total = weights.sum().clamp(min=1e-6)
    right = (scores.argmax(-1) == targets.argmax(-1)).float()
    return (losses * weights.flatten()).sum() / total, float((right * weights).sum() / total)


def _progress() -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("loss {task.fields[loss]:.3f}  right {task.fields[right]:.1%}  {task.fields[rate]:.1f} clips/s"),
        TimeRemainingColumn(),
    )
