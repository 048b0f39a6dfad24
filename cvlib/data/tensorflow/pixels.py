"""TensorFlow's operations on the pixels of images `(batch, height, width, channels)` and of masks.

`cvlib.data.augmenting.changes.PixelOperations` describes them, and `cvlib.data.threaded.pixels` does the same.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from cvlib.data.augmentation import MIXED, TILES
from cvlib.data.augmenting.randaugment import COLOURING, LEVELS, LUMA, SMOOTH, posterize_step, solarize_threshold
from cvlib.data.labels.mask import IGNORE


def load(pixels: Any) -> Any:
    """Return stored pixels, uint8 `(batch, height, width, channels)`, as a batch of images."""
    return tf.cast(pixels, tf.float32)


def store(images: Any) -> Any:
    """Return a batch of images, float32 `(batch, height, width, channels)`."""
    return images


def resample(images: Any, source: Any, outside: float | None) -> Any:
    # NEAREST repeats the edge pixels. REFLECT would mirror the stroke of a letter at the edge.
    moved = tf.raw_ops.ImageProjectiveTransformV3(
        images=images, transforms=tf.reshape(source, (-1, 9))[:, :8], output_shape=tf.shape(images)[1:3],
        fill_value=outside or 0.0, interpolation="BILINEAR", fill_mode="NEAREST" if outside is None else "CONSTANT",
    )  # fmt: skip
    return tf.ensure_shape(moved, images.shape)


def join(images: Any, windows: Any, tiles: Any) -> Any:
    height, width = tf.shape(images)[1], tf.shape(images)[2]
    x, y = tf.range(width, dtype=tf.float32) + 0.5, tf.range(height, dtype=tf.float32) + 0.5
    across = (x >= windows[:, :1]) & (x < windows[:, 2:3])
    down = (y >= windows[:, 1:2]) & (y < windows[:, 3:])
    inside = (down[:, :, None] & across[:, None, :])[..., None]
    joined = tf.math.segment_sum(tf.where(inside, images, 0.0), tiles // TILES)
    return tf.ensure_shape(joined, (None, *images.shape[1:]))


def blur(images: Any, kernels: Any) -> Any:
    # Images and channels are stacked as the channels of one image: a depthwise convolution has a kernel for each.
    shape = images.shape
    batch, height, width, channels = tf.unstack(tf.shape(images))
    reach = tf.shape(kernels)[1] // 2
    kernels = tf.repeat(tf.transpose(kernels), channels, axis=1)
    for axis, side in ((1, height), (2, width)):
        images = tf.gather(images, tf.clip_by_value(tf.range(-reach, side + reach), 0, side - 1), axis=axis)
    stacked = tf.reshape(tf.transpose(images, (1, 2, 0, 3)), (1, height + 2 * reach, width + 2 * reach, -1))
    for kernel in (kernels[:, None, :, None], kernels[None, :, :, None]):
        stacked = tf.nn.depthwise_conv2d(stacked, kernel, strides=[1, 1, 1, 1], padding="VALID")
    return tf.ensure_shape(tf.transpose(tf.reshape(stacked, (height, width, batch, channels)), (2, 0, 1, 3)), shape)


def recolour(images: Any, contrast: Any, brightness: Any, colours: Any) -> Any:
    contrast = contrast[:, None]
    offset = brightness[:, None] + (1 - contrast) * tf.reduce_mean(images, axis=(1, 2))
    if colours is None:
        return images * contrast[:, None, None] + offset[:, None, None]
    pixels = tf.reshape(images, (tf.shape(images)[0], -1, 3))
    mixed = tf.matmul(pixels, contrast[:, None] * colours, transpose_b=True)
    changed = tf.reshape(mixed + tf.linalg.matvec(colours, offset)[:, None], tf.shape(images))
    return tf.ensure_shape(changed, images.shape)


def clip(images: Any) -> Any:
    return tf.clip_by_value(images, 0.0, 255.0)


def operate(images: Any, operation: Any, strength: Any, magnitude: float) -> Any:
    # The batch is divided by operation, so that each image is computed once, and joined again in the same order.
    count = len(COLOURING) + 1
    parts = tf.dynamic_partition(images, operation, count)
    amounts = tf.dynamic_partition(strength, operation, count)
    places = tf.dynamic_partition(tf.range(tf.shape(images)[0]), operation, count)
    changed = [parts[0]]
    for name, part, amount in zip(COLOURING, parts[1:], amounts[1:], strict=True):
        changed.append(clip(_coloured(name, part, amount, magnitude)))
    return tf.ensure_shape(tf.reshape(tf.dynamic_stitch(places, changed), tf.shape(images)), images.shape)


def erase(images: Any, hidden: Any, level: float) -> Any:
    return tf.where(hidden[..., None], level, images)


def mix(images: Any, weights: Any) -> Any:
    weights = weights[..., None]
    return weights * images[::MIXED] + (1 - weights) * images[1::MIXED]


def move_masks(masks: Any, source: Any) -> Any:
    """Resample masks uint8 `(batch, height, width)` by nearest neighbour; pixels from outside become `IGNORE`."""
    moved = tf.raw_ops.ImageProjectiveTransformV3(
        images=masks[..., None], transforms=tf.reshape(source, (-1, 9))[:, :8], output_shape=tf.shape(masks)[1:3],
        fill_value=float(IGNORE), interpolation="NEAREST", fill_mode="CONSTANT",
    )  # fmt: skip
    return tf.ensure_shape(moved[..., 0], masks.shape)


def ignore(masks: Any, hidden: Any) -> Any:
    """Set the hidden pixels of masks to `IGNORE`."""
    return tf.where(hidden, tf.cast(IGNORE, masks.dtype), masks)


def store_masks(masks: Any) -> Any:
    """Return masks as int32 `(batch, height, width)`."""
    return tf.cast(masks, tf.int32)


# RandAugment


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
        step = posterize_step(magnitude)
        return tf.floor(tf.round(images) / step) * step
    if name == "solarize":
        return tf.where(images >= solarize_threshold(magnitude), 255.0 - images, images)
    if name == "autocontrast":
        low, high = (reduce(images, axis=(1, 2), keepdims=True) for reduce in (tf.reduce_min, tf.reduce_max))
        return tf.where(high > low, (images - low) * 255.0 / tf.maximum(high - low, 1.0), images)
    return _equalized(images)


def _blend(other: Any, images: Any, factor: Any) -> Any:
    return other + factor * (images - other)


def _grey(images: Any) -> Any:
    """Return the luma of RGB images, and the mean of the channels of other images, `(batch, height, width, 1)`."""
    channels = images.shape[-1]
    weights = LUMA if channels == 3 else np.full(channels, 1 / channels, np.float32)
    return tf.reduce_sum(images * weights, axis=-1, keepdims=True)


def _smoothed(images: Any) -> Any:
    """Smooth with Pillow's 3×3 kernel; the pixels at the edge stay unchanged."""
    height, width, channels = tf.shape(images)[1], tf.shape(images)[2], images.shape[-1]
    kernel = np.repeat(SMOOTH[:, :, None, None], channels, axis=2)
    smooth = tf.nn.depthwise_conv2d(images, kernel, strides=[1, 1, 1, 1], padding="SAME")
    y, x = tf.range(height)[:, None], tf.range(width)[None]
    inner = (y > 0) & (y < height - 1) & (x > 0) & (x < width - 1)
    return tf.where(inner[None, :, :, None], smooth, images)


def _equalized(images: Any) -> Any:
    """Equalize the histogram of every channel as Pillow does; a channel with one level stays unchanged."""
    pixels = tf.cast(tf.round(images), tf.int32)
    shape, rows = tf.shape(pixels), tf.shape(pixels)[0] * images.shape[-1]
    values = tf.reshape(tf.transpose(pixels, (0, 3, 1, 2)), (rows, shape[1] * shape[2]))
    offsets = tf.range(rows)[:, None] * LEVELS
    size = rows * LEVELS
    counts = tf.math.bincount(tf.reshape(values + offsets, (-1,)), minlength=size, maxlength=size)
    histogram = tf.reshape(counts, (rows, LEVELS))
    highest = tf.gather(histogram, tf.reduce_max(values, axis=1), batch_dims=1)
    step = (shape[1] * shape[2] - highest)[:, None] // 255
    table = (step // 2 + tf.cumsum(histogram, axis=1, exclusive=True)) // tf.maximum(step, 1)
    table = tf.where(step > 0, tf.minimum(table, 255), tf.range(LEVELS)[None])
    found = tf.gather(tf.reshape(table, (-1,)), values + offsets)
    back = tf.reshape(found, (shape[0], images.shape[-1], shape[1], shape[2]))
    return tf.cast(tf.transpose(back, (0, 2, 3, 1)), images.dtype)
