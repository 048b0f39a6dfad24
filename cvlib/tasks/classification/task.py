"""One class for each image: what a classifier learns, how it is measured, and how it is saved."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cvlib.config.schema import Config
from cvlib.data.dataset import Dataset, Split
from cvlib.data.labels import CLASS
from cvlib.runs.metric_specs import MetricSpec
from cvlib.tasks.balance import balanced
from cvlib.tasks.base import Named, Served
from cvlib.tasks.classification import files
from cvlib.tasks.classification.predictions import ClassPredictions
from cvlib.tasks.logits import LogitsTask
from cvlib.viz import pictures as draw

if TYPE_CHECKING:
    import keras

    from cvlib.data.feed import Feed
    from cvlib.models.network import Network
    from cvlib.models.restore import SavedRun

_TOP = 5


class Classification(LogitsTask):
    """Logits `(batch, classes)`, learned by cross-entropy."""

    name = "classification"
    label_kind = CLASS
    metrics = (
        MetricSpec("accuracy", column="prediction", sample="right"),
        MetricSpec("top5_accuracy"),
        MetricSpec("macro_f1"),
        MetricSpec("loss", higher_is_better=False, high=math.inf),
    )
    class_metric = "f1"
    training_metric = "accuracy"
    heads = ("dense",)
    caches_features = True
    # A pixel that resizing leaves on a half can be rounded the other way; it moves a probability by about 1e-4.
    served = Served(tolerance=1e-3, answers="images")
    worst_shown = 24

    def loss(self, config: Config, weights: np.ndarray | None) -> keras.losses.Loss:
        """Return the cross-entropy, each sample weighted by its class, with the smoothing that the head asks for."""
        from cvlib.models.heads.dense import DenseOptions
        from cvlib.tasks.classification.loss import WeightedCrossEntropy

        options = config.model.head_options
        assert isinstance(options, DenseOptions)
        return WeightedCrossEntropy(weights, options.label_smoothing)

    def accuracy(self) -> keras.metrics.Metric:
        """Return the share of samples whose most probable class is right."""
        import keras

        return keras.metrics.SparseCategoricalAccuracy(name=self.training_metric)

    def class_weights(self, split: Split, classes: int, scheme: str) -> np.ndarray:
        """Return weights by how many samples each class has."""
        return balanced(np.bincount(np.asarray(split.labels), minlength=classes), scheme)

    def evaluate(self, validated: keras.Model, feed: Feed, classes: list[str]) -> ClassPredictions:
        """Return the logits of a whole split, in its order."""
        return ClassPredictions(validated.predict(feed.dataset, verbose=0), np.asarray(feed.split.labels), classes)

    def flip_averaged(self, validated: keras.Model) -> keras.Model:
        """Return a network whose logits are of the mean probability over an image and its mirror image."""
        from cvlib.tasks import serving

        return serving.flip_averaged(validated, lambda probabilities: probabilities)

    def shown_metrics(self, classes: int) -> list[str]:
        """Return no top-5 accuracy where it is always 1."""
        return [spec.name for spec in self.metrics if spec.name != "top5_accuracy" or classes > _TOP]

    def samples(self, images: np.ndarray, labels: Any, dataset: Dataset) -> np.ndarray:
        """Return the images with the names of their classes."""
        return draw.contact_sheet(images, [dataset.classes[label] for label in labels])

    def image_classes(self, split: Split) -> np.ndarray:
        """Return the class id of each image, int `(n,)`."""
        return np.asarray(split.labels)

    def inference(self, network: Network) -> keras.Model:
        """Return raw images `(batch, any, any, channels)`, 0–255 → class probabilities `(batch, classes)`.

        Resizing is inside, as in training (bilinear with antialiasing, to whole levels). What exists in training only
        and the optimizer are left out; the layer "backbone" is the base.
        """
        import keras

        from cvlib.tasks import serving

        image, pixels = serving.raw_input(network.spec)
        # `call` puts the network's own layers into the new graph; calling the network would nest them out of reach.
        logits = network.predictive().call(pixels)
        probabilities = keras.layers.Softmax(name="probabilities", dtype="float32")(logits)
        return keras.Model(image, probabilities, name="classifier")

    def predict_files(
        self, run: SavedRun, model: keras.Model, images: Iterable[Named], folder: Path, tick: Callable[[], None],
        **options: float,
    ) -> int:  # fmt: skip
        """Write the most probable classes of each image, and contact sheets."""
        return files.write(model, images, run.classes, run.spec, folder, tick)

    def values(self, run: SavedRun, model: keras.Model, images: Sequence[np.ndarray]) -> list[files.Answer]:
        """Return the most probable classes of each image."""
        return list(files.answers(model, ((None, image) for image in images), run.classes, run.spec))
