"""The loss of a classifier's logits."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops


class WeightedCrossEntropy(keras.losses.Loss):
    """The mean over a batch of −log p (nats), each sample weighted by its class.

    `y_true` is `(batch,)` class ids; `y_pred` is `(batch, classes)` logits. `class_weights` `(classes,)` are the
    weights of the classes; None means equal weights. `smoothing` (0–1) is the share of each target that is spread
    evenly over all classes (Szegedy et al., Rethinking the Inception Architecture, 2016). With `mixed`, `y_true` is
    `(batch, classes)`: the share of each class in images that were mixed. The loss is then the sum of the losses of the
    classes, weighted by their shares.
    """

    def __init__(self, class_weights: np.ndarray | None = None, smoothing: float = 0.0, mixed: bool = False):
        super().__init__(name="cross_entropy")
        self.class_weights = None if class_weights is None else np.asarray(class_weights, np.float32)
        self.smoothing, self.mixed = smoothing, mixed

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Return the weighted loss of each sample, `(batch,)`."""
        if self.mixed:
            return self._mixed(y_true, y_pred)
        labels = ops.cast(ops.reshape(y_true, (-1,)), "int32")
        losses = ops.sparse_categorical_crossentropy(labels, y_pred, from_logits=True)
        if self.smoothing:
            uniform = -ops.mean(ops.log_softmax(ops.cast(y_pred, losses.dtype)), axis=-1)
            losses = (1 - self.smoothing) * losses + self.smoothing * uniform
        return losses if self.class_weights is None else losses * ops.take(self.class_weights, labels)

    def _mixed(self, shares: Any, logits: Any) -> Any:
        wrong = -ops.log_softmax(ops.cast(logits, shares.dtype))  # the loss of each class, (batch, classes)
        losses = (1 - self.smoothing) * wrong + self.smoothing * ops.mean(wrong, axis=-1, keepdims=True)
        return ops.sum(shares * (losses if self.class_weights is None else losses * self.class_weights), axis=-1)
