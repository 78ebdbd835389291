"""Exported files: what they say of themselves, and that they score as the network does."""

import zipfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from helpers import ROOT, SIZE, images, random_card, random_network
from precision import EXACT, apart, float64_bound

from actionstream.models import Preprocessing
from actionstream.models.export.cache import find_export, key, make_export
from actionstream.models.export.exported import KEY, NUM_CHECKED, Exported, check_snippets
from actionstream.models.export.files import SUFFIXES, export
from actionstream.models.export.int8 import _calibrating, quantise
from actionstream.models.export.step import resize
from actionstream.models.locate import PACKAGED
from actionstream.models.weights.checkpoint import read_card, save
from actionstream.models.weights.live import run_live

CARD = random_card()


def session_of(path):
    return onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])


def exported_of(session):
    return Exported.from_json(session.get_modelmeta().custom_metadata_map[KEY], Path("file.onnx"))


def streamed(path, given):
    """Scores (B, T, K) of a file for streams that are given (B, T, ...)."""
    session = session_of(path)
    exported = exported_of(session)
    state = [np.zeros((len(given), *shape), np.float32) for shape in exported.state]
    rows = []
    for begin in range(0, given.shape[1], exported.chunk):
        feed = {exported.takes: given[:, begin : begin + exported.chunk]}
        scores, *state = session.run(None, {**feed, **dict(zip(exported.state_names, state, strict=True))})
        rows.append(scores)
    return np.concatenate(rows, axis=1)


def right(network, card, snippets):
    """Scores of snippets, and how far from them those of a file may be."""
    return float64_bound(network, card.preprocessing.normalise(torch.from_numpy(snippets)))


def snippets_of(card, num_streams, num_snippets, seed=0):
    size = card.preprocessing
    shape = (num_streams, num_snippets, size.height, size.width, size.channels)
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


@pytest.fixture
def step(exports):
    """A network of CARD, and its ONNX file."""
    return random_network(CARD), exports / "model.onnx"


def test_scores_are_those_of_the_network(step):
    network, path = step
    for num_streams in (1, 3):
        given = snippets_of(CARD, num_streams, 5)
        expected, limit = right(network, CARD, given)
        assert apart(streamed(path, given), expected) < limit


def test_what_a_file_says(step):
    network, path = step
    session = session_of(path)
    said = exported_of(session)
    assert said.card == CARD
    assert (said.takes, said.chunk, said.streams, said.precision, said.checkpoint) == (
        "pixels",
        1,
        True,
        "float32",
        "abc",
    )
    assert [tuple(leaf.shape[1:]) for leaf in network.empty_state(1, SIZE, SIZE)] == list(said.state)
    names = said.state_names
    assert [each.name for each in session.get_inputs()] == ["pixels", *names]
    assert [each.name for each in session.get_outputs()] == ["scores", *(f"new_{name}" for name in names)]
    assert session.get_inputs()[0].shape[1:] == [1, SIZE, SIZE, 3]
    assert not isinstance(session.get_inputs()[0].shape[0], int)
    assert apart(np.array(said.check), right(network, CARD, check_snippets(CARD)[None])[0][0]) < EXACT
    assert len(said.check) == NUM_CHECKED


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "size"),
    [
        ("tsm_resnet50", 112),  # large enough for its channels to be split
        ("tsm_mobilenet_v2", 64),
        ("tsm_bn_inception", 64),
        ("tam_resnet50_causal", 64),
        ("tsn_googlenet", 64),
    ],
)
def test_every_kind_of_network_that_streams(name, size, tmp_path):
    card = replace(random_card(name), preprocessing=Preprocessing(height=size, width=size))
    network = random_network(card)
    export(network, card, tmp_path / "step.onnx")
    given = snippets_of(card, 2, 4)
    expected, limit = right(network, card, given)
    assert apart(streamed(tmp_path / "step.onnx", given), expected) < limit


@pytest.mark.slow
def test_two_threads_export_one_after_the_other(tmp_path):
    """As the cameras of `serve` do, whose models are exported while they already label."""

    def exported(name):
        card = replace(random_card(name), preprocessing=Preprocessing(height=32, width=32))
        return export(random_network(card), card, tmp_path / f"{name}.pt2", to="torch-export").state

    with ThreadPoolExecutor(2) as threads:
        assert all(threads.map(exported, ("tsm_resnet18", "tsm_mobilenet_v2")))


@pytest.mark.slow
def test_clip_networks_are_exported_frame_by_frame(tmp_path):
    card = replace(random_card("i3d"), num_frames=16)
    network, card = run_live(random_network(card), card, "delayed")
    said = export(network, card, tmp_path / "step.onnx")
    assert (said.streams, len(said.state)) == (True, len(network.empty_state(1, SIZE, SIZE)))
    given = snippets_of(card, 2, 4)
    expected, limit = right(network, card, given)
    assert apart(streamed(tmp_path / "step.onnx", given), expected) < limit


@pytest.mark.slow
@pytest.mark.parametrize("name", ["tsm_resnet50_non_local", "slowfast_r50_4x16"])
def test_networks_for_clips_are_exported_for_clips(name, tmp_path):
    num_frames = 32 if "slowfast" in name else 8
    card = replace(random_card(name), num_frames=num_frames, preprocessing=Preprocessing(height=64, width=64))
    network = random_network(card)
    said = export(network, card, tmp_path / "clip.onnx")
    assert (said.streams, said.chunk, said.state, said.check) == (False, num_frames, (), ())
    given = snippets_of(card, 2, num_frames)
    (found,) = session_of(tmp_path / "clip.onnx").run(None, {"pixels": given})
    expected, limit = right(network, card, given)
    assert apart(found, expected) < limit


def test_a_large_shift_becomes_sums_of_convolutions(tmp_path):
    """And a small one stays a concatenation, which is quicker then."""
    for size, num_concatenations in ((112, 5), (32, 8)):
        card = replace(CARD, arguments={"num_classes": 4}, preprocessing=Preprocessing(height=size, width=size))
        network = random_network(card)
        path = tmp_path / f"{size}.onnx"
        export(network, card, path)
        kinds = [node.op_type for node in onnx.load(path).graph.node]
        assert kinds.count("Concat") == num_concatenations, kinds
        given = snippets_of(card, 2, 3)
        expected, limit = right(network, card, given)
        assert apart(streamed(path, given), expected) < limit


@pytest.mark.parametrize("short_side", [None, 40])
def test_pictures_are_resized_as_everywhere(short_side):
    preprocessing = Preprocessing(height=24, width=32, short_side=short_side)
    for height, width in ((48, 64), (31, 57), (10, 12)):
        (picture,) = images(1, height=height, width=width)
        expected = preprocessing.resize(picture).astype(int)
        found = resize(torch.from_numpy(picture), preprocessing).numpy()
        assert np.abs(found - expected).max() <= 1
        assert (found != expected).mean() < 0.1


def test_pictures_of_any_size_and_normalised_frames(tmp_path):
    network = random_network(CARD)
    pictures = np.stack(images(4, height=50, width=70))
    pixels = np.stack([CARD.preprocessing.resize(picture) for picture in pictures])
    expected, limit = right(network, CARD, pixels[None])
    export(network, CARD, tmp_path / "pictures.onnx", takes="pictures")
    assert apart(streamed(tmp_path / "pictures.onnx", pictures[None]), expected) < 0.01
    export(network, CARD, tmp_path / "frames.onnx", takes="frames", chunk=2)
    frames = CARD.preprocessing.normalise(torch.from_numpy(pixels[None])).contiguous().numpy()
    assert apart(streamed(tmp_path / "frames.onnx", frames), expected) < limit


def test_int8_is_near_and_says_how_near(step, tmp_path):
    path = step[1]
    videos = [snippets_of(CARD, 1, 24, seed)[0] for seed in range(2)]
    said = quantise(path, tmp_path / "int8.onnx", videos)
    assert exported_of(session_of(tmp_path / "int8.onnx")) == said
    assert said.precision == "int8"
    found = said.card.accuracy["int8"]
    assert found["num_scores"] == 24
    given = snippets_of(CARD, 1, 12, seed=5)
    off = CARD.probabilities(streamed(tmp_path / "int8.onnx", given)) - CARD.probabilities(streamed(path, given))
    assert 0 < np.abs(off).max() < 0.2
    assert 0 < found["difference"] < 0.1
    assert (tmp_path / "int8.onnx").stat().st_size < 0.5 * path.stat().st_size
    own = CARD.probabilities(streamed(tmp_path / "int8.onnx", check_snippets(CARD)[None])[0])
    np.testing.assert_allclose(CARD.probabilities(np.array(said.check, np.float32)), own, atol=1e-5)
    with pytest.raises(ValueError, match=r"1 calls of the step are not enough to calibrate with"):
        quantise(path, tmp_path / "short.onnx", [videos[0][:1]])


def test_all_videos_calibrate(step, tmp_path, monkeypatch):
    """Calls with even numbers, spread over the videos; the others are compared."""
    monkeypatch.setattr("actionstream.models.export.int8.MAX_CALIBRATED", 6)
    session, exported = session_of(step[1]), exported_of(session_of(step[1]))
    videos = [snippets_of(CARD, 1, length, seed)[0] for seed, length in enumerate((9, 11, 1))]
    places = {snippet.tobytes(): (v, n) for v, video in enumerate(videos) for n, snippet in enumerate(video)}
    found = [places[feed[exported.takes].tobytes()] for feed in _calibrating(session, exported, videos)]
    assert found == [(0, 0), (0, 4), (0, 8), (1, 4), (1, 8), (2, 0)]
    assert quantise(step[1], tmp_path / "int8.onnx", videos).card.accuracy["int8"]["num_scores"] == 4 + 5


def test_what_cannot_be_exported(tmp_path):
    network = random_network(CARD)
    with pytest.raises(ValueError, match=r"step.pt is for onnx; let its name end in .onnx"):
        export(network, CARD, tmp_path / "step.pt")
    with pytest.raises(ValueError, match=r"int8 is for onnx and openvino"):
        export(network, CARD, tmp_path / "step.pt2", to="torch-export", calibration=[])
    flow = replace(
        CARD, preprocessing=Preprocessing(height=SIZE, width=SIZE, modality="flow", stack=5, mean=(0,), std=(1,))
    )
    with pytest.raises(ValueError, match=r"flow is made of several pictures; export it with --takes pixels"):
        export(network, flow, tmp_path / "step.onnx", takes="pictures")
    with pytest.raises(ValueError, match=r"a chunk of 0"):
        export(network, CARD, tmp_path / "step.onnx", chunk=0)
    assert not list(tmp_path.iterdir())


def test_an_export_is_made_once_for_each_checkpoint(tmp_path, monkeypatch):
    monkeypatch.setenv("ACTIONSTREAM_CACHE", str(tmp_path / "cache"))
    network = random_network(CARD)
    save(tmp_path / "one.safetensors", network, CARD)
    assert find_export(tmp_path / "one.safetensors") is None
    path = make_export(tmp_path / "one.safetensors")
    made = path.stat().st_mtime_ns
    assert make_export(tmp_path / "one.safetensors") == find_export(tmp_path / "one.safetensors") == path
    assert path.stat().st_mtime_ns == made
    (tmp_path / "one.safetensors").rename(tmp_path / "two.safetensors")
    assert find_export(tmp_path / "two.safetensors") == path
    save(tmp_path / "two.safetensors", network, replace(CARD, licence="another"))
    assert find_export(tmp_path / "two.safetensors") is None
    bi = random_card(shift="bi")
    save(tmp_path / "clips.safetensors", random_network(bi), replace(bi, num_frames=8))
    with pytest.raises(ValueError, match=r"needs whole clips; live it runs in a window, with --runtime torch"):
        make_export(tmp_path / "clips.safetensors")


@pytest.mark.parametrize("name", [path.stem for path in PACKAGED.glob("*.onnx")])
def test_the_packaged_export_is_that_of_the_packaged_checkpoint(name):
    """`actionstream export motion -o models/checkpoints/motion.onnx` makes it anew."""
    said = exported_of(session_of(PACKAGED / f"{name}.onnx"))
    assert said.checkpoint == key(name)
    assert said.card == read_card(name)


@pytest.mark.parametrize("target", ["onnx", "torch-export"])
def test_no_file_has_paths_of_the_machine_that_made_it(target, exports):
    """The exporters keep stack traces unless told otherwise."""
    path = exports / f"model{SUFFIXES[target]}"
    parts = [path.read_bytes()]
    if target == "torch-export":
        with zipfile.ZipFile(path) as archive:
            parts = [archive.read(name) for name in archive.namelist()]
    parts += [file.read_bytes() for file in PACKAGED.glob("*.onnx")]
    assert not [
        mark for mark in (b'File "', b"site-packages", str(ROOT).encode()) if any(mark in part for part in parts)
    ]
