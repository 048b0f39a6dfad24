"""The tests behind a verdict, each for one question.

`mcnemar`, `sign_flip`: do *these trained networks* differ, on further images of the kind tested?
    They know nothing of what another seed would have given.
`seeds_and_samples`: do the *recipes* differ, trained again with other seeds and tested on other images?
    Both sources of chance widen the interval. The training data stays as it is.
`repeated_splits`: the same where every repeat has its own split of the data, so no test set is shared.
`welch`: do the recipes differ, by one number per seed alone; the test samples are taken as they are.
`holm`: what is left of p-values when many are looked at.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float, Shaped

LEVEL = 0.95
_ZERO = 1e-24


@dataclass(frozen=True)
class Estimate:
    """A difference (first minus second) with its standard error, 95 % confidence interval and two-sided p."""

    difference: float
    error: float
    low: float
    high: float
    p: float


def interval(
    values: Sequence[float], least: float = -math.inf, most: float = math.inf
) -> tuple[float, float, float, float]:
    """Return mean, standard deviation (n − 1) and 95 % t-interval of the mean, clipped to possible values.

    NaN where one value can't tell.
    """
    mean, n = float(np.mean(values)), len(values)
    if n < 2:
        return mean, math.nan, math.nan, math.nan
    deviation = float(np.std(values, ddof=1))
    half = _quantile(n - 1) * deviation / math.sqrt(n)
    return mean, deviation, max(mean - half, least), min(mean + half, most)


def mcnemar(first: Shaped[np.ndarray, " samples"], second: Shaped[np.ndarray, " samples"]) -> float:
    """Return the exact two-sided p of two classifiers' right (1) and wrong (0) on the same samples (McNemar 1947)."""
    from scipy.special import bdtr

    wins, losses = int(np.sum(first > second)), int(np.sum(first < second))
    return min(1.0, 2 * float(bdtr(min(wins, losses), wins + losses, 0.5)))


def sign_flip(differences: Float[np.ndarray, " samples"], draws: int = 10_000, seed: int = 0) -> float:
    """Return the two-sided p of a mean of paired differences by drawing their signs at random (Fisher 1935).

    Equal magnitudes are drawn together: how many of m stay positive is binomial.
    """
    magnitudes, counts = np.unique(np.abs(differences[differences != 0]).round(12), return_counts=True)
    random, sums = np.random.default_rng(seed), np.zeros(draws)
    for magnitude, count in zip(magnitudes, counts, strict=True):
        sums += magnitude * (2.0 * random.binomial(count, 0.5, draws) - count)
    as_far = np.abs(sums) >= abs(float(differences.sum())) - 1e-9
    return float((1 + as_far.sum()) / (1 + draws))


def samples_only(differences: Float[np.ndarray, " samples"], p: float) -> Estimate:
    """Return the mean paired difference with its normal interval over samples, and a p-value computed elsewhere."""
    n = len(differences)
    error = float(np.std(differences, ddof=1)) / math.sqrt(n) if n > 1 else math.nan
    return _estimate(float(differences.mean()), error, max(n - 1, 1), p)


def seeds_and_samples(
    first: Float[np.ndarray, "first_seeds samples"], second: Float[np.ndarray, "second_seeds samples"]
) -> Estimate:
    """Compare two groups, both over new seeds and over new samples.

    Seeds are random within their group, samples are crossed with everything: the analysis of readers and
    cases of diagnostic studies (Dorfman, Berbaum and Metz 1992), with readers nested in treatments. The
    variance of the difference is S₁²/k₁ + S₂²/k₂ + V/n less the noise that V counts again, where S² is the
    variance of a group's accuracies over its seeds and V that of the samples' mean differences; degrees of
    freedom by Satterthwaite. Needs two seeds in each group.
    """
    n = first.shape[1]
    differences = first.mean(axis=0) - second.mean(axis=0)
    seeds = [float(np.var(group.mean(axis=1), ddof=1)) / len(group) for group in (first, second)]
    noise = sum(_residual(group) / group.size for group in (first, second))
    between_samples = float(np.var(differences, ddof=1)) / n if n > 1 else 0.0
    samples = max(between_samples - noise, 0.0)
    if sum(seeds) + samples <= _ZERO:  # every seed gave the very same accuracy: samples are what chance is left
        samples = between_samples
    parts = [(seeds[0], len(first) - 1), (seeds[1], len(second) - 1), (samples, n - 1)]
    return _satterthwaite(float(differences.mean()), parts)


def repeated_splits(splits: Sequence[Float[np.ndarray, " _"]], test_to_train: float) -> Estimate:
    """Return the t-test of one difference per split, widened as the splits share images (Nadeau and Bengio 2003).

    `splits` are the differences of each split's samples, `test_to_train` the number of test samples over that of
    training samples. A few splits may happen to differ by as many images each: the error is never taken as less than
    that of the samples.
    """
    k, means = len(splits), [float(one.mean()) for one in splits]
    parts = [(float(np.var(means, ddof=1)) * (1 / k + test_to_train), k - 1)]
    samples = sum(float(np.var(one, ddof=1)) / len(one) for one in splits if len(one) > 1) / k**2
    if samples > parts[0][0]:
        parts = [(samples, sum(map(len, splits)) - k)]
    return _satterthwaite(float(np.mean(means)), parts)


def welch(first: Sequence[float], second: Sequence[float]) -> Estimate:
    """Return Welch's t-test of two groups of one number per seed; needs two seeds in each."""
    parts = [(float(np.var(group, ddof=1)) / len(group), len(group) - 1) for group in (first, second)]
    return _satterthwaite(float(np.mean(first) - np.mean(second)), parts)


def holm(p_values: Sequence[float], comparisons: int) -> list[float]:
    """Return Holm's corrected p-values in the order given, where these are some of `comparisons` comparisons.

    The comparisons that aren't given count as the least significant ones, which errs on the safe side.
    """
    corrected, highest = [0.0] * len(p_values), 0.0
    for rank, index in enumerate(sorted(range(len(p_values)), key=lambda i: p_values[i])):
        highest = max(highest, min(1.0, (comparisons - rank) * p_values[index]))
        corrected[index] = highest
    return corrected


def within(estimate: Estimate, width: float) -> Estimate:
    """Return the estimate with its interval clipped to the differences that are possible within a range so wide."""
    return replace(estimate, low=max(estimate.low, -width), high=min(estimate.high, width))


def _residual(group: Float[np.ndarray, "seeds samples"]) -> float:
    """Return the mean square of what neither seed nor sample explains."""
    rest = group - group.mean(axis=1, keepdims=True) - group.mean(axis=0, keepdims=True) + group.mean()
    return float((rest**2).sum() / max((group.shape[0] - 1) * (group.shape[1] - 1), 1))


def _satterthwaite(difference: float, parts: list[tuple[float, int]]) -> Estimate:
    """Return the t-test of a difference whose variance is a sum of parts, each with its degrees of freedom."""
    variance = sum(part for part, _ in parts)
    if variance <= _ZERO:
        return _estimate(difference, 0.0, 1, 1.0 if abs(difference) < 1e-12 else 0.0)
    freedom = variance**2 / sum(part**2 / degrees for part, degrees in parts if part > 0)
    from scipy.special import stdtr

    error = math.sqrt(variance)
    return _estimate(difference, error, freedom, 2 * float(stdtr(freedom, -abs(difference) / error)))


def _estimate(difference: float, error: float, freedom: float, p: float) -> Estimate:
    half = _quantile(freedom) * error
    return Estimate(difference, error, difference - half, difference + half, p)


def _quantile(freedom: float) -> float:
    from scipy.special import stdtrit  # scipy.stats would take a second to import

    return float(stdtrit(freedom, 0.5 + LEVEL / 2))
