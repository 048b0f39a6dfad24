"""Losses for per-pixel labels: cross-entropy, dice, focal, and their weighted sum; ignored pixels have no gradient."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
from keras import ops

from cvlib.data.labels import IGNORE

_EPSILON = 1e-7  # avoids division by zero in a batch without labelled pixels


class SegmentationLoss(keras.losses.Loss):
    """The weighted sum of `cross_entropy`, `dice` and `focal` over the labelled pixels of a batch.

    `y_true` is `(batch, height, width)` class ids or `IGNORE`. `y_pred` is `(batch, height, width, classes)` logits.
    `sample_weight` is `(batch, height, width)` pixel weights. If the logits have a coarser grid, they are compared with
    the pixels at the centres of the grid's cells. `focal_gamma` sets how strongly the focal loss downweights correct
    pixels (0: cross-entropy). `class_weights` `(classes,)` weight the pixels in cross-entropy and focal loss; dice
    already gives all classes the same weight.

    Class weights should change what is learned first, not the final probabilities. A network that minimizes a weighted
    cross-entropy predicts p·weight (normalized) instead of p, and over-predicts rare classes. So the loss uses logits +
    log(weight), and the logits themselves remain those of p (Menon et al., Long-Tail Learning via Logit Adjustment,
    ICLR 2021).
    """

    def __init__(self, weights: Mapping[str, float], focal_gamma: float = 2.0, class_weights: np.ndarray | None = None):
        super().__init__(name="segmentation_loss")
        self.weights, self.focal_gamma = dict(weights), focal_gamma
        self.class_weights = None if class_weights is None else np.asarray(class_weights, np.float32)

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        """Return the scalar loss of the batch; dice uses all its pixels together, so there is no loss per sample."""
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
    """The share of labelled pixels with the correct class."""

    def __init__(self) -> None:
        super().__init__(name="pixel_accuracy")

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        """Add a batch; `sample_weight` is ignored."""
        labels, counts = labelled(y_true, None)
        return super().update_state(ops.equal(ops.cast(ops.argmax(y_pred, axis=-1), "int32"), labels), counts)


def at_centres(values: Any, size: tuple[int, int]) -> Any:
    """Sample `values` `(batch, height, width)` at the cell centres of a grid of `size`; None stays None."""
    if values is None or tuple(values.shape[1:3]) == tuple(size):
        return values
    for axis, cells in enumerate(size, start=1):
        middles = (np.arange(cells) + 0.5) * values.shape[axis] / cells
        values = ops.take(values, middles.astype(np.int32), axis=axis)
    return values


def labelled(truth: Any, weights: Any) -> tuple[Any, Any]:
    """Return class ids and pixel weights; without `weights`, each pixel has weight 1.

    Ignored pixels get id 0 and weight 0.
    """
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
    # 1 − p can round to 0, where a power with an exponent below 1 has no finite gradient.
    wrong = ops.maximum(-ops.expm1(-losses), _EPSILON)
    return _mean(wrong**gamma * losses, counts)


def dice(labels: Any, counts: Any, logits: Any) -> Any:
    """Return the mean over classes of 1 − 2·|truth ∩ prediction| / (|truth| + |prediction|), from probabilities.

    Sums are over the whole batch; classes that do not occur in its truth are excluded. Milletari et al. (V-Net, 2016)
    square the terms of the denominator; here they are linear, as in the metric.
    """
    classes = logits.shape[-1]
    truth = ops.one_hot(ops.reshape(labels, (-1,)), classes)  # (pixels, classes)
    guess = ops.softmax(ops.reshape(logits, (-1, classes)))
    weights = ops.reshape(counts, (1, -1))  # as a matrix product, a weighted sum over the pixels is faster
    intersection, true_size, size = (ops.matmul(weights, values)[0] for values in (truth * guess, truth, guess))
    scores = 2 * intersection / ops.maximum(true_size + size, _EPSILON)
    return _mean(1 - scores, ops.cast(true_size > 0, "float32"))


def _mean(values: Any, weights: Any) -> Any:
    return ops.sum(values * weights) / ops.maximum(ops.sum(weights), _EPSILON)
