"""Fixtures that several tests share."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from filelock import FileLock
from helpers import ROOT, random_card, random_network, tracked

from actionstream.cli import main as cli
from actionstream.models.weights.checkpoint import save

if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:  # as in the background of a shell; programs under test inherit it
    signal.signal(signal.SIGINT, signal.default_int_handler)
if signal.getsignal(signal.SIGHUP) == signal.SIG_IGN:  # as by nohup
    signal.signal(signal.SIGHUP, signal.SIG_DFL)

pytest.register_assert_rewrite("browser", "servers")  # what they find wrong is told in full


def pytest_collection_modifyitems(items):
    """What has a time limit of its own is longest, and begins first, so that several processes end together."""
    items.sort(key=lambda item: item.get_closest_marker("timeout") is None)


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory) -> Path:
    """A checkpoint of a small random network."""
    path = tmp_path_factory.mktemp("checkpoint") / "random.safetensors"
    card = random_card()
    save(path, random_network(card), card)
    return path


@pytest.fixture(scope="session")
def exports(tmp_path_factory) -> Path:
    """A folder with the checkpoint of a small random network and its exports in all formats; one for all workers."""
    from actionstream.models.export.files import SUFFIXES, export

    folder = tmp_path_factory.getbasetemp()
    folder = (folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder) / "exports"
    folder.mkdir(exist_ok=True)
    with FileLock(folder / "lock"):
        for to, suffix in SUFFIXES.items():
            if not (folder / f"model{suffix}").exists():
                card = random_card()
                save(folder / "model.safetensors", random_network(card), card)
                export(random_network(card), card, folder / f"model{suffix}", to=to, checkpoint="abc")
    return folder


@pytest.fixture(scope="session")
def playwright():
    """One for all browsers: a process can have no second one."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as one:
        yield one


@pytest.fixture(scope="session")
def wheel(tmp_path_factory) -> Path:
    """The wheel of the project, built from a copy of what git knows of."""
    folder = tmp_path_factory.mktemp("wheel")
    for path in tracked():
        if path.relative_to(ROOT).parts[0] != "tests":
            copy = folder / "source" / path.relative_to(ROOT)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, copy)
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder, folder / "source"]
    subprocess.run(build, check=True, capture_output=True)
    shutil.rmtree(folder / "source")
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture
def run(monkeypatch, capfd):
    """Run the command line in this process: its exit code, and what it printed."""

    def run(*arguments):
        monkeypatch.setattr("sys.argv", ["actionstream", *map(str, arguments)])
        with pytest.raises(SystemExit) as exit_:
            cli.main()
        out, err = capfd.readouterr()
        return exit_.value.code, out, err

    return run
