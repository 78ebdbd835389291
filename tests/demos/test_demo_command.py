"""`actionstream demo`: what cannot be served is one line, and leaves nothing behind."""

import os
import re
import socket
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest

from actionstream import demos
from actionstream.demos.page.limits import Limits


@pytest.fixture
def temporary(monkeypatch, tmp_path):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.delenv("GRADIO_TEMP_DIR", raising=False)
    yield tmp_path
    assert list(tmp_path.glob("actionstream-*")) == []


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--model", "nothing"], "no model 'nothing'"),
        (["--max-minutes", "-1"], "max_minutes is -1.0; expected more than 0"),
    ],
)
def test_what_makes_no_sense(run, temporary, options, words):
    code, out, err = run("demo", *options)
    assert (code, out) == (2, "")
    assert words in err
    assert len(err.splitlines()) == 1


@pytest.mark.waits
def test_a_port_that_another_program_has(tmp_path):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        command = [sys.executable, "-m", "actionstream", "demo", "--port", str(port)]
        environment = {**os.environ, "TMPDIR": str(tmp_path)}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"actionstream: port {port} is taken by another program; give another one, --port\n"
    assert list(tmp_path.iterdir()) == []


def test_each_limit_is_an_option_and_a_row_of_the_table(run):
    """With the default that the code has; --help tells it, too."""
    defaults = {each.name: each.default for each in fields(Limits) if each.name != "allow_private"}
    text = (Path(demos.__file__).parent / "page" / "README.md").read_text()
    rows = re.findall(r"^\| `--([\w-]+)` \| ([\d.]+) \| (.+) \|$", text, re.MULTILINE)
    assert {name.replace("-", "_"): float(default) for name, default, _ in rows} == defaults
    code, told, _ = run("demo", "--help")
    assert code == 0
    told = " ".join(told.split())
    for name, default, meaning in rows:
        assert re.search(rf"--{name} <[a-z ]+> {re.escape(meaning)}\. +\[default: {default}\]", told), name


@pytest.mark.parametrize("name", ["max_streams", "head_seconds"])
def test_a_limit_reaches_the_page(run, monkeypatch, name):
    given = []
    monkeypatch.setattr("actionstream.demos.page.server.serve", lambda **options: given.append(options["limits"]))
    assert run("demo", f"--{name.replace('_', '-')}", "7")[0] == 0
    assert getattr(given[0], name) == 7
