"""Task-aligned assignment: which points of a detector learn which object, and with what score.

Objects are assigned to the points whose current predictions fit them best by score and overlap: Feng et al., TOOD:
Task-aligned One-stage Object Detection, ICCV 2021.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from keras import ops

from cvlib.models.head_parts import boxes

_POSITIVES = 10  # maximum number of points for one object
_NEAR = 1.0  # in strides; points closer than this to an object's centre are candidates even outside its box


def assign(targets: Any, guesses: Any, scores: Any, grid_points: np.ndarray) -> tuple[Any, Any]:
    """Return the targets of each point: boxes `(batch, points, 4)` and class scores `(batch, points, classes)`.

    An object is assigned to the points that align best with it: at most ten, inside its box or next to its centre. If
    several objects compete for a point, the point takes the one that its predicted box overlaps most. The target score
    of the best point is the object's largest overlap. The other points get less, in proportion to their alignment.
    """
    corners, labels = targets[..., :4], ops.cast(targets[..., 4], "int32")
    real = ops.cast(labels >= 0, "float32")[..., None]
    kinds = ops.one_hot(ops.maximum(labels, 0), scores.shape[-1]) * real
    overlap = boxes.iou(corners[:, :, None], guesses[:, None]) * real
    score = ops.matmul(kinds, ops.transpose(scores, (0, 2, 1)))
    allowed = _candidates(corners, grid_points) * real
    # The small constants let the alignment rank the points even if no box overlaps an object yet.
    alignment = allowed * ops.sqrt(score + 1e-3) * _sixth_power(overlap + 1e-2)
    positive = _most_aligned(alignment, min(_POSITIVES, len(grid_points))) * allowed
    positive = positive * _first_of_largest(overlap * positive + positive, axis=1)
    alignment, overlap = alignment * positive, overlap * positive
    reached = ops.max(overlap, axis=-1, keepdims=True)
    share = alignment / ops.maximum(ops.max(alignment, axis=-1, keepdims=True), 1e-20)
    target_scores = ops.matmul(ops.transpose(positive * share * reached, (0, 2, 1)), kinds)
    return ops.matmul(ops.transpose(positive, (0, 2, 1)), corners), target_scores


def _sixth_power(values: Any) -> Any:  # faster than `** 6`
    squares = ops.square(values)
    return squares * squares * squares


def _candidates(corners: Any, grid_points: np.ndarray) -> Any:
    """Return 1 where a point is a candidate for an object, else 0: `(batch, M, points)`."""
    inside, away = [], []
    for axis in (0, 1):  # separately: operations on `(…, 2)` take several times as long
        low, high, positions = corners[:, :, None, axis], corners[:, :, None, axis + 2], grid_points[:, axis]
        inside.append(ops.minimum(positions - low, high - positions))
        away.append(ops.absolute((low + high) / 2 - positions))
    near = ops.maximum(*away) < _NEAR * grid_points[:, 2]
    return ops.cast(ops.logical_or(ops.minimum(*inside) > 0, near), "float32")


def _most_aligned(alignment: Any, count: int) -> Any:
    """Return 1 for the `count` largest values of each object, else 0: `(batch, M, points)`."""
    smallest = ops.top_k(alignment, count)[0][..., -1:]
    return ops.cast(alignment >= smallest, "float32")


def _first_of_largest(values: Any, axis: int) -> Any:
    return ops.one_hot(ops.argmax(values, axis=axis), ops.shape(values)[axis], axis=axis)
