"""The fastest runtime of this machine is measured, remembered and taken, in the precision that was asked for."""

import json
import time
from functools import partial

import numpy as np
import openvino
import pytest
from helpers import SIZE, random_card, random_network

from actionstream.models.common.errors import ActionstreamError
from actionstream.models.export.exported import check_snippets
from actionstream.runtimes import choice, exported_file, meanwhile, measuring
from actionstream.runtimes.choice import (
    BASIS,
    CANDIDATES,
    Candidate,
    Measured,
    candidates,
    fastest,
    remember,
    remembered,
)
from actionstream.runtimes.choosing import rounded
from actionstream.runtimes.eager import TorchRuntime
from actionstream.runtimes.onnx import OnnxRuntime
from actionstream.runtimes.opening import open_runtime
from actionstream.runtimes.openvino import OpenVinoRuntime

CARD = random_card()
NETWORK = random_network(CARD)
OPENVINO, BFLOAT16 = Candidate("openvino", "float32"), Candidate("openvino", "bfloat16")


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("ACTIONSTREAM_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(exported_file, "measure", partial(measuring.measure, seconds=0.01))


def row(candidate, *ms, **more):
    batches = (1, 4)[: len(ms)]
    return Measured(runtime=candidate.runtime, precision=candidate.precision, batches=batches, ms=ms, **more)


FASTER = [row(BASIS, 4, 16), row(OPENVINO, 3, 12)]


def test_the_fastest_over_all_batches_is_chosen_where_the_gain_is_clear():
    assert fastest([row(BASIS, 4, 16), row(OPENVINO, 6, 9.5)], "float32") == OPENVINO  # 8 and 7.55
    assert fastest([row(BASIS, 4, 16), row(OPENVINO, 6, 10)], "float32") == BASIS  # 8 and 7.75
    assert fastest([row(BASIS, 4, 16), row(OPENVINO, 3, 30)], "float32") == BASIS
    assert fastest([row(BASIS, 4, 16), row(OPENVINO, refused="off")], "float32") == BASIS
    assert fastest([row(BASIS, refused="off"), row(OPENVINO, 3, 12)], "float32") == OPENVINO
    both = [row(BASIS, 4, 16), row(BFLOAT16, 2, 8)]
    assert fastest(both, "float32") == BASIS
    assert fastest(both, "bfloat16") == fastest(both, "auto") == BFLOAT16
    assert fastest(both, "int8") is None


def test_less_precise_numbers_are_candidates_only_when_asked_for():
    assert candidates("float32") == [BASIS, OPENVINO]
    assert candidates("bfloat16") == [BASIS, BFLOAT16]
    assert candidates("int8") == [BASIS, Candidate("onnx", "int8"), Candidate("openvino", "int8")]
    assert candidates("auto") == list(CANDIDATES)


def test_a_choice_is_kept_by_file_precision_threads_and_machine(exports, tmp_path, cache, monkeypatch):
    path = exports / "model.onnx"
    assert remembered(path, "float32", num_threads=None) is None
    remember(path, "float32", FASTER, num_threads=None)
    assert remembered(path, "float32", num_threads=None) == OPENVINO
    assert remembered(path, "float32", num_threads=1) is None
    assert remembered(path, "auto", num_threads=None) is None
    (tmp_path / "other.onnx").write_bytes(path.read_bytes() + b" ")
    assert remembered(tmp_path / "other.onnx", "float32", num_threads=None) is None
    for name, value in (("num_cores_here", lambda: 99), ("_version", lambda name: "0.1"), ("FORMAT", 0)):
        with monkeypatch.context() as patched:
            patched.setattr(choice, name, value)
            assert remembered(path, "float32", num_threads=None) is None
    with monkeypatch.context() as patched:
        patched.setattr(choice, "find_spec", lambda name: name != "openvino" or None)
        assert remembered(path, "float32", num_threads=None) is None
    (kept,) = (cache / "runtimes").iterdir()
    for text in ("{", "[]", '{"rows": [{"runtime": "fast"}]}'):
        kept.write_text(text)
        assert remembered(path, "float32", num_threads=None) is None


class Timed:
    """A runtime whose steps advance a clock, and whose probabilities are off."""

    card = CARD
    reference = np.zeros((4, 4))
    bound = 0.1

    def __init__(self, clock, seconds, off=0.0):
        self.clock, self.seconds, self.off, self.slots, self.sizes = clock, seconds, off, set(), []

    def allocate(self):
        self.slots.add(len(self.slots))
        return len(self.slots) - 1

    def free(self, slot):
        self.slots.remove(slot)

    def step(self, snippets, slots):
        self.sizes.append(len(slots))
        self.clock[0] += self.seconds * len(slots)
        scores = np.zeros((*snippets.shape[:2], 4), np.float32)
        scores[..., 0] = np.log((0.25 + self.off) / (0.25 - self.off / 3))
        return scores


def test_candidates_take_turns_and_those_that_disagree_are_refused(monkeypatch):
    clock = [0.0]
    monkeypatch.setattr(measuring, "perf_counter", lambda: clock[0])
    int8, openvino_int8 = Candidate("onnx", "int8"), Candidate("openvino", "int8")
    opened = {BASIS: Timed(clock, 2.0), OPENVINO: Timed(clock, 1.0, off=0.05), int8: Timed(clock, 1.0, off=0.2)}

    def open_(candidate):
        if candidate not in opened:
            raise ActionstreamError("no such\nprocessor")
        return opened[candidate]

    shares = []
    rows = measuring.measure(open_, [*opened, openvino_int8], batches=(1, 4), seconds=20.0, done=shares.append)
    assert [row.candidate for row in rows] == [BASIS, OPENVINO, int8, openvino_int8]
    assert [row.ms for row in rows] == [(2000.0, 8000.0), (1000.0, 4000.0), (), ()]
    assert [row.batches for row in rows] == [(1, 4), (1, 4), (), ()]
    assert rows[1].difference == pytest.approx(0.05, abs=1e-5)
    assert [row.refused for row in rows] == [
        None,
        None,
        "probabilities are off by 0.200, more than 0.1",
        "no such processor",
    ]
    assert opened[int8].sizes == [1]  # of the check
    assert opened[BASIS].sizes.count(1) - 1 == opened[OPENVINO].sizes.count(1) - 1 == 14  # of the check: one
    assert opened[BASIS].sizes.count(4) == opened[OPENVINO].sizes.count(4) == 5
    assert shares == [0.5, 1.0]
    assert not opened[BASIS].slots


def test_batches_that_occur_are_measured():
    assert rounded([3, 1, 40, 2, 4]) == [1, 4, 16]
    assert rounded([5]) == [8]


def test_auto_takes_what_was_the_fastest(exports, cache, quick):
    path = exports / "model.onnx"
    assert isinstance(open_runtime(path), OnnxRuntime)
    remember(path, "float32", FASTER, num_threads=None)
    chosen = open_runtime(path)
    assert isinstance(chosen, OpenVinoRuntime)
    assert (chosen.software, chosen.precision) == ("openvino", "float32")
    assert isinstance(open_runtime(path, num_threads=1), OnnxRuntime)
    assert isinstance(open_runtime(path, runtime="onnx"), OnnxRuntime)


def run_until(runtime, software, slots):
    """Steps of moving pictures until the software has changed; their scores."""
    until, found = time.monotonic() + 240, []
    while runtime.software != software and time.monotonic() < until:
        found.append(runtime.step(frames(len(found)), slots))
        time.sleep(0.2)  # the other process needs the cores
    found.append(runtime.step(frames(len(found)), slots))
    assert runtime.software == software
    return found


def frames(seed):
    return np.random.default_rng(seed).integers(0, 256, (2, 1, SIZE, SIZE, 3), dtype=np.uint8)


@pytest.mark.parametrize("suffix", [".onnx", ".safetensors"])
def test_what_is_faster_takes_over_while_labels_go_on(suffix, exports, cache, monkeypatch):
    monkeypatch.setattr(meanwhile, "PATIENCE_SECONDS", 0.0)
    asked = []

    def choose_apart(path, batches, num_threads):
        asked.append((batches, num_threads))
        remember(path, "float32", FASTER, num_threads=num_threads)

    monkeypatch.setattr(meanwhile, "choose_apart", choose_apart)
    runtime = open_runtime(exports / f"model{suffix}", device="cpu", num_threads=1, export_meanwhile=True)
    assert runtime.software == {".onnx": "onnx", ".safetensors": "torch"}[suffix]
    slots = np.array([runtime.allocate() for _ in range(2)])
    found = run_until(runtime, "openvino", slots)
    assert asked == [([2], 1)]
    reference = TorchRuntime(NETWORK, CARD, device="cpu")
    rows = np.array([reference.allocate() for _ in range(2)])
    for seed, scores in enumerate(found):
        np.testing.assert_allclose(scores, reference.step(frames(seed), rows), atol=1e-4)
    again = open_runtime(exports / f"model{suffix}", device="cpu", num_threads=1, export_meanwhile=True)
    assert isinstance(again, OpenVinoRuntime)  # it is known now


def test_a_measurement_in_a_process_of_its_own(exports, monkeypatch):
    path = exports / "model.onnx"
    meanwhile.choose_apart(path, [1], 1)
    assert remembered(path, "float32", num_threads=1) in (BASIS, OPENVINO)
    with pytest.raises(ValueError, match=r"the runtimes of none.onnx could not be measured: .*none.onnx"):
        meanwhile.choose_apart(exports.joinpath("none.onnx").relative_to(exports), [1], 1)


def test_int8_is_calibrated_once_and_said(exports, cache, quick):
    said = []
    for _ in range(2):
        runtime = open_runtime(exports / "model.safetensors", precision="int8", say=said.append)
        assert runtime.precision == "int8"
        (made,) = (cache / "exports").glob("*int8*.onnx")
        written = made.stat().st_mtime_ns
    assert made.stat().st_mtime_ns == written
    assert said == [f"{exports / 'model.safetensors'} runs with {runtime.software} in int8"] * 2
    assert open_runtime(made).precision == open_runtime(made, runtime="onnx", precision="int8").precision == "int8"
    with pytest.raises(ValueError, match=r"is in int8 already; run it without a precision"):
        open_runtime(made, precision="auto")
    assert open_runtime(exports / "model.onnx").precision == "float32"  # unasked, nothing changes


def test_bfloat16_runs_where_the_processor_has_it(exports):
    path = exports / "model.onnx"
    if "BF16" not in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        with pytest.raises(ValueError, match=r"this processor has no bfloat16; take --precision float32 or int8"):
            open_runtime(path, runtime="openvino", precision="bfloat16")
        with pytest.raises(
            ValueError, match=r"nothing here runs .*model.onnx in bfloat16 \(openvino in bfloat16: this"
        ):
            open_runtime(path, precision="bfloat16")
        return
    runtime = open_runtime(path, runtime="openvino", precision="bfloat16")
    exact = open_runtime(path)
    given = check_snippets(CARD)[None]
    scores = [each.step(given, np.array([each.allocate()])) for each in (runtime, exact)]
    first, second = map(CARD.probabilities, scores)
    assert 0 < np.abs(first - second).max() < 0.02


def test_precisions_that_are_refused(exports):
    for options, message in (
        ({"precision": "int4"}, r"no precision 'int4'; there are float32, bfloat16, int8, auto"),
        ({"precision": "int8", "runtime": "torch"}, r"int8 is for auto, onnx and openvino on the CPU, not for torch"),
        ({"precision": "int8", "device": "cuda"}, r"not for auto on cuda"),
        ({"precision": "auto", "runtime": "onnx"}, r"the precision auto chooses a runtime, too; leave out onnx"),
        ({"precision": "bfloat16", "runtime": "onnx"}, r"onnx has no bfloat16 on a CPU; take openvino"),
    ):
        with pytest.raises(ValueError, match=message):
            open_runtime(exports / "model.onnx", **options)


def test_the_command(exports, run, quick):
    path = str(exports / "model.onnx")
    code, out, _ = run("runtimes", path)
    assert code == 0
    head, _, *lines = out.splitlines()
    assert " ".join(head.split()) == "runtime 1 at once 2 at once 4 at once 8 at once 16 at once off by chosen"
    assert [line.split("  ")[0] for line in lines] == ["onnx in float32", "openvino in float32"]
    assert sum("yes" in line for line in lines) == 1
    code, out, _ = run("runtimes", path, "--precision", "auto", "--json")
    report = json.loads(out)
    assert code == 0
    assert [(each["runtime"], each["precision"]) for each in report["runtimes"]] == [
        (each.runtime, each.precision) for each in CANDIDATES
    ]
    assert [each["chosen"] for each in report["runtimes"]].count(True) == 1
    assert report["runtimes"][0]["batches"] == [1, 2, 4, 8, 16]
    assert remembered(exports / "model.onnx", "auto", num_threads=None) is not None
    (exports / "model.pt2").touch()
    code, _, err = run("runtimes", str(exports / "model.pt2"))
    assert (code, "runs with one runtime; runtimes measures checkpoints and .onnx files" in err) == (2, True)
