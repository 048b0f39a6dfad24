"""Resize images and masks to the network's input size.

The result equals that of `keras.layers.Resizing(antialias=True)` in the saved model. Both are rounded to integers,
so that training, evaluation and prediction see the same pixels. `cvlib.data.resize` describes the geometry.
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from cvlib.data.input_spec import LETTERBOX
from cvlib.data.labels.mask import IGNORE


def image(pixels: Any, size: tuple[int, int], method: str) -> Any:
    """Resize bilinearly with antialiasing: uint8 `(…, height, width, channels)` → uint8 `(…, *size, channels)`."""
    if tuple(pixels.shape[-3:-1]) == tuple(size):
        return pixels
    if method == LETTERBOX:
        pixels = _padded(pixels, size, 0)
    return tf.cast(tf.round(tf.image.resize(pixels, size, antialias=True)), tf.uint8)


def mask(ids: Any, size: tuple[int, int], method: str) -> Any:
    """Resize by nearest neighbour, which creates no new ids: uint8 `(…, height, width)` → uint8 `(…, *size)`."""
    if tuple(ids.shape[-2:]) == tuple(size):
        return ids
    ids = ids[..., tf.newaxis]
    if method == LETTERBOX:
        ids = _padded(ids, size, IGNORE)
    return tf.image.resize(ids, size, "nearest")[..., 0]


def _padded(pixels: Any, size: tuple[int, int], value: int) -> Any:
    height, width = tf.shape(pixels)[-3], tf.shape(pixels)[-2]
    rows = (tf.maximum(height, width * size[0] // size[1]) - height) // 2
    columns = (tf.maximum(width, height * size[1] // size[0]) - width) // 2
    around = [[0, 0]] * (len(pixels.shape) - 3) + [[rows, rows], [columns, columns], [0, 0]]
    return tf.pad(pixels, around, constant_values=value)
