"""Checkpoints of other projects: each layout is a table of renamings from its keys to ours."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from models.checkpoint import check_shift
from models.network import Network


@dataclass(frozen=True)
class Layout:
    """How a project names the tensors of a network.

    renames  (pattern, replacement) for re.sub, applied in order to each key
    shift    the temporal shift such files were trained with, where the layout tells
    """

    renames: tuple[tuple[str, str], ...]
    shift: str | None = None


_PLAIN = ((r"^module\.", ""),)
_WRAPPED = ((r"^module\.", ""), (r"^base_model\.", ""), (r"\.net\.", "."))
# tonylins' MobileNetV2, which the TSM authors use: the layers of a block in one list, ReLUs counted.
_FLAT_BLOCKS = (
    (r"^features\.1\.conv\.([01])\.", r"features.1.conv.0.\1."),
    (r"^features\.1\.conv\.3\.", "features.1.conv.1."),
    (r"^features\.1\.conv\.4\.", "features.1.conv.2."),
    (r"^(features\.(?!1\.)\d+\.conv)\.([01])\.", r"\1.0.\2."),
    (r"^(features\.(?!1\.)\d+\.conv)\.3\.", r"\1.1.0."),
    (r"^(features\.(?!1\.)\d+\.conv)\.4\.", r"\1.1.1."),
    (r"^(features\.(?!1\.)\d+\.conv)\.6\.", r"\1.2."),
    (r"^(features\.(?!1\.)\d+\.conv)\.7\.", r"\1.3."),
)
_RESNET = (*_WRAPPED, (r"^new_fc\.", "fc."))
_MOBILENET_V2 = (*_WRAPPED, *_FLAT_BLOCKS, (r"^(new_fc|classifier)\.(?=[a-z])", "classifier.1."))
_I3D_PIERGIAJ = (
    *_PLAIN,
    (r"^logits\.conv3d\.", "logits."),
    (r"^(?:Conv3d|Mixed)_(\d\w)(?:_\dx\d)?\.", r"features.\1."),
    (r"\.b0\.", ".branch0."),
    (r"\.b([12])a\.", r".branch\1.0."),
    (r"\.b([12])b\.", r".branch\1.1."),
    (r"\.b3b\.", ".branch3.1."),
    (r"\.conv3d\.", ".conv."),
)
# kylemin's S3D has torchvision's layers by names instead of numbers.
_S3D_KYLEMIN = (
    *_PLAIN,
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

LAYOUTS: dict[str, Layout] = {
    "torchvision": Layout(_PLAIN),
    "c3d": Layout(_PLAIN),
    "i3d-piergiaj": Layout(_I3D_PIERGIAJ),
    "s3d-kylemin": Layout(_S3D_KYLEMIN),
    "tsn-resnet": Layout(_RESNET, shift="none"),
    "tsm-resnet": Layout(_RESNET, shift="bi"),
    "tsm-mobilenet-v2": Layout(_MOBILENET_V2, shift="bi"),
    "tsm-mobilenet-v2-online": Layout(_MOBILENET_V2, shift="uni"),
}


def load_layout(
    network: Network, weights: Mapping[str, Any], layout: str, *, trained_shift: str | None = None, insist: bool = False
) -> None:
    """Put the weights of another project's file into `network`, all of them.

    weights        what torch.load(file, weights_only=True) returned, with or without its wrapper "state_dict"
    layout         one of LAYOUTS
    trained_shift  the shift the file was trained with, where that is not what the layout is known for

    Raises ValueError when a key is left over on either side, when a shape differs, or when the network's
    shift is another than the weights were trained with (unless `insist`).
    """
    if layout not in LAYOUTS:
        raise ValueError(f"no layout {layout!r}; there are {', '.join(LAYOUTS)}")
    trained = trained_shift or LAYOUTS[layout].shift
    if trained is not None:
        check_shift(trained=trained, wanted=network.shift, insist=insist)
    if "state_dict" in weights:
        weights = weights["state_dict"]
    renamed: dict[str, Tensor] = {}
    for key, tensor in weights.items():
        for pattern, replacement in LAYOUTS[layout].renames:
            key = re.sub(pattern, replacement, key)
        if key in renamed:
            raise ValueError(f"the weights do not fit: two of their keys mean {key}")
        renamed[key] = tensor

    own = network.state_dict()
    for key, tensor in renamed.items():  # a linear layer may have been written as a convolution of size 1
        if key in own and tensor.dim() == 5 and own[key].dim() == 2 and tensor.shape[2:] == (1, 1, 1):
            renamed[key] = tensor.flatten(1)
    missing = [key for key in own if key not in renamed and not key.endswith("num_batches_tracked")]
    unknown = [key for key in renamed if key not in own]
    other = [key for key in own if key in renamed and renamed[key].shape != own[key].shape]
    if missing or unknown or other:
        raise ValueError(
            f"the weights do not fit: {_some('missing', missing)}; {_some('left over', unknown)}; "
            f"{_some('of another shape', other)}"
        )
    network.load_state_dict(renamed, strict=False)


def _some(what: str, keys: list[str]) -> str:
    shown = ", ".join(keys[:3]) + (" ..." if len(keys) > 3 else "")
    return f"{len(keys)} {what}" + (f" ({shown})" if keys else "")
