"""The temperature with the lowest loss, against a search over many temperatures."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize_scalar
from sklearn.metrics import log_loss

from cvlib.tasks import temperature
from cvlib.tasks.temperature import of_class_sets, of_classes, of_decision, scaled, sigmoid


def softmax(logits: np.ndarray) -> np.ndarray:
    odds = np.exp(logits - logits.max(axis=1, keepdims=True))
    return odds / odds.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("factor", [0.2, 1.0, 5.0])  # too unsure, about right, too confident
@pytest.mark.parametrize("classes", [2, 5])
@pytest.mark.parametrize("seed", range(3))
def test_no_temperature_has_a_lower_loss_for_classes(seed: int, classes: int, factor: float) -> None:
    random = np.random.default_rng(seed)
    labels = random.integers(0, classes, 100)
    logits = factor * (random.normal(size=(100, classes)) + np.eye(classes)[labels])
    found = of_classes(logits.astype(np.float32), labels)

    def loss(value: float) -> float:
        return float(log_loss(labels, softmax(logits / value), labels=range(classes)))

    expected = minimize_scalar(lambda logarithm: loss(np.exp(logarithm)), bounds=(-3, 3), method="bounded")
    assert found == pytest.approx(np.exp(expected.x), rel=1e-3)
    assert loss(found) <= min(loss(value) for value in np.geomspace(0.02, 50, 200)) + 1e-9


@pytest.mark.parametrize("factor", [0.2, 1.0, 5.0])
@pytest.mark.parametrize("seed", range(3))
def test_no_temperature_has_a_lower_loss_for_class_sets(seed: int, factor: float) -> None:
    random = np.random.default_rng(seed)
    truth = random.random((100, 3)) < 0.3
    logits = factor * (random.normal(size=(100, 3)) + 2 * truth - 1)
    found = of_class_sets(logits, truth)

    def loss(value: float) -> float:
        return float(log_loss(truth.ravel(), sigmoid(logits / value).ravel()))

    assert loss(found) <= min(loss(value) for value in np.geomspace(0.02, 50, 200)) + 1e-9


def test_without_a_single_mistake_nothing_is_scaled() -> None:
    labels = np.array([0, 1, 1])
    assert of_classes(5.0 * np.eye(2)[labels], labels) == 1
    assert of_classes(np.zeros((3, 2)), labels) == 1
    assert of_class_sets(np.array([[2.0, -1.0]]), np.array([[True, False]])) == 1


def test_always_wrong_logits_are_flattened_as_far_as_allowed() -> None:
    labels = np.array([0, 1, 1])
    assert of_classes(5.0 * np.eye(2)[1 - labels], labels) == pytest.approx(100)


def test_probabilities_are_those_of_scaled_logits() -> None:
    logits = np.array([-800.0, -3.0, 0.0, 2.0, 40.0])
    np.testing.assert_allclose(scaled(sigmoid(logits), 2.0)[1:4], sigmoid(logits / 2)[1:4])
    assert scaled(np.array([0.0, 0.5, 1.0]), 3.0).tolist() == pytest.approx([0, 0.5, 1])


@pytest.mark.parametrize("decision", [{}, *({temperature.KEY: value} for value in (None, "hot", 0, -1, float("nan")))])
def test_without_a_usable_temperature_it_is_1(decision: dict[str, object]) -> None:
    assert of_decision(decision) == 1
    assert of_decision({temperature.KEY: 2}) == 2
