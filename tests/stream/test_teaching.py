"""Teaching: what is learnt from examples, and what it says of examples that it has not seen."""

import csv
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch
from helpers import shared, write_video

from actionstream.engine.engine import Engine
from actionstream.engine.scorer import Scorer
from actionstream.models.common.errors import ActionstreamError
from actionstream.models.weights.checkpoint import save
from actionstream.runtimes.eager import TorchRuntime
from actionstream.scoring.calibration import count_false_starts
from actionstream.sources import SAMPLE, open_source
from actionstream.teaching import Teacher
from actionstream.teaching.examples import NOTHING, Example, labels_of, names_a_side
from actionstream.teaching.fit import fit_examples
from actionstream.teaching.live import Head
from actionstream.teaching.ridge import fit_ridge
from actionstream.teaching.windows import choose_lengths, describe, of_action, of_nothing

MOVEMENTS = {"right": (2.4, 4.4), "left": (4.5, 6.4), "down": (6.5, 8.4), "up": (8.5, 10.3)}
"""Seconds of the sample."""


def example(label, length, *, seed=0, num_features=16, mirrored=True):
    rows = np.random.default_rng(seed).normal(size=(2 if mirrored else 1, length, num_features))
    return Example(label, f"{label} {seed}", rows.astype(np.float16))


@pytest.mark.parametrize("penalty", [0.0005, 0.05])
def test_left_out_predictions_are_those_of_a_fit_without_the_group(penalty):
    random = np.random.default_rng(0)
    rows, groups = random.normal(size=(30, 50)), np.repeat(np.arange(6), 5)
    targets = np.eye(3)[groups % 3] + 0.1 * random.normal(size=(30, 3))
    counts = random.uniform(0.2, 2, 30)
    fit = fit_ridge(rows, targets, groups, penalties=[penalty], counts=counts)[0]
    scale = np.sqrt((counts @ (rows**2).sum(axis=1)) / counts.sum())
    for group in range(6):
        rest, own = groups != group, groups == group
        x = np.c_[rows / scale, np.full(30, 10.0)]
        weighted = x[rest] * counts[rest, None]
        regular = penalty * counts.sum() * np.eye(51)
        solved = np.linalg.solve(weighted.T @ x[rest] + regular, weighted.T @ targets[rest])
        assert np.allclose(fit.left_out[own], x[own] @ solved, atol=1e-8)


def test_a_small_penalty_fits_the_rows():
    rows, targets = np.random.default_rng(1).normal(size=(5, 40)), np.eye(5)
    fit = fit_ridge(rows, targets, np.arange(5), penalties=[1e-9], counts=np.ones(5))[0]
    assert np.allclose(rows @ fit.weights.T + fit.offset, targets, atol=1e-5)


def test_examples_of_a_recording_are_left_out_together():
    """Of noise that is there twice, the one copy is known from the other, unless both are left out."""
    noise = [example(label, 12, seed=seed) for label, seed in zip("aaaabbbb", range(8), strict=True)]
    twice = [replace(each, recording=str(number)) for number, each in enumerate(noise) for _ in range(2)]
    shares = []
    for examples in (twice, [replace(each, recording="") for each in twice]):
        fit = fit_examples(examples, num_parts=3, longest=30)
        own = [
            fit.labels[row[1:].argmax() + 1] == each.label
            for row, each in zip(fit.probabilities, examples, strict=True)
        ]
        shares.append(np.mean(own))
    assert shares[0] < 0.8
    assert shares[1] == 1


def test_a_recording_of_each_example_is_the_default():
    examples = [example(label, 12, seed=seed) for label in ("a", "b", "nothing") for seed in range(3)]
    named = [replace(each, recording=str(number)) for number, each in enumerate(examples)]
    one, other = (fit_examples(each, num_parts=3, longest=30) for each in (examples, named))
    assert np.array_equal(one.probabilities, other.probabilities)
    assert np.array_equal(one.weights, other.weights)


def test_lengths_cover_the_examples():
    lengths = choose_lengths([example("a", n) for n in (12, 14, 20, 33, 40)], longest=60)
    assert lengths[0] == pytest.approx(13, abs=1)
    assert lengths[-1] == pytest.approx(37, abs=1)
    assert all(b / a <= 1.4 for a, b in pairwise(lengths))
    assert choose_lengths([example("a", 300)], longest=60) == (30, 60)
    assert choose_lengths([example("a", 60), example("a", 60), example("a", 300)], longest=60) == (60,)


def test_windows_of_an_action_and_around_it():
    short, long = example("a", 20), example("a", 100)
    assert [len(each) for each in of_action(short, longest=60, mirrored=False)] == [20, 17, 17, 18]
    assert len(list(of_action(short, longest=60, mirrored=True))) == 8
    assert {len(each) for each in of_action(long, longest=60, mirrored=True)} == {30, 60}
    around = list(of_nothing([short, example("b", 30, seed=1)], 0, longest=60))
    assert np.array_equal(around[0][:10], short.features[0][10:])  # half of one, and half of another
    assert np.array_equal(around[1][:14], np.repeat(short.features[0][:1], 14, axis=0))
    assert len(list(of_nothing([long, short], 0, longest=60))) == 1  # a part of a long example is the action


def test_a_description_is_the_means_of_its_parts():
    rows = np.arange(12.0).reshape(12, 1)
    assert describe(rows, 3).tolist() == [1.5, 5.5, 9.5]
    assert describe(rows[:2], 4).tolist() == [0, 0, 1, 1]


def made_of(prototype, number, *, noise=0.3):
    """An example whose features follow a prototype (n, F), at its own speed."""
    random = np.random.default_rng(number)
    places = np.linspace(0, len(prototype) - 1, random.integers(18, 26)).round().astype(int)
    rows = prototype[places] + noise * random.normal(size=(len(places), prototype.shape[1]))
    return rows.astype(np.float16)


def lesson(num_each=4, noise=0.3):
    """Examples of an action, its reverse, and another; and unseen ones."""
    random = np.random.default_rng(5)
    first, other = (random.normal(size=(20, 32)).cumsum(axis=0) / 4 for _ in range(2))
    prototypes = {"open": first, "close": first[::-1], "wave": other}
    made = [
        Example(label, f"{label} {n}", made_of(prototype, 10 * n + len(label), noise=noise)[None])
        for n in range(num_each + 3)
        for label, prototype in prototypes.items()
    ]
    return made[: 3 * num_each], made[3 * num_each :]


def answers(fit, examples):
    described = np.stack([describe(each.features[0], 6) for each in examples])
    return [fit.labels[n] for n in (described @ fit.weights.T + fit.offset).argmax(axis=1)]


def test_few_examples_tell_an_action_from_its_reverse():
    seen, unseen = lesson()
    fit = fit_examples(seen, num_parts=6, longest=60)
    assert fit.labels == (NOTHING, "open", "close", "wave")
    assert answers(fit, unseen) == [each.label for each in unseen]
    assert [fit.labels[n] for n in fit.probabilities.argmax(axis=1)] == [each.label for each in seen]
    assert np.allclose(fit.probabilities.sum(axis=1), 1)


def test_half_of_an_action_and_stillness_are_nothing():
    seen, unseen = lesson()
    fit = fit_examples(seen, num_parts=6, longest=60)
    begun = [
        Example(NOTHING, "", np.concatenate([np.repeat(f[:1], 14, axis=0), f[:6]])[None])
        for f in (each.features[0] for each in unseen)
    ]
    still = [Example(NOTHING, "", each.features[:, :1]) for each in unseen]
    assert set(answers(fit, begun + still)) == {NOTHING}


def test_one_example_of_each_is_enough_to_begin():
    seen, unseen = lesson(num_each=1)
    fit = fit_examples(seen, num_parts=6, longest=60)
    right = sum(answer == each.label for answer, each in zip(answers(fit, unseen), unseen, strict=True))
    assert right >= len(unseen) * 2 / 3
    assert np.isfinite(fit.weights).all()


def test_examples_of_nothing_need_one_action_only():
    seen, _ = lesson()
    quiet = [Example(NOTHING, "", np.random.default_rng(n).normal(size=(1, 90, 32)).astype("f2")) for n in range(2)]
    fit = fit_examples([each for each in seen if each.label == "wave"] + quiet, num_parts=6, longest=60)
    assert fit.labels == (NOTHING, "wave")
    assert answers(fit, [Example(NOTHING, "", quiet[0].features[:, :60])]) == [NOTHING]


@pytest.mark.parametrize(
    ("examples", "message"),
    [
        ([], "there is none; expected two labels or more"),
        ([example("wave", 20)] * 3, "all 3 are of wave; expected two labels or more"),
        ([example("wave", 20), example("clap", 20)] * 801, "1602 examples; expected 1500 at most"),
    ],
)
def test_too_few_and_too_many(examples, message):
    with pytest.raises(ValueError, match=message):
        fit_examples(examples, num_parts=6, longest=60)


def test_many_labels_share_the_windows():
    """500 labels of two examples are learnt with less of each."""
    examples = [example(f"label {n}", 20, seed=n * 2 + k, num_features=4) for n in range(500) for k in range(2)]
    fit = fit_examples(examples, num_parts=2, longest=60)
    assert fit.weights.shape == (501, 8)


@pytest.mark.parametrize("label", ["wave/left", "🖐", "👩\u200d👧", "a b", "x" * 200])
def test_labels_have_any_visible_characters(label):
    assert example(label, 3).label == label


@pytest.mark.parametrize("label", ["", "  ", "\u200d", "a\nb", "x" * 201])
def test_labels_are_names(label):
    with pytest.raises(ValueError, match="is no name"):
        example(label, 20)


def test_labels_keep_their_order_and_nothing_is_first():
    assert labels_of([example("b", 9), example(NOTHING, 9), example("a/🙂", 9)]) == (NOTHING, "b", "a/🙂")
    assert names_a_side(["turn_left", "wave"])
    assert not names_a_side(["leftover", "copyright"])


def pieces(label, *, shift=0.0):
    """Frames of a movement in the sample."""
    begin, end = MOVEMENTS[label]
    source = open_source(SAMPLE)
    frames = [frame for frame in source if begin + shift <= frame.time_seconds < end - shift]
    source.close()
    return frames


@pytest.fixture(scope="module")
def teacher():
    """Two movements of the sample, taught with the motion backbone alone: it is quick."""
    teacher = Teacher(backbones=["motion"])
    for label in ("right", "down"):
        for shift in (0.0, 0.2):
            teacher.add(label, pieces(label, shift=shift))
    teacher.fit()
    return teacher


def test_a_taught_model_labels_live(teacher, tmp_path):
    path = tmp_path / "mine.safetensors"
    teacher.save(path)
    engine = Engine(path, smoothing_seconds=0)
    stream = engine.open()
    best = {}
    source = open_source(SAMPLE)
    for frame in source:
        prediction = engine.push(stream, frame.picture, frame.time_seconds)
        if prediction is not None and not prediction.warming_up:
            best[frame.time_seconds] = prediction.names[prediction.probabilities.argmax()]
    source.close()
    for label in ("right", "down"):
        _, end = MOVEMENTS[label]
        assert best[min(best, key=lambda seconds: abs(seconds - end))] == label, label


def test_live_scores_are_those_of_the_fit(teacher):
    """The engine's scores at the end of a clip follow from the features that were learnt from."""
    fit = teacher.fit()
    network, card = teacher.checkpoint()
    engine = Engine(Scorer(TorchRuntime(network, card)))
    stream = engine.open()
    predictions = [engine.push(stream, frame.picture, frame.time_seconds) for frame in pieces("right")]
    rows = teacher.examples[0].features[0].astype(np.float32)
    rows = np.concatenate([np.repeat(rows[:1], max(fit.lengths), axis=0), rows])
    each = [fit.weights @ describe(rows[-length:], network.num_parts) + fit.offset for length in fit.lengths]
    expected = np.max([scores - scores[0] for scores in each], axis=0)
    last = [prediction for prediction in predictions if prediction][-1]
    assert last.names == fit.labels
    assert np.allclose(last.scores, expected, atol=0.02 * np.abs(expected).max())


def test_a_saved_teacher_goes_on(teacher, tmp_path):
    path = tmp_path / "mine.safetensors"
    teacher.save(path)
    again = Teacher(path)
    assert [(each.label, each.name) for each in again.examples] == [
        (each.label, each.name) for each in teacher.examples
    ]
    assert np.array_equal(again.fit().weights, teacher.fit().weights)
    again.remove(0)
    assert len(again.examples) == 3
    with pytest.raises(ValueError, match="no example 3; there are 3"):
        again.remove(3)
    with pytest.raises(ValueError, match="is tsm_resnet18; expected a model that `actionstream teach` wrote"):
        Teacher("motion")


def test_wrong_clips_change_nothing(teacher, tmp_path):
    count = len(teacher.examples)
    with pytest.raises(ValueError, match="shorter than a snippet"):
        teacher.add("wave", [])
    (tmp_path / "empty.mp4").touch()
    with pytest.raises(ValueError, match=r"empty\.mp4"):
        teacher.add("wave", tmp_path / "empty.mp4")
    frames = pieces("right")
    long = [type(frames[0])(stream="x", index=n, time_seconds=n * 1.0, picture=frames[0].image) for n in range(63)]
    with pytest.raises(ValueError, match="longer than 60 s; expected one action"):
        teacher.add("wave", long)
    write_video(tmp_path / "long.mp4", [frames[0].image] * 63, rate=1)
    with pytest.raises(ActionstreamError, match=r"long\.mp4: the clip is longer than 60 s"):
        teacher.add("wave", tmp_path / "long.mp4")
    assert len(teacher.examples) == count


@pytest.mark.slow
def test_five_examples_of_real_actions():
    """UT-Interaction, set 1: sequences 1 to 5 as examples, the others as test, at the end of each clip."""
    folder = shared("data", "ut_interaction")
    with open(folder / "manifest.csv", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["set"] == "1" and row["label"] in ("hugging", "kicking")]
    teacher = Teacher()
    for row in rows:
        if int(row["sequence"]) <= 3:
            teacher.add(row["label"], folder / row["path"])
    teacher.fit()
    network, card = teacher.checkpoint()
    right = 0
    tested = [row for row in rows if int(row["sequence"]) > 6]
    for row in tested:
        features = teacher.add(row["label"], folder / row["path"]).features[0]
        teacher.remove(len(teacher.examples) - 1)
        described = describe(features.astype(np.float32), network.num_parts)
        scores = network.linear.weight.detach().numpy() @ described + network.linear.bias.detach().numpy()
        right += card.labels[scores.argmax()] == row["label"]
    assert right >= 0.75 * len(tested)


@pytest.mark.parametrize(
    ("training", "features", "message"),
    [
        ({}, [], "has no examples to go on from"),
        ({"examples": 7}, [], "has no examples to go on from"),
        ({"examples": [{"label": "a", "name": "b"}]}, [], "has no examples to go on from"),
        ({"examples": [{"label": "a"}]}, [(1, 9, 1024)], "has an example {'label': 'a'}; expected names and features"),
        ({"examples": [{"label": "a", "name": 3}]}, [(1, 9, 1024)], "has an example"),
        ({"examples": [{"label": "a", "name": "b"}]}, [(1, 9, 7)], r"features float16 \(1, 9, 7\) of an example"),
        ({"examples": [{"label": "a", "name": "b"}]}, [(3, 9, 1024)], r"features float16 \(3, 9, 1024\)"),
        ({"examples": [{"label": "a", "name": "b"}]}, [(1, 0, 1024)], "b has no snippet"),
    ],
)
def test_other_examples_in_a_checkpoint_are_refused(teacher, tmp_path, training, features, message):
    network, card = teacher.checkpoint()
    attached = {str(n): torch.zeros(shape, dtype=torch.float16) for n, shape in enumerate(features)}
    save(tmp_path / "odd.safetensors", network, replace(card, training=training), attached=attached)
    with pytest.raises(ValueError, match=message):
        Teacher(tmp_path / "odd.safetensors")


def test_an_example_is_seen_mirrored_too(teacher):
    frames = pieces("right")
    turned = [replace(frame, picture=np.ascontiguousarray(frame.image[:, ::-1])) for frame in frames]
    (seen, mirrored), (of_turned, _) = (teacher.look("right", each).features.astype(float) for each in (frames, turned))
    apart = np.abs(mirrored - of_turned).max() / np.abs(seen - of_turned).max()
    assert apart < 0.1  # pictures are resized to whole grey levels


def background_of(seconds, *, begin=0.0):
    """Frames of the sample in which nothing of left and right happens, again and again."""
    frames = [frame for frame in open_source(SAMPLE) if 6.6 <= frame.time_seconds < 10.2]
    for number in range(round(seconds * 30)):
        yield replace(frames[number % len(frames)], index=number, time_seconds=begin + number / 30)


def test_background_is_cut_into_examples_of_nothing(teacher, tmp_path):
    before = list(teacher.examples)
    pieces = teacher.add_background(background_of(24), name="hall.mp4")
    try:
        assert [each.name for each in pieces] == ["hall.mp4, 0:00", "hall.mp4, 0:12"]
        assert {(each.label, each.recording, len(each.features)) for each in pieces} == {(NOTHING, "hall.mp4", 1)}
        assert teacher.examples == [*before, *pieces]
        whole = teacher.look_at_background(background_of(24))
        assert np.array_equal(np.concatenate([each.features[0] for each in pieces]), whole)
        (short,) = teacher.add_background(background_of(3), name="door.mp4")
        assert (short.name, short.recording) == ("door.mp4", "")

        teacher.fit()
        found = teacher.count_false_starts()
        assert found.labels == tuple(label for label in teacher.card.labels if label != NOTHING)
        assert found.seconds == pytest.approx(27, abs=2 * (teacher.card.context + 1) * teacher.card.interval_seconds)
        teacher.set_thresholds(found, 300)
        assert set(teacher.card.thresholds) == set(found.labels)
        assert found.at(teacher.card.thresholds) <= 2
        teacher.save(tmp_path / "mine.safetensors")
        again = Teacher(tmp_path / "mine.safetensors")
        assert again.card.thresholds == teacher.card.thresholds
        assert [each.recording for each in again.examples][-3:] == ["hall.mp4", "hall.mp4", ""]
        again.fit()
        assert again.card.thresholds == {}  # they were of another fit
        assert Engine(tmp_path / "mine.safetensors").thresholds[0] == {"*": 0.6, **teacher.card.thresholds}
    finally:
        teacher.examples[:] = before
        teacher.fit()


def test_false_starts_are_counted_by_fits_that_have_not_seen_the_recording(teacher):
    """A fit to the recording itself knows that nothing happens there, which says little of what is to come."""
    before = list(teacher.examples)
    try:
        teacher.add_background(pieces("right"), name="odd.mp4")
        teacher.add_background(background_of(4), name="hall.mp4")
        seen = Head(teacher.fit())
        rows = [each.features[0] for each in teacher.examples[-2:]]
        card = teacher.card
        scores = [seen.scores_of_all(each)[card.context :] for each in rows]
        times = [np.arange(len(each)) * card.interval_seconds for each in scores]
        streams = list(zip(map(card.probabilities, scores), times, strict=True))
        naive = count_false_starts(streams, card.labels, background=NOTHING, interval_seconds=card.interval_seconds)
        assert naive.at(0.6) < teacher.count_false_starts().at(0.6)
    finally:
        teacher.examples[:] = before
        teacher.fit()
