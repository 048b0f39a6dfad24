"""Slices: they recombine to the total, and their tests agree with scipy's."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from cvlib.compare import slices
from cvlib.compare.statistics import holm
from cvlib.runs.metric_specs import MetricSpec

ACCURACY = MetricSpec("accuracy", column="prediction", sample="right")
SHARE = MetricSpec("mIoU", column="mIoU_pseudo_value", sample="share")


def test_slices_weighted_by_their_size_recombine_to_the_total() -> None:
    random = np.random.default_rng(0)
    names = [f"camera {number}" for number in random.integers(0, 4, 101)]
    for spec, values in ((ACCURACY, random.integers(0, 2, 101).astype(float)), (SHARE, random.normal(0.6, 0.4, 101))):
        *found, total = slices.by_slice(values, names, spec)
        assert (total.name, total.images, total.value) == ("all", 101, values.mean())
        assert sum(one.images for one in found) == 101
        assert sum(one.images * one.value for one in found) / 101 == pytest.approx(values.mean(), abs=1e-12)


def test_a_slice_by_hand() -> None:
    values = np.array([1, 1, 1, 0, 0, 0, 0, 1.0])
    first, second, _ = slices.by_slice(values, ["a"] * 4 + ["b"] * 4, ACCURACY)
    assert (first.value, first.difference, second.value, second.difference) == (0.75, 0.5, 0.25, -0.5)
    # Wilson's interval for 3 of 4: (3/4 + z²/8 ± z √(3/64 + z²/64)) / (1 + z²/4).
    z = 1.959964
    half = z * math.sqrt(3 / 64 + z * z / 64)
    assert first.low == pytest.approx((3 / 4 + z * z / 8 - half) / (1 + z * z / 4))
    assert first.high == pytest.approx((3 / 4 + z * z / 8 + half) / (1 + z * z / 4))
    # 34 of the 70 possible slices of four images are as extreme: 1, 16, 16 and 1 with 0, 1, 3 and 4 correct images.
    assert first.p == pytest.approx(34 / 70, abs=0.02)


@pytest.mark.parametrize("seed", range(3))
def test_p_values_are_those_of_other_implementations(seed: int) -> None:
    random = np.random.default_rng(seed)
    member = np.arange(60) < 20
    values = random.normal(0, 1, 60) + 0.5 * member
    expected = stats.permutation_test(
        (values[member], values[~member]), lambda x, y, axis: x.mean(axis) - y.mean(axis), vectorized=True,
        n_resamples=9999, rng=np.random.default_rng(1),
    )  # fmt: skip
    assert slices.permutation(values, member) == pytest.approx(expected.pvalue, abs=0.03)
    hits = (random.random(60) < 0.5 + 0.2 * member).astype(float)
    table = [[hits[member].sum(), 20 - hits[member].sum()], [hits[~member].sum(), 40 - hits[~member].sum()]]
    assert slices.permutation(hits, member) == pytest.approx(stats.fisher_exact(table).pvalue, abs=0.1)


def test_the_p_values_are_corrected_for_the_number_of_slices() -> None:
    random = np.random.default_rng(5)
    names = [str(number) for number in np.arange(120) % 12]
    found = slices.by_slice(random.normal(0, 1, 120), names, SHARE)[:-1]
    assert [one.name for one in found] == [str(number) for number in range(12)]
    assert [one.corrected for one in found] == holm([one.p for one in found], 12)


def test_without_a_difference_a_false_alarm_is_rare() -> None:
    random = np.random.default_rng(6)
    names = [str(number) for number in np.arange(100) % 5]
    alarms = [
        any(one.corrected < 0.05 for one in slices.by_slice((random.random(100) < 0.8).astype(float), names, ACCURACY))
        for _ in range(200)
    ]
    assert np.mean(alarms) <= 0.07


def test_values_of_the_images() -> None:
    rows = [{"truth": "a", "prediction": "a", "mIoU_pseudo_value": "0.25"},
            {"truth": "a", "prediction": "b", "mIoU_pseudo_value": "1.5"}]  # fmt: skip
    for spec, expected in ((ACCURACY, [1, 0]), (SHARE, [0.25, 1.5])):
        found = slices.image_values(rows, spec)
        assert found is not None and found.tolist() == expected
    assert slices.image_values(rows, MetricSpec("top5_accuracy")) is None
