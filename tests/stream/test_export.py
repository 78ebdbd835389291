"""The command `export`, and its files in other hands."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SAMPLE = ROOT / "stream" / "assets" / "sample.mp4"


def labels_of(lines):
    return [line["labels"][0]["label"] for line in map(json.loads, lines.splitlines()) if "labels" in line]


def test_export_and_watch(checkpoint, tmp_path, run):
    code, out, err = run("export", checkpoint, "-o", tmp_path / "mine.onnx")
    assert code == 0, err
    assert "mine.onnx: tsm_resnet18, float32, takes pixels uint8 (B, 1, 32, 32, 3); 8 leaves of state; " in out
    watched = [
        run("watch", "sample", "--max-frames", 40, "--json", "--model", model, "--runtime", runtime)
        for model, runtime in ((checkpoint, "torch"), (tmp_path / "mine.onnx", "auto"))
    ]
    first, second = (labels_of(out) for _, out, _ in watched)
    assert first == second != []


@pytest.mark.slow
def test_int8_of_motion_for_openvino(tmp_path, run):
    code, out, err = run("export", "motion", "--int8", "--to", "openvino", "-o", tmp_path / "motion.xml")
    assert code == 0, err
    assert "int8, takes pixels" in out
    assert "the same label as float32 in 9" in out or "in 100.0 %" in out
    code, out, err = run("test", tmp_path / "motion.xml", "--clips", 20, "--json")
    assert code == 0, err
    assert json.loads(out)["sets"]["rendered, whole frame"]["clips"] >= 0.9


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("-o", "a.onnx", "--calibrate", "sample"), "--calibrate is for --int8"),
        (("-o", "a.onnx", "--to", "openvino"), "a.onnx is for openvino; let its name end in .xml"),
        (("-o", "a.onnx", "--int8", "--calibrate", "none.mp4"), "none.mp4"),
        (("-o", "a.onnx", "--chunk", "0"), "Input should be greater than or equal to 1"),
    ],
)
def test_bad_input(checkpoint, run, options, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, _, err = run("export", checkpoint, *options)
    assert code == 2
    assert message in err
    assert not list(tmp_path.iterdir())


def test_tests_of_exports_are_for_motion(exports, run):
    code, _, err = run("test", exports / "model.onnx")
    assert (code, "its model is not motion; test the checkpoint that it was made of" in err) == (2, True)


def test_the_example_needs_nothing_of_ours(tmp_path):
    program = (ROOT / "demos" / "exported.py").read_text()
    assert len(program.splitlines()) < 50
    (tmp_path / "exported.py").write_text(program)
    model = ROOT / "models" / "checkpoints" / "motion.onnx"
    lines = subprocess.check_output([sys.executable, "-I", "exported.py", model, SAMPLE], cwd=tmp_path, text=True)
    labels = [line.split()[-1] for line in lines.splitlines()]
    shown = ["still", "right", "left", "down", "up", "shaking", "closer", "away", "clockwise", "anticlockwise"]
    assert len(labels) == 330
    assert [labels[15 + 30 * second] for second in range(10)] == shown


@pytest.mark.slow
def test_watch_where_torch_is_not_installed(tmp_path, wheel):
    """The wheel, and what it depends on where no extra is asked for."""
    python = tmp_path / "venv" / "bin" / "python"
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "venv"], check=True)
    install = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*install, wheel], check=True, capture_output=True)
    watch = [tmp_path / "venv" / "bin" / "actionstream", "watch", "sample", "--json"]
    lines = subprocess.check_output(watch, cwd=tmp_path, text=True)
    assert len(labels_of(lines)) == 330
    failed = subprocess.run([*watch, "--runtime", "torch"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert failed.returncode == 2
    assert "torch is not installed; it is in the extra: pip install 'actionstream[torch]'" in failed.stderr
    megabytes = sum(path.stat().st_size for path in (tmp_path / "venv").rglob("*") if path.is_file()) / 1e6
    print(f"\n{megabytes:.0f} MB without torch")
