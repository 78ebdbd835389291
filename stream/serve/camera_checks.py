"""Checks of cameras that need more than one key: labels that the model has, names that differ as topics."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from actionstream.choices import OTHERS
from actionstream.models.common.errors import ActionstreamError
from actionstream.scoring.events import complete_thresholds, thresholds
from actionstream.serve.model_labels import Known, labels_of
from actionstream.serve.settings import Camera
from actionstream.serve.slugs import slug
from actionstream.serve.values import Thresholds
from actionstream.serve.wording import Problem

_THRESHOLDS: TypeAdapter[Any] = TypeAdapter(Thresholds | None, config={"strict": True, "allow_inf_nan": False})


def check_cameras(cameras: Any, folder: Path) -> Iterator[Problem]:
    """The problems of the tables of cameras, as the file has them; keys of a wrong type are passed over."""
    if not isinstance(cameras, dict):
        return
    yield from _same_slugs(("cameras",), cameras)
    models: dict[str, Known | Exception] = {}
    for name, camera in cameras.items():
        if not isinstance(camera, dict):
            continue
        place = ("cameras", name)
        if isinstance(camera.get("regions"), dict):
            yield from _same_slugs((*place, "regions"), camera["regions"])
        model = camera.get("model", Camera.model_fields["model"].default)
        if not isinstance(model, str):
            continue
        if model not in models:
            models[model] = _known(model, folder)
        known = models[model]
        if isinstance(known, Exception):
            yield Problem((*place, "model"), f"cannot be used: {known}")
            continue
        labels, own = known
        for keys, label in _labels_in(camera):
            if label not in labels:
                near = get_close_matches(label, labels, n=1, cutoff=0)[0]
                yield Problem((*place, *keys), f"is for {label!r}, which is no label of {model}; nearest is {near!r}")
        yield from _crossed_thresholds(place, camera, labels, own)


def _known(model: str, folder: Path) -> Known | Exception:
    try:
        return labels_of(model, folder)
    except (ActionstreamError, OSError) as error:
        return error


def _labels_in(camera: Mapping[str, Any]) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """The labels that a camera names, with their keys."""
    for key in ("threshold", "end_threshold"):
        if isinstance(camera.get(key), dict):
            yield from (((key, label), label) for label in camera[key] if label != OTHERS)
    for key in ("labels", "ignored_labels"):
        if isinstance(camera.get(key), list):
            yield from (((key, n), label) for n, label in enumerate(camera[key]) if isinstance(label, str))
    if isinstance(camera.get("background"), str):
        yield ("background",), camera["background"]


def _crossed_thresholds(
    place: tuple[str, ...], camera: Mapping[str, Any], labels: Sequence[str], own: Mapping[str, float]
) -> Iterator[Problem]:
    try:
        start, end = (_THRESHOLDS.validate_python(camera.get(key)) for key in ("threshold", "end_threshold"))
        starts, ends = (thresholds(each, labels) for each in complete_thresholds(start, end, own))
    except (ValidationError, ActionstreamError):
        return  # told already
    for label, high, low in zip(labels, starts, ends, strict=True):
        if low > high:
            yield Problem(
                (*place, "end_threshold"), f"is {low:g} for {label!r}; expected its threshold, {high:g}, at most"
            )
            return


def _same_slugs(place: tuple[str, ...], names: Mapping[str, Any]) -> Iterator[Problem]:
    """Names that would have the same topics."""
    first: dict[str, str] = {}
    for name in names:
        if (other := first.setdefault(slug(name), name)) != name:
            yield Problem((*place, name), f"has the same topics as {other!r}, {slug(name)}; give it another name")
