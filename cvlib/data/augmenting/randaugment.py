"""RandAugment: some random operations for each image (Cubuk et al., RandAugment, NeurIPS 2020).

The operations and their maximum strengths are those of torchvision's `RandAugment`. One thing differs: the operations
that move pixels are combined with the other geometric changes into one resampling, about the image's centre, and act
before those that change colours. So boxes and masks move exactly like the image, which is interpolated only once.
"""

from __future__ import annotations

import numpy as np

from cvlib.config.schema import AugmentConfig
from cvlib.data.augmenting.draws import Draws

MOVING = ("shear_x", "shear_y", "translate_x", "translate_y", "rotate")
COLOURING = ("brightness", "color", "contrast", "sharpness", "posterize", "solarize", "autocontrast", "equalize")
OPERATIONS = ("identity", *MOVING, *COLOURING)
LUMA = np.array([0.299, 0.587, 0.114], np.float32)
SMOOTH = np.array([[1, 1, 1], [1, 5, 1], [1, 1, 1]], np.float32) / 13  # Pillow's kernel, for sharpness
LEVELS = 256
_SHEAR, _TRANSLATE, _ROTATE, _BLEND, _BITS = 0.3, 150 / 331, np.pi / 6, 0.9, 4  # maxima; translation in sides


def matrices(draws: Draws, config: AugmentConfig, height: int, width: int) -> np.ndarray:
    """Return matrices `(n, 3, 3)` from positions in the result to positions in the source; see `affine.matrices`."""
    total = np.broadcast_to(np.eye(3, dtype=np.float32), (draws.count, 3, 3))
    for step in range(1, config.rand_operations + 1):
        total = total @ _matrix(_operation(draws, step), _signed(draws, step, config), height, width)
    return total


def colouring(draws: Draws, config: AugmentConfig) -> tuple[np.ndarray, np.ndarray]:
    """Return the operations on colours and their strengths, for each step.

    Returns the position in `COLOURING` + 1, or 0 if the operation moves pixels, int32 `(n, steps)`; and the signed
    strength of the operations that blend with another image, float32 `(n, steps)`.
    """
    steps = range(1, config.rand_operations + 1)
    first = len(OPERATIONS) - len(COLOURING)
    chosen = np.stack([np.maximum(_operation(draws, step) - first + 1, 0) for step in steps], axis=1)
    return chosen, np.stack([_signed(draws, step, config) * np.float32(_BLEND) for step in steps], axis=1)


def posterize_step(magnitude: float) -> float:
    """Return the distance between the levels that remain."""
    return float(2 ** round(magnitude * _BITS))


def solarize_threshold(magnitude: float) -> float:
    """Return the level from which pixels are inverted."""
    return 255.0 * (1.0 - magnitude)


def _matrix(operation: np.ndarray, signed: np.ndarray, height: int, width: int) -> np.ndarray:
    """Return the matrices of one step; the identity for operations that move no pixels."""

    def amount(name: str, maximum: float) -> np.ndarray:
        return np.where(operation == OPERATIONS.index(name), signed * maximum, np.float32(0))

    angle = amount("rotate", _ROTATE)
    cos, sin = np.cos(angle), np.sin(angle)
    right, down = amount("shear_x", _SHEAR) - sin, amount("shear_y", _SHEAR) + sin
    middle_x, middle_y = (width - 1) / 2, (height - 1) / 2
    shift_x = middle_x - cos * middle_x - right * middle_y + amount("translate_x", _TRANSLATE * width)
    shift_y = middle_y - down * middle_x - cos * middle_y + amount("translate_y", _TRANSLATE * height)
    zero, one = np.zeros_like(cos), np.ones_like(cos)
    return np.stack([cos, right, shift_x, down, cos, shift_y, zero, zero, one], axis=1).reshape(-1, 3, 3)


def _operation(draws: Draws, step: int) -> np.ndarray:
    """Return the index in `OPERATIONS` of each image's operation, int32 `(n,)`."""
    count = len(OPERATIONS)
    return np.minimum((draws[f"rand_operation_{step}"] * np.float32(count)).astype(np.int32), count - 1)


def _signed(draws: Draws, step: int, config: AugmentConfig) -> np.ndarray:
    """Return the magnitude with a random sign, float32 `(n,)`."""
    magnitude = np.float32(config.rand_magnitude)
    return np.where(draws[f"rand_sign_{step}"] < 0.5, -magnitude, magnitude)
