"""Initial weights from another network: 3D from 2D (inflation), and other modalities from RGB."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from actionstream.models.common.errors import ActionstreamError
from actionstream.models.network import Network


def inflate(network: Network, weights: Mapping[str, Tensor]) -> list[str]:
    """Inflation: load the weights of a 2D network into a 3D network (I3D, arXiv:1705.07750, section 2.4).

    network  a 3D network with the parameter names of the 2D one; the catalogue's inflated ResNets have torchvision's
    weights  a kernel (O, I, h, w) becomes (O, I, t, h, w): it is repeated t times and divided by t, so that a clip of
             one repeated picture gives the output of that picture

    A head with another number of classes keeps its own weights. Returns the names of the parameters that were not
    loaded. Raises ValueError for a tensor with an unknown name or another shape.
    """
    own = network.state_dict()
    filled: dict[str, Tensor] = {}
    for key, tensor in weights.items():
        if key not in own:
            raise ActionstreamError(f"{key} has no place in this network: are they of its 2D network?")
        if own[key].dim() == 5 and tensor.dim() == 4:
            time = own[key].shape[2]
            tensor = tensor.unsqueeze(2).expand(-1, -1, time, -1, -1) / time
        if own[key].shape[1:] == tensor.shape[1:] and own[key].shape[:1] == (network.num_classes,) != tensor.shape[:1]:
            continue
        if own[key].shape != tensor.shape:
            raise ActionstreamError(f"{key} is {tuple(tensor.shape)} and does not fit {tuple(own[key].shape)} here")
        filled[key] = tensor
    network.load_state_dict(filled, strict=False)
    return [name for name, _ in network.named_parameters() if name not in filled]


def cross_modality(weights: Mapping[str, Tensor], in_channels: int) -> dict[str, Tensor]:
    """Cross-modality initialisation (TSN, arXiv:1608.00859, section 3.2): weights of an RGB network for another input.

    The kernels that read RGB are averaged over the three channels and repeated `in_channels` times: 10 for flow, 15 for
    RGB difference. Other weights do not change. Raises ValueError when no convolution has three input channels.
    """
    first = [key for key, tensor in weights.items() if tensor.dim() >= 4 and tensor.shape[1] == 3]
    if not first:
        raise ActionstreamError("no convolution of these weights sees three channels")
    means = {key: weights[key].mean(dim=1, keepdim=True) for key in first}
    return {**weights, **{key: torch.cat([mean] * in_channels, dim=1) for key, mean in means.items()}}
