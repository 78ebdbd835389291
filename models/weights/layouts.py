"""Checkpoints of other projects: each layout is a table of renamings from its keys to ours."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from actionstream.models.common.errors import ActionstreamError
from actionstream.models.network import Network
from actionstream.models.weights import renames
from actionstream.models.weights.renames import Renames


@dataclass(frozen=True)
class Layout:
    """How a project names the tensors of a network.

    renames    (pattern, replacement) for re.sub, applied in order to each key; a key that becomes "" is left out
    shift      the temporal shift of the training, where the layout determines it
    marker     a pattern in at least one key of such a file, where it is needed to tell layouts apart
    arguments  arguments in which the project's network differs from that of the catalogue
    feeding    where the project's input differs from the catalogue's entry: fields of Preprocessing for RGB, and `step`
    networks   the prefix of the networks' names, where the arguments change the set of tensors
    """

    renames: Renames
    shift: str | None = None
    marker: str = ""
    arguments: Mapping[str, Any] = field(default_factory=dict)
    feeding: Mapping[str, Any] = field(default_factory=dict)
    networks: str = ""


_IMAGENET: dict[str, Any] = {"mean": (123.675, 116.28, 103.53), "std": (58.395, 57.12, 57.375)}
_PYTORCHVIDEO_FEEDING: dict[str, Any] = {"mean": (114.75,), "std": (57.375,)}
_TORCHVISION_VIDEO: dict[str, Any] = {
    "mean": (110.2008, 100.63983, 95.99475),
    "std": (58.14765, 56.46975, 55.33215),
    "step": 2,
}

LAYOUTS: dict[str, Layout] = {
    "s3d-torchvision": Layout((), marker=r"^(module\.)?features\.0\.0\.0\.", feeding=_TORCHVISION_VIDEO),
    "plain": Layout(()),
    "torchvision-classifier": Layout(renames.CLASSIFIER),
    "tsn-resnet": Layout(renames.WRAPPED, shift="none", marker="base_model"),
    "tsm-resnet": Layout(renames.RESNET, shift="bi", marker=r"\.net\."),
    "tsm-resnet-block": Layout(
        (*renames.WRAPPED, (r"^(layer\d\.\d+)\.net\.", r"\1."), *renames.RESNET),
        shift="bi",
        marker=r"layer\d\.\d+\.net\.",
        arguments={"shift_place": "block"},
    ),
    "tsm-resnet-pooled": Layout(
        (*renames.WRAPPED, (r"^layer2\.net\.", "layer2."), *renames.RESNET),
        shift="bi",
        marker=r"layer2\.net\.",
        arguments={"pooled_stages": (2,)},
    ),
    "tsm-mobilenet-v2": Layout(renames.MOBILENET_V2, shift="bi", marker=r"\.net\."),
    "tsm-mobilenet-v2-online": Layout(renames.MOBILENET_V2, shift="uni", marker=r"^(module\.)?features\."),
    "tsn-mobilenet-v2": Layout(renames.MOBILENET_V2, shift="none", marker="base_model"),
    "tsn-bn-inception": Layout(renames.BN_INCEPTION, shift="none"),
    "jfzhang": Layout(renames.JFZHANG, feeding={"step": 4}),
    "i3d-piergiaj": Layout(renames.I3D_PIERGIAJ, arguments={"late": False}),
    "i3d-ibm": Layout(renames.I3D_IBM, arguments={"late": True}),
    "s3d-ibm": Layout(renames.S3D_IBM, arguments={"late": True}),
    "s3d-kylemin": Layout(renames.S3D_KYLEMIN),
    "tam-ibm": Layout(renames.TAM_IBM, shift="bi"),
    "csn-vmz": Layout(renames.VMZ_CSN, arguments={"norm_eps": 1e-3}),
    "csn-mmaction2": Layout(renames.MMACTION2, arguments={"norm_eps": 1e-3}),
    "csn-ir-mmaction2": Layout(renames.MMACTION2_CSN_IR, arguments={"norm_eps": 1e-3}),
    "csn-pytorchvideo": Layout(renames.PYTORCHVIDEO, arguments={"norm_eps": 1e-5}, feeding=_PYTORCHVIDEO_FEEDING),
    "tsm-mmaction2": Layout(renames.MMACTION2, shift="bi", marker=r"\.net\."),
    "tsm-mobilenet-v2-mmaction2": Layout(renames.MOBILENET_V2_MMACTION2, shift="bi", marker=r"\.net\."),
    "tsn-mobilenet-v2-mmaction2": Layout(renames.MOBILENET_V2_MMACTION2, shift="none", marker=r"^backbone\."),
    "i3d-mmaction2": Layout(renames.MMACTION2, arguments={"stem": (5, 2), "pool": (1, 2)}, feeding=_IMAGENET),
    "slowfast-mmaction2": Layout(
        renames.MMACTION2,
        arguments={"lateral_norm": False, "fast_first": True, "slow_frames": "strided"},
        feeding=_IMAGENET,
        networks="slowfast_",
    ),
    "mmaction2": Layout(renames.MMACTION2, feeding=_IMAGENET),
    "pytorchvideo": Layout(renames.PYTORCHVIDEO),
    "i3d-pytorchvideo": Layout(renames.PYTORCHVIDEO_I3D),
    "slowfast-pyslowfast": Layout(renames.PYSLOWFAST_SLOWFAST),
    "pyslowfast": Layout(renames.PYSLOWFAST),
    "smallbig": Layout(renames.SMALLBIG),
    "timeception": Layout(renames.TIMECEPTION, marker=r"_tc\d\.", arguments={"num_classes": 0}, networks="timeception"),
    "mobilenet-v2-tensorflow": Layout(
        (), arguments={"same": True}, feeding={"mean": (128.0,), "std": (128.0,)}, networks="tsn_mobilenet_v2"
    ),
    "efficientnet-pytorch": Layout(
        renames.EFFICIENTNET_PYTORCH,
        shift="none",
        marker=r"^_blocks\.",
        arguments={"same": True},
        feeding={"mean": (127.0,), "std": (128.0,)},
    ),
}
"""A file is compared with them in this order: the more specific layout comes first."""

PROJECTS: dict[str, tuple[str, ...]] = {
    "tsm": ("tsm-resnet", "tsm-resnet-block", "tsm-resnet-pooled", "tsm-mobilenet-v2", "tsm-mobilenet-v2-online"),
    "tsn": ("tsn-resnet", "tsn-mobilenet-v2", "tsn-bn-inception"),
    "mmaction2": tuple(name for name in LAYOUTS if name.endswith("mmaction2")),
    "ibm": ("i3d-ibm", "s3d-ibm", "tam-ibm", "plain"),
    "torchvision": ("s3d-torchvision", "plain", "torchvision-classifier"),
    "piergiaj": ("i3d-piergiaj",),
    "kylemin": ("s3d-kylemin",),
    "jfzhang": ("jfzhang", "plain"),
    "vmz": ("csn-vmz", "plain"),
    "pytorchvideo": tuple(name for name in LAYOUTS if name.endswith("pytorchvideo")),
    "pyslowfast": ("slowfast-pyslowfast", "pyslowfast"),
    "smallbig": ("smallbig",),
    "timeception": ("timeception",),
    "tensorflow": ("mobilenet-v2-tensorflow",),
    "efficientnet-pytorch": ("efficientnet-pytorch",),
    "actionstream": ("plain",),
    "auto": tuple(LAYOUTS),
}
"""The layouts of each project. "plain" has the names of torchvision or our own. TensorFlow's MobileNetV2 in torch's
order has them, too, and nothing in the file shows that its input and its padding differ: name the project."""


def load_layout(network: Network, weights: Mapping[str, Tensor], layout: str) -> None:
    """Load all weights of another project's file into `network`.

    weights  what actionstream.models.weights.weight_file.read_weights returned
    layout   one of LAYOUTS

    Raises ValueError when a key is left over on either side, or when a shape differs.
    """
    if layout not in LAYOUTS:
        raise ActionstreamError(f"no layout {layout!r}; there are {', '.join(LAYOUTS)}")
    ours = renamed(weights, LAYOUTS[layout])
    own = network.state_dict()
    for key, tensor in ours.items():
        if key in own and same_but_for_ones(tensor, own[key]):
            ours[key] = tensor.reshape(own[key].shape)
    missing = [key for key in counted(own) if key not in ours]
    unknown = [key for key in ours if key not in own]
    other = [key for key in own if key in ours and ours[key].shape != own[key].shape]
    if missing or unknown or other:
        raise ActionstreamError(
            f"the weights do not fit: {_some('missing', missing)}; {_some('left over', unknown)}; "
            f"{_some('of another shape', other)}"
        )
    network.load_state_dict(ours, strict=False)


def renamed(weights: Mapping[str, Tensor], layout: Layout) -> dict[str, Tensor]:
    """Tensors by our names; ValueError where two of them get the same name."""
    ours: dict[str, Tensor] = {}
    for key, tensor in weights.items():
        key = key.removeprefix("module.")  # the prefix of torch.nn.DataParallel
        for pattern, replacement in layout.renames:
            key = re.sub(pattern, replacement, key)
        if not key:
            continue
        if key in ours:
            raise ActionstreamError(f"the weights do not fit: two of their keys mean {key}")
        ours[key] = tensor
    return _joined(ours)


def counted(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The required weights: all but num_batches_tracked, which older files do not have."""
    return {key: tensor for key, tensor in weights.items() if not key.endswith("num_batches_tracked")}


def same_but_for_ones(tensor: Tensor, own: Tensor) -> bool:
    """Whether shapes agree but for sizes of 1: a linear layer may be stored as a convolution, and a vector as a row."""
    return [size for size in tensor.shape if size != 1] == [size for size in own.shape if size != 1]


def _joined(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """Join tensors that come in pieces, as key@1, key@2 ..."""
    whole: dict[str, Tensor] = {}
    pieces: dict[str, dict[int, Tensor]] = {}
    for key, tensor in weights.items():
        name, _, number = key.partition("@")
        if not number:
            whole[key] = tensor
        else:
            pieces.setdefault(name, {})[int(number)] = tensor
    for name, numbered in pieces.items():
        ordered = [numbered[number] for number in sorted(numbered)]
        whole[name] = torch.cat(ordered) if ordered[0].dim() else ordered[0]
    return whole


def _some(what: str, keys: list[str]) -> str:
    shown = ", ".join(keys[:3]) + (" ..." if len(keys) > 3 else "")
    return f"{len(keys)} {what}" + (f" ({shown})" if keys else "")
