"""Random damage to every kind of file that the project reads: a clear error may come of it, and nothing else.

    .venv/bin/python tests/support/fuzzing.py --inputs 500000

An input is a seed (tests/golden/fuzz/KIND) with a few mutations, and follows from the number of the input and `--seed`
alone. What is found: an exception that is neither ActionstreamError nor OSError, a read that takes longer than
LIMIT_SECONDS or more than LIMIT_BYTES, and the death of the process.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import random
import re
import resource
import signal
import tempfile
import traceback
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.progress import track

from actionstream.engine.fusion_file import read_networks
from actionstream.evaluation import activitynet, thumos14
from actionstream.evaluation.detection_table import read_table
from actionstream.live.watch_list import WatchList
from actionstream.models.annotations.read import read_annotations
from actionstream.models.common.errors import ActionstreamError
from actionstream.models.export.exported import Exported
from actionstream.models.labels.files import read_label_file
from actionstream.models.training.data import Data
from actionstream.models.training.datasets import Clip
from actionstream.models.training.features import FeatureSettings
from actionstream.models.training.reading import read_frames, stretch_of
from actionstream.models.training.run import Run
from actionstream.models.video.decoder import Decoder
from actionstream.models.video.pictures import rate_of_folder, read_picture
from actionstream.models.weights.checkpoint import read_card
from actionstream.models.weights.weight_file import read_weights

SEEDS = Path(__file__).parents[1] / "golden" / "fuzz"
LIMIT_SECONDS = 10
LIMIT_BYTES = 3_000_000_000
"""Of address space beyond what the process has when it begins."""


@dataclass(frozen=True)
class Kind:
    """A kind of file: how it is read, its share of all inputs, and whether its seeds are text."""

    read: Callable[[Path], object]
    weight: int = 10
    text: bool = True


def read_as_card(path: Path) -> object:
    """The text as the card of a checkpoint without tensors."""
    head = json.dumps({"__metadata__": {"actionstream": path.read_text("utf-8", "replace")}}).encode()
    path.write_bytes(len(head).to_bytes(8, "little") + head)
    return read_card(path)


def read_as_settings(path: Path) -> object:
    folder = path.parent / "run"
    folder.mkdir(exist_ok=True)
    path.replace(folder / "settings.json")
    return Run.open(folder)


def read_as(format_: str, **more: str) -> Callable[[Path], object]:
    """The file as the list or annotations of training clips."""

    def read(path: Path) -> object:
        root = path.parent / "videos"
        if not root.exists():
            for name in ("a.mp4", "b.mp4", "wave/v_wave_g01_c01.avi", "1/00001.jpg", "2/00001.jpg"):
                (root / name).parent.mkdir(parents=True, exist_ok=True)
                (root / name).touch()
        return Data(root=str(root), format=format_, training=str(path), **more).open()  # type: ignore[arg-type]

    return read


def read_as_features(path: Path) -> object:
    folder = path.parent / "features"
    folder.mkdir(exist_ok=True)
    path.replace(folder / "features.json")
    return FeatureSettings.read(folder)


def read_as_rate(path: Path) -> object:
    path.replace(path.with_name("rate.txt"))
    return rate_of_folder(path.parent)


def read_video(path: Path) -> object:
    decoder = Decoder(str(path), name=path.name, threads="SLICE")
    try:
        return sum(picture.width for picture, _ in decoder.timed())
    finally:
        decoder.close()


def read_as_annotations(path: Path) -> object:
    """The file as THUMOS14's annotations of a class."""
    folder = path.parent / "annotation"
    folder.mkdir(exist_ok=True)
    path.replace(folder / "wave_val.txt")
    return read_annotations(folder)


def read_as_fusion(path: Path) -> object:
    for name in ("rgb.safetensors", "flow.safetensors"):
        path.with_name(name).touch()
    return read_networks(path)


def read_watch_list(path: Path) -> object:
    WatchList(path, add=lambda source, name: name or source, remove=lambda name: None, say=lambda line: None).poll()
    return None


KINDS = {
    "activitynet-results": Kind(lambda path: activitynet.read_results(path, task="detection")),
    "activitynet-truth": Kind(lambda path: activitynet.read_truth(path, subset="validation")),
    "activitynet-clips": Kind(read_as("activitynet")),
    "annotations": Kind(read_annotations),
    "annotations-thumos14": Kind(read_as_annotations),
    "card": Kind(read_as_card, weight=30),
    "detections": Kind(read_table),
    "exported": Kind(lambda path: Exported.from_json(path.read_text("utf-8", "replace"), path)),
    "features": Kind(read_as_features),
    "fusion": Kind(read_as_fusion, weight=20),
    "jester": Kind(read_as("jester")),
    "kinetics": Kind(read_as("kinetics")),
    "labels": Kind(read_label_file, weight=30),
    "list": Kind(read_as("list"), weight=20),
    "maps": Kind(lambda path: read_frames(path, range(len(stretch_of(Clip(path, ("a",)))))), text=False),
    "picture": Kind(read_picture, weight=20, text=False),
    "rate": Kind(read_as_rate),
    "settings": Kind(read_as_settings, weight=30),
    "something-something": Kind(read_as("something-something")),
    "thumos14": Kind(lambda path: thumos14.read_detections(path, classes={"1": "wave"})),
    "ut-interaction": Kind(read_as("ut-interaction")),
    "video": Kind(read_video, weight=40, text=False),
    "watch-list": Kind(read_watch_list),
    "weights": Kind(read_weights, weight=20, text=False),
}

ODD = ["null", "[]", "{}", '""', "true", "NaN", "-Infinity", "1e999", "-1", "0", "1" + 30 * "0", "0.5", '"\\u0000"']
ODD += [5000 * "x", 100_000 * "[", 20_000 * '{"a":', "\ufeff", "\r", "\x00", "\u202e", "=", ",,,", "\t", "'", '"']
ODD += ["../../etc/passwd", "**"]
NUMBER_OR_WORD = re.compile(rb"-?\d+(?:\.\d+)?|\"[^\"]*\"|\w+")


def mutate(data: bytes, others: list[bytes], *, text: bool, chance: random.Random) -> bytes:
    """A few changes of the kind that damage, editors and people with bad intent make."""
    for _ in range(chance.choice((1, 1, 1, 2, 4, 16))):
        at = chance.randrange(len(data) + 1)
        odd = chance.choice(ODD).encode()
        match chance.randrange(9 if text else 6):
            case 0:
                data = data[:at] + bytes([chance.randrange(256)]) + data[at + 1 :]
            case 1:
                data = data[:at] + data[at + chance.choice((1, 2, 8, 100)) :]
            case 2:
                piece = data[at : at + chance.choice((1, 4, 30, 400))]
                data = data[:at] + piece * chance.choice((1, 2, 50)) + data[at:]
            case 3:
                data = data[:at]
            case 4:
                other = chance.choice(others)
                data = data[:at] + other[chance.randrange(len(other) + 1) :]
            case 5:
                number = chance.choice((0, 1, 2**15, 2**16 - 1, 2**31 - 1, 2**32 - 1, 2**63 - 1))
                data = data[:at] + number.to_bytes(8, chance.choice(("big", "little"))) + data[at + 8 :]
            case 6 | 7:  # a value for another
                places = [match.span() for match in NUMBER_OR_WORD.finditer(data)]
                begin, end = chance.choice(places) if places else (at, at)
                data = data[:begin] + odd + data[end:]
            case 8:
                data = chance.choice(
                    (data[:at] + odd + data[at:], data.decode("latin-1").encode("utf-16"), b"\xef\xbb\xbf" + data)
                )
    return data


def make_input(number: int, kinds: list[str], seed: int) -> tuple[str, Path, bytes]:
    """The kind, the seed file and the bytes of an input."""
    chance = random.Random(f"{seed} {number}")
    (name,) = chance.choices(kinds, [KINDS[kind].weight for kind in kinds])
    files = sorted((SEEDS / name).iterdir())
    file = chance.choice(files)
    others = [each.read_bytes() for each in files]
    return name, file, mutate(file.read_bytes(), others, text=KINDS[name].text, chance=chance)


class _TooLong(BaseException):
    """A read that does not end."""


def try_input(number: int, kinds: list[str], seed: int) -> str | None:
    """What was found with an input; None where it is read, or refused as it should be."""
    name, file, data = make_input(number, kinds, seed)

    def too_long(*_: object) -> None:
        raise _TooLong

    signal.signal(signal.SIGALRM, too_long)
    with tempfile.TemporaryDirectory(prefix="fuzz-") as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        path = Path(folder) / f"input{file.suffix}"
        path.write_bytes(data)
        signal.alarm(LIMIT_SECONDS)
        try:
            KINDS[name].read(path)
        except (ActionstreamError, OSError):
            return None
        except (Exception, _TooLong) as error:  # noqa: BLE001  that is what is looked for
            last = traceback.extract_tb(error.__traceback__)[-1]
            what = f"{type(error).__name__} in {last.filename}:{last.lineno}: {str(error)[:200]}"
            return f"{number} ({name}, {file.name}): {what}"
        finally:
            signal.alarm(0)
    return None


def _work(begin: int, end: int, kinds: list[str], seed: int, told: Any) -> None:
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + LIMIT_BYTES, resource.RLIM_INFINITY))
    for number in range(begin, end):
        told.send((number, None))
        told.send((number, try_input(number, kinds, seed) or ""))


def fuzz(num_inputs: int, *, seed: int = 1, kinds: list[str] | None = None) -> Iterator[tuple[int, str]]:
    """Try the inputs 0 to `num_inputs` in a process of its own; yields the number of each, and what was found."""
    kinds = kinds or list(KINDS)
    begin = 0
    while begin < num_inputs:
        here, there = multiprocessing.Pipe(duplex=False)
        worker = multiprocessing.get_context("fork").Process(
            target=_work, args=(begin, num_inputs, kinds, seed, there), daemon=True
        )
        worker.start()
        there.close()
        begin, at_work = num_inputs, None
        try:
            while True:
                number, found = here.recv()
                at_work = number if found is None else None
                if found is not None:
                    yield number, found
        except EOFError:
            worker.join()
        if at_work is not None:
            name, file, _ = make_input(at_work, kinds, seed)
            yield at_work, f"{at_work} ({name}, {file.name}): the process died with {worker.exitcode}"
            begin = at_work + 1


def main() -> None:
    """Try inputs, show how far it is, and what was found; the exit code is 1 where anything was."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--inputs", type=int, default=500_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--kind", action="append", choices=list(KINDS), help="only these")
    parser.add_argument("--keep", type=Path, help="a folder for inputs with which something was found")
    chosen = parser.parse_args()
    num_found = 0
    inputs = fuzz(chosen.inputs, seed=chosen.seed, kinds=chosen.kind)
    for number, found in track(inputs, total=chosen.inputs, description="inputs"):
        if found:
            num_found += 1
            print(found, flush=True)
            if chosen.keep:
                name, file, data = make_input(number, chosen.kind or list(KINDS), chosen.seed)
                chosen.keep.mkdir(parents=True, exist_ok=True)
                (chosen.keep / f"{number}-{name}{file.suffix}").write_bytes(data)
    print(f"{chosen.inputs} inputs, seed {chosen.seed}: {num_found} findings")
    raise SystemExit(num_found > 0)


if __name__ == "__main__":
    main()
