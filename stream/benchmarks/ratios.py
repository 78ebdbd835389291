"""The performance goals of the project, as ratios of two things that are measured in alternation."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from time import process_time
from typing import Any, NamedTuple

import numpy as np
import onnxruntime
import torch

from actionstream.benchmarks.alternation import Stage, alternate, burst, no_stage, ratios, timed
from actionstream.benchmarks.films import encode_film
from actionstream.benchmarks.networks import card_of, sample_snippets, write_checkpoint
from actionstream.benchmarks.opening import batch_step, open_with_threads, threads
from actionstream.benchmarks.peer import NAME, Peer
from actionstream.benchmarks.products import MULTIPLY_ADDS, matrix_product
from actionstream.choices import RuntimeName
from actionstream.engine.engine import Engine
from actionstream.live.watch import Watch
from actionstream.models.card import Card
from actionstream.models.catalogue import NETWORKS
from actionstream.models.common.errors import ActionstreamError
from actionstream.models.export.files import export
from actionstream.models.networks.costs import read_table
from actionstream.models.weights.loading import load
from actionstream.runtimes.onnx import open_session
from actionstream.runtimes.plans import num_cores_here
from actionstream.runtimes.runtime import Runtime
from actionstream.sinks import JsonLines
from actionstream.sources import SAMPLE, open_source

REFERENCE = "torch"
EAGER = "eager torch"
"""The plain network, without the optimisations of our runtimes (folded batch norms, channels last)."""
CLIP = 8  # frames
STREAMS = (2, 4, 8)
FILM_SIZE = 640, 480
NUM_CALIBRATED = 64  # pictures of the sample, for int8
OFFICIAL = "tsm_mobilenet_v2"  # what the authors' online demo runs


class Variant(NamedTuple):
    """How a network is run: the runtime, whether from an exported file, and whether in int8."""

    runtime: RuntimeName
    exported: bool = False
    int8: bool = False


VARIANTS = {
    REFERENCE: Variant("torch"),
    "compile": Variant("compile"),
    "onnx": Variant("onnx", exported=True),
    "openvino": Variant("openvino", exported=True),
    "onnx int8": Variant("onnx", exported=True, int8=True),
    "openvino int8": Variant("openvino", exported=True, int8=True),
}


_PACKAGES = {"onnx": "onnxruntime", "openvino": "openvino"}


@dataclass(frozen=True)
class Goal:
    """The bounds that a ratio should meet."""

    at_least: float | None = None
    at_most: float | None = None

    def met(self, ratio: float) -> bool:
        return (self.at_least is None or ratio >= self.at_least) and (self.at_most is None or ratio <= self.at_most)


@dataclass(frozen=True)
class Figure:
    """A row of the table: a ratio named "left / right", its network, runtime and goal."""

    name: str
    network: str
    runtime: str
    goal: Goal = Goal()

    def __str__(self) -> str:
        return f"{self.name}, {self.network}, {self.runtime}"

    def row(self, left: tuple[str, list[float]], right: tuple[str, list[float]]) -> dict[str, Any]:
        """The row as plain values. left, right: what is measured, and its seconds of each round."""
        ratio = ratios(left[1], right[1])
        return {
            "figure": self.name,
            "network": self.network,
            "runtime": self.runtime,
            "left": {"what": left[0], "median_ms": 1000 * median(left[1])},
            "right": {"what": right[0], "median_ms": 1000 * median(right[1])},
            "ratio": asdict(ratio),
            **asdict(self.goal),
            "met": self.goal.met(ratio.median),
            "rounds_ms": [[1000 * one, 1000 * other] for one, other in zip(left[1], right[1], strict=True)],
        }


@dataclass(frozen=True)
class Plan:
    """How the figures are measured.

    networks  online networks, "tsm_..."; figures of a single network use the first one
    runtimes  names from VARIANTS, in addition to REFERENCE
    rounds    rounds of single steps; passes over a whole video have a fifth as many
    peer      a network of another project to compare with, or None
    """

    folder: Path
    networks: Sequence[str] = (OFFICIAL, "tsm_resnet50")
    runtimes: Sequence[str] = ()
    size: int = 224
    num_threads: int = 2
    rounds: int = 40
    film_frames: int = 60
    peer: Peer | None = None


def installed_variants() -> list[str]:
    """The default runtimes, in addition to REFERENCE; "compile" is left out, since it takes minutes."""
    return [name for name, variant in VARIANTS.items() if variant.exported and find_spec(_PACKAGES[variant.runtime])]


def check_variants(names: Sequence[str]) -> None:
    """Raise ValueError for a name that is not in VARIANTS, or not installed."""
    for name in names:
        if name not in VARIANTS:
            raise ActionstreamError(f"no runtime {name!r} to measure; there are {', '.join(VARIANTS)}")
        package = _PACKAGES.get(VARIANTS[name].runtime)
        if package and find_spec(package) is None:
            raise ActionstreamError(f"{name} needs {package}, which is not installed: pip install {package}")


def check_networks(names: Sequence[str]) -> None:
    """Raise ValueError for a network that has no twin without shift."""
    for name in names:
        twin = name.replace("tsm_", "tsn_", 1)
        if name == twin or not {name, twin} <= set(NETWORKS):
            known = [
                each for each in NETWORKS if each.startswith("tsm_") and each.replace("tsm_", "tsn_", 1) in NETWORKS
            ]
            raise ActionstreamError(f"{name} has no twin without shift; these have: {', '.join(known)}")


class _Steps:
    """Checkpoints, exported files and runtimes of networks, each made once, and steps with them."""

    def __init__(self, plan: Plan):
        self._plan = plan
        self._open: dict[tuple[str, str], Runtime] = {}

    def card(self, network: str) -> Card:
        return card_of(network, size=self._plan.size)

    def checkpoint(self, network: str) -> Path:
        path = self._plan.folder / f"{network}.safetensors"
        if not path.exists():
            write_checkpoint(path, self.card(network))
        return path

    def exported(self, network: str, *, int8: bool = False, chunk: int = 1) -> Path:
        """An ONNX file with one step of `chunk` frames, for ONNX Runtime and OpenVINO."""
        path = self._plan.folder / f"{network} {chunk}{' int8' if int8 else ''}.onnx"
        if not path.exists():
            calibration = [sample_snippets(self.card(network), NUM_CALIBRATED)] if int8 else None
            export(*load(self.checkpoint(network)), path, chunk=chunk, calibration=calibration)
        return path

    def runtime(self, network: str, name: str) -> Runtime:
        if (network, name) not in self._open:
            runtime, exported, int8 = VARIANTS[name]
            model = self.exported(network, int8=int8) if exported else self.checkpoint(network)
            self._open[network, name] = open_with_threads(
                model, runtime=runtime, device="cpu", num_threads=self._plan.num_threads
            )
        return self._open[network, name]

    def batch(self, network: str, name: str, size: int = 1) -> Callable[[], np.ndarray]:
        runtime = self.runtime(network, name)
        return batch_step(runtime, sample_snippets(runtime.card, size), size, num_threads=self._plan.num_threads)


def measure_ratios(plan: Plan, *, stage: Stage = no_stage) -> list[dict[str, Any]]:
    """Measure all figures; README says what each means."""
    steps = _Steps(plan)
    whole = [REFERENCE, *(name for name in plan.runtimes if not VARIANTS[name].int8)]
    found = [_shift(plan, steps, network, name, stage) for network in plan.networks for name in whole]
    found += _runtimes(plan, steps, stage)
    for name in (REFERENCE, "onnx"):
        if name in whole:
            found.append(_clip(plan, steps, name, stage))
    for name in whole:
        found += _batches(plan, steps, name, stage)
        found.append(_whole_path(plan, steps, name, stage))
    return found


def _shift(plan: Plan, steps: _Steps, network: str, runtime: str, stage: Stage) -> dict[str, Any]:
    """The cost of the temporal shift: the same network with and without."""
    without = network.replace("tsm_", "tsn_", 1)
    figure = Figure("with shift / without", network, runtime, Goal(at_most=1.05))
    sides = {name: burst(steps.batch(name, runtime)) for name in (network, without)}
    seconds = alternate(sides, rounds=plan.rounds, done=stage(str(figure)))
    return figure.row((network, seconds[network]), (without, seconds[without]))


def _runtimes(plan: Plan, steps: _Steps, stage: Stage) -> list[dict[str, Any]]:
    """Compare each runtime with eager torch and with a matrix product, and the fastest one with the peer."""
    network = plan.networks[0]
    multiply_adds = next(row.multiply_adds * (plan.size / row.size) ** 2 for row in read_table() if row.name == network)
    eager = burst(_eager_step(plan, steps, network))
    beside_eager: dict[str, dict[str, Any]] = {}
    beside_product = []
    for name in (REFERENCE, *plan.runtimes):
        int8 = VARIANTS[name].int8
        product = f"matrix product in {'int8' if int8 else 'float32'}"
        sides = {
            EAGER: eager,
            name: burst(steps.batch(network, name)),
            product: burst(matrix_product(int8=int8, num_threads=plan.num_threads)),
        }
        figure = Figure(f"{EAGER} / this runtime", network, name)
        seconds = alternate(sides, rounds=plan.rounds, done=stage(str(figure)))
        beside_eager[name] = figure.row((EAGER, seconds[EAGER]), (name, seconds[name]))
        at_best = [each * multiply_adds / MULTIPLY_ADDS for each in seconds[product]]
        figure = Figure("matrix product / this runtime", network, name)
        left = f"{multiply_adds / 1e6:.0f} million multiply-adds of a {product}", at_best
        beside_product.append(figure.row(left, (name, seconds[name])))
    beside_peer = []
    for int8, (over_eager, over_peer) in {False: (4.0, 2.5), True: (8.0, 6.0)}.items():
        names = [name for name in beside_eager if VARIANTS[name].int8 == int8]
        if names:
            best = max(names, key=lambda name: beside_eager[name]["ratio"]["median"])
            ratio = beside_eager[best]["ratio"]["median"]
            goal = Goal(at_least=over_eager)
            beside_eager[best] |= {**asdict(goal), "met": goal.met(ratio)}
            if plan.peer is not None:
                beside_peer.append(_peer(plan, steps, best, plan.peer, Goal(at_least=over_peer), stage))
    return [*beside_eager.values(), *beside_product, *beside_peer]


def _peer(plan: Plan, steps: _Steps, name: str, peer: Peer, goal: Goal, stage: Stage) -> dict[str, Any]:
    """Compare the peer with our network, each with pictures of its own input size."""
    network = plan.networks[0]
    image = sample_snippets(_resized(steps.card(network), peer.height, peer.width), 1)
    pixels = image[None].astype(np.float32) / 255
    sides = {NAME: burst(lambda: peer.step(pixels)), name: burst(steps.batch(network, name))}
    figure = Figure(f"{NAME} / this", network, name, goal)
    seconds = alternate(sides, rounds=plan.rounds, done=stage(str(figure)))
    theirs = f"{NAME}, {peer.height} x {peer.width}, LiteRT", seconds[NAME]
    return figure.row(theirs, (f"{network}, {plan.size} x {plan.size}, {name}", seconds[name]))


def _eager_step(plan: Plan, steps: _Steps, name: str) -> Callable[[], None]:
    """A step of one stream as in the authors' demo: normalise the pixels, call the network with the last state."""
    network, card = load(steps.checkpoint(name))
    pixels = torch.from_numpy(sample_snippets(card, 1)[None])
    state = network.empty_state(1, plan.size, plan.size)

    def step() -> None:
        nonlocal state
        with threads(plan.num_threads), torch.inference_mode():
            _, state = network(card.preprocessing.normalise(pixels).contiguous(), state)

    return step


def _resized(card: Card, height: int, width: int) -> Card:
    """The same card with another input size."""
    return replace(card, preprocessing=replace(card.preprocessing, height=height, width=width))


def _clip(plan: Plan, steps: _Steps, name: str, stage: Stage) -> dict[str, Any]:
    """The cost of a whole clip in one call for each frame, instead of one step."""
    network = plan.networks[0]
    clip = sample_snippets(steps.card(network), CLIP)[None]
    if name == REFERENCE:
        runtime = steps.runtime(network, name)
        slot = runtime.allocate()

        def again() -> None:
            runtime.reset(slot)
            with threads(plan.num_threads):
                runtime.step(clip, np.array([slot]))

    else:  # our ONNX runtime would run the clip frame by frame
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = plan.num_threads
        session = open_session(steps.exported(network, chunk=CLIP), options)
        inputs = {each.name: np.zeros([1, *each.shape[1:]], np.float32) for each in session.get_inputs()}
        inputs["pixels"] = clip

        def again() -> None:
            session.run(["scores"], inputs)

    figure = Figure(f"clip of {CLIP} / one step", network, name, Goal(at_least=7.0))
    sides = {"clip": burst(again, 1), "step": burst(steps.batch(network, name))}
    seconds = alternate(sides, rounds=plan.rounds, done=stage(str(figure)))
    left, right = (f"{CLIP} frames from an empty state", seconds["clip"]), ("one online step", seconds["step"])
    return figure.row(left, right)


def _batches(plan: Plan, steps: _Steps, name: str, stage: Stage) -> list[dict[str, Any]]:
    """The gain of one batch of streams over as many steps of one stream."""
    network = plan.networks[0]
    sides = {f"{size}": burst(steps.batch(network, name, size), 2) for size in STREAMS}
    alone = steps.batch(network, name)
    for size in STREAMS:
        sides[f"{size} x 1"] = burst(lambda size=size: [alone() for _ in range(size)], 2)  # type: ignore[misc]
    seconds = alternate(sides, rounds=plan.rounds, done=stage(f"batches, {network}, {name}"))
    return [
        Figure(f"{size} steps / batch of {size}", network, name, Goal(at_least=1.0)).row(
            (f"{size} steps of one stream", seconds[f"{size} x 1"]),
            (f"one step of {size} streams", seconds[f"{size}"]),
        )
        for size in STREAMS
    ]


def _whole_path(plan: Plan, steps: _Steps, name: str, stage: Stage) -> dict[str, Any]:
    """Compare the path from a file to JSON lines with what the work of its parts takes on all cores."""
    network = plan.networks[0]
    film = plan.folder / "film.mp4"
    width, height = FILM_SIZE
    encode_film(SAMPLE, film, width=width, height=height, num_frames=plan.film_frames)
    runtime = steps.runtime(network, name)
    wanted = runtime.card.preprocessing
    pictures = [frame.picture for frame in open_source(film)]
    resized = [wanted.resize(picture)[None, None] for picture in pictures]
    slot = np.array([runtime.allocate()])
    engine = Engine(runtime)

    def decode() -> None:
        for _ in open_source(film):
            pass

    def preprocess() -> None:
        for picture in pictures:
            wanted.resize(picture)

    def model() -> None:
        for snippet in resized:
            runtime.step(snippet, slot)

    def whole() -> None:
        with open(os.devnull, "w") as nowhere:
            watch = Watch(engine, policy="every")
            watch.add(film, sinks=lambda _: [JsonLines(nowhere, top=5)])
            with closing(watch):
                labelled = sum(update.prediction is not None for update in watch)
        assert labelled == len(resized)

    parts = {"decoding": decode, "preprocessing": preprocess, "model": model}
    cores = num_cores_here()
    figure = Figure("work of the parts / whole path", network, name, Goal(at_least=0.9))
    with threads(plan.num_threads):
        seconds = alternate(
            {**{part: timed(work, process_time) for part, work in parts.items()}, "whole": timed(whole)},
            rounds=max(1, plan.rounds // 5),
            done=stage(str(figure)),
        )
    work = [sum(each) / cores for each in zip(*(seconds[part] for part in parts), strict=True)]
    shares = ", ".join(f"{part} {1000 * median(seconds[part]) / len(resized):.2f}" for part in parts)
    what = f"{shares} ms of CPU time a frame, over {cores} cores; {len(resized)} frames of {width} x {height}"
    return figure.row((what, work), ("file to JSON lines", seconds["whole"]))
