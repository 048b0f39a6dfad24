"""The loss for multi-label logits, with one binary decision per class."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops


def marks(ids: Any, logits: Any) -> Any:
    """Return multi-hot labels: 1 for each class in `ids` `(batch, M)`, else 0; the shape is that of `logits`."""
    return ops.max(ops.one_hot(ops.cast(ids, "int32"), logits.shape[-1], dtype=logits.dtype), axis=1)


def right_decisions(ids: Any, logits: Any) -> Any:
    """Return the share of each sample's classes that are decided correctly at the threshold 0.5, `(batch,)`."""
    return ops.mean(ops.cast((logits > 0) == (marks(ids, logits) > 0), "float32"), axis=-1)


def right_mixed_decisions(shares: Any, logits: Any) -> Any:
    """Return the same for mixed images, whose classes have `shares` `(batch, classes)`."""
    return ops.mean(ops.cast((logits > 0) == (shares > 0.5), "float32"), axis=-1)


class BinaryCrossEntropy(keras.losses.Loss):
    """The mean over images and classes of −log p (nats), where p is the probability of the truth.

    `y_true` is `(batch, M)`: the ids of the classes that are present, padded to M ids with −1. `y_pred` is `(batch,
    classes)` logits. `positive_weights` `(classes,)` are the weights of positive images relative to negative ones; None
    means equal weights. `smoothing` (0–1) moves each target towards 0.5 by that share of the distance. With `mixed`,
    `y_true` is `(batch, classes)`: the share of each class in images that were mixed.
    """

    def __init__(
        self, positive_weights: np.ndarray | None = None, smoothing: float = 0.0, mixed: bool = False
    ):  # fmt: skip
        super().__init__(name="binary_cross_entropy")
        self.positive_weights = 1.0 if positive_weights is None else np.asarray(positive_weights, np.float32)
        self.smoothing, self.mixed = smoothing, mixed

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Return the weighted loss of each sample, `(batch,)`."""
        shares = ops.cast(y_true, y_pred.dtype) if self.mixed else marks(y_true, y_pred)
        truth = shares * (1 - self.smoothing) + self.smoothing / 2
        # −log p of a positive and of a negative label, without overflow.
        positive, negative = ops.softplus(-y_pred), ops.softplus(y_pred)
        return ops.mean(self.positive_weights * truth * positive + (1 - truth) * negative, axis=-1)
