"""Is one finalist clearly the best? The test that is repeated after every round of seeds, on validation results.

The error is spent evenly over the looks and, at each look, over all pairs of finalists (Bonferroni over looks, Holm
over pairs). So the chance that equal finalists are told apart is at most `alpha`, however often one looks.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from cvlib.compare import statistics
from cvlib.compare.statistics import Estimate


@dataclass(frozen=True)
class Against:
    """The leader against another finalist; differences are positive if the leader is better.

    Attributes:
        other: index of the other finalist.
        estimate: of the difference over seeds and samples; its p is not corrected.
        corrected: p after the correction for pairs and looks.
    """

    other: int
    estimate: Estimate
    corrected: float


@dataclass(frozen=True)
class Look:
    """One look at the finalists' results.

    Attributes:
        leader: index of the finalist with the best mean.
        against: the leader against every other finalist, best first; empty before the second seed.
        clear: whether the leader is significantly better than every other finalist.
    """

    leader: int
    against: tuple[Against, ...]
    clear: bool


def look(results: Sequence[Float[np.ndarray, "seeds samples"]], looks: int, alpha: float, share: float = 1.0) -> Look:
    """Compare finalists by their results for each validation sample, where higher is better.

    Args:
        results: one array for each finalist, over the same samples.
        looks: how many looks there are at most, over the whole recommendation.
        alpha: chance of telling equal finalists apart, over all looks.
        share: the part of `alpha` that these looks may spend.
    """
    order = sorted(range(len(results)), key=lambda index: -float(results[index].mean()))
    leader, *others = order
    if not others or min(len(one) for one in results) < 2:
        return Look(leader, (), False)
    estimates = [statistics.seeds_and_samples(results[leader], results[other]) for other in others]
    least = [_sign_test(results[leader].mean(axis=0) - results[other].mean(axis=0)) for other in others]
    values = [max(one.p, p) for one, p in zip(estimates, least, strict=True)]
    pairs = len(results) * (len(results) - 1) // 2
    corrected = [min(1.0, looks / share * p) for p in statistics.holm(values, pairs)]
    against = tuple(Against(*row) for row in zip(others, estimates, corrected, strict=True))
    return Look(leader, against, all(not math.isnan(p) and p < alpha for p in corrected))


def _sign_test(differences: Float[np.ndarray, " samples"]) -> float:
    """Return the least p that a sign test can reach; a t-test of a few samples that agree would reach less."""
    return float(min(1.0, 2.0 ** (1 - int(np.count_nonzero(np.abs(differences) > 1e-12)))))
