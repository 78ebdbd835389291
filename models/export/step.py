"""One step of a network as a program of tensors: (input, state) to (scores, new state).

Letters in shapes: B streams, T snippets of each, C channels, K classes.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from actionstream.models.card import Card
from actionstream.models.common.choices import Takes
from actionstream.models.common.errors import ActionstreamError
from actionstream.models.export.exported import Exported, check_snippets
from actionstream.models.network import Network
from actionstream.models.networks.folding import fold_batch_norms
from actionstream.models.preprocessing import Preprocessing

Leaves = tuple[Tensor, ...]


class Step(nn.Module):
    """A network with its preprocessing, called as `Exported` says: (input, state) to (scores, new state)."""

    def __init__(self, network: Network, preprocessing: Preprocessing, takes: Takes):
        super().__init__()
        self.network = network
        normalise = preprocessing.normalise
        before: dict[Takes, Callable[[Tensor], Tensor]] = {
            "pixels": normalise,
            "pictures": lambda pictures: normalise(resize(pictures, preprocessing)),
            "frames": lambda frames: frames,
        }
        self.before = before[takes]

    def forward(self, given: Tensor, state: Leaves) -> tuple[Tensor, Leaves]:
        frames = self.before(given)
        if not self.network.streams:
            return self.network(frames), ()
        return self.network(frames, state)


def resize(pictures: Tensor, preprocessing: Preprocessing) -> Tensor:
    """`Preprocessing.resize` in torch: uint8 (..., h, w, 3) to float32 (..., height, width, 3), whole numbers.

    A weighted mean in each direction, as in Pillow; it can be exported for pictures of any size.
    """
    rows, columns = pictures.shape[-3], pictures.shape[-2]
    high: Any = rows * 1.0
    wide: Any = columns * 1.0
    if preprocessing.short_side is not None:
        scale = torch.sym_min(rows, columns) / preprocessing.short_side
        high, wide = preprocessing.height * scale, preprocessing.width * scale
    across = _mean_weights(columns, (columns - wide) / 2, wide, preprocessing.width)
    down = _mean_weights(rows, (rows - high) / 2, high, preprocessing.height)
    channels_first = pictures.movedim(-1, -3).float()
    narrow = (channels_first @ across.T + 0.5).floor()  # Pillow rounds in between, too
    return (down @ narrow + 0.5).floor().clamp(0, 255).movedim(-3, -1)


def _mean_weights(length: int, start: Any, span: Any, num_out: int) -> Tensor:
    """Triangle filters (num_out, length): one for each of `num_out` equal parts of a span, two parts wide."""
    step = span / num_out  # a number, or torch's symbol for one
    places = torch.arange(length) + 0.5
    centres = start + (torch.arange(num_out) + 0.5) * step
    distance: Any = (places - centres[:, None]).abs() / torch.sym_max(step, 1.0)
    weights = (1 - distance).clamp(min=0)
    return weights / weights.sum(dim=1, keepdim=True)


def describe(
    network: Network, card: Card, *, takes: Takes = "pixels", chunk: int = 1, checkpoint: str = ""
) -> Exported:
    """The metadata of a network's exported file; ValueError for a combination that cannot be exported.

    chunk  snippets in a call; for a clip network the card gives their number
    """
    size = card.preprocessing
    if takes == "pictures" and size.modality != "rgb":
        raise ActionstreamError(f"{size.modality} is made of several pictures; export it with --takes pixels")
    if chunk < 1 or (chunk > 1 and not network.streams):
        raise ActionstreamError(f"a chunk of {chunk}: 1 or more, and 1 for a network that takes whole clips")
    state: tuple[tuple[int, ...], ...] = ()
    check: list[list[float]] = []
    if network.streams:
        state = tuple(tuple(leaf.shape[1:]) for leaf in network.empty_state(1, size.height, size.width))
        check = reference_scores(network, card).tolist()
    return Exported(
        card=card,
        takes=takes,
        chunk=chunk if network.streams else card.num_frames,
        state=state,
        streams=network.streams,
        checkpoint=checkpoint,
        check=tuple(map(tuple, check)),
    )


@torch.inference_mode()
def reference_scores(network: Network, card: Card) -> np.ndarray:
    """The scores (NUM_CHECKED, K) of `check_snippets` as one stream, in float64: the same on every processor."""
    where = next(network.parameters()).device
    frames = card.preprocessing.normalise(torch.from_numpy(check_snippets(card)).to(where))
    scores, _ = copy.deepcopy(network).double()(frames[None].double())
    return scores[0].cpu().numpy()


def trace(network: Network, exported: Exported) -> torch.export.ExportedProgram:
    """The program of a step, for any number of streams, and for pictures of any size where it takes pictures."""
    size = exported.card.preprocessing
    num_streams = 2  # torch.export takes 1 as a constant
    shapes: dict[Takes, tuple[int, ...]] = {
        "pixels": (size.height, size.width, size.channels),
        "pictures": (size.height + 7, size.width + 13, 3),
        "frames": (size.in_channels, size.height, size.width),
    }
    given = torch.zeros(
        (num_streams, exported.chunk, *shapes[exported.takes]),
        dtype=torch.float32 if exported.takes == "frames" else torch.uint8,
    )
    state = tuple(torch.zeros(num_streams, *shape) for shape in exported.state)
    streams = torch.export.Dim("streams", min=1, max=4096)
    dynamic: dict[int, torch.export.Dim] = {0: streams}
    if exported.takes == "pictures":
        dynamic |= {2: torch.export.Dim("height", min=2, max=8192), 3: torch.export.Dim("width", min=2, max=8192)}
    frames = (1, exported.chunk, size.in_channels, size.height, size.width)
    step = Step(fold_batch_norms(network, frames), size, exported.takes).eval()
    shapes_of_all = dynamic, tuple({0: streams} for _ in state)
    program = torch.export.export(step, (given, state), dynamic_shapes=shapes_of_all)
    for node in program.graph.nodes:
        node.meta.pop("stack_trace", None)  # it has paths of this machine
    return program
