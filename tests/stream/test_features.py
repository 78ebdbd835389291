"""`actionstream features`, and Timeception that learns from what it wrote."""

import json
import shutil
from dataclasses import replace
from zlib import crc32

import numpy as np
import pytest
import torch
from helpers import images, random_card, random_network, write_video
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from actionstream.models import load, read_card
from actionstream.models.training import features as features_module
from actionstream.models.training.features import segment_places
from actionstream.models.training.reading import read_frames
from actionstream.models.training.sampling import segments
from actionstream.models.video import SourceError
from actionstream.models.weights.checkpoint import save

LABELS = ("dark", "light")
NUM_SEGMENTS = 8


@given(st.integers(1, 300), st.integers(1, 40), st.integers(1, 9))
def test_places_of_segments(num_frames, num_segments, segment_frames):
    places = segment_places(num_frames, num_segments, segment_frames)
    assert places.shape == (num_segments, segment_frames)
    assert places.min() >= 0
    assert places.max() < num_frames
    assert (np.diff(places[:, 0]) >= 0).all()
    if num_frames >= segment_frames:
        assert (np.diff(places, axis=1) == 1).all()
    else:
        assert (places == np.minimum(np.arange(segment_frames), num_frames - 1)).all()
    if num_frames >= num_segments * segment_frames:
        assert len(np.unique(places)) == places.size
    middles = places[:, segment_frames // 2]
    if num_frames > 2 * segment_frames * num_segments:
        assert (middles == segments(num_frames, num_segments)).all()


@pytest.fixture(scope="module")
def videos(tmp_path_factory):
    """Two labels of four videos each, one of them a folder of pictures."""
    root = tmp_path_factory.mktemp("videos")
    for number, label in enumerate(LABELS):
        (root / label).mkdir()
        for which in range(4):
            pictures = [picture // 3 + 150 * number for picture in images(20, which, height=36, width=40)]
            write_video(root / label / f"{label}{which}.b.mp4", pictures)
    folder = root / LABELS[0] / "pictures"
    folder.mkdir()
    for number, picture in enumerate(images(12, 9)):
        Image.fromarray(picture // 3).save(folder / f"{number:05}.png")
    return root


def small(path, name="tsn_resnet18", seed=0):
    card = random_card(name, width=0.125)
    save(path, random_network(card, seed), card)
    return path


@pytest.fixture(scope="module")
def features(videos, tmp_path_factory):
    """Those of all videos by a network of single frames, made in this process."""
    folder = tmp_path_factory.mktemp("features")
    trunk = small(folder / "trunk.safetensors")
    with pytest.MonkeyPatch.context() as patch:
        arguments = ("features", videos, "--model", trunk, "-o", folder / "made", "--segments", NUM_SEGMENTS)
        patch.setattr("sys.argv", ["actionstream", *map(str, arguments), "--device", "cpu"])
        from actionstream.cli import main as cli

        with pytest.raises(SystemExit, match="0"):
            cli.main()
    return folder / "made"


@pytest.mark.parametrize(("name", "segment_frames"), [("tsn_resnet18", 1), ("tsm_resnet18", 8), ("f_r2d_18", 8)])
def test_features_are_those_of_the_trunk(name, segment_frames, videos, tmp_path, run):
    trunk = tmp_path / "trunk.safetensors"
    if name == "f_r2d_18":
        card = random_card(name)
        save(trunk, random_network(card), card)
    else:
        small(trunk, name)
    video = videos / "light" / "light1.b.mp4"
    code, out, err = run(
        "features", video, "--model", trunk, "-o", tmp_path / "made", "--segments", 9, "--device", "cpu"
    )
    assert code == 0, err
    assert "1 of 1 videos written, 0 were there" in out
    made = np.load(tmp_path / "made" / "light1.b.npy")
    network, card = load(trunk)
    channels = 512 if name == "f_r2d_18" else 64
    assert (made.dtype, made.shape) == (np.float16, (9, channels, *made.shape[2:]))
    places = segment_places(20, 9, segment_frames)
    for segment, here in enumerate(places):
        pictures = np.stack([card.preprocessing.resize(frame) for frame in read_frames(video, here.tolist())])
        clip = card.preprocessing.normalise(torch.from_numpy(pictures[None]))
        with torch.inference_mode():
            maps = network.trunk(clip)
        assert segment_frames == 1 or (maps if torch.is_tensor(maps) else maps[0].transpose(1, 2)).shape[2] == 8
        expected = (maps.mean(dim=2) if torch.is_tensor(maps) else maps[0].mean(dim=1))[0]
        np.testing.assert_allclose(made[segment], expected.numpy(), rtol=2e-3, atol=2e-3)
    kept = json.loads((tmp_path / "made" / "features.json").read_text())
    assert (kept["network"], kept["segment_frames"], kept["shape"]) == (name, segment_frames, list(made.shape))


def test_what_is_there_is_not_made_again(features, videos, tmp_path, run):
    made = shutil.copytree(features, tmp_path / "made")
    names = sorted(path.relative_to(made).as_posix() for path in made.rglob("*.npy"))
    assert names == sorted(
        ["dark/pictures.npy", *(f"{label}/{label}{which}.b.npy" for label in LABELS for which in range(4))]
    )
    assert sorted(path.name for path in made.iterdir()) == ["dark", "features.json", "light"]
    lost, other = made / "dark" / "dark2.b.npy", made / "light" / "light0.b.npy"
    whole = lost.read_bytes()
    lost.unlink()
    other.write_bytes(b"another's")
    command = ("features", videos, "--model", features.parent / "trunk.safetensors", "--device", "cpu", "-o", made)
    code, out, _ = run(*command, "--segments", NUM_SEGMENTS)
    assert (code, "1 of 9 videos written, 8 were there" in out) == (0, True)
    assert lost.read_bytes() == whole
    assert other.read_bytes() == b"another's"
    code, _, err = run(*command, "--segments", 16)
    assert (code, f"made with num_segments {NUM_SEGMENTS}, not 16" in err) == (2, True)
    small(tmp_path / "other.safetensors", seed=1)
    code, _, err = run(*command, "--segments", NUM_SEGMENTS, "--model", tmp_path / "other.safetensors")
    assert (code, "made with weights" in err) == (2, True)


def test_machines_share_the_work(features, videos, tmp_path, run):
    found = []
    for part in (1, 2, 3):
        command = ("features", videos, "--model", features.parent / "trunk.safetensors", "--device", "cpu")
        made = tmp_path / str(part)
        code, out, _ = run(*command, "-o", made, "--segments", NUM_SEGMENTS, "--shard", f"{part}/3")
        assert (code, f"(part {part}/3 of 9)" in out) == (0, True)
        found.append({path.relative_to(made).as_posix(): path.read_bytes() for path in made.rglob("*.npy")})
        assert all(crc32(name.encode()) % 3 == part - 1 for name in found[-1])  # whatever else is there
    together = {name: data for part in found for name, data in part.items()}
    assert sum(map(len, found)) == 9
    assert min(map(len, found)) > 0
    assert together == {path.relative_to(features).as_posix(): path.read_bytes() for path in features.rglob("*.npy")}


def test_broken_videos_are_named(features, videos, tmp_path, run):
    (tmp_path / "videos").mkdir()
    (tmp_path / "videos" / "bad.mp4").write_text("no video")
    trunk = features.parent / "trunk.safetensors"
    command = ("features", tmp_path / "videos", "--model", trunk, "-o", tmp_path / "made", "--device", "cpu")
    code, _, err = run(*command)
    assert (code, "none of the 1 videos can be read" in err.splitlines()[-1]) == (2, True)
    shutil.copy(videos / "light" / "light0.b.mp4", tmp_path / "videos")
    code, out, _ = run(*command)
    assert (code, "1 of 2 videos written" in out) == (0, True)
    assert "left out: " in out
    assert "bad.mp4 is not a video that can be read" in out
    assert [path.name for path in (tmp_path / "made").iterdir() if path.suffix != ".json"] == ["light0.b.npy"]


def test_a_full_disk_leaves_no_half_file(features, videos, tmp_path, run, monkeypatch):
    def half(file, values):
        file.write(values.tobytes()[: values.nbytes // 2])
        raise OSError("No space left on device")

    monkeypatch.setattr(features_module.np, "save", half)
    command = ("features", videos, "--model", features.parent / "trunk.safetensors", "--device", "cpu")
    code, _, err = run(*command, "-o", tmp_path / "made")
    assert (code, "No space left" in err.splitlines()[-1]) == (2, True)
    assert [path.name for path in (tmp_path / "made").rglob("*") if path.is_file()] == ["features.json"]


def test_files_that_hold_something_else(tmp_path):
    np.save(tmp_path / "flat.npy", np.zeros((8, 64)))
    with pytest.raises(SourceError, match=r"these are numbers \(T, D, h, w\), and it is float64 \(8, 64\)"):
        read_frames(tmp_path / "flat.npy", [0])
    np.save(tmp_path / "maps.npy", np.arange(24).reshape(2, 3, 2, 2))
    first, beyond = read_frames(tmp_path / "maps.npy", [0, 7])
    assert first.shape == (2, 2, 3)
    assert first[1, 0, 2] == 10
    assert beyond[0, 1, 1] == 17


TRAIN = ("--model", "timeception", "--set", "arguments.num_layers=2", "--set", "optimisation.learning_rate=0.02")
TRAIN = (*TRAIN, "--epochs", 3, "--batch-size", 2, "--workers", 0, "--device", "cpu")


def test_timeception_learns_from_them(features, tmp_path, run):
    code, out, err = run("train", "--data", features, "-o", tmp_path / "run", *TRAIN)
    assert code == 0, err
    assert "7 clips learnt, 2 held out, 0 broken; best top1 100.0 %" in out
    card = read_card(tmp_path / "run")
    assert (card.network, card.labels, card.activation) == ("timeception", LABELS, "softmax")
    assert card.preprocessing.modality == "features"
    network, _ = load(tmp_path / "run")
    assert (network.in_channels, len(network.layers)) == (64, 2)
    code, out, _ = run("test", tmp_path / "run", "--json", "--device", "cpu")
    assert (code, json.loads(out.splitlines()[-1])["top1"]) == (0, 1.0)
    code, out, _ = run("test", tmp_path / "run" / "last.safetensors", "--data", features, "--json", "--device", "cpu")
    assert (code, json.loads(out.splitlines()[-1])["videos"]) == (0, 9)
    maps = torch.from_numpy(np.load(features / "light" / "light0.b.npy")).float()
    with torch.inference_mode():
        assert card.labels[network(maps[None]).argmax()] == "light"
    code, _, err = run("watch", "sample", "--model", tmp_path / "run", "--device", "cpu")
    assert (code, "takes features of another network" in err) == (2, True)


def test_many_labels(features, tmp_path, run):
    """As Charades has them: a list, and all files in one folder."""
    root = tmp_path / "flat"
    root.mkdir()
    shutil.copy(features / "features.json", root)
    for path in features.rglob("*.npy"):
        shutil.copy(path, root)
    (tmp_path / "labels.txt").write_text("dark\nlight\nvideo\n")
    for side, numbers in (("train", (0, 1, 2)), ("test", (3,))):
        rows = [f"{label}{n}.b,c00{LABELS.index(label)} 0 9;c002 1 2" for label in LABELS for n in numbers]
        (tmp_path / f"{side}.csv").write_text("\n".join(["id,actions", *rows]))
    data = ("--data", root, "--format", "charades", "--training", tmp_path / "train.csv")
    data = (*data, "--validation", tmp_path / "test.csv", "--labels", tmp_path / "labels.txt")
    code, out, err = run("train", *data, "-o", tmp_path / "run", *TRAIN)
    assert code == 0, err
    assert "6 clips learnt, 2 held out, 0 broken; best mAP 100.0 %" in out
    assert read_card(tmp_path / "run").activation == "sigmoid"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("features", "absent", "--model", "motion"), "no file or folder absent"),
        (("features", "empty", "--model", "motion"), "empty has no videos"),
        (("features", "videos", "--model", "motion", "--shard", "3/2"), "--shard is '3/2'; expected N/M"),
        (("features", "videos", "--model", "motion", "--shard", "half"), "--shard is 'half'; expected N/M"),
        (("features", "videos", "--model", "tsn_resnet50"), "is a network without weights"),
        (("features", "videos", "videos", "--model", "motion"), "would both become dark/dark0.b.npy"),
        (("features", "videos", "--model", "flow.safetensors"), "features are made of pictures"),
        (("features", "videos/light", "--model", "large.safetensors"), "has features beyond what float16 holds"),
        (("features", "videos", "--model", "tsn.safetensors"), "tsn uses features of another network"),
        (
            ("train", "--data", "features", "--model", "tsm_resnet18"),
            "has features in it, and the model is tsm_resnet18",
        ),
        (
            ("train", "--data", "videos", "--model", "timeception"),
            "has no features in it, and the model is timeception",
        ),
        (
            ("train", "--data", "changed", *TRAIN),
            "a feature map is float (1, 1, 64), height, width and channels; this is",
        ),
        (("train", "--data", "broken", *TRAIN), "cannot be read as features"),
        (("train", "--data", "other", "--model", "timeception"), "the settings of features "),
    ],
)
def test_bad_input(arguments, message, features, videos, tmp_path, run, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    (tmp_path / "videos").symlink_to(videos)
    (tmp_path / "features").symlink_to(features)
    if "--data" in arguments:
        shutil.copytree(features, tmp_path / "changed")
        shutil.copytree(features, tmp_path / "broken")
        for label in LABELS:
            np.save(tmp_path / "changed" / label / f"{label}0.b.npy", np.zeros((8, 32, 1, 1), np.float16))
        for file in (tmp_path / "broken").glob("*/*[0-2].b.npy"):
            file.write_bytes(b"")
        (tmp_path / "other").mkdir()
        (tmp_path / "other" / "features.json").write_text("{}")
    if "flow.safetensors" in arguments:
        card = random_card("tsn_resnet18", width=0.125, in_channels=10)
        flow = type(card.preprocessing)(height=32, width=32, modality="flow", stack=5, mean=(128.0,), std=(1.0,))
        save("flow.safetensors", random_network(card), replace(card, preprocessing=flow))
    if "large.safetensors" in arguments:
        card = random_card("tsn_resnet18", width=0.125)
        large = random_network(card)
        large.layer4[1].bn2.bias.data += 1e6
        save("large.safetensors", large, card)
    if "tsn.safetensors" in arguments:
        card = random_card("tsn", network="tsn_resnet18", width=0.125)
        save("tsn.safetensors", random_network(card), card)
    code, _, err = run(*arguments, "-o", "out")
    assert code == 2, err
    assert message in err.splitlines()[-1]
    assert not list(tmp_path.glob("out/**/*.npy"))
