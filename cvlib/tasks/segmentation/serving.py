"""The segmenter as it is saved: probabilities at the image's own size."""

from __future__ import annotations

import keras
from keras import KerasTensor, ops

from cvlib.models.network import Network
from cvlib.tasks import serving


def inference(network: Network) -> keras.Model:
    """Return the network as it is saved: raw images `(batch, any, any, channels)` → probabilities of every pixel.

    `(batch, height, width, classes)` at the image's own size: the image is resized and rounded as in training, the
    probabilities are resized back (bilinear, half-pixel centres). It holds plain Keras layers and operations only,
    "backbone" among them, and shares the weights of `network`.
    """
    spec = network.spec
    size = spec.size
    image, pixels = serving.raw_input(spec)
    probabilities = keras.layers.Softmax(name="probabilities", dtype="float32")(network.predictive().call(pixels))
    vertical, horizontal = image[:, :, :1, 0], ops.transpose(image[:, :1, :, 0], (0, 2, 1))
    height, width = _counted(vertical), _counted(horizontal)
    letterbox = spec.resize == "letterbox"
    rows = _resizing_weights(vertical, _padding(height, width * size[0] / size[1]) if letterbox else 0, size[0])
    columns = _resizing_weights(horizontal, _padding(width, height * size[1] / size[0]) if letterbox else 0, size[1])
    tall = ops.einsum("bih,bhwc->biwc", rows, probabilities)
    return keras.Model(image, ops.einsum("bjw,biwc->bijc", columns, tall), name="segmenter")


def _counted(line: KerasTensor) -> KerasTensor:
    """Return the length of `line` (batch, any, 1) as (batch, 1, 1): counted, because it is unknown without an image."""
    return ops.sum(ops.ones_like(line), axis=1, keepdims=True)


def _padding(side: KerasTensor, wanted: KerasTensor) -> KerasTensor:
    """Return the pixels before the first one, as `Resizing` puts them there to keep the aspect ratio."""
    return ops.floor(ops.maximum(ops.floor(wanted) - side, 0) / 2)


def _resizing_weights(line: KerasTensor, padding: KerasTensor | int, side: int) -> KerasTensor:
    """Return the share of each of `side` positions in each pixel of `line` (batch, any, 1): (batch, any, side)."""
    centres = ops.cumsum(ops.ones_like(line), axis=1) - 0.5 + padding
    positions = centres * side / (_counted(line) + 2 * padding) - 0.5
    distances = ops.abs(ops.clip(positions, 0, side - 1) - ops.arange(side, dtype="float32"))
    return ops.relu(1 - distances)
