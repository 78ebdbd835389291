"""The table of the catalogue: what each network takes, and what it costs.

`python -m actionstream.models.networks.costs` measures all networks on the meta device, and writes the file that
`actionstream models` prints.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from actionstream.models.catalogue import NETWORKS, create, list_models

if TYPE_CHECKING:
    from torch import Tensor

COLUMNS = ("network", "input", "parameters", "multiply-adds", "state", "streams", "paper")
FILE = Path(__file__).with_name("costs.json")


@dataclass(frozen=True)
class NetworkCosts:
    """A network of the catalogue as its entry builds it.

    num_frames, size  of the input: frames of a clip (1 where it streams), and their height and width in pixels
    num_parameters    trainable parameters
    multiply_adds     for that input, by torch.utils.flop_counter
    state_bytes       state of a live stream in float32; for a clip network, the state of its Window
    streams           whether the network streams by itself
    paper             where it is described
    tensors           a hash of the tensors' names and kernel sizes
    """

    name: str
    num_frames: int
    size: int
    num_parameters: int
    multiply_adds: int
    state_bytes: int
    streams: bool
    paper: str
    tensors: str

    @property
    def cells(self) -> tuple[str, ...]:
        """The values under COLUMNS, formatted for people."""
        return (
            self.name,
            f"{self.num_frames} x {self.size} x {self.size}",
            f"{self.num_parameters / 1e6:.2f} M",
            f"{self.multiply_adds / 1e9:.2f} G",
            f"{self.state_bytes / 1e6:.2f} MB",
            "yes" if self.streams else "no",
            self.paper,
        )


def read_table() -> list[NetworkCosts]:
    return [NetworkCosts(**row) for row in json.loads(FILE.read_text())]


def hash_tensors(weights: Mapping[str, Tensor]) -> str:
    """A hash that ignores the order, the numbers of channels and classes, and num_batches_tracked."""
    lines = [
        f"{name} {[size for size in tensor.shape[2:] if size > 1]}"
        for name, tensor in weights.items()
        if not name.endswith("num_batches_tracked")
    ]
    return hashlib.sha256("\n".join(sorted(lines)).encode()).hexdigest()[:8]


def measure(name: str) -> NetworkCosts:
    """The row of a network, measured on the meta device, where nothing is computed."""
    import torch
    from torch import nn
    from torch.utils.flop_counter import FlopCounterMode

    from actionstream.models.window import Window

    entry = NETWORKS[name]
    with torch.device("meta"):
        network = create(name).eval()
        given = torch.zeros(1, entry.num_frames, network.in_channels, entry.size, entry.size)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d | nn.BatchNorm3d):  # has no counted operations, and takes half of the time
            module.forward = lambda input: input  # type: ignore[method-assign]
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(given)
    live = network if network.streams else Window(network, num_frames=entry.num_frames)
    return NetworkCosts(
        name=name,
        num_frames=entry.num_frames,
        size=entry.size,
        num_parameters=sum(parameter.numel() for parameter in network.parameters()),
        multiply_adds=counter.get_total_flops() // 2,
        state_bytes=live.state_bytes(entry.size, entry.size),
        streams=network.streams,
        paper=entry.paper,
        tensors=hash_tensors(network.state_dict()),
    )


def main() -> None:
    rows = [json.dumps(asdict(measure(name))) for name in list_models()]
    FILE.write_text("[\n" + ",\n".join(rows) + "\n]\n")


if __name__ == "__main__":
    main()
