"""One file an architecture; each has `build(config, input_shape, outputs)` and `backbone(config, input_shape)`."""

from __future__ import annotations

import pkgutil
from importlib import import_module

import keras

from cvlib.config import ModelConfig
from cvlib.errors import UserError

_SHARED = "classifier"  # the file here that is no architecture


def names() -> list[str]:
    """The architectures there are."""
    return sorted(module.name for module in pkgutil.iter_modules(__path__) if module.name != _SHARED)


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


def inference(model: keras.Model, size: tuple[int, int]) -> keras.Model:
    """The network as it is saved: raw images `(batch, any, any, channels)`, 0–255 → class probabilities.

    Resizing is inside, as in training (bilinear with antialiasing); an auxiliary classifier and the optimizer are
    left out. It holds plain Keras layers only, "backbone" among them, and shares the weights of `model`.
    """
    image = keras.Input((None, None, model.input_shape[-1]), name="image", dtype="float32")
    resized = keras.layers.Resizing(*size, antialias=True, name="resizing", dtype="float32")(image)
    # `call` puts the network's own layers into the new graph; calling the network would nest them out of reach.
    scores = logits(model).call(resized)
    probabilities = keras.layers.Softmax(name="probabilities", dtype="float32")(scores)
    return keras.Model(image, probabilities, name="classifier")
