"""Layers that several networks share."""

from __future__ import annotations

from keras import KerasTensor, layers


def convolution(x: KerasTensor, filters: int, kernel: int, name: str, stride: int = 1) -> KerasTensor:
    """Add a convolution with `same` padding and He initialization, BatchNorm and ReLU."""
    x = layers.Conv2D(filters, kernel, stride, "same", use_bias=False, kernel_initializer="he_normal", name=name)(x)
    return normalized(x, name)


def normalized(x: KerasTensor, name: str) -> KerasTensor:
    """Add BatchNorm and ReLU, named after the preceding layer."""
    return layers.ReLU(name=f"{name}_relu")(layers.BatchNormalization(name=f"{name}_bn")(x))
