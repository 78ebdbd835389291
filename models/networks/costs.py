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
from actionstream.models.common.errors import ActionstreamError

if TYPE_CHECKING:
    from torch import Tensor

    from actionstream.models.network import Network

COLUMNS = ("network", "input", "parameters", "multiply-adds", "live, a frame", "state", "streams", "paper")
FILE = Path(__file__).with_name("costs.json")


@dataclass(frozen=True)
class NetworkCosts:
    """A network of the catalogue as its entry builds it.

    num_frames, size    of the input: frames of a clip (1 where it streams), and their height and width in pixels
    num_parameters      trainable parameters
    multiply_adds       for that input, by torch.utils.flop_counter: what a window computes for each row of scores
    live_multiply_adds  for a frame of a live stream; in a window, where each frame gets a row
    state_bytes         state of a live stream in float32
    snippet_frames      frames of a step of a live stream; 0 in a window
    delay               frames from what a score is about to its own, in delayed mode; None where there is none
    window              why it runs in a window; "" where it does not
    paper               where it is described
    tensors             a hash of the tensors' names and kernel sizes

    A clip network that runs frame by frame (actionstream.models.streaming) is measured in causal mode.
    """

    name: str
    num_frames: int
    size: int
    num_parameters: int
    multiply_adds: int
    live_multiply_adds: int
    state_bytes: int
    snippet_frames: int
    delay: int | None
    window: str
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
            f"{self.live_multiply_adds / 1e9:.2f} G",
            f"{self.state_bytes / 1e6:.2f} MB",
            self.streams,
            self.paper,
        )

    @property
    def streams(self) -> str:
        """How it runs live, in words."""
        if self.window:
            return "in a window"
        how = "frame by frame" if self.snippet_frames == 1 else f"by {self.snippet_frames} frames"
        return f"{how}, or {self.delay} late" if self.delay else how


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

    entry = NETWORKS[name]
    with torch.device("meta"):
        network = create(name).eval()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d | nn.BatchNorm3d):  # has no counted operations, and takes half of the time
            module.forward = lambda input: input  # type: ignore[method-assign]
    live, window = open_live(network, entry.num_frames)
    snippet_frames = 0 if window else getattr(live, "snippet_frames", 1)
    multiply_adds = count_multiply_adds(network, entry.num_frames, entry.size)
    return NetworkCosts(
        name=name,
        num_frames=entry.num_frames,
        size=entry.size,
        num_parameters=sum(parameter.numel() for parameter in network.parameters()),
        multiply_adds=multiply_adds,
        live_multiply_adds=multiply_adds
        if live is network or window
        else count_multiply_adds(live, 1, entry.size) // snippet_frames,
        state_bytes=live.state_bytes(entry.size, entry.size),
        snippet_frames=snippet_frames,
        delay=None if live is network or window else _delay(network, entry.num_frames),
        window=window,
        paper=entry.paper,
        tensors=hash_tensors(network.state_dict()),
    )


def open_live(network: Network, num_frames: int) -> tuple[Network, str]:
    """A network as it runs live in the least work, and, where it runs in a window, why."""
    from actionstream.models.streaming import Streaming
    from actionstream.models.window import Window

    if network.streams:
        return network, ""
    try:
        return Streaming(network, mode="causal", num_frames=num_frames).eval(), ""
    except ActionstreamError as error:
        return Window(network, num_frames=num_frames), str(error)


def _delay(network: Network, num_frames: int) -> int | None:
    """Frames that a clip network is late in delayed mode; None where it cannot."""
    from actionstream.models.streaming import Streaming

    try:
        delayed = Streaming(network, mode="delayed", num_frames=num_frames)
    except ActionstreamError:
        return None
    return delayed.delay * delayed.snippet_frames


def count_multiply_adds(network: Network, num_snippets: int, size: int) -> int:
    """Multiply-adds of a call for a clip or snippets of size x size pixels, on the meta device."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    given = torch.zeros(1, num_snippets, network.in_channels, size, size, device="meta")
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(given)
    return counter.get_total_flops() // 2


def main() -> None:
    rows = [json.dumps(asdict(measure(name))) for name in list_models()]
    FILE.write_text("[\n" + ",\n".join(rows) + "\n]\n")


if __name__ == "__main__":
    main()
