"""Batch norm folding: batch norms are fused into the convolutions before them, for inference."""

from __future__ import annotations

import copy
from typing import Any, TypeVar

from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from actionstream.models.network import Network, call_on_meta, dry_run

Convolution = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
Norm = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
AnyNetwork = TypeVar("AnyNetwork", bound=Network)


def fold_batch_norms(network: AnyNetwork, clip_shape: tuple[int, ...]) -> AnyNetwork:
    """A copy of a network in eval mode, in which batch norms are fused into the convolutions that they read.

    clip_shape  shape of an input (1, T, C, H, W); a forward pass shows which layer reads which
    """
    network = copy.deepcopy(network).eval()
    names = {module: name for name, module in network.named_modules()}
    for convolution, norm in _pairs(network, clip_shape):
        _put(network, names[convolution], fuse_conv_bn_eval(convolution, norm))
        _put(network, names[norm], nn.Identity())
    return network


def _pairs(network: Network, clip_shape: tuple[int, ...]) -> list[tuple[Any, Any]]:
    """Pairs of a convolution and the batch norm that reads its output, where each of them is called once."""
    made: list[tuple[Tensor, nn.Module]] = []  # keeps the tensors alive, so that no identity is reused
    pairs: list[tuple[Any, Any]] = []

    def after(module: nn.Module, _: tuple[Tensor], made_here: Tensor) -> None:
        made.append((made_here, module))

    def before(module: nn.Module, given: tuple[Tensor]) -> None:
        pairs.extend((convolution, module) for tensor, convolution in made if tensor is given[0])

    hooks = [m.register_forward_hook(after) for m in network.modules() if isinstance(m, Convolution)]
    hooks += [m.register_forward_pre_hook(before) for m in network.modules() if isinstance(m, Norm)]
    try:
        (dry_run if clip_shape[1] == 1 else call_on_meta)(network, clip_shape)
    finally:
        for hook in hooks:
            hook.remove()
    times = [module for pair in pairs for module in pair]
    calls = [module for _, module in made]
    return [pair for pair in pairs if times.count(pair[0]) == times.count(pair[1]) == calls.count(pair[0]) == 1]


def _put(network: nn.Module, name: str, module: nn.Module) -> None:
    parent, _, last = name.rpartition(".")
    setattr(network.get_submodule(parent), last, module)
