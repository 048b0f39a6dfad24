"""The classes that a network finds in a split's images: metrics, tables and pictures. Needs no Keras."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from cvlib.data.dataset import Dataset
from cvlib.tasks import pseudo_values, temperature
from cvlib.tasks.multilabel import drawing, measures
from cvlib.tasks.predictions import Predictions, Row
from cvlib.tasks.thresholds import DEFAULT_THRESHOLD, Rule, best, falls_short
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
    temperature: float = 1.0  # divides the logits

    @cached_property
    def probabilities(self) -> np.ndarray:
        """The probability of each class, `(n, classes)` in 0–1."""
        return temperature.sigmoid(self.logits.astype(np.float64) / self.temperature)

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
        logits = self.logits.astype(np.float64) / self.temperature
        losses: np.ndarray = np.where(self.truth, np.logaddexp(0, -logits), np.logaddexp(0, logits)).mean(axis=1)
        return losses

    # Thresholds, which are tuned on validation.

    def tuned(self, rule: Rule | None = None) -> SetPredictions:
        """Return the same predictions, with the threshold of each class chosen on them; by default, for its F1."""
        columns = zip(self.probabilities.T, self.truth.T, strict=True)
        return replace(self, thresholds=np.array([best(column, true, rule or Rule()) for column, true in columns]))

    def calibrated(self) -> SetPredictions:
        """Return the same decisions, with a temperature fitted on them, and thresholds that allow for it."""
        fitted = temperature.of_class_sets(self.logits, self.truth)
        return replace(self, temperature=fitted, thresholds=temperature.scaled(self.thresholds, fitted))

    def decision(self) -> dict[str, Any]:
        """Return the thresholds, in class order, and the temperature."""
        return {THRESHOLDS: self.thresholds.tolist(), temperature.KEY: self.temperature}

    def decided(self, decision: Mapping[str, Any]) -> SetPredictions:
        """Return the same predictions with a decision's thresholds (default 0.5) and temperature (default 1)."""
        thresholds = thresholds_of(decision, len(self.classes))
        return replace(self, thresholds=thresholds, temperature=temperature.of_decision(decision))

    def confidences(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the probability of each class for each sample, and whether the sample has it, `(n · classes,)`."""
        return self.probabilities.ravel(), self.truth.ravel()

    def remarks(self, rule: Rule | None) -> list[str]:
        """Return the classes that reach the required precision at no threshold."""
        columns = zip(self.classes, self.found.T, self.truth.T, strict=True)
        short = [name for name, found, true in columns if falls_short(found, true, rule)]
        return [f"no threshold reaches model.thresholds on validation for {', '.join(short)}"] if short else []

    # Results.

    def metrics(self) -> dict[str, float]:
        """Return the loss, exact match (0–1), the metrics of `_contributions`, and average precisions as AP/CLASS.

        Each mean over classes covers the classes for which the metric is defined: macro F1, those in truth or
        prediction; sensitivity and mAP, the mean average precision, those in the truth; ROC AUC and balanced accuracy,
        those that some samples have and others don't. Without any such class, the metric is 0.
        """
        known = np.flatnonzero(~np.isnan(self.precisions)).tolist()
        return {
            "loss": float(self.losses.mean()),
            "exact_match": float(self.exact.mean()),
            **{name: float(values.mean()) for name, values in self._contributions().items()},
        } | {f"AP/{self.classes[i]}": float(self.precisions[i]) for i in known}

    def _contributions(self) -> dict[str, np.ndarray]:
        """Return what each sample contributes to the metrics that are no means over samples, `(n,)` by metric."""
        found, truth = self.found.astype(int), self.truth.astype(int)
        hits, marks = found * truth, found + truth
        rest, absent = (1 - found) * (1 - truth), 1 - truth
        both = self.truth.any(axis=0) & ~self.truth.all(axis=0)
        return {
            "mAP": pseudo_values.macro(pseudo_values.average_precision, self.logits, self.truth),
            "macro_f1": pseudo_values.of_ratios(2 * hits, marks),
            "micro_f1": pseudo_values.of_ratios(2 * hits.sum(axis=1, keepdims=True), marks.sum(axis=1, keepdims=True)),
            "roc_auc": pseudo_values.macro(pseudo_values.roc_auc, self.logits, self.truth),
            "balanced_accuracy": pseudo_values.of_ratios(
                np.hstack([hits[:, both], rest[:, both]]), np.hstack([truth[:, both], absent[:, both]])
            ),
            "sensitivity": pseudo_values.of_ratios(hits, truth),
            "specificity": pseudo_values.of_ratios(rest, absent),
        }

    def results(self, names: Sequence[str]) -> list[Row]:
        """Return a row for each sample.

        It contains the name, the true and the predicted classes, F1 and ranking precision (0–1), the loss, and the
        sample's contributions to the other metrics. `cvlib compare` uses these contributions for paired comparisons.
        """
        hits, predicted, actual = ((self.found & self.truth).sum(1), self.found.sum(1), self.truth.sum(1))
        own = measures.f1(hits, predicted, actual, empty=1.0)
        rankings = measures.ranking_precision(self.logits, self.truth)
        rows = zip(names, self.truth, self.found, own, rankings, self.losses, strict=True)
        columns = pseudo_values.columns(self._contributions())
        return [
            {"name": name, "truth": self.joined(truth), "prediction": self.joined(found), "f1": f"{f1:.6f}",
             "ranking_precision": f"{ranking:.6f}", "loss": f"{np.mean(loss):.6f}", **contributions}
            for (name, truth, found, f1, ranking, loss), contributions in zip(rows, columns, strict=True)
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
    return np.full(classes, DEFAULT_THRESHOLD)


def _if_defined(value: float, defined: bool) -> float | None:
    return float(value) if defined else None
