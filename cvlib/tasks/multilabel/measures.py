"""Multi-label metrics of scores and decisions, defined as in scikit-learn. Needs no Keras."""

from __future__ import annotations

import numpy as np

from cvlib.tasks import thresholds


def average_precision(scores: np.ndarray, truth: np.ndarray) -> float:
    """Return Σ (recall_k − recall_{k−1}) · precision_k over the thresholds, 0–1; NaN without positive samples.

    Args:
        scores: scores of one class, float `(n,)`; equal scores share a threshold.
        truth: whether the class is present, bool `(n,)`.
    """
    hits, chosen, _ = thresholds.cuts(scores, truth)
    if not truth.any():
        return float("nan")
    recall_steps = np.diff(hits, prepend=0) / truth.sum()
    return float((recall_steps * hits / chosen).sum())


def ranking_precision(scores: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Return each sample's label ranking average precision, `(n,)` in 0–1; 1 if the sample has no class or every class.

    For each true class, this is the share of true classes among all classes with at least the same score, averaged
    over the true classes. Scores and truth are `(n, classes)`.
    """
    precisions = np.ones(len(scores))
    for row, (own, true) in enumerate(zip(scores, truth, strict=True)):
        if true.any() and not true.all():
            as_high = own[None, :] >= own[true][:, None]
            precisions[row] = ((as_high & true).sum(axis=1) / as_high.sum(axis=1)).mean()
    return precisions


def f1(hits: np.ndarray, predicted: np.ndarray, actual: np.ndarray, empty: float = 0.0) -> np.ndarray:
    """Return F1 = 2·hits / (predicted + actual), or `empty` where both are 0."""
    total = np.asarray(predicted + actual, float)
    return np.where(total > 0, 2 * hits / np.maximum(total, 1), empty)
