"""RandAugment: some random operations for each image (Cubuk et al., RandAugment, NeurIPS 2020).

The operations and their maximum strengths are those of torchvision's `RandAugment`. One thing differs: the operations
that move pixels are combined with the other geometric changes into one resampling, about the image's centre, and act
before those that change colours. So boxes and masks move exactly like the image, which is interpolated only once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import tensorflow as tf

from cvlib.config.schema import AugmentConfig

if TYPE_CHECKING:
    from cvlib.data.tensorflow.augment import Draws

_MOVING = ("shear_x", "shear_y", "translate_x", "translate_y", "rotate")
_COLOURING = ("brightness", "color", "contrast", "sharpness", "posterize", "solarize", "autocontrast", "equalize")
OPERATIONS = ("identity", *_MOVING, *_COLOURING)
_SHEAR, _TRANSLATE, _ROTATE, _BLEND, _BITS = 0.3, 150 / 331, np.pi / 6, 0.9, 4  # maxima; translation in sides
_LUMA = np.array([0.299, 0.587, 0.114], np.float32)
_SMOOTH = np.array([[1, 1, 1], [1, 5, 1], [1, 1, 1]], np.float32) / 13
_LEVELS = 256


def matrices(draws: Draws, config: AugmentConfig, height: Any, width: Any) -> Any:
    """Return matrices `(batch, 3, 3)` from positions in the result to positions in the source; see `augment.matrices`.

    `height` and `width` are those of the image in pixels, float32.
    """
    total = tf.eye(3, batch_shape=[draws.count])
    for step in range(1, config.rand_operations + 1):
        total = tf.matmul(total, _matrix(_operation(draws, step), _signed(draws, step, config), height, width))
    return total


def _matrix(operation: Any, signed: Any, height: Any, width: Any) -> Any:
    """Return the matrices of one step; the identity for operations that move no pixels."""

    def amount(name: str, maximum: Any) -> Any:
        return tf.where(operation == OPERATIONS.index(name), signed * maximum, 0.0)

    angle = amount("rotate", _ROTATE)
    cos, sin = tf.cos(angle), tf.sin(angle)
    right, down = amount("shear_x", _SHEAR) - sin, amount("shear_y", _SHEAR) + sin
    middle_x, middle_y = (width - 1) / 2, (height - 1) / 2
    shift_x = middle_x - cos * middle_x - right * middle_y + amount("translate_x", _TRANSLATE * width)
    shift_y = middle_y - down * middle_x - cos * middle_y + amount("translate_y", _TRANSLATE * height)
    zero, one = tf.zeros_like(cos), tf.ones_like(cos)
    rows = [cos, right, shift_x, down, cos, shift_y, zero, zero, one]
    return tf.reshape(tf.stack(rows, axis=1), (-1, 3, 3))


def recolour(images: Any, draws: Draws, config: AugmentConfig) -> Any:
    """Apply the operations that change colours to images `(batch, height, width, channels)`, float32 in 0–255."""
    for step in range(1, config.rand_operations + 1):
        images = _recolour_once(images, _operation(draws, step), _signed(draws, step, config), config.rand_magnitude)
    return images


def _recolour_once(images: Any, operation: Any, signed: Any, magnitude: float) -> Any:
    """Divide the batch by operation, so that each image is computed once, and join it again in the same order."""
    unchanged = len(OPERATIONS) - len(_COLOURING) - 1
    group = tf.maximum(operation - unchanged, 0)
    count = len(_COLOURING) + 1
    parts = tf.dynamic_partition(images, group, count)
    amounts = tf.dynamic_partition(signed * _BLEND, group, count)
    places = tf.dynamic_partition(tf.range(tf.shape(images)[0]), group, count)
    changed = [parts[0]]
    for name, part, amount in zip(_COLOURING, parts[1:], amounts[1:], strict=True):
        changed.append(tf.clip_by_value(_coloured(name, part, amount, magnitude), 0.0, 255.0))
    return tf.reshape(tf.dynamic_stitch(places, changed), tf.shape(images))


def _coloured(name: str, images: Any, amount: Any, magnitude: float) -> Any:
    """Apply one operation; `amount` `(n,)` is the signed strength of those that blend with another image."""
    factor = 1.0 + amount[:, None, None, None]
    if name == "brightness":
        return images * factor
    if name == "color":
        return _blend(_grey(images), images, factor) if images.shape[-1] == 3 else images
    if name == "contrast":
        return _blend(tf.reduce_mean(_grey(images), axis=(1, 2, 3), keepdims=True), images, factor)
    if name == "sharpness":
        return _blend(_smoothed(images), images, factor)
    if name == "posterize":
        step = float(2 ** round(magnitude * _BITS))
        return tf.floor(tf.round(images) / step) * step
    if name == "solarize":
        return tf.where(images >= 255.0 * (1.0 - magnitude), 255.0 - images, images)
    if name == "autocontrast":
        low, high = (reduce(images, axis=(1, 2), keepdims=True) for reduce in (tf.reduce_min, tf.reduce_max))
        return tf.where(high > low, (images - low) * 255.0 / tf.maximum(high - low, 1.0), images)
    return _equalized(images)


def _blend(other: Any, images: Any, factor: Any) -> Any:
    return other + factor * (images - other)


def _grey(images: Any) -> Any:
    """Return the luma of RGB images, and the mean of the channels of other images, `(batch, height, width, 1)`."""
    channels = images.shape[-1]
    weights = _LUMA if channels == 3 else np.full(channels, 1 / channels, np.float32)
    return tf.reduce_sum(images * weights, axis=-1, keepdims=True)


def _smoothed(images: Any) -> Any:
    """Smooth with Pillow's 3×3 kernel; the pixels at the edge stay unchanged."""
    height, width, channels = tf.shape(images)[1], tf.shape(images)[2], images.shape[-1]
    kernel = np.repeat(_SMOOTH[:, :, None, None], channels, axis=2)
    smooth = tf.nn.depthwise_conv2d(images, kernel, strides=[1, 1, 1, 1], padding="SAME")
    y, x = tf.range(height)[:, None], tf.range(width)[None]
    inner = (y > 0) & (y < height - 1) & (x > 0) & (x < width - 1)
    return tf.where(inner[None, :, :, None], smooth, images)


def _equalized(images: Any) -> Any:
    """Equalize the histogram of every channel as Pillow does; a channel with one level stays unchanged."""
    pixels = tf.cast(tf.round(images), tf.int32)
    shape, rows = tf.shape(pixels), tf.shape(pixels)[0] * images.shape[-1]
    values = tf.reshape(tf.transpose(pixels, (0, 3, 1, 2)), (rows, shape[1] * shape[2]))
    offsets = tf.range(rows)[:, None] * _LEVELS
    size = rows * _LEVELS
    counts = tf.math.bincount(tf.reshape(values + offsets, (-1,)), minlength=size, maxlength=size)
    histogram = tf.reshape(counts, (rows, _LEVELS))
    highest = tf.gather(histogram, tf.reduce_max(values, axis=1), batch_dims=1)
    step = (shape[1] * shape[2] - highest)[:, None] // 255
    table = (step // 2 + tf.cumsum(histogram, axis=1, exclusive=True)) // tf.maximum(step, 1)
    table = tf.where(step > 0, tf.minimum(table, 255), tf.range(_LEVELS)[None])
    found = tf.gather(tf.reshape(table, (-1,)), values + offsets)
    back = tf.reshape(found, (shape[0], images.shape[-1], shape[1], shape[2]))
    return tf.cast(tf.transpose(back, (0, 2, 3, 1)), images.dtype)


def _operation(draws: Draws, step: int) -> Any:
    """Return the index in `OPERATIONS` of each image's operation, int32 `(batch,)`."""
    count = len(OPERATIONS)
    return tf.minimum(tf.cast(draws[f"rand_operation_{step}"] * count, tf.int32), count - 1)


def _signed(draws: Draws, step: int, config: AugmentConfig) -> Any:
    """Return the magnitude with a random sign, float32 `(batch,)`."""
    return tf.where(draws[f"rand_sign_{step}"] < 0.5, -config.rand_magnitude, config.rand_magnitude)
