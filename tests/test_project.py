"""The repository checks itself."""

import ast
import importlib
import importlib.metadata as metadata
import json
import os
import re
import subprocess
import sys
import tomllib

import pytest
from helpers import ROOT, tracked
from packaging.requirements import Requirement

import actionstream

PACKAGES = ("kernels", "models", "stream", "demos")
VERSION = metadata.version("actionstream")
PUBLIC = [
    "actionstream",
    "actionstream.evaluation",
    "actionstream.kernels",
    "actionstream.models",
    "actionstream.scoring",
]
"""What may be imported stands in `__all__` of these."""
LAZY = {  # imported inside functions only, so that they cost nothing before they are used and may be absent
    "kernels": {"cupy"},
    "models": {"av", "cupy", "gradio", "safetensors.torch"},
    "stream": {"ai_edge_litert.interpreter", "av", "gradio"},
    "demos": set(),
}


def imports(path, *, top_level_only=False):
    tree = ast.parse(path.read_text())
    if top_level_only:
        nodes = [n for n in tree.body if isinstance(n, ast.Import | ast.ImportFrom)]
    else:
        nodes = [n for n in ast.walk(tree) if isinstance(n, ast.Import | ast.ImportFrom)]
    for node in nodes:
        yield from [alias.name for alias in node.names] if isinstance(node, ast.Import) else [node.module]


@pytest.mark.parametrize("package", PACKAGES)
def test_optional_packages_are_imported_lazily(package):
    for path in (ROOT / package).rglob("*.py"):
        eager = set(imports(path, top_level_only=True)) & LAZY[package]
        assert not eager, f"{path.name} imports {eager} when it is imported"


def test_the_runtime_path_needs_neither_av_nor_gradio_nor_typer():
    program = """
import sys
for name in ("av", "gradio", "typer", "cupy"):
    sys.modules[name] = None
import numpy as np
import actionstream
engine = actionstream.Engine(device="cpu")
name = engine.open()
print(engine.push(name, np.zeros((48, 64, 3), np.uint8), 0.0).frames_since_reset)
"""
    assert subprocess.check_output([sys.executable, "-c", program], text=True).split() == ["1"]


def test_the_version_has_its_changes():
    changes = (ROOT / ".github" / "CHANGELOG.md").read_text()
    assert re.search(rf"^## {re.escape(VERSION)}\b", changes, re.MULTILINE)


PAGES = [path for path in tracked() if path.suffix == ".md"]


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(page):
    """To files of the repository, and to headings of pages."""
    for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        if "://" in link:
            continue
        path, _, heading = link.partition("#")
        target = page.parent / path if path else page
        assert target.exists(), link
        if heading:
            titles = re.findall(r"^#+ (.*)$", target.read_text(), re.MULTILINE)
            anchors = [re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles]
            assert heading in anchors, link


def undocumented(value, name):
    """The names of a public value and of its public methods and properties that have no docstring."""
    if not value.__doc__ or value.__doc__.startswith(f"{name}("):  # what a dataclass gets by itself
        yield name
    if isinstance(value, type):
        for member, each in vars(value).items():
            is_one = isinstance(each, property) or callable(getattr(each, "__func__", each))
            if is_one and not member.startswith("_") and not each.__doc__:
                yield f"{name}.{member}"


def test_public_names():
    """A name that disappears is missed by somebody; one that is new stays, so it is written down on purpose."""
    public = []
    for room in PUBLIC:
        package = importlib.import_module(room)
        assert package.__all__ == sorted(package.__all__)
        public += [f"{room}.{name}" for name in package.__all__]
        for name in package.__all__:
            assert not list(undocumented(getattr(package, name), name)), room
    assert public == (ROOT / "tests" / "golden" / "public_names.txt").read_text().split()
    with pytest.raises(AttributeError, match="no attribute 'Motor'"):
        _ = actionstream.Motor


SHAPE = re.compile(r"\([\w.][\w. /+*-]*,[^()]*\)")
TIME = re.compile(r"(^|_)(time|times|duration|interval|gap|pause|timeout|delay|age|begin|start|end)$")
ANY_SHAPE = {"save: attached"}


def described(value):
    """The annotations of a public value and of its public methods, each with the docstrings that are about it."""
    yield getattr(value, "__annotations__", {}), value.__doc__
    if isinstance(value, type):
        for member, each in vars(value).items():
            function = each.fget if isinstance(each, property) else getattr(each, "__func__", each)
            if (not member.startswith("_") or member == "__init__") and callable(function):
                annotations = getattr(function, "__annotations__", {})
                yield annotations, f"{value.__doc__} {function.__doc__}"


@pytest.mark.parametrize("room", PUBLIC)
def test_docstrings_give_shapes_and_names_give_units(room):
    package = importlib.import_module(room)
    for name in package.__all__:
        for annotations, text in described(getattr(package, name)):
            for parameter, annotation in annotations.items():
                if re.search("ndarray|Tensor", str(annotation)) and f"{name}: {parameter}" not in ANY_SHAPE:
                    assert SHAPE.search(text), (name, parameter)
                assert not (TIME.search(parameter) and "float" in str(annotation)), (name, parameter)


def test_the_demos_use_public_names_only():
    modules = {"actionstream.evaluation.thumos14"}  # what reads and writes the files of the challenge
    for path in (ROOT / "demos").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and node.module.split(".")[0] == "actionstream":
                public = importlib.import_module(node.module).__all__
                assert {alias.name for alias in node.names} <= {*public, *(m.split(".")[-1] for m in modules)}, path


def test_every_package_is_listed_and_typed():
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    names = {folder: package for package, folder in settings["package-dir"].items()}
    there = {
        ".".join([names[folder], *path.parent.relative_to(ROOT / folder).parts])
        for folder in PACKAGES
        for path in (ROOT / folder).rglob("__init__.py")
    }
    assert set(settings["packages"]) == there
    assert (ROOT / "stream" / "py.typed").exists()


def test_the_top_level_is_as_agreed():
    allowed = {"pyproject.toml", "README.md", "LICENSE", "Makefile", ".ci", ".github", "tests", *PACKAGES}
    allowed |= {".gitignore", ".pre-commit-config.yaml"}
    assert {path.relative_to(ROOT).parts[0] for path in tracked()} <= allowed


def test_files_are_small_and_name_no_machine():
    for path in tracked():
        limit = {".safetensors": 10_000_000, ".onnx": 12_000_000}.get(path.suffix, 600_000)
        assert path.stat().st_size < limit, path
        if path.suffix in (".py", ".md", ".toml", "", ".txt", ".json", ".js", ".css"):
            text = path.read_text()
            assert not re.search(r"/(root|work|home)/\w|registry\.npmjs|files\.pythonhosted", text), path


def dependencies():
    """The distributions that ours needs with all extras, and those that they need, by name."""
    found, seen, left = {}, set(), [("actionstream", ("all",))]
    while left:
        name, extras = left.pop()
        if (name, extras) not in seen:
            seen.add((name, extras))
            found[name] = metadata.distribution(name)
            for needed in map(Requirement, found[name].requires or []):
                wanted = [{"extra": extra} for extra in ("", *extras)]
                if needed.marker is None or any(map(needed.marker.evaluate, wanted)):
                    left.append((needed.name.lower(), tuple(sorted(needed.extras))))
    del found["actionstream"]
    return found


@pytest.mark.slow
def test_no_dependency_has_our_name():
    found = dependencies()
    assert {"torch", "gradio", "av"} <= set(found)
    files = [str(file) for each in found.values() for file in each.files or []]
    assert not [file for file in files if file.startswith("actionstream/")]


HOUSE_OF_OTHERS = """
import sys
import actionstream, actionstream.models, actionstream.kernels, actionstream.models.training.motion
import models, stream, kernels, demos
assert actionstream.__file__.startswith(sys.argv[1]), actionstream.__file__
assert [each.WHOSE for each in (models, stream, kernels, demos)] == ["a user's"] * 4
import actionstream.demos.page.server
print(len(list(actionstream.watch("sample", max_frames=20))))
"""


@pytest.mark.slow
def test_the_wheel_works_beside_packages_of_the_same_names(tmp_path, wheel):
    """Nearly every repository of this field has a folder models/."""
    site, folder = tmp_path / "site", tmp_path / "theirs"
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(site), str(wheel)]
    subprocess.run(install, check=True, capture_output=True)
    assert {path.name for path in site.iterdir()} - {"bin"} == {"actionstream", f"actionstream-{VERSION}.dist-info"}
    for name in PACKAGES:
        (folder / name).mkdir(parents=True)
        (folder / name / "__init__.py").write_text('WHOSE = "a user\'s"\n')

    def python(*arguments):
        environment = {**os.environ, "PYTHONPATH": f"{site}{os.pathsep}{folder}"}
        ours = [sys.executable, *map(str, arguments)]
        return subprocess.run(ours, cwd=folder, env=environment, text=True, capture_output=True, check=True).stdout

    assert python("-c", HOUSE_OF_OTHERS, site).split() == ["10"]
    assert python("-m", "actionstream", "--version").split()[-1] == VERSION
    seen = python("-m", "actionstream", "watch", "sample", "--json", "--max-frames", "20").splitlines()
    assert sum("labels" in json.loads(line) for line in seen) == 10
    python("-m", "actionstream", "label", "sample", "--out", "found")
    assert json.loads((folder / "found" / "sample.json").read_text())
    python("-m", "actionstream", "export", "motion", "-o", "motion.onnx")
    assert (folder / "motion.onnx").exists()
