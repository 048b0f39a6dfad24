"""Each statistical test, compared with SciPy or with numbers computed by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from cvlib.compare import statistics


def test_the_interval_is_students_t_interval() -> None:
    values = [0.90, 0.92, 0.97]
    mean, deviation, low, high = statistics.interval(values)
    expected = stats.t.interval(0.95, 2, loc=np.mean(values), scale=stats.sem(values))
    assert (low, high) == pytest.approx(expected)
    assert mean == pytest.approx(0.93)
    assert deviation == pytest.approx(0.0360555)  # sqrt((0.03² + 0.01² + 0.04²) / 2)


def test_one_value_has_no_interval() -> None:
    mean, *rest = statistics.interval([0.9])
    assert mean == 0.9
    assert all(math.isnan(value) for value in rest)


def test_mcnemar_by_hand_and_by_scipy() -> None:
    first = np.array([1, 1, 1, 1, 1, 0, 1, 0, 1, 1.0])
    second = np.array([0, 0, 0, 0, 0, 1, 1, 0, 1, 1.0])
    assert statistics.mcnemar(first, second) == pytest.approx(2 * (1 + 6 / 2) / 64)  # 5 wins, 1 loss
    random = np.random.default_rng(0)
    first, second = random.integers(0, 2, (2, 500)).astype(float)
    wins, losses = int((first > second).sum()), int((first < second).sum())
    assert statistics.mcnemar(first, second) == pytest.approx(mid_p(wins, losses))
    assert statistics.mcnemar(first, first) == 1.0


def mid_p(wins: int, losses: int) -> float:
    fewer, total = min(wins, losses), wins + losses
    return float(2 * stats.binom.cdf(fewer, total, 0.5) - stats.binom.pmf(fewer, total, 0.5))


def test_sign_flip_agrees_with_scipys_permutation_test() -> None:
    differences = np.array([1 / 3, 0, -1 / 3, 2 / 3, 1 / 3, 0, 1, -1 / 3, 1 / 3, 2 / 3, 0, 1 / 3])
    exact = stats.permutation_test((differences,), np.mean, permutation_type="samples", n_resamples=np.inf).pvalue
    assert statistics.sign_flip(differences) == pytest.approx(exact, abs=0.01)
    assert statistics.sign_flip(differences) == statistics.sign_flip(differences)
    assert statistics.sign_flip(np.zeros(5)) == 1.0


def test_seeds_and_samples_equals_welchs_test_if_samples_do_not_differ() -> None:
    seeds = np.array([0.91, 0.93, 0.95]), np.array([0.85, 0.90])
    found = statistics.seeds_and_samples(*(np.repeat(group[:, None], 40, axis=1) for group in seeds))
    assert found.p == pytest.approx(stats.ttest_ind(*seeds, equal_var=False).pvalue)
    assert found.p == pytest.approx(statistics.welch(*(list(group) for group in seeds)).p)


def test_seeds_and_samples_equals_the_paired_t_test_if_seeds_do_not_differ() -> None:
    first, second = np.random.default_rng(1).random((2, 60))
    found = statistics.seeds_and_samples(np.tile(first, (3, 1)), np.tile(second, (2, 1)))
    expected = stats.ttest_rel(first, second)
    assert found.p == pytest.approx(expected.pvalue)
    assert (found.low, found.high) == pytest.approx(tuple(expected.confidence_interval(0.95)))


def test_seeds_and_samples_by_hand() -> None:
    first = np.array([[1, 1, 1, 0], [1, 1, 0, 1.0]])  # accuracies 3/4, 3/4
    second = np.array([[1, 0, 0, 0], [1, 0, 1, 0.0]])  # accuracies 1/4, 1/2
    # Variances over seeds: 0 and (1/32) / 2. Sample differences 0, 1, 0, 1/2: variance 11/48 over 4 samples.
    # Mean squares of the residuals: 1/3 and 1/8, each over 2 × 4 values. The samples add 11/48/4 − (1/3 + 1/8)/8 = 0.
    # Two seeds have at least the variance of their noise, 1/24 and 1/64, but that must not lower p.
    found = statistics.seeds_and_samples(first, second)
    assert found.difference == pytest.approx(3 / 8)
    assert found.error == pytest.approx(math.sqrt(1 / 24 + 1 / 64))
    assert found.p == pytest.approx(2 * stats.t.sf(3 / 8 / math.sqrt(1 / 64), 1))


def test_seeds_and_samples_of_three_seeds_by_hand() -> None:
    first = np.array([[1, 1, 1, 0], [1, 1, 0, 1], [1, 1, 0, 0.0]])  # accuracies 3/4, 3/4, 1/2
    second = np.array([[1, 0, 0, 0], [1, 0, 1, 0], [1, 0, 0, 0.0]])  # accuracies 1/4, 1/2, 1/4
    # Each S² is 1/48. Mean differences of the samples: 0, 1, 0, 1/3; their variance is 2/9.
    residual = [sum((_two_way(group) ** 2).flat) / 6 for group in (first, second)]
    samples = max(2 / 9 / 4 - sum(residual) / 12, 0)
    seeds = 1 / 48 / 3
    variance = 2 * seeds + samples
    freedom = variance**2 / (2 * seeds**2 / 2 + samples**2 / 3)
    found = statistics.seeds_and_samples(first, second)
    assert found.error == pytest.approx(math.sqrt(variance))
    assert found.p == pytest.approx(2 * stats.t.sf(1 / 3 / math.sqrt(variance), freedom))


def _two_way(group: np.ndarray) -> np.ndarray:
    """Return the residuals of a least-squares fit by seed and sample."""
    k, n = group.shape
    design = np.concatenate([np.repeat(np.eye(k), n, axis=0), np.tile(np.eye(n), (k, 1))], axis=1)
    fitted = design @ np.linalg.lstsq(design, group.ravel(), rcond=None)[0]
    residuals: np.ndarray = group.ravel() - fitted
    return residuals


def test_only_the_test_over_seeds_keeps_its_level_if_recipes_are_equal() -> None:
    random, level, trials = np.random.default_rng(0), 0.05, 200
    rejected = np.zeros(2)
    for _ in range(trials):
        ease = random.normal(2.5, 2, 200)
        first, second = (
            np.array([ease + random.normal(0, 1, 200) + random.normal(0, 0.5) > 0 for _ in range(3)]).astype(float)
            for _ in range(2)
        )
        rejected[0] += statistics.seeds_and_samples(first, second).p < level
        rejected[1] += statistics.sign_flip(first.mean(axis=0) - second.mean(axis=0), draws=500) < level
    assert rejected[0] / trials < 0.09
    assert rejected[1] / trials > 0.2


def test_p_is_1_for_equal_results_and_0_for_constant_different_ones() -> None:
    same = np.ones((3, 10))
    assert statistics.seeds_and_samples(same, same).p == 1.0
    assert statistics.seeds_and_samples(same, np.zeros((3, 10))).p == 0.0


@pytest.mark.parametrize(("seeds", "samples"), [(2, 300), (3, 50), (5, 300), (10, 2000)])
def test_the_interval_of_a_group_covers_its_true_metric(seeds: int, samples: int) -> None:
    random, truth, covered = np.random.default_rng(seeds), 0.85, 0
    for _ in range(400):
        easy = random.normal(0, 0.1, samples)  # some samples are easier for every network
        chance = np.clip(truth + random.normal(0, 0.01, (seeds, 1)) + easy, 0, 1)
        chance += truth - np.clip(truth + random.normal(0, 0.1, 20000), 0, 1).mean()  # clipping moves the mean
        low, high = statistics.group_interval((random.random((seeds, samples)) < chance).astype(float), 0.0, 1.0)
        covered += low <= truth <= high
    assert 0.88 < covered / 400 < 0.995


def test_intervals_without_variation_between_seeds_equal_wilsons() -> None:
    low, high = statistics.group_interval(np.ones((3, 40)), 0.0, 1.0)
    quantile = stats.norm.ppf(0.975)
    assert high == 1.0 and low == pytest.approx(40 / (40 + quantile**2), abs=0.01)
    low, high = statistics.group_interval(np.full((3, 40), 0.5), 0.0, 1.0)
    assert (low, high) == pytest.approx(stats.binomtest(20, 40).proportion_ci(method="wilson"), abs=0.01)
    assert math.isnan(statistics.group_interval(np.ones((1, 40)), 0.0, 1.0)[0])


def test_a_single_seed_uses_the_seed_variance_of_the_other_group() -> None:
    """If samples don't differ, t has k − 1 degrees of freedom, and the variance is S² (1/k + 1)."""
    several, single = np.array([0.90, 0.92, 0.97]), np.array([0.80])
    found = statistics.seeds_and_samples(*(np.repeat(group[:, None], 40, axis=1) for group in (several, single)))
    error = math.sqrt(np.var(several, ddof=1) * (1 / 3 + 1))
    assert found.error == pytest.approx(error)
    assert found.p == pytest.approx(2 * stats.t.sf((several.mean() - 0.8) / error, 2))


def test_seeds_needed_equals_a_power_calculation() -> None:
    """If samples don't differ, it is the power calculation of a t-test with equal variances."""
    first, second = np.array([0.90, 0.94]), np.array([0.88, 0.92])
    needed = statistics.seeds_needed(*(np.repeat(group[:, None], 50, axis=1) for group in (first, second)))
    variance = 2 * 0.0008
    expected = next(k for k in range(2, 100) if stats.t.ppf(0.975, 2 * (k - 1)) * math.sqrt(variance / k) < 0.02)
    assert needed == expected
    one, other = np.repeat(np.array([[1.0, 0.0] * 20, [0.0, 1.0] * 20])[:, None], 2, axis=1)
    one[0, 1] = one[1, 3] = one[1, 5] = 1  # the networks of a group are wrong on the same images
    assert statistics.seeds_needed(one, other) is None


def test_two_seeds_that_agree_by_chance_have_at_least_the_variance_of_their_noise() -> None:
    """The seeds are right on 30 and 31 of 40 images, but on different ones."""
    seeds = np.array([[1.0] * 30 + [0.0] * 10, [0.0] * 9 + [1.0] * 31])
    over_seeds = 2 * (1 / 80) ** 2 / 2
    noise = np.var(seeds[0] - seeds[1], ddof=1) / 2 / 80
    samples = max(np.var(seeds.mean(axis=0), ddof=1) / 40 - noise, 0)
    assert over_seeds < noise
    variance = noise + samples
    freedom = variance**2 / (over_seeds**2 + (noise - over_seeds) ** 2 / 39 + samples**2 / 39)
    low, high = statistics.group_interval(seeds)
    assert (high - low) / 2 == pytest.approx(math.sqrt(variance) * stats.t.ppf(0.975, freedom))
    assert statistics.raised(over_seeds, noise, 2, 39) == pytest.approx((noise - over_seeds, 39))
    assert statistics.raised(over_seeds, noise, 3, 78) == (0.0, 78)


def test_holm_by_hand() -> None:
    assert statistics.holm([0.01, 0.04, 0.03], 3) == pytest.approx([0.03, 0.06, 0.06])
    assert statistics.holm([0.01, 0.04], 5) == pytest.approx([0.05, 0.16])
    assert statistics.holm([0.5], 4) == [1.0]
    assert statistics.holm([], 0) == []


def test_the_interval_of_a_loss_does_not_fall_below_its_bound() -> None:
    losses = np.array([0.0, 0.1, 0.0, 3.0])
    low, high = statistics.network_interval(losses, 0.0, math.inf)
    assert low == 0
    assert high == pytest.approx(stats.t.interval(0.95, 3, losses.mean(), stats.sem(losses))[1])
