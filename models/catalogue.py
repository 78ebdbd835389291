"""The networks by name."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from models.network import Network


def _network(module: str, name: str, **arguments: Any) -> Callable[..., Network]:
    """A builder that imports its module when it is called, so that a list of names costs nothing."""

    def build(**more: Any) -> Network:
        return getattr(import_module(f"models.{module}"), name)(**{**arguments, **more})

    return build


_resnet = partial(_network, "resnet", "ResNet")
_mobilenet_v2 = partial(_network, "mobilenet_v2", "MobileNetV2")
_resnet3d = partial(_network, "resnet3d", "ResNet3D")


def _kinds(*groups: str) -> tuple[str, ...]:
    """The kinds of the five groups of a ResNet for clips, the last one given standing for the rest."""
    return (*groups, *groups[-1:] * (5 - len(groups)))


NETWORKS: dict[str, Callable[..., Network]] = {
    "tsn_resnet18": _resnet(depth=18),
    "tsn_resnet34": _resnet(depth=34),
    "tsn_resnet50": _resnet(depth=50),
    "tsn_resnet101": _resnet(depth=101),
    "tsn_mobilenet_v2": _mobilenet_v2(),
    "tsm_resnet18": _resnet(depth=18, shift="uni"),
    "tsm_resnet34": _resnet(depth=34, shift="uni"),
    "tsm_resnet50": _resnet(depth=50, shift="uni"),
    "tsm_resnet101": _resnet(depth=101, shift="uni"),
    "tsm_mobilenet_v2": _mobilenet_v2(shift="uni"),
    "c3d": _network("c3d", "C3D"),
    "r2d_18": _resnet3d(kinds=_kinds("2d"), stacked=8),
    "f_r2d_18": _resnet3d(kinds=_kinds("2d")),
    "r3d_18": _resnet3d(kinds=_kinds("3d")),
    "r3d_34": _resnet3d(depth=34, kinds=_kinds("3d")),
    "mc2_18": _resnet3d(kinds=_kinds("3d", "2d")),
    "mc3_18": _resnet3d(kinds=_kinds("3d", "3d", "2d")),
    "mc4_18": _resnet3d(kinds=_kinds("3d", "3d", "3d", "2d")),
    "mc5_18": _resnet3d(kinds=_kinds("3d", "3d", "3d", "3d", "2d")),
    "rmc2_18": _resnet3d(kinds=_kinds("2d", "3d")),
    "rmc3_18": _resnet3d(kinds=_kinds("2d", "2d", "3d")),
    "rmc4_18": _resnet3d(kinds=_kinds("2d", "2d", "2d", "3d")),
    "rmc5_18": _resnet3d(kinds=_kinds("2d", "2d", "2d", "2d", "3d")),
    "r2plus1d_18": _resnet3d(kinds=_kinds("2+1d")),
    "r2plus1d_34": _resnet3d(depth=34, kinds=_kinds("2+1d")),
    "r2plus1d_18_torchvision": _resnet3d(kinds=_kinds("2+1d"), same_middle=True),
    "i3d": _network("i3d", "I3D"),
    "i3d_flow": _network("i3d", "I3D", in_channels=2),
    "i3d_bottom_heavy": _network("i3d", "I3D", heavy="bottom"),
    "i3d_top_heavy": _network("i3d", "I3D", heavy="top"),
    "s3d": _network("s3d", "S3D"),
    "s3d_g": _network("s3d", "S3D", gated=True),
}


def list_models() -> list[str]:
    """The names that `create` takes."""
    return list(NETWORKS)


def create(name: str, **arguments: Any) -> Network:
    """Build a network by name, with random weights.

    name       one of `list_models()`; "tsn_" has no shift, "tsm_" the unidirectional one unless `shift` says else
    arguments  those of its class, such as num_classes, shift, n_div, dropout

    Raises ValueError for a name or an argument that does not exist.
    """
    if name not in NETWORKS:
        raise ValueError(f"no network is named {name!r}; there are {', '.join(NETWORKS)}")
    try:
        return NETWORKS[name](**arguments)
    except TypeError as error:
        raise ValueError(f"{name} cannot be built with {arguments}: {error}") from error
