"""Digit scenes: scanned digits on textured backgrounds, for detection and segmentation without a download."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from PIL import Image

from cvlib.config.schema import DataConfig
from cvlib.data.embedded import digits
from cvlib.data.labels import BOXES, MASK, Boxes, LabelKind
from cvlib.data.split import Labels, Split
from cvlib.runtime.errors import UserError

SIDE = 96  # height and width of a scene, pixels
SCENES = 8000  # summed over all splits
_MAX_DIGITS = 4  # per scene
_HEIGHTS = (18, 36)  # range of a scan's height, pixels: one digit is up to twice as large as another
_MIN_VISIBLE = 0.5  # minimum fraction of a digit's ink that later digits leave uncovered
_CONTRAST = 120.0  # RGB distance between a digit's colour and those of the background and the other digits
_MAX_TRIES = 40  # positions tried for one digit before the scene is started over


@dataclass(frozen=True)
class _Scene:
    image: np.ndarray  # uint8 (SIDE, SIDE, 3)
    owner: np.ndarray  # int (SIDE, SIDE): index of the digit that owns the pixel's ink, −1 for background
    digits: list[int]  # value of each digit, 0–9


def digit_scenes(config: DataConfig, kind: LabelKind) -> tuple[list[str], list[Split], list[str]]:
    """Return classes, [train, val, test] and notes of scenes with one to four of scikit-learn's scanned digits each.

    A digit is 18 to 36 pixels high and has one colour; the background mixes two colours in a texture. Later digits
    may cover up to half of an earlier digit's ink. Images are uint8 (n, 96, 96, 3). For BOXES, the classes are the
    ten digits, and the labels are `Boxes` around the visible ink. For MASK, the first class is the background, and the
    labels are masks, uint8 (n, 96, 96). The splits use disjoint scans. Together they hold `config.samples` scenes
    (default 8000), divided by `config.val_fraction` and `config.test_fraction`, using `config.split_seed`.
    """
    first_classes, labelled = _LABELS[kind]
    total = config.samples or SCENES
    held_out = [round(total * config.val_fraction), round(total * config.test_fraction)]
    counts = [total - sum(held_out), *held_out]
    if min(counts) < 1:
        raise UserError(f"data.samples={total} is too small: a split of data=digits would be empty")
    names, scans, _ = digits(config)
    splits: list[Split] = []
    for number, (pool, count) in enumerate(zip(scans, counts, strict=True)):
        rng = np.random.default_rng([config.split_seed, 11, number])
        start = sum(counts[:number])
        scenes = [_scene(np.asarray(pool.images), np.asarray(pool.labels), rng) for _ in range(count)]
        own_names = [f"scenes/{start + i:05d}" for i in range(count)]
        splits.append(Split(own_names, np.stack([scene.image for scene in scenes]), labelled(scenes)))
    return [*first_classes, *names], splits, []


def _boxes(scene: _Scene) -> Boxes:
    corners = np.zeros((len(scene.digits), 4), np.float32)
    for number in range(len(scene.digits)):
        rows, columns = np.nonzero(scene.owner == number)
        corners[number] = columns.min(), rows.min(), columns.max() + 1, rows.max() + 1
    return Boxes(corners, np.array(scene.digits, np.int64), np.zeros(len(scene.digits), bool))


def _mask(scene: _Scene) -> np.ndarray:
    """Return the mask of a scene: 0 for the background, 1–10 for the digits 0–9."""
    mask: np.ndarray = np.array([*(digit + 1 for digit in scene.digits), 0], np.uint8)[scene.owner]
    return mask


# Maps a kind of label to the classes before the ten digits, and to a function that returns the labels of scenes.
_LABELS: dict[LabelKind, tuple[list[str], Callable[[list[_Scene]], Labels]]] = {
    BOXES: ([], lambda scenes: [_boxes(scene) for scene in scenes]),
    MASK: (["background"], lambda scenes: np.stack([_mask(scene) for scene in scenes])),
}


def _scene(scans: np.ndarray, labels: np.ndarray, rng: np.random.Generator) -> _Scene:
    while True:
        chosen = rng.integers(len(scans), size=rng.integers(1, _MAX_DIGITS + 1))
        inks = [_ink(scans[index, ..., 0], rng) for index in chosen]
        places = _places(inks, rng)
        if places is not None:
            return _drawn(inks, places, labels[chosen].tolist(), rng)


def _ink(scan: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Enlarge a scan and crop it to its ink: opacity 0–1 (height, width), where 0.5 and above counts as ink."""
    height = rng.integers(_HEIGHTS[0], _HEIGHTS[1] + 1)
    width = round(height * rng.uniform(0.85, 1.15))
    margin = Image.new("L", (10, 10))  # a border, so that strokes at the scan's edge fade out smoothly
    margin.paste(Image.fromarray(scan), (1, 1))
    size = (round(width * 10 / 8), round(height * 10 / 8))
    grey = np.asarray(margin.resize(size, Image.Resampling.BICUBIC), np.float32) / 255
    opacity = np.clip((grey - 0.5) * 3 + 0.5, 0, 1)
    rows, columns = np.nonzero(opacity >= 0.5)
    return opacity[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]


def _places(inks: list[np.ndarray], rng: np.random.Generator) -> list[tuple[int, int]] | None:
    """Return the top left corner of each digit, with enough of every digit visible; None if no such corner is found."""
    owner = np.full((SIDE, SIDE), -1)
    areas = [int((ink >= 0.5).sum()) for ink in inks]
    places: list[tuple[int, int]] = []
    for number, ink in enumerate(inks):
        for _ in range(_MAX_TRIES):
            top, left = (int(rng.integers(SIDE - side + 1)) for side in ink.shape)
            tried = owner.copy()
            tried[top : top + ink.shape[0], left : left + ink.shape[1]][ink >= 0.5] = number
            visible = np.bincount(tried[tried >= 0], minlength=number + 1)
            if all(seen >= _MIN_VISIBLE * area for seen, area in zip(visible, areas, strict=False)):
                break
        else:
            return None
        owner = tried
        places.append((top, left))
    return places


def _drawn(
    inks: list[np.ndarray], places: list[tuple[int, int]], values: list[int], rng: np.random.Generator
) -> _Scene:
    canvas, colours = _background(rng)
    owner = np.full((SIDE, SIDE), -1)
    for number, (ink, (top, left)) in enumerate(zip(inks, places, strict=True)):
        window = slice(top, top + ink.shape[0]), slice(left, left + ink.shape[1])
        colours = np.concatenate([colours, _distinct_colour(colours, rng)[np.newaxis]])
        canvas[window] += (colours[-1].astype(np.float32) - canvas[window]) * ink[..., np.newaxis]
        owner[window][ink >= 0.5] = number
    canvas += rng.standard_normal(canvas.shape, np.float32) * np.float32(rng.uniform(1, 6))
    return _Scene(np.clip(np.rint(canvas), 0, 255).astype(np.uint8), owner, values)


def _background(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return a canvas of two colours mixed by a texture, float32 (SIDE, SIDE, 3), and the two colours (2, 3)."""
    first = rng.uniform(0, 255, 3)
    colours = np.stack([first, np.clip(first + rng.uniform(-70, 70, 3), 0, 255)])
    texture = _stripes(rng) if rng.random() < 0.4 else _clouds(rng)
    share = texture[..., np.newaxis].astype(np.float32)
    one, other = colours.astype(np.float32)
    return one + (other - one) * share, colours


def _stripes(rng: np.random.Generator) -> np.ndarray:
    """Return parallel waves between 0 and 1 in a random direction, with a wavelength of 4 to 24 pixels."""
    angle, length = rng.uniform(0, np.pi), rng.uniform(4, 24)
    y, x = np.mgrid[:SIDE, :SIDE]
    phase = (x * np.cos(angle) + y * np.sin(angle)) / length + rng.random()
    wave: np.ndarray = 0.5 + 0.5 * np.sin(2 * np.pi * phase)
    return wave


def _clouds(rng: np.random.Generator) -> np.ndarray:
    """Return smooth noise between 0 and 1, interpolated from 4 to 32 random values per side."""
    patches = rng.integers(0, 256, size=(rng.integers(4, 33),) * 2).astype(np.uint8)
    return np.asarray(Image.fromarray(patches).resize((SIDE, SIDE), Image.Resampling.BILINEAR)) / 255.0


def _distinct_colour(colours: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return a random colour at a distance from `colours` (n, 3); the distance shrinks until a colour is found."""
    distance = _CONTRAST
    while True:
        colour: np.ndarray = rng.uniform(0, 255, 3)
        if np.linalg.norm(colours - colour, axis=1).min() >= distance:
            return colour
        distance *= 0.99
