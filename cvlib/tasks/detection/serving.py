"""Postprocessing of a detector's raw output: decoding, non-maximum suppression, and scaling to the original image."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from cvlib.data.input_spec import InputSpec
from cvlib.models.head_parts.boxes import non_max_suppression
from cvlib.models.head_parts.detector import DetectorHead, DetectorOptions
from cvlib.models.network import Network
from cvlib.tasks import serving

_MAX_BOXES = 100  # per image
_CANDIDATES = 300  # number of highest-scoring boxes that enter non-maximum suppression
_MIN_SCORE = 0.001  # lower scores do not affect the metrics


def head_of(network: Network) -> DetectorHead:
    """Return the network's head, which can decode the raw output."""
    assert isinstance(network.head, DetectorHead)
    return network.head


def found(network: Network, raw: Any) -> dict[str, Any]:
    """Decode a raw output `(batch, positions, values)` into boxes in pixels of the network's input.

    Returns:
        "boxes" `(batch, 100, 4)`, "scores" `(batch, 100)`, highest first, and "classes" int32 `(batch, 100)`, −1 for no
        box.
    """
    options = network.config.head_options
    assert isinstance(options, DetectorOptions)
    boxes, scores = head_of(network).decode(options, raw, network.spec.size)
    parts = non_max_suppression(boxes, scores, _CANDIDATES, _MAX_BOXES, options.nms_iou, _MIN_SCORE)
    return dict(zip(("boxes", "scores", "classes"), parts, strict=True))


class Losses(keras.layers.Layer):
    """The loss of each image, `(batch,)`, from the raw output and the targets `(batch, M, 5)`.

    A layer calls the head's loss with tensors of the backend, which some heads need.
    """

    def __init__(self, network: Network):
        super().__init__(dtype="float32", name="losses")
        self._network = network

    def call(self, raw: Any, targets: Any) -> Any:
        """Return the sums of the parts of the loss."""
        network = self._network
        return sum(head_of(network).loss_parts(network.config.head_options, targets, raw, network.spec.size).values())

    def compute_output_shape(self, raw_shape: Any, targets_shape: Any) -> tuple[int | None]:
        """Return one value for each image."""
        return (raw_shape[0],)


def inference(network: Network) -> keras.Model:
    """Return the detector to save: raw images `(batch, any, any, channels)`, 0–255 → boxes in pixels of these images.

    The outputs are those of `found`, with the boxes clipped to the image. The network includes resizing, its inverse
    and non-maximum suppression.
    """
    image, pixels = serving.raw_input(network.spec)
    # `call` puts the layers directly into the new graph; calling the network would hide them in a nested model.
    outputs = found(network, network.predictive().call(pixels))
    return keras.Model(image, {**outputs, "boxes": undo_resizing(outputs["boxes"], image, network.spec)},
                       name="detector")  # fmt: skip


def undo_resizing(boxes: Any, image: Any, spec: InputSpec) -> Any:
    """Scale boxes `(batch, n, 4)` of the resized image to pixels of `image` and clip them, like `data.resize.back`."""
    size = spec.size
    ones = ops.ones_like(image[..., :1])
    height = ops.sum(ones[:, :, :1], axis=(1, 2))[:, None]  # (batch, 1, 1)
    width = ops.sum(ones[:, :1], axis=(1, 2))[:, None]
    rows, columns = ops.zeros_like(height), ops.zeros_like(width)
    if spec.resize == "letterbox":
        rows = ops.floor((ops.maximum(height, ops.floor(width * size[0] / size[1])) - height) / 2)
        columns = ops.floor((ops.maximum(width, ops.floor(height * size[1] / size[0])) - width) / 2)
    offset = ops.concatenate([columns, rows] * 2, axis=-1)
    scale = ops.concatenate([(width + 2 * columns) / size[1], (height + 2 * rows) / size[0]] * 2, axis=-1)
    limit = ops.concatenate([width, height] * 2, axis=-1)
    return ops.minimum(ops.maximum(boxes * scale - offset, 0.0), limit)
