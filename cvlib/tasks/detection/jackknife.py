"""What each image contributes to a detector's metrics, so that runs can be compared image by image.

The contributions are those of the infinitesimal jackknife (Efron, The Jackknife, the Bootstrap and Other Resampling
Plans, 1982, chapter 6), shifted so that their mean is the metric.

COCO reads average precision at 101 recalls, which makes it a step function of the data: if one image is left out, the
metric usually doesn't change, or it jumps by the precision of a whole step. A jackknife is inconsistent for such
statistics. So the contributions are those to the area under the same precision–recall curve.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int

from cvlib.data.dataset import Boxes
from cvlib.tasks import pseudo_values
from cvlib.tasks.detection import coco
from cvlib.tasks.detection.coco import Detections

_IOUS = np.linspace(0.5, 0.95, 10)
_RECALLS = np.linspace(0, 1, 101)
_MAX_DETECTIONS = 100  # per image and class


def contributions(
    truths: Sequence[Boxes], found: Sequence[Detections], classes: int
) -> dict[str, Float[np.ndarray, " images"]]:  # fmt: skip
    """Return each image's contribution to mAP, mAP50, mAP75 and ar_100; their means are the metrics."""
    label, image, matches = _ranked(truths, found)
    objects = np.zeros((classes, len(truths)), int)
    for number, truth in enumerate(truths):
        np.add.at(objects[:, number], truth.classes[~truth.crowd], 1)
    precisions, recalls = [], []  # each (classes, IoUs, images)
    for one in np.flatnonzero(objects.any(axis=1)):
        own = label == one
        precisions.append([of_average_precision(image[own], row[own], objects[one]) for row in matches])
        recalls.append([_of_recall(image[own], row[own], objects[one]) for row in matches])
    if not precisions:
        return {name: np.zeros(len(truths)) for name in ("mAP", "mAP50", "mAP75", "ar_100")}
    by_iou = np.mean(precisions, axis=0)
    return {"mAP": by_iou.mean(axis=0), "mAP50": by_iou[0], "mAP75": by_iou[5],
            "ar_100": np.mean(recalls, axis=(0, 1))}  # fmt: skip


def of_average_precision(
    images: Int[np.ndarray, " n"], matches: Int[np.ndarray, " n"], objects: Int[np.ndarray, " images"]
) -> Float[np.ndarray, " images"]:  # fmt: skip
    """Return each image's contribution to the average precision of one class at one IoU threshold.

    The precision at a true positive is the highest precision from its rank on. An image changes it by its detections
    up to the rank where the highest precision is reached.

    Args:
        images: the image of each detection, by descending score.
        matches: its match, as in `coco.match`.
        objects: the number of true boxes in each image; at least one image has a box.
    """
    images, hits, total = images[matches >= 0], matches[matches >= 0], int(objects.sum())
    ranks = np.flatnonzero(hits)
    counts = np.arange(1, len(ranks) + 1)
    precision = counts / (ranks + 1)
    highest = np.maximum.accumulate(precision[::-1])[::-1]
    where = np.where(precision >= highest, ranks, len(hits))
    reached = np.minimum.accumulate(where[::-1])[::-1]  # the rank at which each highest precision is reached
    gain, loss = (_sums_from(part / (reached + 1)) for part in (np.ones(len(ranks)), highest))
    later = np.searchsorted(reached, np.arange(len(hits)))  # the first true positive that each detection affects
    influence = hits * gain[later] - loss[later]
    influence[ranks] += highest
    area = highest.sum() / total
    of_image = np.bincount(images, influence, len(objects)) - objects * area
    metric = float(np.append(highest, 0)[np.searchsorted(counts / total, _RECALLS)].mean())
    values: np.ndarray = metric + len(objects) * of_image / total
    return values


def _sums_from(values: np.ndarray) -> np.ndarray:
    """Return the sum of the values from each position on, and 0 for the position after the last one."""
    return np.append(np.cumsum(values[::-1])[::-1], 0)


def _of_recall(images: np.ndarray, matches: np.ndarray, objects: np.ndarray) -> np.ndarray:
    found = np.bincount(images[matches == 1], minlength=len(objects))
    return pseudo_values.of_ratios(found[:, None], objects[:, None])


def _ranked(
    truths: Sequence[Boxes], found: Sequence[Detections]
) -> tuple[Int[np.ndarray, " n"], Int[np.ndarray, " n"], Int[np.ndarray, "IoUs n"]]:
    """Return class and image of all detections that count, by descending score, and their matches."""
    scores, labels, images, matched = [], [], [], []
    for image, (truth, detections) in enumerate(zip(truths, found, strict=True)):
        kept = _kept(detections)
        scores.append(kept.scores)
        labels.append(kept.classes)
        images.append(np.full(len(kept), image))
        matched.append(coco.matches(truth, kept, _IOUS))
    order = np.argsort(-np.concatenate(scores), kind="stable")
    return np.concatenate(labels)[order], np.concatenate(images)[order], np.concatenate(matched, axis=1)[:, order]


def _kept(found: Detections) -> Detections:
    """Return the detections that count: the highest scores of each class, by descending score.

    Like pycocotools, it ignores a box whose area is negative.
    """
    order = np.argsort(-found.scores, kind="stable")
    earlier = np.tril(found.classes[order][:, None] == found.classes[order], -1).sum(axis=1)
    chosen = order[earlier < _MAX_DETECTIONS]
    chosen = chosen[np.prod(found.corners[chosen, 2:] - found.corners[chosen, :2], axis=1) >= 0]
    return Detections(found.corners[chosen], found.scores[chosen], found.classes[chosen])
