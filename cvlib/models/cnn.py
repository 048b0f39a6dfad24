"""The textbook convolutional network: convolutions and a pooling per entry of `filters`, then dense layers."""

from __future__ import annotations

import keras
from keras import KerasTensor, layers

from cvlib.config.schema import ModelConfig
from cvlib.models.preprocessing import image_input
from cvlib.runtime.errors import UserError


def build(config: ModelConfig, input_shape: tuple[int, int, int], outputs: int) -> keras.Model:
    """Raw 0–255 pixels `(batch, height, width, channels)` → logits `(batch, outputs)`."""
    image = image_input(input_shape)
    x = backbone(config, input_shape)(preprocess(image))
    return keras.Model(image, layers.Dense(outputs, dtype="float32", name="logits")(x), name="cnn")


def preprocess(image: KerasTensor) -> KerasTensor:
    """Raw 0–255 pixels → 0–1."""
    return layers.Rescaling(1 / 255, name="rescaling", dtype="float32")(image)


def backbone(config: ModelConfig, input_shape: tuple[int, int, int]) -> keras.Model:
    """Pixels 0–1 → features `(batch, width of the last dense layer)`.

    Raises `UserError` where the image is too small for the layers, or stride and dilation are both above 1.
    """
    if config.stride > 1 and config.dilation > 1:
        pair = f"model.stride={config.stride} with model.dilation={config.dilation}"
        raise UserError(f"{pair} can't be: one of the two must be 1")
    x = pixels = keras.Input(input_shape, name="pixels")
    for number, filters in enumerate(config.filters, start=1):
        x = _stage(config, x, number, filters, input_shape)
    flatten = config.features == "flatten"
    x = layers.Flatten(name="flatten")(x) if flatten else layers.GlobalAveragePooling2D(name="pooled")(x)
    for number, width in enumerate(config.dense, start=1):
        x = layers.Dense(width, "relu", name=f"dense{number}")(x)
        if config.dropout:
            x = layers.Dropout(config.dropout, name=f"dense{number}_dropout")(x)
    return keras.Model(pixels, x, name="backbone")


def levels(config: ModelConfig) -> list[str]:
    """The base's layers that are the last at their resolution, finest first."""
    last = len(config.filters)
    pooled = f"conv{last}_dropout" if config.spatial_dropout else f"conv{last}_pool"
    return [f"conv{number}_relu" for number in range(1, last + 1)] + [pooled]


def _stage(
    config: ModelConfig, x: KerasTensor, number: int, filters: int, input_shape: tuple[int, int, int]
) -> KerasTensor:
    """`config.convolutions` times convolution, BatchNorm if chosen, ReLU; pooling by 2, spatial dropout if chosen."""
    name = f"conv{number}"
    for earlier in range(1, config.convolutions):
        x = _convolution(config, x, f"{name}_{earlier}", filters, config.stride if earlier == 1 else 1, input_shape)
    x = _convolution(config, x, name, filters, config.stride if config.convolutions == 1 else 1, input_shape)
    if min(x.shape[1:3]) < 2:
        raise _too_small(config, input_shape)
    pool = layers.MaxPooling2D if config.pooling == "max" else layers.AveragePooling2D
    x = pool(2, name=f"{name}_pool")(x)
    return layers.SpatialDropout2D(config.spatial_dropout, name=f"{name}_dropout")(x) if config.spatial_dropout else x


def _convolution(config: ModelConfig, x: KerasTensor, name: str, filters: int, stride: int,
                 input_shape: tuple[int, int, int]) -> KerasTensor:  # fmt: skip
    reach = config.dilation * (config.kernel - 1) + 1 if config.padding == "valid" else 1
    if min(x.shape[1:3]) < reach:
        raise _too_small(config, input_shape)
    x = layers.Conv2D(filters, config.kernel, stride, config.padding, dilation_rate=config.dilation,
                      use_bias=not config.batch_norm, name=name)(x)  # fmt: skip
    if config.batch_norm:
        x = layers.BatchNormalization(name=f"{name}_bn")(x)
    return layers.ReLU(name=f"{name}_relu")(x)


def _too_small(config: ModelConfig, input_shape: tuple[int, int, int]) -> UserError:
    return UserError(
        f"images of {input_shape[0]}×{input_shape[1]} pixels are too small for model=cnn with model.filters="
        f"{config.filters}: nothing is left to convolve or pool; raise data.image_size or take fewer filters"
    )
