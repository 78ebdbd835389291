"""Settings of the optimiser: parameter groups, learning-rate schedule, frozen parts, EMA of the weights."""

from __future__ import annotations

import math
from typing import Annotated, Literal

import torch
from pydantic import Field, Strict
from torch import Tensor, nn

from actionstream.models.common.checked import Share, ShortText, checked
from actionstream.models.common.errors import ActionstreamError

Optimiser = Literal["adamw", "sgd"]
Decline = Literal["cosine", "steps"]
Norms = Literal["all", "first", "none"]
Precision = Literal["float32", "bfloat16", "float16"]
Part = Annotated[float, Field(ge=0, lt=1)]
Weight = Annotated[float, Field(ge=0, le=1e12)]
Positive = Annotated[float, Field(gt=0, le=1e12)]
NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm, nn.GroupNorm, nn.LayerNorm)


@checked
class Optimisation:
    """How the weights are optimised.

    num_steps           steps of the optimiser; a run sets it
    optimiser           "adamw", or "sgd" with momentum 0.9 as in TSN and TSM
    learning_rate       the highest of the learning-rate schedule
    decline             "cosine" down to 0, or "steps": multiplied by 0.1 at each of `milestones`
    milestones          shares of the training steps, such as 0.4 and 0.8 (TSM)
    warmup              share of the steps in which the learning rate rises
    weight_decay        of weights, not of biases and norms
    max_norm            gradient clipping: the largest norm of the gradient
    first_conv_factor   multiplies the learning rate of the first convolution: 5 for flow in TSN
    bias_factor         multiplies the learning rate of biases of convolutions and linear layers, not of norms: 2 in TSN
    accumulate          gradient accumulation: batches for a step
    norms               batch norms that are trained: "all", only the "first" (TSN's partial BN), or "none", which is
                        required where they are folded into the convolutions
    sync_norms          synchronised batch norm over the processes, on GPUs; else each process uses its own share
    frozen              freezes parts of the network by name, such as "features.0"
    average             decay of the EMA of the weights, for each step; 0: no EMA
    precision           of autocast: "float32" (none), "bfloat16" or "float16"
    recompute           activation checkpointing: the backward pass computes blocks again, see
                        actionstream.models.training.activation_checkpointing
    label_smoothing     share of the target that is spread over all labels
    mixup               a of the Beta(a, a) that mixes pairs of clips of a process (arXiv:1710.09412); 0: no mixup
    distillation        weight of the teacher's loss beside that of the labels (arXiv:1503.02531)
    """

    num_steps: Annotated[int, Field(ge=1, le=2**40)] = 1
    optimiser: Optimiser = "adamw"
    learning_rate: Positive = 1.5e-3
    decline: Decline = "cosine"
    milestones: Annotated[tuple[Share, ...], Field(max_length=1000), Strict(False)] = (0.4, 0.8)
    warmup: Share = 0.03
    weight_decay: Weight = 0.02
    max_norm: Positive = 5.0
    first_conv_factor: Weight = 1.0
    bias_factor: Weight = 1.0
    accumulate: Annotated[int, Field(ge=1, le=1_000_000)] = 1
    norms: Norms = "all"
    sync_norms: bool = False
    frozen: Annotated[tuple[ShortText, ...], Field(max_length=10_000), Strict(False)] = ()
    average: Part = 0.0
    precision: Precision = "float32"
    recompute: bool = False
    label_smoothing: Part = 0.0
    mixup: Weight = 0.0
    distillation: Weight = 1.0

    def rate(self, step: int) -> float:
        """The learning rate of a step."""
        rising = max(1, round(self.warmup * self.num_steps))
        if step < rising:
            return self.learning_rate * (step + 1) / rising
        if self.decline == "steps":
            passed = sum(step >= milestone * self.num_steps for milestone in self.milestones)
            return self.learning_rate * 0.1**passed
        return self.learning_rate * 0.5 * (1 + math.cos(math.pi * (step - rising) / max(1, self.num_steps - rising)))

    def optimiser_for(self, network: nn.Module) -> torch.optim.Optimizer:
        """The optimiser of the parameters that are trained; each group has the "factor" of its learning rate."""
        trained = {name: parameter for name, parameter in network.named_parameters() if parameter.requires_grad}
        of_norms = {id(p) for module in network.modules() if isinstance(module, NORMS) for p in module.parameters()}
        first = next((p for p in trained.values() if p.dim() >= 4), None)
        groups: dict[tuple[float, float], list[Tensor]] = {}
        for name, parameter in trained.items():
            if parameter is first:
                key = self.first_conv_factor, self.weight_decay
            elif parameter.dim() > 1:
                key = 1.0, self.weight_decay
            elif name.endswith("bias") and id(parameter) not in of_norms:
                key = self.bias_factor, 0.0
            else:
                key = 1.0, 0.0
            groups.setdefault(key, []).append(parameter)
        listed = [{"params": each, "factor": key[0], "weight_decay": key[1]} for key, each in groups.items()]
        if self.optimiser == "sgd":
            return torch.optim.SGD(listed, lr=self.learning_rate, momentum=0.9)
        return torch.optim.AdamW(listed, lr=self.learning_rate)


def freeze(network: nn.Module, how: Optimisation) -> None:
    """Freeze what is not trained, and put it into eval mode; call this again after each `train()`.

    Partial BN (TSN, section 3.3): all batch norms but the first keep their statistics and weights.
    """
    kinds = nn.BatchNorm2d | nn.BatchNorm3d | nn.SyncBatchNorm
    norms: list[nn.Module] = [module for module in network.modules() if isinstance(module, kinds)]
    still = norms[{"all": len(norms), "first": 1, "none": 0}[how.norms] :]
    for name in how.frozen:
        try:
            still.append(network.get_submodule(name))
        except AttributeError as error:
            raise ActionstreamError(f"the network has no part {name!r} that could be frozen: {error}") from error
    for module in still:
        module.eval()
        module.requires_grad_(False)


def sync_norms(network: nn.Module, device: str) -> None:
    """Replace batch norms by synchronised ones; the names of their tensors stay."""
    if device != "cuda":
        raise ActionstreamError(f"sync_norms is for GPUs, as torch's SyncBatchNorm is; the device is {device}")
    nn.SyncBatchNorm.convert_sync_batchnorm(network)
