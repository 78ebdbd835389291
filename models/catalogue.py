"""The catalogue of networks, by name."""

from __future__ import annotations

from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Any, Literal

from actionstream.models.common.choices import FlowMethod, ModalityName, StreamingMode
from actionstream.models.common.errors import ActionstreamError
from actionstream.models.preprocessing import Preprocessing

if TYPE_CHECKING:
    from actionstream.models.network import Network


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A network of the catalogue: where it is, what it is built with, and how its paper feeds it.

    module, name   of its class, which is imported only when a network is built
    arguments      for the class
    paper          arXiv number, or where else it is described
    num_frames     of a clip; 1 where the network streams
    size           height and width of its frames
    step           one frame in `step` is sampled from a video of 30 frames a second
    mean, std      see Preprocessing
    order          see Preprocessing
    many_labels    multi-label: whether any number of labels may be true at once
    """

    module: str
    name: str
    paper: str
    arguments: dict[str, Any] = field(default_factory=dict)
    num_frames: int = 1
    size: int = 224
    step: int = 2
    mean: tuple[float, ...] = (123.675, 116.28, 103.53)
    std: tuple[float, ...] = (58.395, 57.12, 57.375)
    order: Literal["rgb", "bgr"] = "rgb"
    many_labels: bool = False

    def network_class(self) -> type[Network]:
        return getattr(import_module(f"actionstream.models.networks.{self.module}"), self.name)

    def build(self, **more: Any) -> Network:
        return self.network_class()(**{**self.arguments, **more})

    def preprocessing(
        self, in_channels: int = 3, *, modality: ModalityName | None = None, flow_method: FlowMethod = "dis"
    ) -> Preprocessing:
        """The preprocessing for `in_channels`. Without a modality 3 is RGB, 15 RGB difference, 2, 10 and 20 flow."""
        if modality is None:
            guesses: dict[int, ModalityName] = {2: "flow", 3: "rgb", 10: "flow", 15: "rgb-difference", 20: "flow"}
            modality = guesses.get(in_channels, "features")
        stack = {"rgb": 1, "rgb-difference": in_channels // 3, "features": in_channels}.get(modality, in_channels // 2)
        caffe = self.order == "bgr"
        of_modality: dict[str, Any] = {"mean": self.mean, "std": self.std, "order": self.order}
        if modality == "rgb-difference":
            of_modality |= {"mean": (0.0,), "std": (1.0,) if caffe else (255.0,)}
        elif modality != "rgb":  # flow as the TSN authors' code has it
            of_modality = {"mean": (128.0 if caffe else 127.5,), "std": (sum(self.std) / len(self.std),)}
        preprocessing = Preprocessing(
            height=self.size,
            width=self.size,
            short_side=256 if 224 <= self.size <= 256 else round(self.size * 8 / 7),
            modality=modality,
            stack=stack,
            flow_method=flow_method,
            **of_modality,
        )
        if preprocessing.in_channels != in_channels:
            raise ActionstreamError(f"the network takes {in_channels} channels, which {modality} does not have")
        return preprocessing


def _resnet(depth: int, **more: Any) -> Entry:
    """A 2D ResNet; keywords that are not fields of the entry are arguments of the network."""
    entry = {name: more.pop(name) for name in ("num_frames", "step", "paper") if name in more}
    return Entry(module="resnet", name="ResNet", arguments={"depth": depth, **more}, **{"paper": TSN, **entry})


TSN, TSM, TAM, NON_LOCAL = "arXiv:1608.00859", "arXiv:1811.08383", "arXiv:1912.00869", "arXiv:1711.07971"
_KINETICS: dict[str, Any] = {"mean": (110.2008, 100.63983, 95.99475), "std": (58.14765, 56.46975, 55.33215)}
_HALF: dict[str, Any] = {"mean": (127.5,), "std": (127.5,)}
_PYSLOWFAST: dict[str, Any] = {"mean": (114.75,), "std": (57.375,)}
_IMAGENET_BGR: dict[str, Any] = {"mean": (104.0, 117.0, 128.0), "std": (1.0,), "order": "bgr"}
_SPORTS1M_BGR: dict[str, Any] = {"mean": (90.0, 98.0, 102.0), "std": (1.0,), "order": "bgr"}

_mobilenet_v2 = partial(Entry, module="mobilenet_v2", name="MobileNetV2")
_efficientnet_lite = partial(Entry, module="efficientnet_lite", name="EfficientNetLite0")
_bn_inception = partial(Entry, module="bn_inception", name="BNInception", **_IMAGENET_BGR)
_classifier = partial(Entry, module="torchvision_classifier", name="TorchvisionClassifier", paper=TSN)
_inception3d = partial(Entry, num_frames=64, step=1, **_HALF)
_i3d = partial(_inception3d, module="i3d", name="I3D")
_s3d = partial(_inception3d, module="s3d", name="S3D", paper="arXiv:1712.04851")
_inflated = partial(Entry, module="inflated", name="InflatedResNet")
_slowfast = partial(
    Entry, module="slowfast", name="SlowFast", paper="arXiv:1812.03982", num_frames=32, size=256, **_PYSLOWFAST
)
_csn = partial(Entry, module="csn", name="CSN", paper="arXiv:1904.02811", num_frames=32, **_KINETICS)
_smallbig = partial(Entry, module="smallbig", name="SmallBigNet", paper="arXiv:2006.14582", num_frames=8, step=8)
_timeception = partial(
    Entry, module="timeception", name="Timeception", paper="arXiv:1812.01289", step=1, many_labels=True
)


def _resnet3d(*groups: str, depth: int = 18, pictures: dict[str, Any] = _KINETICS, **more: Any) -> Entry:
    """A ResNet of basic blocks for clips; the last kind applies to the rest of the five groups."""
    kinds = (*groups, *groups[-1:] * (5 - len(groups)))
    return Entry(
        module="resnet3d",
        name="ResNet3D",
        paper="arXiv:1711.11248",
        arguments={"depth": depth, "kinds": kinds, **more},
        num_frames=more.get("stacked", 16),
        size=112,
        **pictures,
    )


_3X1X1: dict[str, Any] = {"stem": (5, 1), "pool2": True, "first": ((3,), (3, 1), (3, 1), (1, 3))}
_3X3X3: dict[str, Any] = {"stem": (3, 1), "middle": 3, "strides": (1, 2, 2, 2)}
_SLOW: dict[str, Any] = {"first": ((1,), (1,), (3,), (3,))}
_HARA: dict[str, Any] = {"stem": (7, 1), "pool": (3, 2), "middle": 3, "strides": (1, 2, 2, 2)}

# the packaged checkpoints "imagenet" and "motion" as the backbones of a taught network and of a detector
_APPEARANCE: dict[str, Any] = {
    "network": "tsn_efficientnet_lite0",
    "arguments": {"same": True},
    "size": 192,
    "mean": (127.0,),
    "std": (128.0,),
    "maps": ((6, 3),),
}
_MOTION: dict[str, Any] = {
    "network": "tsm_resnet18",
    "arguments": {"width": 0.5, "n_div": 4},
    "size": 64,
    "mean": (128.0,),
    "std": (128.0,),
    "pictures": 2,
    "maps": ((1, 4), (2, 2), (3, 2)),
}


def _of_features(**given: Any) -> Entry:
    """A network of the features of snippets."""
    return Entry(arguments={"in_channels": 1024}, size=1, step=4, mean=(0.0,), std=(1.0,), many_labels=True, **given)


NETWORKS: dict[str, Entry] = {
    # frame by frame
    "tsn_resnet18": _resnet(18),
    "tsn_resnet34": _resnet(34),
    "tsn_resnet50": _resnet(50),
    "tsn_resnet101": _resnet(101),
    "tsn_resnet152": _resnet(152),
    "tsn_mobilenet_v2": _mobilenet_v2(paper=TSN),
    "tsn_efficientnet_lite0": _efficientnet_lite(paper=TSN, **_HALF),
    "tsn_bn_inception": _bn_inception(paper=TSN),
    "tsn_googlenet": _classifier(arguments={"classifier": "googlenet"}, **_HALF),
    "tsn_inception_v3": _classifier(arguments={"classifier": "inception_v3"}, size=299, **_HALF),
    "tsn_vgg16": _classifier(arguments={"classifier": "vgg16"}),
    "taught": Entry(
        module="taught",
        name="Taught",
        paper="actionstream teach",
        arguments={"backbones": (_APPEARANCE, _MOTION)},
        size=192,
        step=4,
        mean=(0.0,),
        std=(1.0,),
    ),
    "detector": Entry(
        module="detector",
        name="Detector",
        paper="actionstream train --annotations",
        arguments={"backbones": (_APPEARANCE, _MOTION)},
        size=192,
        step=4,
        mean=(0.0,),
        std=(1.0,),
        many_labels=True,
    ),
    "tsn": Entry(module="tsn", name="TSN", paper=TSN, num_frames=3, step=30),
    # with a temporal shift, or aggregation
    "tsm_resnet18": _resnet(18, shift="uni", paper=TSM),
    "tsm_resnet34": _resnet(34, shift="uni", paper=TSM),
    "tsm_resnet50": _resnet(50, shift="uni", paper=TSM),
    "tsm_resnet101": _resnet(101, shift="uni", paper=TSM),
    "tsm_resnet152": _resnet(152, shift="uni", paper=TSM),
    "tsm_mobilenet_v2": _mobilenet_v2(arguments={"shift": "uni"}, paper=TSM),
    "tsm_efficientnet_lite0": _efficientnet_lite(arguments={"shift": "uni"}, paper=TSM, **_HALF),
    "tsm_bn_inception": _bn_inception(arguments={"shift": "uni"}, paper=TSM),
    "tsm_resnet50_bi": _resnet(50, shift="bi", paper=TSM, num_frames=8, step=8),
    "tsm_resnet101_bi": _resnet(101, shift="bi", paper=TSM, num_frames=8, step=8),
    "tsm_mobilenet_v2_bi": _mobilenet_v2(arguments={"shift": "bi"}, paper=TSM, num_frames=8, step=8),
    "tsm_bn_inception_bi": _bn_inception(arguments={"shift": "bi"}, paper=TSM, num_frames=8, step=8),
    "tsm_resnet50_non_local": _resnet(50, shift="bi", non_local="embedded-gaussian", paper=TSM, num_frames=8, step=8),
    "tam_resnet50": _resnet(50, shift="bi", temporal="aggregation", paper=TAM, num_frames=8, step=8),
    "tam_resnet101": _resnet(101, shift="bi", temporal="aggregation", paper=TAM, num_frames=8, step=8),
    "tam_resnet50_causal": _resnet(50, shift="uni", temporal="aggregation", paper=TAM),
    "tam_resnet101_causal": _resnet(101, shift="uni", temporal="aggregation", paper=TAM),
    "tam_mobilenet_v2_causal": _mobilenet_v2(arguments={"shift": "uni", "temporal": "aggregation"}, paper=TAM),
    # convolutions over time
    "c3d": Entry(module="c3d", name="C3D", paper="arXiv:1412.0767", num_frames=16, size=112, **_SPORTS1M_BGR),
    "r2d_18": _resnet3d("2d", stacked=8),
    "f_r2d_18": _resnet3d("2d"),
    "r3d_18": _resnet3d("3d"),
    "r3d_34": _resnet3d("3d", depth=34),
    "mc2_18": _resnet3d("3d", "2d"),
    "mc3_18": _resnet3d("3d", "3d", "2d"),
    "mc4_18": _resnet3d("3d", "3d", "3d", "2d"),
    "mc5_18": _resnet3d("3d", "3d", "3d", "3d", "2d"),
    "rmc2_18": _resnet3d("2d", "3d"),
    "rmc3_18": _resnet3d("2d", "2d", "3d"),
    "rmc4_18": _resnet3d("2d", "2d", "2d", "3d"),
    "rmc5_18": _resnet3d("2d", "2d", "2d", "2d", "3d"),
    "r2plus1d_18": _resnet3d("2+1d"),
    "r2plus1d_34": _resnet3d("2+1d", depth=34, norm_eps=1e-3),  # as VMZ has it
    "r2plus1d_18_torchvision": _resnet3d("2+1d", same_middle=True),
    "r3d_18_jfzhang": _resnet3d("3d", doubled=True, pictures=_SPORTS1M_BGR),
    "r2plus1d_18_jfzhang": _resnet3d("2+1d", doubled=True, pictures=_SPORTS1M_BGR),
    "i3d": _i3d(paper="arXiv:1705.07750"),
    "i3d_flow": _i3d(paper="arXiv:1705.07750", arguments={"in_channels": 2}),
    "i3d_ibm": _i3d(paper="arXiv:1705.07750", arguments={"late": True}),
    "i3d_bottom_heavy": _i3d(paper="arXiv:1712.04851", arguments={"heavy": "bottom"}),
    "i3d_top_heavy": _i3d(paper="arXiv:1712.04851", arguments={"heavy": "top"}),
    "s3d": _s3d(),
    "s3d_ibm": _s3d(arguments={"late": True}),
    "s3d_g": _s3d(arguments={"gated": True}),
    "i3d_resnet50_3x1x1": _inflated(
        arguments={"depth": 50, **_3X1X1}, paper=NON_LOCAL, num_frames=8, step=8, **_PYSLOWFAST
    ),
    "i3d_resnet101_3x1x1": _inflated(
        arguments={"depth": 101, **_3X1X1}, paper=NON_LOCAL, num_frames=8, step=8, **_PYSLOWFAST
    ),
    "i3d_resnet50_3x3x3": _inflated(arguments={"depth": 50, **_3X3X3}, paper=NON_LOCAL, num_frames=32),
    "i3d_resnet101_3x3x3": _inflated(arguments={"depth": 101, **_3X3X3}, paper=NON_LOCAL, num_frames=32),
    "i3d_resnet50_non_local": _inflated(
        arguments={"depth": 50, **_3X1X1, "non_local": "embedded-gaussian"},
        paper=NON_LOCAL,
        num_frames=8,
        step=8,
        **_PYSLOWFAST,
    ),
    "resnet3d_101": _inflated(
        arguments={"depth": 101, **_HARA}, paper="arXiv:1711.09577", num_frames=16, size=112, step=1, **_KINETICS
    ),
    "csn_ir_50": _csn(arguments={"depth": 50}),
    "csn_ir_101": _csn(arguments={"depth": 101}),
    "csn_ir_152": _csn(arguments={"depth": 152}),
    "csn_ip_50": _csn(arguments={"depth": 50, "kind": "ip"}),
    "csn_ip_101": _csn(arguments={"depth": 101, "kind": "ip"}),
    "csn_ip_152": _csn(arguments={"depth": 152, "kind": "ip"}),
    "artnet_r18": Entry(
        module="artnet", name="ARTNet", paper="arXiv:1711.09125", num_frames=16, size=112, step=1, **_IMAGENET_BGR
    ),
    "slow_r50": _inflated(
        arguments={"depth": 50, **_SLOW}, paper="arXiv:1812.03982", num_frames=8, size=256, step=8, **_PYSLOWFAST
    ),
    "slow_r101": _inflated(
        arguments={"depth": 101, **_SLOW}, paper="arXiv:1812.03982", num_frames=8, size=256, step=8, **_PYSLOWFAST
    ),
    "slowfast_r50_4x16": _slowfast(arguments={"depth": 50, "alpha": 8, "lateral_size": 5}),
    "slowfast_r50_8x8": _slowfast(arguments={"depth": 50, "alpha": 4, "lateral_size": 7}),
    "slowfast_r101_4x16": _slowfast(arguments={"depth": 101, "alpha": 8, "lateral_size": 5}),
    "slowfast_r101_8x8": _slowfast(arguments={"depth": 101, "alpha": 4, "lateral_size": 7}),
    "smallbig_r50": _smallbig(arguments={"depth": 50}),
    "smallbig_r101": _smallbig(arguments={"depth": 101}),
    # features of snippets
    "gru": _of_features(module="gru", name="GRU", paper="MiniROAD, ICCV 2023"),
    "moving_averages": _of_features(
        module="moving_averages", name="MovingAverages", paper="actionstream train --annotations"
    ),
    # minutes of video
    "timeception": _timeception(
        arguments={"trunk": None, "segment": 1, "in_channels": 1024}, num_frames=128, size=7, mean=(0.0,), std=(1.0,)
    ),
    "timeception_i3d": _timeception(num_frames=1024, **_HALF),
    "timeception_resnet152": _timeception(arguments={"trunk": "tsn_resnet152", "segment": 1}, num_frames=128),
    "timeception_resnet3d_101": _timeception(arguments={"trunk": "resnet3d_101"}, num_frames=1024, **_KINETICS),
}


def list_models() -> list[str]:
    """The names that `create` takes."""
    return list(NETWORKS)


def find_entry(name: str) -> Entry:
    """The entry of a network; ValueError for a name that does not exist."""
    if name not in NETWORKS:
        near = ", ".join(get_close_matches(name, NETWORKS, n=3, cutoff=0))
        raise ActionstreamError(
            f"no network is named {name!r}; nearest are {near}, and `actionstream models` lists all"
        )
    return NETWORKS[name]


def create(
    name: str,
    *,
    streaming: StreamingMode | None = None,
    num_frames: int | None = None,
    fading: bool = False,
    **arguments: Any,
) -> Network:
    """Build a network by name, with random weights.

    name        one of `list_models()`; "tsn_" has no shift, "tsm_" the unidirectional one unless `shift` says otherwise
    streaming   run a clip network frame by frame, see `actionstream.models.streaming.Streaming`
    num_frames  frames of its clips, which are averaged; default: those of the paper
    fading      average with weights that fade
    arguments   those of its class, such as num_classes, shift, n_div, dropout

    Raises ValueError for a name or an argument that does not exist.
    """
    entry = find_entry(name)
    try:
        if streaming is None:
            if num_frames is not None or fading:
                raise ValueError("num_frames and fading are for streaming, causal or delayed")
            return entry.build(**arguments)
        from actionstream.models.streaming import Streaming

        network = entry.build(**arguments)
        return Streaming(network, mode=streaming, num_frames=num_frames or entry.num_frames, fading=fading)
    except NotImplementedError:  # of the meta device, see `create_empty`
        raise
    except (TypeError, ValueError, RuntimeError) as error:  # torch raises them for what it cannot build
        given = repr(arguments)  # of a stranger's card: it may have any length
        given = given if len(given) <= 500 else f"{given[:500]} ..."
        raise ActionstreamError(f"{name} cannot be built with {given}: {error}") from error


def create_empty(name: str, **arguments: Any) -> Network:
    """`create` on the meta device, without weights; where that is not possible, with random weights."""
    import torch
    from torch.overrides import TorchFunctionMode

    class WithoutRandomNumbers(TorchFunctionMode):
        """Leaves tensors of the meta device alone: to fill one imports for seconds."""

        def __torch_function__(self, func, types, args=(), kwargs=None):
            if func in (torch.Tensor.normal_, torch.Tensor.uniform_):
                return args[0]
            return func(*args, **kwargs or {})

    try:
        with torch.device("meta"), WithoutRandomNumbers():
            return create(name, **arguments)
    except NotImplementedError:  # some classifiers of torchvision read tensor values while they are built
        return create(name, **arguments)
