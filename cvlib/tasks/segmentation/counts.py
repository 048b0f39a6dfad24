"""Mask metrics from confusion matrices of pixel counts, int64 `(classes, classes)`, with true classes as rows."""

from __future__ import annotations

import math

import numpy as np
from jaxtyping import Bool, Float, Int, Integer
from scipy import ndimage

from cvlib.data.labels import IGNORE
from cvlib.tasks import pseudo_values

_BOUNDARY = 0.02  # of the image's diagonal


def confusion(
    truth: Integer[np.ndarray, "*pixels"], guess: Integer[np.ndarray, "*pixels"], classes: int
) -> Int[np.ndarray, "{classes} {classes}"]:
    """Return the number of pixels of each true class (row) and predicted class (column), without ignored pixels."""
    valid = truth != IGNORE
    pairs = truth[valid].astype(np.int64) * classes + guess[valid]
    return np.bincount(pairs, minlength=classes * classes).reshape(classes, classes)


def boundaries(
    truth: Integer[np.ndarray, "height width"], guess: Integer[np.ndarray, "height width"], classes: int
) -> Int[np.ndarray, "2 {classes}"]:
    """Return the intersection and the union of the boundary regions of truth and prediction for each class, in pixels.

    The boundary region of a class consists of its pixels at most d from its contour, where d is 2 % of the image's
    diagonal, at least 1. The distance is that of the chessboard, and the image's edge counts as contour, as in the
    authors' code. Ignored pixels of the truth are ignored in the prediction, too. Cheng et al., Boundary IoU: Improving
    Object-Centric Image Segmentation Evaluation, CVPR 2021.
    """
    guess = np.where(truth == IGNORE, IGNORE, guess)
    own, found = (np.where(_near_contour(mask), mask, IGNORE) for mask in (truth, guess))
    sizes = [np.bincount(part[part != IGNORE], minlength=classes) for part in (own, found, own[own == found])]
    return np.stack([sizes[2], sizes[0] + sizes[1] - sizes[2]])


def _near_contour(mask: Integer[np.ndarray, "height width"]) -> Bool[np.ndarray, "height width"]:
    """Return which pixels have a pixel of another class, or the end of the image, within d pixels."""
    size = 2 * max(1, round(_BOUNDARY * math.hypot(*mask.shape))) + 1
    ids = mask.astype(np.int16)
    low, high = (extreme(ids, size, mode="constant", cval=-1) for extreme in
                 (ndimage.minimum_filter, ndimage.maximum_filter))  # fmt: skip
    near: np.ndarray = low != high
    return near


def mean_ratio(counts: Int[np.ndarray, "2 classes"]) -> float:
    """Return the mean of intersection / union over the classes with a union; 0 if there are none."""
    hits, union = counts
    occurring = union > 0
    return float((hits[occurring] / union[occurring]).mean()) if occurring.any() else 0.0


def by_class(
    matrix: Int[np.ndarray, "classes classes"],
) -> tuple[Int[np.ndarray, " classes"], Int[np.ndarray, " classes"], Int[np.ndarray, " classes"]]:
    """Return the intersection and the union of truth and prediction for each class, and the sum of their sizes."""
    hits = np.diag(matrix)
    sizes = matrix.sum(axis=0) + matrix.sum(axis=1)
    return hits, sizes - hits, sizes


def mean_iou(matrix: Int[np.ndarray, "classes classes"]) -> float:
    """Return the mean of intersection / union over the classes in truth or prediction; 0 if there are none."""
    return mean_ratio(np.stack(by_class(matrix)[:2]))


def mean_dice(matrix: Int[np.ndarray, "classes classes"]) -> float:
    """Return the mean of 2 · intersection / sizes over the classes in truth or prediction; 0 if there are none."""
    hits, union, sizes = by_class(matrix)
    occurring = union > 0
    return float((2 * hits[occurring] / sizes[occurring]).mean()) if occurring.any() else 0.0


def pixel_accuracy(matrix: Int[np.ndarray, "classes classes"]) -> float:
    """Return the share of labelled pixels with the correct class; 0 without labelled pixels."""
    return float(np.trace(matrix) / max(int(matrix.sum()), 1))


def contributions(counts: Integer[np.ndarray, "images 2 classes"]) -> dict[str, Float[np.ndarray, " images"]]:
    """Return each image's contribution to mIoU, dice and pixel accuracy over all images, by metric.

    `counts` are the images' intersections and unions.
    """
    hits, unions = counts[:, 0], counts[:, 1]
    pixels = (hits + unions).sum(axis=1, keepdims=True) / 2  # truth and prediction have the same number of pixels
    return {
        "mIoU": pseudo_values.of_ratios(hits, unions),
        "dice": pseudo_values.of_ratios(2 * hits, hits + unions),
        "pixel_accuracy": pseudo_values.of_ratios(hits.sum(axis=1, keepdims=True), pixels),
    }


def loss_sum(
    truth: Integer[np.ndarray, "batch height width"], logits: Float[np.ndarray, "batch height width classes"]
) -> float:
    """Return the sum of −log p (nats) over labelled pixels; `truth` holds class ids or IGNORE."""
    valid = truth != IGNORE
    chosen = logits[valid].astype(np.float32)
    largest = chosen.max(axis=-1)
    normalizers = largest + np.log(np.exp(chosen - largest[:, None]).sum(axis=-1))
    return float((normalizers - chosen[np.arange(len(chosen)), truth[valid]]).sum(dtype=np.float64))
