"""One file an architecture; each has `build(config, input_shape, outputs)` and `backbone(config, input_shape)`."""

from __future__ import annotations

import pkgutil
from collections.abc import Callable
from importlib import import_module
from typing import Any

import keras

from cvlib.config.schema import ModelConfig
from cvlib.runtime.errors import UserError

_SHARED = {"decoders", "preprocessing", "pyramid", "restore"}  # the files here that are no architectures


def names() -> list[str]:
    """The architectures there are."""
    return sorted(module.name for module in pkgutil.iter_modules(__path__) if module.name not in _SHARED)


def build(config: ModelConfig, input_shape: tuple[int, int, int], outputs: int) -> keras.Model:
    """The network `config.name` from raw 0–255 pixels `(batch, height, width, channels)` to logits.

    Its layer "backbone" is everything that can be carried to another task; what follows is the head. The
    output is the logits `(batch, outputs)` or, with an auxiliary classifier, `{"logits": …, "auxiliary": …}`.
    Under a mixed-precision policy preprocessing and logits stay in float32. Raises `UserError` for a choice or a
    size that the architecture can't take.
    """
    height, width, _ = input_shape
    if min(height, width) < config.minimum_size:
        raise UserError(
            f"images of {height}×{width} pixels are too small: model={config.name} needs at least "
            f"{config.minimum_size} pixels a side; raise data.image_size or choose another model"
        )
    model: keras.Model = import_module(f"cvlib.models.{config.name}").build(config, input_shape, outputs)
    return model


def logits(model: keras.Model) -> keras.Model:
    """The same network (same weights) with the logits as its only output."""
    if isinstance(model.output, dict):
        return keras.Model(model.input, model.output["logits"], name=model.name)
    return model


def flip_averaged(network: keras.Model, back: Callable[[Any], Any]) -> keras.Model:
    """Logits of the mean of the probabilities for an image and for its horizontal flip, these brought `back` first."""
    ops = keras.ops
    image = keras.Input(network.input_shape[1:], name="image", dtype="float32")
    flipped = back(ops.softmax(network(ops.flip(image, axis=2))))
    mean = (ops.softmax(network(image)) + flipped) / 2
    return keras.Model(image, ops.log(ops.maximum(mean, 1e-37)), name="flip_averaged")


def network_input(channels: int, size: tuple[int, int], how: str) -> tuple[keras.KerasTensor, keras.KerasTensor]:
    """Raw images `(batch, any, any, channels)`, 0–255, and the same as training sees them: of `size`, whole levels."""
    image = keras.Input((None, None, channels), name="image", dtype="float32")
    resizing = keras.layers.Resizing(*size, antialias=True, pad_to_aspect_ratio=how == "letterbox", name="resizing",
                                     dtype="float32")  # fmt: skip
    # Keras' Resizing is in training mode unless told otherwise, and with it every layer behind it.
    return image, keras.ops.round(resizing(image, training=False))
