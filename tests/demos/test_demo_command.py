"""`actionstream demo`: what cannot be served is one line, and leaves nothing behind."""

import os
import socket
import subprocess
import sys

import pytest


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


@pytest.mark.alone
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
