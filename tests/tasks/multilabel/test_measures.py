"""Multi-label measures compared with scikit-learn and with numbers computed by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, label_ranking_average_precision_score

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
