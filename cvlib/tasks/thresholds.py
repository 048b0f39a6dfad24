"""Thresholds of probabilities, chosen on validation by a rule. Needs no Keras."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

from cvlib.config.fields import require

DEFAULT_THRESHOLD = 0.5  # the threshold of a class without positive samples in validation
_ROUNDING = 1e-12


@dataclass(frozen=True)
class Rule:
    """How a threshold is chosen on validation.

    Attributes:
        measure: f1: the threshold with the highest F1. precision: the lowest threshold that reaches `least`, which
            finds the most samples. recall: the highest threshold that reaches `least`, which is the most precise.
        least: the lowest allowed precision or recall, 0–1.
    """

    measure: str = "f1"
    least: float = 0.0


def rule_of(text: str) -> Rule:
    """Return the rule of `model.thresholds`, such as f1 or precision:0.9; raise `UserError` if it is invalid."""
    found = re.fullmatch(r"f1|(precision|recall):(\d*\.?\d+)", text)
    least = float(found[2]) if found and found[2] else 1.0
    expected = "f1, or precision or recall with a value from 0 to 1, such as precision:0.9"
    require(found is not None and 0 < least <= 1, "model.thresholds", text, expected)
    assert found is not None
    return Rule(found[1], least) if found[1] else Rule()


def best(probabilities: np.ndarray, truth: np.ndarray, rule: Rule) -> float:
    """Return the threshold that the rule chooses; 0.5 without positive samples.

    It is midway between two probabilities, so that rounding can't change a decision. Of several thresholds with the
    highest F1, it is the one nearest to 0.5. If no threshold reaches the precision, it is the lowest one with the
    highest precision.

    Args:
        probabilities: float `(n,)`.
        truth: whether each sample is positive, bool `(n,)`.
        rule: the rule.
    """
    if not truth.any():
        return DEFAULT_THRESHOLD
    hits, found, levels = cuts(probabilities, truth)
    below = np.append(levels[1:], 0.0)  # the next lower probability, which is decided as negative
    middles = (levels + below) / 2
    if rule.measure == "recall":
        return float(middles[hits / truth.sum() >= rule.least - _ROUNDING].max())
    if rule.measure == "precision":
        precision = hits / found
        return float(middles[precision >= min(rule.least, precision.max()) - _ROUNDING].min())
    f1 = 2 * hits / (found + truth.sum())
    highest = middles[f1 >= f1.max() - _ROUNDING]
    return float(highest[np.argmin(np.abs(highest - DEFAULT_THRESHOLD))])


def falls_short(found: np.ndarray, truth: np.ndarray, rule: Rule | None) -> bool:
    """Return whether decisions `(n,)` with the rule's threshold miss the required precision."""
    if rule is None or rule.measure != "precision" or not truth.any():
        return False
    return bool((found & truth).sum() < (rule.least - _ROUNDING) * found.sum())


def cuts(scores: np.ndarray, truth: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return for each threshold, highest first: true positives and samples at or above it (counts), and its value."""
    order = np.argsort(-scores, kind="stable")
    ordered = scores[order]
    last = np.append(np.flatnonzero(np.diff(ordered)), len(ordered) - 1)  # of equal scores
    return np.cumsum(truth[order])[last], last + 1, ordered[last]
