"""Random changes of training images: the randomness is drawn in NumPy, the change is a pure function of it.

A sample's draw depends on (seed, epoch, index) alone, so the order, the batch, the model and the number of
threads change nothing. Flip, rotation and crop make one affine matrix and one resampling per image.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from cvlib.config import AugmentConfig

_DRAWS = 12  # numbers per sample, one for each random choice below
_H_FLIP, _V_FLIP, _ROTATION, _AREA, _ASPECT, _X, _Y, _BRIGHTNESS, _CONTRAST, _SATURATION, _HUE, _BLUR = range(_DRAWS)
_MOST_ASPECT = 1.25  # a crop is at most this much wider or narrower than the image
_RGB_TO_YIQ = np.array([[0.299, 0.587, 0.114], [0.5959, -0.2746, -0.3213], [0.2115, -0.5227, 0.3112]], np.float32)


def draw(config: AugmentConfig, indices: np.ndarray, seed: int, epoch: int) -> np.ndarray:
    """Uniform numbers in [0, 1), float32 `(n, 12)`, for the samples of these indices in this epoch.

    A counter-based generator (splitmix64: Steele, Lea & Flood 2014) of (seed, epoch, index, choice).
    """
    counters = np.asarray(indices, np.uint64)[:, None] * np.uint64(_DRAWS) + np.arange(_DRAWS, dtype=np.uint64)
    key = int(np.random.SeedSequence([seed, epoch]).generate_state(1, np.uint64)[0])
    with np.errstate(over="ignore"):
        mixed = counters * np.uint64(0x9E3779B97F4A7C15) + np.uint64(key)
        mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        mixed ^= mixed >> np.uint64(31)
    return (mixed >> np.uint64(40)).astype(np.float32) / np.float32(2**24)


def apply(images: Any, draws: Any, config: AugmentConfig) -> Any:
    """Augment a batch, float32 `(batch, height, width, channels)` in 0–255; the result has its shape and range."""
    images = tf.cast(images, tf.float32)
    if moves(config):
        images = _resample(images, matrices(draws, config, tf.shape(images)[1], tf.shape(images)[2]))
    if config.blur:
        images = _blur(images, config.blur * draws[:, _BLUR])
    if recolours(config):
        images = _recolour(images, draws, config)
    return tf.clip_by_value(images, 0.0, 255.0)


def moves(config: AugmentConfig) -> bool:
    """Whether pixels change their place."""
    return bool(config.horizontal_flip or config.vertical_flip or config.rotation or config.crop < 1)


def recolours(config: AugmentConfig) -> bool:
    """Whether pixels change their colour."""
    return bool(config.brightness or config.contrast or config.saturation or config.hue)


def matrices(draws: Any, config: AugmentConfig, height: Any, width: Any) -> Any:
    """What takes a pixel's (x, y, 1) in the result to its place in the source: `(batch, 3, 3)`.

    Pixel centres are whole numbers. Seen from the result: scale to the crop, rotate about its centre, mirror.
    """
    height, width = tf.cast(height, tf.float32), tf.cast(width, tf.float32)
    area = config.crop + (1 - config.crop) * draws[:, _AREA]
    most = tf.minimum(_MOST_ASPECT, 1 / area) if config.crop < 1 else tf.ones_like(area)
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


def _resample(images: Any, source: Any) -> Any:
    return tf.raw_ops.ImageProjectiveTransformV3(
        images=images, transforms=tf.reshape(source, (-1, 9))[:, :8], output_shape=tf.shape(images)[1:3],
        fill_value=0.0, interpolation="BILINEAR", fill_mode="NEAREST",
    )  # fmt: skip


def _recolour(images: Any, draws: Any, config: AugmentConfig) -> Any:
    def strength(column: int, most: float) -> Any:
        return ((2 * draws[:, column] - 1) * most)[:, None, None, None]

    images += 255.0 * strength(_BRIGHTNESS, config.brightness)
    mean = tf.reduce_mean(images, axis=(1, 2), keepdims=True)
    images = mean + (images - mean) * (1 + strength(_CONTRAST, config.contrast))
    if images.shape[-1] == 3 and (config.saturation or config.hue):
        images = _turn_colours(images, 1 + strength(_SATURATION, config.saturation), strength(_HUE, config.hue))
    return images


def _turn_colours(images: Any, saturation: Any, hue: Any) -> Any:
    """Scale and turn the colour plane of YIQ; brightness (Y) stays."""
    yiq = tf.einsum("bhwc,kc->bhwk", images, _RGB_TO_YIQ)
    y, i, q = yiq[..., :1], yiq[..., 1:2], yiq[..., 2:]
    cos, sin = tf.cos(2 * np.pi * hue), tf.sin(2 * np.pi * hue)
    turned = tf.concat([y, saturation * (cos * i - sin * q), saturation * (sin * i + cos * q)], axis=-1)
    return tf.einsum("bhwk,ck->bhwc", turned, np.linalg.inv(_RGB_TO_YIQ).astype(np.float32))


def _blur(images: Any, sigma: Any) -> Any:
    """Gaussian blur with a sigma in pixels per image, one axis after the other; edges are repeated."""
    reach = 5
    offsets = tf.range(-reach, reach + 1, dtype=tf.float32)
    kernels = tf.exp(-(offsets**2) / (2 * tf.maximum(sigma, 1e-3)[:, None] ** 2))
    kernels /= tf.reduce_sum(kernels, axis=1, keepdims=True)
    for axis in (1, 2):
        positions = tf.range(tf.shape(images)[axis])
        last = tf.shape(images)[axis] - 1
        shifted = [tf.gather(images, tf.clip_by_value(positions + k, 0, last), axis=axis) for k in range(-reach, reach + 1)]
        images = tf.add_n([kernels[:, k, None, None, None] * part for k, part in enumerate(shifted)])
    return images
