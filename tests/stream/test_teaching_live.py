"""Teaching live: from the features of a stream to probabilities, examples and corrections."""

import numpy as np
import pytest

from actionstream.engine.engine import Engine
from actionstream.models.common.errors import ActionstreamError
from actionstream.models.labels import NOTHING
from actionstream.runtimes.eager import TorchRuntime
from actionstream.sources import SAMPLE, open_source
from actionstream.teaching import Teacher
from actionstream.teaching.examples import Example
from actionstream.teaching.fit import Fit, fit_examples
from actionstream.teaching.live import Head, LiveFeatures, correction_length

INTERVAL = 0.1
CONTEXT = 3
LONGEST = 30


def stretch(prototype, seed, *, noise=0.3):
    """Rows (n, F) that follow a prototype, at a speed of their own."""
    random = np.random.default_rng(seed)
    places = np.linspace(0, len(prototype) - 1, random.integers(11, 15)).round().astype(int)
    return (prototype[places] + noise * random.normal(size=(len(places), prototype.shape[1]))).astype(np.float32)


@pytest.fixture
def prototypes():
    random = np.random.default_rng(3)
    return {label: random.normal(size=(12, 24)).cumsum(axis=0) / 2 for label in ("wave", "clap", "jump")}


@pytest.fixture
def examples(prototypes):
    return [
        Example(label, f"clip {seed}", stretch(prototypes[label], 10 * seed + len(label)).astype(np.float16)[None])
        for label in ("wave", "clap")
        for seed in range(3)
    ]


def features():
    return LiveFeatures(interval_seconds=INTERVAL, context=CONTEXT, longest=LONGEST, kept_seconds=6.0)


def head_of(examples):
    return Head(fit_examples(examples, num_parts=6, longest=LONGEST))


def after(rows, head, still=8):
    """What is said after rows that follow stillness."""
    live = features()
    told = [
        live.push(row, n * INTERVAL, head) for n, row in enumerate(np.concatenate([rows[:1].repeat(still, 0), rows]))
    ]
    return live, dict(zip(head.labels, told[-1], strict=True))


def test_what_a_stream_teaches_is_said_of_the_next_take(prototypes):
    live = features()
    taken, at = [], 0.0
    for seed in range(3):
        for label in ("wave", "clap"):
            rows = stretch(prototypes[label], seed)
            for number, row in enumerate(rows):
                assert live.push(row, at + number * INTERVAL, None) is None
            clip = live.between(at - 0.01, at + len(rows) * INTERVAL - 0.01)
            np.testing.assert_array_equal(clip, rows.astype(np.float16)[None])
            taken.append(Example(label, f"clip {seed}", clip))
            at += len(rows) * INTERVAL
    head = head_of(taken)
    assert head.labels == (NOTHING, "wave", "clap")
    for label in ("wave", "clap"):
        _, said = after(stretch(prototypes[label], 7), head)
        assert max(said, key=said.get) == label
        assert sum(said.values()) == pytest.approx(1)


def test_a_correction_changes_what_is_said_of_the_same_rows(prototypes, examples):
    rows = stretch(prototypes["jump"], 8)
    live, said = after(rows, head_of(examples))
    assert "jump" not in said
    count = correction_length(examples, "jump", interval_seconds=INTERVAL, longest=LONGEST)
    assert count == round(np.median([each.num_snippets for each in examples]))
    correction = Example("jump", "clip 1", live.last(count))
    np.testing.assert_array_equal(correction.features[0][-5:], rows[-5:].astype(np.float16))
    _, said = after(rows, head_of([*examples, correction]))
    assert max(said, key=said.get) == "jump"


def test_a_correction_is_as_long_as_the_examples_of_its_label(examples):
    def clip(label, length):
        return Example(label, "clip", np.ones((1, length, 24), np.float16))

    def length(label, *more):
        return correction_length([*more], label, interval_seconds=INTERVAL, longest=LONGEST)

    some = clip("wave", 4), clip("wave", 6), clip("wave", 20), clip("clap", 12), clip(NOTHING, 29)
    assert (length("wave", *some), length("clap", *some)) == (6, 12)
    assert length(NOTHING, *some) == length("jump", *some) == 9
    assert length("wave") == length(NOTHING, clip(NOTHING, 29)) == 20  # two seconds
    assert length("wave", clip("wave", 99)) == LONGEST


def test_there_is_nothing_to_say_without_a_head_and_while_it_warms_up(prototypes, examples):
    head = head_of(examples)
    live = features()
    rows = stretch(prototypes["wave"], 5)
    told = [live.push(row, n * INTERVAL, head, reset=n == 0) is not None for n, row in enumerate(rows)]
    assert told == [n >= CONTEXT for n in range(len(rows))]
    assert 0 < told.index(True) < len(rows)
    assert live.push(rows[0], 9.0, head, reset=True) is None
    assert live.push(rows[0], 9.1, None) is None


def test_the_first_snippet_stands_in_for_those_before_it(prototypes):
    random = np.random.default_rng(0)
    weights = random.normal(size=(3, 6 * 24)).astype(np.float32)
    head = Head(Fit((NOTHING, "wave", "clap"), (20,), weights, np.zeros(3, np.float32), np.empty((0, 3))))
    rows = stretch(prototypes["wave"], 1)[:8]
    filled = np.concatenate([rows[:1].repeat(12, axis=0), rows])
    assert head.scores(rows).tolist() == head.scores(filled).tolist()
    assert head.scores(rows)[0] == 0


def test_a_reset_leaves_nothing_of_before(prototypes, examples):
    head = head_of(examples)
    used, fresh = features(), features()
    for n in range(20):
        used.push(stretch(prototypes["clap"], 1)[0], n * INTERVAL, head)
    for n, row in enumerate(stretch(prototypes["wave"], 5)):
        told = [live.push(row, 2 + n * INTERVAL, head, reset=n == 0) for live in (used, fresh)]
        assert (told[0] is None) == (told[1] is None)
    assert told[0].tolist() == told[1].tolist()


def test_features_are_kept_for_so_long(prototypes):
    live = features()
    for n in range(100):
        live.push(np.full(4, n, np.float32), n * INTERVAL, None)
    kept = live.between(0, 99)[0, :, 0]
    assert (kept[0], kept[-1]) == (39, 99)
    assert live.last(3)[0, :, 0].tolist() == [97, 98, 99]
    assert live.begin_of_last(3) == pytest.approx(9.7)
    assert live.between(5.0, 5.25)[0, :, 0].tolist() == [50, 51, 52]
    assert live.last(1000).shape == (1, 61, 4)


@pytest.mark.parametrize("begin", [1.0, -5.0])
def test_a_clip_without_frames(begin):
    live = features()
    live.push(np.ones(4, np.float32), 0.5, None)
    with pytest.raises(ActionstreamError, match=r"the clip has no frames; expected a second or more"):
        live.between(begin, begin + 3)
    with pytest.raises(ActionstreamError, match=r"the clip has no frames"):
        features().last(5)


def test_scores_are_those_of_the_saved_checkpoint(tmp_path):
    """Of the sample, from the first movement on, with a pause in it after which all states are empty."""
    teacher = Teacher(backbones=["motion"])
    shared = Engine(TorchRuntime(*teacher.looking(), device="cpu"))
    shown = [(each.time_seconds, each.image) for each in open_source(SAMPLE) if 2.4 < each.time_seconds < 10.3]
    shown = [(time + 20 * (time > 7.5), image) for time, image in shown]
    card = teacher.card
    kept = {"interval_seconds": card.interval_seconds, "context": card.context, "longest": teacher.longest}
    kept["kept_seconds"] = 60
    seen = []
    stream = shared.open()
    live = LiveFeatures(**kept)
    for time, image in shown:
        if found := shared.push(stream, image, time):
            seen.append(found)
            live.push(found.scores, time, None, reset=bool(found.reset))
    for label, begin, end in (("right", 2.5, 4.3), ("left", 4.5, 6.3), ("right", 3.1, 3.9), ("left", 4.9, 5.7)):
        teacher.examples.append(Example(label, str(begin), live.between(begin, end)))
    fit = teacher.fit()
    assert len(fit.lengths) > 1
    teacher.save(tmp_path / "mine.safetensors")
    saved = Engine(str(tmp_path / "mine.safetensors"), runtime="torch", device="cpu")
    stream = saved.open()
    predictions = [said for time, image in shown if (said := saved.push(stream, image, time))]
    head, live = Head(fit), LiveFeatures(**kept)
    best, differences = set(), []
    for said, found in zip(predictions, seen, strict=True):
        told = live.push(found.scores, found.time_seconds, head, reset=bool(found.reset))
        assert (said.time_seconds, said.reset, said.warming_up) == (found.time_seconds, found.reset, told is None)
        if told is not None:
            np.testing.assert_allclose(told, said.smoothed, atol=1e-4)
            best.add(head.labels[int(told.argmax())])
            rows = np.stack(list(live._rows)[-said.frames_since_reset :])
            differences.append(np.abs(head.scores(rows) - said.scores).max())
    assert [each.reset for each in seen if each.reset] == ["start", "gap"]
    assert {"left", "right"} <= best
    assert max(differences) < 3e-5  # 1e-4 with weights in float32
