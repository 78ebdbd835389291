"""Files in the layouts of the public reference code become checkpoints that agree with it."""

import numpy as np
import pytest
import torch
from golden import Golden
from helpers import shared

from models import create, load
from models.layouts import LAYOUTS, PROJECTS, load_layout
from models.weights import recognise

# a file as published: whose, and what has to be found; options where the file cannot tell
CASES = {
    "c3d_jfzhang": ("jfzhang", "c3d", "plain"),
    "csn_ip_152": ("vmz", "csn_ip_152", "csn-vmz"),
    "csn_ip_152_mmaction2": ("mmaction2", "csn_ip_152", "csn-mmaction2"),
    "csn_ir_101": ("pytorchvideo", "csn_ir_101", "csn-pytorchvideo"),
    "csn_ir_152_vmz": ("vmz", "csn_ir_152", "csn-vmz"),
    "csn_ir_50": ("pytorchvideo", "csn_ir_50", "csn-pytorchvideo"),
    "csn_ir_50_mmaction2": ("mmaction2", "csn_ir_50", "csn-ir-mmaction2"),
    "i3d_inception_ibm": ("ibm", "i3d", "i3d-ibm"),
    "i3d_inception_piergiaj": ("piergiaj", "i3d", "i3d-piergiaj"),
    "i3d_r50_ptv": ("pytorchvideo", "i3d_resnet50_3x1x1", "i3d-pytorchvideo"),
    "i3d_resnet50_ibm": ("ibm", "i3d_resnet50_3x3x3", "plain"),
    "i3d_resnet50_mmaction2": ("mmaction2", "i3d_resnet50_3x1x1", "i3d-mmaction2"),
    "mc3_18": ("torchvision", "mc3_18", "plain"),
    "nonlocal_tsm_resnet50": ("tsm", "tsm_resnet50_non_local", "tsm-resnet"),
    "r2plus1d_18": ("torchvision", "r2plus1d_18_torchvision", "plain"),
    "r2plus1d_34_vmz": ("vmz", "r2plus1d_34", "plain"),
    "r2plus1d_jfzhang": ("jfzhang", "r2plus1d_18_jfzhang", "jfzhang"),
    "r3d_18": ("torchvision", "r3d_18", "plain"),
    "r3d_jfzhang": ("jfzhang", "r3d_18_jfzhang", "jfzhang"),
    "s3d_ibm": ("ibm", "s3d_ibm", "s3d-ibm"),
    "s3d_kylemin": ("kylemin", "s3d", "s3d-kylemin"),
    "s3d_torchvision": ("torchvision", "s3d", "plain"),
    "slow_r50": ("pytorchvideo", "slow_r50", "pytorchvideo"),
    "slow_r50_pyslowfast": ("pyslowfast", "slow_r50", "pyslowfast"),
    "slowfast_r50_4x16": ("pytorchvideo", "slowfast_r50_4x16", "pytorchvideo"),
    "slowfast_r50_4x16_mmaction2": ("mmaction2", "slowfast_r50_4x16", "slowfast-mmaction2"),
    "slowfast_r50_4x16_pyslowfast": ("pyslowfast", "slowfast_r50_4x16", "slowfast-pyslowfast"),
    "smallbig_resnet50": ("smallbig", "smallbig_r50", "smallbig"),
    "tam_resnet50_ibm": ("ibm", "tam_resnet50", "tam-ibm"),
    "timeception_1024_4layers": ("timeception", "timeception", "timeception"),
    "tsm_mobilenetv2_bi": ("tsm", "tsm_mobilenet_v2_bi", "tsm-mobilenet-v2"),
    "tsm_mobilenetv2_online_jester": ("tsm", "tsm_mobilenet_v2", "tsm-mobilenet-v2-online"),
    "tsm_resnet101_bi": ("tsm", "tsm_resnet101_bi", "tsm-resnet"),
    "tsm_resnet50_bi": ("tsm", "tsm_resnet50_bi", "tsm-resnet"),
    "tsm_resnet50_mmaction2": ("mmaction2", "tsm_resnet50_bi", "tsm-mmaction2"),
    "tsm_resnet50_uni_stream": ("tsm", "tsm_resnet50", "tsm-resnet"),
    "tsn_bninception": ("tsn", "tsn_bn_inception", "tsn-bn-inception"),
    "tsn_resnet50": ("tsn", "tsn_resnet50", "tsn-resnet"),
}
OPTIONS = {"tsm_resnet50_uni_stream": ("--trained-shift", "uni")}  # it has the names of the one trained with "bi"
STREAMED = ("tsm_mobilenetv2_online_jester", "tsm_resnet50_uni_stream")
STRIDED = ("slowfast_r50_4x16", "slowfast_r50_4x16_pyslowfast")  # fed so, for once; their pipelines do it otherwise
AGREEMENT = 2e-5


def apart(ours, theirs):
    return np.abs(ours.numpy() - theirs).max() / np.abs(theirs).max()


@pytest.mark.parametrize("folder", CASES)
@torch.inference_mode()
def test_a_converted_file_agrees_with_the_reference(folder, tmp_path, run):
    golden = Golden(folder)
    _, name, layout = CASES[folder]
    given, made = golden.file(tmp_path / "weights.pth"), tmp_path / "made.safetensors"
    code, out, err = run("convert", given, "-o", made, *OPTIONS.get(folder, ()))
    assert (code, err) == (0, "")
    assert f"weights.pth: {name} in the layout {layout}" in out
    given.unlink()
    network, card = load(made)
    assert (card.network, len(card.labels)) == (name, golden.manifest["num_classes"])
    assert sum(p.numel() for p in network.parameters()) == golden.manifest["trainable_params"]
    if golden.arrays is None:
        return
    if folder in STRIDED:
        network.slow_frames = "strided"
    for suffix in golden.suffixes():
        expected = golden.arrays[f"logits64{suffix}"]
        if folder in STREAMED:
            scores, state = streamed(network, golden.clips(suffix))
            assert apart(scores, expected) < AGREEMENT
            buffers = [golden.arrays[f"state_final{suffix}_{n:02}"] for n in range(len(state))] if suffix else []
            for leaf, buffer in zip(state, buffers, strict=bool(buffers)):
                assert apart(leaf, buffer) < AGREEMENT
        elif network.streams:
            assert apart(network(golden.clips(suffix))[0].mean(1), expected) < AGREEMENT
        else:
            assert apart(network(golden.clips(suffix)), expected) < AGREEMENT


def streamed(network, clips):
    """One frame a call: scores (T, K), and the state in the end."""
    state, rows = None, []
    for t in range(clips.shape[1]):
        scores, state = network(clips[:, t : t + 1], state)
        rows.append(scores[0, 0])
    return torch.stack(rows), state


def test_every_folder_of_golden_outputs_is_here():
    folders = {path.parent.name for path in shared("golden").glob("*/manifest.json")}
    assert folders - {"mtwi"} == set(CASES)
    assert {project for project, *_ in CASES.values()} | {"auto", "actionstream"} == set(PROJECTS)
    assert {layout for *_, layout in CASES.values()} == set(LAYOUTS) - set(SYNTHETIC.values())


@pytest.mark.parametrize("folder", CASES)
def test_files_of_a_project_with_module_and_without_counts(folder):
    keys = {key.removeprefix("module."): tensor for key, tensor in Golden(folder).keys().items()}
    weights = {f"module.{key}": tensor for key, tensor in keys.items() if not key.endswith("num_batches_tracked")}
    project, *expected = CASES[folder]
    trained_shift = "uni" if folder in OPTIONS else None
    found = recognise(weights, project=project, trained_shift=trained_shift)
    assert [found.network, found.layout] == expected


# layouts that golden has no folder of: the file made from our names by hand
SYNTHETIC = {"classifier": "torchvision-classifier", "tsn mobilenet": "tsn-mobilenet-v2", "tsn mmaction2": "mmaction2"}


def test_layouts_without_a_golden_folder():
    """Names as those projects' code gives them, written down from its source."""
    mobilenet = Golden("tsm_mobilenetv2_bi").keys()
    tsn = recognise({key.replace(".net.", "."): tensor for key, tensor in mobilenet.items()})
    assert (tsn.network, tsn.layout, tsn.shift) == ("tsn_mobilenet_v2", "tsn-mobilenet-v2", "none")
    classifier = {key.replace("new_fc", "base_model.classifier"): tensor for key, tensor in mobilenet.items()}
    assert recognise(classifier).network == "tsm_mobilenet_v2_bi"
    resnet = Golden("tsm_resnet50_mmaction2").keys()
    tsn = recognise({key.replace(".net.", "."): tensor for key, tensor in resnet.items()})
    assert (tsn.network, tsn.layout) == ("tsn_resnet50", "mmaction2")
    flow = Golden("tsm_resnet50_bi").keys()
    flow["module.base_model.conv1.weight"] = torch.empty(64, 10, 7, 7, device="meta")
    assert recognise(flow).arguments == {"num_classes": 400, "in_channels": 10}


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
        load_layout(network, small_weights(**changes), "plain")


def test_unknown_layout():
    with pytest.raises(ValueError, match="no layout 'caffe'; there are plain"):
        load_layout(create("tsn_resnet18"), {}, "caffe")
