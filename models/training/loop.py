"""The training loop: one network, batches in, weights out."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, cast

import numpy as np
import torch
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from torch import Tensor
from torch.nn import functional
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from models.network import Network
from models.preprocessing import Preprocessing
from models.training.optimisation import Optimisation, hold_still


@dataclass(frozen=True)
class Batch:
    """Clips to learn from.

    clips     uint8 (B, T, height, width, C), or features as float
    targets   float32, the wanted probabilities: (B, T, K) of each snippet, or (B, K) of the clip, whose scores are the
              mean of those of its snippets
    weights   float32 (B, T) or (B,), how much each of them counts; 0 where nobody could know
    num_warm  snippets at the beginning of which a network that streams only keeps the state
    """

    clips: np.ndarray
    targets: np.ndarray
    weights: np.ndarray
    num_warm: int = 0


def train(
    network: Network,
    batches: Iterable[Batch],
    how: Optimisation,
    preprocessing: Preprocessing,
    *,
    activation: Literal["softmax", "sigmoid"] = "softmax",
    teacher: Network | None = None,
    seed: int = 0,
    device: str = "cpu",
    start: Mapping[str, Any] | None = None,
    every: int = 200,
    on_progress: Callable[[int, Network, dict[str, Any]], None] | None = None,
) -> None:
    """Train `network` in place on `batches`, `how.accumulate` of them for each step.

    teacher      a network for the same clips, whose scores are followed as well (how.distillation)
    seed         all randomness of a step comes from it and the step
    start        goes on from what `on_progress` was given; the batches begin with those of the next step
    on_progress  called after each `every` steps and at the end with the steps done, the network to test (the running
                 mean where there is one), in eval mode, and all that is needed to go on

    Raises FloatingPointError when the loss is not a number; the parameters are then those of the last good step.
    """
    network.to(device).train()
    if all(parameter.dim() < 5 for parameter in network.parameters()):
        network.to(memory_format=torch.channels_last)
    hold_still(network, how)
    optimiser = how.optimiser_for(network)
    scaler = torch.amp.GradScaler(device, enabled=how.precision == "float16")
    parts: dict[str, Any] = {"network": network, "optimiser": optimiser, "scaler": scaler}
    mean = None
    if how.average:
        mean = AveragedModel(network, multi_avg_fn=get_ema_multi_avg_fn(how.average), use_buffers=True)
        parts["mean"] = mean
    first = 0
    since: list[float] = []  # losses since on_progress was called last
    if start is not None:
        first = start["step"]
        for name, part in parts.items():
            part.load_state_dict(start[name])
    tested = network if mean is None else cast(Network, mean.module)
    with _progress() as progress:
        task = progress.add_task("training", total=how.num_steps, completed=first, loss=0.0, right=0.0, rate=0.0)
        for step, group in enumerate(zip(*[iter(batches)] * how.accumulate, strict=False), start=first):
            torch.manual_seed(seed * 1_000_003 + step)  # dropout and mixup are the same when a run is gone on with
            for parameters in optimiser.param_groups:
                parameters["lr"] = how.rate(step) * parameters["factor"]
            optimiser.zero_grad(set_to_none=True)
            losses, rights = [], []
            for batch in group:
                loss, right = _loss(network, batch, how, preprocessing, activation, teacher, device)
                if not math.isfinite(loss.item()):
                    raise FloatingPointError(f"the loss is {loss.item()} at step {step}; try a smaller learning rate")
                scaler.scale(loss / len(group)).backward()
                losses.append(loss.item())
                rights.append(right)
            scaler.unscale_(optimiser)
            torch.nn.utils.clip_grad_norm_(network.parameters(), how.max_norm)
            scaler.step(optimiser)
            scaler.update()
            if mean is not None:
                mean.update_parameters(network)

            done = step + 1
            fields = progress.tasks[task].fields
            share = max(0.02, 1 / (done - first))
            speed = (progress.tasks[task].speed or 0.0) * len(group) * len(group[0].clips)
            since.append(float(np.mean(losses)))
            loss_mean = fields["loss"] + share * (since[-1] - fields["loss"])
            right_mean = fields["right"] + share * (float(np.mean(rights)) - fields["right"])
            progress.update(task, advance=1, loss=loss_mean, right=right_mean, rate=speed)
            if on_progress is not None and (done % every == 0 or done == how.num_steps):
                network.eval()
                state = {name: part.state_dict() for name, part in parts.items()}
                on_progress(done, tested.eval(), {"step": done, "loss": float(np.mean(since)), **state})
                since.clear()
                hold_still(network.train(), how)
    if mean is not None:
        network.load_state_dict(mean.module.state_dict())
    network.eval()


def _loss(
    network: Network,
    batch: Batch,
    how: Optimisation,
    preprocessing: Preprocessing,
    activation: str,
    teacher: Network | None,
    device: str,
) -> tuple[Tensor, float]:
    """The loss of a batch, and the share that is right, both by weight."""
    frames = preprocessing.normalise(torch.from_numpy(batch.clips).to(device))
    targets = torch.from_numpy(batch.targets).to(device)
    weights = torch.from_numpy(batch.weights).to(device)
    if how.mixup and len(frames) > 1:
        share = float(torch.distributions.Beta(how.mixup, how.mixup).sample())
        frames, targets = (share * each + (1 - share) * each.roll(1, 0) for each in (frames, targets))
    lower = {"bfloat16": torch.bfloat16, "float16": torch.float16}.get(how.precision)
    with torch.autocast(device, lower, enabled=lower is not None):
        scores = _scores(network, frames, batch.num_warm)
        taught = None
        if teacher is not None:
            with torch.no_grad():
                taught = _clip_scores(_scores(teacher, frames[:, batch.num_warm :], 0))
    scores = scores.float() if targets.dim() == scores.dim() else _clip_scores(scores.float())
    if activation == "sigmoid":
        each = functional.binary_cross_entropy_with_logits(scores, targets, reduction="none").sum(-1)
    else:
        each = functional.cross_entropy(
            scores.flatten(0, -2), targets.flatten(0, -2), reduction="none", label_smoothing=how.label_smoothing
        ).view(weights.shape)
    total = weights.sum().clamp(min=1e-6)
    loss = (each * weights).sum() / total
    if taught is not None:
        learnt = _clip_scores(scores).log_softmax(-1)
        loss = loss + how.distillation * functional.kl_div(
            learnt, taught.float().log_softmax(-1), reduction="batchmean", log_target=True
        )
    right = (scores.argmax(-1) == targets.argmax(-1)).float()
    return loss, float((right * weights).sum() / total)


def _scores(network: Network, frames: Tensor, num_warm: int) -> Tensor:
    """Scores of each snippet (B, T, K), or of the clip (B, K); the first snippets make a state in eval mode."""
    if not network.streams:
        return network(frames)
    state = None
    if num_warm:
        modes = {module: module.training for module in network.modules()}
        with torch.no_grad():
            _, state = network.eval()(frames[:, :num_warm])
        for module, training in modes.items():
            module.training = training
    return network(frames[:, num_warm:], state)[0]


def _clip_scores(scores: Tensor) -> Tensor:
    return scores.mean(dim=1) if scores.dim() == 3 else scores


def _progress() -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("loss {task.fields[loss]:.3f}  right {task.fields[right]:.1%}  {task.fields[rate]:.1f} clips/s"),
        TimeRemainingColumn(),
    )
