"""The idle gate: still scenes cost few steps, no start of a movement is missed, and noise is learnt."""

from dataclasses import replace

import numpy as np
import pytest

from actionstream.engine.engine import Engine
from actionstream.live.gate import HOLD_SECONDS, LEAD_SECONDS, Gate
from actionstream.models.common.errors import ActionstreamError

INTERVAL = 1 / 15
SIZE = (64, 64, 3)


def picture(seed=0):
    """A picture with structure: blocks of grey."""
    blocks = np.random.default_rng(seed).integers(40, 200, (8, 8, 1))
    return np.kron(blocks, np.ones((8, 8, 3))).astype(np.float64)


def square(image, place, level=60.0, side=8):
    """The image with a square that is brighter, its corner at (row, column)."""
    row, column = place
    image = image.astype(np.float64)
    image[row : row + side, column : column + side] += level
    return image


def snippet(image, noise=0.0, rng=None):
    if rng is not None:
        image = image + rng.normal(0, noise, image.shape)
    return np.rint(image).clip(0, 255).astype(np.uint8)


def still(num, noise=2.0, seed=0):
    """Snippets of a still scene under the noise of a sensor."""
    rng = np.random.default_rng(seed)
    return [snippet(picture(), noise, rng) for _ in range(num)]


def moving(num, noise=2.0, seed=1, level=60.0):
    """Snippets of the same scene with a square that goes two pixels a snippet."""
    rng = np.random.default_rng(seed)
    return [snippet(square(picture(), (24, 2 * n % 56), level), noise, rng) for n in range(num)]


def decide(gate, snippets, first=0):
    """The decisions on snippets INTERVAL apart; the items are their numbers, from `first` on."""
    return [gate.push(each, n * INTERVAL, n) for n, each in enumerate(snippets, start=first)]


def steps(decisions):
    return [item for decision in decisions for item in decision.due]


def test_a_still_scene_has_a_step_each_probe():
    decisions = decide(Gate(probe_seconds=2.0, hold_seconds=1.0, lead_seconds=0.4), still(450))
    assert [d.why for d in decisions[:15]] == ["awake"] * 15
    assert {d.why for d in decisions[15:]} == {"probe", "idle"}
    probes = [item for d in decisions[15:] for item in d.due]
    assert set(np.diff(probes)) == {30}
    assert probes[0] - 14 == 30


def test_the_ring_is_scored_first():
    gate = Gate(lead_seconds=0.4)
    decisions = decide(gate, still(100) + moving(20))
    wakes = [n for n, d in enumerate(decisions) if d.why == "wake"]
    assert len(wakes) == 1
    wake = wakes[0]
    assert 100 <= wake <= 102
    assert decisions[wake].due == tuple(range(wake - 6, wake + 1))
    assert all(d.due == (n,) for n, d in enumerate(decisions[wake + 1 :], start=wake + 1))


@pytest.mark.parametrize("num_still", [97, 100, 103, 106, 109, 112, 115, 118, 121, 124, 127])
def test_whenever_it_moves_the_ring_is_whole(num_still):
    """Also just after a probe: a probe is the oldest snippet of the ring."""
    decisions = decide(Gate(lead_seconds=1.0), still(num_still) + moving(10))
    (due,) = [d.due for d in decisions if d.why == "wake"]
    assert due == tuple(range(due[-1] - len(due) + 1, due[-1] + 1))
    assert len(due) >= 15


def test_items_are_due_once_and_in_order():
    scene = still(100) + moving(20) + still(80, seed=2) + moving(7) + still(100, seed=3)
    due = steps(decide(Gate(lead_seconds=0.7, hold_seconds=0.8), scene))
    assert due == sorted(set(due))
    assert len(due) < len(scene) * 0.7


def test_hold():
    """The scene counts as moving for hold_seconds after the last movement, which fades within a second or two."""
    for hold in (1.0, 3.0):
        decisions = decide(Gate(hold_seconds=hold), still(90) + moving(30) + still(150, seed=2))
        (wake,) = [n for n, d in enumerate(decisions) if d.why == "wake"]
        idle = next(n for n, d in enumerate(decisions) if n > wake and d.why == "idle")
        assert hold <= (idle - 119) * INTERVAL < hold + 2.5


def test_what_stops_becomes_the_background():
    """A parked car, or a person who sits down, does not keep the gate awake."""
    parked = [snippet(square(picture(), (24, 30)), 2.0, np.random.default_rng(n)) for n in range(200)]
    decisions = decide(Gate(), still(90) + parked)
    assert decisions[90].why == "wake"
    assert {d.why for d in decisions[200:]} == {"idle", "probe"}


def test_a_change_of_light_is_no_movement():
    rng = np.random.default_rng(0)
    brighter = [snippet(picture() + min(20.0, 0.5 * n), 1.0, rng) for n in range(200)]
    decisions = decide(Gate(), still(90, noise=1.0) + brighter)
    assert {d.why for d in decisions[60:]} == {"idle", "probe"}


def test_a_change_of_exposure_is_no_movement():
    """All grey levels change in proportion: dark parts by less than bright ones."""
    rng = np.random.default_rng(0)
    scene = [snippet(picture() * (0.85 if n >= 90 else 1.0), 1.0, rng) for n in range(200)]
    decisions = decide(Gate(), scene)
    assert {d.why for d in decisions[60:]} == {"idle", "probe"}


def leaves(num, seed):
    """A part of the scene changes all the time, as leaves or rain do."""
    rng = np.random.default_rng(seed)
    scene = []
    for _ in range(num):
        image = picture()
        image[:24, :24] += np.kron(rng.normal(0, 6, (12, 12, 1)), np.ones((2, 2, 3)))
        scene.append((image, rng))
    return [snippet(image, 2.0, rng) for image, rng in scene]


def test_what_moves_all_the_time_is_learnt_as_noise():
    gate = Gate()
    decisions = decide(gate, leaves(15 * 300, 0))
    assert len(steps(decisions[: 15 * 20])) == 15 * 20
    assert len(steps(decisions[-15 * 60 :])) < 15 * 60 / 10
    after = decide(gate, moving(20, level=40.0), first=len(decisions))
    assert any(d.why == "wake" for d in after[:4]), "it is not deaf elsewhere"
    assert len(steps(after)) >= 20


def drops(num, seed, level=8.0):
    """Something changes in other places each time, as drops of rain do: no cell for long."""
    rng = np.random.default_rng(seed)
    scene = []
    for _ in range(num):
        image = picture()
        for row, column in rng.integers(0, 60, (3, 2)):
            image = square(image, (row, column), level, side=4)
        scene.append(snippet(image, 1.0, rng))
    return scene


def test_rain_is_learnt_and_the_gate_is_not_deaf_in_it():
    gate = Gate()
    rainy = drops(15 * 400, 0)
    decisions = decide(gate, rainy)
    assert len(steps(decisions[: 15 * 20])) > 15 * 10
    assert len(steps(decisions[-15 * 60 :])) < 15 * 60 / 10
    after = decide(gate, [snippet(square(each, (24, 2 * n), 60.0)) for n, each in enumerate(rainy[:20])], len(rainy))
    assert any(d.why == "wake" for d in after[:3])


def test_a_large_movement_is_never_learnt():
    """However long it lasts, and wherever it is: all cells and the usual level have learnt what they can."""
    rng = np.random.default_rng(0)
    scene = [snippet(np.kron(rng.normal(120, 40, (8, 8, 1)), np.ones((8, 8, 3)))) for _ in range(1600)]
    gate = Gate()
    decisions = [gate.push(each, n / 2, n) for n, each in enumerate(scene)]
    assert {d.why for d in decisions} == {"awake"}


def test_reset_keeps_the_noise_and_forgets_the_ring():
    gate = Gate()
    decisions = decide(gate, leaves(15 * 300, 0))
    assert gate.idle
    gate.reset()
    assert not gate.idle
    again = decide(gate, leaves(15 * 20, 1))
    assert again[0].due == (0,)
    assert [d.why for d in again[:30]] == ["awake"] * 30
    assert len(steps(again)) < 30 + 15 * 18 / 4, "a new gate is awake for minutes"
    assert len(steps(decisions[: 15 * 20])) == 15 * 20


def test_a_new_size_after_a_reset():
    gate = Gate()
    decide(gate, still(90))
    gate.reset()
    smaller = [each[:48, :40] for each in still(90)]
    assert {d.why for d in decide(gate, smaller)[40:]} == {"idle", "probe"}


@pytest.mark.parametrize("shape", [(1, 1, 1), (20, 33, 3), (224, 224, 3), (224, 224, 18), (56, 100, 10)])
def test_any_size(shape):
    rng = np.random.default_rng(0)
    level = rng.integers(50, 150)
    scene = [np.clip(level + rng.normal(0, 1, shape), 0, 255).astype(np.uint8) for _ in range(60)]
    decisions = decide(Gate(), scene)
    assert decisions[-1].why == "idle"


def test_a_copy_goes_on_alone():
    gate = Gate()
    decide(gate, still(100))
    twin = gate.copy()
    woken = decide(gate, moving(30), first=100)
    alone = decide(twin, still(30, seed=5), first=100)
    assert any(d.why == "wake" for d in woken)
    assert {d.why for d in alone} <= {"idle", "probe"}
    assert [d.due for d in decide(gate.copy(), moving(20), first=130)] == [
        d.due for d in decide(gate, moving(20), first=130)
    ]


def test_copies_do_not_learn_from_each_other():
    gate = Gate()
    decide(gate, still(100))
    twin, other = gate.copy(), gate.copy()
    of_twin = decide(twin, leaves(15 * 60, 1), first=100)
    assert decide(other, leaves(15 * 60, 1), first=100) == of_twin


def test_the_model_tells_how_long_to_hold():
    card = Engine().card
    assert Gate.of(card).hold_seconds == HOLD_SECONDS
    assert Gate.of(card).lead_seconds == LEAD_SECONDS
    windowed = Gate.of(replace(card, interval_seconds=0.25, frame_seconds=0.25, num_frames=16))
    assert (windowed.hold_seconds, windowed.lead_seconds) == (4.0, 4.0)
    actions = Gate.of(replace(card, covers=60), probe_seconds=5.0)
    assert actions.hold_seconds == pytest.approx(4.0)
    assert actions.probe_seconds == 5.0


def test_times_must_increase():
    gate = Gate()
    gate.push(still(1)[0], 1.0, 0)
    with pytest.raises(ActionstreamError, match=r"time_seconds is 1.0; expected more than 1.0.*reset\(\)"):
        gate.push(still(1)[0], 1.0, 1)
    gate.reset()
    assert gate.push(still(1)[0], 0.0, 2).due == (2,)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"probe_seconds": 0.0}, "probe_seconds is 0.0; expected more than 0"),
        ({"hold_seconds": float("nan")}, "hold_seconds is nan; expected more than 0"),
        ({"lead_seconds": -1.0}, "lead_seconds is -1.0; expected 0 or more"),
    ],
)
def test_wrong_settings(settings, message):
    with pytest.raises(ActionstreamError, match=message):
        Gate(**settings)
