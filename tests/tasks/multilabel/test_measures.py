"""Multi-label measures compared with scikit-learn and with numbers computed by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, f1_score, label_ranking_average_precision_score

from cvlib.tasks.multilabel import measures


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("levels", [3, 1000])
def test_average_precision_equals_scikit_learns_also_with_ties(seed: int, levels: int) -> None:
    random = np.random.default_rng(seed)
    scores, truth = random.integers(0, levels, 60) / levels, random.random(60) < 0.3
    assert measures.average_precision(scores, truth) == pytest.approx(average_precision_score(truth, scores))


def test_average_precision_by_hand() -> None:
    # Ranked: present, absent, present. Precision is 1 at recall 1/2, and 2/3 at recall 1.
    assert measures.average_precision(np.array([0.9, 0.5, 0.7]), np.array([True, True, False])) == pytest.approx(5 / 6)
    assert math.isnan(measures.average_precision(np.array([0.9, 0.5]), np.array([False, False])))


@pytest.mark.parametrize("seed", range(5))
def test_no_threshold_has_a_higher_f1_than_the_best(seed: int) -> None:
    random = np.random.default_rng(seed)
    truth = random.random(50) < 0.3
    probabilities = np.clip(0.3 * truth + random.random(50) * 0.7, 0, 1).round(2)
    best = measures.best_threshold(probabilities, truth)
    highest = max(f1_score(truth, probabilities >= threshold) for threshold in np.unique(probabilities))
    assert f1_score(truth, probabilities >= best) == pytest.approx(highest)
    assert np.abs(probabilities - best).min() > 1e-3  # rounding can't change a decision


@pytest.mark.parametrize(("probabilities", "truth", "threshold"), [
    ([0.1, 0.3, 0.6, 0.8], [0, 0, 1, 1], 0.45),  # halfway between the highest absent and the lowest present sample
    ([0.2, 0.4], [1, 1], 0.1),  # the class is always present
    ([0.2, 0.4], [0, 0], 0.5),  # the class is never present
    ([0.1, 0.2, 0.3, 0.9], [1, 0, 0, 1], 0.6),  # F1 is 2/3 at 0.6 and at 0.05; 0.6 is nearer to 0.5
])  # fmt: skip
def test_the_best_threshold_by_hand(probabilities: list[float], truth: list[int], threshold: float) -> None:
    found = measures.best_threshold(np.array(probabilities), np.array(truth, bool))
    assert found == pytest.approx(threshold)


@pytest.mark.parametrize("seed", range(5))
def test_ranking_precision_averages_to_scikit_learns_metric(seed: int) -> None:
    random = np.random.default_rng(seed)
    scores, truth = random.normal(size=(30, 4)).round(1), random.random((30, 4)) < 0.4
    expected = label_ranking_average_precision_score(truth, scores)
    assert measures.ranking_precision(scores, truth).mean() == pytest.approx(expected)


def test_ranking_precision_by_hand() -> None:
    scores = np.array([[3.0, 2.0, 1.0], [3.0, 2.0, 1.0], [3.0, 2.0, 1.0]])
    truth = np.array([[1, 0, 1], [0, 0, 1], [0, 0, 0]], bool)
    # The first image ranks its two classes first (1/1) and third (2/3), the second its only class third (1/3).
    np.testing.assert_allclose(measures.ranking_precision(scores, truth), [5 / 6, 1 / 3, 1])
