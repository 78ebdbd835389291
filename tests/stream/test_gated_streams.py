"""A watch with the idle gate: frames of a still scene are held back, and nothing of a movement is missed."""

from itertools import pairwise

import numpy as np
import pytest
from helpers import write_video

from actionstream.engine.engine import Engine
from actionstream.frame import Frame
from actionstream.live.gate import Gate
from actionstream.live.held_back import HeldBack
from actionstream.live.parts import Part, PreparedParts
from actionstream.live.watch import Watch
from actionstream.sources.source import Source

STILL, MOVING = 150, 60
"""Frames of the scene, 15 a second: still, then everything goes to the left, as `motion` knows it."""


def scene(seed=3):
    wide = np.kron(np.random.default_rng(seed).integers(40, 200, (16, 64, 1)), np.ones((8, 8, 3))).astype(np.uint8)
    rng = np.random.default_rng(4)
    places = [0] * STILL + [3 * n for n in range(1, MOVING + 1)]
    noise = rng.normal(0, 1.5, (len(places), 128, 128, 1))
    return [
        (wide[:, place : place + 128] + each).clip(0, 255).astype(np.uint8)
        for place, each in zip(places, noise, strict=True)
    ]


PICTURES = scene()


class Played(Source):
    """Pictures, 15 a second, at once."""

    rate = 15.0

    def __init__(self, pictures, name="scene"):
        super().__init__(name)
        self.pictures = pictures

    def __iter__(self):
        for index, picture in enumerate(self.pictures):
            yield Frame(stream=self.name, index=index, time_seconds=index / 15, picture=picture)


def watched(gated, pictures=PICTURES, **options):
    watch = Watch(Engine(background="still"), policy="every", gate=gated)
    watch.add(Played(pictures), name="scene", **options)
    return list(watch)


@pytest.fixture(scope="module")
def ungated():
    return watched(False)


@pytest.fixture(scope="module")
def gated():
    return watched(True)


def predictions(updates, stream="scene"):
    return [each.prediction for each in updates if each.prediction is not None and each.stream == stream]


def test_each_frame_comes_once_and_at_once(gated):
    assert [each.frame.index for each in gated if each.frame is not None] == list(range(STILL + MOVING))


def test_the_scores_of_a_movement_are_those_of_an_ungated_stream(gated, ungated):
    """From the beginning of the ring on: a second before the movement, with the state of the still scene."""
    found, wanted = ({each.frame: each for each in predictions(updates)} for updates in (gated, ungated))
    assert set(range(STILL - 15, STILL + MOVING)) <= set(found) <= set(wanted)
    for index in range(STILL, STILL + MOVING):
        np.testing.assert_allclose(found[index].probabilities, wanted[index].probabilities, atol=0.02)
    assert all(earlier.frame < later.frame for earlier, later in pairwise(predictions(gated)))
    assert len(found) < len(wanted) - 80  # 2 s at first, a step in 2 s, and the second before the movement


def test_the_events_are_the_same(gated, ungated):
    def told(updates):
        return [(event.event, event.label) for update in updates for event in update.events]

    def starts(updates):
        return {event.label: event.time_seconds for update in updates for event in update.events[:1]}

    assert told(gated) == told(ungated) != []
    assert starts(gated) == pytest.approx(starts(ungated), abs=1.01 / 15)


def test_predictions_of_what_was_held_back_come_without_a_frame(gated):
    late = [each for each in gated if each.prediction is not None and each.frame is None]
    probes = [each for each in late if each.prediction.time_seconds < STILL / 15 - 1.1]
    assert 2 <= len(probes) <= 4
    for earlier, later in pairwise(probes):
        assert later.prediction.time_seconds - earlier.prediction.time_seconds > 1.9
    told = 0
    for update in gated:
        if update.frame is not None:
            told = update.frame.index
        elif update.prediction is not None:
            assert told - 15 <= update.prediction.frame < told + 1


def test_what_is_held_back_is_no_loss(gated, ungated):
    counts = [updates[-1].notice.counts for updates in (gated, ungated)]
    assert counts[0].received == counts[1].received == STILL + MOVING
    assert counts[0].labelled + counts[0].dropped["idle"] == counts[1].labelled
    assert counts[0].lost == counts[1].lost == 0


def test_each_region_has_a_gate_of_its_own():
    """What moves in the right half wakes the stream of the right half only."""
    pictures = [np.concatenate([PICTURES[0], each], axis=1) for each in PICTURES]
    noise = np.random.default_rng(0).normal(0, 1.5, (len(pictures), 128, 256, 1))
    pictures = [(each + more).clip(0, 255).astype(np.uint8) for each, more in zip(pictures, noise, strict=True)]
    regions = {"left": lambda image: image[:, :128], "right": lambda image: image[:, 128:]}
    updates = watched(True, pictures, regions=regions)
    left, right = (len(predictions(updates, f"scene/{region}")) for region in regions)
    assert left < 45 < MOVING < right
    counts = updates[-1].notice.counts
    assert counts.received == counts.labelled + sum(counts.dropped.values()) == len(pictures)


def test_a_source_may_have_no_gate_of_a_watch_that_has_one(ungated):
    assert len(predictions(watched(True, gate=False))) == len(predictions(ungated))


def test_nothing_is_held_back_after_a_reset():
    """A pause empties the state, and the scene counts as moving for a while."""
    engine = Engine(gap_seconds=0.5)
    engine.open("scene")
    held_back = HeldBack(Gate.of(engine.card))
    times = [n / 15 for n in range(60)] + [20 + n / 15 for n in range(60)]
    idle = []
    for index, time_seconds in enumerate(times):
        frame = Frame(stream="scene", index=index, time_seconds=time_seconds, picture=PICTURES[index])
        prepared, earlier = held_back.push(frame, engine.prepare(frame))
        engine.score([(frame, prepared)])
        idle.append(prepared.idle)
        assert all(each.picture.nbytes == 3 for each, _ in earlier)
    assert idle == ([False] * 30 + [True] * 30) * 2


def test_what_was_held_back_survives_a_dropped_frame():
    """With the policy newest, the frame that wakes a stream may be replaced in the queue by the next one."""
    engine = Engine()
    engine.open("scene")
    parts = []
    for index in range(3):
        frame = Frame(stream="scene", index=index, time_seconds=index / 15, picture=PICTURES[index])
        parts.append(Part("scene", frame.picture, engine.prepare(frame), [(frame, engine.prepare(frame))]))
    first, second, third = (PreparedParts((part,)) for part in parts)
    kept = third.after(second.after(first))
    assert [frame.index for frame, _ in kept.parts[0].earlier] == [0, 1, 2]
    assert kept.due
    assert kept.sampled


def test_a_frame_that_is_held_back_replaces_no_other():
    engine = Engine()
    engine.open("scene")
    frame = Frame(stream="scene", index=0, time_seconds=0.0, picture=PICTURES[0])
    held = PreparedParts((Part("scene", frame.picture, engine.prepare(frame).held_back()),))
    assert (held.sampled, held.due, held.not_sampled) == (False, False, "idle")


def test_the_command(run, tmp_path):
    import json

    film = write_video(tmp_path / "film.mp4", PICTURES, rate=15)
    code, out, _ = run("watch", film, "--gate", "--background", "still", "--json")
    assert code == 0
    lines = [json.loads(line) for line in out.splitlines()]
    close = lines[-1]
    assert close["dropped"]["idle"] > 80
    frames = [line["frame"] for line in lines if "labels" in line]
    assert frames == sorted(set(frames))
    assert {line["label"] for line in lines if line.get("event") == "start"} == {"left"}
