"""The benchmark of the idle gate compares it with an ungated stream, and its still scenes are still."""

import json
import subprocess
import sys
from itertools import islice

import numpy as np
import pytest
from helpers import write_video

from actionstream.benchmarks.gate import FoundEvent, Scene, compare, match, measure
from actionstream.benchmarks.still_scenes import DISTURBANCES, held, read_noise
from actionstream.engine.engine import Engine
from actionstream.live.gate import Gate
from actionstream.models.common.errors import ActionstreamError
from actionstream.sources import SAMPLE


def picture(height=48, width=64):
    blocks = np.random.default_rng(0).integers(40, 200, (height // 8, width // 8, 1))
    return np.kron(blocks, np.ones((8, 8, 3))).astype(np.uint8)


@pytest.fixture
def still_video(tmp_path):
    rng = np.random.default_rng(0)
    pictures = [(picture() + rng.normal(0, 2, (48, 64, 1))).clip(0, 255).astype(np.uint8) for _ in range(40)]
    return write_video(tmp_path / "still.mp4", pictures)


def test_noise_of_a_still_video(still_video):
    noise = read_noise(still_video)
    assert noise.shape == (40, 48, 64, 3)
    assert noise.dtype == np.int16
    assert np.abs(np.median(noise, axis=0)).max() <= 1
    assert 0 < np.abs(noise).mean() < 6


def test_a_video_that_moves_has_no_noise():
    with pytest.raises(ActionstreamError, match=r"sample.mp4 differs by .* take a video in which nothing moves"):
        read_noise(SAMPLE)


def test_held_pictures_are_the_image_under_the_noise():
    noise = np.random.default_rng(0).integers(-3, 4, (5, 20, 30, 3)).astype(np.int16)
    image = picture()
    pictures = list(islice(held(image, noise, np.random.default_rng(1)), 40))
    assert all(each.shape == image.shape for each in pictures)
    differences = np.stack(pictures).astype(int) - image
    assert np.abs(differences).max() == 3
    assert len({each.tobytes() for each in pictures}) > 5


@pytest.mark.parametrize("name", DISTURBANCES)
def test_disturbances_change_a_scene_that_goes_on(name):
    noise = np.random.default_rng(0).integers(-1, 2, (5, 48, 64, 3)).astype(np.int16)

    def scene():
        return held(picture(), noise, np.random.default_rng(1))

    rate = 1.0  # so that 40 pictures are longer than the period of each disturbance
    pictures = list(DISTURBANCES[name](islice(scene(), 40), rate, np.random.default_rng(2)))
    assert len(pictures) == 40
    assert all((each.shape, each.dtype) == ((48, 64, 3), np.uint8) for each in pictures)
    most = max(np.abs(a.astype(int) - b).max() for a, b in zip(pictures, scene(), strict=False))
    assert (most == 0) == (name == "none")


def event(label, start, told, end=float("inf")):
    return FoundEvent(label, start, told, end)


def test_lost_and_late_events():
    card = Engine().card
    frame = card.interval_seconds
    wanted = [event("left", 1.0, 1.2, 2.0), event("left", 5.0, 5.2, 6.0), event("up", 7.0, 7.2)]
    found = [event("left", 1.1, 1.2 + frame, 2.0), event("right", 5.0, 5.2, 6.0), event("up", 6.9, 7.0)]
    assert match(wanted, found, card) == {"number": 3, "lost": 1, "late_frames": {"0": 1, "1": 1}}


def scene_of(pictures, moves_seconds):
    return Scene("scene", "group", moves_seconds, lambda: ((n / 15, each) for n, each in enumerate(pictures)))


def shift_scene(num_still, num_moving):
    """A still scene; then all of it goes to the left, as `motion` knows it."""
    wide = np.kron(np.random.default_rng(3).integers(40, 200, (16, 64, 1)), np.ones((8, 8, 3))).astype(np.uint8)
    rng = np.random.default_rng(4)
    places = [0] * num_still + [3 * n for n in range(1, num_moving + 1)]
    return [
        (wide[:, place : place + 128] + rng.normal(0, 1.5, (128, 128, 1))).clip(0, 255).astype(np.uint8)
        for place in places
    ]


def test_a_gated_stream_beside_an_ungated_one():
    engine = Engine(background="still")
    row = compare(engine, scene_of(shift_scene(120, 45), 8.0), Gate.of(engine.card))
    assert row["ungated_steps"] == 165
    assert row["gated_steps"] < 120
    assert row["events"]["number"] >= 1
    assert row["events"]["lost"] == 0
    assert set(row["events"]["late_frames"]) <= {"0", "1"}
    assert row["extra_events"] == 0
    assert engine.streams == []


def test_a_gate_that_sees_nothing_loses_events():
    class Blind(Gate):
        def push(self, snippet, time_seconds, item):
            return super().push(np.zeros_like(snippet), time_seconds, item)

    engine = Engine(background="still")
    row = compare(engine, scene_of(shift_scene(120, 45), 8.0), Blind())
    assert row["events"]["lost"] == row["events"]["number"] >= 1


def test_the_report_adds_up(still_video, monkeypatch):
    few = {name: DISTURBANCES[name] for name in ("none", "coded")}
    monkeypatch.setattr("actionstream.benchmarks.gate.DISTURBANCES", few)
    engine = Engine(background="still")
    report = measure([still_video], read_noise(still_video), engine, held_seconds=5.0, still_minutes=0.2)
    assert [(row["kind"], row["scenes"]) for row in report["groups"]] == [("as it is", 1), ("held first", 1)]
    as_it_is, held_first = report["groups"]
    assert held_first["ratio"] > as_it_is["ratio"] == 1
    assert [row["disturbance"] for row in report["still"]] == ["none", "coded"]
    assert all(row["snippets"] == 180 for row in report["still"])
    assert report["still"][0]["ratio_late"] == pytest.approx(30, rel=0.2)
    json.dumps(report, allow_nan=False)


@pytest.mark.slow
def test_the_command(still_video):
    command = [sys.executable, "-m", "actionstream.benchmarks.gate", str(still_video), "--noise", str(still_video)]
    options = ["--held-seconds", "4", "--still-minutes", "0.1"]
    result = subprocess.run([*command, *options], capture_output=True, text=True, check=True)
    assert json.loads(result.stdout)["settings"]["hold_seconds"] >= 2
    command[3] = "gone.mp4"
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (result.returncode, result.stderr.count("\n")) == (1, 1)
    assert "gone.mp4" in result.stderr
