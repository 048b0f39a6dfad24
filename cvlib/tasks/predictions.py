"""A network's predictions for a split, compared with the truth; each task has its own subclass. Needs no Keras."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from cvlib.data.dataset import Dataset
from cvlib.tasks.thresholds import Rule

Row = dict[str, Any]  # a table row


@dataclass(frozen=True)
class DecidedClasses:
    """The single class of each of n samples; each array is `(n,)`."""

    truth: np.ndarray  # class ids
    prediction: np.ndarray  # class ids
    score: np.ndarray  # the probability of the prediction, 0–1


class Predictions(ABC):
    """The predictions and the truth for the n samples of a split, in the split's order."""

    classes: Sequence[str]

    def tuned(self, rule: Rule | None = None) -> Predictions:
        """Return the same predictions, with thresholds chosen on them (validation only); None: the task's own rule."""
        return self

    def calibrated(self) -> Predictions:
        """Return the same predictions and decisions, with a temperature fitted on them (validation only)."""
        return self

    def decision(self) -> dict[str, Any]:
        """Return the parameters chosen on validation, in the form in which labels.json stores them."""
        return {}

    def decided(self, decision: Mapping[str, Any]) -> Predictions:
        """Return the same predictions with the parameters of an earlier `decision`; other keys in it are ignored."""
        return self

    @abstractmethod
    def metrics(self) -> dict[str, float]:
        """Return every metric by name: those that the task declares, and others, such as one per class."""

    @abstractmethod
    def results(self, names: Sequence[str]) -> list[Row]:
        """Return the rows of test_results.csv, one for each sample in `names`."""

    @abstractmethod
    def by_class(self) -> list[Row]:
        """Return a row for each class; the task's `class_metric` is among its columns."""

    def tables(self) -> dict[str, list[Row]]:
        """Return the tables of a run's report by name, one row for each class."""
        return {"by_class": self.by_class()}

    def decided_classes(self) -> DecidedClasses | None:
        """Return the true and the predicted class of each sample; None if a sample has no single class."""
        return None

    @abstractmethod
    def worst(self, count: int) -> np.ndarray:
        """Return the indices of at most `count` samples with the worst predictions, worst first."""

    @abstractmethod
    def representative(self) -> np.ndarray:
        """Return the indices of a representative selection of samples to draw."""

    @abstractmethod
    def charts(self, dataset: Dataset) -> dict[str, np.ndarray]:
        """Return pictures of the whole split by tag, uint8 `(height, width, 3)`."""

    @abstractmethod
    def drawn(
        self, images: np.ndarray, indices: np.ndarray, dataset: Dataset, names: Sequence[str] = ()
    ) -> np.ndarray:  # fmt: skip
        """Return one picture, uint8 `(height, width, 3)`, of the samples at `indices` with prediction and truth.

        `images` are the samples' images, uint8 `(len(indices), height, width, channels)`. If `names` are given, the
        file name of each sample is part of its caption.
        """

    def confidences(self) -> tuple[np.ndarray, np.ndarray] | None:
        """Return probabilities of predictions, and whether these are correct, each `(m,)`; None without calibration."""
        return None

    def remarks(self, rule: Rule | None) -> list[str]:
        """Return what the user should know about the thresholds that `rule` chose."""
        return []
