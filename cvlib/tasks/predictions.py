"""What a network says of a split, measured against the truth; each task has its own subclass. Needs no Keras."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from cvlib.data.dataset import Dataset

Row = dict[str, Any]  # of a table


class Predictions(ABC):
    """The predictions for the n samples of a split, in the split's order, with their truth."""

    classes: Sequence[str]

    def tuned(self) -> Predictions:
        """Return the same predictions with whatever is chosen on validation (such as thresholds) chosen on them."""
        return self

    def decision(self) -> dict[str, Any]:
        """Return what was chosen on validation, as labels.json holds it."""
        return {}

    def decided(self, decision: Mapping[str, Any]) -> Predictions:
        """Return the same predictions under a decision that `decision` gave; `decision` may hold other keys."""
        return self

    @abstractmethod
    def metrics(self) -> dict[str, float]:
        """Return every metric by name: those that the task declares, and others such as one of each class."""

    @abstractmethod
    def results(self, names: Sequence[str]) -> list[Row]:
        """Return the rows of test_results.csv, one for each of the samples `names`."""

    @abstractmethod
    def by_class(self) -> list[Row]:
        """Return a row for each class; the task's `class_metric` is among its columns."""

    @abstractmethod
    def worst(self, count: int) -> np.ndarray:
        """Return the indices of at most `count` samples with the worst predictions, the worst first."""

    @abstractmethod
    def representative(self) -> np.ndarray:
        """Return the indices of the samples that are worth showing."""

    @abstractmethod
    def charts(self, dataset: Dataset) -> dict[str, np.ndarray]:
        """Return pictures of the whole split by tag, uint8 `(height, width, 3)`."""

    @abstractmethod
    def drawn(self, images: np.ndarray, indices: np.ndarray, dataset: Dataset) -> np.ndarray:
        """Return one picture, uint8 `(height, width, 3)`, of the samples at `indices` with prediction and truth.

        `images` are theirs, uint8 `(len(indices), height, width, channels)`.
        """

    def probabilities_and_labels(self) -> tuple[np.ndarray, np.ndarray] | None:
        """Return probabilities `(n, classes)` and class ids `(n,)`; None where a sample has no single class."""
        return None
