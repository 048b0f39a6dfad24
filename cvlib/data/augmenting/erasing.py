"""Random erasing: a rectangle of the image becomes grey (Zhong et al., Random Erasing Data Augmentation, AAAI 2020).

The area and the aspect ratio have the ranges of torchvision's `RandomErasing`. A rectangle that would be longer than a
side of the image is cut to that side. The paper draws another one instead; here, one draw determines the rectangle.
"""

from __future__ import annotations

import math

import numpy as np

from cvlib.config.schema import AugmentConfig
from cvlib.data.augmenting.draws import Draws

_AREA = (0.02, 0.33)  # share of the image
_MAX_ASPECT = 1 / 0.3  # height / width; the smallest is its inverse


def hidden(draws: Draws, config: AugmentConfig, height: int, width: int) -> np.ndarray:
    """Return which pixels are erased, bool `(n, height, width)`; with probability 1 − `config.erase`, none."""
    area = (_AREA[0] + (_AREA[1] - _AREA[0]) * draws["erase_area"]) * height * width
    aspect = np.exp((2 * draws["erase_aspect"] - 1) * math.log(_MAX_ASPECT))
    rows = np.clip(np.round(np.sqrt(area * aspect)), 1, height)
    columns = np.clip(np.round(np.sqrt(area / aspect)), 1, width)
    top = np.minimum(np.floor(draws["erase_y"] * (height - rows + 1)), height - rows)
    left = np.minimum(np.floor(draws["erase_x"] * (width - columns + 1)), width - columns)
    y, x = np.arange(height), np.arange(width)
    down = (y >= top[:, None]) & (y < (top + rows)[:, None])
    across = (x >= left[:, None]) & (x < (left + columns)[:, None])
    return (draws["erase"] < config.erase)[:, None, None] & down[:, :, None] & across[:, None, :]
