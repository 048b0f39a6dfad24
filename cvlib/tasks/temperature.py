"""Temperature scaling: all logits divided by one number, so that probabilities match frequencies. Needs no Keras.

The number is fitted on validation and never changes which class is most probable. Guo et al., On Calibration of Modern
Neural Networks, ICML 2017.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Integer

KEY = "temperature"  # of labels.json
_LOWEST, _HIGHEST = 0.01, 100.0
_STEPS = 40  # of the bisection: a relative error of 1e-11


def of_classes(logits: Float[np.ndarray, "samples classes"], labels: Integer[np.ndarray, " samples"]) -> float:
    """Return the temperature with the lowest mean cross-entropy of the true classes, see `_fitted`."""
    shifted = logits.astype(np.float64) - logits.max(axis=1, keepdims=True)
    true = shifted[np.arange(len(labels)), labels]

    def slope(inverse: float) -> float:
        odds = np.exp(inverse * shifted)
        return float(((odds * shifted).sum(axis=1) / odds.sum(axis=1) - true).mean())

    return _fitted(slope)


def of_class_sets(logits: Float[np.ndarray, "samples classes"], truth: Bool[np.ndarray, "samples classes"]) -> float:
    """Return the temperature with the lowest mean binary cross-entropy of all decisions, see `_fitted`."""
    wide = logits.astype(np.float64)
    return _fitted(lambda inverse: float(((sigmoid(inverse * wide) - truth) * wide).mean()))


def _fitted(slope: Callable[[float], float]) -> float:
    """Return the temperature at which the loss is lowest, 0.01–100.

    `slope` is the derivative of the loss with respect to 1/temperature. It never decreases, because the loss is convex.
    Returns 1 if the loss has no minimum, because every prediction is correct.
    """
    low, high = 1 / _HIGHEST, 1 / _LOWEST
    if slope(high) <= 0:
        return 1.0
    for _ in range(_STEPS):
        middle = math.sqrt(low * high)
        low, high = (middle, high) if slope(middle) < 0 else (low, middle)
    return 1 / high


def scaled(probability: np.ndarray, temperature: float) -> np.ndarray:
    """Return the probabilities of logits divided by `temperature`, for probabilities of the original logits."""
    with np.errstate(divide="ignore"):
        logits = np.log(probability) - np.log1p(-probability)
    return sigmoid(logits / temperature)


def sigmoid(logits: np.ndarray) -> np.ndarray:
    """Return the probabilities of binary logits, without overflow."""
    probabilities: np.ndarray = 1 / (1 + np.exp(-np.clip(logits.astype(np.float64), -500, 500)))
    return probabilities


def of_decision(decision: Mapping[str, Any]) -> float:
    """Return the temperature in labels.json; 1 if it is missing or invalid."""
    found = decision.get(KEY)
    valid = isinstance(found, int | float) and math.isfinite(found) and found > 0
    return float(found) if valid and found is not None else 1.0
