"""The loss of logits that each say whether one class is there."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops


def marks(ids: Any, logits: Any) -> Any:
    """Return 1 for each class whose id is in `ids` `(batch, most)`, else 0, as `logits` `(batch, classes)`."""
    return ops.max(ops.one_hot(ops.cast(ids, "int32"), logits.shape[-1], dtype=logits.dtype), axis=1)


def right_decisions(ids: Any, logits: Any) -> Any:
    """Return the share of each sample's classes that are decided rightly at the probability 0.5, `(batch,)`."""
    return ops.mean(ops.cast((logits > 0) == (marks(ids, logits) > 0), "float32"), axis=-1)


class BinaryCrossEntropy(keras.losses.Loss):
    """The mean over images and classes of −log p (nats), where p is the probability of the truth.

    Truth is the ids of the classes that are there, `(batch, most)`, −1 for none; prediction `(batch, classes)` logits.
    `positive_weights` `(classes,)` are what an image that shows a class counts against one that doesn't; None: the
    same. `smoothing` (0–1) moves each target that share of the way to one half.
    """

    def __init__(self, positive_weights: np.ndarray | None = None, smoothing: float = 0.0):
        super().__init__(name="binary_cross_entropy")
        self.positive_weights = 1.0 if positive_weights is None else np.asarray(positive_weights, np.float32)
        self.smoothing = smoothing

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Return the weighted loss of each sample, `(batch,)`."""
        truth = marks(y_true, y_pred) * (1 - self.smoothing) + self.smoothing / 2
        there, absent = ops.softplus(-y_pred), ops.softplus(y_pred)  # −log p of either, without overflow
        return ops.mean(self.positive_weights * truth * there + (1 - truth) * absent, axis=-1)
