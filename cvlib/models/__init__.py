"""One file an architecture; each has `build(config, input_shape, outputs)` and `backbone(config, input_shape)`."""

from __future__ import annotations

import pkgutil
from importlib import import_module

import keras

from cvlib.config import ModelConfig

_SHARED = "classifier"  # the file here that is no architecture


def names() -> list[str]:
    """The architectures there are."""
    return sorted(module.name for module in pkgutil.iter_modules(__path__) if module.name != _SHARED)


def build(config: ModelConfig, input_shape: tuple[int, int, int], outputs: int) -> keras.Model:
    """The network `config.name` from raw 0–255 pixels `(batch, height, width, channels)` to logits.

    Its layer "backbone" is everything that can be carried to another task; what follows is the head. The
    output is the logits `(batch, outputs)` or, with an auxiliary classifier, `{"logits": …, "auxiliary": …}`.
    Raises `UserError` for a choice or a size that the architecture can't take.
    """
    model: keras.Model = import_module(f"cvlib.models.{config.name}").build(config, input_shape, outputs)
    return model


def logits(model: keras.Model) -> keras.Model:
    """The same network (same weights) with the logits as its only output."""
    return _with_output(model) if isinstance(model.output, dict) else model


def inference(model: keras.Model, size: tuple[int, int]) -> keras.Model:
    """The network as it is saved: raw images `(batch, any, any, channels)`, 0–255 → class probabilities.

    Resizing is inside, as in training (bilinear with antialiasing); it holds plain Keras layers only and shares
    the weights of `model`.
    """
    image = keras.Input((None, None, model.input_shape[-1]), name="image", dtype="float32")
    resized = keras.layers.Resizing(*size, antialias=True, name="resizing", dtype="float32")(image)
    probabilities = keras.layers.Softmax(name="probabilities", dtype="float32")(_with_output(model)(resized))
    return keras.Model(image, probabilities, name="classifier")


def _with_output(model: keras.Model) -> keras.Model:
    """A model of the same layers to the logits, without the optimizer of a compiled one."""
    output = model.output["logits"] if isinstance(model.output, dict) else model.output
    return keras.Model(model.inputs, output, name=model.name)
