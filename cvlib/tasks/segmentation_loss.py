"""Losses of per-pixel labels: cross-entropy, dice, focal, and their weighted sum; ignored pixels have no gradient."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import keras
from keras import ops

from cvlib.data.dataset import IGNORE

_LEAST = 1e-7  # keeps a batch without a single labelled pixel from dividing by zero


class SegmentationLoss(keras.losses.Loss):
    """The weighted sum of `cross_entropy`, `dice` and `focal` over the labelled pixels of a batch.

    Args:
        weights: how much each of the three counts; at least one above 0.
        class_weights: what a pixel of each class counts, one number a class; None for 1.
        focal_gamma: how much the focal loss spares pixels that are right already (0: cross-entropy).

    Truth is `(batch, height, width)` class ids or `IGNORE`, prediction `(batch, height, width, classes)` logits.
    """

    def __init__(self, weights: Mapping[str, float], class_weights: Sequence[float] | None = None,
                 focal_gamma: float = 2.0):  # fmt: skip
        super().__init__(name="segmentation_loss")
        self.weights, self.class_weights, self.focal_gamma = dict(weights), class_weights, focal_gamma

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """The loss of a whole batch, one number."""
        labels, counts = labelled(y_true, self.class_weights)
        logits = ops.cast(y_pred, "float32")
        total = ops.zeros(())
        if self.weights.get("cross_entropy"):
            total += self.weights["cross_entropy"] * cross_entropy(labels, counts, logits)
        if self.weights.get("dice"):
            total += self.weights["dice"] * dice(labels, counts, logits)
        if self.weights.get("focal"):
            total += self.weights["focal"] * focal(labels, counts, logits, self.focal_gamma)
        return total


def labelled(truth: Any, class_weights: Sequence[float] | None) -> tuple[Any, Any]:
    """Class ids with 0 where ignored, and what each pixel counts: 0 where ignored, else its class's weight."""
    truth = ops.cast(truth, "int32")
    valid = ops.not_equal(truth, IGNORE)
    labels = ops.where(valid, truth, 0)
    counts = ops.cast(valid, "float32")
    if class_weights is not None:
        counts = counts * ops.take(ops.convert_to_tensor(class_weights, "float32"), labels, axis=0)
    return labels, counts


def cross_entropy(labels: Any, counts: Any, logits: Any) -> Any:
    """The mean of −log p over pixels, weighted by `counts`."""
    losses = ops.sparse_categorical_crossentropy(labels, logits, from_logits=True)
    return _mean(losses, counts)


def focal(labels: Any, counts: Any, logits: Any, gamma: float) -> Any:
    """The mean of −(1 − p)^gamma · log p (Lin et al., Focal Loss for Dense Object Detection, 2017)."""
    losses = ops.sparse_categorical_crossentropy(labels, logits, from_logits=True)
    # 1 − p of a certain pixel is 0 up to rounding, where a power below 1 has no finite slope.
    wrong = ops.maximum(-ops.expm1(-losses), _LEAST)
    return _mean(wrong**gamma * losses, counts)


def dice(labels: Any, counts: Any, logits: Any) -> Any:
    """1 − 2·|truth ∩ prediction| / (|truth| + |prediction|) with probabilities, mean over the batch's classes.

    Summed over the whole batch, so that a class is judged by all its pixels; classes that aren't in the batch's truth
    are left out (Milletari et al., V-Net, 2016, has the squares in the denominator; we don't).
    """
    classes = logits.shape[-1]
    weights = ops.expand_dims(counts, -1)
    truth = ops.one_hot(labels, classes) * weights
    guess = ops.softmax(logits) * weights
    axes = (0, 1, 2)
    there = ops.sum(truth, axes)
    scores = 2 * ops.sum(truth * ops.softmax(logits), axes) / ops.maximum(there + ops.sum(guess, axes), _LEAST)
    return _mean(1 - scores, ops.cast(there > 0, "float32"))


def _mean(values: Any, weights: Any) -> Any:
    return ops.sum(values * weights) / ops.maximum(ops.sum(weights), _LEAST)
