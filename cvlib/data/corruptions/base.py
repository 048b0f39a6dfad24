"""What all corruptions share: the range of strengths, pixels as fractions, and how they scale with the image's size."""

from __future__ import annotations

import functools
from collections.abc import Callable

import numpy as np

STRENGTHS = (1, 2, 3, 4, 5)
_SIDE = 224  # pixels; the published parameters are for images of this size

Corruption = Callable[[np.ndarray, int, np.random.Generator], np.ndarray]
Change = Callable[[np.ndarray, int, np.random.Generator], np.ndarray]


def corruption(change: Change) -> Corruption:
    """Return the corruption of uint8 images that computes `change`.

    `change` receives pixels float32 0–1, the strength as an index (0–4), and a generator. Its result is clipped to 0–1
    and rounded. For strength 0, the image itself is returned.
    """

    @functools.wraps(change)
    def corrupted(image: np.ndarray, strength: int, generator: np.random.Generator) -> np.ndarray:
        if strength not in (0, *STRENGTHS):
            raise ValueError(f"Invalid strength={strength}: expected 0 to {STRENGTHS[-1]}")
        if strength == 0 or not image.size:
            return image
        pixels = change(image.astype(np.float32) / 255, strength - 1, generator)
        found: np.ndarray = np.rint(np.clip(pixels, 0, 1) * 255).astype(np.uint8)
        return found

    return corrupted


def scale(pixels: np.ndarray) -> float:
    """Return the image's size relative to 224 px: the factor for lengths. Height and width count equally."""
    height, width = pixels.shape[:2]
    return float(np.sqrt(height * width) / _SIDE)


def softness(pixels: np.ndarray) -> float:
    """Return the factor, at most 1, for changes of single pixels: the root of `scale`.

    Single pixels matter more in small images. The authors' own parameters for CIFAR's 32 px are 0.26 to 0.5 times those
    for 224 px; this factor is 0.38 at that size.
    """
    return float(np.sqrt(min(1.0, scale(pixels))))


def grey(pixels: np.ndarray) -> np.ndarray:
    """Return the brightness `(height, width, 1)`: ITU-R 601 luma for RGB, otherwise the mean of the channels."""
    weights = (0.299, 0.587, 0.114) if pixels.shape[-1] == 3 else np.full(pixels.shape[-1], 1 / pixels.shape[-1])
    found: np.ndarray = (pixels @ np.asarray(weights, np.float32))[..., np.newaxis]
    return found
