"""The loss of detectors that predict one box at every point, given the targets of the points.

The parts and their weights are those of Jocher et al., Ultralytics YOLO, 2023.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from keras import ops

from cvlib.models.head_parts import boxes

_BOX_WEIGHT, _CLASS_WEIGHT, _DISTANCE_WEIGHT = 7.5, 0.5, 1.5


def parts(
    target_boxes: Any, target_scores: Any, guesses: Any, entropy: Any, distance_loss: Callable[[Any], Any],
    class_weights: np.ndarray | None,
) -> dict[str, Any]:  # fmt: skip
    """Return the weighted losses of boxes (complete IoU), of classes and of the distances, by name, each `(batch,)`.

    Args:
        target_boxes: `(batch, points, 4)` in pixels; any box at points without an object.
        target_scores: `(batch, points, classes)`; 0 at points without an object.
        guesses: the predicted boxes `(batch, points, 4)`.
        entropy: the cross-entropy of the predicted scores `(batch, points, classes)`.
        distance_loss: returns the loss of the distances' distributions for target boxes: `(batch, points)`, or 0.
        class_weights: `(classes,)`, factors for the class loss at the points of each class.

    All parts are sums over the image's points. They are scaled so that their mean over the batch is the batch's total
    loss divided by its total target score. Images without boxes contribute through the scores of their points, all of
    which should be 0.
    """
    weights = ops.sum(target_scores, axis=-1)
    scale = ops.cast(ops.shape(weights)[0], "float32") / ops.maximum(ops.sum(weights), 1.0)
    # Points without an object use their own box as the target, so their box loss stays finite and has no gradient.
    target_boxes = ops.where(weights[..., None] > 0, target_boxes, ops.stop_gradient(guesses))
    if class_weights is not None:
        entropy *= 1 + ops.cast(target_scores > 0, entropy.dtype) * (np.asarray(class_weights, np.float32) - 1)
    return {
        "box_loss": _BOX_WEIGHT * scale * ops.sum(weights * (1 - boxes.ciou(target_boxes, guesses)), axis=-1),
        "class_loss": _CLASS_WEIGHT * scale * ops.sum(entropy, axis=(1, 2)),
        "distance_loss": _DISTANCE_WEIGHT * scale * ops.sum(weights * distance_loss(target_boxes), axis=-1),
    }
