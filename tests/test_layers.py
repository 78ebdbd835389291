"""Imports point one way: between packages, between the rooms of a package, and between files."""

import ast
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest
from helpers import ROOT

FOLDERS = {
    "kernels": "actionstream.kernels",
    "models": "actionstream.models",
    "stream": "actionstream",
    "demos": "actionstream.demos",
}
"""The packages by their folders, each of which imports itself and those before it."""
ROOMS = {
    "kernels": ("temporal_shift_torch", "leaf", "temporal_context", "cuda", "operators", "temporal_shift", ""),
    "models": (
        "common",
        "labels",
        "preprocessing",
        "video",
        "annotations",
        "network",
        "over_time",
        "clip_network",
        "window",
        "streaming",
        "modality",
        "catalogue",  # imports a network by its name when one is built, which no test of files sees
        "networks",
        "card",
        "published",
        "locate",
        "weights",
        "backbones",
        "export",
        "training",
        "",
    ),
    "stream": (
        "choices",
        "packets",
        "frame",
        "sampler",
        "event_id",
        "cluster",
        "results",
        "records",
        "scoring",
        "sources",
        "runtimes",
        "engine",
        "teaching",
        "sinks",
        "live",
        "clips",
        "serve",
        "videos",
        "evaluation",
        "detector",
        "archives",
        "fleet",
        "benchmarks",
        "commands",
        "",
        "cli",
        "__main__",
    ),
}
"""The folders and files of a package, each of which imports itself and those before it; "" is its own names."""
PAGE = "actionstream.demos.page"
"""What the command line imports inside a function, against the order: `demo` and `annotate` serve the page."""
MOST_LINES = 400


def module_of(path: Path) -> str:
    folder, *parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join([FOLDERS[folder], *(part for part in parts if part != "__init__")])


MODULES = {module_of(path): path for folder in FOLDERS for path in sorted((ROOT / folder).rglob("*.py"))}


def imports(tree: ast.Module, *, lazy: bool = True) -> Iterator[str]:
    """The modules of ours that a file imports; unless `lazy` without those inside functions."""
    inside = {
        node
        for function in ast.walk(tree)
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef)
        for node in ast.walk(function)
    }
    for node in ast.walk(tree):
        if node in inside and not lazy:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in MODULES)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            for alias in node.names:
                name = f"{node.module}.{alias.name}"
                if name in MODULES or node.module in MODULES:
                    yield name if name in MODULES else node.module


TREES = {name: ast.parse(path.read_text()) for name, path in MODULES.items()}
IMPORTS = {name: sorted(set(imports(tree))) for name, tree in TREES.items()}
"""Of each file all of ours that it imports: inside functions and for type checkers, too."""


def place(name: str) -> tuple[str, str]:
    """The folder of a module and its room."""
    folder, *parts = MODULES[name].relative_to(ROOT).with_suffix("").parts
    return folder, "" if parts == ["__init__"] else parts[0]


def test_all_of_ours_is_seen():
    assert len(MODULES) > 200
    assert "actionstream.models.common.errors" in IMPORTS["actionstream.models.common.files"]
    assert "actionstream.models.weights.convert" in IMPORTS["actionstream.models.weights.loading"]  # in a function
    assert "actionstream.models.network" in IMPORTS["actionstream.models.catalogue"]  # for type checkers


def test_packages_point_one_way():
    order = list(FOLDERS)
    for name, imported in IMPORTS.items():
        folder, room = place(name)
        if (folder, room) == ("stream", "cli"):
            assert not [each for each in imports(TREES[name], lazy=False) if each.startswith(PAGE)], name
            imported = [each for each in imported if not each.startswith(PAGE)]
        up = [each for each in imported if order.index(place(each)[0]) > order.index(folder)]
        assert not up, f"{name} imports {up}"


@pytest.mark.parametrize("folder", ROOMS)
def test_rooms_point_one_way(folder):
    order = ROOMS[folder]
    own = {name: place(name)[1] for name in MODULES if place(name)[0] == folder}
    assert set(own.values()) == set(order)
    for name, room in own.items():
        up = [each for each in IMPORTS[name] if each in own and order.index(own[each]) > order.index(room)]
        assert not up, f"{name} imports {up}"


def test_no_circle_between_files():
    try:
        TopologicalSorter({name: set(imported) - {name} for name, imported in IMPORTS.items()}).prepare()
    except CycleError as error:
        pytest.fail(f"a circle of imports: {' <- '.join(error.args[1])}")


def test_files_are_short():
    lines = {path.relative_to(ROOT).as_posix(): len(path.read_text().splitlines()) for path in MODULES.values()}
    assert {path for path, count in lines.items() if count > MOST_LINES} == set()
