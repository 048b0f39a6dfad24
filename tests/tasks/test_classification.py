"""Metrics against scikit-learn and numbers worked out by hand."""

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

from cvlib import tasks
from cvlib.data.dataset import Split
from cvlib.tasks import classification
from cvlib.tasks.classification import Scores


@pytest.fixture
def scores() -> Scores:
    random = np.random.default_rng(0)
    labels = random.integers(0, 7, 200)
    labels[labels == 3] = 4  # a class that never occurs
    logits = random.normal(size=(200, 8)) + 1.5 * np.eye(8)[labels]
    logits[:, 7] = -50  # a class that is never predicted nor true
    return Scores(logits.astype(np.float32), labels)


def test_metrics_equal_scikit_learns(scores: Scores) -> None:
    values = classification.metrics(scores)
    assert values["loss"] == pytest.approx(log_loss(scores.labels, scores.probabilities, labels=range(8)), rel=1e-5)
    assert values["accuracy"] == np.mean(scores.labels == scores.logits.argmax(1))
    top5 = top_k_accuracy_score(scores.labels, scores.logits, k=5, labels=range(8))
    assert values["top5_accuracy"] == pytest.approx(top5)
    assert values["macro_f1"] == pytest.approx(f1_score(scores.labels, scores.predictions, average="macro"))
    np.testing.assert_array_equal(
        classification.confusion(scores), confusion_matrix(scores.labels, scores.predictions, labels=range(8))
    )


def test_rows_by_class_equal_scikit_learns(scores: Scores) -> None:
    rows = classification.by_class(scores, list("abcdefgh"))
    expected = precision_recall_fscore_support(
        scores.labels, scores.predictions, labels=range(8), zero_division=float("nan")
    )
    for name, values in zip(("precision", "recall", "f1", "support"), expected, strict=True):
        found = np.array([row[name] for row in rows], float)  # None is NaN
        np.testing.assert_allclose(found[[0, 1, 2, 4, 5, 6]], values[[0, 1, 2, 4, 5, 6]])
    assert rows[3] == {"class": "d", "precision": 0.0, "recall": None, "f1": 0.0, "support": 0}
    assert rows[7] == {"class": "h", "precision": None, "recall": None, "f1": None, "support": 0}


def test_the_worst_are_the_surest_mistakes() -> None:
    logits = np.array([[0, 1], [0, 9], [0, 3], [0, 5], [7, 0]], float)
    assert classification.worst(Scores(logits, np.array([0, 1, 0, 0, 0])), 2).tolist() == [3, 2]


def test_metrics_by_hand() -> None:
    scores = Scores(np.array([[2.0, 0.0], [0.0, 0.0]]), np.array([0, 1]))
    values = classification.metrics(scores)
    assert values["loss"] == pytest.approx((math.log(1 + math.exp(-2)) + math.log(2)) / 2)
    assert values["accuracy"] == 0.5
    assert values["top5_accuracy"] == 1.0
    assert values["macro_f1"] == pytest.approx((2 / 3 + 0) / 2)


def test_huge_logits_stay_finite() -> None:
    values = classification.metrics(Scores(np.array([[1e4, -1e4]], np.float32), np.array([1])))
    assert values["loss"] == pytest.approx(2e4)


def test_results_name_truth_prediction_and_its_probability() -> None:
    scores = Scores(np.array([[0.0, math.log(3.0)]]), np.array([0]))
    assert classification.results(["a/1.png"], ["cat", "dog"], scores) == [
        {"name": "a/1.png", "truth": "cat", "prediction": "dog", "score": "0.750000"}
    ]


def test_training_metrics_leave_the_auxiliary_output_out() -> None:
    logs = {"loss": 1.3, "logits_loss": 1.0, "auxiliary_loss": 1.0, "logits_accuracy": 0.5}
    assert classification.training_metrics(logs) == {"loss": 1.0, "accuracy": 0.5}
    assert classification.training_metrics({"loss": 2.0, "accuracy": 0.1}) == {"loss": 2.0, "accuracy": 0.1}


def test_class_weights_balance_by_number_or_half_of_it() -> None:
    split = Split(["a"] * 6, np.zeros((6, 1, 1, 1), np.uint8), np.array([0, 0, 0, 0, 2, 0]))
    np.testing.assert_allclose(classification.class_weights(split, 3, "balanced"), [6 / 10, 0, 6 / 2])
    # 1/√(5/6) and 1/√(1/6), and as five times the one and once the other are 6·(√(5/6) + √(1/6)), over that mean
    mean = (5 / 6) ** 0.5 + (1 / 6) ** 0.5
    np.testing.assert_allclose(classification.class_weights(split, 3, "sqrt"), [1.2**0.5 / mean, 0, 6**0.5 / mean])


def test_a_top_5_that_can_only_be_1_is_not_shown() -> None:
    assert "top5_accuracy" not in tasks.shown_metrics("classification", 5)
    assert tasks.shown_metrics("classification", 6) == list(classification.METRICS)
