"""Rendering, batches and the loop that made `motion`."""

import copy
import math
import re

import numpy as np
import pytest
import torch
from helpers import images, scores_of
from precision import EXACT, apart

from actionstream.models.common.errors import ActionstreamError
from actionstream.models.training import scenes, textures
from actionstream.models.training.loop import train
from actionstream.models.training.loss import Batch, Loss
from actionstream.models.training.motion import MOVEMENTS, PREPROCESSING, MotionBatches, motion_card, train_motion
from actionstream.models.training.motion_accuracy import motion_accuracy
from actionstream.models.training.optimisation import Optimisation, freeze, sync_norms
from actionstream.models.training.scenes import AXES, make_pose, make_scene, render


def moved(movement, *, mover="frame", num_frames=6, seed=0, **options):
    random = np.random.default_rng(seed)
    pose = make_pose(random, movement, num_frames, mover=mover, radius=0.3, realism=0.0, **options)
    return pose.centre, pose.log_scale, pose.angle


@pytest.mark.parametrize("movement", AXES)
@pytest.mark.parametrize("mover", ["frame", "object"])
def test_directions_are_the_images(movement, mover):
    centre, log_scale, angle = moved(movement, mover=mover)
    step = np.diff(centre, axis=0)
    assert np.allclose(step / np.linalg.norm(step, axis=1, keepdims=True), AXES[movement])
    assert not log_scale.any()
    assert not angle.any()


def test_zoom_and_turns():
    assert (np.diff(moved("closer")[1]) > 0).all()
    assert (np.diff(moved("away")[1]) < 0).all()
    assert (np.diff(moved("clockwise")[2]) > 0).all()
    assert (np.diff(moved("anticlockwise")[2]) < 0).all()
    assert not any(part.any() for part in moved("still"))
    swing = np.concatenate([moved("shaking", num_frames=16)[0], moved("shaking", num_frames=16)[2][:, None]], axis=1)
    assert (np.diff(np.sign(np.diff(swing, axis=0)), axis=0) != 0).any()


def test_nothing_moves_before_the_onset():
    for movement in MOVEMENTS:
        centre, log_scale, angle = moved(movement, onset=4, num_frames=8)
        assert np.ptp(centre[:4], axis=0).max() == np.ptp(log_scale[:4]) == np.ptp(angle[:4]) == 0


@pytest.mark.parametrize("mover", ["frame", "object"])
def test_pixels_follow_the_pose(mover):
    """A bright square on black, moved by a known amount: its centre of mass is where the pose says."""
    square = np.zeros((128, 128, 3), np.uint8)
    square[56:72, 56:72] = 255
    nowhere = scenes.Pose(np.zeros((1, 2)), np.zeros(1), np.zeros(1))
    thing = {"texture": square + 255, "mask": square[..., 0]} if mover == "object" else {"texture": None, "mask": None}
    background = np.zeros_like(square) if mover == "object" else square
    scene = scenes.Scene(background, radius=1.0, ground=nowhere, place=nowhere, stretch=np.ones(2), **thing)
    path = scenes.Pose(np.array([[0, 0], [0.1, 0.05], [0, 0]]), np.array([0, 0, np.log(2)]), np.array([0.0, 0.0, 45.0]))
    frames = render(scene, path, np.random.default_rng(0), 64, realism=0.0).astype(float).sum(-1)
    y, x = np.mgrid[:64, :64]
    middles = [((frame * x).sum() / frame.sum(), (frame * y).sum() / frame.sum()) for frame in frames]
    assert np.allclose(middles, [(31.5, 31.5), (31.5 + 6.4, 31.5 + 3.2), (31.5, 31.5)], atol=0.6)
    assert frames[2].sum() / frames[0].sum() == pytest.approx(4, rel=0.2)


def test_clockwise_is_clockwise_on_the_screen():
    """A spot above the middle goes to the right."""
    picture = np.zeros((128, 128, 3), np.uint8)
    picture[44:50, 61:67] = 255
    nowhere = scenes.Pose(np.zeros((1, 2)), np.zeros(1), np.zeros(1))
    scene = scenes.Scene(picture, None, None, 0.5, nowhere, nowhere, np.ones(2))
    centre, log_scale, angle = moved("clockwise", num_frames=3)
    frames = render(scene, scenes.Pose(centre, log_scale, angle), np.random.default_rng(0), 64, realism=0.0)
    columns = [(frame.sum((0, 2)) * np.arange(64)).sum() / frame.sum() for frame in frames.astype(float)]
    assert columns[0] < columns[1] < columns[2]


def test_join_goes_on_where_the_first_ended():
    random = np.random.default_rng(0)
    options = {"mover": "frame", "radius": 0.5, "realism": 0.0}
    pose = scenes.join(make_pose(random, "left", 4, **options), make_pose(random, "right", 5, **options))
    x = pose.centre[:, 0]
    assert len(x) == len(pose.log_scale) == len(pose.angle) == 8
    assert (np.diff(x)[:3] < 0).all()
    assert (np.diff(x)[3:] > 0).all()


@pytest.mark.parametrize("name", {**textures.TEXTURES, **textures.UNSEEN_TEXTURES})
def test_textures_have_something_to_see(name):
    make = {**textures.TEXTURES, **textures.UNSEEN_TEXTURES}[name]
    for seed in range(5):
        texture = make(np.random.default_rng(seed), 96)
        assert (texture.shape, texture.dtype) == ((96, 96, 3), np.uint8)
        assert texture.std() > 8
        assert np.array_equal(texture, make(np.random.default_rng(seed), 96))


@pytest.mark.parametrize("name", {**textures.SHAPES, **textures.UNSEEN_SHAPES})
def test_shapes_fill_a_part(name):
    for seed in range(5):
        mask = {**textures.SHAPES, **textures.UNSEEN_SHAPES}[name](np.random.default_rng(seed), 96)
        assert (mask.shape, mask.dtype) == ((96, 96), np.uint8)
        assert 0.08 < (mask > 127).mean() < 0.98


def test_unseen_means_unseen():
    assert not set(textures.TEXTURES) & set(textures.UNSEEN_TEXTURES)
    assert not set(textures.SHAPES) & set(textures.UNSEEN_SHAPES)


def test_objects_stand_out():
    for seed in range(10):
        scene = make_scene(np.random.default_rng(seed), "object", 64)
        inside = scene.texture[scene.mask > 127].mean()
        assert abs(inside - scene.background.mean()) > 15


def test_batches_are_a_function_of_seed_and_step():
    for step in (0, 150, 600, 999):
        first, again = MotionBatches(1000, 3)[step], MotionBatches(1000, 3)[step]
        other = MotionBatches(1000, 4)[step]
        assert np.array_equal(first.clips, again.clips)
        assert not np.array_equal(first.clips, other.clips)
        num_clips, num_frames = first.clips.shape[:2]
        assert num_clips * num_frames == 160
        assert first.targets.shape == (num_clips, num_frames, len(MOVEMENTS))
        assert first.weights.shape == (num_clips, num_frames)
        assert np.allclose(first.targets.sum(-1), 1)
        assert np.allclose(first.targets[:, 0], 0.1)
    with pytest.raises(IndexError):
        MotionBatches(10, 0)[10]


def test_the_easiest_lesson_shows_one_scene_in_all_movements():
    batch = MotionBatches(1000, 0)[0]
    assert batch.targets[:10, -1].argmax(-1).tolist() == list(range(10))
    sideways = batch.clips[:4, 0].astype(int)
    assert np.abs(sideways - sideways[0]).max() == 0


def toy_batches(num_steps, broken_at=None):
    for step in range(num_steps):
        random = np.random.default_rng(step)
        labels = random.integers(2, size=8)
        clips = random.integers(0, 60, (8, 3, 32, 32, 3), dtype=np.uint8) + (labels * 150)[:, None, None, None, None]
        targets = np.eye(2, dtype=np.float32)[labels][:, None].repeat(3, axis=1)
        if step == broken_at:
            targets[:] = np.nan
        yield Batch(clips.astype(np.uint8), targets, np.ones((8, 3), np.float32))


def toy_network():
    from actionstream.models import create

    torch.manual_seed(0)
    return create("tsm_resnet18", num_classes=2, width=0.125)


def test_the_loop_learns_and_tells_how_far_it_is():
    network, told = toy_network(), []
    train(
        network,
        toy_batches(25),
        Optimisation(num_steps=25),
        PREPROCESSING,
        every=10,
        on_progress=lambda done, *_: told.append(done),
    )
    assert told == [10, 20, 25]
    assert not network.training
    batch = next(iter(toy_batches(1)))
    with torch.inference_mode():
        scores, _ = network(PREPROCESSING.normalise(torch.from_numpy(batch.clips)))
    assert (scores.argmax(-1).numpy() == batch.targets.argmax(-1)).mean() > 0.9


def test_a_loss_that_is_no_number_stops():
    network = toy_network()
    with pytest.raises(ActionstreamError, match="the loss is nan at step 2; try a smaller learning rate"):
        train(network, toy_batches(5, broken_at=2), Optimisation(num_steps=5), PREPROCESSING)
    assert all(p.isfinite().all() for p in network.parameters())


def test_schedule():
    schedule = Optimisation(num_steps=100, learning_rate=1.0, warmup=0.1)
    rates = [schedule.rate(step) for step in range(100)]
    assert rates[0] == 0.1
    assert max(rates) == rates[9] == 1.0
    assert rates[10:] == sorted(rates[10:], reverse=True)
    assert rates[-1] < 0.01


@pytest.mark.slow
def test_train_and_measure_end_to_end():
    kept = {}

    def keep(done, network, state):
        kept[done] = copy.deepcopy(state)

    network = train_motion(num_steps=3, workers=1, every=2, on_progress=keep)
    assert list(kept) == [2, 3]
    again = train_motion(num_steps=3, workers=0, start=kept[2]).state_dict()
    assert all(torch.equal(tensor, again[name]) for name, tensor in network.state_dict().items())
    pictures = images(4, height=80, width=100)
    card = motion_card("uni", {}, {})
    figures = motion_accuracy(scores_of(network.eval(), card), card, num_clips=20, pictures=pictures)
    assert list(figures) == [
        "rendered, whole frame",
        "rendered, object",
        "real pictures, whole frame",
        "real pictures, cut-out",
    ]
    for values in figures.values():
        assert 0 <= values["clips"] <= 1
        assert list(values["frames"]) == [6, 8, 12, 16, 24, 32]
        assert len(values["by_movement"]) == 10


def test_what_does_not_learn_stays_as_it_is():
    network = toy_network()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    how = Optimisation(num_steps=2, norms="first", frozen=("layer1", "layer2.0"))
    train(network, toy_batches(2), how, PREPROCESSING)
    changed = {name for name, value in network.state_dict().items() if not torch.equal(value, before[name])}
    assert {"bn1.running_mean", "layer2.1.conv1.weight", "fc.weight"} <= changed
    assert not any(name.startswith(("layer1.", "layer2.0.")) for name in changed)
    assert not any("running" in name for name in changed if not name.startswith("bn1."))
    with pytest.raises(ValueError, match="the network has no part 'layer9' that could be frozen"):
        train(toy_network(), toy_batches(1), Optimisation(frozen=("layer9",)), PREPROCESSING)


def test_a_warm_state_is_that_of_the_frames_before():
    """They run in eval mode and without gradient; what follows has the scores that it has in the whole stream."""
    network = toy_network().double()
    network.eval()
    network.fc.train()
    modes = [module.training for module in network.modules()]
    frames = torch.rand(2, 5, 3, 32, 32, dtype=torch.float64)
    batch = Batch(frames.numpy(), np.zeros((2, 2, 2)), np.ones((2, 2)), num_warm=3)
    scores = Loss(network, network, Optimisation(), PREPROCESSING, "softmax", "cpu")._scores(frames, batch)
    assert [module.training for module in network.modules()] == modes
    with torch.no_grad():
        whole, later = network(frames)[0][:, 3:], network(frames[:, 3:])[0]
    assert apart(scores.detach(), whole) < EXACT
    assert apart(later, whole) > 1e-3


def test_streams_go_on_from_batch_to_batch():
    """A row that begins is scored as alone, the others as in the whole stream; the gradient ends at the border."""
    network = toy_network().double().eval()
    frames = torch.rand(2, 6, 3, 32, 32, dtype=torch.float64)
    loss = Loss(network, network, Optimisation(), PREPROCESSING, "sigmoid", "cpu")
    found, states = [], []
    for begin, begins in ((0, [True, True]), (2, [False, True]), (4, [False, False])):
        piece = frames[:, begin : begin + 2]
        batch = Batch(piece.numpy(), np.zeros((2, 2, 2)), np.ones((2, 2)), begins=np.array(begins))
        found.append(loss._scores(piece, batch))
        states.append(loss.carried)
    with torch.no_grad():
        whole, late = network(frames)[0], network(frames[1:, 2:])[0]
    assert apart(torch.cat(found, dim=1)[0].detach(), whole[0]) < EXACT
    assert apart(torch.cat(found[1:], dim=1)[1].detach(), late[0]) < EXACT
    assert apart(found[1][1].detach(), whole[1, 2:4]) > 1e-3
    (gradient,) = torch.autograd.grad(found[2].sum(), states[1][0], allow_unused=True)
    assert gradient is None


def test_labels_that_are_rare_count_more():
    network, (batch,) = toy_network().eval(), toy_batches(1)
    losses = [
        Loss(network, network, Optimisation(), PREPROCESSING, "sigmoid", "cpu", weights)(batch)[0].item()
        for weights in (None, (1.0, 1.0), (3.0, 1.0))
    ]
    assert losses[0] == losses[1] < losses[2]


def test_a_gradient_that_is_no_number_stops():
    """Though the loss is one: no checkpoint must come of it."""
    network = toy_network()
    network.fc.weight.register_hook(lambda gradient: gradient * torch.nan)
    before = {name: value.clone() for name, value in network.named_parameters()}
    with pytest.raises(ActionstreamError, match="the gradient is nan at step 0; try a smaller learning rate"):
        train(network, toy_batches(1), Optimisation(num_steps=1), PREPROCESSING)
    assert all(torch.equal(value, before[name]) for name, value in network.named_parameters())


def test_recomputing_and_keeping_are_the_same():
    trained = []
    for recompute in (False, True):
        network = toy_network()
        how = Optimisation(num_steps=3, recompute=recompute, average=0.5)
        train(network, toy_batches(3), how, PREPROCESSING)
        trained.append(network.state_dict())
    torch.testing.assert_close(*trained)


def test_the_bias_factor_is_for_biases_of_weights_alone():
    """Weights and biases of norms learn at the rate of weights, without decay; so does a vector of attention."""
    network = torch.nn.ModuleDict(
        {
            "stem": torch.nn.Conv2d(3, 4, 3),
            "norm": torch.nn.BatchNorm2d(4),
            "wide": torch.nn.Conv3d(4, 4, 3),
            "group": torch.nn.GroupNorm(2, 4),
            "line": torch.nn.BatchNorm1d(4),
            "layer": torch.nn.LayerNorm(4),
            "synced": torch.nn.SyncBatchNorm(4),
            "fc": torch.nn.Linear(4, 2),
        }
    )
    network.register_parameter("attention", torch.nn.Parameter(torch.zeros(4)))
    names = {id(parameter): name for name, parameter in network.named_parameters()}
    for optimiser in ("sgd", "adamw"):
        how = Optimisation(optimiser=optimiser, bias_factor=2.0, first_conv_factor=5.0, weight_decay=0.1)
        learnt = {
            names[id(parameter)]: (group["factor"], group["weight_decay"])
            for group in how.optimiser_for(network).param_groups
            for parameter in group["params"]
        }
        biases, weights = {"stem.bias", "wide.bias", "fc.bias"}, {"wide.weight", "fc.weight"}
        assert {name for name, how in learnt.items() if how == (2.0, 0.0)} == biases
        assert learnt.pop("stem.weight") == (5.0, 0.1)
        assert {name for name, how in learnt.items() if how == (1.0, 0.1)} == weights
        assert {how for name, how in learnt.items() if name not in biases | weights} == {(1.0, 0.0)}


def test_a_real_network_doubles_the_rate_of_the_last_bias_alone():
    network = toy_network()
    groups = Optimisation(bias_factor=2.0).optimiser_for(network).param_groups
    (doubled,) = [parameter for group in groups if group["factor"] == 2 for parameter in group["params"]]
    assert doubled is network.fc.bias


def loss_of(network, batch, **how):
    how = Optimisation(**how)
    return Loss(network, network, how, PREPROCESSING, "softmax", "cpu")(batch)[0]


@pytest.mark.parametrize("clip_targets", [False, True])
@pytest.mark.parametrize("activation", ["softmax", "sigmoid"])
def test_mixup_mixes_what_clips_count(monkeypatch, clip_targets, activation):
    """The loss of a mixed pair is that of both labels, each as much as it is mixed in and as its clip counts."""
    network = toy_network().eval()
    batch = next(iter(toy_batches(1)))
    random = np.random.default_rng(1)
    weights = random.uniform(0, 2, (8, 3)).astype(np.float32)
    weights[0] = weights[3, 1] = 0
    targets = np.eye(2, dtype=np.float32)[random.integers(2, size=8)][:, None].repeat(3, axis=1)
    if clip_targets:
        targets, weights = targets[:, 0], weights[:, 0]
    share = torch.tensor(0.3)
    monkeypatch.setattr(torch.distributions.Beta, "sample", lambda self: share)
    seen = {}

    def learner(frames, state=None):
        seen["scores"] = network(frames)
        return seen["scores"]

    how = Optimisation(mixup=0.2)
    batch = Batch(batch.clips, targets, weights)
    loss = Loss(network, learner, how, PREPROCESSING, activation, "cpu")(batch)[0]
    scores = seen["scores"][0].mean(dim=1) if clip_targets else seen["scores"][0]

    def each(targets):
        if activation == "sigmoid":
            entropy = torch.nn.functional.binary_cross_entropy_with_logits
            return entropy(scores, targets, reduction="none").sum(-1)
        return -(targets * scores.log_softmax(-1)).sum(-1)

    own, other = torch.from_numpy(targets), torch.from_numpy(np.roll(targets, 1, axis=0))
    counts, of_other = torch.from_numpy(weights), torch.from_numpy(np.roll(weights, 1, axis=0))
    wanted = (share * counts * each(own) + (1 - share) * of_other * each(other)).sum() / counts.sum()
    torch.testing.assert_close(loss, wanted)


def test_a_clip_that_counts_nothing_teaches_nothing_in_a_mix(monkeypatch):
    network = toy_network().eval()
    batch = next(iter(toy_batches(1)))
    weights = np.ones((8, 3), np.float32)
    weights[2] = 0
    monkeypatch.setattr(torch.distributions.Beta, "sample", lambda self: torch.tensor(0.6))
    losses = []
    for label in (0, 1):
        targets = batch.targets.copy()
        targets[2] = np.eye(2, dtype=np.float32)[label]
        losses.append(loss_of(network, Batch(batch.clips, targets, weights), mixup=0.2))
    torch.testing.assert_close(*losses)
    none = Batch(batch.clips, batch.targets, np.zeros((8, 3), np.float32))
    assert loss_of(network, none, mixup=0.2) == 0


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"learning_rate": math.nan}, "learning_rate is nan; expected a finite number"),
        ({"learning_rate": math.inf}, "learning_rate is inf; expected a finite number"),
        ({"weight_decay": -0.1}, "weight_decay is -0.1; expected 0 or more"),
        ({"bias_factor": -1.0}, "bias_factor is -1.0; expected 0 or more"),
        ({"distillation": math.nan}, "distillation is nan; expected a finite number"),
        ({"max_norm": 0.0}, "max_norm is 0.0; expected more than 0"),
        ({"warmup": 2.0}, "warmup is 2.0; expected 1 at most"),
        ({"milestones": (0.4, -1.0)}, "milestones.1 is -1.0; expected 0 or more"),
        ({"average": 1.0}, "average is 1.0; expected less than 1"),
        ({"mixup": math.inf}, "mixup is inf; expected a finite number"),
    ],
)
def test_numbers_that_nothing_could_be_learnt_with(setting, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        Optimisation(**setting)


def test_a_state_of_other_settings_is_refused_in_words():
    """As that of a run of a version that counted norms among the biases."""
    kept = []
    train(
        toy_network(),
        toy_batches(1),
        Optimisation(),
        PREPROCESSING,
        on_progress=lambda done, network, state: kept.append(copy.deepcopy(state)),
    )
    again = Optimisation(num_steps=2, bias_factor=2.0)
    with pytest.raises(ValueError, match="the optimiser of the state to resume from has other settings"):
        train(toy_network(), toy_batches(1), again, PREPROCESSING, start=kept[0])


def test_synced_norms():
    network = toy_network()
    names = list(network.state_dict())
    with pytest.raises(ValueError, match="sync_norms is for GPUs, as torch's SyncBatchNorm is; the device is cpu"):
        train(network, toy_batches(1), Optimisation(sync_norms=True), PREPROCESSING)
    sync_norms(network, "cuda")
    assert list(network.state_dict()) == names
    freeze(network.train(), Optimisation(norms="first"))
    assert network.bn1.training
    assert not network.layer1[0].bn1.training
