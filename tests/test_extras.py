"""Where an optional package is not installed, what needs it says its extra, and nothing else needs it."""

import json
import re
import subprocess
import sys
import tomllib

import pytest
from helpers import ROOT, images, write_video

from actionstream.models.common.errors import ActionstreamError
from actionstream.models.common.extras import EXTRAS, extras_named, needs

IMPORTED_AS = {
    "opencv-python": "cv2",
    "onnx-ir": "onnx_ir",
    "cupy-cuda13x": "cupy",
    "paho-mqtt": "paho",
    "prometheus-client": "prometheus_client",
}
OPTIONAL = {package for packages in EXTRAS.values() for package in packages}
HIDE = """
import json, sys
for name in json.loads(sys.argv.pop(1)):
    sys.modules[name] = None
from actionstream.cli.main import main
main()
"""


def without(hidden, *arguments, folder):
    """The command line where packages cannot be imported."""
    command = [sys.executable, "-c", HIDE, json.dumps(sorted(hidden)), *map(str, arguments)]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def test_the_table_is_that_of_the_package():
    listed = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]

    def packages(extra):
        for requirement in listed[extra]:
            name, others = re.match(r"([\w-]+)(?:\[(.*)\])?", requirement).groups()
            if name == "actionstream":
                yield from (package for other in others.split(",") for package in packages(other))
            else:
                yield IMPORTED_AS.get(name, name)

    assert {extra: set(packages) for extra, packages in EXTRAS.items()} == {
        extra: set(packages(extra)) for extra in listed.keys() - {"all", "dev"}
    }


def test_what_is_missing_is_named(monkeypatch):
    for name in ("cv2", "tensorboard"):
        monkeypatch.setitem(sys.modules, name, None)
    needs("torch")
    with pytest.raises(ActionstreamError, match=r"^cv2 is not .* pip install 'actionstream\[camera\]', or draw$"):
        needs("camera", instead="draw")
    with pytest.raises(ActionstreamError, match=r"^cv2, tensorboard are not installed; they are .*\[train\]'$"):
        needs("train")
    with pytest.raises(ActionstreamError, match=r"^tensorboard is not .*\[train\]'$"), extras_named():
        import tensorboard.compat  # noqa: F401
    with pytest.raises(ModuleNotFoundError, match="nothing_of_this_name"), extras_named():
        import nothing_of_this_name  # noqa: F401


@pytest.mark.parametrize(
    ("extra", "command"),
    [
        ("train", ("train", "--data", "clips", "-o", "run")),
        ("export", ("export", "motion", "-o", "motion.onnx")),
        ("page", ("demo",)),
        ("page", ("annotate", "videos", "-o", "segments.json")),
        ("camera", ("watch", "0")),
        ("camera", ("watch", "sample", "--save", "out.mp4")),
        ("openvino", ("watch", "sample", "--runtime", "openvino")),
        ("torch", ("watch", "sample", "--runtime", "torch")),
        ("torch", ("watch", "sample", "--device", "cuda")),
        ("pictures", ("label", "sample")),
        ("ray", ("label", "sample", "--ray")),
        ("ray", ("fleet", "cameras.toml", "--ray")),
        ("ray", ("features", "clips", "--model", "motion", "-o", "features", "--ray")),
        ("ray", ("evaluate", "activitynet", "--videos", "clips", "--truth", "days.csv", "--ray")),
        ("torch", ("features", "clips", "--model", "motion", "-o", "features")),
    ],
    ids=lambda value: value if isinstance(value, str) else " ".join(value),
)
def test_a_command_says_its_extra(extra, command, tmp_path):
    done = without(OPTIONAL, *command, folder=tmp_path)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert f"not installed; {'they are' if ' are not' in line else 'it is'} in the extra" in line
    assert f"pip install 'actionstream[{extra}]'" in line


def test_watch_needs_none(tmp_path):
    done = without(OPTIONAL, "watch", "sample", "--max-frames", 4, "--json", folder=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert "labels" in json.loads(done.stdout.splitlines()[0])


@pytest.mark.slow
def test_an_extra_is_enough(tmp_path):
    """Each command with the packages of its extra, and without all others."""
    for number, label in enumerate(("wave", "clap") * 3):
        (tmp_path / "clips" / label).mkdir(parents=True, exist_ok=True)
        write_video(tmp_path / "clips" / label / f"{number}.mp4", images(12, seed=number))
    small = ("--epochs", 1, "--batch-size", 2, "--size", 32, "--workers", 0, "--device", "cpu")
    for extra, command in {
        "pictures": ("label", tmp_path / "clips" / "wave" / "0.mp4"),
        "train": ("train", "--data", "clips", "-o", "run", *small),
        "export": ("export", "motion", "-o", "motion.onnx"),
        "openvino": ("watch", "sample", "--runtime", "openvino", "--max-frames", 4),
    }.items():
        done = without(OPTIONAL - {*EXTRAS[extra]}, *command, folder=tmp_path)
        assert done.returncode == 0, done.stderr
    page = "import actionstream.demos.page.server, actionstream.demos.page.blocks, actionstream.demos.page.routes"
    program = HIDE.replace("from actionstream.cli.main import main\nmain()", page)
    hidden = json.dumps(sorted(OPTIONAL - {*EXTRAS["page"]}))
    subprocess.run([sys.executable, "-c", program, hidden], cwd=tmp_path, check=True)
