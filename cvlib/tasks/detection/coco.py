"""Detection metrics as defined by COCO: Lin et al., Microsoft COCO: Common Objects in Context, ECCV 2014."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Int, Shaped

from cvlib.data.dataset import Boxes

_SIZES = ("small", "medium", "large")  # areas below 32², up to 96², and above, in pixels of the original image
_NEGATIVE = 0.25  # in an image without objects, a detection with at least this score is a false positive


@dataclass(frozen=True)
class Detections:
    """The detections in one image, in any order."""

    corners: np.ndarray  # float32 (n, 4): x_min, y_min, x_max, y_max in pixels of the original image
    scores: np.ndarray  # float32 (n,), 0–1
    classes: np.ndarray  # int (n,)
    file: Path | None = None  # the image's file, if predictions are for files

    def __len__(self) -> int:
        return len(self.classes)


@dataclass(frozen=True)
class Measures:
    """A split's results; means exclude classes and sizes without any true box."""

    metrics: dict[str, float]  # mAP, mAP50, mAP75, ar_100 and, if such boxes exist, mAP_small, …; 0–1
    per_class: np.ndarray  # float (classes,): average precision over IoU 0.5 to 0.95; NaN without true boxes
    precision: np.ndarray  # float (classes, 101): at IoU 0.5 and recalls 0, 0.01 … 1; NaN without true boxes


def measure(truths: Sequence[Boxes], found: Sequence[Detections], classes: int) -> Measures:
    """Return average precision and recall over all images; `found` holds the detections in each image.

    The values equal those of pycocotools.

    mAP is the mean over IoU 0.50, 0.55 … 0.95. ar_100 is the mean recall over the same IoUs, with at most 100
    detections per image. A crowd box that is not detected is not a miss, and a detection of a crowd box is not a false
    positive. If there are no true boxes, all four metrics are 0.
    """
    from faster_coco_eval import COCO, COCOeval_faster

    categories = [{"id": label, "name": str(label)} for label in range(classes)]
    images = [{"id": number} for number in range(len(truths))]
    truth = COCO({"images": images, "annotations": _annotations(truths), "categories": categories})
    guesses = truth.loadRes(as_results(found))
    evaluation = COCOeval_faster(truth, guesses, "bbox")
    evaluation.evaluate()
    evaluation.accumulate()
    precision = np.asarray(evaluation.eval["precision"])  # (IoUs, recalls, classes, sizes, maximum detections)
    recall = np.asarray(evaluation.eval["recall"])  # (IoUs, classes, sizes, maximum detections)
    return _measures(precision[..., -1], recall[..., -1])


def _measures(precision: np.ndarray, recall: np.ndarray) -> Measures:
    all_sizes = precision[..., 0]
    metrics = {
        "mAP": _mean(all_sizes),
        "mAP50": _mean(all_sizes[0]),
        "mAP75": _mean(all_sizes[5]),
        "ar_100": _mean(recall[..., 0]),
    }
    for number, size in enumerate(_SIZES, start=1):
        if (precision[..., number] > -1).any():
            metrics[f"mAP_{size}"] = _mean(precision[..., number])
    known = np.where(all_sizes > -1, all_sizes, np.nan)
    per_class = np.array([_mean(all_sizes[..., label]) if (all_sizes[..., label] > -1).any() else np.nan
                          for label in range(all_sizes.shape[-1])])  # fmt: skip
    return Measures(metrics, per_class, known[0].T)


def _mean(values: np.ndarray) -> float:
    """Return the mean without the entries of −1, which mark classes and sizes without true boxes."""
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
    """Return the detections in COCO's results format: ids start at 0, bbox is left, top, width, height in pixels."""
    return [
        {"image_id": number, "category_id": label, "score": score, "bbox": [left, top, right - left, bottom - top]}
        for number, detections in enumerate(found)
        for (left, top, right, bottom), score, label in zip(
            detections.corners.tolist(), detections.scores.tolist(), detections.classes.tolist(), strict=True
        )
    ]


def image_precision(truth: Boxes, found: Detections) -> float:
    """Return one image's average precision at IoU 0.5, 0–1, with all classes ranked together, for paired comparisons.

    This is the area under the precision–recall curve, with precision made non-increasing. An image without objects
    gets 1 if no detection scores at least 0.25, else 0.
    """
    objects = int((~truth.crowd).sum())
    if not objects:
        return float((found.scores < _NEGATIVE).all())
    hits = match(truth, found)
    order = np.argsort(-found.scores, kind="stable")
    hits = hits[order][hits[order] >= 0]
    precision = np.cumsum(hits) / np.arange(1, len(hits) + 1)
    non_increasing = np.maximum.accumulate(precision[::-1])[::-1]
    return float((non_increasing * hits).sum() / objects)


def match(truth: Boxes, found: Detections, threshold: float = 0.5) -> Int[np.ndarray, " detections"]:
    """Match detections to true boxes, highest score first.

    The result is 1 for a detection that matches an object, −1 for one that lies in a crowd, and 0 for a false positive.
    Each object is matched once.
    """
    matched: np.ndarray = matches(truth, found, np.array([threshold]))[0]
    return matched


def matches(
    truth: Boxes, found: Detections, thresholds: Float[np.ndarray, " thresholds"]
) -> Int[np.ndarray, "thresholds detections"]:  # fmt: skip
    """Return the results of `match` for several IoU thresholds."""
    result = np.zeros((len(thresholds), len(found)), np.int64)
    if not len(truth.classes):
        return result
    overlaps, inside = overlap(found.corners, truth.corners), _covered(found.corners, truth.corners)
    unmatched = np.tile(~truth.crowd, (len(thresholds), 1))
    for index in np.argsort(-found.scores, kind="stable"):
        same_class = truth.classes == found.classes[index]
        candidates = np.where(same_class & unmatched, overlaps[index], 0)
        best = candidates.argmax(axis=1)
        hits = candidates.max(axis=1) >= thresholds
        unmatched[hits, best[hits]] = False
        crowds = inside[index][same_class & truth.crowd]
        result[:, index] = np.where(hits, 1, -(crowds.max(initial=0) >= thresholds).astype(int))
    return result


def overlap(first: Shaped[np.ndarray, "n 4"], second: Shaped[np.ndarray, "m 4"]) -> Float[np.ndarray, "n m"]:
    """Return the IoU of every box in `first` with every box in `second`."""
    intersection = _intersection(first, second)
    areas = [np.prod(np.maximum(boxes[:, 2:] - boxes[:, :2], 0), axis=1) for boxes in (first, second)]
    iou: np.ndarray = intersection / np.maximum(areas[0][:, None] + areas[1] - intersection, 1e-9)
    return iou


def _covered(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return the share of each of the first boxes that lies in each of the second, `(n, m)`."""
    areas = np.prod(first[:, 2:] - first[:, :2], axis=1)
    covered: np.ndarray = _intersection(first, second) / np.maximum(areas[:, None], 1e-9)
    return covered


def _intersection(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    low, high = np.maximum(first[:, None, :2], second[:, :2]), np.minimum(first[:, None, 2:], second[:, 2:])
    areas: np.ndarray = np.prod(np.maximum(high - low, 0), axis=-1)
    return areas
