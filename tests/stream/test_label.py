"""The command `label`."""

import json
import signal
import subprocess
import sys
import time
from dataclasses import replace
from itertools import permutations
from pathlib import Path

import numpy as np
import pytest
from helpers import images, random_card, random_network, write_video
from PIL import Image

from actionstream.benchmarks.long_video import loop_video
from actionstream.evaluation import activitynet
from actionstream.evaluation.detection_table import read_table
from actionstream.models import read_card, save
from actionstream.scoring import SegmentFinder
from actionstream.sources import SAMPLE
from actionstream.videos.label import best_about, label_scores
from actionstream.videos.scores import VideoScores
from actionstream.videos.subtitles import subtitles


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_video(tmp_path / "match.mp4", images(40))
    return tmp_path


def files(folder):
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_a_film_of_a_frame_a_second_is_told_of(run, folder):
    """Also where nothing can be made of it: each of its frames comes after a gap."""
    write_video(folder / "slow.mp4", images(22), rate=1)
    code, _, err = run("label", "slow.mp4", "match.mp4")
    assert code == 1
    slow, short = err.splitlines()
    assert slow == "actionstream: slow.mp4 has 1 frame a second; the model was trained on 15: " + (
        "labels may be wrong; use a faster source"
    )
    assert short.startswith("actionstream: slow.mp4 is too short: the first")
    assert short.endswith("and it has 1 without a gap")
    write_video(folder / "slow.mp4", images(22), rate=5)
    code, _, err = run("label", "slow.mp4")
    assert (code, err.count("\n"), "slow.mp4 has 5 frames a second" in err) == (0, 1, True)


def test_the_sample(run, folder):
    """Nine movements, two seconds each; what stands still is left out when it is called background."""
    code, out, err = run("label", "sample", "--background", "still", "--csv", "--scores", "--subtitles", "srt")
    assert (code, err) == (0, "")
    assert files(folder) == {"match.mp4", *(f"sample.{kind}" for kind in ("json", "png", "csv", "npz", "srt"))}
    assert "written: sample.json, sample.png, sample.srt, sample.csv, sample.npz" in out

    found = activitynet.read_results(folder / "sample.json", task="detection")
    assert set(found.videos) == {"sample"}
    sure = found[found.scores >= 0.4]
    order = np.argsort(sure.start_seconds)
    movements = ["right", "left", "down", "up", "shaking", "closer", "away", "clockwise", "anticlockwise"]
    assert sure.labels[order].tolist() == movements
    np.testing.assert_allclose(sure.start_seconds[order], np.arange(2, 20, 2), atol=0.6)
    np.testing.assert_allclose(sure.end_seconds[order], np.arange(4, 22, 2), atol=0.6)
    assert [line.split()[2] for line in out.splitlines() if line.startswith(" 0:")] == movements
    listed = list(read_table(folder / "sample.csv").rows())
    assert f"the best 9 of {len(listed)} segments" in out
    assert set(listed) < set(found.rows()), "JSON has all candidates"
    for a, b in permutations(listed, 2):
        assert a[3] != b[3] or a[1] < b[1] or a[2] > b[2], "no segment lies inside another one of its label"
    cues = (folder / "sample.srt").read_text().split("\n\n")
    assert [cue.split("\n")[2].split()[0] for cue in cues] == movements

    with np.load(folder / "sample.npz") as file:
        kept = dict(file)
    card = read_card("motion")
    assert tuple(kept["labels"]) == card.labels
    assert kept["scores"].shape == kept["probabilities"].shape == (330 - card.context, 10)
    np.testing.assert_allclose(card.probabilities(kept["scores"]), kept["probabilities"])
    np.testing.assert_allclose(np.diff(kept["times_seconds"]), 1 / 15, atol=1e-3)
    assert kept["overall"].sum() == pytest.approx(1)
    assert kept["duration_seconds"] == pytest.approx(22, abs=0.05)
    with Image.open(folder / "sample.png") as picture:
        assert (picture.format, picture.width) == ("PNG", 1680)
        below = np.asarray(picture.convert("RGB")).astype(int)[200:]  # the thumbnails
        orange = (below[..., 0] > 200) & (below[..., 0] - below[..., 2] > 100)
        assert 0.005 < orange.mean() < 0.1, "nine bars"


def test_several_videos_of_which_some_are_none(run, folder, checkpoint):
    write_video(folder / "short.mkv", images(3))
    (folder / "text.mp4").write_text("no video")
    (folder / "empty.avi").touch()
    (folder / "pictures").mkdir()
    for number, picture in enumerate(images(30)):
        Image.fromarray(picture).save(folder / "pictures" / f"{number}.png")
    write_video(folder / "still.mp4", images(1))
    half = write_video(folder / "half.mkv", images(60))
    half.write_bytes(half.read_bytes()[: half.stat().st_size // 2])
    videos = ["match.mp4", "text.mp4", "empty.avi", "gone.mp4", "still.mp4", "half.mkv", "pictures"]
    before = files(folder)
    code, out, err = run("label", *videos, "--out", "results/all", "--model", checkpoint)
    assert code == 1
    said = err.splitlines()
    for line, start in zip(said, ["text.mp4 is not a", "empty.avi is not", "no such file: gone.mp4"], strict=False):
        assert line.startswith(f"actionstream: {start}")
    assert "still.mp4 has no duration" in said[3]
    assert "half.mkv is cut short: it ends at" in said[-1]
    done = ["match", "half", "pictures"]
    written = {f"results/all/{name}.{kind}" for name in done for kind in ("json", "png")}
    assert files(folder) - before == {*written, "results/all/results.json"}
    everything = json.loads((folder / "results/all/results.json").read_text())["results"]
    assert list(everything) == done
    for name in done:
        assert json.loads((folder / f"results/all/{name}.json").read_text())["results"][name] == everything[name]
    assert "segments in 3 videos: results/all/results.json" in out
    code, _, err = run("label", "text.mp4", "--model", checkpoint)
    assert (code, err.count("\n")) == (2, 1)


def test_files_that_cannot_be_written_are_told_and_the_rest_goes_on(run, folder, checkpoint):
    write_video(folder / "later.mkv", images(40))
    (folder / "out" / "match.png").mkdir(parents=True)
    code, _, err = run("label", "match.mp4", "later.mkv", "--out", "out", "--scores", "--csv", "--model", checkpoint)
    assert (code, err) == (1, "actionstream: out/match.png cannot be written: Is a directory\n")
    written = {"results.json", *(f"later.{kind}" for kind in ("json", "png", "csv", "npz"))}
    assert files(folder / "out") == written, "and nothing that is half a file"
    assert list(json.loads((folder / "out/results.json").read_text())["results"]) == ["later"]


def labelled(run, folder, model):
    """The rows, the probabilities and the labels of segments of a video."""
    code, _, err = run("label", "match.mp4", "--scores", "--model", model)
    assert (code, err) == (0, "")
    found = activitynet.read_results(folder / "match.json", task="detection")
    with np.load(folder / "match.npz") as file:
        kept = dict(file)
    assert len(found) > 0
    assert set(found.labels) <= set(kept["labels"])
    return kept["scores"], kept["probabilities"]


def test_a_model_with_sigmoid(run, folder):
    card = replace(random_card(), activation="sigmoid")
    save(folder / "model.safetensors", random_network(card), card)
    scores, probabilities = labelled(run, folder, "model.safetensors")
    np.testing.assert_allclose(probabilities, 1 / (1 + np.exp(-scores)), rtol=1e-5)


def test_several_models_fused(run, folder):
    for name in ("a", "b"):
        card = random_card()
        save(folder / f"{name}.safetensors", random_network(card, seed=ord(name)), card)
    (folder / "both.toml").write_text(
        '[[network]]\nmodel = "a.safetensors"\n[[network]]\nmodel = "b.safetensors"\nweight = 3\n'
    )
    a, b, both = (labelled(run, folder, name)[0] for name in ("a.safetensors", "b.safetensors", "both.toml"))
    np.testing.assert_allclose(both, a / 4 + 3 * b / 4, rtol=1e-3, atol=1e-4)


def test_what_is_not_sure_is_neither_shown_nor_a_subtitle(run, folder, checkpoint):
    code, out, _ = run("label", "match.mp4", "--threshold", "1", "--model", checkpoint, "--subtitles", "vtt")
    assert code == 0
    assert "the best 0 of" in out
    assert (folder / "match.vtt").read_text() == subtitles([], kind="vtt") == "WEBVTT\n"
    assert json.loads((folder / "match.json").read_text())["results"]["match"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["match.mp4", "other/match.mkv"], "the results of match.mp4 and other/match.mkv would both be named match"),
        (["match.mp4", "results.mp4"], "results.mp4 and the results of all would both be written as results.json"),
        (["match.png"], "match.png would be overwritten; give another folder, --out DIR"),
        (["match.mp4", "--background", "swim"], "no label is called 'swim'; there are wave"),
        (["match.mp4", "--threshold", "2"], "--threshold is 2.0; expected a number from 0 to 1"),
        (["match.mp4", "--model", "nowhere"], "no model 'nowhere'"),
        (["match.mp4", "--out", "match.mp4"], "match.mp4"),
    ],
)
def test_bad_input_is_one_line_and_nothing_is_written(run, folder, checkpoint, arguments, message):
    Image.fromarray(images(1)[0]).save(folder / "match.png")
    before = {path: path.read_bytes() for path in folder.iterdir()}
    code, _, err = run("label", "--model", checkpoint, *arguments)
    assert (code, err.count("\n")) == (2, 1)
    assert message in err
    assert {path: path.read_bytes() for path in folder.iterdir()} == before


def is_open(path, pid):
    return any(link.exists() and link.samefile(path) for link in Path(f"/proc/{pid}/fd").iterdir())


@pytest.mark.waits
@pytest.mark.slow
def test_ctrl_c_ends_it(tmp_path):
    loop_video(SAMPLE, tmp_path / "long.mkv", seconds=600)
    program = "from actionstream.cli.main import main; main()"
    command = [sys.executable, "-c", program, "label", str(tmp_path / "long.mkv"), "--out", str(tmp_path)]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    while not is_open(tmp_path / "long.mkv", process.pid):
        time.sleep(0.1)
    time.sleep(1)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (130, "")
    assert files(tmp_path) == {"long.mkv"}


def test_a_moment_has_the_best_of_the_rows_that_are_about_it():
    """Rows of a taught network are about the whole action that ends there; a reset ends what they are about."""
    scores = np.random.default_rng(0).normal(size=(9, 3)).astype(np.float32)
    begins = np.array([1, 0, 0, 0, 0, 1, 0, 0, 0], bool)
    best = best_about(scores, begins, 3)
    for row in range(9):
        end = 5 if row < 5 else 9
        assert np.array_equal(best[row], scores[row : min(row + 3, end)].max(axis=0))
    assert np.array_equal(best_about(scores, begins, 1), scores)
    assert np.array_equal(best_about(scores[:2], begins[:2], 4096)[0], scores[:2].max(axis=0))


def test_a_model_brings_the_smoothing_of_its_segments():
    found = VideoScores(
        times_seconds=np.arange(200) * 0.1,
        scores=np.random.default_rng(0).normal(scale=3, size=(200, 1)).astype(np.float32),
        rows_since_reset=np.arange(1, 201),
        duration_seconds=20.0,
    )
    card = replace(random_card(), labels=("wave",), activation="sigmoid", interval_seconds=0.1, context=0)

    def segments(card, finder=None):
        return label_scores(found, card, name="film", finder=finder).segments

    usual, slow = SegmentFinder(), SegmentFinder(smoothing_seconds=1.0)
    assert segments(card) == segments(card, usual)
    assert segments(replace(card, segment_smoothing_seconds=1.0)) == segments(card, slow) != segments(card)


def test_segments_of_a_model_that_scores_whole_actions_begin_with_the_action():
    """Its rows are high when the action is complete."""
    times = np.arange(60) * 0.1
    scores = np.where((times >= 2.9) & (times < 3.2), 4.0, -4.0)[:, None] * [0.0, 1.0]
    found = VideoScores(
        times_seconds=times,
        scores=scores.astype(np.float32),
        rows_since_reset=np.arange(1, 61),
        duration_seconds=6.0,
    )
    card = replace(random_card(), labels=("nothing", "wave"), interval_seconds=0.1, context=0, covers=20)
    best = label_scores(found, card, name="film", background="nothing").segments[0]
    assert (best.label, best.start_seconds, best.end_seconds) == (
        "wave",
        pytest.approx(1.0, abs=0.11),
        pytest.approx(3.2, abs=0.11),
    )
