"""The test and the interval for repeats that each have their own split, such as the folds of a cross-validation.

Repeats vary by their seed, their training images and their test images. Their variance S² shows that, except for the
images that several of them are tested on, which make their results alike. The covariance of two repeats is estimated
from those images, as are the samples of `statistics.seeds_and_samples`, of which this is the extension to test sets
that overlap in part. Folds share no test image, so they get the plain paired t-test.

The corrected t-test of Nadeau and Bengio (Inference for the Generalization Error, 2003) assumes the covariance instead:
the ratio of test to training images. With heads trained on ten splits of 333 photographs, its standard error was 1.6 to
1.8 times the true one, and its 95 % interval missed the difference of two recipes in at most 1 % of 400 comparisons;
this one missed it in 4 to 6 %. Overlapping training sets can make repeats alike as well, and no unbiased estimator of
that exists (Bengio and Grandvalet 2004). It is left out, as in `seeds_and_samples`: the images that are available for
training are taken as given.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence

import numpy as np
from jaxtyping import Float

from cvlib.compare import statistics
from cvlib.compare.statistics import Estimate

Part = tuple[float, int]  # a variance and its degrees of freedom


def repeated_splits(splits: Sequence[Float[np.ndarray, " _"]], tested: Sequence[Sequence[Hashable]]) -> Estimate:
    """Return the paired t-test of the mean difference over at least two splits.

    Two splits often have equal differences by chance, so their variance is at least that of their samples; see
    `statistics.raised`.

    Args:
        splits: the paired differences of each split's test samples.
        tested: the names of these samples.
    """
    parts, more = _parts(splits, tested)
    return statistics.cautious(float(np.mean([split.mean() for split in splits])), parts, [more])


def group_interval(
    splits: Sequence[Float[np.ndarray, " _"]], tested: Sequence[Sequence[Hashable]], least: float = -math.inf,
    most: float = math.inf,
) -> tuple[float, float]:  # fmt: skip
    """Return the 95 % confidence interval of a recipe's metric, within its bounds; NaN for a single split.

    `splits` holds the metric's value for each test sample of each split, and `tested` the names of the samples.
    """
    if len(splits) < 2:
        return math.nan, math.nan
    parts, more = _parts(splits, tested)
    mean = float(np.mean([split.mean() for split in splits]))
    return statistics.bounded(mean, [*parts, more], sum(map(len, splits)), least, most)


def _parts(splits: Sequence[np.ndarray], tested: Sequence[Sequence[Hashable]]) -> tuple[list[Part], Part]:
    """Return the parts of the variance of the mean over splits, and what raises it for two splits."""
    k = len(splits)
    over_splits = float(np.var([split.mean() for split in splits], ddof=1)) / k
    samples = sum(float(np.var(split, ddof=1)) / len(split) for split in splits if len(split) > 1) / k**2
    freedom = max(sum(map(len, splits)) - k, 1)
    covariance, images = _covariance(splits, tested)
    if over_splits + covariance <= statistics.ZERO:  # every split gave the same result, so only the samples vary
        return [(samples, freedom)], (0.0, 1)
    parts = [(over_splits, k - 1), (covariance, max(images - 1, 1))]
    return parts, statistics.raised(over_splits, samples, k, freedom)


def _covariance(splits: Sequence[np.ndarray], tested: Sequence[Sequence[Hashable]]) -> tuple[float, int]:
    """Return what images that several splits share add to the variance of the mean, and the number of all images."""
    numbers: dict[Hashable, int] = {}
    images = np.array([numbers.setdefault(name, len(numbers)) for names in tested for name in names])
    shares = np.concatenate([(split - split.mean()) / len(split) for split in splits]) / len(splits)
    products = np.bincount(images, shares) ** 2 - np.bincount(images, shares**2)  # of different splits
    return max(float(products.sum()), 0.0), len(numbers)
