"""Finds a model by its name or path. Every function and command that takes a model uses `locate`."""

from __future__ import annotations

import os
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Literal

from actionstream.models.catalogue import NETWORKS
from actionstream.models.common.cache import cached_file
from actionstream.models.common.errors import ActionstreamError, warn_once
from actionstream.models.published import PUBLISHED

Kind = Literal["packaged", "checkpoint", "run", "published", "network", "exported", "fusion"]
CHECKPOINTS: tuple[Kind, ...] = ("packaged", "checkpoint", "run")
"""The kinds whose file is a checkpoint of ours, with a card in it."""
PACKAGED = Path(__file__).parent / "checkpoints"
BEST = "best.safetensors"
"""The checkpoint that the folder of a run stands for."""
EXPORTED_SUFFIXES = (".onnx", ".xml", ".pt2")
FUSION_SUFFIX = ".toml"

_DESCRIBED: dict[Kind, str] = {
    "packaged": "a checkpoint",
    "checkpoint": "a checkpoint",
    "run": "a run",
    "published": "a published checkpoint",
    "network": "a network of the catalogue",
    "exported": "an exported file",
    "fusion": "a list of networks to fuse",
}
_REMEDY: dict[Kind, str] = {
    "published": "its file has no card; `actionstream convert` makes a checkpoint of it",
    "exported": "give the checkpoint that it was made of",
    "fusion": "give one of its networks",
}


@dataclass(frozen=True)
class Located:
    """A model that `locate` found.

    kind  "packaged"    a checkpoint that comes with the package
          "checkpoint"  a checkpoint somewhere else
          "run"         the folder of a training run
          "published"   a file of weights that others have published; it is downloaded when it is loaded
          "network"     a network of the catalogue, which needs a file of weights
          "exported"    a file that `actionstream export` wrote
          "fusion"      a file that lists networks to fuse
    name  as it was given
    path  its file: for a run the best checkpoint, for a network the weights, or None. The file of a published model
          exists after the download
    """

    kind: Kind
    name: str
    path: Path | None

    def __str__(self) -> str:
        return self.name

    @property
    def is_here(self) -> bool:
        """Whether it can be loaded without a download, and without another file."""
        return self.path is not None and self.path.is_file()

    def file(self, *kinds: Kind) -> Path:
        """Its file; ActionstreamError where the model is of none of these kinds, or is a network without weights."""
        if self.kind == "network" and self.path is None:
            raise ActionstreamError(
                f"{self.name} is a network without weights: give a file of them as well, --weights FILE"
            )
        if self.kind not in kinds or self.path is None:
            expected = " or ".join(dict.fromkeys(_DESCRIBED[kind] for kind in kinds))
            raise ActionstreamError(
                f"{self.name} is {_DESCRIBED[self.kind]}; expected {expected}"
                + (f"; {_REMEDY[self.kind]}" if self.kind in _REMEDY else "")
            )
        return self.path


Model = str | os.PathLike[str] | Located
"""A model, as every function that loads or runs one takes it."""


def packaged() -> list[str]:
    """Names of the checkpoints that come with the package."""
    return sorted(path.stem for path in PACKAGED.glob("*.safetensors"))


def locate(
    model: Model, *, weights: str | os.PathLike[str] | None = None, beside: str | os.PathLike[str] = ""
) -> Located:
    """Find a model.

    model    a path, or a name of `actionstream models`. An existing path comes first, then a packaged checkpoint, a
             published checkpoint, a network. A Path is never a name
    weights  a file of weights; `model` is then the name of the network, and nothing else is searched
    beside   the folder for relative paths, instead of the working folder

    Where a path and a listed model have the same name, a RuntimeWarning says which one is used. Raises
    ActionstreamError, with the nearest names, where no model is found.
    """
    if isinstance(model, Located):
        return model
    name = os.fspath(model)
    if weights is not None:
        return _network_of(name, Path(weights))
    if not name.strip():
        raise ActionstreamError("the model is empty; give the path of a checkpoint, or a name of `actionstream models`")
    path = Path(beside, name)
    here, known = _at(path, name), _known(name) if isinstance(model, str) else None
    unfinished = here is None and (path / "settings.json").is_file()
    if known is not None:
        listed = "network" if known.kind == "network" else "checkpoint"
        if here is not None:
            warn_once(f"the model {name} is {path.resolve()}, not the {listed} that `actionstream models` lists")
        elif unfinished:
            warn_once(
                f"the model {name} is the {listed} that `actionstream models` lists; the run {path.resolve()} has no "
                "checkpoint yet"
            )
    found = here or known
    if found is not None:
        return found
    if unfinished:
        raise ActionstreamError(f"{path} is a run without a checkpoint: it has not finished an epoch")
    if path.is_dir():
        raise ActionstreamError(f"{path} is a folder and no run; expected {BEST} in it; give the file of a checkpoint")
    if path.suffix in (*EXPORTED_SUFFIXES, FUSION_SUFFIX):
        raise ActionstreamError(f"no file {path}")
    near = ", ".join(get_close_matches(path.name, [*packaged(), *PUBLISHED, *NETWORKS], n=4, cutoff=0))
    raise ActionstreamError(
        f"no model {name!r}: give the path of a checkpoint, or a name of `actionstream models`; nearest are {near}"
    )


def _network_of(name: str, weights: Path) -> Located:
    if name not in NETWORKS:
        near = ", ".join(get_close_matches(name, NETWORKS, n=3, cutoff=0))
        raise ActionstreamError(
            f"{name} is no network; say whose weights they are (nearest are {near}), or make a checkpoint of the file "
            "with `actionstream convert`, which recognises it"
        )
    if not weights.is_file():
        raise ActionstreamError(f"no file {weights}")
    return Located("network", name, weights)


def _at(path: Path, name: str) -> Located | None:
    """The model at a path; None where there is none."""
    if path.is_file():
        if path.suffix in EXPORTED_SUFFIXES:
            return Located("exported", name, path)
        return Located("fusion" if path.suffix == FUSION_SUFFIX else "checkpoint", name, path)
    best = path / BEST
    return Located("run", name, best) if best.is_file() else None


def _known(name: str) -> Located | None:
    """The model that actionstream lists under a name; None where there is none."""
    if name in packaged():
        return Located("packaged", name, PACKAGED / f"{name}.safetensors")
    if name in PUBLISHED:
        return Located("published", name, cached_file(PUBLISHED[name].address))
    return Located("network", name, None) if name in NETWORKS else None
