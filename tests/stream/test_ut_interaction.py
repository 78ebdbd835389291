"""The recipes that leave a sequence out, and what they rest on: early blocks computed once, controls."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers import images, random_card, random_network, randomised, write_video
from torchvision.models import mobilenet_v2

from actionstream.models import create
from actionstream.models.card import Card
from actionstream.models.preprocessing import Preprocessing
from actionstream.models.training.augmentation import Augmentation
from actionstream.models.training.controls import binned_features, count_right, read_out
from actionstream.models.training.datasets import Clip
from actionstream.models.training.reading import read_frames
from actionstream.models.training.sampling import FrameSampling
from actionstream.models.training.stem_maps import BACKWARD, VIEWS, BothWays, join, make_maps, read_maps, rows_of, split
from actionstream.models.training.ut_interaction import STEM
from actionstream.models.weights.checkpoint import save


def tiny(**arguments):
    torch.manual_seed(0)
    return randomised(create("tsm_mobilenet_v2", width=0.25, num_classes=3, first_shift=STEM, **arguments))


@pytest.mark.parametrize("shift", ["none", "uni", "bi"])
def test_two_parts_give_the_scores_of_the_whole(shift, tmp_path):
    network = tiny(shift=shift)
    stem, late = split(network, STEM)
    pictures = images(9, height=40, width=70)
    clip = Clip(write_video(tmp_path / "a.mp4", pictures), ("x",))
    plain = Preprocessing(height=64, width=64)
    maps = read_maps(make_maps(tmp_path, stem, [clip], plain, every=2), [clip])[str(clip.path)]
    assert maps.shape == (VIEWS, 5, 16, 4, 4)
    frames = read_frames(clip.path, [0, 2, 4, 6, 8])
    given = torch.stack([plain.normalise(torch.from_numpy(plain.resize(frame))) for frame in frames])

    def first(result):
        return result[0] if network.streams else result[:, None]

    with torch.inference_mode():
        whole = first(network(torch.stack([given, given.flip(-1)])))
        parts = first(late(rows_of(maps[:2], clip, 5)))
    assert torch.allclose(whole, parts, atol=0.02 * float(whole.abs().max()))  # maps are kept in half precision
    with torch.no_grad():
        for parameter in late.parameters():
            parameter += 0.01
        assert torch.equal(whole, first(network(torch.stack([given, given.flip(-1)]))))  # nothing is shared
        join(network, late)
        learnt = first(network(torch.stack([given, given.flip(-1)])))
        assert torch.allclose(learnt, first(late(rows_of(maps[:2], clip, 5))), atol=0.02 * float(learnt.abs().max()))


def test_a_backward_clip_is_played_from_its_end():
    maps = torch.arange(20.0)[None, :, None, None, None].expand(2, 20, 1, 1, 1)
    forward, backward = (rows_of(maps, Clip(None, (label,)), 4)[1].flatten().tolist() for label in ("x", BACKWARD))
    assert forward == [2, 7, 12, 17]
    assert backward == forward[::-1]


def test_a_batch_has_each_clip_both_ways():
    maps = {name: torch.rand(2, 9, 3, 1, 1).half() for name in ("a", "b")}
    clips = [Clip(Path(name), ("forward",)) for name in maps]
    plain = Preprocessing.of_features(3, 1, 1)
    labels = [BACKWARD, "forward"]
    given = (clips, labels, FrameSampling(num_frames=4, sampling="segments"), plain, Augmentation(), 2, 3, 0)
    batch, broken, _ = BothWays(*given, maps=maps)[1]
    assert broken == []
    assert batch.clips.shape == (4, 4, 1, 1, 3)
    assert (batch.clips[2:] == batch.clips[:2, ::-1]).all()
    assert batch.targets.tolist() == [[0, 1], [0, 1], [1, 0], [1, 0]]
    assert batch.weights.tolist() == [1] * 4


def test_a_read_out_tells_what_can_be_told():
    random = np.random.default_rng(0)
    classes = random.integers(3, size=90)
    features = np.eye(3)[classes] * 3 + random.normal(size=(90, 3))
    found = read_out(features[:60], classes[:60].tolist(), features[60:])
    assert (found == classes[60:]).mean() > 0.8
    assert binned_features(np.arange(8.0)[:, None]).tolist() == [0.5, 2.5, 4.5, 6.5]
    assert binned_features(np.arange(2.0)[:, None]).tolist() == [0, 0, 1, 1]


def test_a_clip_in_both_directions_is_two_clips_for_a_control():
    clips = [Clip(Path(f"{n}.mp4"), (label,), group=f"set1_seq0{n}") for n in range(3) for label in ("x", BACKWARD)]
    features = [np.array([sign, 1.0]) for _ in range(3) for sign in (1.0, -1.0)]
    assert count_right(clips, features) == {f"set1_seq0{n}": 2 for n in range(3)}


@pytest.fixture
def interactions(tmp_path):
    """Three sequences of one set, in which "hug" is bright and "kick" dark, and a network to start from."""
    root = tmp_path / "ut"
    root.mkdir()
    rows = ["path,label,split_group"]
    for sequence in (1, 2, 3):
        for label, level in (("hug", 150), ("kick", 0)):
            pictures = [picture // 3 + level for picture in images(10, seed=sequence)]
            write_video(root / f"{label}{sequence}.mp4", [picture.astype(np.uint8) for picture in pictures])
            rows.append(f"{label}{sequence}.mp4,{label},set1_seq0{sequence}")
    (root / "manifest.csv").write_text("\n".join(rows))
    card = Card(
        network="tsn_mobilenet_v2",
        arguments={"num_classes": 3, "width": 0.25},
        labels=("a", "b", "c"),
        preprocessing=Preprocessing(height=224, width=224),
        interval_seconds=0.1,
    )
    save(tmp_path / "start.safetensors", tiny(shift="none"), card)
    return root, tmp_path / "start.safetensors"


FOLD = {"group": "set1_seq01", "labels": ["hug", "kick"], "truth": [0, 1], "scores": [[[[0.5, 0.5]]], [[[0.5, 0.5]]]]}
FIGURES = {"clips": 6, "right": 3, "right_in_one_view": 3}
SETTINGS = {"network": "tsm_mobilenet_v2", "shift": "bi", "seed": 0}
OTHER_CONTENT = [
    ("02.json", "{}"),
    *(
        ("02.json", json.dumps(FOLD | change))
        for change in (
            {},
            {"truth": [0]},
            {"truth": [0, 2]},
            {"scores": [[[[0.5, 0.5]]], [[[0.5]]]]},
        )
    ),
    ("settings.json", "{}"),
    ("settings.json", "\udcff"),
    ("table.json", "{}"),
    ("controls.json", '{"a": {"b": "c"}}'),
    *(
        ("summary.json", json.dumps(change))
        for change in (
            {},
            {"settings": {}, "all": FIGURES, "set1": FIGURES},
            {"settings": SETTINGS | {"shift": "no"}, "set1": FIGURES, "all": FIGURES},
            {"settings": SETTINGS, "set2": FIGURES, "all": FIGURES},
            {"settings": SETTINGS, "set1": FIGURES, "all": {"clips": "6"}},
            {"settings": SETTINGS, "set1": FIGURES, "all": FIGURES | {"seen": [1]}},
        )
    ),
]
"""Files that a run reads again, with valid JSON of something else."""


@pytest.mark.slow
def test_each_sequence_is_told_by_a_network_that_has_not_seen_it(run, tmp_path, interactions):
    root, start = interactions
    out = tmp_path / "out"
    command = ["train", "ut-interaction", "--data", root, "--start", start, "-o", out, "--epochs", 2, "--workers", 0]
    code, shown, err = run(*command)
    assert code == 0, err
    assert "online TSM" in shown
    assert "picture shape" in shown
    folds = {path: path.stat().st_mtime_ns for path in (out / "tsm-uni-0").glob("0*.json")}
    assert [path.name for path in sorted(folds)] == ["01.json", "02.json", "03.json"]
    figures = json.loads((out / "tsm-uni-0" / "summary.json").read_text())
    assert figures["all"]["clips"] == figures["set1"]["clips"] == 6
    assert figures["all"]["seen"]["1.0"] == figures["all"]["right"]
    assert (out / "tsm-uni-0" / "confusion.png").stat().st_size > 1000

    (out / "tsm-uni-0" / "02.json").unlink()
    assert run(*command, "--workers", 1)[0] == 0
    assert {path: path.stat().st_mtime_ns for path in folds if path.name != "02.json"}.items() <= folds.items()
    assert json.loads((out / "tsm-uni-0" / "summary.json").read_text()) == figures  # a fold is the same each time
    code, _, err = run(*command, "--epochs", 3)
    assert code == 2
    assert "begun with other settings" in err
    for name, text in OTHER_CONTENT:
        folder = out if name in ("table.json", "controls.json") else out / "tsm-uni-0"
        if name == "summary.json":  # of another run in the same table; that of this run is written anew
            folder = out / "tsm-uni-1"
            folder.mkdir()
        file = folder / name
        whole = None if name == "summary.json" else file.read_bytes()
        file.write_text(text, errors="surrogateescape")
        code, _, err = run(*command)
        assert (code, "fault" in err) == (2, False), (name, text, err)
        assert str(file) in err.splitlines()[-1] or (name, "has results of" in err) == ("table.json", True), (name, err)
        if whole is None:
            shutil.rmtree(folder)
        else:
            file.write_bytes(whole)
    other = start.rename(tmp_path / "other.safetensors")
    code, _, err = run(*command, "--start", other, "--shift", "none")
    assert code == 2
    assert f"has results of start {start}, not {other}; take another folder" in err


@pytest.mark.slow
def test_a_mean_over_frames_cannot_know_where_time_goes(run, tmp_path, interactions):
    root, start = interactions
    out = tmp_path / "out"
    command = ["train", "arrow-of-time", "--data", root, "--start", start, "-o", out, "--epochs", 1, "--workers", 0]
    assert run(*command, "--shift", "none")[0] == 0
    figures = json.loads((out / "tsm-none-0" / "summary.json").read_text())
    assert figures["all"]["clips"] == 12
    assert figures["all"]["right"] == figures["all"]["right_in_one_view"] == 6
    for fold in (out / "tsm-none-0").glob("0*.json"):
        scores = np.array(json.loads(fold.read_text())["scores"]).mean(axis=(1, 2))
        assert np.allclose(scores[::2], scores[1::2], atol=1e-5)


def test_both_directions_of_a_clip_are_learnt_from_at_once(run, tmp_path, interactions, monkeypatch):
    root, start = interactions
    seen = []

    def look(network, batches, *_, **__):
        seen.extend(batches)

    monkeypatch.setattr("actionstream.models.training.ut_interaction.train", look)
    command = ["train", "arrow-of-time", "--data", root, "--start", start, "-o", tmp_path / "out", "--epochs", 1]
    assert run(*command, "--workers", 0)[0] == 0
    assert [len(batch.clips) for batch in seen] == [16] * 3  # a fold each
    for batch in seen:
        assert (batch.clips[:8] == batch.clips[8:, ::-1]).all()
        assert batch.targets.mean(axis=0).tolist() == [0.5, 0.5]


@pytest.mark.slow
def test_the_start_that_the_message_recommends(run, tmp_path, interactions, monkeypatch):
    """A published checkpoint, from the cache; without a network the error says where to put the file."""
    monkeypatch.setenv("ACTIONSTREAM_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("urllib.request.urlopen", no_network)
    out = tmp_path / "out"
    command = ("train", "ut-interaction", "--data", interactions[0], "-o", out, "--epochs", 1, "--workers", 0)
    code, _, err = run(*command)
    assert (code, "such as --start mobilenet-v2-imagenet" in err) == (2, True)
    code, _, err = run(*command, "--start", "mobilenet-v2-imagenet")
    file = tmp_path / "cache" / "mobilenet_v2-b0353104.pth"
    assert (code, err.splitlines()[-1].endswith(f"Get it in another way, and put it at {file}")) == (2, True)
    assert not out.exists()
    torch.save(mobilenet_v2(weights=None).state_dict(), file)
    code, shown, err = run(*command, "--start", "mobilenet-v2-imagenet")
    assert code == 0, err
    assert "online TSM" in shown


def no_network(*_, **__):
    raise OSError("Network is unreachable")


def test_a_start_of_another_network(run, tmp_path, interactions):
    card = random_card("tsm_resnet18", width=0.125)
    save(tmp_path / "resnet.safetensors", random_network(card), card)
    out = tmp_path / "out"
    command = ("train", "ut-interaction", "--data", interactions[0], "-o", out)
    code, _, err = run(*command, "--start", tmp_path / "resnet.safetensors")
    assert (code, "is tsm_resnet18, and the recipe starts from MobileNetV2" in err) == (2, True)
    assert not out.exists()


def test_a_start_that_is_not_there_claims_no_folder(run, tmp_path, interactions):
    out = tmp_path / "out"
    code, _, err = run("train", "ut-interaction", "--data", interactions[0], "--start", "absent", "-o", out)
    assert code == 2
    assert "no model 'absent'" in err
    assert not out.exists()


def test_what_is_missing_is_said(run, tmp_path):
    for arguments, message in [
        (["ut-interaction"], "its manifest.csv: --data DIR"),
        (["arrow-of-time", "--data", tmp_path], "its manifest.csv: --data DIR"),
    ]:
        code, _, err = run("train", *arguments, "-o", tmp_path / "out")
        assert code == 2
        assert message in err
