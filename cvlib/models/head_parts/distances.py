"""Boxes as four distances from a point, each predicted as a distribution over whole numbers of strides.

Li et al., Generalized Focal Loss: Learning Qualified and Distributed Bounding Boxes for Dense Object Detection, NeurIPS
2020. A distance is the mean of its distribution, so that it has a range of 0 to bins − 1 strides.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from keras import ops

_OUTWARDS = np.array([-1, -1, 1, 1], np.float32)  # the signs of the distances: left, top, right, bottom


def corners(logits: Any, grid_points: np.ndarray, bins: int) -> Any:
    """Return boxes `(batch, points, 4)` in pixels.

    Args:
        logits: `(batch, points, 4 · bins)`.
        grid_points: each point's x, y and stride in pixels `(points, 3)`.
    """
    shares = ops.softmax(_by_side(logits, grid_points, bins), axis=-1)
    distances = ops.sum(shares * np.arange(bins, dtype=np.float32), axis=-1) * grid_points[:, 2:]
    return distances * _OUTWARDS + np.tile(grid_points[:, :2], 2)


def loss(logits: Any, target_boxes: Any, grid_points: np.ndarray, bins: int) -> Any:
    """Return the cross-entropy of the distributions, as the mean over the four sides `(batch, points)`.

    The target of a distance between two whole numbers is shared by both, so that the mean is exact. Distances outside
    the range are clipped to it.
    """
    distances = (target_boxes - np.tile(grid_points[:, :2], 2)) * _OUTWARDS / grid_points[:, 2:]
    distances = ops.clip(distances, 0.0, bins - 1.0)[..., None]
    shares = ops.relu(1 - ops.absolute(distances - np.arange(bins, dtype=np.float32)))
    surprise = -ops.log_softmax(_by_side(logits, grid_points, bins), axis=-1)
    return ops.mean(ops.sum(shares * surprise, axis=-1), axis=-1)


def _by_side(logits: Any, grid_points: np.ndarray, bins: int) -> Any:
    return ops.reshape(logits, (-1, len(grid_points), 4, bins))
