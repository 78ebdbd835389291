"""Benchmarks run, and say what they should; how fast anything is they find out elsewhere."""

import json
import math
import subprocess
import sys
from dataclasses import replace

import pytest
import torch
from helpers import images, random_card, random_network, write_video

from actionstream.models import save


@pytest.mark.slow
def test_the_gpu_report_can_be_rehearsed(tmp_path):
    """All of it on small shapes, in a program that has neither av nor gradio nor typer."""
    program = (
        "import runpy, sys\n"
        "for name in ('av', 'gradio', 'typer'):\n    sys.modules[name] = None\n"
        "sys.argv[1:] = [sys.argv[1], '--rehearse']\n"
        "runpy.run_module('actionstream.benchmarks.gpu', run_name='__main__')"
    )
    subprocess.run([sys.executable, "-c", program, str(tmp_path)], check=True, capture_output=True)
    report = json.loads((tmp_path / "gpu.json").read_text())
    assert report["correct"] == {"comparisons": 140, "wrong": 0}
    assert "a rehearsal" in report["machine"]["device"]
    assert {row["network"] for row in report["bandwidth"]} == {"tsm_resnet50", "tsm_mobilenet_v2"}
    for part in ("bandwidth", "alternatives", "online_step", "throughput", "memory"):
        assert all(math.isfinite(value) for row in report[part] for value in row.values() if isinstance(value, float))
        assert f"## {part.replace('_', ' ')}" in (tmp_path / "gpu.md").read_text()
    assert sum(row["times"] for row in report["bandwidth"] if row["batch"] == 1) == 16 + 10


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU, which the report would use for minutes")
def test_without_a_gpu_it_says_so(tmp_path):
    command = [sys.executable, "-m", "actionstream.benchmarks.gpu", str(tmp_path)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (result.returncode, result.stderr.count("\n")) == (1, 1)
    assert "there is no CUDA device here; --rehearse runs all of it on the CPU" in result.stderr


@pytest.mark.slow
def test_ten_minutes_of_video_take_no_more_memory_than_one(tmp_path):
    card = replace(random_card(), interval_seconds=0.2, frame_seconds=0.2)
    save(tmp_path / "model.safetensors", random_network(card), card)
    write_video(tmp_path / "clip.mp4", images(90))
    arguments = ["--hours", str(1 / 6), "--model", str(tmp_path / "model.safetensors"), "--passes", "1"]
    command = [sys.executable, "-m", "actionstream.benchmarks.long_video", str(tmp_path / "clip.mp4"), *arguments]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    report = json.loads(result.stdout)
    whole = report["whole"]
    assert whole["seconds_of_video"] == pytest.approx(600, abs=0.1)
    assert whole["rows"] == pytest.approx(3000, abs=3)
    assert whole["rows_megabytes"] == pytest.approx(whole["rows"] * (8 + 8 + 4 * len(card.labels)) / 1e6)
    assert whole["growth_beyond_rows_megabytes"] < 50
    assert whole["peak_beyond_last_megabytes"] < 50
    assert whole["megabytes"]["peak"] >= whole["megabytes"]["highest_later"] > 0
    spent = report["time"]
    assert len(spent["ratios"]) == 1
    assert min(spent["decode_seconds"], spent["score_seconds"], spent["both_seconds"]) > 0
    assert spent["seconds_of_video"] == pytest.approx(120, abs=0.1)
    per_second = max(spent["decode_seconds"], spent["score_seconds"]) / spent["seconds_of_video"]
    assert whole["seconds_over_the_slower"] == pytest.approx(whole["seconds"] / 600 / per_second, rel=1e-3)
    command[3] = "gone.mp4"
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (result.returncode, result.stderr.count("\n")) == (1, 1)
    assert "gone.mp4" in result.stderr


@pytest.mark.slow
def test_what_ray_costs(tmp_path):
    write_video(tmp_path / "clip.mp4", images(40), rate=10)
    command = [sys.executable, "-m", "actionstream.benchmarks.archives", str(tmp_path / "clip.mp4")]
    command += ["--videos", "3", "--seconds", "4", "--rounds", "1"]
    report = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    (ratio,) = report["ratios"]
    assert ratio == report["seconds"]["ray"][0] / report["seconds"]["plain"][0] > 0
    assert all(seconds > 0 for side in report["start_seconds"].values() for seconds in side)
