"""`actionstream models`, and networks of the catalogue in `actionstream watch`, as a user has them."""

import json
import re

import pytest
import torch
import torchvision

from actionstream.models import list_models
from actionstream.models.networks.costs import COLUMNS
from actionstream.models.published import PUBLISHED


def test_a_network_says_how_it_streams(run):
    _, out, _ = run("models", "slow_r50")
    assert re.search(r"^streams +frame by frame, or 9 late$", out, re.MULTILINE)
    assert "\nstate, causal, frame by frame\n" in out
    _, out, _ = run("models", "smallbig_r50")
    assert re.search(r"^window +the last big view spans all frames of whole clips", out, re.MULTILINE)
    assert "\nstate, in a window of 8 frames\n" in out


def test_the_table(run):
    code, out, err = run("models")
    assert (code, err) == (0, "")
    table, checkpoints = out.split("\n\n")
    head, *rows = table.splitlines()
    assert re.split(" {2,}", head) == list(COLUMNS)
    assert [row.split()[0] for row in rows] == list_models()
    row = next(row for row in rows if row.startswith("tsm_resnet50 "))
    assert row.split("  ")[0] == "tsm_resnet50"
    assert "24.33 M" in row
    assert "2.81 MB" in row
    assert "  frame by frame  " in row
    head, *rows = checkpoints.splitlines()
    assert head.split() == ["checkpoint", "network", "labels", "licence", "where"]
    assert [row.split()[0] for row in rows] == ["imagenet", "motion", "motion-tsn", *PUBLISHED]
    assert rows[0].split()[-1] == "packaged"


def test_one_in_detail(run):
    code, out, err = run("models", "tsm_mobilenet_v2")
    assert (code, err) == (0, "")
    assert "actionstream.models.networks.mobilenet_v2.MobileNetV2" in out
    assert "3 x 56 x 56" in out
    assert "37,632 bytes" in out
    code, out, err = run("models", "timeception_i3d")
    assert (code, err) == (0, "")
    assert "128 x 1024 x 7 x 7" in out
    code, out, err = run("models", "tsm-jester")
    assert (code, err) == (0, "")
    assert "mobilenetv2_jester_online.pth.tar" in out
    assert "actionstream.models.networks.mobilenet_v2.MobileNetV2" in out
    code, out, err = run("models", "motion")
    assert (code, err) == (0, "")
    assert "network           tsm_resnet18\n" in out
    assert "labels            left, right, " in out
    assert "fc                              Linear                         2,570\n" in out  # of half as many channels
    assert "nearest are tsm-jester" in run("models", "tsm-jestr")[2]
    code, out, err = run("models", "slowfats")
    assert code == 2
    assert err.startswith("actionstream: no model 'slowfats': give the path of a checkpoint, or a name of")
    assert "; nearest are slow" in err
    assert len(err.splitlines()) == 1


@pytest.mark.slow
def test_a_network_for_clips_runs_live(run, tmp_path):
    torch.manual_seed(0)
    torch.save(torchvision.models.video.r3d_18(num_classes=3).state_dict(), tmp_path / "weights.pth")
    (tmp_path / "labels.txt").write_text("wave\nclap\nnod\n")
    options = ("--weights", tmp_path / "weights.pth", "--labels", tmp_path / "labels.txt")
    code, out, err = run("watch", "sample", "--json", "--max-frames", 12, "--model", "r3d_18", *options)
    assert (code, err) == (0, "")
    lines = [each for each in map(json.loads, out.splitlines()) if "labels" in each]
    assert len(lines) == 6  # every second frame, as the catalogue says
    assert {label["label"] for label in lines[0]["labels"]} == {"wave", "clap", "nod"}
    assert lines[0]["labels"] != lines[-1]["labels"]

    code, _, err = run("watch", "sample", "--model", "r3d_18")
    assert (code, len(err.splitlines())) == (2, 1)
    assert "r3d_18 is a network without weights: give a file of them as well" in err
    code, _, err = run("watch", "sample", "--model", "slowfast_r50_4x16", *options)
    assert (code, len(err.splitlines())) == (2, 1)
    assert "not weights of slowfast_r50_4x16" in err
    code, _, err = run("watch", "sample", "--labels", tmp_path / "labels.txt")
    assert (code, len(err.splitlines())) == (2, 1)
    assert "a checkpoint has labels of its own" in err
