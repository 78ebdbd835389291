"""Modalities live, and several networks as one."""

import dataclasses
import json

import numpy as np
import pytest
import torch
from helpers import LABELS, images, random_network, shared
from precision import apart, float64_bound

from actionstream import Engine
from actionstream.engine.scorer import Scorer
from actionstream.models import load, save
from actionstream.models.card import Card
from actionstream.models.modality import open_modality
from actionstream.models.preprocessing import Preprocessing
from actionstream.results import Counts
from actionstream.runtimes.eager import TorchRuntime

MODALITIES = {"rgb": 3, "rgb-difference": 6, "flow": 4, "warped-flow": 4}
PICTURES = images(24, height=48, width=64)


def card_of(modality, **changes):
    """A small network for stacks of two."""
    values = {
        "network": "tsm_mobilenet_v2",
        "arguments": {"num_classes": len(LABELS), "in_channels": MODALITIES[modality]},
        "labels": LABELS,
        "preprocessing": Preprocessing(
            height=32, width=32, mean=(127.5,), std=(127.5,), modality=modality, stack=1 if modality == "rgb" else 2
        ),
        "interval_seconds": 0.2,
        "frame_seconds": 0.2 if modality == "rgb" else 0.1,
    }
    return Card(**{**values, **changes})


def runtime(card, seed=0):
    return TorchRuntime(random_network(card, seed), card, device="cpu")


def offline(card, snippets, seed=0, of=lambda scores: scores):
    """Scores (T, K) of one call over snippets, or what is made of them, and how far from them live may be."""
    frames = card.preprocessing.normalise(torch.from_numpy(np.stack(snippets))[None])
    return float64_bound(random_network(card, seed), frames, of=lambda scores: of(scores[0]))


def stacked(card, pictures):
    """The snippets of pictures that come at 10 a second."""
    stage = open_modality(card.preprocessing, interval_seconds=card.interval_seconds)
    return [snippet for n, p in enumerate(pictures) if (snippet := stage.push(p, n / 10)) is not None]


def rows_of(machine, pictures, first_seconds=0.0):
    stream = machine.streams[0] if machine.streams else machine.open()
    return [machine.push(stream, picture, first_seconds + n / 10) for n, picture in enumerate(pictures)]


@pytest.mark.parametrize("modality", MODALITIES)
def test_each_modality_live_is_one_offline_call(modality):
    card = card_of(modality)
    machine = Engine(TorchRuntime(random_network(card), card, device="cpu"))
    rows = rows_of(machine, PICTURES)
    first = 0 if modality == "rgb" else 2
    assert [n for n, row in enumerate(rows) if row] == list(range(first, 24, 2))
    sampled = PICTURES[::2] if modality == "rgb" else PICTURES
    snippets = stacked(card, sampled)
    expected, limit = offline(card, snippets, of=card.probabilities)
    assert apart(np.stack([row.probabilities for row in rows if row]), expected) < limit
    row = rows[-2]
    assert set(row.split_ms) == {"waiting", "preprocess", "model", "scoring"}
    assert sum(row.split_ms.values()) == pytest.approx(row.latency_ms)
    assert min(row.split_ms.values()) >= 0


@pytest.mark.parametrize("modality", ["rgb-difference", "flow"])
def test_a_gap_empties_stack_and_state(modality):
    card = card_of(modality)
    machine = Engine(TorchRuntime(random_network(card), card, device="cpu"))
    rows_of(machine, PICTURES[:9])
    after = rows_of(machine, PICTURES[9:16], first_seconds=30.0)
    fresh = rows_of(Engine(TorchRuntime(random_network(card), card, device="cpu")), PICTURES[9:16])
    assert [row and row.reset for row in after] == [None, None, "gap", None, None, None, None]
    assert [row and row.frames_since_reset for row in after] == [None, None, 1, None, 2, None, 3]
    for one, other in zip(after, fresh, strict=True):
        assert (one is None) == (other is None)
        assert one is None or np.array_equal(one.probabilities, other.probabilities)


def test_frames_inside_a_stack_are_no_loss():
    assert Counts(received=3, labelled=1, dropped={"inside a stack": 1, "newer": 1}).lost == 1


def fused(weights=(1.0, 3.0), **options):
    return Scorer(runtime(card_of("rgb"), 0), runtime(card_of("flow"), 1), weights=weights, **options)


def test_an_empty_state_gives_what_a_new_stream_does():
    """Nor is anything left of the last scores of the slower network."""
    quick, slow = card_of("rgb"), card_of("rgb", interval_seconds=0.4, frame_seconds=0.4)
    machine = Engine(Scorer(runtime(quick, 0), runtime(slow, 1), weights=(1.0, 3.0)))
    rows_of(machine, PICTURES[:10])
    machine._get(machine.streams[0]).scored.empty()
    after = rows_of(machine, PICTURES[10:16], first_seconds=1.0)
    assert [row is not None for row in after] == [False, False, True, False, True, False]
    small = {n: quick.preprocessing.resize(PICTURES[n]) for n in (10, 12, 14)}
    (first, first_limit), (second, second_limit) = offline(quick, list(small.values())), offline(slow, [small[12]], 1)
    given = np.stack([row.scores for row in after if row])
    assert apart(given, (first[1:] + 3 * second) / 4) < first_limit + second_limit


def test_scores_are_the_weighted_mean():
    machine = Engine(fused())
    rows = rows_of(machine, PICTURES)
    rgb_card, flow_card = card_of("rgb"), card_of("flow")
    rgb, rgb_limit = offline(rgb_card, [rgb_card.preprocessing.resize(picture) for picture in PICTURES[::2]])
    flow, flow_limit = offline(flow_card, stacked(flow_card, PICTURES), 1)
    expected = (rgb[1:] + 3 * flow) / 4
    assert rows[0] is None  # of flow there is nothing yet
    given = np.stack([row.scores for row in rows if row])
    assert apart(given, expected) < rgb_limit + flow_limit
    shares = np.stack([row.probabilities for row in rows if row])
    assert apart(shares, rgb_card.probabilities(given)) < np.finfo(np.float32).eps


def test_thresholds_of_one_network_do_not_hold_for_several():
    card = card_of("rgb")
    card = dataclasses.replace(card, thresholds={card.labels[0]: 0.2})
    assert Scorer(runtime(card, 0)).card.thresholds == card.thresholds
    assert Scorer(runtime(card, 0), runtime(card, 1)).card.thresholds == {}


@pytest.mark.parametrize(("context", "expected"), [(0, 1), (1, 4), (2, 7)])
def test_all_have_to_be_warm(context, expected):
    """The longest warm-up in seconds, in rows of the quickest, and no part of a row less."""
    quick = card_of("rgb", interval_seconds=0.1, frame_seconds=0.1, context=1)
    slow = card_of("rgb", interval_seconds=0.34, frame_seconds=0.34, context=context)
    assert Scorer(runtime(quick, 0), runtime(slow, 1)).card.context == expected


def test_a_reset_forgets_the_scores_of_all():
    machine = Engine(fused(gap_seconds=1.0))
    rows_of(machine, PICTURES[:8])
    after = rows_of(machine, PICTURES[8:15], first_seconds=30.0)
    fresh = rows_of(Engine(fused(gap_seconds=1.0)), PICTURES[8:15])
    assert [row and row.reset for row in after] == [None, None, "gap", None, None, None, None]
    for one, other in zip(after, fresh, strict=True):
        assert one is None or np.array_equal(one.probabilities, other.probabilities)


def test_snapshots_hold_all_of_it():
    machine = Engine(fused())
    rows_of(machine, PICTURES[:9])
    stream = machine.streams[0]
    moment = machine.snapshot(stream)
    first = rows_of(machine, PICTURES[9:], first_seconds=0.9)
    machine.restore(stream, moment)
    again = rows_of(machine, PICTURES[9:], first_seconds=0.9)
    twin = machine.fork(stream)
    machine.close(twin)
    assert any(first)
    for one, other in zip(first, again, strict=True):
        assert (one is None) == (other is None)
        assert one is None or np.array_equal(one.probabilities, other.probabilities)


def two_stream(folder, text=None, **changes):
    for modality in ("rgb", "flow"):
        card = card_of(modality, **changes.get(modality, {}))
        save(folder / f"{modality}.safetensors", random_network(card), card)
    path = folder / "two-stream.toml"
    default = '[[network]]\nmodel = "rgb.safetensors"\n[[network]]\nmodel = "flow.safetensors"\nweight = 1.5\n'
    path.write_text(default if text is None else text)
    return path


def test_from_a_file(tmp_path, run):
    path = two_stream(tmp_path)
    code, out, err = run("watch", "sample", "--model", path, "--json", "--max-frames", 40)
    assert (code, err) == (0, "")
    lines = list(map(json.loads, out.splitlines()))
    assert len([line for line in lines if "labels" in line]) >= 5
    assert set(next(line for line in lines if "labels" in line)["split_ms"]) == {
        "waiting",
        "preprocess",
        "model",
        "scoring",
    }
    closed = lines[-1]
    assert closed["received"] == 40 == closed["labelled"] + sum(closed["dropped"].values())
    assert set(closed["dropped"]) == {"between samples", "inside a stack"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "does not list networks to fuse"),
        ('[[network]]\nmodel = "rgb.safetensors"\nwieght = 3', "no field 'network.0.wieght'; nearest is weight"),
        ('[network]\nmodel = "rgb.safetensors"', "network is {'model': 'rgb.safetensors'}; expected a list"),
        ("[network", "does not list networks to fuse"),
        ('[[network]]\nmodel = "rgb.safetensors"\nweight = "much"', "does not list networks to fuse"),
        ("network = []", "network is []; expected at least 1 item"),
        ('[[network]]\nmodel = "rgb.safetensors"\nweight = 0', "network.0.weight is 0; expected more than 0"),
        ('[[network]]\nmodel = "green.safetensors"', "no model 'green.safetensors'"),
    ],
)
def test_files_of_no_use(text, message, tmp_path, run):
    path = two_stream(tmp_path, text)
    code, out, err = run("watch", "sample", "--model", path)
    assert (code, out, len(err.splitlines())) == (2, "", 1)
    assert message in err


def test_networks_that_cannot_be_fused(tmp_path, run):
    path = two_stream(tmp_path, flow={"labels": (*LABELS[:-1], "run")})
    code, _, err = run("watch", "sample", "--model", path)
    assert code == 2
    assert "cannot be fused: their 4 and 4 labels differ" in err
    code, _, err = run("watch", "sample", "--model", tmp_path / "absent.toml")
    assert (code, "no file" in err) == (2, True)


def test_a_card_whose_preprocessing_is_not_what_the_network_takes():
    card = card_of("flow", preprocessing=Preprocessing(height=32, width=32))
    with pytest.raises(ValueError, match=r"takes 4 channels, and the preprocessing in its card gives 3 \(rgb\)"):
        TorchRuntime(random_network(card), card, device="cpu")


@pytest.mark.slow
@pytest.mark.parametrize("clip", ["stgcn_tai_chi.mp4", "decord_flipping_pancake.mkv", "cuhk_plastering.avi"])
@pytest.mark.parametrize("modality", MODALITIES)
def test_watch_on_real_clips(modality, clip, tmp_path, run):
    card = card_of(modality)
    save(tmp_path / "model.safetensors", random_network(card), card)
    path = shared("data", "clips", clip)
    code, out, err = run("watch", path, "--model", tmp_path / "model.safetensors", "--json", "--max-frames", 60)
    assert (code, err) == (0, "")
    lines = [line for line in map(json.loads, out.splitlines()) if "labels" in line]
    assert len(lines) >= 8
    assert all(line["split_ms"].keys() == {"waiting", "preprocess", "model", "scoring"} for line in lines)
    assert load(tmp_path / "model.safetensors")[1] == card
