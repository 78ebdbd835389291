"""Starting points: a network over space and time from one over space, and one for other input from one for RGB."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from actionstream.models.common.errors import ActionstreamError
from actionstream.models.network import Network


def inflate(network: Network, weights: Mapping[str, Tensor]) -> list[str]:
    """Put the weights of a network over space into one over space and time (I3D, arXiv:1705.07750, section 2.4).

    network  its parameters have the names of those over space, as those of the catalogue's inflated ResNets have
             torchvision's
    weights  a convolution (O, I, h, w) becomes (O, I, t, h, w): the same at each of t times, divided by t, so that a
             picture shown again and again gives what it gave

    A head of another number of classes keeps its own weights. Returns the names of the parameters that kept theirs.
    Raises ValueError when a tensor has no place, or another shape.
    """
    own = network.state_dict()
    filled: dict[str, Tensor] = {}
    for key, tensor in weights.items():
        if key not in own:
            raise ActionstreamError(
                f"{key} has no place in this network: are these weights of the same one over space?"
            )
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
    """The weights of a network for RGB as those of one for other input (TSN, arXiv:1608.00859, section 3.2).

    The convolutions that see RGB, mean over its three channels, are repeated for each of `in_channels`: 10 of flow, 15
    of RGB difference. The rest stays. Raises ValueError when there is no convolution of three channels.
    """
    first = [key for key, tensor in weights.items() if tensor.dim() >= 4 and tensor.shape[1] == 3]
    if not first:
        raise ActionstreamError("no convolution of these weights sees three channels")
    means = {key: weights[key].mean(dim=1, keepdim=True) for key in first}
    return {**weights, **{key: torch.cat([mean] * in_channels, dim=1) for key, mean in means.items()}}
