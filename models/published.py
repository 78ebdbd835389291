"""Checkpoints that others have published: their addresses, networks, labels and inputs.

Facts from the TSM authors' README and online demo (github.com/mit-han-lab/temporal-shift-module), and from
torchvision's tables of weights. A file is downloaded when its name is first used, see
actionstream.models.weights.download.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Published:
    """A file of weights that others have published.

    network           its name in the catalogue
    address           of the file
    labels            the name of a list in actionstream.models.labels
    licence           as its publisher states it; the videos it was trained on have terms of their own
    sha256            the first digits of its hash, where known
    interval_seconds  between snippets in training; None: that of the catalogue's entry
    num_frames        of a clip; None: that of the catalogue's entry
    """

    network: str
    address: str
    labels: str
    licence: str
    sha256: str = ""
    interval_seconds: float | None = None
    num_frames: int | None = None


def _tsm(file: str, **what: Any) -> Published:
    return Published(address=f"https://hanlab18.mit.edu/projects/tsm/models/{file}", licence="MIT", **what)


def _torchvision(file: str, **what: Any) -> Published:
    sha256 = file.removesuffix(".pth").rsplit("-", 1)[1]
    return Published(
        address=f"https://download.pytorch.org/models/{file}", licence="BSD-3-Clause", sha256=sha256, **what
    )


_kinetics = partial(_tsm, labels="kinetics400")
_something = partial(_tsm, labels="something-something", interval_seconds=0.5)  # 8 frames of clips of 4 s
_pictures = partial(_torchvision, labels="imagenet")
_DENSE = "TSM_kinetics_RGB_{}_shift8_blockres_avg_segment8_e100_dense{}.pth"
_UNIFORM = "TSM_kinetics_{}_resnet50_shift8_blockres_avg_segment{}_e50.pth"  # of clips of 10 s
_SOMETHING = "TSM_something{}_RGB_{}_shift8_blockres_avg_segment{}_e45.pth"

PUBLISHED: dict[str, Published] = {
    "tsm-jester": _tsm("mobilenetv2_jester_online.pth.tar", network="tsm_mobilenet_v2", labels="jester"),
    "tsn-kinetics": _kinetics("TSM_kinetics_RGB_resnet50_avg_segment5_e50.pth", network="tsn_resnet50"),
    "tsm-kinetics": _kinetics(_DENSE.format("resnet50", ""), network="tsm_resnet50_bi"),
    "tsm-kinetics-non-local": _kinetics(_DENSE.format("resnet50", "_nl"), network="tsm_resnet50_non_local"),
    "tsm-kinetics-mobilenet": _kinetics(_DENSE.format("mobilenetv2", ""), network="tsm_mobilenet_v2_bi"),
    "tsm-kinetics-uniform": _kinetics(_UNIFORM.format("RGB", 8), network="tsm_resnet50_bi", interval_seconds=1.25),
    "tsm-kinetics-uniform-16": _kinetics(
        _UNIFORM.format("RGB", 16), network="tsm_resnet50_bi", interval_seconds=0.625, num_frames=16
    ),
    "tsm-kinetics-flow": _kinetics(_UNIFORM.format("Flow", 8), network="tsm_resnet50_bi", interval_seconds=1.25),
    "tsm-something-v1": _something(_SOMETHING.format("", "resnet50", 8), network="tsm_resnet50_bi"),
    "tsm-something-v1-16": _something(
        _SOMETHING.format("", "resnet50", 16), network="tsm_resnet50_bi", interval_seconds=0.25, num_frames=16
    ),
    "tsm-something-v1-resnet101": _something(_SOMETHING.format("", "resnet101", 8), network="tsm_resnet101_bi"),
    "tsm-something-v2": _something(_SOMETHING.format("v2", "resnet50", 8), network="tsm_resnet50_bi"),
    "tsm-something-v2-16": _something(
        _SOMETHING.format("v2", "resnet50", 16), network="tsm_resnet50_bi", interval_seconds=0.25, num_frames=16
    ),
    "tsm-something-v2-resnet101": _something(_SOMETHING.format("v2", "resnet101", 8), network="tsm_resnet101_bi"),
    "r3d-kinetics": _torchvision("r3d_18-b3b3357e.pth", network="r3d_18", labels="kinetics400"),
    "mc3-kinetics": _torchvision("mc3_18-a90a0ba3.pth", network="mc3_18", labels="kinetics400"),
    "r2plus1d-kinetics": _torchvision(
        "r2plus1d_18-91a641e6.pth", network="r2plus1d_18_torchvision", labels="kinetics400"
    ),
    "s3d-kinetics": _torchvision("s3d-d76dad2f.pth", network="s3d", labels="kinetics400"),
    "resnet18-imagenet": _pictures("resnet18-f37072fd.pth", network="tsn_resnet18"),
    "resnet34-imagenet": _pictures("resnet34-b627a593.pth", network="tsn_resnet34"),
    "resnet50-imagenet": _pictures("resnet50-0676ba61.pth", network="tsn_resnet50"),
    "resnet101-imagenet": _pictures("resnet101-63fe2227.pth", network="tsn_resnet101"),
    "resnet152-imagenet": _pictures("resnet152-394f9c45.pth", network="tsn_resnet152"),
    "mobilenet-v2-imagenet": _pictures("mobilenet_v2-b0353104.pth", network="tsn_mobilenet_v2"),
    "googlenet-imagenet": _pictures("googlenet-1378be20.pth", network="tsn_googlenet"),
    "inception-v3-imagenet": _pictures("inception_v3_google-0cc3c7bd.pth", network="tsn_inception_v3"),
    "vgg16-imagenet": _pictures("vgg16-397923af.pth", network="tsn_vgg16"),
}
