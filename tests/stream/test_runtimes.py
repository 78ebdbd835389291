"""Every runtime gives the scores of the reference, and the right one is taken."""

import subprocess
import sys
import time
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import openvino
import pytest
import torch
from helpers import SIZE, random_card, random_network
from precision import apart, float64_bound

from actionstream import Engine
from actionstream.models.export.cache import find_export, make_export
from actionstream.models.export.exported import KEY, NUM_CHECKED, Exported
from actionstream.models.export.int8 import quantise
from actionstream.models.locate import Located
from actionstream.runtimes import meanwhile
from actionstream.runtimes.eager import TorchRuntime
from actionstream.runtimes.functional import FunctionalRuntime
from actionstream.runtimes.meanwhile import Meanwhile
from actionstream.runtimes.onnx import OnnxRuntime
from actionstream.runtimes.opening import open_runtime
from actionstream.runtimes.openvino import OpenVinoRuntime

CARD = random_card()
NETWORK = random_network(CARD)


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("ACTIONSTREAM_CACHE", str(tmp_path / "cache"))


OPENED = {
    "onnx": lambda folder: OnnxRuntime(folder / "model.onnx", num_threads=1),
    "openvino": lambda folder: OpenVinoRuntime(folder / "model.onnx", num_threads=1),
    "openvino-xml": lambda folder: OpenVinoRuntime(folder / "model.xml"),
    "torch-export": lambda folder: FunctionalRuntime.from_file(folder / "model.pt2"),
    "compile": lambda _: FunctionalRuntime.compile(NETWORK, CARD),
}


def frames(num_streams, num_snippets=1, seed=0):
    shape = (num_streams, num_snippets, SIZE, SIZE, 3)
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


_, LIMIT = float64_bound(NETWORK, CARD.preprocessing.normalise(torch.from_numpy(frames(8, 3))))


def assert_same_state(found, expected):
    for ours, theirs in zip(found, expected, strict=True):
        assert np.abs(ours - theirs).max() <= LIMIT * max(1, np.abs(theirs).max())


@pytest.mark.parametrize("name", [pytest.param(n, marks=[pytest.mark.slow] * (n == "compile")) for n in OPENED])
def test_scores_are_those_of_the_reference(name, exports):
    """Batches of any size, growth of the pool, several snippets at once, states that are reset, read and written."""
    reference = TorchRuntime(NETWORK, CARD, device="cpu", num_slots=2)
    runtime = OPENED[name](exports)
    both = reference, runtime
    slots = np.array([[each.allocate() for _ in range(10)] for each in both])
    turns = [(1, 1), (3, 1), (1, 2)] if name == "compile" else [(1, 1), (3, 1), (10, 1), (2, 3), (9, 2), (1, 1)]
    for turn, (count, snippets) in enumerate(turns):
        chosen = np.random.default_rng(turn).permutation(10)[:count]
        given = frames(count, snippets, turn)
        expected, found = (each.step(given, rows[chosen]) for each, rows in zip(both, slots, strict=True))
        assert found.dtype == np.float32
        assert apart(found, expected) < LIMIT
        reference.reset(slots[0][chosen[0]])
        runtime.reset(slots[1][chosen[0]])
        for each in both:  # the pools grow now and then
            [each.allocate() for _ in range(7)]
    states = [each.read(rows[3]) for each, rows in zip(both, slots, strict=True)]
    assert_same_state(states[1], states[0])
    runtime.write(slots[1][4], states[0])  # the state of one runtime goes into another
    assert [row.tolist() for row in runtime.read(slots[1][4])] == [row.tolist() for row in states[0]]
    scores = runtime.step(frames(1), slots[1][:1]).copy()
    runtime.step(frames(1, seed=1), slots[1][1:2])
    assert not np.array_equal(scores, runtime.step(frames(1, seed=2), slots[1][2:3]))
    runtime.free(slots[1][4])
    assert all(not leaf.any() for leaf in runtime.read(runtime.allocate()))


def test_states_stay_when_the_pool_grows(exports):
    reference, runtime = TorchRuntime(NETWORK, CARD, device="cpu"), OPENED["onnx"](exports)
    slots = [np.array([each.allocate()]) for each in (reference, runtime)]
    for turn in range(6):
        given = frames(1, seed=turn)
        expected, found = (each.step(given, row) for each, row in zip((reference, runtime), slots, strict=True))
        assert apart(found, expected) < LIMIT
        assert_same_state(runtime.read(slots[1][0]), reference.read(slots[0][0]))
        for _ in range(turn):
            runtime.allocate()


def test_a_slot_twice_in_a_batch_is_refused(exports):
    runtime = OPENED["onnx"](exports)
    slot = runtime.allocate()
    with pytest.raises(ValueError, match=r"slots \[\d, \d\] have one twice"):
        runtime.step(frames(2), np.array([slot, slot]))


def test_a_model_by_its_file(exports):
    kinds = {".onnx": OnnxRuntime, ".xml": OpenVinoRuntime, ".pt2": FunctionalRuntime}
    for suffix, kind in kinds.items():
        assert isinstance(open_runtime(exports / f"model{suffix}"), kind)
    assert isinstance(open_runtime(exports / "model.onnx", runtime="openvino"), OpenVinoRuntime)
    assert Engine(exports / "model.onnx").card.labels == CARD.labels


def test_what_is_refused(exports, tmp_path):
    for options, message in (
        ({"runtime": "fast"}, r"no runtime 'fast'; there are auto, torch, compile, graphs, onnx, openvino"),
        ({"num_threads": 0}, r"0 threads; 1 or more"),
        ({"runtime": "graphs", "device": "cpu"}, r"the runtime graphs is for cuda, and this is cpu"),
    ):
        with pytest.raises(ValueError, match=message):
            open_runtime(exports / "model.safetensors", **options)
    for options, message in (
        ({"runtime": "graphs"}, r"model.onnx is exported; it runs with onnx or openvino, not with graphs"),
        ({"device": "cuda"}, r"model.onnx is exported, and runs on the CPU; on cuda run the checkpoint"),
        ({"labels": ["a"]}, r"model.onnx is exported, and keeps its labels, weights and streaming; leave labels out"),
    ):
        with pytest.raises(ValueError, match=message):
            open_runtime(exports / "model.onnx", **options)
    with pytest.raises(ValueError, match=r"no file .*none.onnx"):
        open_runtime(tmp_path / "none.onnx")
    for name, said in (("a.onnx", "as an ONNX file"), ("a.xml", "by OpenVINO"), ("a.pt2", "as a program of torch.exp")):
        (tmp_path / name).write_bytes(b"nothing of the kind")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch's, of what it finds in the file
            with pytest.raises(ValueError, match=rf"{name} cannot be read {said}"):
                open_runtime(tmp_path / name)
    broken = onnx.load(exports / "model.onnx")
    onnx.helper.set_model_props(broken, {KEY: '{"card": {}, "new": 1}'})
    onnx.save(broken, tmp_path / "broken.onnx")
    for runtime in ("onnx", "openvino"):
        with pytest.raises(ValueError, match=r"the metadata of .*broken.onnx \(export it anew\): .*'new'"):
            open_runtime(tmp_path / "broken.onnx", runtime=runtime)
    other = openvino.Model([openvino.op.Parameter(openvino.Type.f32, openvino.Shape([1]))] * 0, [], "empty")
    openvino.save_model(other, tmp_path / "other.xml")
    with pytest.raises(ValueError, match=r"other.xml was not written by actionstream; make one with `action"):
        open_runtime(tmp_path / "other.xml")


def write_other(path, other, **changes):
    """Write the same program with other metadata."""
    model = onnx.load(path)
    (said,) = model.metadata_props
    onnx.helper.set_model_props(model, {KEY: replace(Exported.from_json(said.value, path), **changes).to_json()})
    onnx.save(model, other)


def test_files_for_other_programs_are_refused_live(exports, tmp_path):
    write_other(exports / "model.onnx", tmp_path / "chunk.onnx", chunk=2)
    with pytest.raises(ValueError, match=r"this file takes 2 snippets at a time, which is for other programs"):
        open_runtime(tmp_path / "chunk.onnx")


def test_a_runtime_that_disagrees_is_refused_with_the_numbers(exports, tmp_path, monkeypatch, cache):
    write_other(exports / "model.onnx", tmp_path / "wrong.onnx", check=((9.0, 0.0, 0.0, 0.0),) * NUM_CHECKED)
    with pytest.raises(ValueError, match=r"gives other scores here than .*: its probabilities are off by 0\.\d+, more"):
        open_runtime(tmp_path / "wrong.onnx")
    made = make_export(exports / "model.safetensors")
    made.write_bytes((tmp_path / "wrong.onnx").read_bytes())
    with pytest.warns(
        RuntimeWarning, match=r"off by 0\.\d+, more than 0.001; labels come from another, slower runtime"
    ):
        runtime = open_runtime(exports / "model.safetensors", device="cpu")
    assert isinstance(runtime, TorchRuntime)


def test_auto_takes_the_export_when_there_is_one(exports, cache):
    assert isinstance(open_runtime("motion", device="cpu"), OnnxRuntime)
    assert isinstance(open_runtime("motion", runtime="torch", device="cpu"), TorchRuntime)
    assert isinstance(open_runtime(exports / "model.safetensors", device="cpu"), TorchRuntime)
    assert isinstance(open_runtime(exports / "model.safetensors", runtime="onnx"), OnnxRuntime)  # exported now
    assert isinstance(open_runtime(exports / "model.safetensors", device="cpu"), OnnxRuntime)


def test_labels_do_not_wait_for_an_export(exports, cache, monkeypatch):
    """The states move over when it is there, and slots and scores stay what they were."""
    monkeypatch.setattr(meanwhile, "PATIENCE_SECONDS", 0.0)
    monkeypatch.setattr(meanwhile, "choose_apart", lambda *_: None)
    runtime = open_runtime(exports / "model.safetensors", device="cpu", export_meanwhile=True)
    reference = TorchRuntime(NETWORK, CARD, device="cpu")
    slots = np.array([runtime.allocate() for _ in range(3)])
    expected_slots = np.array([reference.allocate() for _ in range(3)])
    runtime.free(slots[1])
    until = time.monotonic() + 120
    turn = after = 0
    while after < 3 and time.monotonic() < until:
        given = frames(2, seed=turn)
        found, expected = runtime.step(given, slots[[2, 0]]), reference.step(given, expected_slots[[2, 0]])
        assert apart(found, expected) < LIMIT
        turn += 1
        after += isinstance(runtime._now, OnnxRuntime)
        time.sleep(0.05)
    assert isinstance(runtime._now, OnnxRuntime)
    assert find_export(exports / "model.safetensors") is not None
    assert runtime.allocate() == slots[1]


def wait_for(_, runtime):
    runtime._maker.join()


def test_without_torch_nobody_asks_it_for_a_gpu(monkeypatch):
    """Not even where there is a driver of one."""
    monkeypatch.setattr("actionstream.runtimes.opening.ctypes.CDLL", lambda name: None)
    monkeypatch.setattr("actionstream.runtimes.opening.find_spec", lambda name: None if name == "torch" else True)
    assert type(open_runtime("motion")).__name__ == "OnnxRuntime"


def test_without_an_export_everything_stays_as_it_is(monkeypatch):
    monkeypatch.setattr(meanwhile, "PATIENCE_SECONDS", 0.0)

    def fail(_):
        raise OSError("the disk is full")

    now = TorchRuntime(NETWORK, CARD, device="cpu")
    runtime = Meanwhile(now, fail, lambda: now)
    slots = np.array([runtime.allocate()])
    runtime.step(frames(1), slots)
    with pytest.warns(RuntimeWarning, match=r"there will be no faster runtime: the disk is full"):
        wait_for(runtime.step(frames(1), slots), runtime)
    assert runtime.step(frames(1), slots).shape == (1, 1, 4)
    with pytest.raises(ValueError, match=r"none could not be exported: .*No such file .*none.safetensors"):
        meanwhile.export_apart(Located("checkpoint", "none", Path("none.safetensors")), {})


def test_int8_runs_everywhere(exports, tmp_path):
    quantise(exports / "model.onnx", tmp_path / "int8.onnx", [frames(1, 20)[0]])
    reference = open_runtime(tmp_path / "int8.onnx")
    found = open_runtime(tmp_path / "int8.onnx", runtime="openvino")
    given = frames(1, 6, seed=3)
    first, second = (
        each.card.probabilities(each.step(given, np.array([each.allocate()]))) for each in (reference, found)
    )
    assert np.abs(first - second).max() < 0.1


OPENED_AND_CLOSED = """
import signal, sys
from pathlib import Path
from actionstream.runtimes.openvino import OpenVinoRuntime
signal.signal(signal.SIGUSR1, lambda *_: print("told"))
for _ in range(2):
    first, second = (OpenVinoRuntime(Path(sys.argv[1])) for _ in range(2))
    del first
    del second
    signal.raise_signal(signal.SIGUSR1)
"""


def test_signals_are_told_when_runtimes_of_openvino_are_closed(exports):
    """In a program whose faulthandler has made a stack for signals, as pytest's and many others'."""
    command = [sys.executable, "-X", "faulthandler", "-c", OPENED_AND_CLOSED, str(exports / "model.onnx")]
    found = subprocess.run(command, capture_output=True, text=True)
    assert (found.returncode, found.stdout) == (0, "told\n" * 2), found.stderr


def test_a_model_opens_without_the_compiler_of_torch(exports):
    """It takes seconds to import, and nothing that runs eagerly needs it."""
    code = "import sys; from actionstream import Engine; Engine(sys.argv[1], runtime='torch'); print(*sys.modules)"
    command = [sys.executable, "-c", code, str(exports / "model.safetensors")]
    found = subprocess.run(command, capture_output=True, text=True, check=True)
    assert not {"torch._dynamo", "sympy"} & set(found.stdout.split())
