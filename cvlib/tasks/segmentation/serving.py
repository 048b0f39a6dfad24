"""The saved form of a segmenter, which returns probabilities at the image's own size."""

from __future__ import annotations

import keras
from keras import KerasTensor, ops

from cvlib.models.network import Network
from cvlib.tasks import serving


def inference(network: Network) -> keras.Model:
    """Return the network to save: raw images `(batch, any, any, channels)` → probabilities of every pixel.

    The output is `(batch, height, width, classes)` at the image's own size. The image is resized and rounded as in
    training, and the probabilities are resized back (bilinear, half-pixel centres). The network consists of plain Keras
    layers and operations only, including the layer "backbone", and shares the weights of `network`.
    """
    spec = network.spec
    size = spec.size
    image, pixels = serving.raw_input(spec)
    probabilities = keras.layers.Softmax(name="probabilities", dtype="float32")(network.predictive().call(pixels))
    vertical, horizontal = image[:, :, :1, 0], ops.transpose(image[:, :1, :, 0], (0, 2, 1))
    height, width = _length(vertical), _length(horizontal)
    letterbox = spec.resize == "letterbox"
    rows = _resizing_weights(vertical, _padding(height, width * size[0] / size[1]) if letterbox else 0, size[0])
    columns = _resizing_weights(horizontal, _padding(width, height * size[1] / size[0]) if letterbox else 0, size[1])
    resized_rows = ops.einsum("bih,bhwc->biwc", rows, probabilities)
    return keras.Model(image, ops.einsum("bjw,biwc->bijc", columns, resized_rows), name="segmenter")


def _length(line: KerasTensor) -> KerasTensor:
    """Return the length of `line` (batch, any, 1) as (batch, 1, 1); it is known only when the network runs."""
    return ops.sum(ops.ones_like(line), axis=1, keepdims=True)


def _padding(side: KerasTensor, target: KerasTensor) -> KerasTensor:
    """Return the number of pixels that `Resizing` adds before the first pixel to keep the aspect ratio."""
    return ops.floor(ops.maximum(ops.floor(target) - side, 0) / 2)


def _resizing_weights(line: KerasTensor, padding: KerasTensor | int, side: int) -> KerasTensor:
    """Return the weights (batch, any, side) of `side` positions for each pixel of `line` (batch, any, 1); bilinear."""
    centres = ops.cumsum(ops.ones_like(line), axis=1) - 0.5 + padding
    positions = centres * side / (_length(line) + 2 * padding) - 0.5
    distances = ops.abs(ops.clip(positions, 0, side - 1) - ops.arange(side, dtype="float32"))
    return ops.relu(1 - distances)
