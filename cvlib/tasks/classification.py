"""One label per image: targets, loss, metrics, and what is drawn of them. Metrics need no TensorFlow."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

METRICS = ("loss", "accuracy", "top5_accuracy", "macro_f1")


@dataclass(frozen=True)
class Scores:
    """What a network said of n samples: logits `(n, classes)`, and the labels `(n,)`."""

    logits: np.ndarray
    labels: np.ndarray

    @property
    def probabilities(self) -> np.ndarray:
        """Softmax of the logits, `(n, classes)` in 0–1."""
        return np.exp(_log_softmax(self.logits))

    @property
    def predictions(self) -> np.ndarray:
        """The most probable class of each sample, `(n,)`."""
        return self.logits.argmax(axis=1)


def metrics(scores: Scores) -> dict[str, float]:
    """Mean cross-entropy (nats), accuracy, top-5 accuracy and macro F1, the last three in 0–1.

    Macro F1 averages over the classes that occur in truth or prediction, as scikit-learn does.
    """
    matrix = confusion(scores)
    rows = np.arange(len(scores.labels))
    true_logits = scores.logits[rows, scores.labels]
    better = (scores.logits > true_logits[:, None]).sum(axis=1)
    hits, truths, guesses = np.diag(matrix), matrix.sum(axis=1), matrix.sum(axis=0)
    occurring = truths + guesses > 0
    return {
        "loss": float(-_log_softmax(scores.logits)[rows, scores.labels].mean()),
        "accuracy": float((scores.predictions == scores.labels).mean()),
        "top5_accuracy": float((better < 5).mean()),
        "macro_f1": float((2 * hits[occurring] / (truths + guesses)[occurring]).mean()),
    }


def confusion(scores: Scores) -> np.ndarray:
    """How often each class (row) was taken for each class (column), `(classes, classes)` counts."""
    classes = scores.logits.shape[1]
    pairs = scores.labels * classes + scores.predictions
    return np.bincount(pairs, minlength=classes * classes).reshape(classes, classes)


def results(names: list[str], classes: list[str], scores: Scores) -> list[dict[str, Any]]:
    """The rows of test_results.csv: each sample's name, truth, prediction and the prediction's probability."""
    predictions, probabilities = scores.predictions, scores.probabilities
    return [
        {"name": name, "truth": classes[label], "prediction": classes[guess], "score": f"{row[guess]:.6f}"}
        for name, label, guess, row in zip(names, scores.labels, predictions, probabilities, strict=True)
    ]


def compile_arguments(outputs: list[str], auxiliary_weight: float) -> dict[str, Any]:
    """Loss and training metrics for a network of these outputs, as `keras.Model.compile` takes them."""
    import keras

    def loss() -> keras.losses.Loss:
        return keras.losses.SparseCategoricalCrossentropy(from_logits=True)

    accuracy = keras.metrics.SparseCategoricalAccuracy(name="accuracy")
    if outputs == ["logits"]:
        return {"loss": loss(), "metrics": [accuracy]}
    weights = {name: 1.0 if name == "logits" else auxiliary_weight for name in outputs}
    return {"loss": {name: loss() for name in outputs}, "loss_weights": weights, "metrics": {"logits": [accuracy]}}


def targets(stream: Any, outputs: list[str]) -> Any:
    """The tf.data stream of (images, labels) with the labels given to every output."""
    if outputs == ["logits"]:
        return stream
    return stream.map(lambda images, labels: (images, dict.fromkeys(outputs, labels)))


def training_metrics(logs: dict[str, float]) -> dict[str, float]:
    """Loss and accuracy of the logits out of what Keras reports, without the auxiliary output's."""
    return {
        "loss": float(logs.get("logits_loss", logs["loss"])),
        "accuracy": float(logs.get("logits_accuracy", logs.get("accuracy", float("nan")))),
    }


def _log_softmax(logits: np.ndarray) -> np.ndarray:
    shifted = logits.astype(np.float64) - logits.max(axis=1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
