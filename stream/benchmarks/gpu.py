"""Check and measure the temporal shift and the engine on a GPU.

    python -m actionstream.benchmarks.gpu OUT

writes OUT/gpu.json and OUT/gpu.md. It needs CuPy, but not av, gradio or typer. Times are medians of CUDA events, with a
flushed cache and the launch queued in advance. Alternatives are measured in turn, and each kernel twice: the difference
of the two is the noise. Without a GPU, `--rehearse` runs everything with small shapes on the CPU, to test the program;
its figures mean nothing.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from actionstream.benchmarks.alternation import alternate, timed
from actionstream.benchmarks.machine import machine
from actionstream.benchmarks.networks import card_of
from actionstream.kernels import operators, temporal_shift_torch
from actionstream.models.catalogue import create
from actionstream.models.network import Network, TemporalShift
from actionstream.runtimes.graphs import GraphRuntime

NETWORKS = ("tsm_resnet50", "tsm_mobilenet_v2")
FRAME_SECONDS = 1 / 30
HIDDEN_CYCLES = 4_000_000  # 2 ms: more than any launch takes on the host


@dataclass(frozen=True)
class Plan:
    """The device, and the shapes and repetitions to measure."""

    device: torch.device
    dtype: torch.dtype = torch.float16
    size: int = 224
    batches: tuple[int, ...] = (1, 8, 64, 256)
    step_batches: tuple[int, ...] = (1, 64)
    stream_batches: tuple[int, ...] = (1, 2, 4, 8, 16, 32, 64, 128, 256)
    repeats: int = 30
    flush_bytes: int = 512 * 2**20  # more than any cache
    cases: int = 200
    compiled: bool = True


REHEARSAL = Plan(
    device=torch.device("cpu"),
    dtype=torch.float32,
    size=32,
    batches=(1, 2),
    step_batches=(1, 2),
    stream_batches=(1, 2),
    repeats=2,
    flush_bytes=2**16,
    cases=10,
    compiled=False,
)


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure the temporal shift and the engine on a GPU.")
    parser.add_argument("out", type=Path, help="folder for gpu.json and gpu.md")
    parser.add_argument("--rehearse", action="store_true", help="small shapes on the CPU, to see that it runs")
    arguments = parser.parse_args()
    if not arguments.rehearse and not torch.cuda.is_available():
        sys.exit("there is no CUDA device here; --rehearse runs all of it on the CPU, with figures that mean nothing")
    plan = REHEARSAL if arguments.rehearse else Plan(device=torch.device("cuda"))
    arguments.out.mkdir(parents=True, exist_ok=True)
    report: dict[str, Any] = {"machine": described(plan)}
    for name, part in [
        ("correct", correctness),
        ("bandwidth", bandwidth),
        ("alternatives", alternatives),
        ("online_step", online_step),
        ("throughput", throughput),
        ("memory", memory),
    ]:
        began = time.perf_counter()
        report[name] = part(plan)
        print(f"{name}: {time.perf_counter() - began:.0f} s", flush=True)
        (arguments.out / "gpu.json").write_text(json.dumps(report, indent=1))
    (arguments.out / "gpu.md").write_text(markdown(report))
    print((arguments.out / "gpu.md").read_text())


def described(plan: Plan) -> dict[str, Any]:
    """The machine, the device and the versions."""
    there = plan.device.type == "cuda"
    more: dict[str, Any] = {"cuda": torch.version.cuda}
    if there:
        import cupy

        more["cupy"] = cupy.__version__
    device = torch.cuda.get_device_name(plan.device) if there else f"{platform.machine()} CPU (a rehearsal)"
    return {"device": device, "dtype": str(plan.dtype), **more, **machine()}


def times(plan: Plan, alternatives: dict[str, Callable[[], Any]]) -> dict[str, float]:
    """Median seconds of each alternative, called in turn."""
    flush = torch.zeros(plan.flush_bytes, dtype=torch.uint8, device=plan.device)
    sides = {name: partial(_time, plan, work, flush) for name, work in alternatives.items()}
    found = alternate(sides, rounds=plan.repeats, warm_ups=3)  # the first ones compile
    return {name: float(np.median(seconds)) for name, seconds in found.items()}


def _time(plan: Plan, work: Callable[[], Any], flush: Tensor) -> float:
    if plan.device.type != "cuda":
        return timed(work)()
    begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    torch.cuda.synchronize()
    flush.max()  # flushes the cache: it only reads, so that nothing has to be written back
    torch.cuda._sleep(HIDDEN_CYCLES)  # the launch is queued behind this: its time on the host does not count
    begin.record()
    work()
    end.record()
    end.synchronize()
    return begin.elapsed_time(end) / 1000


# Correctness.


def correctness(plan: Plan) -> dict[str, Any]:
    """Compare every variant with the torch form on random inputs; uninitialised memory holds NaN."""
    random = np.random.default_rng(0)
    checked = 0
    torch.use_deterministic_algorithms(True)  # this fills new memory with NaN
    for case in range(plan.cases):
        dtype = [torch.float16, torch.bfloat16, torch.float32, torch.float64][case % 4]
        streams, snippets, channels, height, width = (
            int(random.choice(sizes)) for sizes in ([1, 2, 5], [1, 2, 4], [1, 8, 20, 24, 64], [1, 7, 8], [1, 5, 8])
        )
        layout = [torch.contiguous_format, torch.channels_last][case // 4 % 2]
        fold = int(random.integers(0, channels + 1))
        second = int(random.integers(fold, channels + 1))

        def tensor(rows: int, channels: int) -> Tensor:
            x = torch.randn(rows, channels, height, width, device=plan.device).to(dtype)  # noqa: B023
            return x.contiguous(memory_format=layout)  # noqa: B023

        x = tensor(streams * snippets, channels)
        leaf, pool = tensor(streams, fold), tensor(9, fold)
        pool = pool.contiguous(memory_format=temporal_shift_torch.memory_format(x))
        rows = torch.from_numpy(np.where(random.random(streams) < 0.3, -1, random.permutation(9)[:streams]))
        rows = rows.to(plan.device)
        for step in (1, -1):
            for circulant in (False, True):
                clip = snippets, fold, second, step, circulant
                _same(operators.shift_clip(x, *clip), temporal_shift_torch.shift_clip(x, *clip))
                x.requires_grad_()
                gradient = torch.autograd.grad(operators.shift_clip(x, *clip).sum(), x)[0]
                expected = torch.autograd.grad(temporal_shift_torch.shift_clip(x, *clip).sum(), x)[0]
                x.requires_grad_(False)
                _same(gradient, expected)
        for reverse in (False, True):
            for before in (None, leaf):
                _same(
                    operators.shift_chunk(x, before, snippets, fold, reverse),
                    temporal_shift_torch.shift_chunk(x, before, snippets, fold, reverse),
                )
        expected_pool = pool.clone(memory_format=torch.preserve_format)
        expected = temporal_shift_torch.shift_slots(x, expected_pool, rows, snippets, fold)
        _same(operators.shift_slots(x, pool, rows, snippets, fold), expected)
        _same(pool, expected_pool)
        checked += 14
    torch.use_deterministic_algorithms(False)
    return {"comparisons": checked, "wrong": 0}


def _same(found: Any, expected: Any) -> None:
    pairs = zip(found, expected, strict=True) if isinstance(found, tuple) else [(found, expected)]
    for one, other in pairs:
        if not torch.equal(one, other):
            raise SystemExit(f"the kernel is wrong for {tuple(one.shape)} {one.dtype} {one.stride()}")


# Speed of the shift.


def shapes(plan: Plan, name: str) -> dict[tuple[int, int, int], int]:
    """(channels, height, width) of the tensors that a network shifts -> how many times."""
    network = create(name).eval()
    found: dict[tuple[int, int, int], int] = {}

    def note(module: TemporalShift, inputs: tuple) -> None:
        shape = tuple(inputs[0].shape[1:])
        found[shape] = found.get(shape, 0) + 1

    for module in network.modules():
        if isinstance(module, TemporalShift):
            module.register_forward_pre_hook(note)
    with torch.inference_mode():
        network(torch.zeros(1, 1, 3, plan.size, plan.size))
    return found


def every_case(plan: Plan) -> Iterator[tuple[dict[str, Any], Tensor, Tensor, Tensor]]:
    """For each shape and batch: its description, an input, a pool, and its rows."""
    for network in NETWORKS:
        for (channels, height, width), count in shapes(plan, network).items():
            for batch in plan.batches:
                described = {"network": network, "shape": [channels, height, width], "times": count, "batch": batch}
                x, pool = (
                    torch.randn(batch, size, height, width, device=plan.device, dtype=plan.dtype).contiguous(
                        memory_format=torch.channels_last
                    )
                    for size in (channels, channels // 8)
                )
                yield described, x, pool, torch.arange(batch, device=plan.device)


def bandwidth(plan: Plan) -> list[dict[str, Any]]:
    """Compare each variant with one copy that moves as many bytes."""
    rows = []
    for case, x, pool, index in every_case(plan):
        fold = x.shape[1] // 8
        moved = 2 * x.nbytes + 2 * pool.nbytes  # x in and out, the pool in and out
        source, target = (torch.empty(moved // 2, dtype=torch.uint8, device=plan.device) for _ in range(2))
        slots = partial(operators.shift_slots, x, pool, index, 1, fold)
        clip = partial(operators.shift_clip, x, 1, fold, 2 * fold, 1, False)
        copy = partial(target.copy_, source)
        seconds = times(plan, {"slots": slots, "copy": copy, "slots again": slots, "bidirectional": clip})
        rows.append(
            {
                **case,
                "microseconds": seconds["slots"] * 1e6,
                "gigabytes_a_second": moved / seconds["slots"] / 1e9,
                "of_a_copy": seconds["copy"] / seconds["slots"],
                "again": seconds["copy"] / seconds["slots again"],
                "bidirectional_of_a_copy": seconds["copy"] / seconds["bidirectional"],
            }
        )
    return rows


def alternatives(plan: Plan) -> list[dict[str, Any]]:
    """Compare the online step with torch code: slicing, rolling, and compiled slicing."""

    def slicing(x: Tensor, pool: Tensor, index: Tensor) -> Tensor:
        fold = x.shape[1] // 8
        out = torch.cat([pool[index], x[:, fold:]], dim=1)
        pool[index] = x[:, :fold]
        return out

    def rolling(x: Tensor, pool: Tensor, index: Tensor) -> Tensor:
        fold = x.shape[1] // 8
        both = torch.stack([pool[index], x[:, :fold]], dim=1).roll(1, dims=1)
        pool[index] = both[:, 0]
        return torch.cat([both[:, 1], x[:, fold:]], dim=1)

    compiled = torch.compile(slicing, dynamic=False) if plan.compiled else slicing
    rows = []
    for case, x, pool, index in every_case(plan):
        if case["batch"] not in plan.step_batches:
            continue
        torch.compiler.reset()
        forms: dict[str, Callable[[], Any]] = {
            "ours": partial(operators.shift_slots, x, pool, index, 1, x.shape[1] // 8),
            "slicing": partial(slicing, x, pool, index),
            "roll": partial(rolling, x, pool, index),
            "compiled": partial(compiled, x, pool, index),
        }
        seconds = times(plan, forms)
        rows.append({**case, **{name: seconds[name] / seconds["ours"] for name in ("slicing", "roll", "compiled")}})
    return rows


# Speed of the engine.


def runtime_of(plan: Plan, name: str, batches: tuple[int, ...], num_slots: int) -> GraphRuntime:
    """A runtime of a network with its initial weights: trained weights are as fast."""
    card = card_of(name, size=plan.size, num_classes=400)
    network: Network = create(name, num_classes=400)
    return GraphRuntime(
        network, card, device=plan.device.type, dtype=plan.dtype, batch_sizes=batches, num_slots=num_slots
    )


def _frames(plan: Plan, count: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, 1, plan.size, plan.size, 3), dtype=np.uint8)


def online_step(plan: Plan) -> list[dict[str, Any]]:
    """Compare a step with the shift with that of the same network without it, as CUDA graphs: device time only."""
    rows = []
    for name in NETWORKS:
        for batch in plan.step_batches:
            replays: dict[str, Callable[[], Any]] = {}
            for kind in (name, name.replace("tsm_", "tsn_")):
                runtime = runtime_of(plan, kind, (batch,), batch)
                slots = np.array([runtime.allocate() for _ in range(batch)])
                frames = _frames(plan, batch)
                lane = runtime.begin(frames, slots).buffers

                def replay(runtime=runtime, frames=frames, slots=slots, graph=lane.graph) -> None:
                    if graph is None:
                        runtime.step(frames, slots)
                    else:
                        graph.replay()

                replays[kind] = replay
            seconds = times(plan, {**replays, "again": replays[name]})
            with_shift, without = (seconds[kind] for kind in (name, name.replace("tsm_", "tsn_")))
            rows.append(
                {
                    "network": name,
                    "batch": batch,
                    "ms": with_shift * 1000,
                    "without_shift_ms": without * 1000,
                    "ratio": with_shift / without,
                    "ratio_again": seconds["again"] / without,
                }
            )
    return rows


def throughput(plan: Plan) -> list[dict[str, Any]]:
    """Frames a second through the runtime, from uint8 frames to scores, and the streams of 30 frames/s that it holds.

    A batch of B streams holds B streams for each step that fits into one frame interval (33 ms) at the 99th percentile.
    """
    rows = []
    for name in NETWORKS:
        runtime = runtime_of(plan, name, plan.stream_batches, plan.stream_batches[-1])
        slots = np.array([runtime.allocate() for _ in range(plan.stream_batches[-1])])
        for batch in plan.stream_batches:
            frames = _frames(plan, batch)
            seconds = []
            for turn in range(3 + max(100, plan.repeats) if plan.compiled else 5):
                began = time.perf_counter()
                runtime.step(frames, slots[:batch])
                if turn >= 3:
                    seconds.append(time.perf_counter() - began)
            p50, p99 = np.quantile(seconds, [0.5, 0.99])
            steps = int(FRAME_SECONDS / p99)
            rows.append(
                {
                    "network": name,
                    "batch": batch,
                    "p50_ms": p50 * 1000,
                    "p99_ms": p99 * 1000,
                    "frames_a_second": batch / p50,
                    "streams": steps * batch,
                }
            )
    return rows


def memory(plan: Plan) -> list[dict[str, Any]]:
    """The size of a stream's state, and the peak memory of a step on the device."""
    rows = []
    for name in NETWORKS:
        network = create(name).to(plan.dtype)
        row: dict[str, Any] = {"network": name, "state_kilobytes": network.state_bytes(plan.size, plan.size) / 1000}
        if plan.device.type == "cuda":
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()
            batch = plan.step_batches[-1]
            runtime = runtime_of(plan, name, (batch,), batch)
            runtime.step(_frames(plan, batch), np.array([runtime.allocate() for _ in range(batch)]))
            row |= {"batch": batch, "peak_megabytes": torch.cuda.max_memory_allocated() / 1e6}
        rows.append(row)
    return rows


def markdown(report: dict[str, Any]) -> str:
    """The report as tables."""
    machine = {**report["machine"], **report["machine"]["versions"]}
    described = "\n".join(f"- {name}: {value}" for name, value in machine.items() if name != "versions")
    parts = [f"# On {machine['device']}, {machine['date']}", described]
    for name, rows in report.items():
        if isinstance(rows, list):
            columns = list(rows[0])
            lines = ["| " + " | ".join(columns) + " |", "|" + " --- |" * len(columns)]
            for row in rows:
                shown = [f"{row[c]:.2f}" if isinstance(row[c], float) else str(row[c]) for c in columns]
                lines.append("| " + " | ".join(shown) + " |")
            parts += [f"## {name.replace('_', ' ')}", "\n".join(lines)]
    correct = report["correct"]
    parts.append(f"{correct['comparisons']} comparisons with the torch form, {correct['wrong']} wrong.")
    return "\n\n".join(parts) + "\n"


if __name__ == "__main__":
    main()
