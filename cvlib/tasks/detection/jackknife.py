"""What each image contributes to a detector's metrics, so that runs can be compared image by image.

The contributions are jackknife pseudo-values n·θ − (n − 1)·θ₋ᵢ, where θ is the metric and θ₋ᵢ the metric without image
i (Efron, The Jackknife, the Bootstrap and Other Resampling Plans, 1982). They are shifted so that their mean is θ.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from cvlib.data.dataset import Boxes
from cvlib.tasks.detection import coco
from cvlib.tasks.detection.coco import Detections

_IOUS = np.linspace(0.5, 0.95, 10)
_RECALLS = np.linspace(0, 1, 101)
_MAX_DETECTIONS = 100  # per image and class


@dataclass(frozen=True)
class _Ranking:
    """The detections of one class in all images, at one IoU threshold, by descending score."""

    images: np.ndarray  # int (true positives,): the image of each true positive
    ranks: np.ndarray  # int (true positives,): the number of detections before it
    errors: np.ndarray  # int (true positives,): the number of false positives before it
    errors_of: dict[int, np.ndarray]  # image → ranks of its false positives
    objects: np.ndarray  # int (images,): number of true boxes in each image

    def measured(self, without: int | None = None) -> tuple[float, float]:
        """Return average precision and recall, 0–1, of all images or of all but one; NaN without true boxes."""
        objects = int(self.objects.sum())
        kept, errors = np.ones(len(self.images), bool), self.errors
        if without is not None:
            objects -= int(self.objects[without])
            kept = self.images != without
            errors = errors - np.searchsorted(self.errors_of.get(without, np.empty(0, int)), self.ranks)
        if not objects:
            return np.nan, np.nan
        errors = errors[kept]
        hits = np.arange(1, len(errors) + 1)
        precision = np.maximum.accumulate((hits / (hits + errors))[::-1])[::-1]
        reached = np.searchsorted(hits / objects, _RECALLS)
        return float(np.append(precision, 0)[reached].mean()), len(hits) / objects

    def concerns(self, image: int) -> bool:
        """Return whether an image has a true box or a detection of the class."""
        return bool(self.objects[image]) or image in self.errors_of


def contributions(
    truths: Sequence[Boxes], found: Sequence[Detections], classes: int
) -> dict[str, Float[np.ndarray, " images"]]:  # fmt: skip
    """Return each image's contribution to mAP, mAP50, mAP75 and ar_100; their means are the metrics."""
    rankings = _rankings(truths, found, classes)
    whole = np.array([[one.measured() for one in row] for row in rankings])  # (classes, IoUs, precision and recall)
    metrics = _metrics(whole)
    values = {name: np.empty(len(truths)) for name in metrics}
    for image in range(len(truths)):
        without = whole.copy()
        for label, row in enumerate(rankings):
            if any(one.concerns(image) for one in row):
                without[label] = [one.measured(image) for one in row]
        for name, value in _metrics(without).items():
            values[name][image] = len(truths) * metrics[name] - (len(truths) - 1) * value
    return {name: found - found.mean() + metrics[name] for name, found in values.items()}


def _metrics(measured: np.ndarray) -> dict[str, float]:
    """Return the metrics for precision and recall `(classes, IoUs, 2)`; classes without true boxes are left out."""
    precision, recall = np.moveaxis(measured[~np.isnan(measured[:, 0, 0])], -1, 0)
    if not len(precision):
        return {"mAP": 0.0, "mAP50": 0.0, "mAP75": 0.0, "ar_100": 0.0}
    return {"mAP": float(precision.mean()), "mAP50": float(precision[:, 0].mean()),
            "mAP75": float(precision[:, 5].mean()), "ar_100": float(recall.mean())}  # fmt: skip


def _rankings(truths: Sequence[Boxes], found: Sequence[Detections], classes: int) -> list[list[_Ranking]]:
    """Return the rankings by class and IoU threshold."""
    scores, labels, images, matched = [], [], [], []
    for image, (truth, detections) in enumerate(zip(truths, found, strict=True)):
        kept = _kept(detections)
        scores.append(kept.scores)
        labels.append(kept.classes)
        images.append(np.full(len(kept), image))
        matched.append(coco.matches(truth, kept, _IOUS))
    order = np.argsort(-np.concatenate(scores), kind="stable")
    label, image_of = np.concatenate(labels)[order], np.concatenate(images)[order]
    matches = np.concatenate(matched, axis=1)[:, order]  # (IoUs, detections)
    objects = np.zeros((classes, len(truths)), int)
    for number, truth in enumerate(truths):
        np.add.at(objects[:, number], truth.classes[~truth.crowd], 1)
    return [[_ranking(image_of[label == one], row[label == one], objects[one]) for row in matches]
            for one in range(classes)]  # fmt: skip


def _ranking(
    images: Int[np.ndarray, " n"], matches: Int[np.ndarray, " n"], objects: Int[np.ndarray, " images"]
) -> _Ranking:  # fmt: skip
    """Return the ranking of one class's detections; `matches` are as `coco.match` returns them."""
    images, matches = images[matches >= 0], matches[matches >= 0]
    ranks, wrong = np.flatnonzero(matches), np.flatnonzero(matches == 0)
    order = np.argsort(images[wrong], kind="stable")
    names, starts = np.unique(images[wrong][order], return_index=True)
    errors_of = dict(zip(names.tolist(), np.split(wrong[order], starts[1:]), strict=True)) if len(wrong) else {}
    return _Ranking(images[ranks], ranks, np.searchsorted(wrong, ranks), errors_of, objects)


def _kept(found: Detections) -> Detections:
    """Return the detections that count: the highest scores of each class, by descending score.

    Like pycocotools, it ignores a box whose area is negative.
    """
    order = np.argsort(-found.scores, kind="stable")
    earlier = np.tril(found.classes[order][:, None] == found.classes[order], -1).sum(axis=1)
    chosen = order[earlier < _MAX_DETECTIONS]
    chosen = chosen[np.prod(found.corners[chosen, 2:] - found.corners[chosen, :2], axis=1) >= 0]
    return Detections(found.corners[chosen], found.scores[chosen], found.classes[chosen])
