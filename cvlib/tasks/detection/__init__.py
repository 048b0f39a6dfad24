"""Boxes around objects: targets, loss, COCO's metrics, the saved detector, and what is drawn of it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from cvlib.config.schema import Config, ModelConfig
from cvlib.data.dataset import Boxes, Dataset, Split
from cvlib.runtime.errors import UserError
from cvlib.tasks.detection import coco, drawing
from cvlib.tasks.detection.coco import Detections, Measures
from cvlib.viz import pictures as draw

if TYPE_CHECKING:
    import keras

    from cvlib.data.feed import Feed

METRICS = ("mAP", "mAP50", "mAP75", "recall")
CLASS_METRIC = "AP"
MOST = 100  # boxes an image
_CANDIDATES = 300  # of the highest scores, before suppression
_LEAST = 0.001  # scores below count for nothing in the metrics
_PICTURED = 12
_NO_OBJECT = -1


@dataclass(frozen=True)
class Scores:
    """What a network found in n images, and the truth, both in pixels of the original images."""

    found: list[Detections]
    truths: list[Boxes]
    classes: list[str]
    sizes: np.ndarray  # int (n, 2): the original images' height and width
    how: str  # stretch | letterbox: how they came to the network's size

    @cached_property
    def measures(self) -> Measures:
        """By the COCO definition."""
        return coco.measure(self.truths, self.found, len(self.classes))

    def metrics(self) -> dict[str, float]:
        """mAP, mAP50, mAP75, recall, mAP by the boxes' sizes, and each class's AP where it has truth; 0–1."""
        by_class = {f"AP/{name}": float(ap) for name, ap in zip(self.classes, self.measures.per_class, strict=True)
                    if not np.isnan(ap)}  # fmt: skip
        return self.measures.metrics | by_class


def compile_arguments(model: keras.Model, config: Config, weights: np.ndarray | None = None) -> dict[str, Any]:
    """Loss, and its parts as training metrics, for a detector, as `keras.Model.compile` takes them."""
    import keras

    def part(name: str) -> keras.metrics.Metric:
        # The graph computes what the loss and its parts have in common once.
        return keras.metrics.MeanMetricWrapper(lambda truth, raw: _loss_parts(model, truth, raw)[name], name=name)

    def loss(truth: Any, raw: Any) -> Any:
        return sum(_loss_parts(model, truth, raw).values())

    if model.settings.head != "grid":
        return {"loss": loss, "metrics": [part("box_loss"), part("class_loss")]}
    crowded = keras.metrics.MeanMetricWrapper(lambda truth, raw: _crowded(model, truth), name="crowded")
    return {"loss": loss, "metrics": [part("box_loss"), part("objectness_loss"), part("class_loss"), crowded]}


def targets(stream: Any, model: keras.Model, weights: np.ndarray | None) -> Any:
    """The tf.data stream of (images, {boxes, classes}) with the labels as one array `(batch, M, 5)`."""
    import tensorflow as tf

    def packed(images: Any, labels: Any) -> tuple[Any, Any]:
        return images, tf.concat([labels["boxes"], tf.cast(labels["classes"], tf.float32)[..., None]], axis=-1)

    return stream.map(packed)


def class_weights(split: Split, classes: int, how: str) -> np.ndarray:
    """Raise `UserError`: a detector's classes are weighed by its own loss."""
    raise UserError(f"data.class_weights={how} is for classification and segmentation: leave it out for detection")


def training_metrics(logs: dict[str, float]) -> dict[str, float]:
    """The loss and its parts; for a grid also "crowded", objects an image that another keeps from being learned."""
    return {name: float(value) for name, value in logs.items()}


def network(model: keras.Model) -> keras.Model:
    """The detector with its boxes in pixels of its own input: `(batch, 100, 4)`, scores, classes (−1: none)."""
    import keras

    from cvlib.tasks.detection.boxes import suppress

    found = suppress(*_decode(model, model.output), _CANDIDATES, MOST, model.settings.nms_iou, _LEAST)
    return keras.Model(model.input, dict(zip(("boxes", "scores", "classes"), found, strict=True)), name="found")


def evaluate(network: keras.Model, feed: Feed, classes: list[str]) -> Scores:
    """What the network finds in a whole split, in the split's order."""
    from cvlib.data import resize
    from cvlib.data.split import image_sizes

    sizes = image_sizes(feed.split)
    found = [
        replace(one, corners=resize.back(one.corners, height, width, feed.spec.size, feed.spec.resize))
        for one, (height, width) in zip(answers(network.predict(feed.dataset, verbose=0)), sizes.tolist(), strict=True)
    ]
    return Scores(found, list(feed.split.labels), classes, sizes, feed.spec.resize)


def answers(said: dict[str, np.ndarray]) -> list[Detections]:
    """One `Detections` per image of what a network, or a saved detector, says of a batch."""
    rows = zip(said["boxes"], said["scores"], said["classes"], strict=True)
    return [Detections(boxes[labels >= 0], scores[labels >= 0], labels[labels >= 0]) for boxes, scores, labels in rows]


def inference(model: keras.Model, size: tuple[int, int], how: str) -> keras.Model:
    """The detector as it is saved: raw images `(batch, any, any, channels)`, 0–255 → boxes in their pixels.

    Its outputs are "boxes" `(batch, 100, 4)`, x_min, y_min, x_max, y_max within the image, "scores"
    `(batch, 100)` falling, and "classes" int32, −1 where there are no more. Resizing, its inverse and
    non-maximum suppression are inside; it holds plain Keras layers and operations only and shares `model`'s weights.
    """
    import keras

    from cvlib import models
    from cvlib.tasks.detection.boxes import suppress

    image, pixels = models.network_input(model.input_shape[-1], size, how)
    # `call` puts the network's own layers into the new graph; calling the network would nest them out of reach.
    raw = model.call(pixels)
    boxes, scores, classes = suppress(*_decode(model, raw), _CANDIDATES, MOST, model.settings.nms_iou, _LEAST)
    return keras.Model(image, {"boxes": _undo(boxes, image, size, how), "scores": scores, "classes": classes},
                       name="detector")  # fmt: skip


def _undo(boxes: Any, image: Any, size: tuple[int, int], how: str) -> Any:
    """Boxes `(batch, n, 4)` of the resized image in pixels of the original, clipped to it: as `resize.back`."""
    from keras import ops

    ones = ops.ones_like(image[..., :1])
    height = ops.sum(ones[:, :, :1], axis=(1, 2))[:, None]  # (batch, 1, 1)
    width = ops.sum(ones[:, :1], axis=(1, 2))[:, None]
    rows, columns = ops.zeros_like(height), ops.zeros_like(width)
    if how == "letterbox":
        rows = ops.floor((ops.maximum(height, ops.floor(width * size[0] / size[1])) - height) / 2)
        columns = ops.floor((ops.maximum(width, ops.floor(height * size[1] / size[0])) - width) / 2)
    offset = ops.concatenate([columns, rows] * 2, axis=-1)
    scale = ops.concatenate([(width + 2 * columns) / size[1], (height + 2 * rows) / size[0]] * 2, axis=-1)
    most = ops.concatenate([width, height] * 2, axis=-1)
    return ops.minimum(ops.maximum(boxes * scale - offset, 0.0), most)


def _loss_parts(model: keras.Model, truth: Any, raw: Any) -> dict[str, Any]:
    from cvlib.models import yolo
    from cvlib.tasks.detection import anchor_free, grid

    settings, size = _settings(model)
    if settings.head == "grid":
        return grid.loss_parts(truth, raw, size, yolo.cells(settings, size), settings.boxes_per_cell)
    return anchor_free.loss_parts(truth, raw, size, yolo.strides(settings, size))


def _crowded(model: keras.Model, truth: Any) -> Any:
    from cvlib.models import yolo
    from cvlib.tasks.detection import grid

    settings, size = _settings(model)
    return grid.crowded(truth, size, yolo.cells(settings, size))


def _decode(model: keras.Model, raw: Any) -> tuple[Any, Any]:
    from cvlib.models import yolo
    from cvlib.tasks.detection import anchor_free, grid

    settings, size = _settings(model)
    if settings.head == "grid":
        return grid.decode(raw, size, yolo.cells(settings, size), settings.boxes_per_cell)
    return anchor_free.decode(raw, size, yolo.strides(settings, size))


def _settings(model: keras.Model) -> tuple[ModelConfig, tuple[int, int]]:
    height, width = model.input_shape[1:3]
    return model.settings, (height, width)


def results(names: list[str], classes: list[str], scores: Scores) -> list[dict[str, Any]]:
    """The rows of test_results.csv: objects, what was found of them, and the image's own average precision.

    "found" are objects with a box of their class at IoU 0.5 or more, whatever its score; "precision" is
    `coco.image_precision`, the metric for paired comparisons.
    """
    return [
        {
            "name": name,
            "truths": int((~truth.crowd).sum()),
            "found": int((coco.match(truth, found) == 1).sum()),
            "average_precision50": f"{coco.image_precision(truth, found):.6f}",
        }
        for name, truth, found in zip(names, scores.truths, scores.found, strict=True)
    ]


def by_class(scores: Scores, classes: list[str]) -> list[dict[str, Any]]:
    """A row per class: AP over IoU 0.5 to 0.95 and at 0.5, 0–1 (None without truth), and its objects, crowds aside."""
    measures = scores.measures
    labels = np.concatenate([np.empty(0, np.int64), *(truth.classes[~truth.crowd] for truth in scores.truths)])
    objects = np.bincount(labels, minlength=len(classes))
    at50 = measures.precision.mean(axis=1)
    return [{"class": name, "AP": _known(measures.per_class[i]), "AP50": _known(at50[i]), "objects": int(objects[i])}
            for i, name in enumerate(classes)]  # fmt: skip


def _known(value: float) -> float | None:
    return None if np.isnan(value) else float(value)


def worst(scores: Scores, count: int) -> np.ndarray:
    """Indices of the `count` images with the least precision of their own, the worst first; perfect ones left out."""
    precision = _image_precisions(scores)
    order = np.argsort(precision, kind="stable")[:count]
    return order[precision[order] < 1]


def flip_averaged(network: keras.Model) -> keras.Model:
    """Raise `UserError`: two sets of boxes have no mean."""
    raise UserError("--tta is for classification and segmentation: boxes found in two views have no mean")


def _image_precisions(scores: Scores) -> np.ndarray:
    return np.array([coco.image_precision(*pair) for pair in zip(scores.truths, scores.found, strict=True)])


def samples(images: np.ndarray, labels: Any, dataset: Dataset) -> np.ndarray:
    """A picture of training images `(n, height, width, channels)` with their boxes."""
    truths = [_unpadded(label) for label in labels]
    return drawing.sheet(images, truths, [None] * len(images), dataset.classes)


def _unpadded(label: dict[str, np.ndarray]) -> Boxes:
    kept = label["classes"] != _NO_OBJECT
    return Boxes(label["boxes"][kept], label["classes"][kept].astype(np.int64), np.zeros(int(kept.sum()), bool))


def pictures(scores: Scores, dataset: Dataset) -> dict[str, np.ndarray]:
    """By tag, what is drawn of the scores alone."""
    measures = scores.measures
    return {"precision_recall": drawing.precision_recall(measures.precision, dataset.classes)}


def chosen(scores: Scores) -> np.ndarray:
    """Indices of images worth showing: evenly over the split, a third of them badly done where there are as many."""
    precision = _image_precisions(scores)
    bad = draw.spread(np.flatnonzero(precision < 0.5), _PICTURED // 3)
    others = np.setdiff1d(np.arange(len(precision)), np.flatnonzero(precision < 0.5))
    return np.sort(np.concatenate([bad, draw.spread(others, _PICTURED - len(bad))]))


def predictions(images: np.ndarray, indices: np.ndarray, scores: Scores, dataset: Dataset) -> np.ndarray:
    """A picture of these samples' images, once with the truth and once with what was found."""
    from cvlib.data import resize

    truths, found = [], []
    for i in indices:
        height, width = scores.sizes[i].tolist()
        scale_x, scale_y, offset_x, offset_y = resize.placement(height, width, images.shape[1:3], scores.how)
        scale, offset = np.array([scale_x, scale_y] * 2), np.array([offset_x, offset_y] * 2)
        truth, guesses = scores.truths[i], scores.found[i]
        truths.append(replace(truth, corners=truth.corners * scale + offset))
        found.append(replace(guesses, corners=guesses.corners * scale + offset))
    return drawing.sheet(images, truths, found, dataset.classes)
