"""Checkpoints of other projects: each layout is a table of renamings from its keys to ours."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from actionstream.models.errors import ActionstreamError
from actionstream.models.network import Network


@dataclass(frozen=True)
class Layout:
    """How a project names the tensors of a network.

    renames    (pattern, replacement) for re.sub, applied in order to each key; a key that becomes "" is left out
    shift      the temporal shift such files were trained with, where the layout tells
    marker     what some key of such a file has in it, where another layout is the same without
    arguments  what the project's network differs in from the one of the catalogue
    feeding    how the project feeds it, where that is not what the entry says: fields of Preprocessing for RGB, and the
               entry's step
    networks   how the names of the networks begin that have it, where the arguments change what tensors there are
    """

    renames: tuple[tuple[str, str], ...]
    shift: str | None = None
    marker: str = ""
    arguments: Mapping[str, Any] = field(default_factory=dict)
    feeding: Mapping[str, Any] = field(default_factory=dict)
    networks: str = ""


Renames = tuple[tuple[str, str], ...]

# The TSM authors' TSN and TSM.
_WRAPPED: Renames = ((r"^base_model\.", ""), (r"^new_fc\.", "fc."))
_SHIFTED: Renames = (*_WRAPPED, (r"\.net\.", "."))  # what a shift was put before
_RESNET: Renames = (
    *_WRAPPED,
    (r"\.conv1\.net\.", ".conv1."),
    (r"\.block\.", "."),
    (r"\.nl\.(g|phi)\.0\.", r".non_local.\1."),
    (r"\.nl\.theta\.", ".non_local.theta."),
    (r"\.nl\.W\.", ".non_local.out."),
)
_MOBILENET_V2: Renames = (  # tonylins' MobileNetV2: the layers of a block in one list, ReLUs counted
    *_SHIFTED,
    (r"^features\.1\.conv\.([01])\.", r"features.1.conv.0.\1."),
    (r"^features\.1\.conv\.3\.", "features.1.conv.1."),
    (r"^features\.1\.conv\.4\.", "features.1.conv.2."),
    (r"^(features\.(?!1\.)\d+\.conv)\.([01])\.", r"\1.0.\2."),
    (r"^(features\.(?!1\.)\d+\.conv)\.3\.", r"\1.1.0."),
    (r"^(features\.(?!1\.)\d+\.conv)\.4\.", r"\1.1.1."),
    (r"^(features\.(?!1\.)\d+\.conv)\.6\.", r"\1.2."),
    (r"^(features\.(?!1\.)\d+\.conv)\.7\.", r"\1.3."),
    (r"^(fc|classifier)\.(?=[a-z])", "classifier.1."),
)
_BN_INCEPTION: Renames = (
    *_WRAPPED,
    (r"^(conv\w+|inception\w+)_bn\.", r"\1.1."),
    (r"^(conv\w+|inception\w+)\.(weight|bias)$", r"\1.0.\2"),
    (r"^conv1_7x7_s2\.", "stem.0."),
    (r"^conv2_3x3_reduce\.", "blocks.2.0."),
    (r"^conv2_3x3\.", "blocks.2.1."),
    (r"^inception_(\d\w)_", r"blocks.\1.branches."),
    (r"\.1x1\.", ".one."),
    (r"\.double_3x3_reduce\.", ".twice.0."),
    (r"\.double_3x3_([12])\.", r".twice.\1."),
    (r"\.3x3_reduce\.", ".three.0."),
    (r"\.3x3\.", ".three.1."),
    (r"\.pool_proj\.", ".pooled.1."),
)

# Inception over time: piergiaj's I3D, IBM's, and kylemin's S3D, which is torchvision's by names instead of numbers.
_I3D_PIERGIAJ: Renames = (
    (r"^logits\.conv3d\.", "logits."),
    (r"^(?:Conv3d|Mixed)_(\d\w)(?:_\dx\d)?\.", r"features.\1."),
    (r"\.b0\.", ".branch0."),
    (r"\.b([12])a\.", r".branch\1.0."),
    (r"\.b([12])b\.", r".branch\1.1."),
    (r"\.b3b\.", ".branch3.1."),
    (r"\.conv3d\.", ".conv."),
)
_IBM_BRANCHES: Renames = tuple((rf"\.branch{n}\.", f".branch{n - 1}.") for n in (1, 2, 3, 4))
_I3D_IBM: Renames = (
    (r"^conv1\.", "features.1a."),
    (r"^conv2\.", "features.2b."),
    (r"^conv3\.", "features.2c."),
    *((rf"^inception(\d){one}\.", rf"features.\1{next_one}.") for one, next_one in ("ab", "bc", "cd", "de", "ef")),
    *_IBM_BRANCHES,
    (r"^fc\.", "logits."),
)
_S3D_IBM: Renames = (
    (r"^conv1\.", "features.0."),
    (r"^conv2\.", "features.2."),
    (r"^conv3\.", "features.3."),
    *(
        (rf"^inception{block}\.", f"features.{number}.")
        for block, number in zip(
            ("3a", "3b", "4a", "4b", "4c", "4d", "4e", "5a", "5b"), (5, 6, 8, 9, 10, 11, 12, 14, 15), strict=True
        )
    ),
    *_IBM_BRANCHES,
    (r"^(features\.3|.*\.branch[12]\.1)\.conv\.", r"\1.0.0."),
    (r"^(features\.3|.*\.branch[12]\.1)\.bn\.", r"\1.0.1."),
    (r"\.conv_t\.", ".1.0."),
    (r"\.bn_t\.", ".1.1."),
    (r"\.conv\.", ".0."),
    (r"\.bn\.", ".1."),
    (r"^fc\.", "classifier.1."),
)
_S3D_KYLEMIN: Renames = (
    (r"^base\.", "features."),
    (r"^fc\.0\.", "classifier.1."),
    (r"\.branch0\.0\.conv\.", ".branch0.0."),
    (r"\.branch0\.0\.bn\.", ".branch0.1."),
    (r"\.conv_s\.", ".0.0."),
    (r"\.bn_s\.", ".0.1."),
    (r"\.conv_t\.", ".1.0."),
    (r"\.bn_t\.", ".1.1."),
    (r"\.conv\.", ".0."),
    (r"\.bn\.", ".1."),
)
_TAM_IBM: Renames = (
    (r"\.tam\.prev_se\.fc1\.", ".temporal.previous."),
    (r"\.tam\.curr_se\.fc1\.", ".temporal.current."),
    (r"\.tam\.next_se\.fc1\.", ".temporal.next."),
)

# pytorch-video-recognition: its stages are conv2 to conv5, and their blocks are block1, blocks.0, blocks.1 ...
_JFZHANG: Renames = (
    (r"^res(3d|2plus1d)\.", ""),
    *((rf"^conv{stage + 1}\.(?=block)", f"layer{stage}.") for stage in (1, 2, 3, 4)),
    (r"^conv1\.", "stem."),
    *((rf"\.blocks\.{index}\.", f".{index + 1}.") for index in range(5)),
    (r"\.block1\.", ".0."),
    (r"^(layer\d\.\d\.)conv([12])\.", r"\1conv\2.0."),
    (r"^(layer\d\.\d\.)bn([12])\.", r"\1conv\2.1."),
    (r"\.downsampleconv\.", ".downsample.0."),
    (r"\.downsamplebn\.", ".downsample.1."),
    (r"\.(temporal_spatial_conv|spatial_conv)\.", ".0."),
    (r"\.(bn|bn1)\.", ".1."),
    (r"\.temporal_conv\.", ".3."),
    (r"\.bn2\.", ".4."),
    (r"^linear\.", "fc."),
)

# ResNets of bottlenecks over space and time, and SlowFast.
_VMZ_CSN: Renames = (
    (r"^stem\.0\.", "conv1."),
    (r"^stem\.1\.", "bn1."),
    (r"\.conv([123])\.0\.(?=weight)", r".conv\1."),
    (r"\.conv([123])\.1\.", r".bn\1."),
    (r"\.conv2\.0\.([012])\.", r".conv2.\1."),
)
_MMACTION2: Renames = (
    (r"^backbone\.", ""),
    (r"\.net\.", "."),
    (r"^(slow|fast)_path\.conv1_lateral\.conv\.", "laterals.0.conv."),
    *((rf"^slow_path\.layer{stage}_lateral\.conv\.", f"laterals.{stage}.conv.") for stage in (1, 2, 3)),
    (r"^(slow|fast)_path\.", r"\1."),
    (r"^(slow|fast)\.conv1\.conv\.", r"\1.stem.0."),
    (r"^(slow|fast)\.conv1\.bn\.", r"\1.stem.1."),
    (r"\.downsample\.conv\.", ".downsample.0."),
    (r"\.downsample\.bn\.", ".downsample.1."),
    (r"\.conv2\.1\.conv\.", ".conv2.2."),  # CSN ip: 1 x 1 x 1, its norm, depthwise, the norm of the bottleneck
    (r"\.conv2\.1\.bn\.", ".bn2."),
    (r"\.conv2\.0\.conv\.", ".conv2.0."),
    (r"\.conv2\.0\.bn\.", ".conv2.1."),
    (r"(^|\.)conv([123])\.conv\.", r"\1conv\2."),
    (r"(^|\.)conv([123])\.bn\.", r"\1bn\2."),
    (r"^cls_head\.fc_cls\.", "fc."),
)
_MMACTION2_CSN_IR: Renames = (
    (r"\.conv2\.0\.bn\.", ".bn2."),
    (r"\.conv2\.0\.conv\.", ".conv2.conv."),
    *_MMACTION2,
)
_PYTORCHVIDEO: Renames = (
    (r"^blocks\.(\d)\.multipathway_blocks\.0\.", r"slow.blocks.\1."),
    (r"^blocks\.(\d)\.multipathway_blocks\.1\.", r"fast.blocks.\1."),
    (r"^blocks\.(\d)\.multipathway_fusion\.conv_fast_to_slow\.", r"laterals.\1.conv."),
    (r"^blocks\.(\d)\.multipathway_fusion\.norm\.", r"laterals.\1.after.0."),
    (r"^(slow|fast)\.blocks\.0\.conv\.", r"\1.stem.0."),
    (r"^(slow|fast)\.blocks\.0\.norm\.", r"\1.stem.1."),
    (r"^blocks\.0\.conv\.", "conv1."),
    (r"^blocks\.0\.norm\.", "bn1."),
    (r"^blocks\.\d\.proj\.", "fc."),
    (r"(^|\.)blocks\.(\d)\.res_blocks\.", r"\1layer\2."),
    (r"\.branch1_conv\.", ".downsample.0."),
    (r"\.branch1_norm\.", ".downsample.1."),
    *((rf"\.branch2\.conv_{letter}\.", f".conv{n}.") for n, letter in enumerate("abc", start=1)),
    *((rf"\.branch2\.norm_{letter}\.", f".bn{n}.") for n, letter in enumerate("abc", start=1)),
)
# I3D's pool after the first stage is a block of its own.
_PYTORCHVIDEO_I3D: Renames = (
    *((rf"^blocks\.{stage + 1}\.res_blocks\.", f"blocks.{stage}.res_blocks.") for stage in (2, 3, 4)),
    *_PYTORCHVIDEO,
)
_PYSLOWFAST: Renames = (
    *((rf"^s{stage + 1}\.", f"layer{stage}.") for stage in (1, 2, 3, 4)),
    (r"^s1\.pathway\d_stem\.conv\.", "conv1."),
    (r"^s1\.pathway\d_stem\.bn\.", "bn1."),
    (r"\.pathway\d_res(\d+)\.", r".\1."),
    (r"\.branch1\.", ".downsample.0."),
    (r"\.branch1_bn\.", ".downsample.1."),
    *((rf"\.branch2\.{letter}\.", f".conv{n}.") for n, letter in enumerate("abc", start=1)),
    *((rf"\.branch2\.{letter}_bn\.", f".bn{n}.") for n, letter in enumerate("abc", start=1)),
    (r"^head\.projection\.", "fc."),
)
_PYSLOWFAST_SLOWFAST: Renames = (
    *((rf"^s{stage + 1}_fuse\.conv_f2s\.", f"laterals.{stage}.conv.") for stage in (0, 1, 2, 3)),
    *((rf"^s{stage + 1}_fuse\.bn\.", f"laterals.{stage}.after.0.") for stage in (0, 1, 2, 3)),
    (r"^s1\.pathway0_stem\.conv\.", "slow.stem.0."),
    (r"^s1\.pathway0_stem\.bn\.", "slow.stem.1."),
    (r"^s1\.pathway1_stem\.conv\.", "fast.stem.0."),
    (r"^s1\.pathway1_stem\.bn\.", "fast.stem.1."),
    *((rf"^s{stage + 1}\.pathway0_", f"slow.layer{stage}.pathway0_") for stage in (1, 2, 3, 4)),
    *((rf"^s{stage + 1}\.pathway1_", f"fast.layer{stage}.pathway1_") for stage in (1, 2, 3, 4)),
    *_PYSLOWFAST,
)
_SMALLBIG: Renames = ((r"\.big([123])\.1\.", r".big\1."),)

# Timeception has a convolution for each group of channels, ours is one: @n is a piece, in the order of n.
_TIMECEPTION: Renames = (
    *(
        (rf"^(conv|convdw|bn)_b{branch + 1}_g(\d)_tc{layer + 1}\.(.*)$", rf"layers.{layer}.branches.{branch}.\1.\3@\2")
        for branch in range(5)
        for layer in range(4)
    ),
    (r"\.conv\.", ".reduce."),
    (r"\.convdw\.depthwise_conv1d\.", ".over_time."),
    (r"\.bn\.", ".norm."),
)

# A picture classifier without its second head: the last layer of VGG is classifier.6, that of the others fc.
_CLASSIFIER: Renames = (
    (r"^(aux\d|AuxLogits)\..*$", ""),
    (r"^classifier\.6\.", "fc."),
    (r"^(?!fc\.)(?=.)", "pictures."),
)

# MMAction2's MobileNetV2: stages of blocks, in which each convolution and its norm are one module.
_MOBILENET_V2_MMACTION2: Renames = (
    (r"^backbone\.", ""),
    (r"\.net\.", "."),
    (r"^conv1\.", "features.0."),
    (r"^conv2\.", "features.18."),
    *(
        (rf"^layer{stage}\.{block}\.", f"features.{first + block}.")
        for stage, first, num_blocks in ((1, 1, 1), (2, 2, 2), (3, 4, 3), (4, 7, 4), (5, 11, 3), (6, 14, 3), (7, 17, 1))
        for block in range(num_blocks)
    ),
    (r"^features\.1\.conv\.1\.conv\.", "features.1.conv.1."),
    (r"^features\.1\.conv\.1\.bn\.", "features.1.conv.2."),
    (r"\.conv\.2\.conv\.", ".conv.2."),
    (r"\.conv\.2\.bn\.", ".conv.3."),
    (r"\.conv\.(?=weight)", ".0."),
    (r"\.bn\.", ".1."),
    (r"^cls_head\.fc_cls\.", "classifier.1."),
)

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
    "torchvision-classifier": Layout(_CLASSIFIER),
    "tsn-resnet": Layout(_WRAPPED, shift="none", marker="base_model"),
    "tsm-resnet": Layout(_RESNET, shift="bi", marker=r"\.net\."),
    "tsm-resnet-block": Layout(
        (*_WRAPPED, (r"^(layer\d\.\d+)\.net\.", r"\1."), *_RESNET),
        shift="bi",
        marker=r"layer\d\.\d+\.net\.",
        arguments={"shift_place": "block"},
    ),
    "tsm-resnet-pooled": Layout(
        (*_WRAPPED, (r"^layer2\.net\.", "layer2."), *_RESNET),
        shift="bi",
        marker=r"layer2\.net\.",
        arguments={"pooled_stages": (2,)},
    ),
    "tsm-mobilenet-v2": Layout(_MOBILENET_V2, shift="bi", marker=r"\.net\."),
    "tsm-mobilenet-v2-online": Layout(_MOBILENET_V2, shift="uni", marker=r"^(module\.)?features\."),
    "tsn-mobilenet-v2": Layout(_MOBILENET_V2, shift="none", marker="base_model"),
    "tsn-bn-inception": Layout(_BN_INCEPTION, shift="none"),
    "jfzhang": Layout(_JFZHANG, feeding={"step": 4}),
    "i3d-piergiaj": Layout(_I3D_PIERGIAJ, arguments={"late": False}),
    "i3d-ibm": Layout(_I3D_IBM, arguments={"late": True}),
    "s3d-ibm": Layout(_S3D_IBM, arguments={"late": True}),
    "s3d-kylemin": Layout(_S3D_KYLEMIN),
    "tam-ibm": Layout(_TAM_IBM, shift="bi"),
    "csn-vmz": Layout(_VMZ_CSN, arguments={"norm_eps": 1e-3}),
    "csn-mmaction2": Layout(_MMACTION2, arguments={"norm_eps": 1e-3}),
    "csn-ir-mmaction2": Layout(_MMACTION2_CSN_IR, arguments={"norm_eps": 1e-3}),
    "csn-pytorchvideo": Layout(_PYTORCHVIDEO, arguments={"norm_eps": 1e-5}, feeding=_PYTORCHVIDEO_FEEDING),
    "tsm-mmaction2": Layout(_MMACTION2, shift="bi", marker=r"\.net\."),
    "tsm-mobilenet-v2-mmaction2": Layout(_MOBILENET_V2_MMACTION2, shift="bi", marker=r"\.net\."),
    "tsn-mobilenet-v2-mmaction2": Layout(_MOBILENET_V2_MMACTION2, shift="none", marker=r"^backbone\."),
    "i3d-mmaction2": Layout(_MMACTION2, arguments={"stem": (5, 2), "pool": (1, 2)}, feeding=_IMAGENET),
    "slowfast-mmaction2": Layout(
        _MMACTION2,
        arguments={"lateral_norm": False, "fast_first": True, "slow_frames": "strided"},
        feeding=_IMAGENET,
        networks="slowfast_",
    ),
    "mmaction2": Layout(_MMACTION2, feeding=_IMAGENET),
    "pytorchvideo": Layout(_PYTORCHVIDEO),
    "i3d-pytorchvideo": Layout(_PYTORCHVIDEO_I3D),
    "slowfast-pyslowfast": Layout(_PYSLOWFAST_SLOWFAST),
    "pyslowfast": Layout(_PYSLOWFAST),
    "smallbig": Layout(_SMALLBIG),
    "timeception": Layout(_TIMECEPTION, marker=r"_tc\d\.", arguments={"num_classes": 0}, networks="timeception"),
    "mobilenet-v2-tensorflow": Layout(
        (), arguments={"same": True}, feeding={"mean": (128.0,), "std": (128.0,)}, networks="tsn_mobilenet_v2"
    ),
}
"""In this order a file is compared with them: those that ask for more come before those that would take it, too."""

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
    "actionstream": ("plain",),
    "auto": tuple(LAYOUTS),
}
"""Whose files they are. Some have the names of torchvision's or our own: these are plain. So have the weights
of TensorFlow's MobileNetV2 in torch's order, and nothing in them says that they are fed and padded in another way."""


def load_layout(network: Network, weights: Mapping[str, Tensor], layout: str) -> None:
    """Put the weights of another project's file into `network`, all of them.

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
    """Tensors by our names; ValueError where two of them get the same."""
    ours: dict[str, Tensor] = {}
    for key, tensor in weights.items():
        key = key.removeprefix("module.")  # what torch.nn.DataParallel puts before all
        for pattern, replacement in layout.renames:
            key = re.sub(pattern, replacement, key)
        if not key:
            continue
        if key in ours:
            raise ActionstreamError(f"the weights do not fit: two of their keys mean {key}")
        ours[key] = tensor
    return _joined(ours)


def counted(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """All that has to be there: older files do not count their batches."""
    return {key: tensor for key, tensor in weights.items() if not key.endswith("num_batches_tracked")}


def same_but_for_ones(tensor: Tensor, own: Tensor) -> bool:
    """A linear layer may have been written as a convolution of size 1, and a vector as a row."""
    return [size for size in tensor.shape if size != 1] == [size for size in own.shape if size != 1]


def _joined(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """Tensors that came in pieces, as key@1, key@2 ..., in one."""
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
