"""Clip networks that run live frame by frame: watch, label, export, train."""

import json
import warnings
from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers import images, random_card, random_network, write_video

from actionstream.benchmarks import frame_by_frame
from actionstream.models import load, save
from actionstream.models.video import every_frame

CLIPS = replace(random_card("mc4_18"), num_frames=16, stride=2)
"""Of a network that halves the frame rate: a row of scores for two frames, six rows later when delayed."""
FIRST_SECONDS = 0.3
"""Delayed, row 7 is the first that means something: at frame 15, about 1.2 seconds before."""


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    path = tmp_path_factory.mktemp("clips") / "clips.safetensors"
    save(path, random_network(CLIPS), CLIPS)
    return path


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    grey = [picture[..., :1].repeat(3, axis=-1) for picture in images(60, height=32, width=32)]
    return write_video(tmp_path_factory.mktemp("videos") / "video.mp4", grey, rate=10)


def scores_of(run, file, video, folder, *options):
    code, _, err = run("label", video, "--model", file, "--out", folder, "--scores", *options)
    assert (code, err) == (0, "")
    return np.load(folder / "video.npz")


@torch.inference_mode()
def test_scores_are_told_in_the_time_of_what_they_are_about(run, file, video, tmp_path):
    found = scores_of(run, file, video, tmp_path, "--streaming", "delayed")
    network, card = load(file, streaming="delayed")
    pictures = [card.preprocessing.resize(picture) for picture in every_frame(video)]
    snippets = np.stack([np.concatenate(pair, axis=-1) for pair in zip(pictures[::2], pictures[1::2], strict=True)])
    expected = network(card.preprocessing.normalise(torch.from_numpy(snippets[None])))[0][0, 7:]
    off = np.abs(found["scores"] - expected.numpy()).max(axis=1)
    assert (off < 0.02 * expected.abs().amax(dim=1).numpy()).all()  # pixels differ by a level
    np.testing.assert_allclose(found["times_seconds"], FIRST_SECONDS + 0.2 * np.arange(23))


def test_events_and_timelines_are_told_in_the_time_of_what_they_are_about(run, file, video):
    options = ("--streaming", "delayed", "--threshold", 0.01, "--json", "--timeline")
    code, out, err = run("watch", video, "--model", file, *options)
    assert (code, err) == (0, "")
    rows = [json.loads(line) for line in out.splitlines()]
    assert [row["time_seconds"] for row in rows if "labels" in row] == pytest.approx(0.1 + 0.2 * np.arange(30))
    started = next(row for row in rows if row.get("event") == "start")
    opened = next(row for row in rows if row.get("segment") == "open")
    assert started["time_seconds"] == opened["start_seconds"] == pytest.approx(FIRST_SECONDS)
    assert max(row["time_seconds"] for row in rows if row.get("event") == "end") == pytest.approx(6.0 - 1.2)
    ends = [row["end_seconds"] for row in rows if row.get("segment") == "closed"]
    assert max(ends) == pytest.approx(5.9 - 1.2 + 0.2)  # a segment ends with its last snippet


@pytest.mark.slow
def test_an_export_runs_frame_by_frame(run, file, video, tmp_path):
    for mode in ("causal", "delayed"):
        exported = tmp_path / f"{mode}.onnx"
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # that causal was not trained for
            code, out, err = run("export", file, "--streaming", mode, "-o", exported)
            assert code == 0, err
            expected = scores_of(run, file, video, tmp_path, "--streaming", mode)
        assert "leaves of state" in out
        found = scores_of(run, exported, video, tmp_path)
        np.testing.assert_array_equal(found["times_seconds"], expected["times_seconds"])
        np.testing.assert_allclose(found["scores"], expected["scores"], atol=1e-4 * np.abs(expected["scores"]).max())
    code, out, err = run("bench", "latency", video, "--model", exported, "--frames", 30, "--json")
    assert (code, err) == (0, "")
    assert json.loads(out)["labelled"] > 0


@pytest.mark.slow
def test_a_network_is_trained_frame_by_frame(run, tmp_path):
    """From weights of whole clips, and then further, and back to whole clips."""
    data = tmp_path / "data"
    for label in ("a", "b"):
        (data / label).mkdir(parents=True)
        for number in range(3):
            write_video(data / label / f"v_{label}_g{number:02}_c01.mp4", images(24, seed=number), rate=30)
    small = ("--data", data, "--size", 32, "--batch-size", 2, "--epochs", 1, "--workers", 0)
    whole, causal, further, back = (tmp_path / name for name in ("whole", "causal", "further", "back"))
    for out, options in (
        (whole, ("--model", "mc4_18", "--start", "none")),
        (causal, ("--start", whole, "--streaming", "causal", "--set", "arguments.fading=true")),
        (further, ("--start", causal)),
        (back, ("--start", further, "--streaming", "window")),
    ):
        code, _, err = run("train", *small, *options, "-o", out)
        assert code == 0, err
    cards = {out: load(out)[1] for out in (whole, causal, further, back)}
    assert "streaming" not in cards[whole].arguments
    for out in (causal, further):
        assert (cards[out].arguments["streaming"], cards[out].arguments["fading"]) == ("causal", True)
        assert cards[out].interval_seconds == pytest.approx(2 * cards[whole].interval_seconds)
        assert cards[out].frame_seconds == pytest.approx(cards[whole].interval_seconds)
    assert replace(cards[back], training={}, accuracy={}) == replace(cards[whole], training={}, accuracy={})
    code, out, err = run("test", further)
    assert code == 0, err
    code, _, err = run("train", *small, "--model", "tsm_resnet18", "--streaming", "causal", "-o", tmp_path / "tsm")
    assert (code, "streams by itself" in err) == (2, True)


@pytest.mark.slow
def test_the_benchmark():
    said = []
    row = frame_by_frame.measure("mc3_18", streams=(1,), rounds=1, say=said.append)
    assert (row["frames"], row["frames_of_a_step"], row["stride"]) == (16, 1, 2)
    assert row["multiply_adds"]["times_less"] == pytest.approx(16, rel=1e-3)
    assert row["multiply_adds"]["window"] == pytest.approx(43.34e9, rel=1e-3)  # as in the catalogue
    (times,) = row["times"]
    assert times["times_less_at_stride"] == pytest.approx(times["times_less"]["median"] / 2)
    assert times["times_less"]["median"] == pytest.approx(times["window_ms"]["median"] / times["live_ms"]["median"])
    assert len(said) == 1


def test_a_case_that_the_benchmark_does_not_have(monkeypatch):
    monkeypatch.setattr("sys.argv", ["frame_by_frame", "r4d"])
    with pytest.raises(SystemExit, match="no case 'r4d'; there are slow_r50; "):
        frame_by_frame.main()
