"""Flip, rotation, crop and RandAugment's moves as one affine matrix, and so one resampling, per image."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from cvlib.config.schema import AugmentConfig
from cvlib.data.augmentation import resizes
from cvlib.data.augmenting import randaugment
from cvlib.data.augmenting.draws import Draws

GREY = 114.0  # fill level around a rotated or shrunk image, if repeating its edge would create false objects
_MAX_ASPECT = np.float32(1.25)  # maximum aspect ratio of a crop relative to the image


def matrices(draws: Draws, config: AugmentConfig, height: int, width: int) -> np.ndarray:
    """Return the matrices, float32 `(n, 3, 3)`, that map (x, y, 1) of a pixel in the result to its source position.

    Pixel centres have integer coordinates, x points right and y down. At neutral strengths, the matrices are exactly
    the identity. A position in the result is moved by RandAugment's operations, scaled to the crop, rotated about the
    crop's centre, and mirrored. The same matrices transform boxes and masks.
    """
    one = np.float32(1)
    area = config.crop + (config.zoom_out - config.crop) * draws["crop_area"]
    max_aspect = np.where(area < 1, np.minimum(_MAX_ASPECT, 1 / area), _MAX_ASPECT) if resizes(config) else one
    aspect = np.exp((2 * draws["crop_aspect"] - 1) * np.log(max_aspect))
    scale_x, scale_y = np.sqrt(area * aspect), np.sqrt(area / aspect)
    angle = (2 * draws["rotation"] - 1) * (config.rotation * np.pi / 180)
    cos, sin = np.cos(angle), np.sin(angle)
    mirror_x = np.where(draws["horizontal_flip"] < config.horizontal_flip, -one, one)
    mirror_y = np.where(draws["vertical_flip"] < config.vertical_flip, -one, one)
    rows = [[cos * scale_x * mirror_x, -sin * scale_y * mirror_x], [sin * scale_x * mirror_y, cos * scale_y * mirror_y]]
    middle_x, middle_y = (width - 1) / 2, (height - 1) / 2
    target_x = middle_x + (draws["crop_x"] - 0.5) * (1 - scale_x) * width
    target_y = middle_y + (draws["crop_y"] - 0.5) * (1 - scale_y) * height
    shift_x = target_x - rows[0][0] * middle_x - rows[0][1] * middle_y
    shift_y = target_y - rows[1][0] * middle_x - rows[1][1] * middle_y
    found = of_rows([rows[0][0], rows[0][1], shift_x, rows[1][0], rows[1][1], shift_y])
    if config.rand_operations:
        found = found @ randaugment.matrices(draws, config, height, width)
    return found


def of_rows(entries: Sequence[np.ndarray]) -> np.ndarray:
    """Return affine matrices, float32 `(n, 3, 3)`, from the six entries `(n,)` of their first two rows."""
    zero, one = np.zeros_like(entries[0]), np.ones_like(entries[0])
    return np.stack([*entries, zero, zero, one], axis=1).reshape(-1, 3, 3)
