"""Metrics compared with scikit-learn and with numbers computed by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from sklearn.metrics import (
    confusion_matrix,
    f1_score,
    log_loss,
    precision_recall_fscore_support,
    top_k_accuracy_score,
)

from cvlib.tasks.classification.predictions import ClassPredictions

CLASSES = list("abcdefgh")


@pytest.fixture
def found() -> ClassPredictions:
    random = np.random.default_rng(0)
    labels = random.integers(0, 7, 200)
    labels[labels == 3] = 4  # a class that never occurs
    logits = random.normal(size=(200, 8)) + 1.5 * np.eye(8)[labels]
    logits[:, 7] = -50  # a class that is neither true nor predicted
    return ClassPredictions(logits.astype(np.float32), labels, CLASSES)


def test_metrics_equal_scikit_learns(found: ClassPredictions) -> None:
    values = found.metrics()
    assert values["loss"] == pytest.approx(log_loss(found.labels, found.probabilities, labels=range(8)), rel=1e-5)
    assert values["accuracy"] == np.mean(found.labels == found.logits.argmax(1))
    top5 = top_k_accuracy_score(found.labels, found.logits, k=5, labels=range(8))
    assert values["top5_accuracy"] == pytest.approx(top5)
    assert values["macro_f1"] == pytest.approx(f1_score(found.labels, found.guesses, average="macro"))
    np.testing.assert_array_equal(found.confusion, confusion_matrix(found.labels, found.guesses, labels=range(8)))


def test_rows_by_class_equal_scikit_learns(found: ClassPredictions) -> None:
    rows = found.by_class()
    expected = precision_recall_fscore_support(found.labels, found.guesses, labels=range(8), zero_division=float("nan"))
    for name, values in zip(("precision", "recall", "f1", "support"), expected, strict=True):
        column = np.array([row[name] for row in rows], float)  # None is NaN
        np.testing.assert_allclose(column[[0, 1, 2, 4, 5, 6]], values[[0, 1, 2, 4, 5, 6]])
    assert rows[3] == {"class": "d", "precision": 0.0, "recall": None, "f1": 0.0, "support": 0}
    assert rows[7] == {"class": "h", "precision": None, "recall": None, "f1": None, "support": 0}


def test_the_worst_predictions_are_the_most_confident_mistakes() -> None:
    logits = np.array([[0, 1], [0, 9], [0, 3], [0, 5], [7, 0]], float)
    assert ClassPredictions(logits, np.array([0, 1, 0, 0, 0]), CLASSES[:2]).worst(2).tolist() == [3, 2]


def test_metrics_by_hand() -> None:
    found = ClassPredictions(np.array([[2.0, 0.0], [0.0, 0.0]]), np.array([0, 1]), CLASSES[:2])
    values = found.metrics()
    assert values["loss"] == pytest.approx((math.log(1 + math.exp(-2)) + math.log(2)) / 2)
    assert values["accuracy"] == 0.5
    assert values["top5_accuracy"] == 1.0
    assert values["macro_f1"] == pytest.approx((2 / 3 + 0) / 2)


def test_huge_logits_stay_finite() -> None:
    values = ClassPredictions(np.array([[1e4, -1e4]], np.float32), np.array([1]), CLASSES[:2]).metrics()
    assert values["loss"] == pytest.approx(2e4)


def test_results_name_truth_prediction_and_its_probability() -> None:
    found = ClassPredictions(np.array([[0.0, math.log(3.0)]]), np.array([0]), ["cat", "dog"])
    (row,) = found.results(["a/1.png"])
    expected = {"name": "a/1.png", "truth": "cat", "prediction": "dog", "score": "0.750000", "top5_accuracy": 1}
    assert row == expected | {"loss": f"{math.log(4):.6f}", "macro_f1_pseudo_value": "0.000000"}


def test_ties_favour_the_first_classes_and_nan_is_a_miss() -> None:
    constant = ClassPredictions(np.zeros((8, 8), np.float32), np.arange(8), CLASSES)
    assert constant.metrics()["top5_accuracy"] == 5 / 8
    logits = np.eye(8, dtype=np.float32)
    logits[0, 3] = np.nan
    assert ClassPredictions(logits, np.arange(8), CLASSES).metrics()["top5_accuracy"] == 7 / 8


def test_rows_average_to_the_metrics(found: ClassPredictions) -> None:
    rows, values = found.results([str(number) for number in range(200)]), found.metrics()
    for metric, column in (("macro_f1", "macro_f1_pseudo_value"), ("loss", "loss"), ("top5_accuracy", "top5_accuracy")):
        assert np.mean([float(row[column]) for row in rows]) == pytest.approx(values[metric], abs=1e-6)
