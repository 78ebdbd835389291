"""Golden scores of our own making: networks with weights that are the same everywhere, and what they say in float64.

Made with networks that agreed with the outputs of the public reference code (tests/models/test_layouts.py, which needs
the shared data). `python tests/support/reference.py` writes them anew, where a network is new or meant to change.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from zlib import crc32

import numpy as np
import torch
from helpers import tame
from precision import apart, scores_in
from torch import Tensor

from actionstream.models.catalogue import NETWORKS, create_empty
from actionstream.models.network import Network
from actionstream.models.networks.non_local import NonLocal

FILE = Path(__file__).parents[1] / "golden" / "scores.json"
NUM_CLASSES = 5
SMALL = {  # frames and pixels that are enough for those that do not do with 8 of 32
    "artnet_r18": (16, 32),
    "c3d": (16, 112),
    "i3d": (16, 64),
    "s3d": (16, 64),
    "i3d_resnet": (16, 32),
    "resnet3d_101": (16, 32),
    "slowfast": (16, 32),
    "tsn_inception_v3": (2, 75),
    "tsn_googlenet": (2, 64),
    "tsn_vgg16": (2, 32),
    "tsn": (3, 32),
    "tsm": (4, 32),
    "tam": (4, 32),
    "taught": (4, 32),
    "timeception_resnet152": (4, 32),
    "timeception_": (32, 32),
    "timeception": (32, 7),  # maps of 1024 channels
}


def small(name: str) -> tuple[int, int]:
    """Frames of a clip, and pixels, that are enough for a network."""
    best = max((prefix for prefix in SMALL if name.startswith(prefix)), key=len, default=None)
    return SMALL.get(best, (8, 32))


def is_deep(name: str) -> bool:
    """Whether it is the code of a shallower one of the catalogue."""
    return NETWORKS[name].arguments.get("depth", 0) > 50


def few_layers(name: str) -> dict[str, int]:
    """Arguments without which a network is larger than it has to be."""
    return {"num_layers": 2} if name.startswith("timeception") else {}


def uniform(seed: str, shape: tuple[int, ...]) -> Tensor:
    """Numbers with mean 0 and variance 1, float64: raw bits of a generator whose stream never changes, scaled."""
    bits = np.random.PCG64(crc32(seed.encode())).random_raw(int(np.prod(shape)))
    return torch.from_numpy(np.asarray((bits >> 11) * 2.0**-52 - 1).reshape(shape)) * math.sqrt(3)


def filled(name: str) -> Network:
    """A network of the catalogue in eval mode, with weights that its keys determine and that keep the signal alive."""
    network = create_empty(name, num_classes=NUM_CLASSES, **few_layers(name))
    keys = network.state_dict()
    norms = {key.removesuffix("running_mean") for key in keys if key.endswith(".running_mean")}
    weights = {}
    for key, tensor in keys.items():
        module, _, leaf = key.rpartition(".")
        value = uniform(key, tuple(tensor.shape))
        if leaf == "num_batches_tracked":
            value = torch.zeros(())
        elif leaf == "running_var" or (leaf == "weight" and f"{module}." in norms):
            value = 1 + 0.1 * value
        elif tensor.dim() > 1:
            value *= math.sqrt(2 / tensor[0].numel())
        else:
            value *= 0.1
        weights[key] = value.to(tensor.dtype)
    network.load_state_dict(weights, assign=True)
    if any(isinstance(module, NonLocal) for module in network.modules()):
        tame(network)
    return network.eval()


def clip_for(name: str, network: Network) -> Tensor:
    """Frames (1, T, C, H, W)."""
    num_frames, size = small(name)
    return uniform("frames", (1, num_frames, network.in_channels, size, size)).float()


def main() -> None:
    scores = {}
    for name in NETWORKS:
        if not is_deep(name):
            network = filled(name)
            frames = clip_for(name, network)
            order = [*range(0, frames.shape[1], 2), *range(1, frames.shape[1], 2)]
            found, mixed = (scores_in(torch.float64, network, each)[0] for each in (frames, frames[:, order]))
            change = apart(mixed, found[order] if network.streams else found)
            print(f"{name}: {change:.1e} apart with its frames in another order")
            assert name.startswith(("tsn", "f_r2d")) == (change < 1e-3), "these alone see single frames"
            scores[name] = found.tolist()
    FILE.parent.mkdir(exist_ok=True)
    rows = (f"{json.dumps(name)}: {json.dumps(each)}" for name, each in scores.items())
    FILE.write_text("{\n" + ",\n".join(rows) + "\n}\n")


if __name__ == "__main__":
    main()
