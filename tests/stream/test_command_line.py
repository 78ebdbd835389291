"""The command line as a whole: its name, its version, what each option says of itself."""

import os
import re
import signal
import subprocess
import sys
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import get_args

import pytest
import typer

import actionstream
from actionstream.choices import Policy, RuntimeName
from actionstream.cli.main import app
from actionstream.commands import signals
from actionstream.models.common.choices import ModalityName

ACTIONSTREAM = Path(sys.executable).with_name("actionstream")
COMMANDS = (
    "watch",
    "label",
    "teach",
    "demo",
    "annotate",
    "sources",
    "record",
    "frames",
    "features",
    "models",
    "runtimes",
    "convert",
    "train",
    "export",
)


def every_command(command=None, name="actionstream"):
    command = command or typer.main.get_command(app)
    yield name, command
    for each, inner in getattr(command, "commands", {}).items():
        yield from every_command(inner, f"{name} {each}")


def test_the_version(run):
    assert actionstream.__version__ == version("actionstream")
    assert run("--version") == (0, f"actionstream {version('actionstream')}\n", "")
    module = [sys.executable, "-m", "actionstream", "--version"]
    assert subprocess.check_output(module, text=True) == f"actionstream {version('actionstream')}\n"
    with pytest.raises(AttributeError, match="no attribute 'versions'"):
        _ = actionstream.versions


def test_every_command_and_option_is_explained():
    found = dict(every_command())
    assert {f"actionstream {name}" for name in (*COMMANDS, "test", "evaluate", "bench", "bench start")} < set(found)
    for name, command in found.items():
        assert re.fullmatch(r"[A-Z].*\.", command.help.strip().splitlines()[0]), name
        for parameter in command.params:
            assert re.fullmatch(r"[A-Za-z].*\.", parameter.help or ""), (name, parameter.name)


def test_an_option_has_the_choices_of_the_library(run):
    _, text, _ = run("watch", "--help")
    assert f"--policy <{'|'.join(get_args(Policy))}>" in text
    assert f"--runtime <{'|'.join(get_args(RuntimeName))}>" in text
    _, text, _ = run("train", "--help")
    assert f"--modality <{'|'.join(get_args(ModalityName))}>".replace("|features", "") in text


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("watch", "sample", "--policy", "oldest"), "'oldest' is not one of 'auto', 'newest', 'every'"),
        (("watch", "sample", "--top", "0"), "'--top'"),
        (("wach",), "No such command 'wach'"),
        (("evaluate", "olympics", "--truth", "x"), "'olympics' is not one of 'thumos14', 'activitynet'"),
    ],
)
def test_wrong_usage_is_plain_text(arguments, told, run):
    code, out, err = run(*arguments)
    assert (code, out) == (2, "")
    assert err.startswith("Usage: actionstream ")
    assert told in err.splitlines()[-1]
    assert err.isascii()


def test_each_command_has_a_file_of_options():
    for name in typer.main.get_command(app).commands:
        module = import_module(f"actionstream.cli.{name}")
        assert hasattr(module, name)


def test_a_timer_of_somebody_else_goes_on():
    """Such as that which ends a test that takes too long."""
    before = signal.setitimer(signal.ITIMER_REAL, 100)
    try:
        with signals.raised():
            pass
    finally:
        assert signal.setitimer(signal.ITIMER_REAL, *before)[0] > 0


SLOW_END = """
import os, signal, sys, time
from actionstream.commands import signals

class Slow:
    def __del__(self, sleep=time.sleep):
        sleep(0.8)

slow = Slow()  # as large libraries are, when Python has taken its signal handlers away
try:
    with signals.raised():
        os.kill(os.getpid(), signal.SIGINT)
except signals.Stopped as stopped:
    signals.arrived()
    sys.exit(stopped.exit_code)
"""


STOPPED_IN_IMPORT = """
import os, signal, sys

class Finder:
    def find_spec(self, name, *_):
        if name == "onnxruntime":
            sys.meta_path.remove(self)
            try:
                os.kill(os.getpid(), signal.SIGTERM)
            except BaseException:  # as the C++ of a library does
                raise ImportError("initialization failed") from None

sys.meta_path.insert(0, Finder())
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["watch", "sample"], ""),
        (["serve", "cameras.toml", "--state", "state"], "cameras are watched: sample\n"),
    ],
)
def test_signal_that_an_import_turns_into_an_error(tmp_path, arguments, said):
    (tmp_path / "sitecustomize.py").write_text(STOPPED_IN_IMPORT)
    (tmp_path / "cameras.toml").write_text('[server]\nhttp = "off"\n[cameras.sample]\nsource = "sample"\n')
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    done = subprocess.run(
        [ACTIONSTREAM, *arguments], check=False, capture_output=True, text=True, cwd=tmp_path, env=environment
    )
    assert (done.returncode, done.stderr.removeprefix("actionstream: ")) == (143, said)


@pytest.mark.waits
def test_ctrl_c_has_its_exit_code_where_the_end_of_python_takes_a_while():
    assert subprocess.run([sys.executable, "-c", SLOW_END], check=False).returncode == 130
