"""The contribution of each sample to a metric of a whole split, so that runs can be compared sample by sample.

Every function returns contributions whose mean is the metric, as defined in scikit-learn. They are linearized as in
`of_ratios`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import numpy as np
from jaxtyping import Bool, Float, Integer, Num

from cvlib.runs.metric_specs import MetricSpec


def spec(metric: str, low: float = 0.0) -> MetricSpec:
    """Return the spec of a metric in `low`–1 whose contributions are a column of test_results.csv."""
    return MetricSpec(metric, low=low, column=column(metric), sample="share")


def columns(contributions: Mapping[str, np.ndarray]) -> Iterator[dict[str, str]]:
    """Yield each sample's columns of test_results.csv; `contributions` are `(samples,)` by metric."""
    names = [column(metric) for metric in contributions]
    for values in zip(*contributions.values(), strict=True):
        yield {name: f"{value:.6f}" for name, value in zip(names, values, strict=True)}


def column(metric: str) -> str:
    """Return the name of the column of test_results.csv with the contributions to a metric."""
    return f"{metric}_pseudo_value"


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


def macro(
    measure: Callable[[np.ndarray, np.ndarray], np.ndarray | None],
    scores: Num[np.ndarray, "samples classes"], truth: Bool[np.ndarray, "samples classes"],
) -> Float[np.ndarray, " samples"]:  # fmt: skip
    """Return the mean contributions over the classes for which `measure` is defined; without any, 0.

    `measure` is `roc_auc` or `average_precision`.
    """
    total, defined = np.zeros(len(truth)), 0
    for column, true in zip(scores.T, truth.T, strict=True):
        if (values := measure(column, true)) is not None:
            total, defined = total + values, defined + 1
    return total / max(defined, 1)


def roc_auc(
    scores: Num[np.ndarray, " samples"], truth: Bool[np.ndarray, " samples"]
) -> Float[np.ndarray, " samples"] | None:  # fmt: skip
    """Return each sample's contribution to the area under the ROC curve; None unless both truths occur.

    They are the structural components of DeLong et al. (Biometrics, 1988): the share of negative samples that score
    lower than a positive one, or of positive samples that score higher than a negative one. Ties count half.
    """
    if truth.all() or not truth.any():
        return None
    components = np.empty(len(truth))
    components[truth] = _share_below(scores[~truth], scores[truth])
    components[~truth] = 1 - _share_below(scores[truth], scores[~truth])
    area = components[truth].mean()
    alike = np.where(truth, truth.sum(), (~truth).sum())  # the number of samples with the same truth
    values: np.ndarray = area + len(truth) * (components - area) / alike
    return values


def _share_below(others: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Return the share of `others` below each score; equal ones count half."""
    ordered = np.sort(others)
    ranks = np.searchsorted(ordered, scores, "left") + np.searchsorted(ordered, scores, "right")
    return ranks / (2 * len(ordered))


def average_precision(
    scores: Num[np.ndarray, " samples"], truth: Bool[np.ndarray, " samples"]
) -> Float[np.ndarray, " samples"] | None:  # fmt: skip
    """Return each sample's contribution to the average precision; None without positive samples.

    Average precision is the mean precision at the scores of the positive samples. A sample also changes the precision
    at all scores below its own.
    """
    positives = int(truth.sum())
    if not positives:
        return None
    _, level = np.unique(-scores, return_inverse=True)  # level 0 holds the highest scores
    hits, samples = np.bincount(level, truth), np.bincount(level)
    above = np.cumsum(samples)
    precision = np.cumsum(hits) / above
    mean = float((hits * precision).sum()) / positives
    gain, loss = (np.cumsum((hits * part / above)[::-1])[::-1][level] for part in (1.0, precision))
    influence = truth * (precision[level] - mean + gain) - loss
    return mean + len(truth) * influence / positives


def cohen_kappa(
    labels: Integer[np.ndarray, " samples"], guesses: Integer[np.ndarray, " samples"], classes: int
) -> Float[np.ndarray, " samples"]:  # fmt: skip
    """Return each sample's contribution to Cohen's kappa; 0 if it is undefined, because only one class occurs."""
    true, found, hits = _shares(labels, guesses, classes)
    agreed, chance = hits.mean(), float(true @ found)
    if chance >= 1:
        return np.zeros(len(labels))
    of_chance = found[labels] + true[guesses] - 2 * chance
    slope = ((hits - agreed) * (1 - chance) - of_chance * (1 - agreed)) / (1 - chance) ** 2
    values: np.ndarray = (agreed - chance) / (1 - chance) + slope
    return values


def mcc(
    labels: Integer[np.ndarray, " samples"], guesses: Integer[np.ndarray, " samples"], classes: int
) -> Float[np.ndarray, " samples"]:  # fmt: skip
    """Return each sample's contribution to Matthews' correlation coefficient of several classes.

    It is 0 if truth or prediction has one class only. Gorodkin, Comparing two K-category assignments by a K-category
    correlation coefficient, 2004.
    """
    true, found, hits = _shares(labels, guesses, classes)
    agreed, chance = hits.mean(), float(true @ found)
    of_truth, of_guesses = 1 - float(true @ true), 1 - float(found @ found)
    if min(of_truth, of_guesses) <= 0:
        return np.zeros(len(labels))
    scale = np.sqrt(of_truth * of_guesses)
    correlation = (agreed - chance) / scale
    covariance = hits - agreed - (found[labels] + true[guesses] - 2 * chance)
    variances = (true[labels] - true @ true) / of_truth + (found[guesses] - found @ found) / of_guesses
    values: np.ndarray = correlation + covariance / scale + correlation * variances
    return values


def _shares(labels: np.ndarray, guesses: np.ndarray, classes: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the share of each class in truth and prediction, `(classes,)`, and whether each sample is correct."""
    true, found = (np.bincount(ids, minlength=classes) / len(ids) for ids in (labels, guesses))
    return true, found, (labels == guesses).astype(float)
