"""Images of any size to the one that the network takes, and where their pixels come to lie.

Exactly what `keras.layers.Resizing(antialias=True)` does in the saved model, rounded to whole levels there and here,
so that training, evaluation and prediction see the same pixels.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from cvlib.data.dataset import IGNORE

STRETCH, LETTERBOX = "stretch", "letterbox"


def padding(height: int, width: int, size: tuple[int, int], how: str) -> tuple[int, int]:
    """Rows added above and below, and columns left and right, before the image is resized to `size`."""
    if how == STRETCH:
        return 0, 0
    whole_height, whole_width = max(height, width * size[0] // size[1]), max(width, height * size[1] // size[0])
    return (whole_height - height) // 2, (whole_width - width) // 2


def placement(height: int, width: int, size: tuple[int, int], how: str) -> np.ndarray:
    """Scale and offset, float32 `(scale_x, scale_y, offset_x, offset_y)`: place in the result = place · scale + offset.

    Places are in pixels from the upper left corner of the upper left pixel.
    """
    rows, columns = padding(height, width, size, how)
    scale_x, scale_y = size[1] / (width + 2 * columns), size[0] / (height + 2 * rows)
    return np.array([scale_x, scale_y, columns * scale_x, rows * scale_y], np.float32)


def back(boxes: np.ndarray, height: int, width: int, size: tuple[int, int], how: str) -> np.ndarray:
    """Boxes `(n, 4)` in pixels of the resized image as boxes in pixels of the original, clipped to it."""
    scale_x, scale_y, offset_x, offset_y = placement(height, width, size, how)
    offsets, scales = np.array([offset_x, offset_y] * 2), np.array([scale_x, scale_y] * 2)
    return np.clip((boxes - offsets) / scales, 0, np.array([width, height] * 2))


def image(pixels: Any, size: tuple[int, int], how: str) -> Any:
    """Bilinear with antialiasing: uint8 `(…, height, width, channels)` → uint8 `(…, *size, channels)`."""
    if tuple(pixels.shape[-3:-1]) == tuple(size):
        return pixels
    if how == LETTERBOX:
        pixels = _padded(pixels, size, 0)
    return tf.cast(tf.round(tf.image.resize(pixels, size, antialias=True)), tf.uint8)


def mask(ids: Any, size: tuple[int, int], how: str) -> Any:
    """Nearest neighbour, so that no id is invented: uint8 `(…, height, width)` → uint8 `(…, *size)`."""
    if tuple(ids.shape[-2:]) == tuple(size):
        return ids
    ids = ids[..., tf.newaxis]
    if how == LETTERBOX:
        ids = _padded(ids, size, IGNORE)
    return tf.image.resize(ids, size, "nearest")[..., 0]


def _padded(pixels: Any, size: tuple[int, int], value: int) -> Any:
    height, width = tf.shape(pixels)[-3], tf.shape(pixels)[-2]
    rows = (tf.maximum(height, width * size[0] // size[1]) - height) // 2
    columns = (tf.maximum(width, height * size[1] // size[0]) - width) // 2
    around = [[0, 0]] * (len(pixels.shape) - 3) + [[rows, rows], [columns, columns], [0, 0]]
    return tf.pad(pixels, around, constant_values=value)
