"""Geometry of boxes in `keras.ops`: overlap, complete IoU, and non-maximum suppression.

Boxes are `(…, 4)`: x_min, y_min, x_max, y_max, all in the same unit.
"""

from __future__ import annotations

import math
from typing import Any

from keras import ops

_TINY = 1e-9
_CHAIN = 16  # length of the longest chain of suppressions for which the result is exact


def area(boxes: Any) -> Any:
    """Return the areas of boxes, `(…, 4)` → `(…,)`; 0 if a side is negative."""
    sides = ops.relu(boxes[..., 2:] - boxes[..., :2])
    return sides[..., 0] * sides[..., 1]


def iou(first: Any, second: Any) -> Any:
    """Return the intersection over union, 0–1, of boxes that broadcast: two `(…, 4)` → `(…,)`; 0 for empty boxes."""
    # Each coordinate separately: operations on `(…, 2)` take three times as long.
    width, height = (ops.relu(ops.minimum(first[..., high], second[..., high])
                              - ops.maximum(first[..., low], second[..., low]))
                     for low, high in ((0, 2), (1, 3)))  # fmt: skip
    intersection = width * height
    # The order matters: Keras (3.15, TensorFlow) mistakes (1, n, 1) + (1, 1, n) for adding a bias and returns
    # (1, n, 1).
    return intersection / ops.maximum(area(first) - intersection + area(second), _TINY)


def ciou(truth: Any, guess: Any) -> Any:
    """Return the complete IoU, −1.5 to 1: IoU minus penalties for the centres' distance and the aspect ratios.

    Zheng et al., Distance-IoU Loss, AAAI 2020. The weight of the aspect term has no gradient.
    """
    overlap = iou(truth, guess)
    hull = ops.maximum(truth[..., 2:], guess[..., 2:]) - ops.minimum(truth[..., :2], guess[..., :2])
    offset = (truth[..., :2] + truth[..., 2:] - guess[..., :2] - guess[..., 2:]) / 2
    distance = ops.sum(offset**2, axis=-1) / ops.maximum(ops.sum(hull**2, axis=-1), _TINY)
    aspect = (4 / math.pi**2) * (_angle(truth) - _angle(guess)) ** 2
    weight = ops.stop_gradient(aspect / ops.maximum(1 - overlap + aspect, _TINY))
    return overlap - distance - weight * aspect


def _angle(boxes: Any) -> Any:
    sides = ops.maximum(boxes[..., 2:] - boxes[..., :2], 1e-6)
    return ops.arctan(sides[..., 0] / sides[..., 1])


def non_max_suppression(
    boxes: Any, scores: Any, candidates: int, max_detections: int, iou_threshold: float, score_threshold: float
) -> Any:
    """Return the boxes that survive non-maximum suppression within each class.

    It uses only basic operations, so that it can be saved and exported. The result equals greedy suppression unless a
    box depends on a chain of more than 16 suppressions.

    Args:
        boxes: `(batch, n, 4)`.
        scores: `(batch, n, classes)`, 0–1; a box may be detected for several classes.
        candidates: number of highest scores that are considered.
        max_detections: number of boxes that are returned.
        iou_threshold: a box is removed if its IoU with a higher-scoring box of its class is above this.
        score_threshold: lowest score of a detection.

    Returns:
        boxes `(batch, max_detections, 4)`, scores `(batch, max_detections)` in descending order, and classes int32
        `(batch, max_detections)`. Unused entries are 0, 0 and −1.
    """
    anchors, classes = scores.shape[1:]
    candidates = min(candidates, anchors * classes)
    ranked, positions = ops.top_k(ops.reshape(scores, (-1, anchors * classes)), candidates)
    labels = ops.cast(positions % classes, "int32")
    found = _pick(boxes, positions // classes)
    same_class = ops.equal(labels[:, :, None], labels[:, None, :])
    rivals = ops.logical_and(iou(found[:, :, None], found[:, None]) > iou_threshold, same_class)
    # Row i, column j: i ranks before j and overlaps it.
    suppresses = ops.triu(ops.cast(rivals, "float32"), k=1)
    kept = valid = ops.cast(ranked >= score_threshold, "float32")
    for _ in range(_CHAIN):
        kept = valid * ops.cast(ops.matmul(kept[:, None], suppresses)[:, 0] < 0.5, "float32")
    return _best(found, ranked * kept, labels, min(max_detections, candidates), max_detections)


def _best(boxes: Any, scores: Any, labels: Any, count: int, max_detections: int) -> Any:
    scores, positions = ops.top_k(scores, count)
    found = scores > 0
    boxes = ops.where(found[..., None], _pick(boxes, positions), 0.0)
    labels = ops.where(found, ops.take_along_axis(labels, positions, axis=1), -1)
    rest = max_detections - count
    return (
        ops.pad(boxes, ((0, 0), (0, rest), (0, 0))),
        ops.pad(scores, ((0, 0), (0, rest))),
        ops.pad(labels, ((0, 0), (0, rest)), constant_values=-1),
    )


def _pick(boxes: Any, positions: Any) -> Any:
    """Return the rows `positions` `(batch, k)` of boxes `(batch, n, 4)`."""
    return ops.take_along_axis(boxes, ops.repeat(positions[..., None], 4, axis=-1), axis=1)
