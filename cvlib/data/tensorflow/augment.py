"""Augmentation of training images: NumPy draws the random numbers, and the changes are pure functions of them.

A sample's numbers depend only on (stream, seed, epoch, index). Order, batch, model and number of threads have no
effect. Flip, rotation and crop are combined into one affine matrix and one resampling per image.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from cvlib.config.schema import AugmentConfig
from cvlib.data.augmentation import is_geometric, is_photometric, resizes
from cvlib.data.streams import STREAMS
from cvlib.data.tensorflow import randaugment

GREY = 114.0  # fill level around a rotated or shrunk image, if repeating its edge would create false objects
_MAX_ASPECT = 1.25  # maximum aspect ratio of a crop relative to the image
_BLUR_REACH = 3  # the Gaussian is cut off after this many sigmas
_RGB_TO_YIQ = np.array([[0.299, 0.587, 0.114], [0.5959, -0.2746, -0.3213], [0.2115, -0.5227, 0.3112]], np.float32)


@dataclass(frozen=True)
class Draws:
    """Random numbers in [0, 1) for n images: float32 `(n,)` per named stream."""

    columns: Mapping[str, Any]
    count: Any  # n

    @classmethod
    def of(cls, names: Sequence[str], array: Any) -> Draws:
        """Make draws from an array `(n, names)`."""
        return cls({name: array[:, column] for column, name in enumerate(names)}, tf.shape(array)[0])

    def __getitem__(self, name: str) -> Any:
        """Return a stream's numbers; 0.5, the neutral value, for a stream that is not drawn."""
        assert name in STREAMS, name
        return self.columns[name] if name in self.columns else tf.fill([self.count], 0.5)

    def every(self, step: int) -> Draws:
        """Return the numbers of every `step`-th image, beginning with the first."""
        return Draws({name: column[::step] for name, column in self.columns.items()}, self.count // step)


def apply(images: Any, draws: Draws, config: AugmentConfig, outside: float | None = None) -> Any:
    """Augment a batch, float32 `(batch, height, width, channels)` in 0–255; shape and range are unchanged.

    `draws` holds the random numbers of these images. Saturation and hue don't change grey images. A sample's result is
    independent of the batch size up to float32 rounding. Pixels outside the image get the level `outside`; if it is
    None, the edge pixels are repeated.
    """
    images = tf.cast(images, tf.float32)
    if is_geometric(config):
        images = resample(images, matrices(draws, config, tf.shape(images)[1], tf.shape(images)[2]), outside)
    return apply_photometric(images, draws, config)


def apply_photometric(images: Any, draws: Draws, config: AugmentConfig) -> Any:
    """Apply blur, colour changes and RandAugment's colour operations, which move no pixels."""
    if config.blur:
        images = _blur(images, config.blur * draws["blur"], math.ceil(_BLUR_REACH * config.blur))
    if is_photometric(config):
        images = _recolour(images, draws, config)
    images = tf.clip_by_value(images, 0.0, 255.0)
    return randaugment.recolour(images, draws, config) if config.rand_operations else images


def matrices(draws: Draws, config: AugmentConfig, height: Any, width: Any) -> Any:
    """Return the matrices `(batch, 3, 3)` that map (x, y, 1) of a pixel in the result to its position in the source.

    Pixel centres have integer coordinates, x points right and y down. At neutral strengths, the matrices are exactly
    the identity. A position in the result is moved by RandAugment's operations, scaled to the crop, rotated about the
    crop's centre, and mirrored. The same matrices transform boxes and masks.
    """
    height, width = tf.cast(height, tf.float32), tf.cast(width, tf.float32)
    area = config.crop + (config.zoom_out - config.crop) * draws["crop_area"]
    max_aspect = (
        tf.where(area < 1, tf.minimum(_MAX_ASPECT, 1 / area), _MAX_ASPECT) if resizes(config) else tf.ones_like(area)
    )
    aspect = tf.exp((2 * draws["crop_aspect"] - 1) * tf.math.log(max_aspect))
    scale_x, scale_y = tf.sqrt(area * aspect), tf.sqrt(area / aspect)
    angle = (2 * draws["rotation"] - 1) * (config.rotation * np.pi / 180)
    cos, sin = tf.cos(angle), tf.sin(angle)
    mirror_x = tf.where(draws["horizontal_flip"] < config.horizontal_flip, -1.0, 1.0)
    mirror_y = tf.where(draws["vertical_flip"] < config.vertical_flip, -1.0, 1.0)
    rows = [[cos * scale_x * mirror_x, -sin * scale_y * mirror_x], [sin * scale_x * mirror_y, cos * scale_y * mirror_y]]
    middle_x, middle_y = (width - 1) / 2, (height - 1) / 2
    target_x = middle_x + (draws["crop_x"] - 0.5) * (1 - scale_x) * width
    target_y = middle_y + (draws["crop_y"] - 0.5) * (1 - scale_y) * height
    shift_x = target_x - rows[0][0] * middle_x - rows[0][1] * middle_y
    shift_y = target_y - rows[1][0] * middle_x - rows[1][1] * middle_y
    zero, one = tf.zeros_like(angle), tf.ones_like(angle)
    flat = [rows[0][0], rows[0][1], shift_x, rows[1][0], rows[1][1], shift_y, zero, zero, one]
    found = tf.reshape(tf.stack(flat, axis=1), (-1, 3, 3))
    return tf.matmul(found, randaugment.matrices(draws, config, height, width)) if config.rand_operations else found


def resample(images: Any, source: Any, outside: float | None) -> Any:
    """Resample images bilinearly with the matrices `source` from `matrices`."""
    # NEAREST repeats the edge pixels. REFLECT would mirror the stroke of a letter at the edge.
    return tf.raw_ops.ImageProjectiveTransformV3(
        images=images, transforms=tf.reshape(source, (-1, 9))[:, :8], output_shape=tf.shape(images)[1:3],
        fill_value=outside or 0.0, interpolation="BILINEAR", fill_mode="NEAREST" if outside is None else "CONSTANT",
    )  # fmt: skip


def _recolour(images: Any, draws: Draws, config: AugmentConfig) -> Any:
    """Change brightness, contrast (about each channel's mean) and colours, with one affine map of pixels per image."""

    def strength(stream: str, maximum: float) -> Any:
        return (2 * draws[stream] - 1) * maximum

    contrast = 1 + strength("contrast", config.contrast)[:, None]
    brightness = 255 * strength("brightness", config.brightness)[:, None]
    offset = brightness + (1 - contrast) * tf.reduce_mean(images, axis=(1, 2))
    if images.shape[-1] != 3 or not (config.saturation or config.hue):
        return images * contrast[:, None, None] + offset[:, None, None]
    colours = _colour_matrices(1 + strength("saturation", config.saturation), strength("hue", config.hue))
    pixels = tf.reshape(images, (tf.shape(images)[0], -1, 3))
    mixed = tf.matmul(pixels, contrast[:, None] * colours, transpose_b=True)
    return tf.reshape(mixed + tf.linalg.matvec(colours, offset)[:, None], tf.shape(images))


def _colour_matrices(saturation: Any, hue: Any) -> Any:
    """Return RGB matrices `(batch, 3, 3)` that scale and rotate the colour plane of YIQ; Y (brightness) is kept."""
    cos, sin = saturation * tf.cos(2 * np.pi * hue), saturation * tf.sin(2 * np.pi * hue)
    zero, one = tf.zeros_like(cos), tf.ones_like(cos)
    in_yiq = tf.reshape(tf.stack([one, zero, zero, zero, cos, -sin, zero, sin, cos], axis=1), (-1, 3, 3))
    return np.linalg.inv(_RGB_TO_YIQ).astype(np.float32) @ in_yiq @ _RGB_TO_YIQ


def _blur(images: Any, sigma: Any, reach: int) -> Any:
    """Apply a separable Gaussian blur with one sigma per image, in pixels; edge pixels are repeated.

    Images and channels are stacked as the channels of one image, so that a depthwise convolution has a kernel for each.
    """
    batch, height, width, channels = tf.unstack(tf.shape(images))
    offsets = tf.range(-reach, reach + 1, dtype=tf.float32)
    kernels = tf.exp(-((offsets[:, None] / tf.maximum(sigma, 1e-3)) ** 2) / 2)
    kernels = tf.repeat(kernels / tf.reduce_sum(kernels, axis=0), channels, axis=1)
    for axis, side in ((1, height), (2, width)):
        images = tf.gather(images, tf.clip_by_value(tf.range(-reach, side + reach), 0, side - 1), axis=axis)
    stacked = tf.reshape(tf.transpose(images, (1, 2, 0, 3)), (1, height + 2 * reach, width + 2 * reach, -1))
    for kernel in (kernels[:, None, :, None], kernels[None, :, :, None]):
        stacked = tf.nn.depthwise_conv2d(stacked, kernel, strides=[1, 1, 1, 1], padding="VALID")
    return tf.transpose(tf.reshape(stacked, (height, width, batch, channels)), (2, 0, 1, 3))
