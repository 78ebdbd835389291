"""Random textures, masks and hands to render moving scenes with."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

Random = np.random.Generator


def fractal_noise(random: Random, size: int) -> np.ndarray:
    """Coloured noise whose strength falls with frequency, as in photographs. uint8 (size, size, 3)."""
    picture = np.zeros((size, size, 3), np.float32)
    grain, decay, strength = int(random.integers(2, 5)), random.uniform(0.45, 0.9), 1.0
    while grain < size:
        octave = random.standard_normal((grain, grain, 3)).astype(np.float32)
        octave += random.uniform(0.5, 2) * random.standard_normal((grain, grain, 1)).astype(np.float32)
        picture += strength * cv2.resize(octave, (size, size), interpolation=cv2.INTER_CUBIC)
        grain, strength = grain * 2, strength * decay
    return _to_bytes(picture, random)


def dead_leaves(random: Random, size: int) -> np.ndarray:
    """Overlapping patches of flat colour, the edges of photographs."""
    picture = np.full((size, size, 3), random.integers(0, 256, 3), np.uint8)
    colours = _palette(random, 6)
    for _ in range(int(random.integers(25, 90))):
        centre = random.integers(0, size, 2).tolist()
        radius = size * min(0.3, 0.02 * random.pareto(1.2) + 0.02)
        colour = colours[random.integers(len(colours))].tolist()
        if random.random() < 0.5:
            axes = (max(1, int(radius)), max(1, int(radius * random.uniform(0.3, 1))))
            cv2.ellipse(picture, centre, axes, random.uniform(0, 180), 0, 360, colour, -1, cv2.LINE_AA)
        else:
            angles = np.sort(random.uniform(0, 2 * np.pi, int(random.integers(3, 7))))
            points = centre + radius * random.uniform(0.6, 1.4) * np.stack([np.cos(angles), np.sin(angles)], 1)
            cv2.fillPoly(picture, [points.astype(np.int32)], colour, cv2.LINE_AA)
    return picture


def stripes(random: Random, size: int) -> np.ndarray:
    """Two crossing waves of random direction, never so regular that a step of one period looks still."""
    y, x = np.mgrid[:size, :size].astype(np.float32)
    bend = cv2.resize(random.standard_normal((5, 5)).astype(np.float32), (size, size), interpolation=cv2.INTER_CUBIC)
    wave = np.zeros((size, size, 3), np.float32)
    for _ in range(2):
        angle, period = random.uniform(0, np.pi), random.uniform(12, 48)
        phase = (x * np.cos(angle) + y * np.sin(angle)) * 2 * np.pi / period + bend * random.uniform(0.5, 2.5)
        wave += np.sin(phase)[..., None] * random.standard_normal(3).astype(np.float32)
    return _to_bytes(wave + 0.15 * random.standard_normal(3).astype(np.float32), random)


def writing(random: Random, size: int) -> np.ndarray:
    """Marks on a plain ground: letters, lines, dots."""
    ground, ink = _palette(random, 2)
    picture = np.full((size, size, 3), ground, np.uint8)
    for _ in range(int(random.integers(20, 70))):
        start = random.integers(0, size, 2)
        end = start + random.integers(-size // 6, size // 6, 2)
        colour = (ink if random.random() < 0.7 else random.integers(0, 256, 3)).tolist()
        cv2.line(picture, start.tolist(), end.tolist(), colour, int(random.integers(1, 5)), cv2.LINE_AA)
    return picture


def cells(random: Random, size: int) -> np.ndarray:
    """Patches around random points, with their own shade: stones, scales."""
    points = random.uniform(0, size, (int(random.integers(15, 80)), 2)).astype(np.float32)
    colours = _palette(random, len(points)).astype(np.float32)
    y, x = np.mgrid[:size:2, :size:2].astype(np.float32)
    distance = (x[..., None] - points[:, 0]) ** 2 + (y[..., None] - points[:, 1]) ** 2
    picture = colours[distance.argmin(-1)] - np.sqrt(distance.min(-1))[..., None] * random.uniform(0, 4)
    return cv2.resize(np.clip(picture, 0, 255).astype(np.uint8), (size, size), interpolation=cv2.INTER_LINEAR)


def bricks(random: Random, size: int) -> np.ndarray:
    """Rows of blocks in uneven shades."""
    picture = np.full((size, size, 3), random.integers(0, 256, 3), np.uint8)
    high, wide, gap = (int(n) for n in random.integers((8, 14, 1), (26, 48, 5)))
    base = random.integers(40, 216, 3)
    for row, top in enumerate(range(0, size, high)):
        for left in range(-wide // 2 * (row % 2), size, wide):
            shade = np.clip(base + random.normal(0, 30, 3), 0, 255).tolist()
            cv2.rectangle(picture, (left, top), (left + wide - gap, top + high - gap), shade, -1)
    turned = cv2.getRotationMatrix2D((size / 2, size / 2), random.uniform(0, 180), 1.0)
    return cv2.warpAffine(picture, turned, (size, size), borderMode=cv2.BORDER_REFLECT_101)


TEXTURES: dict[str, Callable[[Random, int], np.ndarray]] = {
    "noise": fractal_noise,
    "leaves": dead_leaves,
    "stripes": stripes,
    "writing": writing,
}
UNSEEN_TEXTURES = {"cells": cells, "bricks": bricks}


def blob(random: Random, size: int) -> np.ndarray:
    """A smooth closed outline. Masks are uint8 (size, size), 255 inside."""
    angles = np.linspace(0, 2 * np.pi, 64, endpoint=False)
    radius = np.ones_like(angles)
    for wave in range(2, 6):
        radius += random.uniform(0, 0.5 / wave) * np.cos(wave * angles + random.uniform(0, 2 * np.pi))
    squeeze = np.array([1.0, random.uniform(0.5, 1.0)])
    outline = np.stack([np.cos(angles), np.sin(angles)], 1) * radius[:, None] * squeeze
    return _filled(outline, size)


def polygon(random: Random, size: int) -> np.ndarray:
    angles = np.sort(random.uniform(0, 2 * np.pi, int(random.integers(4, 8))))
    outline = np.stack([np.cos(angles), np.sin(angles)], 1) * random.uniform(0.6, 1.0, (len(angles), 1))
    return _filled(outline, size)


def bar(random: Random, size: int) -> np.ndarray:
    long, thin = 1.0, random.uniform(0.3, 0.8)
    return _filled(np.array([(-long, -thin), (long, -thin), (long, thin), (-long, thin)]), size)


def hand(random: Random, size: int) -> np.ndarray:
    """A palm, its fingers spread more or less, and often a forearm."""
    mask = np.zeros((size, size), np.uint8)
    unit, centre = size / 10, np.array([size / 2, size * 0.58])
    palm = (max(1, int(unit * 1.7)), max(1, int(unit * 1.9)))
    cv2.ellipse(mask, centre.astype(int).tolist(), palm, 0, 0, 360, 255, -1, cv2.LINE_AA)
    spread, thickness = random.uniform(0.6, 1.3), max(1, int(unit * random.uniform(0.75, 1.0)))
    num_fingers = int(random.integers(1, 6)) if random.random() < 0.3 else 5
    for finger in range(num_fingers):
        angle = np.deg2rad(-90 + (finger - 2) * 24 * spread + random.normal(0, 4))
        direction = np.array([np.cos(angle), np.sin(angle)])
        length = unit * (3.4 if finger == 0 else 4.3) * random.uniform(0.85, 1.05)
        tip = (centre + direction * length).astype(int)
        cv2.line(mask, (centre + direction * unit).astype(int).tolist(), tip.tolist(), 255, thickness, cv2.LINE_AA)
    if random.random() < 0.6:
        cv2.line(mask, centre.astype(int).tolist(), (int(centre[0]), size), 255, int(unit * 2.2), cv2.LINE_AA)
    return mask


def star(random: Random, size: int) -> np.ndarray:
    num_points = int(random.integers(4, 8))
    angles = np.arange(2 * num_points) * np.pi / num_points
    radius = np.where(np.arange(2 * num_points) % 2, random.uniform(0.4, 0.7), 1.0)
    return _filled(np.stack([np.cos(angles), np.sin(angles)], 1) * radius[:, None], size)


def crescent(random: Random, size: int) -> np.ndarray:
    mask = np.zeros((size, size), np.uint8)
    radius = int(size * 0.45)
    cv2.circle(mask, (size // 2, size // 2), radius, 255, -1, cv2.LINE_AA)
    bite = (int(size * random.uniform(0.75, 0.95)), size // 2)
    cv2.circle(mask, bite, int(radius * random.uniform(0.5, 0.8)), 0, -1, cv2.LINE_AA)
    return mask


SHAPES: dict[str, Callable[[Random, int], np.ndarray]] = {"blob": blob, "polygon": polygon, "bar": bar, "hand": hand}
UNSEEN_SHAPES = {"star": star, "crescent": crescent}


def skin(random: Random, size: int) -> np.ndarray:
    """A hand's surface: one tone, soft shading, some darker lines and spots."""
    tone = random.uniform(0.25, 1.0) * np.array([225, 172, 140]) + random.normal(0, 10, 3)
    shading = cv2.resize(random.standard_normal((4, 4)).astype(np.float32), (size, size), interpolation=cv2.INTER_CUBIC)
    picture = np.clip(tone + 22 * shading[..., None], 0, 255).astype(np.uint8)
    for _ in range(int(random.integers(4, 12))):
        start = random.integers(0, size, 2)
        end = start + random.integers(-size // 4, size // 4, 2)
        cv2.line(picture, start.tolist(), end.tolist(), (tone * random.uniform(0.4, 0.8)).tolist(), 2, cv2.LINE_AA)
    return picture


def _filled(outline: np.ndarray, size: int) -> np.ndarray:
    mask = np.zeros((size, size), np.uint8)
    points = size / 2 + outline / np.abs(outline).max() * size * 0.47
    cv2.fillPoly(mask, [points.astype(np.int32)], 255, cv2.LINE_AA)
    return mask


def _palette(random: Random, count: int) -> np.ndarray:
    """Colours that differ in brightness, uint8 (count, 3)."""
    brightness = random.permutation(np.linspace(20, 235, count))[:, None]
    return np.clip(brightness + random.normal(0, 30, (count, 3)), 0, 255).astype(np.uint8)


def _to_bytes(picture: np.ndarray, random: Random) -> np.ndarray:
    """Spread a float picture over the grey levels around a random brightness with a random contrast."""
    picture = (picture - picture.mean()) / (picture.std() + 1e-6)
    return np.clip(random.uniform(80, 175) + random.uniform(28, 60) * picture, 0, 255).astype(np.uint8)
