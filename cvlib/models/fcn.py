"""Fully convolutional VGG: Long, Shelhamer & Darrell, Fully Convolutional Networks for Semantic Segmentation, 2015.

VGG's dense layers become convolutions (a kernel as large as the map that the dense layer saw, then 1×1), so that the
network classifies every place; its scores go up by transposed convolutions that begin as bilinear interpolation.
FCN-32s goes up at once, FCN-16s and -8s add scores of the maps at stride 16 and 8 on the way. `backbone=cnn` is the
same on a base small enough for two cores.
"""

from __future__ import annotations

import keras
import numpy as np
from keras import KerasTensor, layers

from cvlib.config.schema import ModelConfig
from cvlib.models.preprocessing import image_input
from cvlib.models.pyramid import preprocess, pyramid
from cvlib.runtime.errors import UserError

_STRIDE = 32  # of the last pooling


def build(config: ModelConfig, input_shape: tuple[int, int, int], outputs: int) -> keras.Model:
    """Raw 0–255 pixels `(batch, height, width, 1 or 3)` → logits `(batch, height, width, outputs)` of every pixel.

    Raises `UserError` where height or width isn't a multiple of 32, or the base doesn't halve five times by pooling.
    """
    height, width, _ = input_shape
    if height % _STRIDE or width % _STRIDE:
        raise UserError(f"images of {height}×{width} pixels don't fit model=fcn: its maps halve five times, so "
                        f"data.image_size must be a multiple of {_STRIDE}")  # fmt: skip
    image = image_input(input_shape)
    pixels = preprocess(_family(config), image)
    *pools, x = _base(config, pixels.shape[1:])(pixels)
    x = fully_connected(x, config.fc_width, config.fc_kernel, config.dropout, "fc6")
    x = fully_connected(x, config.fc_width, 1, config.dropout, "fc7")
    x = _score(x, outputs, "score32")
    stride = _STRIDE
    while stride > config.prediction_stride:
        stride //= 2
        x = _bilinear(x, 2, f"up{stride}")
        x = layers.Add(name=f"join{stride}")([x, _score(pools.pop(), outputs, f"score{stride}")])
    return keras.Model(image, _bilinear(x, stride, "logits", fixed=True), name="fcn")


def _base(config: ModelConfig, input_shape: tuple[int, int, int]) -> keras.Model:
    """The base's convolutions; the maps after its last three poolings, strides 8, 16 and 32."""
    whole = pyramid(config, _family(config), input_shape)
    name = "block{}_pool" if _family(config) == "vgg" else "conv{}_pool"
    return keras.Model(
        whole.inputs, [whole.get_layer(name.format(stage)).output for stage in (3, 4, 5)], name="backbone"
    )


def _family(config: ModelConfig) -> str:
    if config.backbone not in ("vgg", "cnn"):
        raise UserError(f"model.backbone={config.backbone} can't be: model=fcn is made of vgg or cnn, whose maps halve "
                        "by 2×2 pooling")  # fmt: skip
    if config.backbone == "cnn" and (len(config.filters), config.stride, config.padding) != (5, 1, "same"):
        raise UserError(f"model.filters={config.filters} model.stride={config.stride} model.padding={config.padding} "
                        "don't fit model=fcn: it needs five poolings by 2 and nothing else that halves")  # fmt: skip
    return config.backbone


def fully_connected(x: KerasTensor, width: int, kernel: int, dropout: float, name: str) -> KerasTensor:
    """A dense layer over `kernel`×`kernel` places as a convolution: the same at every place, zeros beyond the map.

    The weights of a dense layer on a flattened `(kernel, kernel, channels)` map are, reshaped to
    `(kernel, kernel, channels, width)`, those of this convolution.
    """
    x = layers.Conv2D(width, kernel, padding="same", activation="relu", kernel_initializer="he_normal", name=name)(x)
    return layers.Dropout(dropout, name=f"{name}_dropout")(x) if dropout else x


def _score(x: KerasTensor, outputs: int, name: str) -> KerasTensor:
    """Class scores by a 1×1 convolution, from zeros as in the paper: VGG's large features would make a loss of 60."""
    return layers.Conv2D(outputs, 1, kernel_initializer="zeros", dtype="float32", name=name)(x)


def _bilinear(x: KerasTensor, stride: int, name: str, fixed: bool = False) -> KerasTensor:
    """`stride` times as large, each class by itself; the weights may learn unless `fixed`."""
    classes = x.shape[-1]
    up = layers.Conv2DTranspose(classes, 2 * stride, stride, "same", use_bias=False, dtype="float32",
                                trainable=not fixed, name=name)  # fmt: skip
    enlarged = up(x)
    up.kernel.assign(bilinear_kernel(stride, classes))
    return enlarged


def bilinear_kernel(stride: int, classes: int) -> np.ndarray:
    """The transposed convolution `(2·stride, 2·stride, classes, classes)` that interpolates each class bilinearly."""
    positions = np.arange(2 * stride)
    line = 1 - np.abs(positions - (stride - 0.5)) / stride
    kernel: np.ndarray = np.outer(line, line)[..., np.newaxis, np.newaxis] * np.eye(classes)
    return kernel.astype(np.float32)
