"""One server and one browser for all tests of the page."""

import os
from pathlib import Path

import pytest
from browser import chromium, server, write_camera


@pytest.fixture(scope="session")
def site(tmp_path_factory):
    options = ["--allow-private", "--max-megabytes", "12", "--max-minutes", "1", "--max-height", "1080"]
    with server(*options, folder=tmp_path_factory.mktemp("server")) as one:
        yield one


@pytest.fixture(scope="session")
def browser(playwright, tmp_path_factory):
    with chromium(playwright, write_camera(tmp_path_factory.mktemp("camera") / "camera.y4m")) as one:
        yield one


@pytest.fixture(scope="session")
def screenshots(tmp_path_factory):
    """A folder for pictures of the page: that in ACTIONSTREAM_SCREENSHOTS, for README, or one that nobody keeps."""
    folder = Path(os.environ.get("ACTIONSTREAM_SCREENSHOTS") or tmp_path_factory.mktemp("screenshots"))
    folder.mkdir(exist_ok=True)
    return folder
