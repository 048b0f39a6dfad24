"""Noise of single pixels. Every channel has its own noise. It is weaker in small images; see `base.softness`."""

from __future__ import annotations

import numpy as np

from cvlib.data.corruptions.base import corruption, softness

_DEVIATION = (0.08, 0.12, 0.18, 0.26, 0.38)
_PHOTONS = (60, 25, 12, 5, 3)  # per white pixel
_SHARE = (0.03, 0.06, 0.09, 0.17, 0.27)


@corruption
def gaussian_noise(pixels: np.ndarray, level: int, generator: np.random.Generator) -> np.ndarray:
    """Add normal noise, as in low light. Its deviation is 0.08 to 0.38 of the pixel range."""
    deviation = _DEVIATION[level] * softness(pixels)
    noisy: np.ndarray = pixels + deviation * generator.standard_normal(pixels.shape, np.float32)
    return noisy


@corruption
def shot_noise(pixels: np.ndarray, level: int, generator: np.random.Generator) -> np.ndarray:
    """Count photons: Poisson noise with 60 down to 3 photons for a white pixel."""
    photons = _PHOTONS[level] / softness(pixels) ** 2
    counts: np.ndarray = generator.poisson(pixels * photons).astype(np.float32)
    return counts / np.float32(photons)


@corruption
def impulse_noise(pixels: np.ndarray, level: int, generator: np.random.Generator) -> np.ndarray:
    """Set 3 to 27 % of the values to black or white, as defective pixels do."""
    draws = generator.random((2, *pixels.shape), np.float32)
    return np.where(draws[0] < _SHARE[level] * softness(pixels), np.rint(draws[1]), pixels)
