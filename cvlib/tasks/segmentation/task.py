"""Segmentation, one class per pixel: how a segmenter is trained, evaluated and saved."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cvlib.config.schema import Config
from cvlib.data.dataset import Dataset, Split
from cvlib.data.labels import IGNORE, MASK
from cvlib.tasks import pseudo_values, saved
from cvlib.tasks.balance import balanced
from cvlib.tasks.base import Named, Picture, Predictor, Served, Tell
from cvlib.tasks.imports import Imported, Targets
from cvlib.tasks.logits import LogitsTask
from cvlib.tasks.segmentation import files, imports, sliding
from cvlib.tasks.segmentation.predictions import MaskPredictions
from cvlib.viz import masks

if TYPE_CHECKING:
    import keras

    from cvlib.data.feed import Feed
    from cvlib.models.network import Network
    from cvlib.models.restore import SavedRun

_IMAGES_SHOWN = 12


class Segmentation(LogitsTask):
    """A task with logits `(batch, height, width, classes)`, trained with a weighted sum of losses."""

    name = "segmentation"
    label_kind = MASK
    metrics = (
        *map(pseudo_values.spec, ("mIoU", "pixel_accuracy", "dice", "boundary_IoU")),
        replace(pseudo_values.spec("loss"), higher_is_better=False, high=math.inf),
    )
    class_metric = "IoU"
    training_metric = "pixel_accuracy"
    tiles = True
    heads = ("decoder", "fcn")
    # A resized pixel value that ends in .5 may be rounded differently. Over millions of pixels, the largest
    # difference is larger than for a classifier.
    served = Served(tolerance=1e-2, answers="pixels")
    hub_task = "image-segmentation"
    import_forms = ("images",)

    def loss(self, config: Config, weights: np.ndarray | None) -> keras.losses.Loss:
        """Return the weighted sum of the losses in the head's options."""
        from cvlib.models.head_parts.mask_loss import MaskOptions
        from cvlib.tasks.segmentation.loss import SegmentationLoss

        options = config.model.head_options
        assert isinstance(options, MaskOptions)
        return SegmentationLoss(options.loss, options.focal_gamma, weights)

    def accuracy(self, mixed: bool = False) -> keras.metrics.Metric:
        """Return the share of labelled pixels with the correct class."""
        from cvlib.tasks.segmentation.loss import PixelAccuracy

        return PixelAccuracy()

    def class_weights(self, split: Split, classes: int, scheme: str) -> np.ndarray:
        """Return class weights computed from the number of pixels of each class."""
        counts = np.zeros(IGNORE + 1, np.int64)
        for mask in split.labels:
            pixels = mask() if callable(mask) else np.asarray(mask)
            counts += np.bincount(pixels.ravel(), minlength=IGNORE + 1)
        return balanced(counts[:classes], scheme)

    def evaluate(self, validated: Predictor, feed: Feed, classes: list[str]) -> MaskPredictions:
        """Return the predictions for a whole split, in the split's order.

        They are at the network's input size; those of tiled images are at the images' own size.
        """
        found = MaskPredictions.none(classes)
        keep = set(np.linspace(0, len(feed.split) - 1, _IMAGES_SHOWN).astype(int).tolist())
        if feed.windows is not None:
            shrunk = feed.spec.whole()
            for mask, logits in sliding.whole_images(validated.predict_on_batch, feed):
                found.add(mask[np.newaxis], logits[np.newaxis], keep, shrunk)
            return found
        for images, truth in feed.batches():
            found.add(truth, np.asarray(validated.predict_on_batch(images)), keep)
        return found

    def imported(self, source: Path, targets: Targets) -> Imported:
        """Return the masks in a folder; see `imports.read`."""
        return imports.read(source, targets)

    def flip_averaged(self, validated: keras.Model) -> keras.Model:
        """Return a network whose logits correspond to the mean probability over an image and its mirror image."""
        from keras import ops

        from cvlib.tasks import serving

        return serving.flip_averaged(validated, lambda probabilities: ops.flip(probabilities, axis=2))

    def samples(self, images: np.ndarray, labels: Any, dataset: Dataset) -> np.ndarray:
        """Draw the images with their masks."""
        colours = masks.palette(len(dataset.classes), dataset.colours)
        count = min(len(images), _IMAGES_SHOWN)
        truths = np.asarray(labels)[:count]
        return masks.sheet(images[:count], [("truth", truths)], [""] * count, dataset.classes, colours, columns=3)

    def inference(self, network: Network, decision: Mapping[str, Any] | None = None) -> keras.Model:
        """Return the network to save: raw images → probabilities of every pixel; see `serving.inference`."""
        from cvlib.tasks.segmentation import serving

        return serving.inference(network)

    def predict_files(
        self, run: SavedRun, model: keras.Model, images: Iterable[Named], folder: Path, tell: Tell,
        **options: float,
    ) -> int:  # fmt: skip
        """Write a mask and an overlay for each image, in the colours of the run's data."""
        listed = saved.labels(run).get("colours")
        colours = None if listed is None else np.array(listed, np.uint8)
        return files.write(model, images, run.classes, run.spec, colours, folder, tell)

    def values(self, run: SavedRun, model: keras.Model, images: Sequence[Picture]) -> list[np.ndarray]:
        """Return the class ids, uint8 `(height, width)`, of each image."""
        return [files.mask_of(model, image, run.spec) for _, image in images]
