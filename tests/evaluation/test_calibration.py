"""The calibration error compared with numbers computed by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from cvlib.evaluation.calibration import calibration, diagram, summary
from cvlib.tasks.classification.predictions import ClassPredictions


def two_classes(confidences: list[float], correct: list[bool]) -> tuple[np.ndarray, np.ndarray]:
    return np.array(confidences), np.array(correct)


def test_the_calibration_error_by_hand() -> None:
    # Bin (8/15, 9/15] holds 0.55 (wrong) and its upper edge 0.6 (right), bin (14/15, 1] 0.95 (right) and 0.97 (wrong).
    found = calibration(*two_classes([0.95, 0.6, 0.97, 0.55], [True, True, False, False]))
    assert found.error == pytest.approx(2 / 4 * abs(0.575 - 0.5) + 2 / 4 * abs(0.96 - 0.5))
    assert [row["samples"] for row in found.rows()] == [2, 2]
    assert found.rows()[0] == pytest.approx(
        {"above": 8 / 15, "to": 9 / 15, "samples": 2, "confidence": 0.575, "accuracy": 0.5}
    )


def test_certain_predictions_have_error_0_if_correct_and_1_if_wrong() -> None:
    assert calibration(*two_classes([1.0] * 3, [True] * 3)).error == 0
    assert calibration(*two_classes([1.0] * 3, [False] * 3)).error == 1


def test_the_error_of_many_predictions_equals_that_of_a_loop() -> None:
    random = np.random.default_rng(0)
    probabilities = random.dirichlet(np.full(5, 0.4), 500)
    labels = random.integers(0, 5, 500)
    expected = 0.0
    for low in range(15):
        confidence = probabilities.max(axis=1)
        inside = (confidence > low / 15) & (confidence <= (low + 1) / 15)
        if inside.any():
            correct = probabilities[inside].argmax(axis=1) == labels[inside]
            expected += inside.sum() / 500 * abs(correct.mean() - confidence[inside].mean())
    hits = probabilities.argmax(axis=1) == labels
    assert calibration(probabilities.max(axis=1), hits).error == pytest.approx(expected)


def test_the_summary_holds_the_errors_with_and_without_temperature() -> None:
    random = np.random.default_rng(0)
    labels = random.integers(0, 4, 300)
    logits = 4 * (random.normal(size=(300, 4)) + 1.5 * np.eye(4)[labels])  # too confident
    val = ClassPredictions(logits, labels, list("abcd")).calibrated()
    test = ClassPredictions(logits[:100], labels[:100], list("abcd")).decided(val.decision())
    found = summary({"val": val, "test": test}, val.decision())
    assert found is not None and found["temperature"] == val.temperature > 2
    for name, split in (("val", val), ("test", test)):
        unscaled = replace(split, temperature=1.0)
        assert found[name]["ece"] == calibration(*split.confidences()).error < found[name]["ece_unscaled"]
        assert found[name]["ece_unscaled"] == calibration(*unscaled.confidences()).error


def test_the_diagram_is_an_image() -> None:
    picture = diagram(calibration(*two_classes([0.6, 0.9], [True, False])))
    assert picture.dtype == np.uint8
    assert picture.ndim == 3
