"""A classifier's predictions for a split: metrics, tables and pictures. Needs no Keras."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cvlib.data.dataset import Dataset
from cvlib.tasks import pseudo_values
from cvlib.tasks.predictions import Predictions, Row
from cvlib.viz import pictures as draw

_IMAGES_SHOWN = 24
_TOP = 5


@dataclass(frozen=True)
class ClassPredictions(Predictions):
    """One predicted class for each of n samples."""

    logits: np.ndarray  # float (n, classes)
    labels: np.ndarray  # int (n,): the true class ids
    classes: Sequence[str]

    @property
    def probabilities(self) -> np.ndarray:
        """Softmax of the logits, `(n, classes)` in 0–1."""
        probabilities: np.ndarray = np.exp(_log_softmax(self.logits))
        return probabilities

    @property
    def guesses(self) -> np.ndarray:
        """The most probable class of each sample, `(n,)`."""
        most_probable: np.ndarray = self.logits.argmax(axis=1)
        return most_probable

    @property
    def confusion(self) -> np.ndarray:
        """The confusion matrix, `(classes, classes)` counts: true classes are rows, predicted classes are columns."""
        classes = self.logits.shape[1]
        pairs = self.labels * classes + self.guesses
        return np.bincount(pairs, minlength=classes * classes).reshape(classes, classes)

    def metrics(self) -> dict[str, float]:
        """Return mean cross-entropy (nats), accuracy, top-5 accuracy and macro F1, the last three in 0–1.

        Macro F1 averages over the classes that occur in truth or prediction, as in scikit-learn.
        """
        hits, truths, guesses = _counts(self.confusion)
        occurring = truths + guesses > 0
        return {
            "loss": float(self._losses.mean()),
            "accuracy": float((self.guesses == self.labels).mean()),
            "top5_accuracy": float(self._in_top.mean()),
            "macro_f1": float((2 * hits[occurring] / (truths + guesses)[occurring]).mean()),
        }

    @property
    def _losses(self) -> np.ndarray:
        losses: np.ndarray = -_log_softmax(self.logits)[np.arange(len(self.labels)), self.labels]
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
        whether the true class is among the top five, and the sample's contribution to macro F1.
        """
        classes = np.arange(self.logits.shape[1])
        true, predicted = self.labels[:, None] == classes, self.guesses[:, None] == classes
        f1 = pseudo_values.of_ratios(2 * (true & predicted), true.astype(int) + predicted)
        rows = zip(names, self.labels, self.guesses, self.probabilities, self._losses, self._in_top, f1, strict=True)
        return [
            {"name": name, "truth": self.classes[label], "prediction": self.classes[guess],
             "score": f"{probabilities[guess]:.6f}", "loss": f"{loss:.6f}", "top5_accuracy": int(top),
             "macro_f1_pseudo_value": f"{share:.6f}"}
            for name, label, guess, probabilities, loss, top, share in rows
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

    def probabilities_and_labels(self) -> tuple[np.ndarray, np.ndarray]:
        """Return probabilities `(n, classes)` and true class ids `(n,)`."""
        return self.probabilities, self.labels


def _counts(confusion: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the numbers of correctly classified, true and predicted samples for each class."""
    return np.diag(confusion), confusion.sum(axis=1), confusion.sum(axis=0)


def _share(part: int, whole: int) -> float | None:
    return float(part / whole) if whole else None


def _log_softmax(logits: np.ndarray) -> np.ndarray:
    shifted = logits.astype(np.float64) - logits.max(axis=1, keepdims=True)
    logs: np.ndarray = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return logs
