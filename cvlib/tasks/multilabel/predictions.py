"""The classes that a network finds in a split's images: metrics, tables and pictures. Needs no Keras."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from cvlib.data.dataset import Dataset
from cvlib.tasks import pseudo_values
from cvlib.tasks.multilabel import drawing, measures
from cvlib.tasks.predictions import Predictions, Row
from cvlib.viz import pictures as draw

_IMAGES_SHOWN = 24
THRESHOLDS = "thresholds"  # a key of labels.json


@dataclass(frozen=True)
class SetPredictions(Predictions):
    """Any number of classes for each of n samples."""

    logits: np.ndarray  # float (n, classes)
    truth: np.ndarray  # bool (n, classes)
    classes: Sequence[str]
    thresholds: np.ndarray  # float (classes,): the minimum probability at which a class is predicted

    @cached_property
    def probabilities(self) -> np.ndarray:
        """The probability of each class, `(n, classes)` in 0–1."""
        return 1 / (1 + np.exp(-np.clip(self.logits.astype(np.float64), -500, 500)))

    @cached_property
    def found(self) -> np.ndarray:
        """Whether each class is predicted, bool `(n, classes)`."""
        return self.probabilities >= self.thresholds

    @cached_property
    def precisions(self) -> np.ndarray:
        """Each class's average precision, `(classes,)` in 0–1; NaN for a class without true samples."""
        columns = zip(self.logits.T, self.truth.T, strict=True)
        return np.array([measures.average_precision(scores, true) for scores, true in columns])

    @property
    def exact(self) -> np.ndarray:
        """Whether all decisions for a sample are correct, bool `(n,)`."""
        right: np.ndarray = (self.found == self.truth).all(axis=1)
        return right

    @property
    def losses(self) -> np.ndarray:
        """Each sample's mean binary cross-entropy in nats, `(n,)`."""
        logits = self.logits.astype(np.float64)
        losses: np.ndarray = np.where(self.truth, np.logaddexp(0, -logits), np.logaddexp(0, logits)).mean(axis=1)
        return losses

    # Thresholds, which are tuned on validation.

    def tuned(self) -> SetPredictions:
        """Return the same predictions; the threshold of each class is the one that maximizes its F1 on them."""
        columns = zip(self.probabilities.T, self.truth.T, strict=True)
        best = np.array([measures.best_threshold(column, true) for column, true in columns])
        return replace(self, thresholds=best)

    def decision(self) -> dict[str, Any]:
        """Return the thresholds, in class order."""
        return {THRESHOLDS: self.thresholds.tolist()}

    def decided(self, decision: Mapping[str, Any]) -> SetPredictions:
        """Return the same predictions with the thresholds in `decision`, or 0.5 if it has none."""
        return replace(self, thresholds=thresholds_of(decision, len(self.classes)))

    # Results.

    def metrics(self) -> dict[str, float]:
        """Return mean average precision (mAP), macro and micro F1, exact match (all 0–1), and the loss.

        mAP averages over the classes that occur in the truth, macro F1 over those that occur in truth or prediction.
        Both are 0 if there are no such classes. The average precision of each class is included as AP/CLASS.
        """
        hits, predicted, actual = self._counts()
        known, occurring = ~np.isnan(self.precisions), predicted + actual > 0
        by_class = measures.f1(hits, predicted, actual)[occurring]
        return {
            "loss": float(self.losses.mean()),
            "mAP": float(self.precisions[known].mean()) if known.any() else 0.0,
            "macro_f1": float(by_class.mean()) if len(by_class) else 0.0,
            "micro_f1": float(measures.f1(hits.sum(), predicted.sum(), actual.sum())),
            "exact_match": float(self.exact.mean()),
        } | {f"AP/{self.classes[i]}": float(self.precisions[i]) for i in np.flatnonzero(known).tolist()}

    def results(self, names: Sequence[str]) -> list[Row]:
        """Return a row for each sample.

        It contains the name, the true and the predicted classes, F1 and ranking precision (0–1), the loss, and the
        sample's contributions to macro and micro F1. `cvlib compare` uses these contributions for paired comparisons.
        """
        hits, predicted, actual = ((self.found & self.truth).sum(1), self.found.sum(1), self.truth.sum(1))
        own = measures.f1(hits, predicted, actual, empty=1.0)
        rankings = measures.ranking_precision(self.logits, self.truth)
        right, marks = 2 * (self.found & self.truth), self.found.astype(int) + self.truth
        macro = pseudo_values.of_ratios(right, marks)
        micro = pseudo_values.of_ratios(right.sum(axis=1, keepdims=True), marks.sum(axis=1, keepdims=True))
        rows = zip(names, self.truth, self.found, own, rankings, macro, micro, self.losses, strict=True)
        return [
            {"name": name, "truth": self.joined(truth), "prediction": self.joined(found), "f1": f"{f1:.6f}",
             "ranking_precision": f"{ranking:.6f}", "macro_f1_pseudo_value": f"{one:.6f}",
             "micro_f1_pseudo_value": f"{other:.6f}", "loss": f"{np.mean(loss):.6f}"}
            for name, truth, found, f1, ranking, one, other, loss in rows
        ]  # fmt: skip

    def joined(self, marks: np.ndarray) -> str:
        """Return the marked classes as one text, such as cat|dog."""
        return "|".join(self.classes[label] for label in np.flatnonzero(marks).tolist())

    def by_class(self) -> list[Row]:
        """Return average precision, precision, recall, F1 (0–1; None if undefined), threshold and support by class.

        Support is the number of samples with the class.
        """
        hits, predicted, actual = self._counts()
        return [
            {"class": name, "AP": _if_defined(self.precisions[i], bool(actual[i])),
             "precision": _if_defined(hits[i] / max(predicted[i], 1), bool(predicted[i])),
             "recall": _if_defined(hits[i] / max(actual[i], 1), bool(actual[i])),
             "f1": _if_defined(measures.f1(hits, predicted, actual)[i], bool(predicted[i] + actual[i])),
             "threshold": float(self.thresholds[i]), "support": int(actual[i])}
            for i, name in enumerate(self.classes)
        ]  # fmt: skip

    def worst(self, count: int) -> np.ndarray:
        """Return the indices of at most `count` samples with a wrong decision, highest loss first."""
        wrong = np.flatnonzero(~self.exact)
        return wrong[np.argsort(-self.losses[wrong], kind="stable")[:count]]

    def representative(self) -> np.ndarray:
        """Return evenly spaced indices; up to a third of them are of samples with a wrong decision."""
        wrong = draw.spread(np.flatnonzero(~self.exact), _IMAGES_SHOWN // 3)
        return np.sort(np.concatenate([wrong, draw.spread(np.flatnonzero(self.exact), _IMAGES_SHOWN - len(wrong))]))

    def charts(self, dataset: Dataset) -> dict[str, np.ndarray]:
        """Return the precision–recall curves of the classes."""
        return {"precision_recall": drawing.precision_recall(self, dataset.classes)}

    def drawn(
        self, images: np.ndarray, indices: np.ndarray, dataset: Dataset, names: Sequence[str] = ()
    ) -> np.ndarray:  # fmt: skip
        """Return a contact sheet with true positives (✓), false positives (+) and false negatives (−)."""
        return drawing.decisions(images, self.found[indices], self.truth[indices], dataset.classes, names)

    def _counts(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return for each class the numbers of true positives, predicted samples and true samples."""
        return (self.found & self.truth).sum(axis=0), self.found.sum(axis=0), self.truth.sum(axis=0)


def thresholds_of(decision: Mapping[str, Any], classes: int) -> np.ndarray:
    """Return the thresholds `(classes,)` from labels.json; 0.5 for all classes if they are missing or invalid."""
    found = decision.get(THRESHOLDS)
    if isinstance(found, list) and len(found) == classes and all(isinstance(value, int | float) for value in found):
        return np.array(found, float)
    return np.full(classes, measures.DEFAULT_THRESHOLD)


def _if_defined(value: float, defined: bool) -> float | None:
    return float(value) if defined else None
