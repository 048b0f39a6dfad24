"""Measures of scores and decisions for many classes at once; as scikit-learn defines them. Needs no Keras."""

from __future__ import annotations

import numpy as np

UNDECIDED = 0.5  # the threshold of a class of which validation says nothing


def average_precision(scores: np.ndarray, truth: np.ndarray) -> float:
    """Return Σ (recall_k − recall_{k−1}) · precision_k over the thresholds, 0–1; NaN without a positive.

    Args:
        scores: of one class, float `(n,)`; equal ones share a threshold.
        truth: whether the class is there, bool `(n,)`.
    """
    hits, chosen, _ = _cuts(scores, truth)
    if not truth.any():
        return float("nan")
    gained = np.diff(hits, prepend=0) / truth.sum()
    return float((gained * hits / chosen).sum())


def best_threshold(probabilities: np.ndarray, truth: np.ndarray) -> float:
    """Return the threshold with the highest F1, of several the one nearest to 0.5; 0.5 without a positive.

    It lies half-way between two probabilities, so that rounding can't change a decision.
    """
    if not truth.any():
        return UNDECIDED
    hits, chosen, levels = _cuts(probabilities, truth)
    f1 = 2 * hits / (chosen + truth.sum())
    below = np.append(levels[1:], 0.0)  # the next lower probability, which is to be decided against
    middles = (levels + below) / 2
    best = middles[f1 >= f1.max() - 1e-12]
    return float(best[np.argmin(np.abs(best - UNDECIDED))])


def ranking_precision(scores: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Return each sample's label ranking average precision, `(n,)` in 0–1; 1 where it has none of the classes, or all.

    For every class that is there: how many of the classes ranked as high are there, too; the mean over these classes.
    Scores and truth are `(n, classes)`.
    """
    found = np.ones(len(scores))
    for row, (own, there) in enumerate(zip(scores, truth, strict=True)):
        if there.any() and not there.all():
            as_high = own[None, :] >= own[there][:, None]
            found[row] = ((as_high & there).sum(axis=1) / as_high.sum(axis=1)).mean()
    return found


def f1(hits: np.ndarray, chosen: np.ndarray, there: np.ndarray, empty: float = 0.0) -> np.ndarray:
    """Return 2·hits / (chosen + there), `empty` where both are 0."""
    total = np.asarray(chosen + there, float)
    return np.where(total > 0, 2 * hits / np.maximum(total, 1), empty)


def _cuts(scores: np.ndarray, truth: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return by threshold, highest first: positives at or above it, samples at or above it, and the threshold."""
    order = np.argsort(-scores, kind="stable")
    ordered = scores[order]
    last = np.append(np.flatnonzero(np.diff(ordered)), len(ordered) - 1)  # of equal scores
    return np.cumsum(truth[order])[last], last + 1, ordered[last]
