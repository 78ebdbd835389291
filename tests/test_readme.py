"""README is true: its commands run, its snippets work, its figures are those of the checkpoint that ships."""

import inspect
import re
import shlex
import subprocess
import sys
from itertools import product
from pathlib import Path

import pytest
import torch
from evaluation import segments, truth
from helpers import images, write_video
from safetensors.torch import save_file
from servers import ball, free_port, rtsp_server

from actionstream.commands.recipes import train_motion_recipe
from actionstream.evaluation import activitynet, thumos14
from actionstream.evaluation.detection_table import write_table
from actionstream.models import create, read_card, save
from actionstream.models.common.cache import cached_file
from actionstream.models.labels import read_labels
from actionstream.models.published import PUBLISHED
from actionstream.models.weights.convert import load_weights
from actionstream.sources import SAMPLE

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
CODE_LINES = [line.strip().split("  #")[0].strip() for line in README.splitlines() if line.startswith("    ")]
COMMANDS = [
    line
    for line in CODE_LINES
    if line.startswith(".venv/bin/actionstream ") and " bench " not in line  # those are in tests/stream/test_bench.py
]
MAKE = [line for line in CODE_LINES if line.startswith("make ")]
SNIPPETS = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
SMALLER = {
    "record": ["--clips", "2", "--seconds", "0.3", "--pause", "0.1"],
    "teach --camera": [*("--label", "wave", "--label", "clap"), "--clips", "1", "--seconds", "0.3", "--pause", "0.1"],
    "train motion": ["--steps", "2"],
    "train ut-interaction": ["--epochs", "1", "--workers", "0"],
    "train arrow-of-time": ["--epochs", "1", "--workers", "0"],
    "train --data days": ["--steps", "2"],
    "train --data ut --annotations": ["--steps", "2"],
    "train --data videos -o runs/mine": [],
    "train --data features": ["--epochs", "1", "--workers", "0"],
    "train --data": ["--epochs", "1", "--size", "32", "--workers", "0"],
    "test motion": ["--clips", "20"],
    "test runs/motion": ["--clips", "20"],
    "test runs/none": ["--clips", "20"],
}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with what the commands speak of."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    write_video(tmp_path / "film.mp4", images(40))
    (tmp_path / "clips").mkdir()
    write_video(tmp_path / "clips" / "a.mp4", images(45))
    for label, number in product(("wave", "clap"), range(2)):
        (tmp_path / "videos" / label).mkdir(parents=True, exist_ok=True)
        write_video(tmp_path / "videos" / label / f"{number}.mp4", images(10, seed=ord(label[0]) + number))
    for label in ("wave", "clap"):
        (tmp_path / "others" / label).mkdir(parents=True)
        write_video(tmp_path / "others" / label / "new.mp4", images(12, seed=ord(label[0]) + 5))
    (tmp_path / "background").mkdir()
    write_video(tmp_path / "background" / "a.mp4", images(30))
    (tmp_path / "hall").mkdir()
    write_video(tmp_path / "hall" / "a.mp4", images(260), rate=8)
    write_days(tmp_path)
    write_results(tmp_path)
    write_interactions(tmp_path)
    return tmp_path


def write_days(folder):
    """Long videos and what happens in them."""
    (folder / "days").mkdir()
    lines = ["video,start_seconds,end_seconds,label"]
    for seed, name in enumerate(("monday", "tuesday")):
        write_video(folder / "days" / f"{name}.mp4", images(90, seed=seed), rate=15)
        lines += [f"{name},1,3,wave", f"{name},4,5,clap"]
    (folder / "days.csv").write_text("\n".join(lines))


def write_results(folder):
    """Truth of two videos, and what somebody found in them."""
    known = truth(("a", 0, 9, "Diving"), ("b", 5, 8, "Shotput"), videos="c")
    found = segments(("a", 1, 9, "Diving", 0.9), ("b", 2, 4, "Shotput", 0.4))
    thumos14.write_annotations(folder / "annotation_test", known)
    activitynet.write_truth(folder / "activity_net.json", known, subset="validation")
    write_table(folder / "detections.csv", found)
    activitynet.write_results(folder / "detections.json", found)
    activitynet.write_results(folder / "labels.json", found, task="classification")


def write_interactions(folder):
    """What README's recipes on real videos are given, and a truth of whole videos."""
    for folder_name in ("ut", "untrimmed"):
        (folder / folder_name).mkdir()
    for manifest, labels in (("manifest", ("hugging", "kicking")), ("manifest_background", ("background",))):
        names = [f"{label}{sequence},{label},set1_seq0{sequence}" for label in labels for sequence in (1, 2)]
        for name in names:
            write_video(folder / "ut" / f"{name.split(',')[0]}.mp4", images(15))
        rows = [name.replace(",", ".mp4,", 1) for name in names]
        (folder / "ut" / f"{manifest}.csv").write_text("\n".join(["path,label,split_group", *rows]))
    segments = [
        f"{label}{sequence},0,0.5,{label},{sequence}" for label in ("hugging", "kicking") for sequence in (1, 2)
    ]
    (folder / "ut.csv").write_text("\n".join(["video,start_seconds,end_seconds,label,group", *segments]))
    write_video(folder / "untrimmed" / "a.mp4", images(60))
    activitynet.write_truth(folder / "untrimmed.json", truth(("a", 0, 1, "hugging")), subset="validation")
    save_file(create("tsn_mobilenet_v2", num_classes=5).state_dict(), folder / "mobilenet_v2.safetensors")


@pytest.fixture
def weights(folder, monkeypatch):
    """Weights beside it, and in the cache what would be downloaded into it."""
    monkeypatch.setenv("ACTIONSTREAM_CACHE", str(folder))
    torch.save({"model_state": create("slowfast_r50_4x16").state_dict()}, folder / "slowfast.pyth")
    torch.save(create("tsm_mobilenet_v2", num_classes=27).state_dict(), cached_file(PUBLISHED["tsm-jester"].address))
    torch.save(create("mc3_18").state_dict(), cached_file(PUBLISHED["mc3-kinetics"].address))
    for modality, in_channels in (("rgb", 3), ("flow", 10)):
        file = folder / f"{modality}.pth"
        torch.save(create("tsn_resnet18", num_classes=20, in_channels=in_channels).state_dict(), file)
        network, card, _ = load_weights(file, labels=read_labels("thumos14"))
        save(folder / f"{modality}.safetensors", network, card)
    (folder / "two-stream.toml").write_text(re.search(r"```toml\n(.*?)```", README, re.DOTALL)[1])
    yield
    for file in folder.glob("*.p*th"):
        file.unlink()


@pytest.fixture(scope="module")
def cameras():
    """The addresses that README speaks of, and those of real servers in their place."""
    with rtsp_server({"stream": ball()}) as server:
        yield {f"rtsp://{host}/stream": server.address("stream") for host in ("camera", "door")}


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_commands(run, weights, cameras):
    """In the order of README, since some need what others wrote."""
    assert len(COMMANDS) >= 10
    for command in COMMANDS:
        here = {**cameras, "0": "film.mp4"}
        name, *arguments = [here.get(word, word) for word in shlex.split(command)[1:]]
        if "--watch-list" in arguments:
            follow(arguments, cameras)
            continue
        if name in ("demo", "annotate"):
            serve(name, arguments)
            continue
        if arguments == ["cameras.toml"]:
            serve_cameras(arguments)
            continue
        if "--ray" in arguments:  # Ray keeps threads and warnings of its own in a process
            subprocess.run([Path(sys.executable).with_name("actionstream"), name, *arguments], check=True)
            continue
        if ">" in arguments:
            code, out, err = run(name, *arguments[: arguments.index(">")])
            assert (code, err) == (0, "")
            Path(arguments[-1]).write_text(out.replace("127.0.0.1:9160", f"127.0.0.1:{free_port()}"))
            continue
        live = ["--max-frames", "30"] if set(arguments) & set(cameras.values()) else []
        smaller = next((more for begin, more in SMALLER.items() if " ".join([name, *arguments]).startswith(begin)), [])
        code, _, err = run(name, *arguments, *live, *smaller)
        if "--show" in arguments:
            assert (code, "--show needs a desktop" in err) == (2, True)
        else:
            assert code == 0, (command, err)


def follow(arguments, cameras):
    """A watch list is followed until somebody stops it."""
    Path(arguments[-1]).write_text("\n".join(cameras.values()))
    command = [Path(sys.executable).with_name("actionstream"), "watch", *arguments, "--json"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    with process.stdout:
        assert any('"labels"' in line for line in process.stdout)
        process.terminate()
        assert process.stdout.read().endswith("\n")
    assert process.wait(20) == 143


def serve(name, arguments):
    """The page is there until somebody stops it."""
    port = free_port()
    command = [Path(sys.executable).with_name("actionstream"), name, *arguments, "--port", str(port)]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    with process.stderr:
        assert re.search(rf":{port}/(#[\w-]{{22}})? \(Ctrl-C ends\)$", process.stderr.readline())
        process.terminate()
        assert process.stderr.read() == ""
    assert process.wait(20) == 143


def serve_cameras(arguments):
    """Cameras are watched until somebody stops it."""
    command = [Path(sys.executable).with_name("actionstream"), "serve", *arguments, "--state", "state"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    with process.stderr:
        assert "cameras are watched: sample" in process.stderr.readline()
        process.terminate()
        assert process.stderr.read() == ""
    assert process.wait(30) == 143


@pytest.mark.parametrize("command", MAKE)
def test_make(command):
    planned = subprocess.check_output([*shlex.split(command), "--dry-run"], cwd=ROOT, text=True)
    source = "0" if "SOURCE=0" in command else "sample"
    wanted = {"test": "pytest", "docs": "reference.py", "watch": f'actionstream watch --realtime "{source}"'}
    assert wanted[command.split()[1]] in planned


def test_snippets(folder, capsys, cameras):
    first, second, third = SNIPPETS
    exec(first, {})
    assert len(capsys.readouterr().out.splitlines()) == 20
    exec(second.replace("rtsp://camera/stream", cameras["rtsp://camera/stream"]), {})
    told = capsys.readouterr().out
    assert "door connect None" in told
    assert "door close None" in told
    assert "Counts(received=" in told
    exec(third, {"frames": [(n / 15, picture) for n, picture in enumerate(images(8))]})


def test_output_of_the_sample(run):
    """What README shows is what `make watch` prints, but for speed and the last digits."""
    _, out, _ = run("watch", str(SAMPLE))
    printed = re.findall(r"([\d.]+) s +([\d.]+) s +(\w+)", out)
    shown = re.findall(r"^ +([\d.]+) s +([\d.]+) s +(\w+)$", README, re.MULTILINE)
    assert [label for _, _, label in shown] == [label for _, _, label in printed]
    for (a, b, _), (c, d, _) in zip(shown, printed, strict=True):
        assert (float(a), float(b)) == pytest.approx((float(c), float(d)), abs=0.15)


def test_figures():
    card = read_card("motion")
    for name, values in card.accuracy["sets"].items():
        (row,) = [line for line in README.splitlines() if line.startswith(f"| {name} |")]
        shown = [float(number) for number in re.findall(r"\d+\.\d", row)]
        expected = [values["clips"], values["opposites"], *values["frames"].values()]
        assert shown[: len(expected)] == [round(100 * share, 1) for share in expected]
    steps = inspect.signature(train_motion_recipe).parameters["steps"].default
    assert steps == card.training["steps"]
    assert f"Training is {steps:,} steps" in README.replace("\n", " ")
    starts = card.accuracy["false_starts"]
    assert f"{starts['starts']} false starts in {starts['hours'] * 60:.1f} minutes" in README


def test_pictures_are_there():
    for name in re.findall(r"!\[.*?\]\((.*?)\)", README):
        assert (ROOT / name).is_file()
