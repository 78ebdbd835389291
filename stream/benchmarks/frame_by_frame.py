"""Clip networks live: frame by frame beside a window, in multiply-adds and in time.

`python -m actionstream.benchmarks.frame_by_frame` prints a report as JSON. Weights are random; what is computed
does not depend on them. The window computes a whole clip for each row of scores. At stride 1 each frame gets a row; the
window of `watch` has a stride, and repeats its last row in between.
"""

from __future__ import annotations

import argparse
import copy
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from actionstream.benchmarks.alternation import Quartiles, alternate, ratios, timed
from actionstream.benchmarks.machine import machine
from actionstream.benchmarks.networks import sample_snippets
from actionstream.models.card import ROWS_PER_CLIP, Card
from actionstream.models.catalogue import create, find_entry
from actionstream.models.common.errors import ActionstreamError
from actionstream.models.network import Network
from actionstream.models.networks.costs import count_multiply_adds
from actionstream.models.networks.folding import fold_batch_norms
from actionstream.models.streaming import Streaming


@dataclass(frozen=True)
class Case:
    """A network in a window and frame by frame, in causal mode.

    arguments   of the network
    num_frames  of its clips; default: those of the catalogue
    live        another network, which streams by itself, that runs frame by frame in its place
    """

    name: str
    arguments: dict[str, Any] = field(default_factory=dict)
    num_frames: int | None = None
    live: str | None = None

    def build(self) -> tuple[Network, Network]:
        """The network for the window, and the one for frame by frame; with weights that keep activations alive."""
        clips = _alive(create(self.name, **self.arguments), self.card)
        if self.live is not None:
            return clips, _alive(create(self.live, **self.arguments), self.card)
        return clips, Streaming(clips, mode="causal", num_frames=self.card.num_frames).eval()

    @property
    def card(self) -> Card:
        entry = find_entry(self.name)
        preprocessing = replace(entry.preprocessing(), height=entry.size, width=entry.size, short_side=None)
        return Card(
            network=self.name,
            arguments=self.arguments,
            labels=tuple(map(str, range(400))),
            preprocessing=preprocessing,
            interval_seconds=1 / 30,
            num_frames=self.num_frames or entry.num_frames,
        )


CASES = {
    "slow_r50": Case("slow_r50"),
    "i3d_resnet50, no strides over time": Case(
        "i3d_resnet50_3x3x3", {"stem": (3, 1), "middle": 3, "strides": (1, 1, 1, 1)}, num_frames=8
    ),
    "r2plus1d_18": Case("r2plus1d_18"),
    "s3d": Case("s3d"),
    "csn_ir_50": Case("csn_ir_50"),
    "mc3_18": Case("mc3_18"),
    "tam_resnet50, causal": Case("tam_resnet50", live="tam_resnet50_causal"),
}


@torch.no_grad()
def _alive(network: Network, card: Card) -> Network:
    """The network in eval mode, with the statistics of a real clip in its batch norms."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d | nn.BatchNorm3d):
            module.momentum = 1.0
    network.train()(_frames(card, 1))
    return network.eval()


def _frames(card: Card, num_streams: int) -> Tensor:
    """Clips (B, T, C, H, W) of the sample."""
    clip = card.preprocessing.normalise(torch.from_numpy(sample_snippets(card, card.num_frames)))
    return clip.expand(num_streams, *clip.shape)


def measure(name: str, *, streams: Sequence[int], rounds: int, say: Callable[[str], None]) -> dict[str, Any]:
    """A row of the report: a network in its window and frame by frame, in turn, for numbers of streams at once."""
    torch.manual_seed(0)
    case = CASES[name]
    card, (clips, live) = case.card, case.build()
    size, stack = card.preprocessing.height, live.snippet_frames if isinstance(live, Streaming) else 1
    whole = count_multiply_adds(_on_meta(clips), card.num_frames, size)
    step = count_multiply_adds(_on_meta(live), 1, size)
    stride = max(card.num_frames // ROWS_PER_CLIP, 1)
    folded_clips = fold_batch_norms(clips, (1, card.num_frames, clips.in_channels, size, size))
    folded_live = fold_batch_norms(live, (1, 1, live.in_channels, size, size))
    found = []
    for num_streams in streams:
        frames = _frames(card, num_streams)
        snippet = frames[:, :stack].flatten(1, 2).unsqueeze(1).contiguous()
        with torch.inference_mode():
            _, state = folded_live(snippet)
            sides = {"window": partial(folded_clips, frames.contiguous()), "live": partial(folded_live, snippet, state)}
            seconds = alternate({side: timed(work) for side, work in sides.items()}, rounds=rounds)
        a_frame = {"window": seconds["window"], "live": [each / stack for each in seconds["live"]]}
        quicker = ratios(a_frame["window"], a_frame["live"])
        found.append(
            {
                "streams": num_streams,
                **{f"{side}_ms": asdict(Quartiles.of([1000 * each for each in a_frame[side]])) for side in a_frame},
                "times_less": asdict(quicker),
                "times_less_at_stride": quicker.median / stride,
            }
        )
        say(f"{name}, {num_streams} streams: {quicker.median:.1f} times less")
    return {
        "network": name,
        "frames": card.num_frames,
        "size": size,
        "frames_of_a_step": stack,
        "state_bytes": sum(leaf.nbytes for leaf in live.empty_state(1, size, size)),
        "multiply_adds": {"window": whole, "live": step / stack, "times_less": whole * stack / step},
        "stride": stride,
        "times": found,
    }


def _on_meta(network: Network) -> Network:
    """A copy without weights."""
    return copy.deepcopy(network).to("meta")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m actionstream.benchmarks.frame_by_frame", description=__doc__)
    parser.add_argument("networks", nargs="*", metavar="NETWORK", help=f"default: {'; '.join(CASES)}")
    parser.add_argument("--streams", type=int, nargs="+", default=[1, 8], help="numbers of streams at once")
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    try:
        if unknown := set(arguments.networks) - set(CASES):
            raise ActionstreamError(f"no case {min(unknown)!r}; there are {'; '.join(CASES)}")
        rows = [
            measure(
                name,
                streams=arguments.streams,
                rounds=arguments.rounds,
                say=lambda line: print(line, file=sys.stderr),
            )
            for name in arguments.networks or CASES
        ]
    except ActionstreamError as error:
        sys.exit(f"frame_by_frame: {error}")
    print(json.dumps({"rows": rows, "machine": machine()}, indent=1))


if __name__ == "__main__":
    main()
