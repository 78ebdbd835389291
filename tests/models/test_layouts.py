"""Agreement with the public reference code, through files in its own layout."""

import importlib.util
import json

import numpy as np
import pytest
import torch
from helpers import shared

from models import create
from models.layouts import LAYOUTS, load_layout
from models.weights import load_weights, recognise

# network, arguments, layout, snippets of a clip, the shift the file was trained with where the layout does not tell
CASES = {
    "tsm_mobilenetv2_online_jester": ("tsm_mobilenet_v2", {}, "tsm-mobilenet-v2-online", 6, None),
    "tsm_resnet50_uni_stream": ("tsm_resnet50", {}, "tsm-resnet", 6, "uni"),
    "tsm_resnet50_bi": ("tsm_resnet50", {"shift": "bi"}, "tsm-resnet", 8, None),
    "tsn_resnet50": ("tsn_resnet50", {}, "tsn-resnet", 3, None),
}
STRIDED = {"slow_frames": "strided"}  # the references were fed so; their pipelines take them from first to last
# network, arguments, layout; those without outputs have to load completely
CLIPS = {
    "c3d_jfzhang": ("c3d", {}, "torchvision"),
    "csn_ip_152": ("csn_ip_152", {}, "csn-vmz"),
    "csn_ip_152_mmaction2": ("csn_ip_152", {}, "csn-mmaction2"),
    "csn_ir_101": ("csn_ir_101", {}, "csn-pytorchvideo"),
    "csn_ir_152_vmz": ("csn_ir_152", {}, "csn-vmz"),
    "csn_ir_50": ("csn_ir_50", {}, "csn-pytorchvideo"),
    "csn_ir_50_mmaction2": ("csn_ir_50", {}, "csn-ir-mmaction2"),
    "i3d_inception_ibm": ("i3d", {}, "i3d-ibm"),
    "i3d_inception_piergiaj": ("i3d", {}, "i3d-piergiaj"),
    "i3d_r50_ptv": ("i3d_resnet50_3x1x1", {}, "i3d-pytorchvideo"),
    "i3d_resnet50_ibm": ("i3d_resnet50_3x3x3", {}, "torchvision"),
    "i3d_resnet50_mmaction2": ("i3d_resnet50_3x1x1", {}, "i3d-mmaction2"),
    "mc3_18": ("mc3_18", {}, "torchvision"),
    "nonlocal_tsm_resnet50": ("tsm_resnet50_non_local", {}, "tsm-resnet"),
    "r2plus1d_18": ("r2plus1d_18_torchvision", {}, "torchvision"),
    "r2plus1d_34_vmz": ("r2plus1d_34", {}, "torchvision"),
    "r2plus1d_jfzhang": ("r2plus1d_18_jfzhang", {}, "jfzhang"),
    "r3d_18": ("r3d_18", {}, "torchvision"),
    "r3d_jfzhang": ("r3d_18_jfzhang", {}, "jfzhang"),
    "s3d_ibm": ("s3d", {}, "s3d-ibm"),
    "s3d_kylemin": ("s3d", {}, "s3d-kylemin"),
    "s3d_torchvision": ("s3d", {}, "torchvision"),
    "slow_r50": ("slow_r50", {}, "pytorchvideo"),
    "slow_r50_pyslowfast": ("slow_r50", {}, "pyslowfast"),
    "slowfast_r50_4x16": ("slowfast_r50_4x16", STRIDED, "pytorchvideo"),
    "slowfast_r50_4x16_mmaction2": ("slowfast_r50_4x16", {}, "slowfast-mmaction2"),
    "slowfast_r50_4x16_pyslowfast": ("slowfast_r50_4x16", STRIDED, "slowfast-pyslowfast"),
    "smallbig_resnet50": ("smallbig_r50", {}, "smallbig"),
    "tam_resnet50_ibm": ("tam_resnet50", {}, "tam-ibm"),
    "tsm_mobilenetv2_bi": ("tsm_mobilenet_v2_bi", {}, "tsm-mobilenet-v2"),
    "tsm_resnet101_bi": ("tsm_resnet101_bi", {}, "tsm-resnet"),
    "tsm_resnet50_mmaction2": ("tsm_resnet50_bi", {}, "tsm-mmaction2"),
    "tsn_bninception": ("tsn_bn_inception", {}, "tsn-bn-inception"),
}
AGREEMENT = 2e-5


class Golden:
    def __init__(self, folder: str):
        path = shared("golden", folder)
        spec = importlib.util.spec_from_file_location("fill", shared("golden", "fill.py"))
        self.fill = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(self.fill)
        self.manifest = json.loads((path / "manifest.json").read_text())
        self.arrays = np.load(path / "golden.npz") if (path / "golden.npz").exists() else None

    def file(self, path):
        """The weights as a user has them: wrapped, prefixed, pickled."""
        if self.arrays is None:  # it has to load, no more
            weights = {key: np.zeros(shape, dtype) for key, shape, dtype in self.manifest["keys"]}
        else:
            weights = self.fill.state(self.manifest["keys"], self.manifest["fill_scale"])
        contents = {key: torch.from_numpy(np.asarray(value)) for key, value in weights.items()}
        if self.manifest["checkpoint_wrapper"]:
            contents = {"epoch": 1, "state_dict": contents, "best_prec1": 0.0}
        torch.save(contents, path)
        return torch.load(path, weights_only=True)

    def clips(self) -> torch.Tensor:
        """The inputs as (B, T, C, H, W)."""
        given, layout = self.inputs(""), self.manifest["input_layout"]
        if given.dim() == 5:
            return given.transpose(1, 2)
        return given.unflatten(0, (1, -1)) if layout.startswith("(N*T)") else given.unflatten(1, (-1, 3))

    def inputs(self, suffix: str) -> torch.Tensor:
        shapes = {case["suffix"]: case["input_shape"] for case in self.manifest["extra_cases"]}
        shape = shapes.get(suffix, self.manifest["input_shape"])
        return torch.from_numpy(self.fill.inputs(self.manifest["input_seed"], shape))


def loaded(folder, tmp_path):
    golden = Golden(folder)
    name, arguments, layout, num_snippets, trained = CASES[folder]
    network = create(name, num_classes=golden.manifest["num_classes"], **arguments).eval()
    load_layout(network, golden.file(tmp_path / "weights.pth"), layout, trained_shift=trained)
    return golden, network, num_snippets


def apart(ours, theirs):
    return np.abs(ours - theirs).max() / np.abs(theirs).max()


@pytest.mark.parametrize("suffix", ["_small", ""], ids=["64 pixels", "224 pixels"])
@pytest.mark.parametrize("folder", CASES)
@torch.inference_mode()
def test_agrees_with_the_reference(folder, suffix, tmp_path):
    golden, network, num_snippets = loaded(folder, tmp_path)
    clips = golden.inputs(suffix).unflatten(0, (-1, num_snippets))
    expected = golden.arrays[f"logits64{suffix}"]
    if not network.streams:
        assert apart(network(clips).numpy(), expected) < AGREEMENT
    elif network.shift == "none":
        assert apart(network(clips)[0].mean(1).numpy(), expected) < AGREEMENT
    else:
        state, rows = None, []
        for t in range(num_snippets):
            scores, state = network(clips[:, t : t + 1], state)
            rows.append(scores[0, 0].numpy())
        assert apart(np.stack(rows), expected) < AGREEMENT
        buffers = [golden.arrays[key] for key in sorted(golden.arrays) if key.startswith(f"state_final{suffix}_0")]
        buffers += [golden.arrays[key] for key in sorted(golden.arrays) if key.startswith(f"state_final{suffix}_1")]
        assert buffers or suffix == ""
        for leaf, buffer in zip(state, buffers, strict=bool(buffers)):
            assert apart(leaf.numpy(), buffer) < AGREEMENT


@pytest.mark.parametrize("folder", CLIPS)
@torch.inference_mode()
def test_clip_networks_agree_with_the_reference(folder, tmp_path):
    golden = Golden(folder)
    name, arguments, layout = CLIPS[folder]
    golden.file(tmp_path / "weights.pth")
    network, card = load_weights(name, tmp_path / "weights.pth", **arguments)
    (tmp_path / "weights.pth").unlink()
    assert card.arguments["num_classes"] == golden.manifest["num_classes"]
    assert {**card.arguments, **LAYOUTS[layout].arguments} == card.arguments
    assert sum(p.numel() for p in network.parameters()) == golden.manifest["trainable_params"]
    if golden.arrays is not None:
        scores = network(golden.clips())
        assert apart(scores.numpy(), golden.arrays["logits64"]) < AGREEMENT


@torch.inference_mode()
def test_timeception_agrees_with_the_reference(tmp_path):
    golden = Golden("timeception_1024_4layers")
    with torch.device("meta"):
        layers = create("timeception_i3d").layers.to_empty(device="cpu")
    network = torch.nn.ModuleDict({"layers": layers}).eval()  # the reference has no trunk and no head
    load_layout(network, golden.file(tmp_path / "weights.pth"), "timeception")
    assert sum(p.numel() for p in network.parameters()) == golden.manifest["trainable_params"]
    assert apart(network.layers(golden.inputs("")).numpy(), golden.arrays["logits64"]) < AGREEMENT


def test_every_folder_of_golden_outputs_is_here():
    folders = {path.parent.name for path in shared("golden").glob("*/manifest.json")}
    assert folders - {"mtwi"} == {*CASES, *CLIPS, "timeception_1024_4layers"}


@pytest.mark.parametrize("folder", CASES)
def test_the_layout_is_recognised(folder):
    golden = Golden(folder)
    name, arguments, layout, _, _ = CASES[folder]
    weights = {key: torch.empty(shape, device="meta") for key, shape, _ in golden.manifest["keys"]}
    found, needed = recognise(name, weights, **arguments)
    assert (found, needed) == (layout, {**arguments, "num_classes": golden.manifest["num_classes"]})


def test_weights_of_online_networks_say_so_or_are_told(tmp_path):
    Golden("tsm_mobilenetv2_online_jester").file(tmp_path / "weights.pth")
    assert load_weights("tsm_mobilenet_v2", tmp_path / "weights.pth")[1].shift == "uni"
    with pytest.raises(ValueError, match='trained with shift "uni" and cannot run with "bi"'):
        load_weights("tsm_mobilenet_v2_bi", tmp_path / "weights.pth")
    Golden("tsm_resnet50_uni_stream").file(tmp_path / "weights.pth")
    with pytest.raises(ValueError, match='trained with shift "bi" and cannot run with "uni"'):
        load_weights("tsm_resnet50", tmp_path / "weights.pth")
    assert load_weights("tsm_resnet50", tmp_path / "weights.pth", trained_shift="uni")[1].shift == "uni"
    assert load_weights("tsm_resnet50", tmp_path / "weights.pth", insist=True)[1].shift == "uni"


def test_bidirectional_weights_do_not_run_online(tmp_path):
    golden = Golden("tsm_resnet50_bi")
    network = create("tsm_resnet50", shift="uni")
    weights = golden.file(tmp_path / "weights.pth")
    with pytest.raises(ValueError, match=r'trained with shift "bi".*the next frame, which a live stream does not have'):
        load_layout(network, weights, "tsm-resnet")
    load_layout(network, weights, "tsm-resnet", insist=True)


def small_weights(**changes):
    weights = create("tsn_resnet18", width=0.125, num_classes=3).state_dict()
    return {k: v for k, v in {**weights, **changes}.items() if v is not None}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"fc.bias": None}, r"1 missing \(fc.bias\)"),
        ({"extra": torch.zeros(1)}, r"1 left over \(extra\)"),
        ({"fc.bias": torch.zeros(4)}, r"1 of another shape \(fc.bias\)"),
    ],
)
def test_every_key_is_used_and_every_parameter_set(changes, message):
    network = create("tsn_resnet18", width=0.125, num_classes=3)
    with pytest.raises(ValueError, match=message):
        load_layout(network, small_weights(**changes), "torchvision")


def test_files_without_num_batches_tracked_and_with_module_load():
    weights = {f"module.{k}": v for k, v in small_weights().items() if not k.endswith("num_batches_tracked")}
    network = create("tsn_resnet18", width=0.125, num_classes=3)
    load_layout(network, weights, "torchvision")
    assert torch.equal(network.fc.weight, weights["module.fc.weight"])


def test_unknown_layout():
    with pytest.raises(ValueError, match="no layout 'caffe'; there are torchvision"):
        load_layout(create("tsn_resnet18"), {}, "caffe")
