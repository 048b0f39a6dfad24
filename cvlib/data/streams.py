"""Named streams of random numbers: each depends on its name, the seed, the epoch and the sample's index alone.

A stream that is added, left out or moved therefore changes no number of any other.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence

import numpy as np

STREAMS: tuple[str, ...] = (
    "horizontal_flip", "vertical_flip", "rotation", "crop_area", "crop_aspect", "crop_x", "crop_y",
    "brightness", "contrast", "saturation", "hue", "blur",
    "mosaic", "mosaic_x", "mosaic_y", "mosaic_scale", "mosaic_partner",
)  # fmt: skip


def draw(names: Sequence[str], indices: np.ndarray, seed: int, epoch: int, image: int = 0) -> dict[str, np.ndarray]:
    """Return uniform numbers in [0, 1), float32 `(n,)` for each name, for the samples of these indices.

    Args:
        names: which of `STREAMS` are drawn.
        indices: of the samples in their split, int `(n,)`.
        seed, epoch: from 0.
        image: which of the images that a sample is made of (0: the sample's own; a mosaic has further ones).
    """
    return {name: _uniform(np.asarray(indices), [seed, epoch, image, zlib.crc32(name.encode())]) for name in names}


def columns(names: Sequence[str], indices: np.ndarray, seed: int, epoch: int, image: int = 0) -> np.ndarray:
    """Return the same as one float32 array `(n, names)`."""
    drawn = draw(names, indices, seed, epoch, image)
    return np.stack([drawn[name] for name in names], axis=1) if names else np.empty((len(indices), 0), np.float32)


def _uniform(counters: np.ndarray, key: list[int]) -> np.ndarray:
    """Return a float32 in [0, 1) for each counter, which depends on it and on `key` alone.

    A counter-based generator (splitmix64: Steele, Lea & Flood 2014).
    """
    start = np.random.SeedSequence(key).generate_state(1, np.uint64)
    with np.errstate(over="ignore"):
        mixed: np.ndarray = counters.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15) + start
        mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        mixed ^= mixed >> np.uint64(31)
    return (mixed >> np.uint64(40)).astype(np.float32) / np.float32(2**24)
