"""AlexNet: Krizhevsky, Sutskever & Hinton, ImageNet Classification with Deep Convolutional Networks, 2012.

The single-stream network: the convolutions see all channels, where the paper split them over two GPUs. Local
response normalization is left out (VGG found no gain in it); it has no parameters, so the count of 62,378,344 at
227×227×3 and 1000 classes stands. `batch_norm` puts BatchNorm after the convolutions instead.
"""

from __future__ import annotations

import keras
from keras import KerasTensor, layers

from cvlib.config.schema import ModelConfig
from cvlib.models.preprocessing import image_input

# filters, kernel, stride, padding, whether pooling 3×3 with stride 2 follows
_STAGES = (
    (96, 11, 4, "valid", True),
    (256, 5, 1, "same", True),
    (384, 3, 1, "same", False),
    (384, 3, 1, "same", False),
    (256, 3, 1, "same", True),
)


def build(config: ModelConfig, input_shape: tuple[int, int, int], outputs: int) -> keras.Model:
    """Raw 0–255 pixels `(batch, height, width, channels)`, sides of 67 or more → logits `(batch, outputs)`."""
    image = image_input(input_shape)
    x = layers.Rescaling(1 / 127.5, offset=-1, name="rescaling", dtype="float32")(image)
    x = backbone(config, input_shape)(x)
    return keras.Model(image, layers.Dense(outputs, dtype="float32", name="logits")(x), name="alexnet")


def backbone(config: ModelConfig, input_shape: tuple[int, int, int]) -> keras.Model:
    """Pixels from −1 to 1 → features `(batch, config.dense[-1])`.

    He initialization, so that the signal keeps its size through eight layers without normalization.
    """
    x = pixels = keras.Input(input_shape, name="pixels")
    for number, stage in enumerate(_STAGES, start=1):
        x = _stage(config, x, f"conv{number}", *stage)
    x = layers.Flatten(name="flatten")(x)
    for number, width in enumerate(config.dense, start=len(_STAGES) + 1):
        x = layers.Dense(width, "relu", kernel_initializer="he_normal", name=f"dense{number}")(x)
        if config.dropout:
            x = layers.Dropout(config.dropout, name=f"dense{number}_dropout")(x)
    return keras.Model(pixels, x, name="backbone")


def _stage(config: ModelConfig, x: KerasTensor, name: str, filters: int, kernel: int, stride: int, padding: str,
           pool: bool) -> KerasTensor:  # fmt: skip
    x = layers.Conv2D(filters, kernel, stride, padding, kernel_initializer="he_normal", name=name)(x)
    if config.batch_norm:
        x = layers.BatchNormalization(name=f"{name}_bn")(x)
    x = layers.ReLU(name=f"{name}_relu")(x)
    return layers.MaxPooling2D(3, 2, name=f"{name}_pool")(x) if pool else x
