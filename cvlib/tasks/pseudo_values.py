"""The contribution of each sample to a metric of a whole split, so that runs can be compared sample by sample."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Num


def of_ratios(
    numerators: Num[np.ndarray, "samples parts"], denominators: Num[np.ndarray, "samples parts"]
) -> Float[np.ndarray, " samples"]:  # fmt: skip
    """Return each sample's contribution to the mean over parts of Σ numerators / Σ denominators.

    F1, IoU, dice and pixel accuracy are such ratios of sums over the samples; usually, each class is a part. The mean
    of the contributions is the metric, and their spread estimates its uncertainty. The ratios are linearized about the
    sums (the infinitesimal jackknife; Efron, The Jackknife, the Bootstrap and Other Resampling Plans, 1982, chapter 6).
    Parts whose denominators sum to 0 are left out. If no part remains, all contributions are 0.
    """
    total = denominators.sum(axis=0)
    occurring = total > 0
    if not occurring.any():
        return np.zeros(len(numerators))
    ratios = numerators.sum(axis=0)[occurring] / total[occurring]
    influence = (numerators[:, occurring] - ratios * denominators[:, occurring]) / total[occurring]
    values: np.ndarray = ratios.mean() + len(numerators) * influence.mean(axis=1)
    return values
