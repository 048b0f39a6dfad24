"""Mosaic augmentation joins four training images and their boxes (Bochkovskiy et al., YOLOv4, 2020).

The four images meet at a random point. Each image is first transformed with `augment.matrices`, then drawn at half to
full size outwards from that point and clipped to its quarter. `cvlib.data.order` selects the images to join.
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from cvlib.config.schema import AugmentConfig
from cvlib.data.augmentation import TILES
from cvlib.data.tensorflow import augment, geometry
from cvlib.data.tensorflow.augment import Draws

_EDGE_MARGIN = 0.3  # minimum distance of the meeting point from the edges, as a fraction of the side
_MIN_SCALE = 0.5


def joined(
    images: Any, corners: Any, classes: Any, draws: Draws, config: AugmentConfig
) -> tuple[Any, tuple[Any, Any], Draws]:
    """Join images `(4 n, height, width, channels)` with boxes `(4 n, m, 4)` into n mosaics.

    With probability 1 − `config.mosaic`, only the first image of each group of four is used. Returns images, (corners
    `(n, 4 m, 4)`, classes) and the draws of the first images.
    """
    height, width = tf.shape(images)[1], tf.shape(images)[2]
    first = draws.every(TILES)
    joins = first["mosaic"] < config.mosaic
    placing, windows = _quarters(first, joins, tf.cast(height, tf.float32), tf.cast(width, tf.float32))
    source = tf.matmul(augment.matrices(draws, config, height, width), placing)
    moved = augment.resample(images, source, augment.GREY)
    corners, classes = geometry.move(corners, classes, source, windows)
    inside = _inside(windows, height, width)
    tiles = tf.reshape(tf.where(inside, moved, 0.0), (-1, TILES, height, width, images.shape[-1]))
    boxes = tf.reshape(corners, (-1, TILES * tf.shape(corners)[1], 4)), tf.reshape(classes, (tf.shape(joins)[0], -1))
    return tf.reduce_sum(tiles, axis=1), boxes, first


def _quarters(draws: Draws, joins: Any, height: Any, width: Any) -> tuple[Any, Any]:
    """Return each tile's map from the mosaic to the tile's image `(4 n, 3, 3)`, and its window `(4 n, 4)`.

    If a sample is not joined, the window of its first tile is the whole image, and its other windows are empty.
    """
    span = 1 - 2 * _EDGE_MARGIN
    middle_x = tf.round((_EDGE_MARGIN + span * draws["mosaic_x"]) * width)
    middle_y = tf.round((_EDGE_MARGIN + span * draws["mosaic_y"]) * height)
    scale = _MIN_SCALE + (1 - _MIN_SCALE) * draws["mosaic_scale"]
    zero = tf.zeros_like(scale)
    maps, windows = [], []
    for number in range(TILES):
        right, lower = number % 2, number // 2
        left = middle_x if right else middle_x - scale * width
        top = middle_y if lower else middle_y - scale * height
        low = [middle_x if right else zero, middle_y if lower else zero]
        high = [zero + width if right else middle_x, zero + height if lower else middle_y]
        window = tf.stack([*low, *high], axis=-1)
        alone = tf.stack([zero, zero, zero + width, zero + height], axis=-1) if number == 0 else tf.zeros_like(window)
        windows.append(tf.where(joins[:, None], window, alone))
        # With pixel centres at integers, x in the tile = (x + 0.5 − left) / scale − 0.5.
        factor = tf.where(joins, 1 / scale, 1.0)
        shift_x = tf.where(joins, (0.5 - left) / scale - 0.5, 0.0)
        shift_y = tf.where(joins, (0.5 - top) / scale - 0.5, 0.0)
        rows = [factor, zero, shift_x, zero, factor, shift_y, zero, zero, zero + 1]
        maps.append(tf.reshape(tf.stack(rows, axis=-1), (-1, 3, 3)))
    return tf.reshape(tf.stack(maps, axis=1), (-1, 3, 3)), tf.reshape(tf.stack(windows, axis=1), (-1, 4))


def _inside(windows: Any, height: Any, width: Any) -> Any:
    """Return whether each pixel's centre lies in its window, `(n, height, width, 1)`."""
    x, y = tf.range(width, dtype=tf.float32) + 0.5, tf.range(height, dtype=tf.float32) + 0.5
    across = (x >= windows[:, :1]) & (x < windows[:, 2:3])
    down = (y >= windows[:, 1:2]) & (y < windows[:, 3:])
    return (down[:, :, None] & across[:, None, :])[..., None]
