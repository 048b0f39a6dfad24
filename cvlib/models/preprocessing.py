"""What the published architectures share: their preprocessing, and a fresh head on the pooled features.

Preprocessing is float32 under every policy: bfloat16 has eight significant bits, too few for resized pixels.
"""

from __future__ import annotations

import keras
from keras import KerasTensor, layers, ops

IMAGENET_BGR_MEAN = (103.939, 116.779, 123.68)


def image_input(input_shape: tuple[int, int, int]) -> KerasTensor:
    """Raw pixels 0–255 `(batch, height, width, channels)`."""
    return keras.Input(input_shape, name="image", dtype="float32")


def to_rgb(image: KerasTensor) -> KerasTensor:
    """Three channels: a grey one three times over."""
    return layers.Concatenate(name="rgb", dtype="float32")([image, image, image]) if image.shape[-1] == 1 else image


def caffe_preprocessing(image: KerasTensor) -> KerasTensor:
    """BGR minus ImageNet's mean, as Keras' weights of VGG and ResNet want it."""
    bgr = ops.flip(to_rgb(image), axis=-1)
    minus_mean = layers.Normalization(
        mean=IMAGENET_BGR_MEAN, variance=(1.0, 1.0, 1.0), name="minus_mean", dtype="float32"
    )
    return minus_mean(bgr)


def pooled_head(features: KerasTensor, dropout: float, outputs: int) -> KerasTensor:
    """Global average pooling, dropout and the last dense layer: logits `(batch, outputs)` in float32."""
    x = layers.GlobalAveragePooling2D(name="pooled")(features)
    if dropout:
        x = layers.Dropout(dropout, name="head_dropout")(x)
    return layers.Dense(outputs, dtype="float32", name="logits")(x)
