"""Classification, one class per image: how a classifier is trained, evaluated and saved."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cvlib.config.schema import Config
from cvlib.data.augmentation import mixes
from cvlib.data.dataset import Dataset, Split
from cvlib.data.labels import CLASS
from cvlib.runs.metric_specs import MetricSpec
from cvlib.tasks import pseudo_values, saved
from cvlib.tasks.balance import balanced
from cvlib.tasks.base import Named, Picture, Predictor, Served, Tell
from cvlib.tasks.classification import files, imports
from cvlib.tasks.classification.predictions import ClassPredictions, threshold_of
from cvlib.tasks.imports import Imported, Targets
from cvlib.tasks.logits import LogitsTask, mixed_caption
from cvlib.viz import pictures as draw

if TYPE_CHECKING:
    import keras

    from cvlib.data.feed import Feed
    from cvlib.models.network import Network
    from cvlib.models.restore import SavedRun

_TOP = 5


class Classification(LogitsTask):
    """A task with logits `(batch, classes)`, trained with cross-entropy."""

    name = "classification"
    label_kind = CLASS
    metrics = (
        MetricSpec("accuracy", column="prediction", sample="right"),
        MetricSpec("top5_accuracy"),
        pseudo_values.spec("macro_f1"),
        pseudo_values.spec("balanced_accuracy"),
        pseudo_values.spec("roc_auc"),
        pseudo_values.spec("average_precision"),
        pseudo_values.spec("sensitivity"),
        pseudo_values.spec("specificity"),
        pseudo_values.spec("cohen_kappa", low=-1.0),
        pseudo_values.spec("mcc", low=-1.0),
        MetricSpec("loss", higher_is_better=False, high=math.inf),
    )
    class_metric = "f1"
    training_metric = "accuracy"
    heads = ("dense",)
    caches_features = True
    mixes = True
    # A resized pixel value that ends in .5 may be rounded differently; this changes a probability by about 1e-4.
    served = Served(tolerance=1e-3, answers="images")
    hub_task = "image-classification"
    import_forms = ("table",)
    worst_shown = 24

    def loss(self, config: Config, weights: np.ndarray | None) -> keras.losses.Loss:
        """Return the cross-entropy, weighted by class, with the label smoothing from the head's options."""
        from cvlib.models.heads.dense import DenseOptions
        from cvlib.tasks.classification.loss import WeightedCrossEntropy

        options = config.model.head_options
        assert isinstance(options, DenseOptions)
        return WeightedCrossEntropy(weights, options.label_smoothing, mixes(config.augmentation))

    def accuracy(self, mixed: bool = False) -> keras.metrics.Metric:
        """Return the share of samples whose most probable class is correct.

        For a mixed image, the class with the larger share is correct.
        """
        import keras

        if mixed:
            return keras.metrics.CategoricalAccuracy(name=self.training_metric)
        return keras.metrics.SparseCategoricalAccuracy(name=self.training_metric)

    def class_weights(self, split: Split, classes: int, scheme: str) -> np.ndarray:
        """Return class weights computed from the number of samples of each class."""
        return balanced(np.bincount(np.asarray(split.labels), minlength=classes), scheme)

    def evaluate(self, validated: Predictor, feed: Feed, classes: list[str]) -> ClassPredictions:
        """Return the logits of a whole split, in the split's order."""
        return ClassPredictions(validated.predict(feed.dataset, verbose=0), np.asarray(feed.split.labels), classes)

    def imported(self, source: Path, targets: Targets) -> Imported:
        """Return the classes in a table; see `imports.read`."""
        return imports.read(source, targets)

    def flip_averaged(self, validated: keras.Model) -> keras.Model:
        """Return a network whose logits correspond to the mean probability over an image and its mirror image."""
        from cvlib.tasks import serving

        return serving.flip_averaged(validated, lambda probabilities: probabilities)

    def chooses_thresholds(self, classes: int) -> bool:
        """Return whether there are two classes."""
        return classes == 2

    def shown_metrics(self, classes: int) -> list[str]:
        """Return the most usual metrics; those of the second class for two classes, and top-5 for more than five."""
        if classes == 2:
            return ["accuracy", "roc_auc", "sensitivity", "specificity", "macro_f1", "loss"]
        return ["accuracy", *(["top5_accuracy"] if classes > _TOP else []), "macro_f1", "loss"]

    def samples(self, images: np.ndarray, labels: Any, dataset: Dataset) -> np.ndarray:
        """Draw the images with the names of their classes."""

        def caption(label: Any) -> str:
            if isinstance(label, dict):
                return mixed_caption([dataset.classes[part] for part in label["labels"]], label["shares"])
            return str(dataset.classes[label])

        return draw.contact_sheet(images, [caption(label) for label in labels])

    def image_classes(self, split: Split) -> np.ndarray:
        """Return the class id of each image, int `(n,)`."""
        return np.asarray(split.labels)

    def explained_classes(self, run: SavedRun, probabilities: np.ndarray) -> list[int]:
        """Return the predicted class."""
        threshold = _threshold(run)
        return [int(probabilities.argmax() if threshold is None else probabilities[1] >= threshold)]

    def inference(self, network: Network, decision: Mapping[str, Any] | None = None) -> keras.Model:
        """Return the network to save: raw images of any size, 0–255 → class probabilities `(batch, classes)`.

        The network includes resizing as in training (bilinear with antialiasing, rounded to integers). It omits the
        optimizer and everything that is used only in training. Its layer "backbone" is the base. The temperature in
        `decision` divides the logits.
        """
        import keras

        from cvlib.tasks import serving

        image, pixels = serving.raw_input(network.spec)
        # `call` puts the layers directly into the new graph; calling the network would hide them in a nested model.
        logits = serving.scaled(network.predictive().call(pixels), decision)
        probabilities = keras.layers.Softmax(name="probabilities", dtype="float32")(logits)
        return keras.Model(image, probabilities, name="classifier")

    def predict_files(
        self, run: SavedRun, model: keras.Model, images: Iterable[Named], folder: Path, tell: Tell,
        **options: float,
    ) -> int:  # fmt: skip
        """Write the most probable classes of each image, and contact sheets."""
        return files.write(model, images, run.classes, run.spec, folder, tell, _threshold(run))

    def values(self, run: SavedRun, model: keras.Model, images: Sequence[Picture]) -> list[files.Answer]:
        """Return the most probable classes of each image."""
        return list(files.answers(model, images, run.classes, run.spec, _threshold(run)))


def _threshold(run: SavedRun) -> float | None:
    return threshold_of(saved.labels(run), len(run.classes))
