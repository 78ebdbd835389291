"""What a detector learns from: features of videos, streams of them, held-out scores."""

import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers import images, random_card, random_network, write_video
from hypothesis import given
from hypothesis import strategies as st
from precision import CONTRACT, apart

from actionstream.detector import held_out
from actionstream.detector.features import VideoFeatures
from actionstream.detector.held_out import folds_of, score_features
from actionstream.detector.learning import learn
from actionstream.detector.settings import DetectorSettings
from actionstream.detector.streams import LearntVideo, Streams
from actionstream.detector.training import Seen, open_store, smoothing_for
from actionstream.engine.scorer import Scorer
from actionstream.models import save
from actionstream.models.annotations.annotated import AnnotatedVideo, Annotation
from actionstream.models.backbones import build
from actionstream.models.common.errors import ActionstreamError
from actionstream.runtimes.eager import TorchRuntime
from actionstream.sources import SAMPLE, SourceError, open_source
from actionstream.videos.scores import score_video

HALF = 2.0**-10
"""The distance of neighbouring numbers of half precision, in which features are kept, below 2."""


@pytest.fixture(scope="module")
def eye(tmp_path_factory):
    """A checkpoint of a small random network that streams, whose frames are ten a second."""
    card = replace(random_card("tsm_resnet18", width=0.125), context=1)
    path = tmp_path_factory.mktemp("eye") / "eye.safetensors"
    save(path, random_network(card), card)
    return path


@pytest.fixture(scope="module")
def detector(eye):
    network, card = build("detector", [eye], num_features=64, arguments={"num_hidden": 16}, num_classes=3)
    torch.manual_seed(0)
    for parameter in network.memory.parameters():
        torch.nn.init.normal_(parameter)
    return network, replace(card, labels=("a", "b", "c"), activation="sigmoid")


@pytest.fixture
def store(detector, tmp_path):
    return open_store(tmp_path / "features", *detector, device="cpu")


def features_of(num, *, begins=(0,), size=8, seed=0):
    rows = np.random.default_rng(seed).normal(size=(num, size)).astype(np.float16)
    anew = np.zeros(num, bool)
    anew[list(begins)] = True
    return VideoFeatures(rows, np.arange(num) / 10, anew, num / 10)


def memory_of(name, size=8, num_classes=3):
    return random_network(random_card(name, in_channels=size, num_hidden=16, num_classes=num_classes))


def learnt(num=300, *, segments=((5.0, 8.0),), labels=(0,), ignored=()):
    """A video whose only feature is its time in seconds."""
    times = np.arange(num) / 10
    return LearntVideo(
        times[:, None].astype(np.float16),
        times,
        np.array(segments, np.float64).reshape(-1, 2),
        np.array(labels, np.int64),
        np.array(ignored, np.float64).reshape(-1, 2),
    )


def test_held_out_scores_are_those_of_the_live_path(detector, store):
    """But for the half precision of the features that are kept."""
    network, card = detector
    live = score_video(open_source(SAMPLE), Scorer(TorchRuntime(network, card, device="cpu")))
    features = store(SAMPLE)
    kept = score_features(network.memory, features)
    assert np.array_equal(kept.times_seconds, live.times_seconds)
    assert np.array_equal(kept.rows_since_reset, live.rows_since_reset)
    assert kept.duration_seconds == live.duration_seconds
    assert apart(torch.from_numpy(kept.scores), torch.from_numpy(live.scores)) < 16 * HALF
    assert np.ptp(live.scores, axis=0).min() > 64 * HALF, "else this test says nothing"


@pytest.mark.parametrize("at_once", [1, 7, 64])
@pytest.mark.parametrize("name", ["moving_averages", "gru"])
def test_the_pieces_of_a_video_make_no_difference(monkeypatch, name, at_once):
    memory, video = memory_of(name), features_of(90, begins=(0, 31, 32))
    whole = score_features(memory, video)
    monkeypatch.setattr(held_out, "ROWS_AT_ONCE", at_once)
    assert (
        apart(torch.from_numpy(score_features(memory, video).scores), torch.from_numpy(whole.scores))
        < CONTRACT[torch.float32]
    )
    assert whole.rows_since_reset[[0, 30, 31, 32, 89]].tolist() == [1, 31, 1, 1, 58]
    alone = score_features(memory, VideoFeatures(video.rows[32:], video.times_seconds[32:], video.begins_anew[32:], 9))
    assert apart(torch.from_numpy(alone.scores), torch.from_numpy(whole.scores[32:])) < CONTRACT[torch.float32]


def test_features_are_kept(store, tmp_path):
    video = shutil.copy(SAMPLE, tmp_path / "mine.mp4")
    seen = []
    first = store(tmp_path / "mine.mp4", look=seen.append)
    assert len(seen) > 100
    assert first.begins_anew.tolist() == [True] + [False] * (len(first.rows) - 1)
    again = store(tmp_path / "mine.mp4", look=pytest.fail)
    assert np.array_equal(again.rows, first.rows)
    write_video(video, images(40, 48, 64), rate=20)
    other = store(tmp_path / "mine.mp4")
    assert (len(other.rows), other.duration_seconds) == (20, 2.0), "the file is another one"


@pytest.mark.parametrize("suffix", [".npz", ".f16"])
@pytest.mark.parametrize("left", [0, 100])
def test_features_that_are_damaged_are_made_again(store, tmp_path, suffix, left):
    rows = store(SAMPLE).rows.copy()
    (file,) = (tmp_path / "features").glob(f"*{suffix}")
    file.write_bytes(file.read_bytes()[:left])
    seen = []
    assert np.array_equal(store(SAMPLE, look=seen.append).rows, rows)
    assert seen
    assert np.array_equal(store(SAMPLE, look=pytest.fail).rows, rows)


def test_features_of_other_backbones_are_others(detector, store, tmp_path, eye):
    store(SAMPLE)
    network, card = build("detector", [eye], num_features=32, num_classes=3)
    other = open_store(tmp_path / "features", network, replace(card, labels=("a", "b", "c")), device="cpu")
    assert other(SAMPLE).rows.shape[1] == 32
    assert store(SAMPLE, look=pytest.fail).rows.shape[1] == 64


@pytest.mark.parametrize(("what", "error"), [("no video", SourceError), ("one picture", ActionstreamError)])
def test_a_video_that_cannot_be_used_leaves_nothing(store, tmp_path, what, error):
    video = tmp_path / "bad.mp4"
    video.write_text("no video") if what == "no video" else write_video(video, images(1, 48, 64))
    with pytest.raises(error, match=r"bad\.mp4|too short"):
        store(video)
    assert list((tmp_path / "features").iterdir()) == []


@given(st.lists(st.tuples(st.sampled_from("abcdefg"), st.integers(1, 500)), min_size=1, max_size=20), st.integers(2, 6))
def test_folds(videos, num_folds):
    groups, seconds = zip(*videos, strict=True)
    folds = folds_of(groups, seconds, num_folds)
    assert sorted(number for fold in folds for number in fold) == list(range(len(videos)))
    assert len(folds) == min(num_folds, len(set(groups)))
    assert all(folds)
    for one in folds:
        outside = {groups[number] for other in folds if other is not one for number in other}
        assert not outside & {groups[number] for number in one}


def test_folds_are_equally_long():
    folds = folds_of("abcdef", (60, 10, 20, 30, 50, 10), 3)
    assert [sum((60, 10, 20, 30, 50, 10)[number] for number in fold) for fold in folds] == [60, 60, 60]


def test_targets():
    video = learnt(segments=((5.0, 8.0), (7.0, 9.0), (7.5, 8.5)), labels=(0, 1, 0), ignored=((20.0, 21.0),))
    times = np.array([4.5, 5.0, 5.25, 6.0, 7.75, 8.25, 9.0])
    table = video.targets(times, 3, 0.5)
    assert table[:, 0].tolist() == [0, 0.5, 1, 1, 1, 1, 0]
    assert table[:, 1].tolist() == [0, 0, 0, 0, 1, 1, 0.5]
    assert not table[:, 2].any()
    hard = video.targets(np.array([4.99, 5.01, 8.49, 8.51]), 3, 0)
    assert hard[:, 0].tolist() == [0, 1, 1, 0]
    assert video.weights(np.array([19.9, 20.0, 20.95, 21.0])).tolist() == [1, 0, 0, 1]


def batches_of(*videos, seed=0, num_steps=20, **options):
    return list(Streams(videos, 2, 4, num_steps, seed, num_snippets=16, **options))


def test_streams_go_on_and_know_what_happens():
    """The feature of the made video is its time, so a batch shows where it is from."""
    video = learnt(ignored=((20.0, 21.0),))
    previous, resumed = None, 0
    for batch in batches_of(video, part_seconds=1000.0):
        assert batch.clips.shape == (4, 16, 1, 1, 1)
        times = batch.clips[..., 0, 0, 0].astype(np.float64)
        expected = np.stack([video.targets(row, 2, 0.5) for row in times])
        assert np.abs(batch.targets - expected).max() < 0.1, "times are kept in half precision"
        away = (np.abs(times - 20) > 0.1) & (np.abs(times - 21) > 0.1)
        assert np.array_equal((batch.weights == 0)[away], ((times > 20) & (times < 21))[away])
        steps = np.diff(times, axis=1)
        assert ((steps > 0.07) & (steps < 0.13) | (steps < 0) | (np.abs(steps) > 1)).all(), "speeds are about 1"
        if previous is not None:
            gone_on = (times[:, 0] - previous > 0.07) & (times[:, 0] - previous < 0.13)
            resumed += gone_on.sum()
        previous = times[:, -1]
    assert resumed > 40, "of 76 borders, most are inside of a part"


def test_streams_of_videos_in_which_nothing_happens():
    """As those of all other folds may be, where one recording has all segments."""
    for batch in batches_of(learnt(segments=(), labels=())):
        assert not batch.targets.any()
        assert batch.weights.all()


def test_streams_are_a_function_of_the_seed():
    one, again, other = (batches_of(learnt(), seed=seed) for seed in (3, 3, 4))
    assert all(
        np.array_equal(a.clips, b.clips) and np.array_equal(a.begins, b.begins) for a, b in zip(one, again, strict=True)
    )
    assert not np.array_equal(one[0].clips, other[0].clips)
    assert one[0].begins.all()
    assert 0 < sum(batch.begins.sum() for batch in one[1:]) < 30


def test_streams_see_rare_labels_often():
    """A label of two seconds in ten minutes is in a fifth of the pieces."""
    rare = learnt(6000, segments=((5.0, 400.0), (500.0, 502.0)), labels=(0, 1))
    seen = np.mean(
        [batch.targets[..., 1].max(axis=1) > 0 for batch in batches_of(rare, num_steps=50, part_seconds=10.0)]
    )
    assert 0.1 < seen < 0.5


def test_a_memory_learns():
    """It tells a turn to the left from one to the right, which needs what came before."""
    random = np.random.default_rng(0)
    videos = []
    for _ in range(4):
        moves = np.repeat(random.integers(-1, 2, 60), 20)
        turn = np.cumsum(moves)[:, None] / 2 + np.arange(8)  # a phase, which goes up or down
        rows = np.sin(turn) + random.normal(size=turn.shape) / 10
        starts = np.flatnonzero(np.diff(moves, prepend=9))
        ends = np.append(starts[1:], len(moves))
        kept = [(a / 10, b / 10, moves[a] > 0) for a, b in zip(starts, ends, strict=True) if moves[a]]
        segments, labels = np.array([each[:2] for each in kept]), np.array([int(each[2]) for each in kept])
        videos.append(
            LearntVideo(rows.astype(np.float16), np.arange(len(moves)) / 10, segments, labels, np.empty((0, 2)))
        )
    how = DetectorSettings(steps=300, num_snippets=32, batch_size=8, arguments={"num_hidden": 32, "dropout": 0.1})
    memory = learn(videos[:3], 2, how)
    tested = videos[3]
    anew = np.arange(len(tested.features)) == 0
    scores = score_features(memory, VideoFeatures(tested.features, tested.times_seconds, anew, 120.0)).scores
    truth = tested.targets(tested.times_seconds, 2, 0) > 0.5
    assert ((scores > 0) == truth).mean() > 0.85
    again = learn(videos[:3], 2, how)
    assert all(
        torch.equal(a, b) for a, b in zip(memory.state_dict().values(), again.state_dict().values(), strict=True)
    )


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"arguments": {"in_channels": 3}}, "arguments has in_channels, which follows from the data"),
        ({"metric": "false-alarms"}, "false_alarms_per_hour None; expected a number"),
        ({"false_alarms_per_hour": 3.0}, "metric is f1 and false_alarms_per_hour 3.0"),
        ({"steps": 0}, "steps"),
    ],
)
def test_settings_that_do_not_fit(settings, message):
    with pytest.raises(ActionstreamError, match=message):
        DetectorSettings(**settings)


@pytest.mark.parametrize(("durations", "smoothing"), [((0.4, 0.8, 3.0), 0.2), ((6.0, 30.0), 1.0)])
def test_segments_are_smoothed_by_their_durations(durations, smoothing):
    annotations = [Annotation(10.0, 10 + seconds, "a") for seconds in durations]
    seen = [Seen(AnnotatedVideo("v", (each,), None, "v"), features_of(2)) for each in annotations]
    assert smoothing_for(seen) == pytest.approx(smoothing)
