"""The command `fleet` where it cannot begin, and its benchmark."""

import json
import subprocess
import sys

import pytest


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ([], "fleet has no FILE; `actionstream serve --example > cameras.toml` makes one"),
        (["--status", "cameras.toml"], "FILE is for a fleet to start; leave it out with --status, --drain, --undrain"),
        (["--drain", "a", "--state", "s"], "--state is for a fleet to start; leave it out with --status"),
        (["--undrain", "a", "cameras.toml"], "FILE is for a fleet to start; leave it out with --status"),
        (["none.toml"], "none.toml cannot be read: No such file or directory"),
        (["wrong.toml"], "wrong.toml:1: cameras.door.threshold is 3; expected"),
        (["clips.toml"], "clips.toml has [clips]; a fleet writes no clips; take it out, or use serve"),
        (["cameras.toml", "--ray", "127.0.0.1:9"], "no Ray cluster answers at 127.0.0.1:9"),
        (["--status", "--ray", "127.0.0.1:9"], "no Ray cluster answers at 127.0.0.1:9"),
    ],
)
def test_what_is_wrong_is_told_in_a_line(run, tmp_path, monkeypatch, arguments, told):
    monkeypatch.chdir(tmp_path)
    camera = '[cameras.door]\nsource = "sample"\n'
    (tmp_path / "cameras.toml").write_text(camera)
    (tmp_path / "clips.toml").write_text(camera + '[clips]\nfolder = "clips"\n')
    (tmp_path / "wrong.toml").write_text('cameras.door = { source = "sample", threshold = 3 }\n')
    code, out, err = run("fleet", *arguments)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert told in err


@pytest.mark.slow
def test_the_benchmark(tmp_path):
    command = [sys.executable, "-m", "actionstream.benchmarks.fleet", "--cameras", "1", "--seconds", "3"]
    report = json.loads(subprocess.check_output([*command, "--json"], cwd=tmp_path))
    assert report["camera"]["cpu_seconds"] > 0
    assert report["camera"]["records"] > 0
    assert report["camera"]["report_bytes"] < 5000
    assert [each["cameras"] for each in report["fleets"]] == [100, 1_000, 10_000]
    assert report["coordinator"]["reports"] > 0
    text = subprocess.check_output(command, cwd=tmp_path, text=True)
    print(text)
    assert "the first limit at 100: " in text
