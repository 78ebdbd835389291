"""The repository checks itself."""

import ast
import importlib.metadata as metadata
import re
import subprocess
import sys
import tomllib

import pytest
from helpers import ROOT, tracked

PACKAGES = ("kernels", "models", "stream", "demos")
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


def test_public_names():
    import kernels
    import models
    import stream

    for package in (kernels, models, stream):
        assert package.__all__ == sorted(package.__all__)
        for name in package.__all__:
            value = getattr(package, name)
            assert value.__doc__, f"{package.__name__}.{name} has no docstring"
    with pytest.raises(AttributeError, match="no attribute 'Motor'"):
        _ = stream.Motor


def test_every_package_is_listed_and_typed():
    listed = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
    there = {
        ".".join(path.parent.relative_to(ROOT).parts)
        for package in PACKAGES
        for path in (ROOT / package).rglob("__init__.py")
    }
    assert set(listed) == there
    assert all((ROOT / package / "py.typed").exists() for package in PACKAGES)


def test_the_top_level_is_as_agreed():
    allowed = {"pyproject.toml", "README.md", "LICENSE", "Makefile", ".gitignore", ".ci", "tests", *PACKAGES}
    assert {path.relative_to(ROOT).parts[0] for path in tracked()} <= allowed


def test_files_are_small_and_name_no_machine():
    for path in tracked():
        limit = {".safetensors": 10_000_000, ".onnx": 12_000_000}.get(path.suffix, 600_000)
        assert path.stat().st_size < limit, path
        if path.suffix in (".py", ".md", ".toml", "", ".txt"):
            text = path.read_text()
            assert not re.search(r"/(root|work|home)/\w|registry\.npmjs|files\.pythonhosted", text), path


def dependencies(name="actionstream", seen=None):
    """The distributions that ours needs, and those that they need."""
    seen = {} if seen is None else seen
    for requirement in metadata.requires(name) or []:
        needed = re.match(r"[\w.-]+", requirement)[0].lower()
        if needed not in seen and "extra ==" not in requirement:
            try:
                seen[needed] = metadata.distribution(needed)
            except metadata.PackageNotFoundError:  # for another platform
                continue
            dependencies(needed, seen)
    return seen


@pytest.mark.slow
def test_no_dependency_imports_our_names():
    """`kernels` is also a distribution of others: what we depend on must not find ours in its place."""
    ours = re.compile(rb"^\s*(?:import|from)\s+(?:%s)\b" % "|".join(PACKAGES).encode(), re.MULTILINE)
    found = dependencies()
    assert {"torch", "gradio", "av"} <= set(found)
    importing = [
        str(file)
        for distribution in found.values()
        for file in distribution.files or []
        if file.suffix == ".py" and file.locate().exists() and ours.search(file.locate().read_bytes())
        if not str(file).startswith("onnxruntime/transformers/")  # programs, which the library does not import
    ]
    assert importing == []


@pytest.mark.slow
def test_the_wheel_works_outside_the_checkout(tmp_path, wheel):
    target = tmp_path / "site"
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(target), str(wheel)]
    subprocess.run(install, check=True, capture_output=True)
    program = (
        "import sys; sys.path.insert(0, sys.argv[1]); import models, stream, actionstream.models.training.motion\n"
        "assert models.__file__.startswith(sys.argv[1])\n"
        "print(len(list(actionstream.watch('sample', max_frames=20))))"
    )
    run = [sys.executable, "-I", "-c", program, str(target)]
    assert subprocess.check_output(run, cwd=tmp_path, text=True).split() == ["10"]
    assert not list(target.glob("tests*"))
