"""Mosaic augmentation joins four training images and their boxes (Bochkovskiy et al., YOLOv4, 2020).

The four images meet at a random point. Each image is first transformed with `affine.matrices`, then drawn at half to
full size outwards from that point and clipped to its quarter. `cvlib.data.order` selects the images to join.
"""

from __future__ import annotations

import numpy as np

from cvlib.config.schema import AugmentConfig
from cvlib.data.augmentation import TILES
from cvlib.data.augmenting import affine
from cvlib.data.augmenting.draws import Draws

_EDGE_MARGIN = 0.3  # minimum distance of the meeting point from the edges, as a fraction of the side
_MIN_SCALE = 0.5


def quarters(draws: Draws, config: AugmentConfig, height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Return each tile's map from the mosaic to the tile's image `(4 n, 3, 3)`, and its window `(4 n, 4)`.

    `draws` are those of the first images of n mosaics. With probability 1 − `config.mosaic`, a sample is not joined:
    then the window of its first tile is the whole image, and its other windows are empty.
    """
    joins = draws["mosaic"] < config.mosaic
    span = 1 - 2 * _EDGE_MARGIN
    middle_x = np.round((_EDGE_MARGIN + span * draws["mosaic_x"]) * width)
    middle_y = np.round((_EDGE_MARGIN + span * draws["mosaic_y"]) * height)
    scale = _MIN_SCALE + (1 - _MIN_SCALE) * draws["mosaic_scale"]
    zero, one = np.zeros_like(scale), np.ones_like(scale)
    maps, windows = [], []
    for number in range(TILES):
        right, lower = number % 2, number // 2
        left = middle_x if right else middle_x - scale * width
        top = middle_y if lower else middle_y - scale * height
        low = [middle_x if right else zero, middle_y if lower else zero]
        high = [zero + width if right else middle_x, zero + height if lower else middle_y]
        window = np.stack([*low, *high], axis=-1)
        alone = np.stack([zero, zero, zero + width, zero + height], axis=-1) if number == 0 else np.zeros_like(window)
        windows.append(np.where(joins[:, None], window, alone))
        # With pixel centres at integers, x in the tile = (x + 0.5 − left) / scale − 0.5.
        factor = np.where(joins, 1 / scale, one)
        shift_x = np.where(joins, (0.5 - left) / scale - 0.5, zero)
        shift_y = np.where(joins, (0.5 - top) / scale - 0.5, zero)
        maps.append(affine.of_rows([factor, zero, shift_x, zero, factor, shift_y]))
    return np.stack(maps, axis=1).reshape(-1, 3, 3), np.stack(windows, axis=1).reshape(-1, 4)
