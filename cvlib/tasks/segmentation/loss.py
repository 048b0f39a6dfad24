"""Losses of per-pixel labels: cross-entropy, dice, focal, and their weighted sum; ignored pixels have no gradient."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
from keras import ops

from cvlib.data.labels import IGNORE

_LEAST = 1e-7  # keeps a batch without a single labelled pixel from dividing by zero


class SegmentationLoss(keras.losses.Loss):
    """The weighted sum of `cross_entropy`, `dice` and `focal` over the labelled pixels of a batch.

    Truth is `(batch, height, width)` class ids or `IGNORE`, prediction `(batch, height, width, classes)` logits, a
    sample weight `(batch, height, width)` what each pixel counts. Logits on a coarser grid are judged by the pixels
    in the middle of its cells. `focal_gamma` is how much the focal loss spares pixels that are right already (0:
    cross-entropy). `class_weights` `(classes,)` are what a pixel of each class counts in cross-entropy and focal loss;
    dice balances classes by itself.

    Weights say what is learned first, not what is answered: a network that minimizes a weighted cross-entropy says
    p·weight in place of p, and draws what is rare too thick. So the loss judges logits + log(weight), and the logits
    themselves stay those of p (Menon et al., Long-Tail Learning via Logit Adjustment, ICLR 2021).
    """

    def __init__(self, weights: Mapping[str, float], focal_gamma: float = 2.0, class_weights: np.ndarray | None = None):
        super().__init__(name="segmentation_loss")
        self.weights, self.focal_gamma = dict(weights), focal_gamma
        self.class_weights = None if class_weights is None else np.asarray(class_weights, np.float32)

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        """The loss of the batch, one number: dice judges all its pixels together, so there is none per sample."""
        plain = ops.cast(y_pred, "float32")
        labels, counts = labelled(at_centres(y_true, plain.shape[1:3]), at_centres(sample_weight, plain.shape[1:3]))
        logits, weighted = plain, counts
        if self.class_weights is not None:
            occurring = np.where(self.class_weights > 0, self.class_weights, 1.0)
            logits, weighted = plain + np.log(occurring), counts * ops.take(self.class_weights, labels)
        parts = {
            "cross_entropy": lambda: cross_entropy(labels, weighted, logits),
            "dice": lambda: dice(labels, counts, plain),
            "focal": lambda: focal(labels, weighted, logits, self.focal_gamma),
        }
        return sum(weight * parts[name]() for name, weight in self.weights.items() if weight)


class PixelAccuracy(keras.metrics.Mean):
    """The share of labelled pixels whose class is right."""

    def __init__(self) -> None:
        super().__init__(name="pixel_accuracy")

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        """Count a batch; weights of pixels don't matter."""
        labels, counts = labelled(y_true, None)
        return super().update_state(ops.equal(ops.cast(ops.argmax(y_pred, axis=-1), "int32"), labels), counts)


def at_centres(values: Any, size: tuple[int, int]) -> Any:
    """Return those of `values` (batch, height, width) in the middle of a grid's cells, of `size`; None stays None."""
    if values is None or tuple(values.shape[1:3]) == tuple(size):
        return values
    for axis, cells in enumerate(size, start=1):
        middles = (np.arange(cells) + 0.5) * values.shape[axis] / cells
        values = ops.take(values, middles.astype(np.int32), axis=axis)
    return values


def labelled(truth: Any, weights: Any) -> tuple[Any, Any]:
    """Return class ids, 0 where ignored, and what each pixel counts: 0 where ignored, else its weight or 1."""
    truth = ops.cast(truth, "int32")
    valid = ops.not_equal(truth, IGNORE)
    counts = ops.cast(valid, "float32")
    return ops.where(valid, truth, 0), counts if weights is None else counts * ops.cast(weights, "float32")


def cross_entropy(labels: Any, counts: Any, logits: Any) -> Any:
    """Return the mean of −log p over pixels, weighted by `counts`."""
    return _mean(ops.sparse_categorical_crossentropy(labels, logits, from_logits=True), counts)


def focal(labels: Any, counts: Any, logits: Any, gamma: float) -> Any:
    """Return the mean of −(1 − p)^gamma · log p (Lin et al., Focal Loss for Dense Object Detection, 2017)."""
    losses = ops.sparse_categorical_crossentropy(labels, logits, from_logits=True)
    # 1 − p of a certain pixel is 0 up to rounding, where a power below 1 has no finite slope.
    wrong = ops.maximum(-ops.expm1(-losses), _LEAST)
    return _mean(wrong**gamma * losses, counts)


def dice(labels: Any, counts: Any, logits: Any) -> Any:
    """Return the mean over classes of 1 − 2·|truth ∩ prediction| / (|truth| + |prediction|), with probabilities.

    Sums go over the whole batch; classes that its truth doesn't have are left out. (Milletari et al., V-Net, 2016,
    square in the denominator; here it is linear, as in the metric.)
    """
    weights = ops.expand_dims(counts, -1)
    truth = ops.one_hot(labels, logits.shape[-1])
    guess = ops.softmax(logits)
    axes = (0, 1, 2)
    both = ops.sum(weights * truth * guess, axes)
    there = ops.sum(weights * truth, axes)
    scores = 2 * both / ops.maximum(there + ops.sum(weights * guess, axes), _LEAST)
    return _mean(1 - scores, ops.cast(there > 0, "float32"))


def _mean(values: Any, weights: Any) -> Any:
    return ops.sum(values * weights) / ops.maximum(ops.sum(weights), _LEAST)
