"""Preprocessing layers that convert raw pixels to the input of a base.

They compute in float32 under every dtype policy: the eight significant bits of bfloat16 are too few for resized pixels.
"""

from __future__ import annotations

from collections.abc import Sequence

import keras
from keras import KerasTensor, layers, ops

IMAGENET_BGR_MEAN = (103.939, 116.779, 123.68)
IMAGENET_RGB_MEAN, IMAGENET_RGB_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of pixels 0–1


def image_input(input_shape: tuple[int, int, int]) -> KerasTensor:
    """Return the input of raw pixels 0–255 `(batch, height, width, channels)`."""
    return keras.Input(input_shape, name="image", dtype="float32")


def to_rgb(image: KerasTensor) -> KerasTensor:
    """Return an image with three channels; a grey channel is repeated three times."""
    return layers.Concatenate(name="rgb", dtype="float32")([image, image, image]) if image.shape[-1] == 1 else image


def to_unit_range(image: KerasTensor) -> KerasTensor:
    """Scale raw pixels 0–255 to 0–1."""
    return layers.Rescaling(1 / 255, name="rescaling", dtype="float32")(image)


def to_symmetric_range(image: KerasTensor) -> KerasTensor:
    """Scale raw pixels 0–255 to −1–1."""
    return layers.Rescaling(1 / 127.5, offset=-1, name="rescaling", dtype="float32")(image)


def caffe_preprocessing(image: KerasTensor) -> KerasTensor:
    """Convert grey or RGB to BGR minus ImageNet's mean, as Keras' weights of VGG and ResNet expect.

    For images with more than three channels, the mean of the three values is subtracted from every channel, because
    the loaded kernels of the first convolution are then the same for every channel: the rescaled mean over RGB.
    """
    if image.shape[-1] > 3:
        mean = sum(IMAGENET_BGR_MEAN) / 3
        return layers.Rescaling(1.0, offset=-mean, name="minus_mean", dtype="float32")(image)
    bgr = ops.flip(to_rgb(image), axis=-1)
    minus_mean = layers.Normalization(
        mean=IMAGENET_BGR_MEAN, variance=(1.0, 1.0, 1.0), name="minus_mean", dtype="float32"
    )
    return minus_mean(bgr)


def torch_preprocessing(image: KerasTensor, name: str = "standardized") -> KerasTensor:
    """Convert grey or RGB to RGB minus ImageNet's mean, divided by its standard deviation.

    The weights of torchvision expect this, and Keras' weights of DenseNet, EfficientNet and ConvNeXt. Images with more
    than three channels use the mean of the three means and deviations for every channel, as in `caffe_preprocessing`.
    `name` is that of the layer.
    """
    if image.shape[-1] > 3:
        mean, std = sum(IMAGENET_RGB_MEAN) / 3, sum(IMAGENET_RGB_STD) / 3
        return layers.Rescaling(1 / (255 * std), offset=-mean / std, name=name, dtype="float32")(image)
    standardized = layers.Normalization(
        mean=[255 * mean for mean in IMAGENET_RGB_MEAN], variance=[(255 * std) ** 2 for std in IMAGENET_RGB_STD],
        name=name, dtype="float32",
    )  # fmt: skip
    return standardized(to_rgb(image))


def scaled(image: KerasTensor, scale: Sequence[float], offset: Sequence[float]) -> KerasTensor:
    """Return RGB times `scale` plus `offset`, each with one number for all channels or one per channel.

    Images with more than three channels use the means of the numbers for every channel, as in `caffe_preprocessing`.
    """
    rgb = to_rgb(image)
    if rgb.shape[-1] > 3 or len(scale) == len(offset) == 1:
        factor, shift = sum(scale) / len(scale), sum(offset) / len(offset)
        return layers.Rescaling(factor, offset=shift, name="rescaling", dtype="float32")(rgb)
    pairs = [(scale[channel % len(scale)], offset[channel % len(offset)]) for channel in range(3)]
    standardized = layers.Normalization(
        mean=[-shift / factor for factor, shift in pairs], variance=[factor**-2 for factor, _ in pairs],
        name="standardized", dtype="float32",
    )  # fmt: skip
    return standardized(rgb)
