"""Weather and light. Patterns are relative to the image's size, and the same in all channels except for a tint."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw
from scipy import ndimage

from cvlib.data.corruptions.base import corruption, grey, scale
from cvlib.data.corruptions.blur import moved_camera

_SNOW = ((0.02, 0.10), (0.04, 0.20), (0.07, 0.28), (0.10, 0.36), (0.14, 0.45))  # share covered by flakes, whitening
_FLAKE = 2.0  # of 224 pixels; the deviation of a flake's size
_FROST = (0.40, 0.55, 0.70, 0.85, 1.0)
_FOG = (1.0, 1.5, 2.0, 2.6, 3.4)
_BRIGHTER = (0.1, 0.2, 0.3, 0.4, 0.5)
_ICE = (0.86, 0.93, 1.0)  # RGB


@corruption
def snow(pixels: np.ndarray, level: int, generator: np.random.Generator) -> np.ndarray:
    """Whiten the image and draw falling flakes over it, more of them with each strength."""
    share, whitening = _SNOW[level]
    size = max(_FLAKE * scale(pixels), 0.6)
    field = ndimage.gaussian_filter(generator.standard_normal(pixels.shape[:2], np.float32), size)
    angle = generator.uniform(np.pi / 4, 3 * np.pi / 4)
    flakes = (field > np.quantile(field, 1 - share)).astype(np.float32)[..., np.newaxis]
    flakes = np.clip(1.6 * moved_camera(flakes, 10 * scale(pixels), angle), 0, 1)
    bright = np.maximum(pixels, np.minimum(grey(pixels) * 1.5 + 0.5, 1))
    white = pixels + whitening * (bright - pixels)
    snowy: np.ndarray = white + (1 - white) * flakes
    return snowy


@corruption
def frost(pixels: np.ndarray, level: int, generator: np.random.Generator) -> np.ndarray:
    """Draw ice on the window. The paper uses photographs of frost; this pattern is drawn by a procedure.

    It consists of needles that branch, from random places and denser near the border, on a cloudy film of ice.
    """
    height, width = pixels.shape[:2]
    rows, columns = np.meshgrid(np.linspace(-1, 1, height), np.linspace(-1, 1, width), indexing="ij")
    border = np.clip(np.maximum(np.abs(rows), np.abs(columns)), 0, 1) ** 2
    film = 0.75 * clouds((height, width), 1.4, generator) * (0.45 + 0.55 * border)
    cover = np.clip(film + 0.8 * _needles((height, width), generator), 0, 1)[..., np.newaxis].astype(np.float32)
    colour = np.asarray(_ICE if pixels.shape[-1] == 3 else [np.mean(_ICE)], np.float32)
    icy: np.ndarray = pixels + _FROST[level] * cover * (colour - pixels)
    return icy


@corruption
def fog(pixels: np.ndarray, level: int, generator: np.random.Generator) -> np.ndarray:
    """Add banks of white fog. Like the paper, keep the largest value of the image, so that its contrast falls."""
    amount, brightest = _FOG[level], max(float(pixels.max()), 0.5)
    bank = clouds(pixels.shape[:2], 1.8, generator)[..., np.newaxis]
    foggy: np.ndarray = (pixels + amount * bank) * (brightest / (brightest + amount))
    return foggy


@corruption
def brightness(pixels: np.ndarray, level: int, generator: np.random.Generator) -> np.ndarray:
    """Raise the value of HSV, the largest of the channels, by 0.1 to 0.5; hue and saturation stay."""
    value = pixels.max(axis=-1, keepdims=True)
    brighter = np.minimum(value + _BRIGHTER[level], 1)
    found: np.ndarray = np.where(value > 0, pixels * (brighter / np.maximum(value, 1e-6)), brighter)
    return found


def clouds(size: tuple[int, int], decay: float, generator: np.random.Generator) -> np.ndarray:
    """Return cloudy noise, float32 `size`, 0–1: random grids of 2, 4, 8 … cells, each `decay` times weaker."""
    height, width = size
    total, weight, cells = np.zeros(size, np.float32), 1.0, 2
    while True:
        grid = Image.fromarray(generator.random((cells + 1, cells + 1), np.float32))
        total += weight * np.asarray(grid.resize((width, height), Image.Resampling.BICUBIC))
        weight, cells = weight / decay, 2 * cells
        if cells >= max(size):
            break
    low, high = total.min(), total.max()
    return np.asarray((total - low) / max(high - low, 1e-6), np.float32)


def _needles(size: tuple[int, int], generator: np.random.Generator) -> np.ndarray:
    """Draw crystals as branching lines, float32 `size`, 0–1. They are drawn larger than small images, then shrunk."""
    height, width = size
    factor = max(1, min(4, 200 // max(size)))
    tall, wide = factor * height, factor * width
    canvas = Image.new("L", (wide, tall))
    draw = ImageDraw.Draw(canvas)
    longer = max(tall, wide)
    for _ in range(16):
        place = np.clip(generator.normal(0.5, 0.45, 2), -0.05, 1.05) * (wide, tall)
        for angle in generator.uniform(0, 2 * np.pi) + np.arange(3) * generator.uniform(0.5, 1.2):
            _crystal(draw, place, angle, 0.3 * longer * generator.uniform(0.3, 1), 0.04 * longer, 0, generator)
    drawn = np.asarray(canvas.resize((width, height), Image.Resampling.BOX), np.float32) / 255
    return np.asarray(ndimage.gaussian_filter(drawn, 0.4), np.float32)


def _crystal(
    draw: ImageDraw.ImageDraw, place: np.ndarray, angle: float, length: float, shortest: float, depth: int,
    generator: np.random.Generator,
) -> None:  # fmt: skip
    """Draw a needle with fainter needles at 60° on both sides; those shorter than `shortest` pixels are left out."""
    direction = np.array([np.cos(angle), np.sin(angle)])
    end = place + length * direction
    draw.line([*place, *end], fill=(255, 190, 130)[depth], width=max(1, round(length / 45)))
    if depth < 2:
        for share in np.linspace(0.15, 0.85, 6 - 2 * depth):
            branch = 0.45 * length * (1 - share) * generator.uniform(0.7, 1.3)
            if branch < shortest:
                continue
            for side in (-np.pi / 3, np.pi / 3):
                _crystal(draw, place + share * length * direction, angle + side, branch, shortest, depth + 1, generator)
