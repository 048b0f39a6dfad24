"""Thresholds that a rule chooses, against every possible threshold and by hand."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import f1_score, precision_score, recall_score

from cvlib.runtime.errors import UserError
from cvlib.tasks.thresholds import Rule, best, falls_short, rule_of


@pytest.mark.parametrize("seed", range(5))
def test_no_threshold_has_a_higher_f1_than_the_best(seed: int) -> None:
    random = np.random.default_rng(seed)
    truth = random.random(50) < 0.3
    probabilities = np.clip(0.3 * truth + random.random(50) * 0.7, 0, 1).round(2)
    chosen = best(probabilities, truth, Rule())
    highest = max(f1_score(truth, probabilities >= threshold) for threshold in np.unique(probabilities))
    assert f1_score(truth, probabilities >= chosen) == pytest.approx(highest)
    assert np.abs(probabilities - chosen).min() > 1e-3  # rounding can't change a decision


@pytest.mark.parametrize(("probabilities", "truth", "threshold"), [
    ([0.1, 0.3, 0.6, 0.8], [0, 0, 1, 1], 0.45),  # half-way between the last one that is absent and the first there
    ([0.2, 0.4], [1, 1], 0.1),  # everything is to be found
    ([0.2, 0.4], [0, 0], 0.5),  # nothing to choose by
    ([0.1, 0.2, 0.3, 0.9], [1, 0, 0, 1], 0.6),  # F1 2/3 at 0.6 as at 0.05: the one nearer to 0.5
])  # fmt: skip
def test_the_best_threshold_by_hand(probabilities: list[float], truth: list[int], threshold: float) -> None:
    found = best(np.array(probabilities), np.array(truth, bool), Rule())
    assert found == pytest.approx(threshold)


@pytest.mark.parametrize("least", [0.3, 0.6, 0.9])
@pytest.mark.parametrize("seed", range(5))
def test_no_lower_threshold_has_the_precision_and_no_higher_one_the_recall(seed: int, least: float) -> None:
    random = np.random.default_rng(seed)
    truth = random.random(50) < 0.3
    probabilities = np.clip(0.3 * truth + random.random(50) * 0.7, 0, 1).round(2)
    probabilities[truth.argmax()] = 1.0  # so that the highest threshold has precision 1
    probabilities[np.flatnonzero(~truth)[probabilities[~truth] == 1]] = 0.9
    levels = np.unique(probabilities)
    for measure, score, decide in (("precision", precision_score, min), ("recall", recall_score, max)):
        chosen = best(probabilities, truth, Rule(measure, least))
        able = [level for level in levels if score(truth, probabilities >= level) >= least]
        np.testing.assert_array_equal(probabilities >= chosen, probabilities >= decide(able))
        assert np.abs(probabilities - chosen).min() > 1e-3
        assert not falls_short(probabilities >= chosen, truth, Rule(measure, least))


def test_a_precision_out_of_reach_gives_the_highest_one() -> None:
    probabilities, truth = np.array([0.9, 0.8, 0.6, 0.2]), np.array([False, True, True, False])
    rule = Rule("precision", 0.9)
    chosen = best(probabilities, truth, rule)
    assert chosen == pytest.approx(0.4)  # precision 2/3
    assert falls_short(probabilities >= chosen, truth, rule)
    assert not falls_short(probabilities >= chosen, truth, Rule("precision", 2 / 3))
    assert best(probabilities, np.zeros(4, bool), rule) == 0.5
    assert not falls_short(probabilities >= 0.5, np.zeros(4, bool), rule)


def test_rules_are_read() -> None:
    assert rule_of("f1") == Rule("f1")
    assert rule_of("precision:0.9") == Rule("precision", 0.9)
    assert rule_of("recall:.95") == Rule("recall", 0.95)


@pytest.mark.parametrize("text", ["", "f2", "precision", "precision:", "recall:0", "recall:1.1", "recall:-1", "0.5"])
def test_other_rules_are_refused(text: str) -> None:
    with pytest.raises(
        UserError, match=r"invalid model\.thresholds=.*: expected f1, or precision or recall with a val"
    ):
        rule_of(text)
