"""Rendered clips of one thing that moves in a known way: what the `motion` checkpoint learns from.

Lengths are in units of the picture's side, angles in degrees, rates per frame.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

import cv2
import numpy as np

from actionstream.models.training import textures
from actionstream.models.training.textures import Random

MOVEMENTS = ("left", "right", "up", "down", "closer", "away", "clockwise", "anticlockwise", "shaking", "still")
OPPOSITES = (("left", "right"), ("up", "down"), ("closer", "away"), ("clockwise", "anticlockwise"))
STILL = MOVEMENTS.index("still")
SHAKING = MOVEMENTS.index("shaking")
Mover = Literal["frame", "object"]

AXES = {"left": (-1, 0), "right": (1, 0), "up": (0, -1), "down": (0, 1)}


@dataclass(frozen=True)
class Pose:
    """Where a layer is in each frame: centre (T, 2) from the picture's middle, log scale (T,), angle (T,) clockwise."""

    centre: np.ndarray
    log_scale: np.ndarray
    angle: np.ndarray


class Scene(NamedTuple):
    """A background, a thing in front of it (None when the whole frame moves), and where they begin.

    radius   of the thing, at scale 1
    ground   pose of the background, of one frame
    place    pose of the thing, of one frame; the same as `ground` when the whole frame moves
    stretch  factors of the axes, as of a picture that is squeezed into a square
    """

    background: np.ndarray
    texture: np.ndarray | None
    mask: np.ndarray | None
    radius: float
    ground: Pose
    place: Pose
    stretch: np.ndarray


def make_scene(random: Random, mover: Mover, size: int, *, unseen: bool = False) -> Scene:
    """A scene in random textures; with `unseen`, in those and in shapes that training never uses."""
    kinds = textures.UNSEEN_TEXTURES if unseen else textures.TEXTURES
    shapes = textures.UNSEEN_SHAPES if unseen else textures.SHAPES
    canvas = size * 2

    def surface() -> np.ndarray:
        return kinds[str(random.choice(list(kinds)))](random, canvas)

    def pose(reach: float, zoom: tuple[float, float]) -> Pose:
        return Pose(random.uniform(-reach, reach, (1, 2)), random.uniform(*zoom, 1), random.uniform(0, 360, 1))

    background = surface()
    ground = pose(0.5, (-0.3, 0.4))
    stretch = np.exp(random.uniform(-0.2, 0.2, 2))
    if mover == "frame":
        return Scene(background, None, None, 0.5, ground, ground, stretch)
    shape = str(random.choice(list(shapes), p=None if unseen else (0.2, 0.2, 0.15, 0.45)))
    mask = shapes[shape](random, canvas)
    texture = textures.skin(random, canvas) if shape == "hand" and random.random() < 0.7 else surface()
    texture = contrasting(texture, mask, background, random)
    place = pose(0.22, (0.0, 0.0))
    if shape == "hand" and random.random() < 0.6:
        place = Pose(place.centre, place.log_scale, random.normal(0, 20, 1))
    return Scene(background, texture, mask, random.uniform(0.17, 0.34), ground, place, stretch)


def contrasting(texture: np.ndarray, mask: np.ndarray, background: np.ndarray, random: Random) -> np.ndarray:
    """The texture made lighter or darker until it stands out from the background by 25 grey levels at least."""
    inside = texture[mask > 127].mean() if (mask > 127).any() else texture.mean()
    difference = inside - background.mean()
    wanted = random.uniform(25, 70)
    if abs(difference) >= wanted:
        return texture
    sign = np.sign(difference) or 1.0
    if not 30 < background.mean() + sign * wanted < 225:
        sign = -sign
    return np.clip(texture + (background.mean() + sign * wanted - inside), 0, 255).astype(np.uint8)


def make_pose(
    random: Random,
    movement: str,
    num_frames: int,
    *,
    mover: Mover,
    radius: float,
    realism: float,
    onset: int = 0,
) -> Pose:
    """The path of a movement that begins at frame `onset`, from wherever the scene has put the thing.

    An object stays in view while it moves.

    realism  from 0 (strong, clean movements) to 1 (slow ones too, uneven, mixed with a little of another movement)
    """
    steps = np.zeros(num_frames)
    steps[max(1, onset) :] = 1.0
    if realism > 0.3:  # uneven frame times and an uneven hand
        steps *= 1 + 0.25 * realism * random.uniform(-1, 1, num_frames)
    done = np.cumsum(steps)
    total = max(done[-1], 1.0)
    centre, log_scale, angle = np.zeros((num_frames, 2)), np.zeros(num_frames), np.zeros(num_frames)
    slowest = 1.0 if realism > 0.5 else 2.0  # times the least change per frame

    if movement in AXES:
        span = 3.0 if mover == "frame" else 0.8 - 0.3 * radius
        speed = _log_uniform(random, 0.011 * slowest, max(0.014 * slowest, min(0.12, span / total)))
        axis = _turned(np.array(AXES[movement], float), random.normal(0, 9 * realism))
        begin = 0.0 if mover == "frame" else total * random.uniform(0.4, 0.6)
        centre += axis * speed * (done - begin)[:, None]
    elif movement in ("closer", "away"):
        least = 0.006 * slowest / max(radius, 0.2)
        rate = _log_uniform(random, least, max(least * 1.2, min(0.11, 1.7 / total)))
        log_scale += rate * (done - total / 2) * (1 if movement == "closer" else -1)
    elif movement in ("clockwise", "anticlockwise"):
        least = 0.65 * slowest / max(radius, 0.2)
        angle += _log_uniform(random, least, 16) * done * (1 if movement == "clockwise" else -1)
    elif movement == "shaking":
        period = random.uniform(2.3, 5.5)
        phase = 2 * np.pi * done / period + 0.5 * np.cumsum(random.normal(0, 0.3 * realism, num_frames)) * (steps > 0)
        swing = np.sin(phase) * (steps > 0)
        kind = random.random()
        if kind < 0.8:
            centre += _turned(np.array([1.0, 0.0]), random.uniform(0, 360)) * swing[:, None] * random.uniform(0.03, 0.1)
        if kind > 0.6:
            angle += swing * random.uniform(6, 20)
    else:
        assert movement == "still", movement

    if movement not in ("still", "shaking") and realism > 0:  # a little of another movement
        turn, zoom = random.normal(0, realism, 2)
        if movement not in ("clockwise", "anticlockwise"):
            angle += 0.25 * turn * done
        if movement not in ("closer", "away"):
            log_scale += 0.0025 * zoom * done
        if movement not in AXES:
            centre += (
                _turned(np.array([0.0, 0.003]), random.uniform(0, 360)) * random.normal(0, realism) * done[:, None]
            )
    tremble = 0.0015 * realism * random.random()
    centre += random.normal(0, tremble, (num_frames, 2))
    return Pose(centre, log_scale, angle)


def join(first: Pose, then: Pose) -> Pose:
    """One path after the other; frame 0 of the second is the last frame of the first."""

    def joined(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return np.concatenate([a, (b - b[0] + a[-1])[1:]])

    return Pose(
        joined(first.centre, then.centre), joined(first.log_scale, then.log_scale), joined(first.angle, then.angle)
    )


def render(scene: Scene, pose: Pose, random: Random, size: int, *, realism: float) -> np.ndarray:
    """Frames of the scene with its moving layer at `pose`, uint8 (T, size, size, 3).

    realism  strength of a webcam's faults, from 0 to 1
    """
    num_frames = len(pose.angle)
    blurred = random.random() < 0.3 * realism
    pose = _at(scene.place, pose)
    stretch = scene.stretch
    if scene.texture is None or scene.mask is None:
        frames = [
            _smeared(_warp_ground, scene.background, pose, t, size, stretch, 1.0, blurred) for t in range(num_frames)
        ]
    else:
        ground = _at(scene.ground, _drift(random, num_frames, realism))
        thing = np.dstack([scene.texture, scene.mask])
        frames = []
        for t in range(num_frames):
            back = _warp_ground(scene.background, ground, t, size, stretch, 1.0)
            front = _smeared(_warp_thing, thing, pose, t, size, stretch, scene.radius, blurred)
            alpha = front[..., 3:].astype(np.float32) / 255
            frames.append((front[..., :3] * alpha + back * (1 - alpha)).astype(np.uint8))
    return camera(np.stack(frames), random, realism=realism)


def camera(frames: np.ndarray, random: Random, *, realism: float) -> np.ndarray:
    """Light, blur, noise and repeated frames of a cheap camera; frames are uint8 (T, h, w, 3)."""
    if realism == 0:
        return frames
    num_frames = len(frames)
    if random.random() < 0.3 * realism:
        sigma = random.uniform(0.3, 1.1)
        frames = np.stack([cv2.GaussianBlur(frame, (0, 0), sigma) for frame in frames])
    light = np.exp(0.3 * realism * random.normal(0, 1) + np.cumsum(random.normal(0, 0.012 * realism, num_frames)))
    tint = np.exp(0.1 * realism * random.normal(0, 1, 3))
    values = frames * (light[:, None, None, None] * tint).astype(np.float32)
    values += 22 * realism * np.float32(random.normal())
    strength = abs(random.normal(0, 5 * realism))
    noise = random.standard_normal(values.shape[1:], dtype=np.float32) * np.float32(strength)
    for t, (dy, dx) in enumerate(random.integers(0, values.shape[1], (num_frames, 2))):
        values[t] += np.roll(noise, (dy, dx), (0, 1)) * (-1 if dy % 2 else 1)
    if random.random() < 0.2 * realism and num_frames > 5:  # a camera that delivers a frame twice
        repeated = int(random.integers(2, num_frames - 1))
        values[repeated] = values[repeated - 1]
    return np.clip(values, 0, 255).astype(np.uint8)


def _drift(random: Random, num_frames: int, realism: float) -> Pose:
    """The pose of a background that stands still, or sways more slowly than any movement of the labels."""
    drift = np.zeros((num_frames, 2))
    if random.random() < 0.4 * realism:
        phase = 2 * np.pi * (np.arange(num_frames) / random.uniform(20, 60) + random.random())
        drift += _turned(np.array([1.0, 0.0]), random.uniform(0, 360)) * 0.02 * random.random() * np.sin(phase)[:, None]
    drift += random.normal(0, 0.0008 * realism, (num_frames, 2))
    return Pose(drift, np.zeros(num_frames), np.zeros(num_frames))


def _at(place: Pose, path: Pose) -> Pose:
    """A path that begins at a place."""
    return Pose(place.centre + path.centre, place.log_scale + path.log_scale, place.angle + path.angle)


def _matrix(pose: Pose, t: float, size: int, canvas: int, stretch: np.ndarray, scale: float) -> np.ndarray:
    """The affine map from canvas pixels to frame pixels at time t, which may lie between two frames."""
    early, late = int(np.floor(t)), int(np.ceil(t))
    part = t - early

    def at(values: np.ndarray) -> np.ndarray:
        return values[early] * (1 - part) + values[late] * part

    factor = np.exp(at(pose.log_scale)) * scale
    radians = np.deg2rad(at(pose.angle))
    turn = np.array([[np.cos(radians), -np.sin(radians)], [np.sin(radians), np.cos(radians)]])
    linear = stretch[:, None] * turn * factor
    middle = size / 2 - 0.5
    offset = middle + at(pose.centre) * size - linear @ np.full(2, canvas / 2 - 0.5)
    return np.column_stack([linear, offset])


def _warp_ground(canvas: np.ndarray, pose: Pose, t: float, size: int, stretch: np.ndarray, scale: float) -> np.ndarray:
    matrix = _matrix(pose, t, size, len(canvas), stretch, scale)
    return cv2.warpAffine(canvas, matrix, (size, size), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101)


def _warp_thing(canvas: np.ndarray, pose: Pose, t: float, size: int, stretch: np.ndarray, radius: float) -> np.ndarray:
    """`radius` is that of the thing in the frame at scale 1."""
    scale = 2 * radius * size / len(canvas)
    if scale < 0.7:  # against aliasing
        canvas = cv2.resize(canvas, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
        scale *= 2
    return cv2.warpAffine(canvas, _matrix(pose, t, size, len(canvas), stretch, scale), (size, size))


def _smeared(warp, canvas, pose: Pose, t: int, size: int, stretch, scale: float, blurred: bool) -> np.ndarray:
    """One exposure: sharp, or the mean of three moments of it."""
    if not blurred or t == 0:
        return warp(canvas, pose, t, size, stretch, scale)
    moments = [warp(canvas, pose, t - part, size, stretch, scale).astype(np.float32) for part in (0.4, 0.2, 0.0)]
    return (sum(moments) / 3).astype(np.uint8)


def _log_uniform(random: Random, low: float, high: float) -> float:
    return float(np.exp(random.uniform(np.log(low), np.log(high))))


def _turned(vector: np.ndarray, degrees: float) -> np.ndarray:
    c, s = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
    return np.array([c * vector[0] - s * vector[1], s * vector[0] + c * vector[1]])
