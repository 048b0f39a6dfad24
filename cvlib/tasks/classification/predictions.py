"""A classifier's predictions for a split: metrics, tables and pictures. Needs no Keras."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from cvlib.data.dataset import Dataset
from cvlib.tasks import pseudo_values, temperature
from cvlib.tasks.predictions import DecidedClasses, Predictions, Row
from cvlib.tasks.thresholds import Rule, best, falls_short
from cvlib.viz import pictures as draw

_IMAGES_SHOWN = 24
_TOP = 5
_THRESHOLD = "threshold"  # the key of labels.json


@dataclass(frozen=True)
class ClassPredictions(Predictions):
    """One predicted class for each of n samples."""

    logits: np.ndarray  # float (n, classes)
    labels: np.ndarray  # int (n,): the true class ids
    classes: Sequence[str]
    temperature: float = 1.0  # divides the logits
    threshold: float | None = None  # of two classes, the minimum probability at which the second one is predicted

    @property
    def probabilities(self) -> np.ndarray:
        """Softmax of the logits divided by the temperature, `(n, classes)` in 0–1."""
        probabilities: np.ndarray = np.exp(_log_softmax(self.logits.astype(np.float64) / self.temperature))
        return probabilities

    @property
    def guesses(self) -> np.ndarray:
        """The predicted class of each sample, `(n,)`: the most probable one, or the one that the threshold decides."""
        guesses: np.ndarray = self.logits.argmax(axis=1)
        return guesses if self.threshold is None else (self.probabilities[:, 1] >= self.threshold).astype(int)

    # Threshold and temperature, which are chosen on validation.

    def tuned(self, rule: Rule | None = None) -> ClassPredictions:
        """Return the same predictions, with the threshold of the second of two classes, if there is a rule for it."""
        if rule is None or self.logits.shape[1] != 2:
            return self
        return replace(self, threshold=best(self.probabilities[:, 1], self.labels == 1, rule))

    def calibrated(self) -> ClassPredictions:
        """Return the same decisions, with a temperature fitted on them, and a threshold that allows for it."""
        fitted = temperature.of_classes(self.logits, self.labels)
        if self.threshold is None:
            return replace(self, temperature=fitted)
        (threshold,) = temperature.scaled(np.array([self.threshold]), fitted).tolist()
        return replace(self, temperature=fitted, threshold=threshold)

    def decision(self) -> dict[str, Any]:
        """Return the temperature, and the threshold if there is one."""
        return {temperature.KEY: self.temperature} | ({} if self.threshold is None else {_THRESHOLD: self.threshold})

    def decided(self, decision: Mapping[str, Any]) -> ClassPredictions:
        """Return the same predictions with a decision's temperature (default 1) and threshold (default: none)."""
        threshold = threshold_of(decision, len(self.classes))
        return replace(self, temperature=temperature.of_decision(decision), threshold=threshold)

    def confidences(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the probability of each sample's most probable class, and whether it is the true one, `(n,)`."""
        return self.probabilities.max(axis=1), self.logits.argmax(axis=1) == self.labels

    def remarks(self, rule: Rule | None) -> list[str]:
        """Return whether the required precision is reached at no threshold."""
        short = self.threshold is not None and falls_short(self.guesses == 1, self.labels == 1, rule)
        return [f"no threshold reaches model.thresholds on validation for {self.classes[1]}"] if short else []

    # Results.

    @property
    def confusion(self) -> np.ndarray:
        """The confusion matrix, `(classes, classes)` counts: true classes are rows, predicted classes are columns."""
        classes = self.logits.shape[1]
        pairs = self.labels * classes + self.guesses
        return np.bincount(pairs, minlength=classes * classes).reshape(classes, classes)

    def decided_classes(self) -> DecidedClasses:
        """Return the true and the predicted class of each sample."""
        guesses = self.guesses
        return DecidedClasses(self.labels, guesses, self.probabilities[np.arange(len(guesses)), guesses])

    def metrics(self) -> dict[str, float]:
        """Return mean cross-entropy (nats), accuracy, top-5 accuracy, and the metrics of `_contributions`.

        Each mean over classes covers the classes for which the metric is defined: macro F1, those in truth or
        prediction; sensitivity, balanced accuracy and average precision, those in the truth; ROC AUC and specificity,
        those with other classes in the truth, too. Without any such class, the metric is 0.
        """
        hits, truths, guesses = _counts(self.confusion)
        others, judged = len(self.labels) - truths, self._judged
        ranked = {name: float(values.mean()) for name, values in self._ranked().items()}
        return {
            "loss": float(self._losses.mean()),
            "accuracy": float((self.guesses == self.labels).mean()),
            "top5_accuracy": float(self._in_top.mean()),
            "macro_f1": _mean_ratio(2 * hits, truths + guesses),
            "balanced_accuracy": _mean_ratio(hits, truths),
            "sensitivity": _mean_ratio(hits[judged], truths[judged]),
            "specificity": _mean_ratio((others - guesses + hits)[judged], others[judged]),
        } | ranked

    @property
    def _judged(self) -> slice:
        """The classes that sensitivity, specificity and rankings are about: of two classes, only the second one."""
        return slice(1, 2) if self.logits.shape[1] == 2 else slice(None)

    def _ranked(self) -> dict[str, np.ndarray]:
        """Return the samples' contributions to the metrics that need no counts for each class, `(n,)`."""
        judged, classes = self._judged, self.logits.shape[1]
        scores, true = self.probabilities[:, judged], self.labels[:, None] == np.arange(classes)[judged]
        return {
            "roc_auc": pseudo_values.macro(pseudo_values.roc_auc, scores, true),
            "average_precision": pseudo_values.macro(pseudo_values.average_precision, scores, true),
            "cohen_kappa": pseudo_values.cohen_kappa(self.labels, self.guesses, classes),
            "mcc": pseudo_values.mcc(self.labels, self.guesses, classes),
        }

    def _contributions(self) -> dict[str, np.ndarray]:
        """Return what each sample contributes to the metrics that are no means over samples, `(n,)` by metric."""
        classes = np.arange(self.logits.shape[1])
        true, predicted = ((ids[:, None] == classes).astype(int) for ids in (self.labels, self.guesses))
        hits, rest, judged = true * predicted, (1 - true) * (1 - predicted), self._judged
        return {
            "macro_f1": pseudo_values.of_ratios(2 * hits, true + predicted),
            "balanced_accuracy": pseudo_values.of_ratios(hits, true),
            "sensitivity": pseudo_values.of_ratios(hits[:, judged], true[:, judged]),
            "specificity": pseudo_values.of_ratios(rest[:, judged], 1 - true[:, judged]),
        } | self._ranked()

    @property
    def _losses(self) -> np.ndarray:
        losses: np.ndarray = -_log_softmax(self.logits / self.temperature)[np.arange(len(self.labels)), self.labels]
        return losses

    @property
    def _in_top(self) -> np.ndarray:
        """Whether the true class is among the five most probable, bool `(n,)`.

        Equal logits are ranked by class id. A sample with a logit that is not finite is never a hit.
        """
        own = self.logits[np.arange(len(self.labels)), self.labels][:, None]
        before = np.arange(self.logits.shape[1]) < self.labels[:, None]
        ranks = ((self.logits > own) | ((self.logits == own) & before)).sum(axis=1)
        in_top: np.ndarray = (ranks < _TOP) & np.isfinite(self.logits).all(axis=1)
        return in_top

    def results(self, names: Sequence[str]) -> list[Row]:
        """Return a row for each sample.

        It contains the name, the true and the predicted class, the probability of the prediction ("score"), the loss,
        whether the true class is among the top five, and the sample's contributions to the other metrics.
        """
        rows = zip(names, self.labels, self.guesses, self.probabilities, self._losses, self._in_top, strict=True)
        columns = pseudo_values.columns(self._contributions())
        return [
            {"name": name, "truth": self.classes[label], "prediction": self.classes[guess],
             "score": f"{probabilities[guess]:.6f}", "loss": f"{loss:.6f}", "top5_accuracy": int(top), **contributions}
            for (name, label, guess, probabilities, loss, top), contributions in zip(rows, columns, strict=True)
        ]  # fmt: skip

    def by_class(self) -> list[Row]:
        """Return precision, recall, F1 (0–1; None if undefined) and support, the number of samples, for each class."""
        hits, truths, guesses = _counts(self.confusion)
        return [
            {"class": name, "precision": _share(hits[i], guesses[i]), "recall": _share(hits[i], truths[i]),
             "f1": _share(2 * hits[i], truths[i] + guesses[i]), "support": int(truths[i])}
            for i, name in enumerate(self.classes)
        ]  # fmt: skip

    def worst(self, count: int) -> np.ndarray:
        """Return the indices of at most `count` misclassified samples, most confident first."""
        confidences = self.probabilities.max(axis=1)
        wrong = np.flatnonzero(self.guesses != self.labels)
        return wrong[np.argsort(-confidences[wrong], kind="stable")[:count]]

    def representative(self) -> np.ndarray:
        """Return evenly spaced indices; up to a third of them are misclassified samples."""
        correct = self.guesses == self.labels
        wrong = draw.spread(np.flatnonzero(~correct), _IMAGES_SHOWN // 3)
        return np.sort(np.concatenate([wrong, draw.spread(np.flatnonzero(correct), _IMAGES_SHOWN - len(wrong))]))

    def charts(self, dataset: Dataset) -> dict[str, np.ndarray]:
        """Return the confusion matrix."""
        return {"confusion_matrix": draw.confusion_matrix(self.confusion, dataset.classes)}

    def drawn(
        self, images: np.ndarray, indices: np.ndarray, dataset: Dataset, names: Sequence[str] = ()
    ) -> np.ndarray:  # fmt: skip
        """Return a contact sheet with predictions and truth."""
        guesses = self.guesses[indices]
        return draw.predictions(images, self.labels[indices], guesses, self.probabilities[indices, guesses],
                                dataset.classes, names)  # fmt: skip


def threshold_of(decision: Mapping[str, Any], classes: int) -> float | None:
    """Return the threshold in labels.json; None without a valid one, or unless there are two classes."""
    found = decision.get(_THRESHOLD)
    return float(found) if isinstance(found, int | float) and classes == 2 else None


def _counts(confusion: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the numbers of correctly classified, true and predicted samples for each class."""
    return np.diag(confusion), confusion.sum(axis=1), confusion.sum(axis=0)


def _share(part: int, whole: int) -> float | None:
    return float(part / whole) if whole else None


def _mean_ratio(parts: np.ndarray, wholes: np.ndarray) -> float:
    """Return the mean ratio over the classes with a whole; 0 without any."""
    occurring = wholes > 0
    return float((parts[occurring] / wholes[occurring]).mean()) if occurring.any() else 0.0


def _log_softmax(logits: np.ndarray) -> np.ndarray:
    shifted = logits.astype(np.float64) - logits.max(axis=1, keepdims=True)
    logs: np.ndarray = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return logs
