"""Multi-label classification, any number of classes per image: how a network is trained, evaluated and saved."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cvlib.config.schema import Config
from cvlib.data.augmentation import mixes
from cvlib.data.dataset import Dataset, Split
from cvlib.data.labels import CLASS_SET
from cvlib.runs.metric_specs import MetricSpec
from cvlib.runtime.errors import UserError
from cvlib.tasks import pseudo_values, saved
from cvlib.tasks.agreement import Agreement, Outputs
from cvlib.tasks.base import Named, Picture, Predictor, Served, Tell
from cvlib.tasks.imports import Imported, Targets
from cvlib.tasks.logits import LogitsTask, mixed_caption
from cvlib.tasks.multilabel import drawing, files, imports
from cvlib.tasks.multilabel.predictions import SetPredictions, thresholds_of
from cvlib.tasks.thresholds import DEFAULT_THRESHOLD

if TYPE_CHECKING:
    import keras

    from cvlib.data.feed import Feed
    from cvlib.models.network import Network
    from cvlib.models.restore import SavedRun


class Multilabel(LogitsTask):
    """A task with logits `(batch, classes)`, trained with one binary cross-entropy per class."""

    name = "multilabel"
    label_kind = CLASS_SET
    metrics = (
        pseudo_values.spec("mAP"),
        pseudo_values.spec("macro_f1"),
        pseudo_values.spec("micro_f1"),
        MetricSpec("exact_match", column="prediction", sample="right"),
        pseudo_values.spec("roc_auc"),
        pseudo_values.spec("balanced_accuracy"),
        pseudo_values.spec("sensitivity"),
        pseudo_values.spec("specificity"),
        MetricSpec("loss", higher_is_better=False, high=math.inf),
    )
    class_metric = "AP"
    training_metric = "label_accuracy"
    heads = ("dense",)
    caches_features = True
    mixes = True
    served = Served(tolerance=1e-3, answers="class decisions")
    hub_task = "image-classification"
    import_forms = ("table",)
    worst_shown = 24

    # Training.

    def loss(self, config: Config, weights: np.ndarray | None) -> keras.losses.Loss:
        """Return the binary cross-entropy, with the label smoothing from the head's options."""
        from cvlib.models.heads.dense import DenseOptions
        from cvlib.tasks.multilabel.loss import BinaryCrossEntropy

        options = config.model.head_options
        assert isinstance(options, DenseOptions)
        return BinaryCrossEntropy(weights, options.label_smoothing, mixes(config.augmentation))

    def accuracy(self, mixed: bool = False) -> keras.metrics.Metric:
        """Return the share of correct decisions over all samples and classes, at the threshold 0.5.

        A mixed image has a class if the class has a share above 0.5.
        """
        import keras

        from cvlib.tasks.multilabel.loss import right_decisions, right_mixed_decisions

        return keras.metrics.MeanMetricWrapper(
            right_mixed_decisions if mixed else right_decisions, name=self.training_metric
        )

    def class_weights(self, split: Split, classes: int, scheme: str) -> np.ndarray:
        """Return the weights of positive images relative to negative ones, for each class.

        "balanced" weights are the number of negative images divided by that of positive images; "sqrt" weights are the
        square roots of these. A class that is in all images, or in none, has the weight 1.
        """
        positives = _marks(split, classes).sum(axis=0)
        negatives = len(split) - positives
        ratio = np.where((positives > 0) & (negatives > 0), negatives / np.maximum(positives, 1), 1.0)
        return np.asarray(ratio ** {"balanced": 1.0, "sqrt": 0.5}[scheme])

    # Evaluation.

    def evaluate(self, validated: Predictor, feed: Feed, classes: list[str]) -> SetPredictions:
        """Return the predictions for a whole split, in the split's order, with thresholds of 0.5."""
        logits = validated.predict(feed.dataset, verbose=0)
        thresholds = np.full(len(classes), DEFAULT_THRESHOLD)
        return SetPredictions(logits, _marks(feed.split, len(classes)), classes, thresholds)

    def imported(self, source: Path, targets: Targets) -> Imported:
        """Return the classes in a table; see `imports.read`."""
        return imports.read(source, targets, _marks(targets.dataset.test, len(targets.dataset.classes)))

    def flip_averaged(self, validated: keras.Model) -> keras.Model:
        """Return a network whose logits correspond to the mean probability over an image and its mirror image."""
        import keras
        from keras import ops

        image = keras.Input(validated.input_shape[1:], name="image", dtype="float32")
        logits = self.mean_logits([validated(image), validated(ops.flip(image, axis=2))])
        return keras.Model(image, logits, name="flip_averaged")

    def mean_logits(self, logits: Sequence[Any]) -> Any:
        """Return logits whose sigmoid is the mean of the sigmoid of each; all are tensors `(batch, classes)`."""
        from keras import ops

        positive, negative = (sum(ops.sigmoid(sign * one) for one in logits) for sign in (1, -1))
        return ops.log(ops.maximum(positive, 1e-37)) - ops.log(ops.maximum(negative, 1e-37))

    def chooses_thresholds(self, classes: int) -> bool:
        """Return True: each class has a threshold."""
        return True

    def shown_metrics(self, classes: int) -> list[str]:
        """Return the names of the most usual metrics."""
        return ["mAP", "macro_f1", "micro_f1", "exact_match", "loss"]

    def logits_of(self, probabilities: np.ndarray) -> np.ndarray:
        """Return logits whose sigmoid is `probabilities`, −85 to 85."""
        logits: np.ndarray = super().logits_of(probabilities) - super().logits_of(1 - probabilities)
        return logits

    # Visualization.

    def samples(self, images: np.ndarray, labels: Any, dataset: Dataset) -> np.ndarray:
        """Draw the images with the names of their classes."""

        def names(label: Any) -> list[str]:
            if isinstance(label, dict):
                return [mixed_caption([drawing.listed(names(part)) for part in label["labels"]], label["shares"])]
            return [dataset.classes[one] for one in label if one >= 0]

        return drawing.labelled(images, [names(label) for label in labels])

    def explained_classes(self, run: SavedRun, probabilities: np.ndarray) -> list[int]:
        """Return the classes found in the image, the most probable first; if none, the most probable class."""
        order = np.argsort(-probabilities, kind="stable")
        found = probabilities >= _thresholds(run)
        return [int(label) for label in order if found[label]] or [int(order[0])]

    # Serving.

    def inference(self, network: Network, decision: Mapping[str, Any] | None = None) -> keras.Model:
        """Return the network to save: raw images of any size, 0–255 → class probabilities `(batch, classes)`.

        The probabilities of the classes are independent. The network includes resizing as in training. It omits the
        optimizer and everything that is used only in training. The temperature in `decision` divides the logits.
        """
        import keras

        from cvlib.tasks import serving

        image, pixels = serving.raw_input(network.spec)
        # In the same graph; see `Classification.inference`.
        logits = serving.scaled(network.predictive().call(pixels), decision)
        probabilities = keras.layers.Activation("sigmoid", name="probabilities", dtype="float32")(logits)
        return keras.Model(image, probabilities, name="multilabel_classifier")

    def agreement(self, expected: Outputs, found: Outputs, side: int) -> Agreement:
        """Compare probabilities; two answers agree if both are on the same side of 0.5."""
        total = Agreement()
        for name, reference in expected.items():
            output = found[name]
            same = np.isfinite(output) & ((reference >= DEFAULT_THRESHOLD) == (output >= DEFAULT_THRESHOLD))
            total += Agreement(float(np.abs(reference - output).max()), int(same.sum()), same.size)
        return total

    def prediction_options(self, threshold: float | None) -> dict[str, float]:
        """Return the minimum probability at which every class is predicted."""
        if threshold is None:
            return {}
        if not 0 <= threshold <= 1:
            raise UserError(f"invalid --threshold {threshold:g}: expected a probability from 0 to 1")
        return {"threshold": threshold}

    def predict_files(
        self, run: SavedRun, model: keras.Model, images: Iterable[Named], folder: Path, tell: Tell,
        **options: float,
    ) -> int:  # fmt: skip
        """Write the classes found in each image, and contact sheets."""
        thresholds = _thresholds(run, options.get("threshold"))
        found = files.answers(model, files.named(images), run.classes, run.spec, thresholds)
        return files.write(found, folder, tell)

    def values(self, run: SavedRun, model: keras.Model, images: Sequence[Picture]) -> list[files.Answer]:
        """Return the classes found in each image, and the probabilities of all classes."""
        return list(files.answers(model, images, run.classes, run.spec, _thresholds(run)))


def _marks(split: Split, classes: int) -> np.ndarray:
    """Return whether each sample has each class, bool `(n, classes)`."""
    marks = np.zeros((len(split), classes), bool)
    for row, label in zip(marks, split.labels, strict=True):
        row[sorted(label)] = True
    return marks


def _thresholds(run: SavedRun, override: float | None = None) -> np.ndarray:
    """Return the run's thresholds, or `override` for all classes, `(classes,)`."""
    if override is not None:
        return np.full(len(run.classes), override)
    return thresholds_of(saved.labels(run), len(run.classes))
