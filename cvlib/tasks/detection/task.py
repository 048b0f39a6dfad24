"""Detection, boxes around objects: how a detector is trained, evaluated and saved."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cvlib.config.schema import Config
from cvlib.data import resize
from cvlib.data.dataset import Boxes, Dataset, Split
from cvlib.data.labels import BOXES
from cvlib.data.split import image_sizes
from cvlib.runtime.errors import UserError
from cvlib.tasks import pseudo_values
from cvlib.tasks.agreement import Agreement, Outputs
from cvlib.tasks.balance import balanced
from cvlib.tasks.base import Named, Picture, Predictor, Served, Task, Tell
from cvlib.tasks.detection import drawing, files, imports, tiles
from cvlib.tasks.detection.agreement import of_boxes
from cvlib.tasks.detection.coco import Detections
from cvlib.tasks.detection.predictions import BoxPredictions, detections
from cvlib.tasks.imports import Imported, Targets

if TYPE_CHECKING:
    import keras

    from cvlib.data.feed import Feed
    from cvlib.models.network import Network
    from cvlib.models.restore import SavedRun

_NO_OBJECT = -1


class Detection(Task):
    """A task with one raw output; the head defines the loss and decodes the output."""

    name = "detection"
    label_kind = BOXES
    metrics = tuple(map(pseudo_values.spec, ("mAP", "mAP50", "mAP75", "ar_100")))
    class_metric = "AP"
    heads = ("anchor_free", "grid", "yolov8")
    default_resize = "letterbox"
    largest_default_side = 448  # the input size of the published YOLO network
    mosaic = True
    tiles = True
    explains_classes = False
    served = Served(
        tolerance=1e-3,
        answers="high-scoring boxes",
        refuses_int8="--int8 is not available for detection: 8-bit box coordinates are too imprecise",
    )
    hub_task = "object-detection"
    import_forms = ("json", "texts")
    worst_shown = 8

    def compile_arguments(self, network: Network, config: Config, weights: np.ndarray | None = None) -> dict[str, Any]:
        """Return the loss, with its parts and the head's other measures as training metrics."""
        import keras

        from cvlib.tasks.detection.serving import head_of

        head, options, size = head_of(network), network.config.head_options, network.spec.size

        def parts(truth: Any, raw: Any) -> dict[str, Any]:
            return head.loss_parts(options, truth, raw, size, weights)

        def mean_of(values: Callable[[Any, Any], dict[str, Any]], name: str) -> keras.metrics.Metric:
            # The graph computes operations shared by the loss and its parts only once.
            return keras.metrics.MeanMetricWrapper(lambda truth, raw: values(truth, raw)[name], name=name)

        def measures(truth: Any, raw: Any) -> dict[str, Any]:
            return head.measures(options, truth, size)

        shown = [mean_of(parts, name) for name in head.loss_names]
        shown += [mean_of(measures, name) for name in head.measure_names]
        return {"loss": lambda truth, raw: sum(parts(truth, raw).values()), "metrics": shown}

    def targets(self, labels: Any, network: Network) -> Any:
        """Return the labels {boxes, classes} as one array `(batch, M, 5)`."""
        from keras import ops

        classes = ops.cast(labels["classes"], "float32")
        return ops.concatenate([labels["boxes"], classes[..., None]], axis=-1)

    def class_weights(self, split: Split, classes: int, scheme: str) -> np.ndarray:
        """Return class weights computed from the number of boxes of each class, excluding crowd boxes."""
        counts = [np.bincount(label.classes[~label.crowd], minlength=classes) for label in split.labels]
        return balanced(np.sum(counts, axis=0), scheme)

    def training_metrics(self, logs: dict[str, float]) -> dict[str, float]:
        """Return the loss and its parts.

        The grid head adds "crowded": the number of objects per image that it can't learn, because an earlier object has
        the same cell.
        """
        return {name: float(value) for name, value in logs.items()}

    def validated(self, network: Network) -> keras.Model:
        """Return the detector with boxes in pixels of its own input; see `serving.found`."""
        import keras

        from cvlib.tasks.detection import serving

        model = network.predictive()
        return keras.Model(model.input, serving.found(network, model.output), name="found")

    def validated_with_loss(self, network: Network) -> keras.Model:
        """Return the detector with the targets `(batch, M, 5)` as a second input, and "losses" `(batch,)`."""
        import keras

        from cvlib.tasks.detection import serving

        model, targets = network.predictive(), keras.Input((None, 5), name="targets")
        outputs = serving.found(network, model.output) | {"losses": serving.Losses(network)(model.output, targets)}
        return keras.Model([model.input, targets], outputs, name="found_with_losses")

    def validate(self, validated: keras.Model, feed: Feed, classes: list[str], network: Network) -> BoxPredictions:
        """Return the detections with their mean loss, if `validated` computes it."""
        if len(validated.inputs) == 1:
            return self.evaluate(validated, feed, classes)
        inputs: Any = feed.with_targets(lambda labels: self.targets(labels, network))
        is_dataset = hasattr(inputs, "element_spec")
        # Both are inputs of the network; Keras would ignore the second part of a pair.
        pairs = inputs.map(lambda *pair: (pair,)) if is_dataset else ((pair,) for pair in inputs)
        outputs = validated.predict(pairs, verbose=0, steps=None if is_dataset else feed.steps)
        loss = float(np.mean(outputs.pop("losses")))
        return replace(self._predictions(detections(outputs), feed, classes), loss=loss)

    def evaluate(self, validated: Predictor, feed: Feed, classes: list[str]) -> BoxPredictions:
        """Return the detections in a whole split, in the split's order, in pixels of the original images."""
        return self._predictions(detections(validated.predict(feed.dataset, verbose=0)), feed, classes)

    def _predictions(self, found: list[Detections], feed: Feed, classes: list[str]) -> BoxPredictions:
        sizes, spec = image_sizes(feed.split), feed.spec
        if feed.windows is not None:
            ends = np.searchsorted(feed.windows.images, np.arange(len(sizes) + 1))
            joined = [tiles.merged(found[start:end], (height, width), spec) for start, end,
                      (height, width) in zip(ends[:-1], ends[1:], sizes.tolist(), strict=True)]  # fmt: skip
            return BoxPredictions(joined, list(feed.split.labels), classes, sizes, spec.whole().resize)
        rescaled = [
            replace(boxes, corners=resize.back(boxes.corners, height, width, spec.size, spec.resize))
            for boxes, (height, width) in zip(found, sizes.tolist(), strict=True)
        ]
        return BoxPredictions(rescaled, list(feed.split.labels), classes, sizes, spec.resize)

    def imported(self, source: Path, targets: Targets) -> Imported:
        """Return the boxes in COCO results or YOLO text files; see `imports.read`."""
        return imports.read(source, targets)

    def flip_averaged(self, validated: keras.Model) -> keras.Model:
        """Raise `UserError`, because two sets of boxes can't be averaged."""
        raise UserError("--tta is not available for detection: boxes from two views can't be averaged")

    def monitors(self) -> list[str]:
        """Return the allowed values of `trainer.monitor`, the default first; mAP75 is only reported."""
        return ["val/mAP", "val/mAP50", "val/ar_100"]

    def samples(self, images: np.ndarray, labels: Any, dataset: Dataset) -> np.ndarray:
        """Draw the images with their boxes."""
        truths = [_unpadded(label) for label in labels]
        return drawing.sheet(images, truths, [None] * len(images), dataset.classes)

    def inference(self, network: Network, decision: Mapping[str, Any] | None = None) -> keras.Model:
        """Return the network to save: raw images → boxes in pixels of these images; see `serving.inference`."""
        from cvlib.tasks.detection import serving

        return serving.inference(network)

    def fits(self, model: keras.Model, channels: int, classes: int) -> bool:
        """Return whether a saved network predicts boxes; its number of classes can't be checked."""
        return isinstance(model.output, dict) and model.input_shape[-1] == channels

    def agreement(self, expected: Outputs, found: Outputs, side: int) -> Agreement:
        """Compare boxes with a score of at least 0.25; see `of_boxes`."""
        return of_boxes(expected, found, side)

    def prediction_options(self, threshold: float | None) -> dict[str, float]:
        """Return the minimum score of boxes to list and draw."""
        if threshold is None:
            return {}
        if not 0 <= threshold <= 1:
            raise UserError(f"invalid --threshold {threshold:g}: expected a score from 0 to 1")
        return {"threshold": threshold}

    def image_classes(self, split: Split) -> np.ndarray:
        """Return the class id of each image's largest box, int `(n,)`; −1 for an image without boxes."""
        sides = [one.corners[:, 2:] - one.corners[:, :2] for one in split.labels]
        return np.array([one.classes[side.prod(axis=1).argmax()] if len(side) else _NO_OBJECT
                         for one, side in zip(split.labels, sides, strict=True)], int)  # fmt: skip

    def predict_files(
        self, run: SavedRun, model: keras.Model, images: Iterable[Named], folder: Path, tell: Tell,
        **options: float,
    ) -> int:  # fmt: skip
        """Write and draw the boxes of each image."""
        return files.write(model, images, run.classes, run.spec, folder, tell, options.get("threshold"))

    def values(self, run: SavedRun, model: keras.Model, images: Sequence[Picture]) -> list[Detections]:
        """Return the boxes in each image, in pixels of the image."""
        return [replace(found, file=file) for file, _, found in files.found_in(model, images, run.spec)]


def _unpadded(label: dict[str, np.ndarray]) -> Boxes:
    kept = label["classes"] != _NO_OBJECT
    return Boxes(label["boxes"][kept], label["classes"][kept].astype(np.int64), np.zeros(int(kept.sum()), bool))
