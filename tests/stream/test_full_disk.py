"""A disk that is full while a command writes: one line, which names the file and the reason, and no part of a file."""

import resource
import subprocess
import sys

import pytest
import torch
import torchvision

from actionstream.sources import SAMPLE

ROOM = 4000
"""Bytes of the largest file that can be written; the system then says "File too large" in place of "No space left"."""


@pytest.mark.parametrize(
    ("file", "arguments"),
    [
        ("out/sample.png", ("label", "sample", "--out", "out")),
        ("maps/clip.npy", ("features", "videos", "-o", "maps", "--model", "motion")),
        ("frames/clip", ("frames", "videos", "-o", "frames")),
        ("mine.safetensors", ("convert", "weights.pth", "-o", "mine.safetensors")),
        ("motion.pt2", ("export", "motion", "-o", "motion.pt2", "--to", "torch-export")),
        ("wave/wave_001.mp4", ("record", "wave", "--camera", "sample", "-o", ".", "--pause", "0", "--clips", "1")),
    ],
)
def test_a_full_disk(tmp_path, file, arguments):
    (tmp_path / "videos").mkdir()
    (tmp_path / "videos" / "clip.mp4").symlink_to(SAMPLE)
    if arguments[0] == "convert":
        torch.save(torchvision.models.mobilenet_v2(weights=None).state_dict(), tmp_path / "weights.pth")
    room = 100 if arguments[0] == "frames" else ROOM  # a picture of the sample is small
    done = subprocess.run(
        [sys.executable, "-m", "actionstream", *arguments],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (room, room)),
        timeout=120,
        check=False,
    )
    said = done.stderr.splitlines()[-1]
    assert (done.returncode, said.startswith(f"actionstream: {file} cannot be written: File too large")) == (2, True), (
        done.stderr
    )
    assert not (tmp_path / file).exists()
    kept = [path for path in tmp_path.rglob("*partial*") if path.suffix != ".mp4"]  # a part of a video plays
    assert not kept
