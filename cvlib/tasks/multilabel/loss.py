"""The loss of logits that each say whether one class is there."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops


class BinaryCrossEntropy(keras.losses.Loss):
    """The mean over images and classes of −log p (nats), where p is the probability of the truth.

    Truth is `(batch, classes)`, 1 where a class is there and 0 elsewhere; prediction `(batch, classes)` logits.
    `positive_weights` `(classes,)` are what an image that shows a class counts against one that doesn't; None: the
    same. `smoothing` (0–1) moves each target that share of the way to one half.
    """

    def __init__(self, positive_weights: np.ndarray | None = None, smoothing: float = 0.0):
        super().__init__(name="binary_cross_entropy")
        self.positive_weights = 1.0 if positive_weights is None else np.asarray(positive_weights, np.float32)
        self.smoothing = smoothing

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Return the weighted loss of each sample, `(batch,)`."""
        truth = ops.cast(y_true, y_pred.dtype) * (1 - self.smoothing) + self.smoothing / 2
        there, absent = ops.softplus(-y_pred), ops.softplus(y_pred)  # −log p of either, without overflow
        return ops.mean(self.positive_weights * truth * there + (1 - truth) * absent, axis=-1)
