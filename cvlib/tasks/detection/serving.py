"""From a detector's raw output to boxes: decoding, suppression, and the way back to the original image's pixels."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from cvlib.data.input_spec import InputSpec
from cvlib.models.head_parts.boxes import non_max_suppression
from cvlib.models.head_parts.detector import DetectorHead, DetectorOptions
from cvlib.models.network import Network
from cvlib.tasks import serving

MOST = 100  # boxes an image
_CANDIDATES = 300  # of the highest scores, before suppression
_LEAST = 0.001  # scores below count for nothing in the metrics


def head_of(network: Network) -> DetectorHead:
    """Return the network's head, which knows what the raw output means."""
    assert isinstance(network.head, DetectorHead)
    return network.head


def found(network: Network, raw: Any) -> dict[str, Any]:
    """Return the boxes in pixels of the network's input that a raw output `(batch, places, values)` stands for.

    Returns:
        "boxes" `(batch, 100, 4)`, "scores" `(batch, 100)` falling, "classes" int32 `(batch, 100)`, −1 for none.
    """
    options = network.config.head_options
    assert isinstance(options, DetectorOptions)
    boxes, scores = head_of(network).decode(options, raw, network.spec.size)
    parts = non_max_suppression(boxes, scores, _CANDIDATES, MOST, options.nms_iou, _LEAST)
    return dict(zip(("boxes", "scores", "classes"), parts, strict=True))


def inference(network: Network) -> keras.Model:
    """Return the detector as it is saved: raw images `(batch, any, any, channels)`, 0–255 → boxes in their pixels.

    Its outputs are those of `found`; the boxes lie within the image. Resizing, its inverse and non-maximum suppression
    are inside.
    """
    image, pixels = serving.raw_input(network.spec)
    # `call` puts the network's own layers into the new graph; calling the network would nest them out of reach.
    outputs = found(network, network.predictive().call(pixels))
    return keras.Model(image, {**outputs, "boxes": undo_resizing(outputs["boxes"], image, network.spec)},
                       name="detector")  # fmt: skip


def undo_resizing(boxes: Any, image: Any, spec: InputSpec) -> Any:
    """Return boxes `(batch, n, 4)` of the resized image in pixels of `image`, clipped to it: as `data.resize.back`."""
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
    most = ops.concatenate([width, height] * 2, axis=-1)
    return ops.minimum(ops.maximum(boxes * scale - offset, 0.0), most)
