"""Named streams of random numbers: each depends only on its name, the seed, the epoch and the sample's index.

Adding, removing or reordering streams therefore never changes the numbers of the others.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence

import numpy as np

STREAMS: tuple[str, ...] = (
    "horizontal_flip", "vertical_flip", "rotation", "crop_area", "crop_aspect", "crop_x", "crop_y",
    "brightness", "contrast", "saturation", "hue", "blur",
    "mosaic", "mosaic_x", "mosaic_y", "mosaic_scale", "mosaic_partner",
    "rand_operation_1", "rand_operation_2", "rand_operation_3", "rand_operation_4",
    "rand_sign_1", "rand_sign_2", "rand_sign_3", "rand_sign_4",
    "erase", "erase_area", "erase_aspect", "erase_x", "erase_y",
    "mix_share", "mix_choice", "cutmix_x", "cutmix_y", "mix_partner",
    "tile_y", "tile_x",
)  # fmt: skip
TILE_STREAMS = ("tile_y", "tile_x")  # the place of a tile in its image


def draw(names: Sequence[str], indices: np.ndarray, seed: int, epoch: int, image: int = 0) -> dict[str, np.ndarray]:
    """Return uniform random numbers in [0, 1): for each name, float32 `(n,)` with one number per sample.

    Args:
        names: the streams to draw from, a subset of `STREAMS`.
        indices: indices of the samples in their split, int `(n,)`.
        seed: seed of the run, at least 0.
        epoch: number of the epoch, from 0.
        image: index of the image within the sample (0 is the sample's own image; a mosaic has four, mixup two).
    """
    return {name: _uniform(np.asarray(indices), [seed, epoch, image, zlib.crc32(name.encode())]) for name in names}


def columns(names: Sequence[str], indices: np.ndarray, seed: int, epoch: int, image: int = 0) -> np.ndarray:
    """Return the numbers of `draw` as one float32 array `(n, names)`."""
    drawn = draw(names, indices, seed, epoch, image)
    return np.stack([drawn[name] for name in names], axis=1) if names else np.empty((len(indices), 0), np.float32)


def _uniform(counters: np.ndarray, key: list[int]) -> np.ndarray:
    """Return a float32 in [0, 1) for each counter, determined by the counter and `key`.

    This is a counter-based generator (splitmix64: Steele, Lea & Flood 2014).
    """
    start = np.random.SeedSequence(key).generate_state(1, np.uint64)
    with np.errstate(over="ignore"):
        mixed: np.ndarray = counters.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15) + start
        mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        mixed ^= mixed >> np.uint64(31)
    return (mixed >> np.uint64(40)).astype(np.float32) / np.float32(2**24)
