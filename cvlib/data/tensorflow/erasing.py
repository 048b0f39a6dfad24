"""Random erasing: a rectangle of the image becomes grey (Zhong et al., Random Erasing Data Augmentation, AAAI 2020).

The area and the aspect ratio have the ranges of torchvision's `RandomErasing`. A rectangle that would be longer than a
side of the image is cut to that side. The paper draws another one instead; here, one draw determines the rectangle.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import tensorflow as tf

from cvlib.config.schema import AugmentConfig

if TYPE_CHECKING:
    from cvlib.data.tensorflow.augment import Draws

_AREA = (0.02, 0.33)  # share of the image
_MAX_ASPECT = 1 / 0.3  # height / width; the smallest is its inverse


def hidden(draws: Draws, config: AugmentConfig, height: Any, width: Any) -> Any:
    """Return which pixels are erased, bool `(batch, height, width)`; with probability 1 − `config.erase`, none."""
    tall, wide = tf.cast(height, tf.float32), tf.cast(width, tf.float32)
    area = (_AREA[0] + (_AREA[1] - _AREA[0]) * draws["erase_area"]) * tall * wide
    aspect = tf.exp((2 * draws["erase_aspect"] - 1) * math.log(_MAX_ASPECT))
    rows = tf.clip_by_value(tf.round(tf.sqrt(area * aspect)), 1.0, tall)
    columns = tf.clip_by_value(tf.round(tf.sqrt(area / aspect)), 1.0, wide)
    top = tf.minimum(tf.floor(draws["erase_y"] * (tall - rows + 1)), tall - rows)
    left = tf.minimum(tf.floor(draws["erase_x"] * (wide - columns + 1)), wide - columns)
    y, x = tf.range(tall), tf.range(wide)
    down = (y >= top[:, None]) & (y < (top + rows)[:, None])
    across = (x >= left[:, None]) & (x < (left + columns)[:, None])
    return (draws["erase"] < config.erase)[:, None, None] & down[:, :, None] & across[:, None, :]
