"""Linear heads on cached features: multinomial logistic regression, trained by SGD in NumPy, many heads at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Recipe:
    """How a head is trained. Its seed determines the initial weights and the order of the images."""

    features: int = 32  # the first principal components
    epochs: int = 4
    lr: float = 0.2
    batch: int = 64
    initial: float = 0.05  # standard deviation of the initial weights

    def train(
        self, data: np.ndarray, labels: np.ndarray, trained: list[np.ndarray], rng: np.random.Generator
    ) -> np.ndarray:  # fmt: skip
        """Return the weights `(heads, features + 1, classes)` of one head for each list of training images.

        All lists have the same length. `data` is `(images, features)`.
        """
        heads, classes = len(trained), int(labels.max()) + 1
        weights = rng.normal(0, self.initial, (heads, self.features + 1, classes)).astype(np.float32)
        targets = np.eye(classes, dtype=np.float32)[labels]
        weights[:, -1] = 0
        images = np.stack(trained)
        for _ in range(self.epochs):
            order = np.take_along_axis(images, rng.random(images.shape).argsort(axis=1), axis=1)
            for start in range(0, order.shape[1], self.batch):
                batch = order[:, start : start + self.batch]
                inputs = self.inputs(data[batch])
                errors = _softmax(inputs @ weights) - targets[batch]
                weights -= np.float32(self.lr / batch.shape[1]) * (inputs.transpose(0, 2, 1) @ errors)
        return weights

    def inputs(self, data: np.ndarray) -> np.ndarray:
        """Return the features that this recipe uses, and a column of ones for the bias."""
        return np.concatenate([data[..., : self.features], np.ones((*data.shape[:-1], 1), np.float32)], axis=-1)

    def correct(self, weights: np.ndarray, data: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """Return 1 for a correct and 0 for a wrong class, `(images,)`, of one head's weights."""
        found: np.ndarray = (self.inputs(data) @ weights).argmax(axis=1) == labels
        return found.astype(float)


def components(features: np.ndarray, count: int) -> np.ndarray:
    """Return the first principal components of the features, `(images, count)`, scaled to a mean variance of 1."""
    centred = features - features.mean(axis=0)
    _, vectors = np.linalg.eigh(centred.T @ centred)
    found = centred @ vectors[:, ::-1][:, :count]
    return (found / found.std()).astype(np.float32)


def _softmax(logits: np.ndarray) -> np.ndarray:
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    shares: np.ndarray = powers / powers.sum(axis=-1, keepdims=True)
    return shares
