"""What several tests need: the shared data, small random networks and checkpoints, clips."""

from __future__ import annotations

import contextlib
import os
import pty
import signal
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from actionstream.models.card import Card
from actionstream.models.catalogue import create
from actionstream.models.network import Network
from actionstream.models.networks.bottleneck3d import Bottleneck3D
from actionstream.models.networks.non_local import NonLocal
from actionstream.models.networks.resnet import Bottleneck
from actionstream.models.preprocessing import Preprocessing

ROOT = Path(__file__).parents[2]
SHARED = ROOT.parent / "shared"
STRICT = bool(os.environ.get("ACTIONSTREAM_NO_SKIP"))
"""Set in CI: a missing system part is a failure, not a skip."""

torch.set_num_threads(min(2, torch.get_num_threads()))


def shared(*parts: str) -> Path:
    """A path in the shared data; skips the test, saying so, where it is absent."""
    path = SHARED.joinpath(*parts)
    if not path.exists():
        pytest.skip(f"the shared data has no {'/'.join(parts)}: this test needs it beside the project")
    return path


def tracked() -> list[Path]:
    """The files of the project: those that git knows of, or does not ignore."""
    output = subprocess.check_output(["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, text=True)
    return [ROOT / line for line in output.splitlines() if (ROOT / line).is_file()]


def touch(root: Path, *names: str) -> Path:
    """Empty files in a folder, by their paths in it; the folder."""
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return root


def freeze(pid: int) -> None:
    """Stop a process, and wait until all its threads have stopped: a signal to another core takes its time."""
    os.kill(pid, signal.SIGSTOP)
    until = time.monotonic() + 20
    while not all(" T " in (task / "stat").read_text() for task in Path(f"/proc/{pid}/task").iterdir()):
        assert time.monotonic() < until, f"process {pid} does not stop"
        time.sleep(0.001)


def missing(what: str) -> None:
    """A part of the system is not there: skip, or fail where CI promised it."""
    if STRICT:
        pytest.fail(f"{what} is missing, and ACTIONSTREAM_NO_SKIP is set")
    pytest.skip(f"{what} is missing")


def randomised(network: Network, seed: int = 0) -> Network:
    """The network in eval mode with random weights that keep the signal alive, and no trivial statistics."""
    generator = torch.Generator().manual_seed(seed)
    for module in network.modules():
        if isinstance(module, torch.nn.Conv2d | torch.nn.Conv3d):
            fan_in = module.weight[0].numel()
            module.weight.data.normal_(0, (2 / fan_in) ** 0.5, generator=generator)
        if isinstance(module, torch.nn.BatchNorm2d | torch.nn.BatchNorm3d):
            module.running_mean.normal_(0, 0.1, generator=generator)
            module.running_var.uniform_(0.8, 1.2, generator=generator)
            module.weight.data.uniform_(0.8, 1.2, generator=generator)
            module.bias.data.normal_(0, 0.1, generator=generator)
    if any(isinstance(module, NonLocal) for module in network.modules()):
        tame(network)
    return network.eval()


def tame(network: Network) -> None:
    """Let what goes into non-local blocks not grow from block to block.

    Their softmax is of products of two features: large ones have one winner, no gradient, and where two are near each
    other the winner is that of the rounding error.
    """
    for module in network.modules():
        if isinstance(module, Bottleneck | Bottleneck3D):
            module.bn3.weight.data *= 0.2
        if isinstance(module, NonLocal):
            module.out[1].weight.data *= 0.2
            if module.affinity == "embedded-gaussian":
                module.phi.weight.data *= 0.01


LABELS = ("wave", "clap", "nod", "jump")
SIZE = 32


def random_card(name: str = "tsm_resnet18", **arguments) -> Card:
    """The card of a small random network of four labels, for frames of SIZE x SIZE at 10 a second."""
    return Card(
        network=name,
        arguments={"num_classes": len(LABELS), **({"width": 0.25} if name == "tsm_resnet18" else {}), **arguments},
        labels=LABELS,
        preprocessing=Preprocessing(height=SIZE, width=SIZE),
        interval_seconds=0.1,
        context=1,
    )


def random_network(card: Card, seed: int = 0) -> Network:
    torch.manual_seed(seed)
    return randomised(create(card.network, **card.arguments), seed)


def scores_of(network: Network, card: Card):
    """What gives scores (B, T, K) of clips (B, T, height, width, C) that begin with an empty state."""

    @torch.inference_mode()
    def score(clips: np.ndarray) -> np.ndarray:
        return network(card.preprocessing.normalise(torch.from_numpy(clips)))[0].numpy()

    return score


def images(count: int, seed: int = 0, height: int = 48, width: int = 64) -> list[np.ndarray]:
    random = np.random.default_rng(seed)
    return list(random.integers(0, 256, (count, height, width, 3), dtype=np.uint8))


def write_video(path: Path, pictures, *, rate: int = 30, times=None, codec: str = "libx264") -> Path:
    """Encode pictures; `times` in seconds where the rate is not steady."""
    from fractions import Fraction

    import av

    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=rate)
        stream.height, stream.width = pictures[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        stream.codec_context.time_base = Fraction(1, 1000)
        for index, picture in enumerate(pictures):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts = round(1000 * (times[index] if times else index / rate))
            frame.time_base = Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def on_a_terminal(command, *, columns: int = 120) -> tuple[int, str]:
    """Run a command in a terminal: its exit code, and all that it wrote there."""
    master, slave = pty.openpty()
    environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": str(columns), "LINES": "40"}
    process = subprocess.Popen(command, stdout=slave, stderr=slave, env=environment)
    os.close(slave)
    screen = b""
    with contextlib.suppress(OSError):  # the terminal closes when the program has ended
        while part := os.read(master, 65536):
            screen += part
    os.close(master)
    return process.wait(60), screen.decode()
