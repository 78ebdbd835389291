"""The reference: built without warnings, with all public names, commands and options; its links lead somewhere."""

import re
import subprocess
import sys
from html import unescape
from urllib.parse import unquote, urlsplit

import pytest
import typer
from helpers import ROOT

from actionstream.cli.main import app


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """The text of each page by its path."""
    folder = tmp_path_factory.mktemp("docs")
    command = [sys.executable, "-W", "error", ROOT / ".ci" / "reference.py", folder]
    subprocess.run(command, check=True, capture_output=True, text=True)
    return {path.relative_to(folder): path.read_text() for path in folder.rglob("*.html")}


@pytest.mark.slow
def test_the_reference(pages):
    targets = {path: set(re.findall(r'\bid="([^"]*)"', text)) for path, text in pages.items()}
    links = [(path, unescape(link)) for path, text in pages.items() for link in re.findall(r'\bhref="([^"]*)"', text)]
    inside = [(path, urlsplit(link)) for path, link in links if not urlsplit(link).scheme]
    assert len(inside) > 300
    for path, link in inside:
        parts = [part for part in (path.parent / unquote(link.path)).parts if part != "."] if link.path else path.parts
        while ".." in parts:
            place = parts.index("..")
            parts = parts[: place - 1] + parts[place + 1 :]
        (target,) = [each for each in targets if each.parts == tuple(parts)]
        assert not link.fragment or unquote(link.fragment) in targets[target], (path, link)

    named = {path.with_suffix("").as_posix().replace("/", "."): ids for path, ids in targets.items()}
    for name in (ROOT / "tests" / "golden" / "public_names.txt").read_text().split():
        room, _, word = name.rpartition(".")
        assert word in named[room], name

    (text,) = [unescape(text) for path, text in pages.items() if path.name == "commands.html"]
    for command in commands():
        for option in (option for parameter in command.params for option in parameter.opts if option.startswith("--")):
            assert option in text


def commands():
    """All commands, also those inside others."""
    for command in typer.main.get_command(app).commands.values():
        yield from getattr(command, "commands", {"": command}).values()


def test_no_sentence_of_the_help_is_long():
    for command in commands():
        for text in (command.help, *(parameter.help for parameter in command.params)):
            for sentence in re.split(r"(?<=[.:;])\s+|\n\n", text or ""):
                assert len(sentence.split()) <= 30, sentence
