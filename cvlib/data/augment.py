"""Random changes of training images: the randomness is drawn in NumPy, the change is a pure function of it.

A sample's draw depends on (seed, epoch, index) alone, so the order, the batch, the model and the number of
threads change nothing. Flip, rotation and crop make one affine matrix and one resampling per image.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import tensorflow as tf

from cvlib.config.schema import AugmentConfig

DRAWS = 16  # numbers per sample, one for each random choice below
_H_FLIP, _V_FLIP, _ROTATION, _AREA, _ASPECT, _X, _Y, _BRIGHTNESS, _CONTRAST, _SATURATION, _HUE, _BLUR = range(12)
MOSAIC, MIDDLE_X, MIDDLE_Y, TILE_SCALE = range(12, DRAWS)  # for `cvlib.data.mosaic`
GREY = 114.0  # around a picture that was turned or shrunk, where an edge gone on with would invent objects
_MOST_ASPECT = 1.25  # a crop is at most this much wider or narrower than the image
_BLUR_REACH = 3  # sigmas after which the Gaussian is cut off
_RGB_TO_YIQ = np.array([[0.299, 0.587, 0.114], [0.5959, -0.2746, -0.3213], [0.2115, -0.5227, 0.3112]], np.float32)


def draw(config: AugmentConfig, indices: np.ndarray, seed: int, epoch: int) -> np.ndarray:
    """Uniform numbers in [0, 1), float32 `(n, DRAWS)`, for the samples of these indices in this epoch."""
    counters = np.asarray(indices, np.uint64)[:, None] * np.uint64(DRAWS) + np.arange(DRAWS, dtype=np.uint64)
    return uniform(counters, [seed, epoch])


def uniform(counters: np.ndarray, key: list[int]) -> np.ndarray:
    """A float32 in [0, 1) for each uint64 counter, depending on it and on `key` alone.

    A counter-based generator (splitmix64: Steele, Lea & Flood 2014).
    """
    start = np.random.SeedSequence(key).generate_state(1, np.uint64)
    with np.errstate(over="ignore"):
        mixed: np.ndarray = counters * np.uint64(0x9E3779B97F4A7C15) + start
        mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        mixed ^= mixed >> np.uint64(31)
    return (mixed >> np.uint64(40)).astype(np.float32) / np.float32(2**24)


def apply(images: Any, draws: Any, config: AugmentConfig, outside: float | None = None) -> Any:
    """Augment a batch, float32 `(batch, height, width, channels)` in 0–255; the result has its shape and range.

    `draws` is what `draw` gave for these samples. Saturation and hue leave grey images as they are. In batches of
    another size a sample comes out the same up to float32's rounding. What lies outside the picture gets the level
    `outside`, or where it is None goes on as its edge.
    """
    images = tf.cast(images, tf.float32)
    if moves(config):
        images = resample(images, matrices(draws, config, tf.shape(images)[1], tf.shape(images)[2]), outside)
    return restyled(images, draws, config)


def restyled(images: Any, draws: Any, config: AugmentConfig) -> Any:
    """The part of `apply` that leaves every pixel in its place: blur and colour."""
    if config.blur:
        images = _blur(images, config.blur * draws[:, _BLUR], math.ceil(_BLUR_REACH * config.blur))
    if recolours(config):
        images = _recolour(images, draws, config)
    return tf.clip_by_value(images, 0.0, 255.0)


def moves(config: AugmentConfig) -> bool:
    """Whether pixels change their place."""
    resized = config.crop < 1 or config.zoom_out > 1
    return bool(config.horizontal_flip or config.vertical_flip or config.rotation or resized)


def recolours(config: AugmentConfig) -> bool:
    """Whether pixels change their colour."""
    return bool(config.brightness or config.contrast or config.saturation or config.hue)


def matrices(draws: Any, config: AugmentConfig, height: Any, width: Any) -> Any:
    """What takes a pixel's (x, y, 1) in the result to its place in the source: `(batch, 3, 3)`.

    Pixel centres are whole numbers, x goes right and y down; at its neutral strength each part is exactly 1. Seen
    from the result: scale to the crop, rotate about its centre, mirror. Boxes and masks go the same way by these.
    """
    height, width = tf.cast(height, tf.float32), tf.cast(width, tf.float32)
    area = config.crop + (config.zoom_out - config.crop) * draws[:, _AREA]
    resized = config.crop < 1 or config.zoom_out > 1
    most = tf.where(area < 1, tf.minimum(_MOST_ASPECT, 1 / area), _MOST_ASPECT) if resized else tf.ones_like(area)
    aspect = tf.exp((2 * draws[:, _ASPECT] - 1) * tf.math.log(most))
    scale_x, scale_y = tf.sqrt(area * aspect), tf.sqrt(area / aspect)
    angle = (2 * draws[:, _ROTATION] - 1) * (config.rotation * np.pi / 180)
    cos, sin = tf.cos(angle), tf.sin(angle)
    mirror_x = tf.where(draws[:, _H_FLIP] < config.horizontal_flip, -1.0, 1.0)
    mirror_y = tf.where(draws[:, _V_FLIP] < config.vertical_flip, -1.0, 1.0)
    rows = [[cos * scale_x * mirror_x, -sin * scale_y * mirror_x], [sin * scale_x * mirror_y, cos * scale_y * mirror_y]]
    middle_x, middle_y = (width - 1) / 2, (height - 1) / 2
    target_x = middle_x + (draws[:, _X] - 0.5) * (1 - scale_x) * width
    target_y = middle_y + (draws[:, _Y] - 0.5) * (1 - scale_y) * height
    shift_x = target_x - rows[0][0] * middle_x - rows[0][1] * middle_y
    shift_y = target_y - rows[1][0] * middle_x - rows[1][1] * middle_y
    zero, one = tf.zeros_like(angle), tf.ones_like(angle)
    flat = [rows[0][0], rows[0][1], shift_x, rows[1][0], rows[1][1], shift_y, zero, zero, one]
    return tf.reshape(tf.stack(flat, axis=1), (-1, 3, 3))


def resample(images: Any, source: Any, outside: float | None) -> Any:
    """Images as seen through the maps of `matrices`, bilinear."""
    # NEAREST goes on with what touches the edge; REFLECT would fold a stroke of a letter back into it.
    return tf.raw_ops.ImageProjectiveTransformV3(
        images=images, transforms=tf.reshape(source, (-1, 9))[:, :8], output_shape=tf.shape(images)[1:3],
        fill_value=outside or 0.0, interpolation="BILINEAR", fill_mode="NEAREST" if outside is None else "CONSTANT",
    )  # fmt: skip


def _recolour(images: Any, draws: Any, config: AugmentConfig) -> Any:
    """Brightness, contrast about each channel's mean, then the colours: one affine map of the pixels per image."""

    def strength(column: int, most: float) -> Any:
        return (2 * draws[:, column] - 1) * most

    contrast = 1 + strength(_CONTRAST, config.contrast)[:, None]
    brightness = 255 * strength(_BRIGHTNESS, config.brightness)[:, None]
    offset = brightness + (1 - contrast) * tf.reduce_mean(images, axis=(1, 2))
    if images.shape[-1] != 3 or not (config.saturation or config.hue):
        return images * contrast[:, None, None] + offset[:, None, None]
    colours = _colour_matrices(1 + strength(_SATURATION, config.saturation), strength(_HUE, config.hue))
    pixels = tf.reshape(images, (tf.shape(images)[0], -1, 3))
    mixed = tf.matmul(pixels, contrast[:, None] * colours, transpose_b=True)
    return tf.reshape(mixed + tf.linalg.matvec(colours, offset)[:, None], tf.shape(images))


def _colour_matrices(saturation: Any, hue: Any) -> Any:
    """What scales and turns the colour plane of YIQ, seen in RGB, `(batch, 3, 3)`; brightness (Y) stays."""
    cos, sin = saturation * tf.cos(2 * np.pi * hue), saturation * tf.sin(2 * np.pi * hue)
    zero, one = tf.zeros_like(cos), tf.ones_like(cos)
    in_yiq = tf.reshape(tf.stack([one, zero, zero, zero, cos, -sin, zero, sin, cos], axis=1), (-1, 3, 3))
    return np.linalg.inv(_RGB_TO_YIQ).astype(np.float32) @ in_yiq @ _RGB_TO_YIQ


def _blur(images: Any, sigma: Any, reach: int) -> Any:
    """Gaussian blur with a sigma in pixels per image, one axis after the other; edges are repeated.

    Images and channels become the channels of one picture: a depthwise convolution then has a kernel for each.
    """
    batch, height, width, channels = tf.unstack(tf.shape(images))
    offsets = tf.range(-reach, reach + 1, dtype=tf.float32)
    kernels = tf.exp(-((offsets[:, None] / tf.maximum(sigma, 1e-3)) ** 2) / 2)
    kernels = tf.repeat(kernels / tf.reduce_sum(kernels, axis=0), channels, axis=1)
    for axis, side in ((1, height), (2, width)):
        images = tf.gather(images, tf.clip_by_value(tf.range(-reach, side + reach), 0, side - 1), axis=axis)
    picture = tf.reshape(tf.transpose(images, (1, 2, 0, 3)), (1, height + 2 * reach, width + 2 * reach, -1))
    for one_axis in (kernels[:, None, :, None], kernels[None, :, :, None]):
        picture = tf.nn.depthwise_conv2d(picture, one_axis, strides=[1, 1, 1, 1], padding="VALID")
    return tf.transpose(tf.reshape(picture, (height, width, batch, channels)), (2, 0, 1, 3))
