"""Class weights for the loss, computed from class frequencies."""

from __future__ import annotations

import numpy as np


def balanced(counts: np.ndarray, scheme: str) -> np.ndarray:
    """Return each class's weight in the loss, float `(classes,)`; their mean over all samples is 1.

    Args:
        counts: number of samples of each class, `(classes,)`. A class that never occurs gets the weight 0.
        scheme: "balanced" weights are inversely proportional to the counts, so all classes have the same total weight.
            "sqrt" uses their square roots, for classes so rare that full balancing would drown out the frequent ones.
    """
    rarity = np.where(counts > 0, counts.sum() / np.maximum(counts, 1), 0.0) ** {"balanced": 1.0, "sqrt": 0.5}[scheme]
    return np.asarray(rarity * counts.sum() / max((rarity * counts).sum(), 1))
