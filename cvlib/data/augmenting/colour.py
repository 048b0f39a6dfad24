"""The strengths of blur and of the changes of brightness, contrast, saturation and hue."""

from __future__ import annotations

import math

import numpy as np

from cvlib.config.schema import AugmentConfig
from cvlib.data.augmenting.draws import Draws

_BLUR_REACH = 3  # the Gaussian is cut off after this many sigmas
_RGB_TO_YIQ = np.array([[0.299, 0.587, 0.114], [0.5959, -0.2746, -0.3213], [0.2115, -0.5227, 0.3112]], np.float32)


def blur_kernels(draws: Draws, config: AugmentConfig) -> np.ndarray:
    """Return one-dimensional Gaussian kernels, float32 `(n, taps)` with a sum of 1."""
    reach = math.ceil(_BLUR_REACH * config.blur)
    offsets = np.arange(-reach, reach + 1, dtype=np.float32)
    sigma = np.maximum(config.blur * draws["blur"], np.float32(1e-3))
    kernels = np.exp(-((offsets / sigma[:, None]) ** 2) / 2)
    kernels /= kernels.sum(axis=1, keepdims=True)
    return kernels


def strength(draws: Draws, stream: str, maximum: float) -> np.ndarray:
    """Return a strength between −`maximum` and `maximum`, float32 `(n,)`."""
    return (2 * draws[stream] - 1) * maximum


def matrices(saturation: np.ndarray, hue: np.ndarray) -> np.ndarray:
    """Return RGB matrices `(n, 3, 3)` that scale and rotate the colour plane of YIQ; Y (brightness) is kept.

    Args:
        saturation: the factor, `(n,)`.
        hue: the angle in turns, `(n,)`.
    """
    cos, sin = saturation * np.cos(2 * np.pi * hue), saturation * np.sin(2 * np.pi * hue)
    zero, one = np.zeros_like(cos), np.ones_like(cos)
    in_yiq = np.stack([one, zero, zero, zero, cos, -sin, zero, sin, cos], axis=1).reshape(-1, 3, 3)
    found: np.ndarray = np.linalg.inv(_RGB_TO_YIQ).astype(np.float32) @ in_yiq @ _RGB_TO_YIQ
    return found
