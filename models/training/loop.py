"""The training loop: one network, batches in, weights out."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import nullcontext
from typing import Any, Literal, cast

import numpy as np
import torch
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from actionstream.models.common.errors import ActionstreamError
from actionstream.models.network import Network
from actionstream.models.preprocessing import Preprocessing
from actionstream.models.training import distributed
from actionstream.models.training.loss import Batch, Loss
from actionstream.models.training.optimisation import Optimisation, freeze, sync_norms
from actionstream.models.training.progress import StepProgress


def train(
    network: Network,
    batches: Iterable[Batch],
    how: Optimisation,
    preprocessing: Preprocessing,
    *,
    activation: Literal["softmax", "sigmoid"] = "softmax",
    positive_weights: Sequence[float] | None = None,
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

    positive_weights  of the K labels, with sigmoid: how much a snippet that has the label counts
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
    loss_of = Loss(network, learner, how, preprocessing, activation, device, positive_weights, teacher)
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
                    loss, right = loss_of(batch)
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
