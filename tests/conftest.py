"""Fixtures that several tests share."""

from pathlib import Path

import pytest
from helpers import random_card, random_network

from models.checkpoint import save
from stream import cli


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory) -> Path:
    """A checkpoint of a small random network."""
    path = tmp_path_factory.mktemp("checkpoint") / "random.safetensors"
    card = random_card()
    save(path, random_network(card), card)
    return path


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
