"""One label per image: targets, loss, metrics, and what is drawn of them. Metrics need no TensorFlow."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from cvlib.config.schema import Config
from cvlib.data.dataset import Dataset, Split
from cvlib.tasks import balanced, loss_and_metric, of_logits
from cvlib.viz import pictures as draw

if TYPE_CHECKING:
    import keras

    from cvlib.data.feed import Feed

_PICTURED = 24

METRICS = ("accuracy", "top5_accuracy", "macro_f1", "loss")
CLASS_METRIC = "f1"


@dataclass(frozen=True)
class Scores:
    """What a network said of n samples: logits `(n, classes)`, and the labels `(n,)`."""

    logits: np.ndarray
    labels: np.ndarray

    def metrics(self) -> dict[str, float]:
        """As the function of that name."""
        return metrics(self)

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


def evaluate(network: keras.Model, feed: Feed, classes: list[str]) -> Scores:
    """What the network says of a whole split, in the split's order."""
    return Scores(network.predict(feed.dataset, verbose=0), np.asarray(feed.split.labels))


def network(model: keras.Model) -> keras.Model:
    """The network with the logits as its only output."""
    from cvlib import models

    return models.logits(model)


def inference(model: keras.Model, size: tuple[int, int], how: str) -> keras.Model:
    """The network as it is saved: raw images `(batch, any, any, channels)`, 0–255 → class probabilities.

    Resizing is inside, as in training (bilinear with antialiasing, to whole levels); an auxiliary classifier and the
    optimizer are left out. It holds plain Keras layers only, "backbone" among them, and shares `model`'s weights.
    """
    import keras

    from cvlib import models

    image, pixels = models.network_input(model.input_shape[-1], size, how)
    # `call` puts the network's own layers into the new graph; calling the network would nest them out of reach.
    scores = network(model).call(pixels)
    probabilities = keras.layers.Softmax(name="probabilities", dtype="float32")(scores)
    return keras.Model(image, probabilities, name="classifier")


def results(names: list[str], classes: list[str], scores: Scores) -> list[dict[str, Any]]:
    """The rows of test_results.csv: each sample's name, truth, prediction and the prediction's probability."""
    predictions, probabilities = scores.predictions, scores.probabilities
    return [
        {"name": name, "truth": classes[label], "prediction": classes[guess], "score": f"{row[guess]:.6f}"}
        for name, label, guess, row in zip(names, scores.labels, predictions, probabilities, strict=True)
    ]


def by_class(scores: Scores, classes: list[str]) -> list[dict[str, Any]]:
    """A row per class: precision, recall, F1 (0–1; None where undefined) and support, the samples that are of it."""
    matrix = confusion(scores)
    hits, truths, guesses = np.diag(matrix), matrix.sum(axis=1), matrix.sum(axis=0)
    return [
        {"class": name, "precision": _share(hits[i], guesses[i]), "recall": _share(hits[i], truths[i]),
         "f1": _share(2 * hits[i], truths[i] + guesses[i]), "support": int(truths[i])}
        for i, name in enumerate(classes)
    ]  # fmt: skip


def _share(part: int, whole: int) -> float | None:
    return float(part / whole) if whole else None


def worst(scores: Scores, count: int) -> np.ndarray:
    """Indices of at most `count` mistakes, the most confident first."""
    surest = scores.probabilities.max(axis=1)
    wrong = np.flatnonzero(scores.predictions != scores.labels)
    return wrong[np.argsort(-surest[wrong], kind="stable")[:count]]


def flip_averaged(network: keras.Model) -> keras.Model:
    """The network whose logits are of the mean probability over an image and its mirror image."""
    from cvlib import models

    return models.flip_averaged(network, lambda probabilities: probabilities)


def compile_arguments(model: keras.Model, config: Config, weights: np.ndarray | None = None) -> dict[str, Any]:
    """Loss and training metrics for the network, as `keras.Model.compile` takes them."""
    import keras

    def loss() -> keras.losses.Loss:
        return keras.losses.SparseCategoricalCrossentropy(from_logits=True)

    return loss_and_metric(model, config, loss, keras.metrics.SparseCategoricalAccuracy(name="accuracy"))


def targets(stream: Any, model: keras.Model, weights: np.ndarray | None) -> Any:
    """The tf.data stream of (images, labels) with the labels, and a weight by class, given to every output."""
    outputs = model.output_names
    if outputs == ["logits"] and weights is None:
        return stream
    by_class = None if weights is None else weights.astype(np.float32)

    def spread(images: Any, labels: Any) -> tuple[Any, ...]:
        spread_labels = labels if outputs == ["logits"] else dict.fromkeys(outputs, labels)
        if by_class is None:
            return images, spread_labels
        import tensorflow

        own = tensorflow.gather(by_class, labels)
        return images, spread_labels, own if outputs == ["logits"] else dict.fromkeys(outputs, own)

    return stream.map(spread)


def class_weights(split: Split, classes: int, how: str) -> np.ndarray:
    """Float `(classes,)`, by how many samples each has: see `cvlib.tasks.balanced`."""
    return balanced(np.bincount(np.asarray(split.labels), minlength=classes), how)


def training_metrics(logs: dict[str, float]) -> dict[str, float]:
    """Loss and accuracy of the logits out of what Keras reports, without the auxiliary output's."""
    return of_logits(logs, "accuracy")


def _log_softmax(logits: np.ndarray) -> np.ndarray:
    shifted = logits.astype(np.float64) - logits.max(axis=1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))


def samples(images: np.ndarray, labels: Any, dataset: Dataset) -> np.ndarray:
    """A picture of training images `(n, height, width, channels)` with their classes."""
    return draw.contact_sheet(images, [dataset.classes[label] for label in labels])


def pictures(scores: Scores, dataset: Dataset) -> dict[str, np.ndarray]:
    """By tag, what is drawn of the scores alone."""
    return {"confusion_matrix": draw.confusion_matrix(confusion(scores), dataset.classes)}


def chosen(scores: Scores) -> np.ndarray:
    """Indices of samples worth showing: evenly over the split, a third of them mistakes where there are as many."""
    correct = scores.predictions == scores.labels
    wrong = draw.spread(np.flatnonzero(~correct), _PICTURED // 3)
    return np.sort(np.concatenate([wrong, draw.spread(np.flatnonzero(correct), _PICTURED - len(wrong))]))


def predictions(images: np.ndarray, indices: np.ndarray, scores: Scores, dataset: Dataset) -> np.ndarray:
    """A picture of these samples' images with prediction and truth."""
    guesses = scores.predictions[indices]
    return draw.predictions(images, scores.labels[indices], guesses, scores.probabilities[indices, guesses],
                            dataset.classes)  # fmt: skip
