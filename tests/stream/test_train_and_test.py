"""The commands `train` and `test`, small."""

import json

import pytest
import torch
from helpers import images, write_video

from actionstream import watch
from actionstream.models import load, read_card


@pytest.mark.slow
def test_train_then_measure_then_watch(run, tmp_path):
    path = tmp_path / "runs" / "mine.safetensors"
    code, out, _ = run("train", "motion", "-o", path, "--steps", 2, "--device", "cpu", "--shift", "none")
    assert code == 0
    assert f"wrote {path}" in out
    assert not path.with_suffix(".state").exists()
    card = read_card(path)
    assert card.training["command"] == "actionstream train motion --shift none --steps 2 --seed 0"
    assert card.training["steps"] == 2
    assert card.shift == "none"
    folder = tmp_path / "videos"
    folder.mkdir()
    write_video(folder / "a.mp4", images(45, height=64, width=96))
    (folder / "bad.mp4").write_bytes(b"no video")  # is named, and does not end the rest
    command = ["test", path, "--clips", 20, "--pictures", folder, "--background", folder]
    code, out, err = run(*command, "--write", "--json")
    assert code == 0, err
    assert [line.partition("bad.mp4")[0] for line in err.splitlines() if "left out" in line] == ["left out: "] * 2
    figures = json.loads(out.splitlines()[-1])
    assert len(figures["sets"]) == 4
    assert figures["false_starts"]["hours"] == pytest.approx(1.5 / 3600, abs=1e-4)
    assert read_card(path).accuracy["sets"].keys() == figures["sets"].keys()
    code, out, _ = run(*command)
    assert code == 0
    assert "rendered, object" in out
    assert "starts in" in out
    assert len(list(watch(folder / "a.mp4", model=path))) == 23
    assert not load(path)[0].training


def test_bad_input(run, tmp_path):
    begun = {"step": 1, "loss": 0.5, "network": {}, "optimiser": {}, "scaler": {}}
    torch.save({**begun, "command": "actionstream train motion --steps 7"}, tmp_path / "begun.state")
    for arguments, message in [
        (["train", "motion", "-o", tmp_path / "begun.safetensors"], "belongs to actionstream train motion --steps 7"),
        (["train", "motion", "-o", tmp_path / "x", "--epochs", 3], "the recipe motion has no --epochs; it has --shift"),
        (["train", "dance", "-o", tmp_path / "x"], "no recipe 'dance'; there are motion, ut-interaction"),
        (["test", "absent"], "no model 'absent'"),
        (["test", "--clips", 10, "--pictures", tmp_path], "no videos in"),
    ]:
        code, _, err = run(*arguments)
        assert code == 2
        assert message in err
        assert err.count("\n") == 1
