"""Whole videos in chunks: the numbers are those of the live engine."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers import LABELS, SIZE, images, random_card, random_network, write_video
from hypothesis import given, settings
from hypothesis import strategies as st
from precision import apart, float64_bound

from actionstream import Engine, Frame, SourceError, open_source
from actionstream.engine.scorer import Row, Scorer
from actionstream.models.card import Card
from actionstream.models.preprocessing import Preprocessing
from actionstream.runtimes.eager import TorchRuntime
from actionstream.scoring import integrate
from actionstream.sources.source import Source
from actionstream.videos import label as labelling
from actionstream.videos.label import label_video
from actionstream.videos.scores import score_video

CARD = random_card("tsm_mobilenet_v2", width=0.35)
FLOW = Card(
    network="tsm_mobilenet_v2",
    arguments={"num_classes": len(LABELS), "in_channels": 4, "width": 0.35},
    labels=LABELS,
    preprocessing=Preprocessing(height=SIZE, width=SIZE, mean=(127.5,), std=(127.5,), modality="flow", stack=2),
    interval_seconds=0.2,
    frame_seconds=0.1,
)
PICTURES = images(8, height=SIZE, width=SIZE)


class Frames(Source):
    """Pictures at times."""

    rate = 10.0

    def __init__(self, times, pictures=None):
        super().__init__("pictures")
        self.times = times
        self.pictures = pictures or [PICTURES[n % 8] for n in range(len(times))]
        self.closed = False

    def __iter__(self):
        for index, (time_seconds, picture) in enumerate(zip(self.times, self.pictures, strict=True)):
            yield Frame(stream="pictures", index=index, time_seconds=time_seconds, picture=picture)

    def close(self):
        self.closed = True


RUNTIMES = {}


def limit(card, seed):
    """How far the probabilities of a network may be off."""
    size = card.preprocessing
    pixels = np.random.default_rng(0).integers(0, 256, (1, 8, size.height, size.width, size.channels), dtype=np.uint8)
    return float64_bound(random_network(card, seed), size.normalise(torch.from_numpy(pixels)), of=card.probabilities)[1]


LIMIT = max(limit(CARD, 0), limit(FLOW, 1))


def scorer(card=CARD, chunk=3, seed=0):
    """One with streams of its own, of a runtime that the tests share."""
    if card.to_json() not in RUNTIMES:
        RUNTIMES[card.to_json()] = TorchRuntime(random_network(card, seed), card, device="cpu")
    made = Scorer(RUNTIMES[card.to_json()])
    made.chunk = chunk
    return made


def fused(chunk=3):
    runtimes = [each._runtimes[0] for each in (scorer(), scorer(FLOW, seed=1))]
    made = Scorer(*runtimes, weights=(1.0, 3.0), gap_seconds=1.6)
    made.chunk = chunk
    return made


def windowed(chunk=3):
    card = random_card("tsm_mobilenet_v2", width=0.35, shift="bi")
    return scorer(replace(card, num_frames=4, stride=2), chunk)


def live(model, source):
    """What the engine says of each frame of a source."""
    machine = Engine(model)
    stream = machine.open()
    return [row for frame in source if (row := machine.push(stream, frame.picture, frame.time_seconds))]


def check_same(found, rows, card):
    np.testing.assert_array_equal(found.times_seconds, [row.time_seconds for row in rows])
    np.testing.assert_array_equal(found.rows_since_reset, [row.frames_since_reset for row in rows])
    expected = np.stack([row.probabilities for row in rows])
    assert apart(card.probabilities(found.scores), expected) < LIMIT


@pytest.mark.parametrize("make", [scorer, fused, windowed, lambda: scorer(FLOW)], ids=["one", "two", "window", "flow"])
def test_the_rows_are_those_of_the_engine(tmp_path, make):
    """Of a video with a gap, at a rate that has frames between samples, in chunks that the gap does not end."""
    times = [n / 30 for n in range(40)] + [5 + n / 30 for n in range(35)]
    path = write_video(tmp_path / "film.mkv", images(75), times=times)
    model = make()
    rows = live(make(), open_source(path))
    assert [row.reset for row in rows if row.reset][1:] == ["gap"]
    seen = []
    found = score_video(open_source(path), model, look=lambda frame: seen.append(frame.index))
    check_same(found, rows, model.card)
    assert found.duration_seconds == pytest.approx(5 + 35 / 30, abs=0.01)
    assert (found.cut_short, seen) == (None, list(range(75)))
    again = score_video(open_source(path), model)  # nothing of the first time is left
    np.testing.assert_array_equal(again.scores, found.scores)


steps = st.sampled_from([0.05, 0.1, 0.1, 0.1, 0.13, 0.3, 2.0, -0.2])


@settings(max_examples=12, deadline=None)
@given(st.lists(st.tuples(steps, st.booleans()), min_size=2, max_size=16), st.integers(1, 7))
def test_any_times_sizes_and_chunks(moves, chunk):
    times = np.cumsum([step for step, _ in moves]).tolist()
    pictures = [PICTURES[n % 8][: SIZE - 8 * small] for n, (_, small) in enumerate(moves)]
    found = score_video(Frames(times, pictures), scorer(chunk=chunk))
    rows = live(scorer(), Frames(times, pictures))
    check_same(found, rows, CARD)
    assert found.begins_anew[1:].tolist() == [row.reset is not None for row in rows[1:]]


def test_rows_that_mean_nothing_are_left_out():
    times = [n / 10 for n in range(4)] + [3 + n / 10 for n in range(4)]
    found = score_video(Frames(times), scorer())
    assert found.rows_since_reset.tolist() == [1, 2, 3, 4] * 2
    assert found.after(2).rows_since_reset.tolist() == [3, 4] * 2
    np.testing.assert_array_equal(found.after(2).times_seconds, [0.2, 0.3, 3.2, 3.3])
    np.testing.assert_array_equal(found.after(2).scores, found.scores[[2, 3, 6, 7]])


def test_a_video_that_is_cut_short_has_the_rows_that_there_are(tmp_path):
    whole = write_video(tmp_path / "film.mkv", images(90))
    rows = live(scorer(), open_source(whole))
    whole.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    found = score_video(open_source(whole), scorer(chunk=50))
    assert "film.mkv is cut short: it ends at" in found.cut_short
    assert 8 < len(found.scores) < 22
    check_same(found, rows[: len(found.scores)], CARD)


def free_slots(model):
    return sorted(model._runtimes[0]._free)


class BrokenLater(Scorer):
    """One row of a chunk, not the first, is not finite."""

    def score(self, prepared):
        return [Row(scores=np.full(len(LABELS), math.nan if n == 6 else 0.0)) for n in range(len(prepared))]


def test_what_cannot_be_scored_is_said_and_the_source_closed(tmp_path):
    cases = [
        (Frames([0.0]), scorer(), r"pictures has no duration, only one picture"),
        (Frames([0.0, 0.1]), scorer(FLOW), r"pictures is too short: 2 frames make no snippet for tsm_mobilenet_v2"),
    ]
    broken = Scorer(TorchRuntime(random_network(CARD), CARD, device="cpu"))
    next(broken._runtimes[0]._network.parameters()).data.fill_(math.nan)
    cases.append((Frames([0.0, 0.1]), broken, r"pictures gets scores that are not finite at 0\.0 s"))
    cases.append((Frames([n / 10 for n in range(9)]), BrokenLater(broken._runtimes[0]), r"not finite at 0\.6 s"))
    for source, model, message in cases:
        before = free_slots(model)
        with pytest.raises(ValueError, match=message):
            score_video(source, model)
        assert source.closed
        assert free_slots(model) == before
    (tmp_path / "text.mp4").write_text("no video")
    with pytest.raises(SourceError, match=r"text.mp4 is not a video"):
        score_video(open_source(tmp_path / "text.mp4"), scorer())


def test_labels_of_a_video():
    times = [n / 10 for n in range(12)]
    model = scorer()
    scores = score_video(Frames(times), model)
    found = label_video(Frames(times), model, background=LABELS[0])
    np.testing.assert_array_equal(found.scores.times_seconds, times[CARD.context :])
    np.testing.assert_array_equal(found.probabilities, CARD.probabilities(scores.scores[CARD.context :]))
    kept = scores.after(CARD.context)
    expected = CARD.probabilities(integrate(kept.scores, times_seconds=kept.times_seconds))
    np.testing.assert_allclose(found.overall, expected)
    assert found.segments
    assert all(0 <= each.start_seconds < each.end_seconds <= 1.2 + 1e-9 for each in found.segments)
    assert LABELS[0] not in {each.label for each in found.segments}
    short = Scorer(TorchRuntime(random_network(CARD), replace(CARD, context=5), device="cpu"))
    with pytest.raises(ValueError, match=r"too short: the first 5 rows are warm-up, and it has 4"):
        label_video(Frames(times[:4]), short)


def test_in_parts_or_at_once_it_is_the_same(monkeypatch):
    source = Frames([n / 10 for n in range(12)])
    whole = label_video(source, scorer())
    monkeypatch.setattr(labelling, "ROWS_AT_ONCE", 4)
    monkeypatch.setattr(labelling, "CLASSES_AT_ONCE", 3)
    parts = label_video(source, scorer())
    np.testing.assert_array_equal(parts.probabilities, whole.probabilities)
    np.testing.assert_allclose(parts.overall, whole.overall, rtol=1e-12)
    assert parts.segments == whole.segments


def test_no_segment_goes_over_a_reset():
    """Of a picture of another size, and of a gap that is one for the frames but not for the stacks made of them."""
    pictures = [PICTURES[0]] * 10 + [PICTURES[0][: SIZE - 8]] * 10
    found = label_video(Frames([n / 10 for n in range(20)], pictures), scorer())
    assert found.segments
    assert not any(each.start_seconds < 0.95 < each.end_seconds - 0.1 for each in found.segments)
    times = [n / 10 for n in range(20)] + [3.0 + n / 10 for n in range(20)]
    found = label_video(Frames(times, [PICTURES[n % 2] for n in range(40)]), scorer(FLOW))
    assert found.segments
    assert not any(each.start_seconds < 2 and each.end_seconds > 3 for each in found.segments)


def test_chunks_are_smaller_where_pictures_are_larger():
    small, large = (replace(CARD, preprocessing=Preprocessing(height=size, width=size)) for size in (64, 224))
    runtimes = [TorchRuntime(random_network(CARD), card, device="cpu") for card in (small, large)]
    assert [runtime.chunk for runtime in runtimes] == [48, 3]
    assert Scorer(*runtimes).chunk == 3
