"""Whole videos in chunks: the numbers are those of the live engine."""

import math
from dataclasses import replace

import numpy as np
import pytest
from helpers import LABELS, SIZE, images, random_card, random_network, write_video
from hypothesis import given, settings
from hypothesis import strategies as st

from models.checkpoint import Card
from models.preprocessing import Preprocessing
from stream import Engine, Frame, SourceError, open_source
from stream.fusion import Fusion
from stream.labelling import find_background, label_video
from stream.runtimes.eager import TorchRuntime
from stream.scorer import NetworkScorer
from stream.scoring import integrate
from stream.sources.source import Source
from stream.video_scores import score_video

CARD = random_card(width=0.35)
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
            yield Frame(stream="pictures", index=index, time_seconds=time_seconds, image=picture)

    def close(self):
        self.closed = True


RUNTIMES = {}


def scorer(card=CARD, chunk=3, seed=0):
    """One with streams of its own, of a runtime that the tests share."""
    if card.to_json() not in RUNTIMES:
        RUNTIMES[card.to_json()] = TorchRuntime(random_network(card, seed), card, device="cpu")
    made = NetworkScorer(RUNTIMES[card.to_json()])
    made.chunk = chunk
    return made


def fused(chunk=3):
    parts = [NetworkScorer(each._runtime, gap_seconds=1.6) for each in (scorer(), scorer(FLOW, seed=1))]
    made = Fusion(parts, (1.0, 3.0))
    made.chunk = chunk
    return made


def windowed(chunk=3):
    card = random_card("tsm_mobilenet_v2", width=0.35, shift="bi")
    return scorer(replace(card, num_frames=4, stride=2), chunk)


def live(model, source):
    """What the engine says of each frame of a source."""
    machine = Engine(model._runtime if isinstance(model, NetworkScorer) else model)
    stream = machine.open()
    return [row for frame in source if (row := machine.push(stream, frame.image, frame.time_seconds))]


def check_same(found, rows, card):
    np.testing.assert_array_equal(found.times_seconds, [row.time_seconds for row in rows])
    np.testing.assert_array_equal(found.rows_since_reset, [row.frames_since_reset for row in rows])
    expected = np.stack([row.probabilities for row in rows])
    np.testing.assert_allclose(card.probabilities(found.scores), expected, atol=1e-5)


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
    check_same(found, live(scorer(), Frames(times, pictures)), CARD)


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


def test_what_cannot_be_scored_is_said_and_the_source_closed(tmp_path):
    cases = [
        (Frames([0.0]), scorer(), r"pictures has no duration, only one picture"),
        (Frames([0.0, 0.1]), scorer(FLOW), r"pictures is too short: 2 frames make no snippet for tsm_mobilenet_v2"),
    ]
    broken = NetworkScorer(TorchRuntime(random_network(CARD), CARD, device="cpu"))
    next(broken._runtime._network.parameters()).data.fill_(math.nan)
    cases.append((Frames([0.0, 0.1]), broken, r"pictures gets scores that are not finite at 0\.0 s"))
    for source, model, message in cases:
        with pytest.raises(ValueError, match=message):
            score_video(source, model)
        assert source.closed
        assert model._streams == {}
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
    short = NetworkScorer(TorchRuntime(random_network(CARD), replace(CARD, context=5), device="cpu"))
    with pytest.raises(ValueError, match=r"too short: the first 5 rows mean nothing, and it has 4"):
        label_video(Frames(times[:4]), short)


def test_which_label_is_background():
    assert find_background(("a", "background"), None) == "background"
    assert find_background(("a", "b"), None) is None
    assert find_background(("a", "background"), "a") == "a"
    with pytest.raises(ValueError, match=r"no label is called 'c'; there are a, b"):
        find_background(("a", "b"), "c")


def test_chunks_are_smaller_where_pictures_are_larger():
    small, large = (replace(CARD, preprocessing=Preprocessing(height=size, width=size)) for size in (64, 224))
    assert TorchRuntime(random_network(CARD), small, device="cpu").chunk == 48
    runtime = TorchRuntime(random_network(CARD), large, device="cpu")
    assert runtime.chunk == 3
    assert Fusion([NetworkScorer(runtime), scorer(chunk=2)], (1, 1)).chunk == 2
