"""Files in the layouts of the public reference code become checkpoints that agree with it."""

import re

import pytest
import torch
from golden import AGREEMENT, Golden
from helpers import shared
from interior import distance_inside
from precision import apart

from actionstream.models import create, load
from actionstream.models.weights.convert import recognise
from actionstream.models.weights.layouts import LAYOUTS, PROJECTS, load_layout

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
    "s3d_torchvision": ("torchvision", "s3d", "s3d-torchvision"),
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
DELAYED = (  # those of whole clips that run frame by frame, too, and say the same inside a clip
    "c3d_jfzhang",
    "csn_ip_152_mmaction2",
    "csn_ir_101",
    "csn_ir_152_vmz",
    "csn_ir_50",
    "i3d_inception_ibm",
    "i3d_inception_piergiaj",
    "i3d_resnet50_mmaction2",
    "r2plus1d_18",
    "r2plus1d_jfzhang",
    "r3d_18",
    "s3d_ibm",
    "s3d_torchvision",
    "slow_r50",
    "slowfast_r50_4x16",
    "slowfast_r50_4x16_mmaction2",
)
STRIDED = ("slowfast_r50_4x16", "slowfast_r50_4x16_pyslowfast")  # fed so, for once; their pipelines do it otherwise


@pytest.mark.parametrize("folder", CASES)
@torch.inference_mode()
def test_a_converted_file_agrees_with_the_reference(folder, tmp_path, run):
    golden = Golden(folder)
    _, name, layout = CASES[folder]
    given, made = golden.file(tmp_path / "weights.pth"), tmp_path / "made.safetensors"
    code, out, err = run("convert", given, "-o", made, *OPTIONS.get(folder, ()))
    assert (code, err) == (0, ""), err
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
    if folder in DELAYED:
        assert distance_inside(network) < 1e-11


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
    assert {project for project, *_ in CASES.values()} | OTHERS == set(PROJECTS)
    assert {layout for *_, layout in CASES.values()} == set(LAYOUTS) - SYNTHETIC


@pytest.mark.parametrize("folder", CASES)
def test_files_of_a_project_with_module_and_without_counts(folder):
    keys = {key.removeprefix("module."): tensor for key, tensor in Golden(folder).keys().items()}
    weights = {f"module.{key}": tensor for key, tensor in keys.items() if not key.endswith("num_batches_tracked")}
    project, *expected = CASES[folder]
    trained_shift = "uni" if folder in OPTIONS else None
    found = recognise(weights, project=project, trained_shift=trained_shift)
    assert [found.network, found.layout] == expected


OTHERS = {"auto", "actionstream", "tensorflow", "efficientnet-pytorch"}
SYNTHETIC = {  # layouts that golden has no folder of; names as those projects' code gives them, written down from it
    "torchvision-classifier",
    "efficientnet-pytorch",
    "tsn-mobilenet-v2",
    "mmaction2",
    "tsm-resnet-block",
    "tsm-resnet-pooled",
    "tsm-mobilenet-v2-mmaction2",
    "tsn-mobilenet-v2-mmaction2",
    "mobilenet-v2-tensorflow",  # read from real weights in test_networks.py
}


def found_in(folder, *renames):
    weights = Golden(folder).keys()
    for pattern, replacement in renames:
        weights = {re.sub(pattern, replacement, key): tensor for key, tensor in weights.items()}
    found = recognise(weights)
    return found.network, found.layout, found.arguments


def test_variants_of_the_tsm_authors():
    k400 = {"num_classes": 400}
    mobilenet, resnet = "tsm_mobilenetv2_bi", "tsm_resnet50_bi"
    plain = ("tsn_mobilenet_v2", "tsn-mobilenet-v2", k400)
    assert found_in(mobilenet, (r"\.net\.", ".")) == plain
    assert found_in(mobilenet, ("new_fc", "base_model.classifier"))[0] == "tsm_mobilenet_v2_bi"
    block = (r"(layer\d\.\d+)\.conv1\.net\.", r"\1.net.conv1."), (r"(layer\d\.\d+)\.(?!net)", r"\1.net.")
    expected = ("tsm_resnet50_bi", "tsm-resnet-block", {"shift_place": "block", **k400})
    assert found_in(resnet, *block) == expected
    pooled = found_in(resnet, (r"layer2\.", "layer2.net."))
    assert pooled == ("tsm_resnet50_bi", "tsm-resnet-pooled", {"pooled_stages": (2,), **k400})
    flow = Golden(resnet).keys()
    flow["module.base_model.conv1.weight"] = torch.empty(64, 10, 7, 7, device="meta")
    assert recognise(flow).arguments == {"in_channels": 10, **k400}


def test_variants_of_mmaction2():
    tsn = found_in("tsm_resnet50_mmaction2", (r"\.net\.", "."))
    assert tsn == ("tsn_resnet50", "mmaction2", {"num_classes": 400})
    weights = create("tsm_mobilenet_v2", num_classes=5).state_dict()
    counts = (1, 2, 3, 4, 3, 3, 1)
    places = [(stage, n) for stage, count in enumerate(counts, start=1) for n in range(count)]
    blocks = dict(enumerate(places, start=1))
    theirs = {}
    for key, tensor in weights.items():
        parts = key.split(".")
        if parts[0] == "classifier":
            theirs[f"cls_head.fc_cls.{parts[-1]}"] = tensor
            continue
        number = int(parts[1])
        if number in (0, 18):
            kind = "conv" if parts[2] == "0" else "bn"
            theirs[f"backbone.conv{1 if number == 0 else 2}.{kind}.{parts[-1]}"] = tensor
            continue
        stage, n = blocks[number]
        last = 1 if number == 1 else 2
        place = int(parts[3])
        if place < last:
            kind = "conv" if parts[4] == "0" else "bn"
        else:
            kind, place = ("conv" if place == last else "bn"), last
        theirs[f"backbone.layer{stage}.{n}.conv.{place}.{kind}.{parts[-1]}"] = tensor
    found = recognise(theirs, project="mmaction2")
    assert (found.network, found.layout) == ("tsn_mobilenet_v2", "tsn-mobilenet-v2-mmaction2")
    shifted = {key.replace("layer2.1.conv.0.conv.", "layer2.1.conv.0.net.conv."): each for key, each in theirs.items()}
    assert recognise(shifted).network == "tsm_mobilenet_v2_bi"
    assert recognise(shifted).layout == "tsm-mobilenet-v2-mmaction2"


def test_networks_with_grouped_convolutions_are_not_taken_for_others():
    found = recognise(create("csn_ir_50", num_classes=3).state_dict(), project="actionstream")
    assert (found.network, found.arguments) == ("csn_ir_50", {"num_classes": 3})


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
    with pytest.raises(ValueError, match="no layout 'caffe'; there are s3d-torchvision, plain"):
        load_layout(create("tsn_resnet18"), {}, "caffe")
