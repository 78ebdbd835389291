"""Window: a network for whole clips, live, is that network on the clip that ends now."""

import copy

import numpy as np
import pytest
import torch
from helpers import images, random_card, randomised
from precision import EXACT, apart, float64_bound

from actionstream import Engine
from actionstream.models import create
from actionstream.models.window import Window
from actionstream.runtimes.eager import TorchRuntime

N = 4


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return randomised(create("r3d_18", num_classes=4)).double()


def clips(frames):
    """For each t the clip that ends there, the first frame standing in for those that never were."""
    first = frames[:, :1]
    padded = torch.cat([first] * (N - 1) + [frames], dim=1)
    return [padded[:, t : t + N] for t in range(frames.shape[1])]


@torch.inference_mode()
def test_each_row_scores_the_clip_that_ends_there(network):
    frames = torch.randn(2, 7, 3, 32, 32, dtype=torch.float64)
    rows, _ = Window(network, num_frames=N)(frames)
    for t, clip in enumerate(clips(frames)):
        assert apart(rows[:, t], network(clip)) < EXACT


@torch.inference_mode()
def test_between_strides_the_last_row_is_repeated(network):
    frames = torch.randn(1, 8, 3, 32, 32, dtype=torch.float64)
    rows, _ = Window(network, num_frames=N, stride=3)(frames)
    expected = [network(clip) for clip in clips(frames)]
    for t in range(8):
        assert apart(rows[:, t], expected[t // 3 * 3]) < EXACT


@torch.inference_mode()
def test_streams_of_a_batch_have_their_own_phase(network):
    """One stream is a frame ahead of the other: the network runs for each when its turn comes."""
    window = Window(network, num_frames=N, stride=2)
    frames = torch.randn(2, 5, 3, 32, 32, dtype=torch.float64)
    _, ahead = window(frames[:1, :1])
    state = tuple(torch.cat(leaves) for leaves in zip(ahead, window.empty_state(1, 32, 32), strict=True))
    together, _ = window(torch.stack([frames[0, 1:], frames[1, :4]]), state)
    alone = [window(frames[:1])[0][:, 1:], window(frames[1:, :4])[0]]
    assert apart(together, torch.cat(alone)) < EXACT


def test_the_engine_runs_it(network):
    card = random_card("r3d_18")
    network = copy.deepcopy(network).float()
    before = copy.deepcopy(network.state_dict())
    engine = Engine(TorchRuntime(Window(network.train(), num_frames=N), card, device="cpu"))
    stream = engine.open()
    pictures = images(6)
    rows = [engine.push(stream, picture, n * 0.1) for n, picture in enumerate(pictures)]
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.eval().state_dict().items())
    frames = torch.from_numpy(np.stack([card.preprocessing.resize(picture) for picture in pictures]))
    window, clip = Window(network, num_frames=N), card.preprocessing.normalise(frames[None])
    expected, limit = float64_bound(window, clip, of=card.probabilities)
    assert apart(rows[-1].probabilities, expected[0, -1]) < limit


def test_a_state_of_other_streams_is_refused(network):
    window = Window(network, num_frames=N)
    with pytest.raises(ValueError, match="frames of 2 streams, 1 each, and a state of 1: there must be"):
        window(torch.zeros(2, 1, 3, 32, 32), window.empty_state(1, 32, 32))
    with pytest.raises(ValueError, match="frames of 1 streams, 0 each"):
        window(torch.zeros(1, 0, 3, 32, 32))


def test_rows_are_counted_in_any_type():
    window = Window(create("tsn", network="tsn_resnet18", width=0.125).bfloat16().eval(), num_frames=2)
    assert window.empty_state(1, 32, 32)[-1].dtype is torch.float32


def test_a_first_part_sees_each_segment_once():
    """Feature maps of segments are kept: the rows are those of a window of pictures."""
    torch.manual_seed(0)
    network = randomised(create("timeception_i3d", num_layers=1, num_classes=3)).double()
    frames = torch.randn(1, 49, 3, 32, 32, dtype=torch.float64)
    seen = []
    first_part = network.first_part
    network.first_part = lambda part: (seen.append(part.shape[:2]), first_part(part))[1]
    with torch.inference_mode():
        window = Window(network, num_frames=32, stride=16)
        empty = window.empty_state(1, 32, 32)
        seen.clear()
        rows, state = window(frames, empty)
        assert seen == [(1, 8)] * 7  # one where the stream starts, and one for each eight frames
        assert state[1].shape[:3] == (1, 4, 1024)
        for row, end in ((0, 0), (15, 0), (16, 16), (32, 32), (48, 48)):
            clip = torch.cat([frames[:, :1]] * 32 + [frames[:, 1 : end + 1]], dim=1)[:, -32:]
            assert apart(rows[:, row], network(clip)) < EXACT


def test_refuses_what_makes_no_sense(network):
    with pytest.raises(ValueError, match="streams by itself and needs no window"):
        Window(create("tsm_resnet18"), num_frames=8)
    with pytest.raises(ValueError, match="a window of 0 frames with stride 1: both must be 1 or more"):
        Window(network, num_frames=0)
    with pytest.raises(ValueError, match=r"frames are \(B, T, 3, H, W\)"):
        Window(network, num_frames=2)(torch.zeros(1, 3, 32, 32))
