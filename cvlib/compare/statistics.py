"""Significance tests for the verdict, each for one question.

`mcnemar`, `sign_flip`: do *these trained networks* differ on other images of the same kind?
    They don't account for the variation between seeds.
`seeds_and_samples`: do the *recipes* differ if trained with other seeds and tested on other images?
    Both sources of variation widen the interval. The training data is taken as fixed.
`group_interval`: the metric of one recipe, with the same two sources of variation.
(splits.py has both for repeats that each have their own split and test set.)
`welch`: do the recipes differ, judged by one number per seed? The test samples are taken as fixed.
`holm`: p-values corrected for the number of comparisons.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float, Shaped

LEVEL = 0.95
ZERO = 1e-24


@dataclass(frozen=True)
class Estimate:
    """A difference (first minus second) with its standard error, 95 % confidence interval and two-sided p-value."""

    difference: float
    error: float
    low: float
    high: float
    p: float


def interval(
    values: Sequence[float], least: float = -math.inf, most: float = math.inf
) -> tuple[float, float, float, float]:
    """Return mean, standard deviation (n − 1) and 95 % t-interval of the mean, clipped to [least, most].

    For a single value, the deviation and the interval are NaN.
    """
    mean, n = float(np.mean(values)), len(values)
    if n < 2:
        return mean, math.nan, math.nan, math.nan
    deviation = float(np.std(values, ddof=1))
    half = _quantile(n - 1) * deviation / math.sqrt(n)
    return mean, deviation, max(mean - half, least), min(mean + half, most)


def group_interval(
    values: Float[np.ndarray, "seeds samples"], least: float = -math.inf, most: float = math.inf
) -> tuple[float, float]:  # fmt: skip
    """Return the 95 % confidence interval of a recipe's metric for new seeds and new test samples.

    The sources of variation are those of `seeds_and_samples`: S²/k over the k seeds and V/n over the n samples, without
    the noise that V counts a second time. Two seeds often agree by chance, so their S² is at least that noise. NaN for
    a single seed.

    Args:
        values: the metric's value for each seed and sample; their mean is the metric.
        least, most: bounds of the metric.
    """
    k, n = values.shape
    if k < 2:
        return math.nan, math.nan
    seeds, noise = float(np.var(values.mean(axis=1), ddof=1)) / k, _residual(values) / values.size
    between_samples = float(np.var(values.mean(axis=0), ddof=1)) / n if n > 1 else 0.0
    samples = max(between_samples - noise, 0.0)
    if seeds + samples <= ZERO:
        samples = between_samples
    parts = [(seeds, k - 1), (samples, n - 1), raised(seeds, noise, k, (k - 1) * (n - 1))]
    return bounded(float(values.mean()), parts, n, least, most)


def network_interval(
    values: Float[np.ndarray, " samples"], least: float = -math.inf, most: float = math.inf
) -> tuple[float, float]:  # fmt: skip
    """Return the 95 % confidence interval of one network's metric for new test samples; NaN for a single sample.

    `values` are the metric's values for each sample; their mean is the metric. For the bounds, see `bounded`.
    """
    n = len(values)
    if n < 2:
        return math.nan, math.nan
    return bounded(float(values.mean()), [(float(np.var(values, ddof=1)) / n, n - 1)], n, least, most)


def raised(variance: float, least: float, repeats: int, freedom: int) -> tuple[float, int]:
    """Return what raises the variance over two repeats to at least `least`, with its degrees of freedom.

    The variance over repeats contains the noise of single samples, so its expectation is never below `least`. Two
    repeats often agree by chance. With more repeats, that is rare, and nothing is added.
    """
    return (max(least - variance, 0.0) if repeats == 2 else 0.0), max(freedom, 1)


def bounded(
    mean: float, parts: Sequence[tuple[float, int]], samples: int, least: float, most: float
) -> tuple[float, float]:  # fmt: skip
    """Return the 95 % t-interval of a mean whose variance is a sum of parts: (variance, degrees of freedom).

    It is cut at a single finite bound. Within two, it is symmetric on the logit scale; if every value is at a bound, it
    is Wilson's interval of so many samples (1927).
    """
    error, half, width = math.sqrt(sum(part for part, _ in parts)), _quantile(_freedom(parts)), most - least
    if not math.isfinite(width):
        return max(mean - half * error, least), min(mean + half * error, most)
    share = (mean - least) / width
    if not 0 < share < 1 or error == 0:
        low, high = wilson(share, samples, half)
    else:
        logit, step = math.log(share / (1 - share)), half * error / width / (share * (1 - share))
        low, high = (1 / (1 + math.exp(-(logit + sign * step))) for sign in (-1, 1))
    return least + width * low, least + width * high


def wilson(share: float, count: int, quantile: float) -> tuple[float, float]:
    """Return the interval of a share, 0–1, of `count` samples: Wilson, Probable Inference, 1927.

    `quantile` is that of the standardized share, such as 1.96 for 95 %.
    """
    centre = (share + quantile**2 / (2 * count)) / (1 + quantile**2 / count)
    half = quantile * math.sqrt(share * (1 - share) / count + quantile**2 / (4 * count**2)) / (1 + quantile**2 / count)
    return max(centre - half, 0.0), min(centre + half, 1.0)


def mcnemar(first: Shaped[np.ndarray, " samples"], second: Shaped[np.ndarray, " samples"]) -> float:
    """Return the two-sided mid-p-value of McNemar's test (1947) for two classifiers on the same samples.

    Each value is 1 for a correct and 0 for a wrong prediction. The exact p-value is conservative for few samples; the
    mid-p-value counts only half the probability of the observed table (Fagerland, Lydersen and Laake 2013).
    """
    from scipy.special import bdtr

    wins, losses = int(np.sum(first > second)), int(np.sum(first < second))
    if wins == losses:
        return 1.0
    fewer, total = min(wins, losses), wins + losses
    below = float(bdtr(fewer - 1, total, 0.5)) if fewer else 0.0
    return min(1.0, below + float(bdtr(fewer, total, 0.5)))


def sign_flip(differences: Float[np.ndarray, " samples"], draws: int = 10_000, seed: int = 0) -> float:
    """Return the two-sided p-value of a mean of paired differences by drawing their signs at random (Fisher 1935).

    The signs of equal magnitudes are drawn together, because the number of positive ones is binomial.
    """
    magnitudes, counts = np.unique(np.abs(differences[differences != 0]).round(12), return_counts=True)
    random, sums = np.random.default_rng(seed), np.zeros(draws)
    for magnitude, count in zip(magnitudes, counts, strict=True):
        sums += magnitude * (2.0 * random.binomial(count, 0.5, draws) - count)
    as_far = np.abs(sums) >= abs(float(differences.sum())) - 1e-9
    return float((1 + as_far.sum()) / (1 + draws))


def samples_only(differences: Float[np.ndarray, " samples"], p: float) -> Estimate:
    """Return the mean paired difference with its t-interval over samples and the given p-value."""
    n = len(differences)
    error = float(np.std(differences, ddof=1)) / math.sqrt(n) if n > 1 else math.nan
    return _estimate(float(differences.mean()), error, max(n - 1, 1), p)


def seeds_and_samples(
    first: Float[np.ndarray, "first_seeds samples"], second: Float[np.ndarray, "second_seeds samples"]
) -> Estimate:
    """Compare two groups with respect to both new seeds and new samples.

    Seeds are random and nested within their group; samples are crossed with groups and seeds. This is the analysis of
    readers and cases in diagnostic studies (Dorfman, Berbaum and Metz 1992), with readers nested in treatments. The
    variance of the difference is S₁²/k₁ + S₂²/k₂ + V/n, minus the noise that V counts a second time. S² is the
    variance of a group's accuracies over its k seeds, and V the variance of the n samples' mean differences. The
    degrees of freedom follow Satterthwaite. One group needs at least two seeds. If the other has one, the same
    variance over seeds is assumed for it. If a group has two seeds, p is no smaller than with `raised` variances,
    because among many groups some pairs of seeds agree by chance.
    """
    n = first.shape[1]
    differences = first.mean(axis=0) - second.mean(axis=0)
    known = [group if len(group) > 1 else other for group, other in ((first, second), (second, first))]
    seeds = [float(np.var(one.mean(axis=1), ddof=1)) / len(group)
             for one, group in zip(known, (first, second), strict=True)]  # fmt: skip
    noises = [_residual(one) / group.size for one, group in zip(known, (first, second), strict=True)]
    noise = sum(noises)
    between_samples = float(np.var(differences, ddof=1)) / n if n > 1 else 0.0
    samples = max(between_samples - noise, 0.0)
    if sum(seeds) + samples <= ZERO:  # every seed gave the same accuracy, so only the samples vary
        samples = between_samples
    parts = [(seeds[0], len(first) - 1), (seeds[1], len(second) - 1), (samples, n - 1)]
    if min(len(first), len(second)) == 1:  # both variances over seeds are one estimate
        parts = [(sum(seeds), max(len(first), len(second)) - 1), (samples, n - 1)]
    more = [raised(seed, least, len(group), (len(group) - 1) * (n - 1))
            for seed, least, group in zip(seeds, noises, (first, second), strict=True)]  # fmt: skip
    return cautious(float(differences.mean()), parts, more)


def seeds_needed(
    first: Float[np.ndarray, "first_seeds samples"], second: Float[np.ndarray, "second_seeds samples"], most: int = 100
) -> int | None:  # fmt: skip
    """Return how many seeds each group needs until its observed difference would be significant.

    The variances are those that `seeds_and_samples` estimates. None if `most` seeds are not enough, so that only more
    test samples help.
    """
    estimate = seeds_and_samples(first, second)
    known = [group for group in (first, second) if len(group) > 1]
    over_seeds = 2 * float(np.mean([np.var(group.mean(axis=1), ddof=1) for group in known]))
    now = over_seeds * (1 / len(first) + 1 / len(second)) / 2
    samples = max(estimate.error**2 - now, 0.0)
    for count in range(max(len(first), len(second)), most + 1):
        parts = [(over_seeds / count, 2 * (count - 1)), (samples, first.shape[1] - 1)]
        error = math.sqrt(sum(part for part, _ in parts))
        if abs(estimate.difference) > _quantile(_freedom(parts)) * error:
            return count
    return None


def welch(first: Sequence[float], second: Sequence[float]) -> Estimate:
    """Return Welch's t-test of two groups with one number per seed; each group needs at least two seeds."""
    parts = [(float(np.var(group, ddof=1)) / len(group), len(group) - 1) for group in (first, second)]
    return satterthwaite(float(np.mean(first) - np.mean(second)), parts)


def holm(p_values: Sequence[float], comparisons: int) -> list[float]:
    """Return Holm's corrected p-values in the given order, for a total of `comparisons` comparisons.

    Comparisons without a given p-value count as the least significant ones, which is conservative.
    """
    corrected, highest = [0.0] * len(p_values), 0.0
    for rank, index in enumerate(sorted(range(len(p_values)), key=lambda i: p_values[i])):
        highest = max(highest, min(1.0, (comparisons - rank) * p_values[index]))
        corrected[index] = highest
    return corrected


def within(estimate: Estimate, width: float) -> Estimate:
    """Return the estimate with its interval clipped to the differences possible for a metric range of this width."""
    return replace(estimate, low=max(estimate.low, -width), high=min(estimate.high, width))


def _residual(group: Float[np.ndarray, "seeds samples"]) -> float:
    """Return the residual mean square after removing the effects of seed and sample."""
    rest = group - group.mean(axis=1, keepdims=True) - group.mean(axis=0, keepdims=True) + group.mean()
    return float((rest**2).sum() / max((group.shape[0] - 1) * (group.shape[1] - 1), 1))


def cautious(difference: float, parts: list[tuple[float, int]], more: list[tuple[float, int]]) -> Estimate:
    """Return the t-test whose p is not smaller, and whose interval is not narrower, than without `more` variances.

    More variance also means more degrees of freedom, so it could lower p.
    """
    plain, wider = satterthwaite(difference, parts), satterthwaite(difference, parts + more)
    return replace(wider, p=max(plain.p, wider.p), low=min(plain.low, wider.low), high=max(plain.high, wider.high))


def satterthwaite(difference: float, parts: list[tuple[float, int]]) -> Estimate:
    """Return the t-test of a difference whose variance is a sum of parts: (variance, degrees of freedom)."""
    variance = sum(part for part, _ in parts)
    if variance <= ZERO:
        return _estimate(difference, 0.0, 1, 1.0 if abs(difference) < 1e-12 else 0.0)
    freedom = _freedom(parts)
    from scipy.special import stdtr

    error = math.sqrt(variance)
    return _estimate(difference, error, freedom, 2 * float(stdtr(freedom, -abs(difference) / error)))


def _freedom(parts: Sequence[tuple[float, int]]) -> float:
    """Return Satterthwaite's degrees of freedom of a sum of variances (1946); infinite if all are zero."""
    squares = sum(part**2 / degrees for part, degrees in parts if part > 0)
    return sum(part for part, _ in parts) ** 2 / squares if squares else math.inf


def _estimate(difference: float, error: float, freedom: float, p: float) -> Estimate:
    half = _quantile(freedom) * error
    return Estimate(difference, error, difference - half, difference + half, p)


def _quantile(freedom: float) -> float:
    from scipy.special import stdtrit  # scipy.stats takes a second to import

    return float(stdtrit(freedom, 0.5 + LEVEL / 2))
