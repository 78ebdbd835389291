"""README and the guides are true: their blocks run, and their figures are those of the checkpoint that ships."""

import inspect
import json
import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
from contextlib import contextmanager
from itertools import product
from pathlib import Path

import pytest
import torch
from evaluation import segments, truth
from helpers import ROOT, images, tracked, write_video
from jsonschema import Draft202012Validator
from ray.cluster_utils import Cluster
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
from actionstream.serve.reading import parse_settings
from actionstream.sinks.json_lines import SCHEMA_FILE
from actionstream.sources import SAMPLE

README = (ROOT / "README.md").read_text()
BIN = Path(sys.executable).parent
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
LANGUAGES = {"sh", "python", "toml", "json", "text", "mermaid"}
PAGES = [
    path
    for path in tracked()
    if path.suffix == ".md" and ".github" not in path.parts and path.parent.name not in ("page", "saved")
]
MEASURED = (" bench ", "actionstream.benchmarks.")
"""Their tests are in test_bench.py and test_benchmarks.py; here, only whether the options exist."""
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


def blocks(page):
    return BLOCK.findall(page.read_text())


def commands(text):
    """The lines of a block of commands, without their comments."""
    return [line.split("  #")[0].strip() for line in text.splitlines() if line.strip()]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with the videos that the pages speak of."""
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
    return tmp_path


def write_days(folder):
    """Long videos and what happens in them."""
    (folder / "days").mkdir()
    lines = ["video,start_seconds,end_seconds,label"]
    for seed, name in enumerate(("monday", "tuesday")):
        write_video(folder / "days" / f"{name}.mp4", images(90, seed=seed), rate=15)
        lines += [f"{name},1,3,wave", f"{name},4,5,clap"]
    (folder / "days.csv").write_text("\n".join(lines))
    (folder / "weekend").mkdir()
    write_video(folder / "weekend" / "sunday.mp4", images(90, seed=2), rate=15)
    (folder / "weekend.csv").write_text("\n".join([lines[0], "sunday,1,3,wave", "sunday,4,5,clap"]))
    (folder / "untrimmed").mkdir()
    write_video(folder / "untrimmed" / "a.mp4", images(60))


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
    """What the recipes on real videos are given, and a truth of whole videos."""
    (folder / "ut").mkdir()
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
    (folder / "untrimmed").mkdir()
    write_video(folder / "untrimmed" / "a.mp4", images(60))
    activitynet.write_truth(folder / "untrimmed.json", truth(("a", 0, 1, "hugging")), subset="validation")
    save_file(create("tsn_mobilenet_v2", num_classes=5).state_dict(), folder / "mobilenet_v2.safetensors")


def write_two_streams(folder):
    for modality, in_channels in (("rgb", 3), ("flow", 10)):
        file = folder / f"{modality}.pth"
        torch.save(create("tsn_resnet18", num_classes=20, in_channels=in_channels).state_dict(), file)
        network, card, _ = load_weights(file, labels=read_labels("thumos14"))
        save(folder / f"{modality}.safetensors", network, card)
        file.unlink()


WRITERS = {
    "label days": write_days,
    "annotation_test": write_results,
    "ut-interaction": write_interactions,
    "two-stream.toml": write_two_streams,
    "slowfast.pyth": lambda folder: torch.save(
        {"model_state": create("slowfast_r50_4x16").state_dict()}, folder / "slowfast.pyth"
    ),
    "tsm-jester": lambda _: torch.save(
        create("tsm_mobilenet_v2", num_classes=27).state_dict(), cached_file(PUBLISHED["tsm-jester"].address)
    ),
    "mc3-kinetics": lambda _: torch.save(create("mc3_18").state_dict(), cached_file(PUBLISHED["mc3-kinetics"].address)),
}
"""What a page that speaks of it is given beside the videos."""


@pytest.fixture(scope="module")
def cameras():
    """The addresses that the pages speak of, and those of real servers in their place."""
    with rtsp_server({"stream": ball()}) as server:
        yield {f"rtsp://{host}/stream": server.address("stream") for host in ("camera", "door")}


@pytest.fixture
def fleet():
    """Runs the commands of a fleet, on a cluster of its own: others may run on this machine, too."""
    running = []

    def do_fleet(arguments):
        if not running:
            running.append(Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False}))
        here = [socket.gethostname() if word == "node-7" else word for word in arguments if word != "--ray"]
        command = [BIN / "actionstream", *here, "--ray", running[0].address]
        if "cameras.toml" not in here:
            subprocess.run(command, check=True)
            return
        process = subprocess.Popen([*command, "--state", "state"], stderr=subprocess.PIPE, text=True)
        running.append(process)
        assert any(" gets sample" in line for line in process.stderr)

    yield do_fleet
    for process in running[1:]:
        process.terminate()
        process.communicate(timeout=60)
    for cluster in running[:1]:
        cluster.shutdown()


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_the_blocks_of_a_page_run(page, run, folder, checkpoint, cameras, fleet, monkeypatch):
    """In order, since some need what others wrote."""
    text = page.read_text()
    if "tsm-jester" in text or "mc3-kinetics" in text:
        monkeypatch.setenv("ACTIONSTREAM_CACHE", str(folder))
    for word, write in WRITERS.items():
        if word in text:
            write(folder)
    if page.name in ("live.md", "serve.md"):
        shutil.copy(checkpoint, folder / "mine.safetensors")
    if page == ROOT / "README.md" or "actionstream fleet" in text:
        write_example(run, folder / "cameras.toml")
    frames = [(n / 15, picture) for n, picture in enumerate(images(8))]
    for language, block in blocks(page):
        if language == "sh":
            for command in commands(block):
                do(command, run, cameras, fleet)
        elif language == "python":
            for address, here in cameras.items():
                block = block.replace(address, here)
            exec(compile(block, page.name, "exec"), {"frames": frames})
        elif language == "json":
            for line in block.splitlines():
                Draft202012Validator(json.loads(SCHEMA_FILE.read_text())).validate(json.loads(line))
        elif language == "toml" and "[cameras." in block:
            monkeypatch.setenv("DOOR_PASSWORD", "tulip")
            (folder / "mqtt-password.txt").write_text("tulip")
            parse_settings(block, folder / "cameras.toml")
        elif language == "toml":
            (folder / "two-stream.toml").write_text(block)


def do(command, run, cameras, fleet):
    """Run a command, in a small form where it takes long."""
    program, *arguments = [{**cameras, "0": "film.mp4"}.get(word, word) for word in shlex.split(command)]
    here = [str(BIN / program), *arguments]
    if program == "make":
        return  # test_make
    if program == "pytest":
        subprocess.run([*here, "-q", "--no-header", "-p", "no:cacheprovider"], check=True, cwd=ROOT)
    elif any(word in command for word in MEASURED):
        subprocess.run([*here, "--help"], check=True, stdout=subprocess.DEVNULL)
    elif program == "torchrun":
        here = [word.replace("8", "1") if word.isdecimal() else word for word in here]
        more = SMALLER["train --data"] + ["--model", "tsm_resnet18", "--start", "none"]
        subprocess.run([*here, *more], check=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    elif arguments[0] == "fleet":
        fleet(arguments)
    elif "--ray" in arguments:  # Ray keeps threads and warnings of its own in a process
        subprocess.run(here, check=True)
    else:
        assert program == "actionstream", command
        do_in_process(arguments, run, cameras)


def do_in_process(arguments, run, cameras):
    name = arguments[0]
    if "--watch-list" in arguments:
        follow(arguments, cameras)
    elif name in ("demo", "annotate"):
        serve(arguments)
    elif arguments == ["serve", "cameras.toml"]:
        serve_cameras(arguments)
    elif arguments[:3] == ["serve", "--example", ">"]:
        write_example(run, Path(arguments[3]))
    else:
        live = ["--max-frames", "30"] if set(arguments) & set(cameras.values()) else []
        smaller = next((more for begin, more in SMALLER.items() if " ".join(arguments).startswith(begin)), [])
        code, _, err = run(*arguments, *live, *smaller)
        if "--show" in arguments:
            assert (code, "--show needs a desktop" in err) == (2, True)
        else:
            assert code == 0, (arguments, err)


def write_example(run, path):
    """The example of `serve`, with another port, since other tests serve, too."""
    code, out, err = run("serve", "--example")
    assert (code, err) == (0, "")
    path.write_text(out.replace("127.0.0.1:9160", f"127.0.0.1:{free_port()}"))


@contextmanager
def started(*arguments, **pipe):
    """A command that goes on until the test stops it; whatever the test finds, it is gone afterwards."""
    with subprocess.Popen([BIN / "actionstream", *arguments], **pipe, text=True) as process:
        try:
            yield process
            assert process.wait(30) == 143
        finally:
            process.kill()


def follow(arguments, cameras):
    Path(arguments[-1]).write_text("\n".join(cameras.values()))
    with started(*arguments, "--json", stdout=subprocess.PIPE) as process:
        assert any('"labels"' in line for line in process.stdout)
        process.terminate()
        assert process.stdout.read().endswith("\n")


def serve(arguments):
    port = free_port()
    with started(*arguments, "--port", str(port), stderr=subprocess.PIPE) as process:
        assert re.search(rf":{port}/(#[\w-]{{22}})? \(Ctrl-C ends\)$", process.stderr.readline())
        process.terminate()
        assert process.stderr.read() == ""


def serve_cameras(arguments):
    with started(*arguments, "--state", "state", stderr=subprocess.PIPE) as process:
        assert "cameras are watched: sample" in process.stderr.readline()
        process.terminate()
        for notice in process.stderr:  # none, where it is stopped before the camera is opened
            assert notice.startswith("actionstream: sample: ")


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_the_blocks_of_a_page_say_what_they_are(page):
    """A block without a language, and one by indentation alone, would not run."""
    assert {language for language, _ in blocks(page)} <= LANGUAGES
    prose = BLOCK.sub("", page.read_text())
    assert "```" not in prose
    assert not re.search(r"^\n {4,}\S", prose, re.MULTILINE)
    rulers = [line for line in prose.splitlines() if "| ---" in line]
    assert all(re.fullmatch(r"(\| -+:? )+\|", line) for line in rulers)  # a table, not one that was wrapped as text


@pytest.mark.parametrize("command", [line for line in commands(BLOCK.search(README)[2]) if line.startswith("make")])
def test_make(command):
    planned = subprocess.check_output([*shlex.split(command), "--dry-run"], cwd=ROOT, text=True)
    source = "0" if "SOURCE=0" in command else "sample"
    wanted = {"test": "pytest", "watch": f'actionstream watch --realtime "{source}"'}
    assert wanted[command.split()[1]] in planned


def test_the_reference_is_planned():
    assert "make docs" in README
    assert "reference.py" in subprocess.check_output(["make", "docs", "--dry-run"], cwd=ROOT, text=True)


def test_output_of_the_sample(run):
    """What README shows is what `make watch` prints, but for speed and the last digits."""
    _, out, _ = run("watch", str(SAMPLE))
    printed = re.findall(r"([\d.]+) s +([\d.]+) s +(\w+)", out)
    shown = re.findall(r"^ +([\d.]+) s +([\d.]+) s +(\w+)$", README, re.MULTILINE)
    assert [label for _, _, label in shown] == [label for _, _, label in printed]
    for (a, b, _), (c, d, _) in zip(shown, printed, strict=True):
        assert (float(a), float(b)) == pytest.approx((float(c), float(d)), abs=0.15)


def test_figures_of_motion():
    page = (ROOT / "models" / "README.md").read_text()
    card = read_card("motion")
    for name, values in card.accuracy["sets"].items():
        (row,) = [line for line in page.splitlines() if line.startswith(f"| {name} |")]
        shown = [float(number) for number in re.findall(r"\d+\.\d", row)]
        expected = [values["clips"], values["opposites"], *values["frames"].values()]
        assert shown[: len(expected)] == [round(100 * share, 1) for share in expected]
    steps = inspect.signature(train_motion_recipe).parameters["steps"].default
    assert steps == card.training["steps"]
    assert f"Training is {steps:,} steps" in page.replace("\n", " ")
    starts = card.accuracy["false_starts"]
    assert f"{starts['starts']} false starts in {starts['hours'] * 60:.1f} minutes" in page


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_pictures_are_there(page):
    for name in re.findall(r"!\[.*?\]\((.*?)\)", page.read_text()):
        assert (page.parent / name).is_file()
