"""The test and the interval for repeats with their own splits, compared with SciPy or with numbers computed by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from cvlib.compare import splits

FOLDS = [range(start, start + 5) for start in (0, 5, 10)]


def test_folds_have_the_paired_t_test() -> None:
    gains = np.random.default_rng(0).normal(0.02, 0.1, (3, 5))
    found = splits.repeated_splits(list(gains), FOLDS)
    expected = stats.ttest_1samp(gains.mean(axis=1), 0)
    assert found.p == pytest.approx(expected.pvalue)
    assert (found.low, found.high) == pytest.approx(tuple(expected.confidence_interval(0.95)))


def test_shared_images_add_their_covariance() -> None:
    """Two of three splits share one image, and the covariance is that of its two deviations from the splits' means."""
    gains = [np.array([0.5, 0.1]), np.array([0.6, 0.0]), np.array([0.2, 0.1])]
    found = splits.repeated_splits(gains, [("a", "b"), ("a", "c"), ("d", "e")])
    over_splits = np.var([0.3, 0.3, 0.15], ddof=1) / 3
    shared = 2 * (0.2 / 6) * (0.3 / 6)
    freedom = (over_splits + shared) ** 2 / (over_splits**2 / 2 + shared**2 / 4)  # 3 splits, 5 images
    error = math.sqrt(over_splits + shared)
    assert found.error == pytest.approx(error)
    assert found.p == pytest.approx(2 * stats.t.sf(0.25 / error, freedom))


def test_the_covariance_of_images_is_not_negative() -> None:
    gains = [np.array([0.5, 0.1]), np.array([0.0, 0.4]), np.array([0.2, 0.1])]
    found = splits.repeated_splits(gains, [("a", "b"), ("a", "c"), ("d", "e")])
    assert found.error == pytest.approx(np.std([0.3, 0.2, 0.15], ddof=1) / math.sqrt(3))


def test_p_is_continuous_and_never_below_the_plain_test() -> None:
    """Use two splits of 100 images each, with an increasing gap between their mean gains."""
    base, names = np.array([1.0] * 40 + [-1.0] * 9 + [0.0] * 51), [range(100), range(100, 200)]
    gaps = np.linspace(0, 0.1, 201)
    found = [splits.repeated_splits([base - gap / 2, base + gap / 2], names) for gap in gaps]
    p = np.array([one.p for one in found])
    assert np.abs(np.diff(p))[1:].max() < 0.01
    for gap, one in zip(gaps[1:], found[1:], strict=True):
        plain = 2 * stats.t.sf(abs(base.mean()) / (gap / 2), 1)
        assert one.p >= plain - 1e-12


def test_equal_gains_use_the_standard_error_of_their_samples() -> None:
    one = np.array([1.0] * 10 + [-1.0] * 6 + [0.0] * 44)  # ahead by 4 of 60 images
    found = splits.repeated_splits([one, np.roll(one, 7)], [range(60), range(60, 120)])
    error = math.sqrt(2 * np.var(one, ddof=1) / 60) / 2
    assert (found.difference, found.error) == pytest.approx((4 / 60, error))
    assert found.p == pytest.approx(2 * stats.t.sf(4 / 60 / error, 118)) and found.p > 0.1


def test_the_interval_of_a_group_over_folds_is_a_t_interval() -> None:
    values = np.array([[0.7, 0.8, 0.9, 0.8, 0.8], [0.9, 0.8, 1.0, 0.9, 0.9], [0.6, 0.8, 0.7, 0.7, 0.7]])
    expected = stats.t.interval(0.95, 2, loc=0.8, scale=stats.sem([0.8, 0.9, 0.7]))
    assert splits.group_interval(list(values), FOLDS) == pytest.approx(expected)
    low, high = splits.group_interval(list(values), FOLDS, 0.0, 1.0)
    assert 0 < low < 0.8 < high < 1
    assert math.isnan(splits.group_interval(list(values[:1]), FOLDS[:1])[0])
