"""Contributions of samples to ratios of sums: they average to the metric and equal its slopes, by scikit-learn."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, cohen_kappa_score, f1_score, matthews_corrcoef, roc_auc_score

from cvlib.tasks import pseudo_values


@pytest.mark.parametrize("average", ["macro", "micro"])
def test_contributions_to_f1_are_its_slopes_and_average_to_it(average: str) -> None:
    """Increasing a sample's weight by a small ε changes F1 by ε · (contribution − F1) / n."""
    random = np.random.default_rng(0)
    truth, found = random.integers(0, 3, (2, 40))
    right = 2 * ((truth[:, None] == np.arange(3)) & (found[:, None] == np.arange(3)))
    marks = (truth[:, None] == np.arange(3)).astype(int) + (found[:, None] == np.arange(3))
    if average == "micro":
        right, marks = right.sum(axis=1, keepdims=True), marks.sum(axis=1, keepdims=True)
    values = pseudo_values.of_ratios(right, marks)
    whole = f1_score(truth, found, average=average)
    assert values.mean() == pytest.approx(whole)
    for number, value in enumerate(values):
        heavier = f1_score(truth, found, average=average, sample_weight=1 + 1e-6 * (np.arange(40) == number))
        assert 40 * (heavier - whole) / 1e-6 == pytest.approx(value - whole, abs=1e-3)


def test_parts_that_do_not_occur_are_left_out() -> None:
    values = pseudo_values.of_ratios(np.array([[1, 0], [0, 0]]), np.array([[1, 0], [1, 0]]))
    assert values.mean() == 0.5
    assert pseudo_values.of_ratios(np.zeros((3, 2)), np.zeros((3, 2))).tolist() == [0, 0, 0]


def check_slopes(values: np.ndarray, metric: Callable[[np.ndarray], float]) -> None:
    """Contributions average to the metric and are its slopes; `metric` takes the samples' weights."""
    n = len(values)
    whole, step = metric(np.ones(n)), 1e-6
    assert values.mean() == pytest.approx(whole)
    slopes = [(metric(1 + step * (np.arange(n) == number)) - whole) / step for number in range(n)]
    np.testing.assert_allclose(n * np.array(slopes), values - whole, atol=1e-3)


@pytest.mark.parametrize("levels", [3, 1000])  # with and without ties
@pytest.mark.parametrize("seed", range(3))
def test_contributions_to_rankings_are_their_slopes_and_average_to_them(seed: int, levels: int) -> None:
    random = np.random.default_rng(seed)
    scores, truth = random.integers(0, levels, 40) / levels, random.random(40) < 0.3
    area, precision = pseudo_values.roc_auc(scores, truth), pseudo_values.average_precision(scores, truth)
    assert area is not None and precision is not None
    check_slopes(area, lambda weights: roc_auc_score(truth, scores, sample_weight=weights))
    check_slopes(precision, lambda weights: average_precision_score(truth, scores, sample_weight=weights))


def test_rankings_without_a_positive_or_a_negative_sample_are_undefined() -> None:
    scores = np.array([[0.1, 0.2], [0.3, 0.1]])
    assert pseudo_values.roc_auc(scores[0], np.array([True, True])) is None
    assert pseudo_values.roc_auc(scores[0], np.array([False, False])) is None
    assert pseudo_values.average_precision(scores[0], np.array([False, False])) is None
    truth = np.array([[True, False], [False, False]])
    assert pseudo_values.macro(pseudo_values.roc_auc, scores, truth).mean() == 0  # only the first class counts
    assert pseudo_values.macro(pseudo_values.roc_auc, scores, ~truth).mean() == 1
    assert pseudo_values.macro(pseudo_values.roc_auc, scores, np.zeros((2, 2), bool)).tolist() == [0, 0]


@pytest.mark.parametrize("classes", [2, 4])
@pytest.mark.parametrize("seed", range(3))
def test_contributions_to_agreement_are_its_slopes_and_average_to_it(seed: int, classes: int) -> None:
    random = np.random.default_rng(seed)
    labels = random.integers(0, classes, 40)
    guesses = np.where(random.random(40) < 0.6, labels, random.integers(0, classes, 40))
    check_slopes(pseudo_values.cohen_kappa(labels, guesses, classes + 1),  # the last class never occurs
                 lambda weights: cohen_kappa_score(labels, guesses, sample_weight=weights))  # fmt: skip
    check_slopes(pseudo_values.mcc(labels, guesses, classes + 1),
                 lambda weights: matthews_corrcoef(labels, guesses, sample_weight=weights))  # fmt: skip


def test_agreement_is_0_if_only_one_class_occurs() -> None:
    ones, mixed = np.ones(4, int), np.array([0, 1, 1, 1])
    assert pseudo_values.cohen_kappa(ones, ones, 2).tolist() == [0] * 4
    assert pseudo_values.mcc(ones, ones, 2).tolist() == [0] * 4
    assert pseudo_values.mcc(mixed, ones, 2).mean() == matthews_corrcoef(mixed, ones) == 0
