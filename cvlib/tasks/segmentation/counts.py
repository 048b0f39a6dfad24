"""Metrics of masks from confusion matrices: counts of pixels, int64 `(classes, classes)`, rows the truth."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int, Integer

from cvlib.data.labels import IGNORE


def confusion(
    truth: Integer[np.ndarray, "*pixels"], guess: Integer[np.ndarray, "*pixels"], classes: int
) -> Int[np.ndarray, "{classes} {classes}"]:
    """Return the pixels of each class (row) that were taken for each class (column); ignored ones aren't counted."""
    valid = truth != IGNORE
    pairs = truth[valid].astype(np.int64) * classes + guess[valid]
    return np.bincount(pairs, minlength=classes * classes).reshape(classes, classes)


def by_class(
    matrix: Int[np.ndarray, "classes classes"],
) -> tuple[Int[np.ndarray, " classes"], Int[np.ndarray, " classes"], Int[np.ndarray, " classes"]]:
    """Return for each class the intersection, the union, and the sizes of truth and prediction together."""
    hits = np.diag(matrix)
    sizes = matrix.sum(axis=0) + matrix.sum(axis=1)
    return hits, sizes - hits, sizes


def mean_iou(matrix: Int[np.ndarray, "classes classes"]) -> float:
    """Return the mean of intersection / union over the classes in truth or prediction; 0 if there are none."""
    hits, union, _ = by_class(matrix)
    occurring = union > 0
    return float((hits[occurring] / union[occurring]).mean()) if occurring.any() else 0.0


def mean_dice(matrix: Int[np.ndarray, "classes classes"]) -> float:
    """Return the mean of 2 · intersection / sizes over the classes in truth or prediction; 0 if there are none."""
    hits, union, sizes = by_class(matrix)
    occurring = union > 0
    return float((2 * hits[occurring] / sizes[occurring]).mean()) if occurring.any() else 0.0


def pixel_accuracy(matrix: Int[np.ndarray, "classes classes"]) -> float:
    """Return the share of labelled pixels whose class is right; 0 where none is labelled."""
    return float(np.trace(matrix) / max(int(matrix.sum()), 1))


def shares(counts: Integer[np.ndarray, "images 2 classes"]) -> Float[np.ndarray, " images"]:
    """Return each image's share in the mIoU of all, of intersections and unions.

    Their mean is the mIoU and their spread says how uncertain it is: a ratio of sums, linearized about the sums
    (the infinitesimal jackknife; Efron, The Jackknife, the Bootstrap and Other Resampling Plans, 1982, chapter 6).
    """
    hits, unions = counts.sum(axis=0)
    occurring = unions > 0
    if not occurring.any():
        return np.zeros(len(counts))
    iou = hits[occurring] / unions[occurring]
    ahead = (counts[:, 0, occurring] - iou * counts[:, 1, occurring]) / unions[occurring]
    found: np.ndarray = iou.mean() + len(counts) * ahead.mean(axis=1)
    return found


def loss_sum(
    truth: Integer[np.ndarray, "batch height width"], logits: Float[np.ndarray, "batch height width classes"]
) -> float:
    """Return the sum of −log p (nats) over labelled pixels; `truth` holds class ids or IGNORE."""
    valid = truth != IGNORE
    chosen = logits[valid].astype(np.float32)
    most = chosen.max(axis=-1)
    normalizers = most + np.log(np.exp(chosen - most[:, None]).sum(axis=-1))
    return float((normalizers - chosen[np.arange(len(chosen)), truth[valid]]).sum(dtype=np.float64))
