"""Detections measured by the COCO definition: Lin et al., Microsoft COCO: Common Objects in Context, ECCV 2014."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int, Shaped

from cvlib.data.dataset import Boxes

_SIZES = ("small", "medium", "large")  # areas under 32², to 96², above: pixels of the original image
_NEGATIVE = 0.25  # a detection at least this sure is a mistake in an image that holds nothing


@dataclass(frozen=True)
class Detections:
    """What was found in one image, in any order."""

    corners: np.ndarray  # float32 (n, 4): x_min, y_min, x_max, y_max in pixels of the original image
    scores: np.ndarray  # float32 (n,), 0–1
    classes: np.ndarray  # int (n,)

    def __len__(self) -> int:
        return len(self.classes)


@dataclass(frozen=True)
class Measures:
    """A split's results; a class, or a size, without any truth is left out of every mean."""

    metrics: dict[str, float]  # mAP, mAP50, mAP75, ar_100 and, where there are such boxes, mAP_small, …; 0–1
    per_class: np.ndarray  # float (classes,): average precision over IoU 0.5 to 0.95; NaN without truth
    precision: np.ndarray  # float (classes, 101): at IoU 0.5, at recalls 0, 0.01 … 1; NaN without truth


def measure(truths: Sequence[Boxes], found: Sequence[Detections], classes: int) -> Measures:
    """Return average precision and recall of one `Detections` per image, equal to pycocotools.

    mAP is the mean over IoU 0.50, 0.55 … 0.95. ar_100 is the mean recall over the same, with at most 100 detections per
    image. Crowds need not be found, and finding them is no mistake. Without any truth all four metrics are 0.
    """
    from faster_coco_eval import COCO, COCOeval_faster

    categories = [{"id": label, "name": str(label)} for label in range(classes)]
    images = [{"id": number} for number in range(len(truths))]
    truth = COCO({"images": images, "annotations": _annotations(truths), "categories": categories})
    guesses = truth.loadRes(as_results(found))
    evaluation = COCOeval_faster(truth, guesses, "bbox")
    evaluation.evaluate()
    evaluation.accumulate()
    precision = np.asarray(evaluation.eval["precision"])  # (IoUs, recalls, classes, sizes, most detections)
    recall = np.asarray(evaluation.eval["recall"])  # (IoUs, classes, sizes, most detections)
    return _measures(precision[..., -1], recall[..., -1])


def _measures(precision: np.ndarray, recall: np.ndarray) -> Measures:
    every = precision[..., 0]
    metrics = {
        "mAP": _mean(every),
        "mAP50": _mean(every[0]),
        "mAP75": _mean(every[5]),
        "ar_100": _mean(recall[..., 0]),
    }
    for number, size in enumerate(_SIZES, start=1):
        if (precision[..., number] > -1).any():
            metrics[f"mAP_{size}"] = _mean(precision[..., number])
    known = np.where(every > -1, every, np.nan)
    per_class = np.array([_mean(every[..., label]) if (every[..., label] > -1).any() else np.nan
                          for label in range(every.shape[-1])])  # fmt: skip
    return Measures(metrics, per_class, known[0].T)


def _mean(values: np.ndarray) -> float:
    """Without the −1 that marks what has no truth."""
    values = values[values > -1]
    return float(values.mean()) if values.size else 0.0


def _annotations(truths: Sequence[Boxes]) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for number, boxes in enumerate(truths):
        sides = boxes.corners[:, 2:] - boxes.corners[:, :2]
        areas = sides.prod(axis=1) if boxes.areas is None else boxes.areas
        for (left, top, right, bottom), label, crowd, area in zip(
            boxes.corners.tolist(), boxes.classes.tolist(), boxes.crowd.tolist(), areas.tolist(), strict=True
        ):
            rows.append({"id": len(rows) + 1, "image_id": number, "category_id": label, "iscrowd": int(crowd),
                         "bbox": [left, top, right - left, bottom - top], "area": area})  # fmt: skip
    return rows


def as_results(found: Sequence[Detections]) -> list[dict[str, Any]]:
    """Return COCO's format of results: ids count from 0, bbox is left, top, width, height in pixels."""
    return [
        {"image_id": number, "category_id": label, "score": score, "bbox": [left, top, right - left, bottom - top]}
        for number, one in enumerate(found)
        for (left, top, right, bottom), score, label in zip(
            one.corners.tolist(), one.scores.tolist(), one.classes.tolist(), strict=True
        )
    ]


def image_precision(truth: Boxes, found: Detections) -> float:
    """Return the average precision of one image at IoU 0.5, all classes ranked together, 0–1: for paired comparisons.

    The area under precision (made to fall) over recall. An image that holds nothing gets 1 if nothing is found
    in it with a score of 0.25 or more, else 0.
    """
    objects = int((~truth.crowd).sum())
    if not objects:
        return float((found.scores < _NEGATIVE).all())
    hits = match(truth, found)
    order = np.argsort(-found.scores, kind="stable")
    hits = hits[order][hits[order] >= 0]
    reached = np.cumsum(hits)
    precision = reached / np.arange(1, len(hits) + 1)
    falling = np.maximum.accumulate(precision[::-1])[::-1]
    return float((falling * hits).sum() / objects)


def match(truth: Boxes, found: Detections, threshold: float = 0.5) -> Int[np.ndarray, " detections"]:
    """Return for each detection 1 (finds an object that no surer one found), 0 (a mistake) or −1 (lies in a crowd)."""
    overlaps = overlap(found.corners, truth.corners)
    result = np.zeros(len(found), np.int64)
    free = ~truth.crowd
    for index in np.argsort(-found.scores, kind="stable"):
        same = truth.classes == found.classes[index]
        wanted = np.where(same & free, overlaps[index], 0)
        if wanted.size and wanted.max() >= threshold:
            free[wanted.argmax()] = False
            result[index] = 1
        elif truth.crowd.any():
            left, top, right, bottom = found.corners[index]
            inside = _shared(found.corners[index : index + 1], truth.corners)[0] / max(
                (right - left) * (bottom - top), 1e-9
            )
            result[index] = -1 if (inside[same & truth.crowd] >= threshold).any() else 0
    return result


def overlap(first: Shaped[np.ndarray, "n 4"], second: Shaped[np.ndarray, "m 4"]) -> Float[np.ndarray, "n m"]:
    """Return the IoU of each of the first boxes with each of the second."""
    both = _shared(first, second)
    areas = [np.prod(np.maximum(boxes[:, 2:] - boxes[:, :2], 0), axis=1) for boxes in (first, second)]
    overlap: np.ndarray = both / np.maximum(areas[0][:, None] + areas[1] - both, 1e-9)
    return overlap


def _shared(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    low, high = np.maximum(first[:, None, :2], second[:, :2]), np.minimum(first[:, None, 2:], second[:, 2:])
    shared: np.ndarray = np.prod(np.maximum(high - low, 0), axis=-1)
    return shared
