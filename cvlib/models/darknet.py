"""A small residual network for detection from scratch, in the manner of CSPDarknet.

Cross-stage partial blocks: Wang et al., CSPNet: A New Backbone that can Enhance Learning Capability of CNN, 2020.
"""

from __future__ import annotations

import keras
from keras import KerasTensor, layers

from cvlib.config.schema import ModelConfig
from cvlib.models.preprocessing import image_input, pooled_head


def build(config: ModelConfig, input_shape: tuple[int, int, int], outputs: int) -> keras.Model:
    """Raw 0–255 pixels `(batch, height, width, channels)` → logits `(batch, outputs)`."""
    image = image_input(input_shape)
    features = backbone(config, input_shape)(preprocess(image))
    return keras.Model(image, pooled_head(features, config.dropout, outputs), name="darknet")


def preprocess(image: KerasTensor) -> KerasTensor:
    """Raw 0–255 pixels → 0–1."""
    return layers.Rescaling(1 / 255, name="rescaling", dtype="float32")(image)


def backbone(config: ModelConfig, input_shape: tuple[int, int, int]) -> keras.Model:
    """Pixels 0–1 → features of the last stage. Each entry of `config.filters` is a stage that halves the sides."""
    x = pixels = keras.Input(input_shape, name="pixels")
    for number, filters in enumerate(config.filters, start=1):
        x = convolution(x, filters, 3, f"stage{number}_down", stride=2)
        if number > 1:
            x = _partial_block(x, filters, f"stage{number}_csp")
    return keras.Model(pixels, x, name="backbone")


def levels(config: ModelConfig) -> list[str]:
    """The base's layers that are the last at their resolution, finest first: strides 2, 4 …"""
    return ["stage1_down_relu"] + [f"stage{n}_csp_out_relu" for n in range(2, len(config.filters) + 1)]


def convolution(x: KerasTensor, filters: int, kernel: int, name: str, stride: int = 1) -> KerasTensor:
    """Convolution with padding, BatchNorm and ReLU."""
    x = layers.Conv2D(filters, kernel, stride, "same", use_bias=False, kernel_initializer="he_normal", name=name)(x)
    x = layers.BatchNormalization(name=f"{name}_bn")(x)
    return layers.ReLU(name=f"{name}_relu")(x)


def _partial_block(x: KerasTensor, filters: int, name: str) -> KerasTensor:
    """One half of the channels passes by, the other goes through a residual pair of convolutions."""
    half = filters // 2
    past = convolution(x, half, 1, f"{name}_past")
    through = convolution(x, half, 1, f"{name}_through")
    y = convolution(through, half, 3, f"{name}_conv1")
    y = layers.Add(name=f"{name}_add")([through, convolution(y, half, 3, f"{name}_conv2")])
    return convolution(layers.Concatenate(name=f"{name}_both")([past, y]), filters, 1, f"{name}_out")
