"""A damaged file of the user is a mistake, told in one line that names the file, in whichever command it is read."""

import shutil
from pathlib import Path

import pytest
import torch
from evaluation import segments, truth
from helpers import images, random_card, random_network, write_video
from PIL import Image

from actionstream.commands.train import train_clips
from actionstream.evaluation import activitynet, thumos14
from actionstream.evaluation.detection_table import write_table
from actionstream.models.locate import PACKAGED
from actionstream.models.training.data import Data
from actionstream.models.weights.checkpoint import save

DAMAGES = {
    "nothing": lambda whole: whole,
    "empty": lambda whole: b"",
    "text": lambda whole: b"nothing of the kind\n",
    "zeros": lambda whole: bytes(1000),
    "noise": lambda whole: bytes((n * n * 37 + n) % 251 for n in range(1, 4000)),
    "cut short": lambda whole: whole[: len(whole) // 2],
    "another JSON": lambda whole: b'[{"a": 3}]',
}
ALL = tuple(DAMAGES)[1:]
TRAIN = ("--size", 32, "--epochs", 1, "--workers", 0, "--batch-size", 2, "--set", "sampled.num_frames=2")
OF_MODEL = ("watch", "film.mp4", "--json", "--model")
OF_WEIGHTS = ("watch", "film.mp4", "--json", "--model", "tsm_mobilenet_v2", "--labels", "labels.txt", "--weights")
TRUTH = ("--truth", "truth.json")
NEW_RUN = ("train", "--data", "videos", "-o", "run")
LISTS = ("--training", "list.txt", "--validation", "list.txt")
THUMOS14 = ("evaluate", "thumos14", "--truth", "thumos14")
CLIPS = ("--data", "clips", "-o", "run", "--format", "ut-interaction")
FOLDS = ("train", "ut-interaction", "--data", "clips", "--start", "card.safetensors", "--workers", 0, "--epochs", 1)
CASES = [
    ("film.mp4", ALL, ("watch", "film.mp4", "--json")),
    ("film.mp4", ALL, ("label", "film.mp4")),
    ("film.mp4", ALL, ("bench", "decode", "film.mp4")),
    ("pictures/0.png", ALL, ("watch", "pictures", "--json")),
    ("pictures/0.png", ALL, ("label", "pictures")),
    ("pictures/rate.txt", ALL, ("watch", "pictures", "--json")),
    ("card.safetensors", ALL, (*OF_MODEL, "card.safetensors")),
    ("card.safetensors", ALL, ("label", "film.mp4", "--model", "card.safetensors")),
    ("card.safetensors", ALL, ("export", "card.safetensors", "-o", "a.onnx")),
    ("card.safetensors", ALL, ("features", "videos", "--model", "card.safetensors", "-o", "features")),
    ("card.safetensors", ALL, ("bench", "soak", "--model", "card.safetensors")),
    ("card.safetensors", ALL, ("test", "card.safetensors", "--data", "videos")),
    ("card.onnx", ALL, (*OF_MODEL, "card.onnx")),
    ("card.xml", ALL, (*OF_MODEL, "card.xml")),
    ("card.pt2", ALL, (*OF_MODEL, "card.pt2")),
    ("other.pt2", ("nothing",), (*OF_MODEL, "other.pt2")),  # whole, and something else
    ("two.toml", ALL, (*OF_MODEL, "two.toml")),
    ("weights.pth", ALL, (*OF_WEIGHTS, "weights.pth")),
    ("weights.pth", ALL, ("convert", "weights.pth", "-o", "a.safetensors")),
    ("labels.txt", ("noise",), (*OF_WEIGHTS, "weights.pth")),
    ("labels.txt", ("noise",), ("convert", "weights.pth", "-o", "a.safetensors", "--labels", "labels.txt")),
    ("list.txt", ("noise",), ("watch", "--watch-list", "list.txt", "--json")),
    ("truth.json", ALL, ("evaluate", "activitynet", "--results", "found.json", *TRUTH)),
    ("found.json", ALL, ("evaluate", "activitynet", "--results", "found.json", *TRUTH)),
    ("found.csv", ("empty", "text", "zeros", "noise"), ("evaluate", "activitynet", "--results", "found.csv", *TRUTH)),
    ("found.json.gz", ALL, ("evaluate", "activitynet", "--results", "found.json.gz", *TRUTH)),
    ("found.txt", ("text", "zeros", "noise"), (*THUMOS14, "--results", "found.txt")),
    ("list.txt", ("noise",), (*NEW_RUN, "--format", "list", *LISTS)),
    ("list.txt", ALL, (*NEW_RUN, "--format", "kinetics", *LISTS)),
    ("truth.json", ALL, (*NEW_RUN, "--format", "activitynet", "--training", "truth.json")),
    ("clips/manifest.csv", ALL, ("train", *CLIPS, "--training", "clips/manifest.csv")),
    ("card.safetensors", ALL, (*NEW_RUN, "--start", "card.safetensors", *TRAIN)),
    ("card.safetensors", ALL, (*NEW_RUN, "--teacher", "card.safetensors", *TRAIN)),
    ("motion.state", ALL, ("train", "motion", "-o", "motion.safetensors")),
    ("begun/settings.json", ALL, ("train", "--resume", "begun")),
    ("begun/settings.json", ALL, ("test", "begun")),
    ("begun/last.pt", ALL, ("train", "--resume", "begun")),
    ("begun/labels.txt", ("noise",), ("train", "--resume", "begun")),
    ("begun/best.safetensors", ALL, (*OF_MODEL, "begun")),
    ("features/features.json", ALL, ("train", "--data", "features", "-o", "run", "--model", "timeception")),
    ("folds/table.json", ALL, (*FOLDS, "-o", "folds")),
    ("peer/net.tflite", ALL, ("bench", "ratios", "--peer", "peer")),
]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A folder with whole files."""
    folder = tmp_path_factory.mktemp("whole")
    card = random_card("tsm_mobilenet_v2")  # as the recipe for UT-Interaction wants it
    network = random_network(card)
    save(folder / "card.safetensors", network, card)
    torch.save(network.state_dict(), folder / "weights.pth")
    shutil.copy(PACKAGED / "motion.onnx", folder / "card.onnx")
    shutil.copy(folder / "weights.pth", folder / "card.pt2")  # a zip file, too
    shutil.copy(folder / "weights.pth", folder / "other.pt2")
    (folder / "card.xml").write_text('<?xml version="1.0"?>\n<net name="card" version="11"></net>\n')
    (folder / "two.toml").write_text('[[network]]\nmodel = "card.safetensors"\n\n[[network]]\nmodel = "motion"\n')
    (folder / "labels.txt").write_text("\n".join(card.labels))
    write_video(folder / "film.mp4", images(12))
    for label in ("wave", "clap"):
        for number in range(2):
            (folder / "videos" / label).mkdir(parents=True, exist_ok=True)
            shutil.copy(folder / "film.mp4", folder / "videos" / label / f"{number}.mp4")
    for name in ("pictures", "clips", "features", "folds", "peer"):
        (folder / name).mkdir()
    Image.new("RGB", (64, 48)).save(folder / "pictures" / "0.png")
    (folder / "clips" / "manifest.csv").write_text("path,label,split_group\na.mp4,hugging,set1_seq01\n")
    known, found = truth(("a", 0, 9, "Diving")), segments(("a", 1, 9, "Diving", 0.9))
    activitynet.write_truth(folder / "truth.json", known, subset="validation")
    thumos14.write_annotations(folder / "thumos14", known)
    activitynet.write_results(folder / "found.json", found)
    activitynet.write_results(folder / "found.json.gz", found)
    write_table(folder / "found.csv", found)
    torch.save({"command": ""}, folder / "motion.state")
    (folder / "features" / "features.json").write_text("{}")
    (folder / "folds" / "table.json").write_text('{"task": "interactions"}')
    begin_run(folder)
    return folder


def begin_run(folder):
    """A run of one epoch."""
    train_clips(
        folder / "begun",
        data=Data(root=str(folder / "videos")),
        model="tsm_resnet18",
        shift=None,
        modality=None,
        size=32,
        changes=["sampled.num_frames=2", 'arguments={"width": 0.125}'],
        device="cpu",
        workers=0,
        epochs=1,
        batch_size=2,
    )
    (folder / "begun" / "labels.txt").write_text("wave\nclap\n")


@pytest.mark.parametrize(
    ("name", "damages", "arguments"), CASES, ids=[f"{name} {' '.join(map(str, each[:3]))}" for name, _, each in CASES]
)
def test_a_damaged_file_is_named(name, damages, arguments, whole, tmp_path, monkeypatch, run):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(whole, tmp_path, dirs_exist_ok=True)
    data = (whole / name).read_bytes() if (whole / name).exists() else b""
    for damage in damages:
        (tmp_path / name).write_bytes(DAMAGES[damage](data))
        code, _, err = run(*arguments)
        told = [line for line in err.splitlines() if line.startswith("actionstream: ")]
        assert (code, len(told)) == (2, 1), (damage, err)
        assert err.splitlines()[-1] == told[0], damage
        assert Path(name).name in told[0], damage
        assert "Traceback" not in err
