"""What a class counts in the loss, by how often it occurs."""

from __future__ import annotations

import numpy as np


def balanced(counts: np.ndarray, scheme: str) -> np.ndarray:
    """Return each class's weight in the loss, float `(classes,)`; their mean over all samples is 1.

    Args:
        counts: samples of each class, `(classes,)`. A class that never occurs gets the weight 0.
        scheme: "balanced": in inverse proportion, so that each of k classes counts 1/k. "sqrt": by the square root of
            that, for classes so rare that full balance would drown the frequent ones.
    """
    rarity = np.where(counts > 0, counts.sum() / np.maximum(counts, 1), 0.0) ** {"balanced": 1.0, "sqrt": 0.5}[scheme]
    return np.asarray(rarity * counts.sum() / max((rarity * counts).sum(), 1))
