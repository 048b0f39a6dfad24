"""Contributions of samples to ratios of sums: they average to the metric and equal its slopes, by scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import f1_score

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
