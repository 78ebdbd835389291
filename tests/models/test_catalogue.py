"""Every network of the catalogue: as many parameters and multiply-adds as published, and it does what networks do."""

import subprocess
import sys
from types import SimpleNamespace

import pytest
import torch
from helpers import randomised
from precision import CONTRACT, apart, float64_bound
from reference import NUM_CLASSES, few_layers, is_deep, small
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from actionstream.models import Card, create, list_models, load, save
from actionstream.models.catalogue import NETWORKS, create_empty
from actionstream.models.clip_network import ClipNetwork
from actionstream.models.network import Network
from actionstream.models.networks.costs import FILE, NetworkCosts, hash_tensors, main, measure, read_table
from actionstream.models.streaming import Streaming
from actionstream.models.window import Window

NUM_PARAMETERS = {  # SPECS: computed from the reference code at 400 classes unless said
    ("artnet_r18", 400): 39_675_216,
    ("c3d", 101): 78_409_573,
    ("c3d", 487): 79_991_015,
    ("csn_ip_152", 400): 33_016_592,
    ("csn_ir_50", 400): 13_131_152,
    ("csn_ir_101", 400): 22_213_776,
    ("csn_ir_152", 400): 29_703_568,
    ("f_r2d_18", 400): 11_381_712,
    ("i3d", 400): 12_697_264,
    ("i3d_flow", 400): 12_675_312,
    ("i3d_ibm", 400): 12_697_264,
    ("i3d_resnet50_3x1x1", 400): 28_043_472,
    ("i3d_resnet50_3x3x3", 400): 46_980_944,
    ("i3d_resnet101_3x3x3", 400): 86_027_088,
    ("mc2_18", 400): 11_400_528,
    ("mc3_18", 400): 11_695_440,
    ("mc4_18", 400): 12_727_632,
    ("mc5_18", 400): 16_856_400,
    ("r2plus1d_18", 400): 33_370_839,
    ("r2plus1d_18_jfzhang", 101): 33_226_750,
    ("r2plus1d_18_torchvision", 400): 31_505_325,
    ("r2plus1d_34", 400): 63_697_175,
    ("r3d_18", 400): 33_371_472,
    ("r3d_18_jfzhang", 101): 33_227_557,
    ("rmc2_18", 400): 33_352_656,
    ("rmc3_18", 400): 33_057_744,
    ("rmc4_18", 400): 32_025_552,
    ("rmc5_18", 400): 27_896_784,
    ("s3d", 400): 8_320_048,
    ("s3d_ibm", 400): 8_313_328,
    ("slow_r50", 400): 32_454_096,
    ("slowfast_r50_4x16", 400): 34_480_216,
    ("slowfast_r50_8x8", 400): 34_566_488,
    ("slowfast_r101_8x8", 400): 62_913_240,
    ("smallbig_r50", 400): 24_370_640,
    ("smallbig_r101", 400): 43_414_992,
    ("tam_resnet50", 400): 24_366_992,
    ("tam_resnet50", 87): 23_725_655,
    ("tam_resnet101", 400): 43_411_344,
    ("tsm_mobilenet_v2", 400): 2_736_272,
    ("tsm_resnet50", 400): 24_327_632,
    ("tsm_resnet50_non_local", 400): 31_686_096,
    ("tsm_resnet101", 174): 42_856_686,
    ("tsn_bn_inception", 400): 10_680_240,
    ("tsn_bn_inception", 1000): 11_295_240,
    ("tsn_mobilenet_v2", 27): 2_258_459,
    ("tsn_resnet50", 400): 24_327_632,
}
MULTIPLY_ADDS = {  # as published, in 1e9, for so many frames of so many pixels
    "c3d": (16, 112, 38.5),
    "csn_ir_101": (32, 256, 75.62),
    "i3d_resnet50_3x1x1": (8, 256, 37.53),
    "mc3_18": (16, 112, 43.34),
    "r2plus1d_18_torchvision": (16, 112, 40.52),
    "r3d_18": (16, 112, 40.70),
    "s3d": (16, 224, 17.98),
    "slow_r50": (8, 256, 54.52),
    "slowfast_r50_4x16": (32, 256, 36.69),
    "slowfast_r50_8x8": (32, 256, 65.71),
    "tsm_resnet50": (8, 224, 32.88),
}


def on_meta(name, **arguments):
    with torch.device("meta"):
        return create(name, **arguments)


@pytest.mark.parametrize(("name", "num_classes"), NUM_PARAMETERS)
def test_number_of_parameters(name, num_classes):
    network = on_meta(name, num_classes=num_classes)
    assert sum(p.numel() for p in network.parameters()) == NUM_PARAMETERS[name, num_classes]


def test_the_layers_of_timeception_have_as_many_parameters_as_published():
    for scales, expected in [("kernels", 1_488_416), ("dilations", 1_479_584), ("fixed", 1_479_584)]:
        layers = on_meta("timeception_i3d", scales=scales).layers
        assert sum(p.numel() for p in layers.parameters()) == expected
        assert [layer.out_channels for layer in layers] == [1280, 1600, 2000, 2480]
        statistics = sum(b.numel() for name, b in layers.named_buffers() if "running" in name)
        assert scales != "dilations" or expected + statistics == 1_494_304  # the paper counts them


@pytest.mark.parametrize("name", MULTIPLY_ADDS)
def test_multiply_adds(name):
    num_frames, size, expected = MULTIPLY_ADDS[name]
    network = on_meta(name).eval()
    normalised = 0

    def count(module, args, output):
        nonlocal normalised
        normalised += output.numel()

    for module in network.modules():
        if isinstance(module, nn.BatchNorm3d) and name == "csn_ir_101":  # fvcore, their counter, counts batch norms too
            module.register_forward_hook(count)
    clip = torch.zeros(1, num_frames, 3, size, size, device="meta")
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(clip)
    assert (counter.get_total_flops() / 2 + normalised) / 1e9 == pytest.approx(expected, rel=0.02)


def test_the_table_is_that_of_the_code(tmp_path, monkeypatch):
    monkeypatch.setattr("actionstream.models.networks.costs.FILE", tmp_path / "costs.json")
    main()
    assert (tmp_path / "costs.json").read_text() == FILE.read_text(), (
        "run: python -m actionstream.models.networks.costs"
    )
    assert [row.name for row in read_table()] == list_models()


def test_a_row_of_the_table():
    row = measure("tsm_mobilenet_v2")
    assert row == NetworkCosts(
        name="tsm_mobilenet_v2",
        num_frames=1,
        size=224,
        num_parameters=2_736_272,
        multiply_adds=300_006_272,
        live_multiply_adds=300_006_272,
        state_bytes=27_048 * 4,
        snippet_frames=1,
        delay=None,
        window="",
        paper="arXiv:1811.08383",
        tensors=row.tensors,
    )
    tensors = create("tsm_mobilenet_v2", num_classes=27, in_channels=10).state_dict()
    assert hash_tensors(tensors) == row.tensors
    assert hash_tensors({key: tensors[key] for key in tensors if key != "classifier.1.bias"}) != row.tensors


def test_how_a_network_streams():
    rows = {row.name: row for row in read_table()}
    assert rows["tsm_resnet50"].streams == "frame by frame"
    assert rows["i3d"].streams == "by 8 frames, or 48 late"
    assert rows["s3d_g"].streams == "by 8 frames"
    assert rows["slow_r50"].streams == "frame by frame, or 9 late"
    assert rows["i3d"].multiply_adds == pytest.approx(64 * rows["i3d"].live_multiply_adds, rel=1e-3)
    network = Streaming(create_empty("slow_r50"), mode="causal", num_frames=8)
    assert rows["slow_r50"].state_bytes == network.state_bytes(256, 256)
    window = rows["smallbig_r50"]
    assert (window.streams, window.delay) == ("in a window", None)
    assert window.window.startswith("the last big view spans all frames of whole clips")
    assert window.state_bytes == 4 * (8 * 3 * 224 * 224 + 400 + 1)
    for row in rows.values():
        assert bool(row.window) == (row.streams == "in a window")


def test_importing_the_package_imports_no_network():
    code = (
        "import sys, actionstream.models, actionstream.models.catalogue\n"
        "print([m for m in sys.modules if m.startswith(('actionstream.models.', 'torch'))])"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert "resnet" not in out
    assert "'torch" not in out
    code = "import sys; from models import create; create('tsn_resnet18'); print(*sys.modules)"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert {"actionstream.models.networks.resnet"} <= set(out)
    assert not {
        "actionstream.models.networks.i3d",
        "actionstream.models.networks.slowfast",
        "actionstream.models.networks.mobilenet_v2",
    } & set(out)


def test_what_does_not_exist_is_refused():
    with pytest.raises(ValueError, match=r"no network is named 'tsm_resnet51'; nearest are tsm_resnet50, .*lists all"):
        create("tsm_resnet51")
    with pytest.raises(ValueError, match=r"tsm_resnet50 cannot be built with .*classes"):
        create("tsm_resnet50", classes=3)


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in NETWORKS if not is_deep(name)])
def test_network(name, tmp_path):
    """Shapes, precision, gradients, saving and loading, and the laws of a stream, live in a window where it must be.

    Deeper ones are the same code with more of the same blocks.
    """
    torch.manual_seed(0)
    num_frames, size = small(name)
    fewer = few_layers(name)
    network = filled(create_empty(name, num_classes=NUM_CLASSES, **fewer))
    assert isinstance(network, Network)
    assert network.streams == (NETWORKS[name].num_frames == 1)
    clip = torch.randn(1, num_frames, network.in_channels, size, size)
    settle(network, clip)
    if isinstance(network, ClipNetwork):
        with torch.inference_mode():
            torch.testing.assert_close(network.head(network.trunk(clip)), network(clip))

    scores = network(clip)[0] if network.streams else network(clip)
    assert scores.shape == ((1, num_frames, NUM_CLASSES) if network.streams else (1, NUM_CLASSES))
    scores.square().sum().backward()
    learnt = {name: p for name, p in network.named_parameters() if p.requires_grad}  # all, but for frozen backbones
    assert [name for name, p in learnt.items() if p.grad is None or not p.grad.any()] == []
    network.zero_grad()

    exact, limit = float64_bound(network, clip)
    assert apart(scores.detach(), exact) < 1e-4
    with torch.inference_mode():
        if network.streams:
            check_laws(network, clip, min(CONTRACT[torch.float32], limit))
        else:
            check_window(network, clip, exact, limit)
        check_saved(name, network, fewer, clip, scores.detach(), tmp_path / "saved.safetensors")


def filled(network):
    """Random weights in place of none: quicker than those that a network begins with."""
    network = network.to_empty(device="cpu")
    for parameter in network.parameters():
        if parameter.dim() < 4:
            parameter.data.normal_(0, parameter[0].numel() ** -0.5 if parameter.dim() > 1 else 0.1)
    for name, buffer in network.named_buffers():
        buffer.fill_(name == "signs")  # of a taught network; the others are statistics
    return randomised(network)


def settle(network, clip):
    """Half of the statistics of the batch norms from the clip, so that no layer grows beyond measure."""
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d | nn.BatchNorm3d)]
    for module in norms:
        module.momentum = 0.5
    if norms:
        with torch.no_grad():
            network.train()(torch.cat([clip, clip.flip(-1)]))
        network.eval()


def check_saved(name, network, arguments, clip, scores, path):
    card = Card(
        network=name,
        arguments={"num_classes": NUM_CLASSES, **arguments},
        labels=tuple("abcde"),
        preprocessing=NETWORKS[name].preprocessing(),
        interval_seconds=0.1,
    )
    save(path, network, card)
    again, read = load(path)
    path.unlink()  # all of them are gigabytes
    assert read == card
    found = again(clip)
    assert torch.equal(found[0] if network.streams else found, scores)


def check_laws(network, clip, limit):
    """Chunking, causality, independence, reset."""
    other = torch.randn_like(clip)
    together, last = network(torch.cat([clip, other]))
    state, rows = None, []
    for t in range(clip.shape[1]):
        row, state = network(torch.cat([clip, other])[:, t : t + 1], state)
        rows.append(row)
    assert apart(torch.cat(rows, dim=1), together) < limit
    for one, whole in zip(state, last, strict=True):
        assert apart(one, whole) < limit
    alone, _ = network(clip)
    assert apart(alone, together[:1]) < limit
    changed, _ = network(torch.cat([clip[:, :-1], other[:, -1:]], dim=1))
    assert apart(changed[:, :-1], alone[:, :-1]) < limit
    assert apart(changed[:, -1:], alone[:, -1:]) > 1e-3
    for leaf, empty in zip(last, network.empty_state(2, *clip.shape[-2:]), strict=True):
        assert leaf.shape == empty.shape
        leaf[0] = empty[0]
    fresh, _ = network(torch.cat([clip, clip])[:, :1], last)
    assert apart(fresh[:1], alone[:, :1]) < limit


def check_window(network, clip, scores, limit):
    """The row of the last frame is the score of the clip, though it came in two calls and beside another stream."""
    num_frames = clip.shape[1]
    segment = network.segment or 1
    stride = num_frames // 2 // segment * segment
    window = Window(network, num_frames=num_frames, stride=stride)
    stream = torch.cat([clip[:, :1], clip[:, -2 * stride :]], dim=1)  # a row of its own, then two strides
    assert torch.cat([stream[:, :1]] * num_frames + [stream], dim=1)[:, -num_frames:].equal(clip)
    both = torch.cat([stream.flip(1), stream])
    cut = max(stride - 1, 1)
    first, state = window(both[:, :cut])
    second, _ = window(both[:, cut:], state)
    rows = torch.cat([first, second], dim=1)[1]
    assert apart(rows[-1], scores[0]) < limit
    assert (rows[:stride] == rows[0]).all()
    assert (rows[stride:-1] == rows[stride]).all()
    assert apart(rows[0], rows[-1]) > 1e-3


@pytest.mark.slow
@pytest.mark.parametrize("name", [n for n, each in NETWORKS.items() if each.num_frames == 1 and not is_deep(n)])
def test_networks_that_stream_are_exported(name):
    size = small(name)[1]
    network = randomised(create(name, num_classes=NUM_CLASSES))
    frame, state = torch.randn(2, 1, network.in_channels, size, size), network.empty_state(2, size, size)
    program = torch.export.export(network, (frame, state))
    with torch.inference_mode():
        _, moved = network(frame, state)
        scores, new = program.module()(frame, state)
    expected, limit = float64_bound(network, frame)
    assert apart(scores, expected) < limit
    for one, other in zip(new, moved, strict=True):
        assert apart(one, other) < limit


def test_networks_that_look_at_numbers_while_they_are_built_get_some(monkeypatch):
    """What the meta device cannot do is no mistake in the arguments."""
    entry = NETWORKS["tsn_resnet18"]

    def build(**arguments):
        torch.zeros(1).cpu()
        return entry.build(**arguments)

    monkeypatch.setitem(NETWORKS, "tsn_resnet18", SimpleNamespace(build=build))
    assert create_empty("tsn_resnet18", num_classes=3).num_classes == 3
