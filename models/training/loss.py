"""The loss of a batch: of clips, or of the next snippets of streams, whose state goes on from batch to batch."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Literal, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from actionstream.models.network import Network, State
from actionstream.models.preprocessing import Preprocessing
from actionstream.models.training import distributed
from actionstream.models.training.activation_checkpointing import recomputed
from actionstream.models.training.optimisation import Optimisation


@dataclass(frozen=True)
class Batch:
    """Clips, or the next snippets of streams, to learn from.

    clips     uint8 (B, T, height, width, C), or features as float
    targets   float32, the target probabilities: (B, T, K) of each snippet, or (B, K) of the clip, whose scores are the
              mean over its snippets
    weights   float32 (B, T) or (B,), how much each target counts; 0 where the label cannot be known
    num_warm  first snippets, which only warm up the state of a network that streams
    begins    bool (B,), for streams: rows that begin with empty state; the others go on from the state after the batch
              before, through which no gradient flows (truncated back-propagation through time). None: clips
    """

    clips: np.ndarray
    targets: np.ndarray
    weights: np.ndarray
    num_warm: int = 0
    begins: np.ndarray | None = None


@dataclass
class Loss:
    """The loss and the accuracy of a batch, both weighted. Their means over the processes are the values of the whole
    batch.

    learner  the network, or what computes it in several processes
    carried  the state of the streams after the last batch
    """

    network: Network
    learner: nn.Module
    how: Optimisation
    preprocessing: Preprocessing
    activation: Literal["softmax", "sigmoid"]
    device: str
    positive_weights: Sequence[float] | None = None
    teacher: Network | None = None
    carried: tuple[Tensor, ...] | None = None

    def __call__(self, batch: Batch) -> tuple[Tensor, Tensor]:
        how, device = self.how, self.device
        frames = self.preprocessing.normalise(torch.from_numpy(batch.clips).to(device))
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
            with recomputed(self.network) if how.recompute else nullcontext():
                scores = self._scores(frames, batch)
            taught = None
            if self.teacher is not None:
                with torch.no_grad():
                    taught = _clip_scores(scores_of(self.teacher, frames[:, batch.num_warm :], None)[0])
        scores = scores.float() if targets.dim() == scores.dim() else _clip_scores(scores.float())
        if self.activation == "sigmoid":
            positive = None if self.positive_weights is None else targets.new_tensor(self.positive_weights)
            each = functional.binary_cross_entropy_with_logits(
                scores, targets, reduction="none", pos_weight=positive
            ).sum(-1)
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

    def _scores(self, frames: Tensor, batch: Batch) -> Tensor:
        """Scores of each snippet (B, T, K), or of the clip (B, K)."""
        if batch.num_warm:
            return scores_of(self.learner, frames[:, batch.num_warm :], self._warm(frames[:, : batch.num_warm]))[0]
        if batch.begins is None:
            return scores_of(self.learner, frames, None)[0]
        if self.carried is not None:
            goes_on = torch.from_numpy(~batch.begins).to(frames.device)
            self.carried = tuple(
                leaf.detach() * goes_on.view(-1, *[1] * (leaf.dim() - 1)) for leaf in self.carried
            )  # an empty state is all zeros
        scores, state = scores_of(self.learner, frames, self.carried)
        self.carried = cast("tuple[Tensor, ...]", state)
        return scores

    def _warm(self, frames: Tensor) -> State | None:
        """The state after snippets that are not learnt."""
        modes = {module: module.training for module in self.network.modules()}
        with torch.no_grad():
            _, state = scores_of(self.network.eval(), frames, None)
        for module, training in modes.items():
            module.training = training
        return state


def scores_of(network: nn.Module, frames: Tensor, state: State | None) -> tuple[Tensor, State | None]:
    """Scores of each snippet (B, T, K) and the new state; of a network for whole clips (B, K), and None."""
    found = network(frames) if state is None else network(frames, state)
    return found if isinstance(found, tuple) else (found, None)


def _clip_scores(scores: Tensor) -> Tensor:
    return scores.mean(dim=1) if scores.dim() == 3 else scores
