"""The agreement of two runtimes' probabilities, by hand."""

from __future__ import annotations

import numpy as np
import pytest

from cvlib.tasks.agreement import Agreement, of_probabilities


def test_agreement_is_the_largest_difference_and_the_number_of_same_answers() -> None:
    expected = {"probabilities": np.array([[[0.9, 0.1], [0.4, 0.6]]])}
    found = of_probabilities(expected, {"probabilities": np.array([[[0.85, 0.15], [0.55, 0.45]]])})
    assert found.difference == pytest.approx(0.15)
    assert (found.same, found.answers) == (1, 2)


def test_nan_stays_nan_in_a_sum() -> None:
    undefined = of_probabilities({"a": np.array([[0.9, 0.1]])}, {"a": np.array([[np.nan, np.nan]])})
    whole = Agreement(0.5, 1, 1) + undefined + Agreement(0.1, 1, 1)
    assert np.isnan(whole.difference)
    assert (whole.same, whole.answers) == (2, 3)
