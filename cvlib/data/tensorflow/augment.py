"""Random changes of training images: the randomness is drawn in NumPy, the change is a pure function of it.

A sample's numbers depend on (stream, seed, epoch, index) alone, so the order, the batch, the model and the number of
threads change nothing. Flip, rotation and crop make one affine matrix and one resampling per image.
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

GREY = 114.0  # around a picture that was turned or shrunk, where an edge gone on with would invent objects
_MOST_ASPECT = 1.25  # a crop is at most this much wider or narrower than the image
_BLUR_REACH = 3  # sigmas after which the Gaussian is cut off
_RGB_TO_YIQ = np.array([[0.299, 0.587, 0.114], [0.5959, -0.2746, -0.3213], [0.2115, -0.5227, 0.3112]], np.float32)


@dataclass(frozen=True)
class Draws:
    """Random numbers in [0, 1) for n images, float32 `(n,)` by the name of their stream."""

    columns: Mapping[str, Any]
    count: Any  # n

    @classmethod
    def of(cls, names: Sequence[str], array: Any) -> Draws:
        """Return the columns of an array `(n, names)`."""
        return cls({name: array[:, column] for column, name in enumerate(names)}, tf.shape(array)[0])

    def __getitem__(self, name: str) -> Any:
        """Return a stream's numbers; one that isn't drawn, for its change is not in use, stands in its middle."""
        assert name in STREAMS, name
        return self.columns[name] if name in self.columns else tf.fill([self.count], 0.5)

    def every(self, step: int) -> Draws:
        """Return the numbers of every `step`-th image, from the first on."""
        return Draws({name: column[::step] for name, column in self.columns.items()}, self.count // step)


def apply(images: Any, draws: Draws, config: AugmentConfig, outside: float | None = None) -> Any:
    """Augment a batch, float32 `(batch, height, width, channels)` in 0–255; the result has its shape and range.

    `draws` are those of these samples. Saturation and hue leave grey images as they are. In batches of
    another size a sample comes out the same up to float32's rounding. What lies outside the picture gets the level
    `outside`, or where it is None goes on as its edge.
    """
    images = tf.cast(images, tf.float32)
    if is_geometric(config):
        images = resample(images, matrices(draws, config, tf.shape(images)[1], tf.shape(images)[2]), outside)
    return apply_photometric(images, draws, config)


def apply_photometric(images: Any, draws: Draws, config: AugmentConfig) -> Any:
    """The split of `apply` that leaves every pixel in its place: blur and colour."""
    if config.blur:
        images = _blur(images, config.blur * draws["blur"], math.ceil(_BLUR_REACH * config.blur))
    if is_photometric(config):
        images = _recolour(images, draws, config)
    return tf.clip_by_value(images, 0.0, 255.0)


def matrices(draws: Draws, config: AugmentConfig, height: Any, width: Any) -> Any:
    """What takes a pixel's (x, y, 1) in the result to its place in the source: `(batch, 3, 3)`.

    Pixel centres are whole numbers, x goes right and y down; at its neutral strength each split is exactly 1. Seen
    from the result: scale to the crop, rotate about its centre, mirror. Boxes and masks go the same way by these.
    """
    height, width = tf.cast(height, tf.float32), tf.cast(width, tf.float32)
    area = config.crop + (config.zoom_out - config.crop) * draws["crop_area"]
    most = (
        tf.where(area < 1, tf.minimum(_MOST_ASPECT, 1 / area), _MOST_ASPECT) if resizes(config) else tf.ones_like(area)
    )
    aspect = tf.exp((2 * draws["crop_aspect"] - 1) * tf.math.log(most))
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
    return tf.reshape(tf.stack(flat, axis=1), (-1, 3, 3))


def resample(images: Any, source: Any, outside: float | None) -> Any:
    """Images as seen through the maps of `matrices`, bilinear."""
    # NEAREST goes on with what touches the edge; REFLECT would fold a stroke of a letter back into it.
    return tf.raw_ops.ImageProjectiveTransformV3(
        images=images, transforms=tf.reshape(source, (-1, 9))[:, :8], output_shape=tf.shape(images)[1:3],
        fill_value=outside or 0.0, interpolation="BILINEAR", fill_mode="NEAREST" if outside is None else "CONSTANT",
    )  # fmt: skip


def _recolour(images: Any, draws: Draws, config: AugmentConfig) -> Any:
    """Brightness, contrast about each channel's mean, then the colours: one affine map of the pixels per image."""

    def strength(stream: str, most: float) -> Any:
        return (2 * draws[stream] - 1) * most

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
