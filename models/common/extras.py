"""Optional packages, and the extras of actionstream that install them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec

from actionstream.models.common.errors import ActionstreamError

EXTRAS: dict[str, tuple[str, ...]] = {
    "torch": ("torch", "torchvision"),
    "camera": ("cv2",),
    "pictures": ("matplotlib",),
    "export": ("torch", "torchvision", "onnx", "onnx_ir", "onnxscript"),
    "train": ("torch", "torchvision", "cv2", "matplotlib", "tensorboard"),
    "page": ("torch", "torchvision", "matplotlib", "gradio", "starlette"),
    "openvino": ("openvino",),
    "serve": ("paho", "prometheus_client"),
    "ray": ("matplotlib", "ray", "pyarrow"),
    "cuda": ("cupy",),
}
"""The packages of each extra. For a package in several extras, the first one installs the least."""


def needs(extra: str, *, instead: str = "") -> None:
    """Raise ActionstreamError where a package of an extra is not installed; called before the work that needs it.

    instead  what the user can do without it
    """
    if missing := [package for package in EXTRAS[extra] if find_spec(package) is None]:
        raise ActionstreamError(_remedy(missing, extra, instead))


@contextmanager
def extras_named(*, instead: str = "") -> Iterator[None]:
    """In this context, importing an optional package that is not installed raises ActionstreamError; see `needs`."""
    try:
        yield
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        extra = next((name for name, packages in EXTRAS.items() if package in packages), None)
        if extra is None:
            raise
        raise ActionstreamError(_remedy([package], extra, instead)) from error


def _remedy(packages: Sequence[str], extra: str, instead: str) -> str:
    are, they_are = ("is", "it is") if len(packages) == 1 else ("are", "they are")
    remedy = f"{', '.join(packages)} {are} not installed; {they_are} in the extra: pip install 'actionstream[{extra}]'"
    return f"{remedy}, or {instead}" if instead else remedy
