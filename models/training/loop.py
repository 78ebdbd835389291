"""The training loop: one network, batches in, weights out."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any, Literal, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from actionstream.models.common.errors import ActionstreamError
from actionstream.models.network import Network
from actionstream.models.preprocessing import Preprocessing
from actionstream.models.training import distributed
from actionstream.models.training.activation_checkpointing import recomputed
from actionstream.models.training.optimisation import Optimisation, freeze, sync_norms
from actionstream.models.training.progress import StepProgress


@dataclass(frozen=True)
class Batch:
    """Clips to learn from.

    clips     uint8 (B, T, height, width, C), or features as float
    targets   float32, the target probabilities: (B, T, K) of each snippet, or (B, K) of the clip, whose scores are the
              mean over its snippets
    weights   float32 (B, T) or (B,), how much each target counts; 0 where the label cannot be known
    num_warm  first snippets, which only warm up the state of a network that streams
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
    show_progress: bool = True,
) -> None:
    """Train `network` in place on `batches`, `how.accumulate` of them for each step.

    Where there are several processes (actionstream.models.training.distributed), `batches` are the shares of this one.

    teacher        a network whose scores for the same clips are learnt too (knowledge distillation, how.distillation)
    seed           the random numbers of a step depend on it, the step and the rank alone
    start          resumes from a state that `on_progress` was given; `batches` then begin with those of the next step
    on_progress    called every `every` steps and at the end, with the steps done, the network to test (the EMA where
                   there is one) in eval mode, and the state to resume from
    show_progress  shows a progress bar in the terminal

    Raises ActionstreamError when the loss or a gradient is not a number; the parameters are then those of the last
    good step.
    """
    network.to(device).train()
    if how.sync_norms:
        sync_norms(network, device)
    if all(parameter.dim() < 5 for parameter in network.parameters()):
        network.to(memory_format=torch.channels_last)
    freeze(network, how)
    optimiser = how.optimiser_for(network)
    scaler = torch.amp.GradScaler(device, enabled=how.precision == "float16")
    parts: dict[str, Any] = {"network": network, "optimiser": optimiser, "scaler": scaler}
    mean = None
    if how.average:
        mean = AveragedModel(network, multi_avg_fn=get_ema_multi_avg_fn(how.average), use_buffers=True)
        parts["mean"] = mean
    learner = distributed.learner(network)
    first = 0
    since: list[float] = []  # losses since on_progress was called last
    if start is not None:
        first = start["step"]
        for name, part in parts.items():
            try:
                part.load_state_dict(start[name])
            except (ValueError, RuntimeError, KeyError) as error:  # what torch raises for other contents
                raise ActionstreamError(
                    f"the {name} of the state to resume from has other settings, or is of another version of this "
                    f"program; begin anew: {error}"
                ) from error
    tested = network if mean is None else cast(Network, mean.module)
    with StepProgress(how.num_steps, first, shown=show_progress and distributed.rank() == 0) as progress:
        for step, group in enumerate(zip(*[iter(batches)] * how.accumulate, strict=False), start=first):
            # dropout and mixup stay the same when a run is resumed
            torch.manual_seed(seed * 1_000_003 + step + (distributed.rank() << 40))
            for parameters in optimiser.param_groups:
                parameters["lr"] = how.rate(step) * parameters["factor"]
            optimiser.zero_grad(set_to_none=True)
            losses, rights = [], []
            for number, batch in enumerate(group, start=1):
                with nullcontext() if number == len(group) else distributed.unsynced(learner):
                    loss, right = _loss(network, learner, batch, how, preprocessing, activation, teacher, device)
                    shown = distributed.mean(torch.stack([loss.detach(), right])).tolist()
                    if not math.isfinite(shown[0]):
                        raise ActionstreamError(f"the loss is {shown[0]} at step {step}; try a smaller learning rate")
                    scaler.scale(loss / len(group)).backward()
                losses.append(shown[0])
                rights.append(shown[1])
            scaler.unscale_(optimiser)
            length = torch.nn.utils.clip_grad_norm_(network.parameters(), how.max_norm)
            if not (scaler.is_enabled() or length.isfinite()):  # a scaler skips such a step
                raise ActionstreamError(f"the gradient is {length} at step {step}; try a smaller learning rate")
            scaler.step(optimiser)
            scaler.update()
            if mean is not None:
                mean.update_parameters(network)

            done = step + 1
            since.append(float(np.mean(losses)))
            num_clips = sum(len(batch.clips) for batch in group) * distributed.num_processes()
            progress.step(since[-1], float(np.mean(rights)), num_clips)
            if on_progress is not None and (done % every == 0 or done == how.num_steps):
                network.eval()
                distributed.share_buffers(network)
                if mean is not None:
                    distributed.share_buffers(mean)
                state = {name: part.state_dict() for name, part in parts.items()}
                progress.stop()  # on_progress may show a bar of its own
                on_progress(done, tested.eval(), {"step": done, "loss": float(np.mean(since)), **state})
                progress.start()
                since.clear()
                freeze(network.train(), how)
    if mean is not None:
        network.load_state_dict(mean.module.state_dict())
    network.eval()


def _loss(
    network: Network,
    learner: nn.Module,
    batch: Batch,
    how: Optimisation,
    preprocessing: Preprocessing,
    activation: str,
    teacher: Network | None,
    device: str,
) -> tuple[Tensor, Tensor]:
    """The loss and the accuracy of a batch, both weighted.

    Their means over the processes are the values of the whole batch.
    """
    frames = preprocessing.normalise(torch.from_numpy(batch.clips).to(device))
    targets = torch.from_numpy(batch.targets).to(device)
    weights = torch.from_numpy(batch.weights).to(device)
    if how.mixup and len(frames) > 1:
        share = float(torch.distributions.Beta(how.mixup, how.mixup).sample())
        # targets are mixed with their weights: the loss is the weighted mean of the losses for both labels
        weighted = targets * weights[..., None]
        frames, weighted, weights = (
            share * each + (1 - share) * each.roll(1, 0) for each in (frames, weighted, weights)
        )
        targets = weighted / weights[..., None].clamp(min=1e-12)
    lower = {"bfloat16": torch.bfloat16, "float16": torch.float16}.get(how.precision)
    with torch.autocast(device, lower, enabled=lower is not None):
        with recomputed(network) if how.recompute else nullcontext():
            scores = _scores(network, learner, frames, batch.num_warm)
        taught = None
        if teacher is not None:
            with torch.no_grad():
                taught = _clip_scores(_scores(teacher, teacher, frames[:, batch.num_warm :], 0))
    scores = scores.float() if targets.dim() == scores.dim() else _clip_scores(scores.float())
    if activation == "sigmoid":
        each = functional.binary_cross_entropy_with_logits(scores, targets, reduction="none").sum(-1)
    else:
        each = functional.cross_entropy(
            scores.flatten(0, -2), targets.flatten(0, -2), reduction="none", label_smoothing=how.label_smoothing
        ).view(weights.shape)
    total = distributed.mean(weights.sum()).clamp(min=1e-6)  # the shares may differ in weight
    loss = (each * weights).sum() / total
    if taught is not None:
        learnt = _clip_scores(scores).log_softmax(-1)
        loss = loss + how.distillation * functional.kl_div(
            learnt, taught.float().log_softmax(-1), reduction="batchmean", log_target=True
        )
    right = (scores.argmax(-1) == targets.argmax(-1)).float()
    return loss, (right * weights).sum() / total


def _scores(network: Network, learner: nn.Module, frames: Tensor, num_warm: int) -> Tensor:
    """Scores of each snippet (B, T, K), or of the clip (B, K); the first `num_warm` snippets only make the state."""
    if not network.streams:
        return learner(frames)
    state = None
    if num_warm:
        modes = {module: module.training for module in network.modules()}
        with torch.no_grad():
            _, state = network.eval()(frames[:, :num_warm])
        for module, training in modes.items():
            module.training = training
    return learner(frames[:, num_warm:], state)[0]


def _clip_scores(scores: Tensor) -> Tensor:
    return scores.mean(dim=1) if scores.dim() == 3 else scores
