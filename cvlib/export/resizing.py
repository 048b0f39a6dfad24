"""Bilinear resizing with antialiasing, as in Keras, from operations that every runtime supports."""

from __future__ import annotations

from typing import Any

import tensorflow as tf


def resize(image: Any, size: tuple[int, int], letterbox: bool = False) -> Any:
    """Resize (batch, height, width, channels) to `size`, bilinear with antialiasing, by matrix products.

    With `letterbox`, the image keeps its aspect ratio and is centred on black.
    """
    batch, height, width, channels = tf.unstack(tf.shape(image))
    margin_y = margin_x = 0
    if letterbox:
        margin_y = _margin(height, tf.cast(tf.cast(width * size[0], tf.float32) / size[1], tf.int32))
        margin_x = _margin(width, tf.cast(tf.cast(height * size[1], tf.float32) / size[0], tf.int32))
    rows = tf.matmul(_weights(height, margin_y, size[0]), tf.reshape(image, (batch, height, width * channels)))
    return tf.matmul(_weights(width, margin_x, size[1]), tf.reshape(rows, (batch, size[0], width, image.shape[-1])))


def _margin(side: Any, target: Any) -> Any:
    return tf.maximum(target - side, 0) // 2


def _weights(pixels: Any, margin: Any, outputs: int) -> Any:
    """Return the triangle filter's weights `(outputs, pixels)` along an axis with a black margin on both sides."""
    inputs = pixels + 2 * margin
    ratio = tf.cast(inputs, tf.float32) / outputs
    centres = (tf.range(outputs, dtype=tf.float32) + 0.5) * ratio
    positions = tf.cast(tf.range(inputs), tf.float32) + 0.5
    weights = tf.maximum(0.0, 1 - tf.abs(positions[tf.newaxis] - centres[:, tf.newaxis]) / tf.maximum(ratio, 1.0))
    weights /= tf.reduce_sum(weights, axis=1, keepdims=True)
    return weights[:, margin : margin + pixels]
