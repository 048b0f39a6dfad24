"""Geometry of boxes in `keras.ops`: overlap, its loss, and non-maximum suppression.

Boxes are `(…, 4)`: x_min, y_min, x_max, y_max, in any one unit.
"""

from __future__ import annotations

import math
from typing import Any

from keras import ops

_TINY = 1e-9
_CHAIN = 16  # the longest chain of suppressions that is followed: exact up to there


def area(boxes: Any) -> Any:
    """`(…, 4)` → `(…,)`; 0 where a side is negative."""
    sides = ops.relu(boxes[..., 2:] - boxes[..., :2])
    return sides[..., 0] * sides[..., 1]


def iou(first: Any, second: Any) -> Any:
    """Intersection over union, 0–1, of boxes that broadcast: `(…, 4)` and `(…, 4)` → `(…,)`; 0 for empty ones."""
    low = ops.maximum(first[..., :2], second[..., :2])
    high = ops.minimum(first[..., 2:], second[..., 2:])
    sides = ops.relu(high - low)
    both = sides[..., 0] * sides[..., 1]
    # In this order: Keras (3.15, TensorFlow) takes the sum of (1, n, 1) and (1, 1, n) for a bias, and gets (1, n, 1).
    return both / ops.maximum(area(first) - both + area(second), _TINY)


def ciou(truth: Any, guess: Any) -> Any:
    """Complete IoU, −1.5 to 1: IoU less the centres' distance and the aspect ratios' difference.

    Zheng et al., Distance-IoU Loss, AAAI 2020: the weight of the aspect term has no gradient.
    """
    overlap = iou(truth, guess)
    hull = ops.maximum(truth[..., 2:], guess[..., 2:]) - ops.minimum(truth[..., :2], guess[..., :2])
    apart = (truth[..., :2] + truth[..., 2:] - guess[..., :2] - guess[..., 2:]) / 2
    distance = ops.sum(apart**2, axis=-1) / ops.maximum(ops.sum(hull**2, axis=-1), _TINY)
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

    It is made of plain operations, so that it can be saved and exported.

    Args:
        boxes: `(batch, n, 4)`.
        scores: `(batch, n, classes)`, 0–1; a box may be found under several classes.
        candidates: how many of the highest scores are looked at.
        max_detections: how many boxes come out.
        iou_threshold: a box whose IoU with a better one of its class is above this is left out.
        score_threshold: scores from here on count.

    Returns:
        boxes `(batch, max_detections, 4)`, scores `(batch, max_detections)` falling, classes int32
        `(batch, max_detections)`; 0, 0 and −1 where there is none.
        Equal to the greedy rule as long as no box hangs on a chain of more than 16 others.
    """
    anchors, classes = scores.shape[1:]
    candidates = min(candidates, anchors * classes)
    ranked, places = ops.top_k(ops.reshape(scores, (-1, anchors * classes)), candidates)
    labels = ops.cast(places % classes, "int32")
    found = _pick(boxes, places // classes)
    alike = ops.equal(labels[:, :, None], labels[:, None, :])
    rivals = ops.logical_and(iou(found[:, :, None], found[:, None]) > iou_threshold, alike)
    # Row i, column j: i ranks before j and overlaps it.
    beats = ops.triu(ops.cast(rivals, "float32"), k=1)
    kept = valid = ops.cast(ranked >= score_threshold, "float32")
    for _ in range(_CHAIN):
        kept = valid * ops.cast(ops.matmul(kept[:, None], beats)[:, 0] < 0.5, "float32")
    return _best(found, ranked * kept, labels, min(max_detections, candidates), max_detections)


def _best(boxes: Any, scores: Any, labels: Any, count: int, most: int) -> Any:
    scores, places = ops.top_k(scores, count)
    there = scores > 0
    boxes = ops.where(there[..., None], _pick(boxes, places), 0.0)
    labels = ops.where(there, ops.take_along_axis(labels, places, axis=1), -1)
    rest = most - count
    return (
        ops.pad(boxes, ((0, 0), (0, rest), (0, 0))),
        ops.pad(scores, ((0, 0), (0, rest))),
        ops.pad(labels, ((0, 0), (0, rest)), constant_values=-1),
    )


def _pick(boxes: Any, places: Any) -> Any:
    """Rows `(batch, k)` of boxes `(batch, n, 4)`."""
    return ops.take_along_axis(boxes, ops.repeat(places[..., None], 4, axis=-1), axis=1)
