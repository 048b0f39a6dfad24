"""What the features of a frozen base tell: a linear probe, nearest neighbours, wrong labels, the value of more data.

All of it looks at training images only, and every prediction is made for images that the probe was not fitted on.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int, Num

_STRENGTH = 0.03  # C of the logistic regression on standardized features: strongly regularized
_ITERATIONS = 100
_SHARES = (0.1, 0.2, 0.35, 0.6, 1.0)  # of the training images in the learning curve
_REPEATS = 5
_DRAWS = 70  # bootstrap samples of the fitted curve
_STARTS = (0, 1, 2)  # the first points of the curve that are fitted


def probe(
    features: Float[np.ndarray, "n features"], targets: Num[np.ndarray, "n ..."],
    groups: Int[np.ndarray, " n"] | None, folds: int, seed: int,
) -> Float[np.ndarray, "n classes"]:  # fmt: skip
    """Return cross-validated probabilities of a regularized logistic regression on standardized features.

    Args:
        features: of each sample.
        targets: class ids `(n,)`, or 0/1 for each class `(n, classes)`.
        groups: samples with equal numbers are in one fold; None: no groups.
        folds: at most; fewer if a class or the groups are too small.
        seed: of the folds.
    """
    classes = targets.shape[1] if targets.ndim == 2 else int(targets.max()) + 1
    found = np.zeros((len(targets), classes), np.float32)
    for train, held_out in _folds(targets, groups, folds, seed):
        found[held_out] = _fitted(features[train], targets[train], features[held_out], classes)
    return found


def score(probabilities: Float[np.ndarray, "n classes"], targets: Num[np.ndarray, "n ..."]) -> float:
    """Return the accuracy or, with several classes for each sample, the mean average precision; both 0–1."""
    if targets.ndim == 1:
        return float((probabilities.argmax(1) == targets).mean())
    from sklearn.metrics import average_precision_score

    known = [column for column in range(targets.shape[1]) if targets[:, column].any()]
    return float(np.mean([average_precision_score(targets[:, one], probabilities[:, one]) for one in known]))


def neighbours(
    features: Float[np.ndarray, "n features"], targets: Int[np.ndarray, " n"], k: int,
    groups: Int[np.ndarray, " n"] | None = None,
) -> float:  # fmt: skip
    """Return the accuracy, 0–1, of a majority vote of each sample's `k` nearest others by cosine similarity.

    A sample of the same group has no vote.
    """
    unit = features / np.maximum(np.linalg.norm(features, axis=1, keepdims=True), 1e-12)
    right, k = 0, min(k, len(targets) - 1)
    for start in range(0, len(unit), 500):
        similarity = unit[start : start + 500] @ unit.T
        similarity[np.arange(len(similarity)), np.arange(start, start + len(similarity))] = -np.inf
        if groups is not None:
            similarity[groups[start : start + 500, None] == groups[None]] = -np.inf
        near = np.argpartition(-similarity, k - 1, axis=1)[:, :k]
        votes = np.array([np.bincount(targets[row], minlength=targets.max() + 1) for row in near])
        right += int((votes.argmax(1) == targets[start : start + 500]).sum())
    return right / len(targets)


def doubtful(
    probabilities: Float[np.ndarray, "n classes"], targets: Int[np.ndarray, " n"], sure: float = 0.9
) -> list[tuple[int, int, float]]:  # fmt: skip
    """Return samples whose label is probably wrong, most doubtful first: (sample, likelier class, its probability).

    The probe gives another class at least the probability `sure`, and it was not fitted on the sample.
    """
    other = probabilities.argmax(1)
    top = probabilities.max(1)
    found = np.flatnonzero((other != targets) & (top >= sure))
    return [(int(i), int(other[i]), float(top[i])) for i in found[np.argsort(-top[found], kind="stable")]]


@dataclass(frozen=True)
class MoreData:
    """The accuracy of the probe against the number of training images, and what twice as many would bring.

    Attributes:
        counts: numbers of training images.
        accuracies: of each repeat `(repeats, counts)`, 0–1.
        gain: expected gain in accuracy with twice as many images as the collection has, 0–1: the median of all fits.
        low, high: 95 % of the gains of all fits: in a bootstrap over the repeats, with and without the smallest counts,
            because the error of the curve itself is larger than that of its points.
    """

    counts: list[int]
    accuracies: list[list[float]]
    gain: float
    low: float
    high: float


def more_data(
    features: Float[np.ndarray, "n features"], targets: Int[np.ndarray, " n"], groups: Int[np.ndarray, " n"] | None,
    total: int, seed: int,
) -> MoreData | None:  # fmt: skip
    """Fit a power law to the probe's error against the number of images; None if there are too few images.

    `total` is the number of training images of the collection, of which the features may be a part.
    Hestness et al., Deep Learning Scaling is Predictable, Empirically, 2017: error(n) = a + b·n^−c.
    """
    generator = np.random.default_rng(seed)
    counts: list[int] = []
    found = []
    folds = _folds(targets, groups, _REPEATS, seed)
    if len(folds) < _REPEATS:
        return None
    for train, held_out in folds:
        order = generator.permutation(train)
        counts = [max(int(share * len(order)), 2) for share in _SHARES]
        if counts[0] < 2 * (int(targets.max()) + 1):
            return None
        row = []
        for count in counts:
            chosen = order[:count]
            guess = _fitted(features[chosen], targets[chosen], features[held_out], int(targets.max()) + 1)
            row.append(float((guess.argmax(1) == targets[held_out]).mean()))
        found.append(row)
    accuracies = np.array(found)
    gains = []
    for _ in range(_DRAWS):
        errors = 1 - accuracies[generator.integers(0, len(accuracies), len(accuracies))].mean(0)
        gains += [_gain(np.array(counts[start:]), errors[start:], total) for start in _STARTS]
    low, middle, high = map(float, np.quantile(gains, [0.025, 0.5, 0.975]))
    return MoreData(counts, found, middle, low, high)


def _gain(counts: np.ndarray, errors: np.ndarray, total: int) -> float:
    """Return how much the fitted error falls from `total` images to twice as many."""
    from scipy.optimize import least_squares

    scaled = counts / counts[-1]

    def misfit(values: np.ndarray) -> np.ndarray:
        floor, factor, power = values
        return np.asarray(floor + factor * scaled**-power - errors)

    best = least_squares(misfit, [errors[-1] / 2, errors[-1] / 2 + 1e-6, 0.5],
                         bounds=([0, 0, 0], [1, 1, 2]), x_scale=[0.1, 0.1, 0.5]).x  # fmt: skip
    return float(best[1] * (total / counts[-1]) ** -best[2] * (1 - 2 ** -best[2]))


def _folds(
    targets: np.ndarray, groups: np.ndarray | None, folds: int, seed: int
) -> list[tuple[np.ndarray, np.ndarray]]:
    from sklearn.model_selection import GroupKFold, KFold, StratifiedGroupKFold, StratifiedKFold

    smallest = int(np.bincount(targets)[np.unique(targets)].min()) if targets.ndim == 1 else 0
    count = max(min(folds, len(targets)), 2)
    if groups is not None and len(np.unique(groups)) > 1:
        count = min(count, len(np.unique(groups)))
        splitter = StratifiedGroupKFold if smallest >= count else GroupKFold
        return list(splitter(count, shuffle=True, random_state=seed).split(targets, targets, groups))
    if smallest >= 2:
        return list(StratifiedKFold(min(count, smallest), shuffle=True, random_state=seed).split(targets, targets))
    return list(KFold(count, shuffle=True, random_state=seed).split(targets))


def _fitted(features: np.ndarray, targets: np.ndarray, others: np.ndarray, classes: int) -> np.ndarray:
    """Return the probabilities of `others`, float32 `(others, classes)`; 0 for a class that `targets` lacks."""
    from sklearn.linear_model import LogisticRegression
    from threadpoolctl import threadpool_limits

    mean, deviation = features.mean(0), features.std(0)
    deviation[deviation < 1e-6] = 1.0
    features, others = (features - mean) / deviation, (others - mean) / deviation
    found = np.zeros((len(others), classes), np.float32)
    with warnings.catch_warnings(), threadpool_limits(1):  # BLAS' threads wait for each other on busy cores
        warnings.simplefilter("ignore")  # the last digits of a fit that has not converged don't matter here
        if targets.ndim == 1:
            known = np.unique(targets)
            if len(known) < 2:
                found[:, known] = 1.0
                return found
            model = LogisticRegression(C=_STRENGTH, max_iter=_ITERATIONS).fit(features, targets)
            found[:, model.classes_] = model.predict_proba(others)
            return found
        for column in range(classes):
            labels = targets[:, column]
            if labels.min() == labels.max():
                found[:, column] = labels[0]
            else:
                model = LogisticRegression(C=_STRENGTH, max_iter=_ITERATIONS).fit(features, labels)
                found[:, column] = model.predict_proba(others)[:, 1]
    return found
