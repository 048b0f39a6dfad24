"""Metrics compared with scikit-learn and with numbers computed by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from sklearn.metrics import (
    average_precision_score,
    balanced_accuracy_score,
    cohen_kappa_score,
    confusion_matrix,
    f1_score,
    log_loss,
    matthews_corrcoef,
    multilabel_confusion_matrix,
    precision_recall_fscore_support,
    recall_score,
    roc_auc_score,
    top_k_accuracy_score,
)

from cvlib.tasks.classification import TASK
from cvlib.tasks.classification.predictions import ClassPredictions, threshold_of
from cvlib.tasks.thresholds import Rule, best

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


def random_predictions(seed: int, classes: int, absent: bool) -> ClassPredictions:
    """Predictions with many equal probabilities; the truth lacks the last class if it is `absent`."""
    random = np.random.default_rng(seed)
    labels = random.integers(0, classes - absent, 60)
    logits = random.integers(-1, 2, (60, classes)) + (random.random((60, 1)) < 0.6) * np.eye(classes)[labels]
    return ClassPredictions(logits.astype(np.float32), labels, CLASSES[:classes])


@pytest.mark.filterwarnings("ignore:y_pred contains classes not in y_true")
@pytest.mark.parametrize("absent", [False, True])
@pytest.mark.parametrize("seed", range(5))
def test_metrics_of_several_classes_equal_scikit_learns(seed: int, absent: bool) -> None:
    found = random_predictions(seed, 4, absent)
    values, labels, guesses, scores = found.metrics(), found.labels, found.guesses, found.probabilities
    present = np.unique(labels)
    marks = labels[:, None] == present
    if not absent:
        assert values["roc_auc"] == pytest.approx(roc_auc_score(labels, scores, multi_class="ovr"))
    assert values["roc_auc"] == pytest.approx(roc_auc_score(marks, scores[:, present], average="macro"))
    assert values["average_precision"] == pytest.approx(average_precision_score(marks, scores[:, present]))
    assert values["balanced_accuracy"] == pytest.approx(balanced_accuracy_score(labels, guesses))
    recall = recall_score(labels, guesses, average="macro", labels=present)
    assert values["sensitivity"] == pytest.approx(recall)
    counts = multilabel_confusion_matrix(labels, guesses, labels=range(4))
    assert values["specificity"] == pytest.approx((counts[:, 0, 0] / counts[:, 0].sum(axis=1)).mean())
    assert values["cohen_kappa"] == pytest.approx(cohen_kappa_score(labels, guesses))
    assert values["mcc"] == pytest.approx(matthews_corrcoef(labels, guesses))


@pytest.mark.parametrize("seed", range(5))
def test_metrics_of_two_classes_are_those_of_the_second_class(seed: int) -> None:
    found = random_predictions(seed, 2, False)
    values, labels, guesses, scores = found.metrics(), found.labels, found.guesses, found.probabilities[:, 1]
    assert values["roc_auc"] == pytest.approx(roc_auc_score(labels, scores))
    assert values["average_precision"] == pytest.approx(average_precision_score(labels, scores))
    assert values["balanced_accuracy"] == pytest.approx(balanced_accuracy_score(labels, guesses))
    assert values["sensitivity"] == pytest.approx(recall_score(labels, guesses))
    assert values["specificity"] == pytest.approx(recall_score(labels, guesses, pos_label=0))
    assert values["cohen_kappa"] == pytest.approx(cohen_kappa_score(labels, guesses))
    assert values["mcc"] == pytest.approx(matthews_corrcoef(labels, guesses))


def test_metrics_of_a_split_with_one_class_are_finite() -> None:
    values = ClassPredictions(np.array([[2.0, 0.0], [0.0, 1.0]]), np.array([0, 0]), CLASSES[:2]).metrics()
    assert (values["roc_auc"], values["average_precision"], values["sensitivity"]) == (0, 0, 0)
    assert (values["specificity"], values["balanced_accuracy"]) == (0.5, 0.5)
    assert (values["cohen_kappa"], values["mcc"]) == (0, 0)


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
    expected = {"name": "a/1.png", "truth": "cat", "prediction": "dog", "score": "0.750000", "top5_accuracy": 1,
                "loss": f"{math.log(4):.6f}", "macro_f1_pseudo_value": "0.000000"}  # fmt: skip
    assert expected.items() <= row.items()


def test_ties_favour_the_first_classes_and_nan_is_a_miss() -> None:
    constant = ClassPredictions(np.zeros((8, 8), np.float32), np.arange(8), CLASSES)
    assert constant.metrics()["top5_accuracy"] == 5 / 8
    logits = np.eye(8, dtype=np.float32)
    logits[0, 3] = np.nan
    assert ClassPredictions(logits, np.arange(8), CLASSES).metrics()["top5_accuracy"] == 7 / 8


@pytest.mark.parametrize(("classes", "absent"), [(2, False), (2, True), (4, False), (4, True), (8, True)])
def test_rows_average_to_the_metrics(classes: int, absent: bool) -> None:
    found = random_predictions(0, classes, absent)
    rows, values = found.results([str(number) for number in range(60)]), found.metrics()
    assert set(values) == {spec.name for spec in TASK.metrics}
    for spec in TASK.metrics:
        assert spec.low <= values[spec.name] <= spec.high
        shares = [row["prediction"] == row["truth"] if spec.sample == "right" else float(row[spec.sample_column])
                  for row in rows]  # fmt: skip
        assert np.mean(shares) == pytest.approx(values[spec.name], abs=1e-6)


@pytest.mark.parametrize("classes", [2, 4])
def test_temperature_changes_probabilities_but_no_class(classes: int) -> None:
    found = random_predictions(1, classes, False)
    scaled = found.calibrated()
    assert scaled.temperature != 1
    # The order of samples by the probability of one of several classes depends on the temperature.
    changed = {"loss"} if classes == 2 else {"loss", "roc_auc", "average_precision"}
    before, after = found.metrics(), scaled.metrics()
    assert {name: after[name] for name in after.keys() - changed} == {
        name: before[name] for name in after.keys() - changed
    }
    assert after["loss"] < before["loss"]
    np.testing.assert_array_equal(scaled.guesses, found.guesses)
    top = found.probabilities.max(axis=1, keepdims=True)
    np.testing.assert_array_equal(scaled.probabilities.argmax(axis=1), (found.probabilities == top).argmax(axis=1))
    other = random_predictions(2, classes, False)
    assert other.decided({"task": "classification", **scaled.decision()}).temperature == scaled.temperature
    own = scaled.probabilities[np.arange(60), scaled.labels]
    assert after["loss"] == pytest.approx(-np.log(own).mean())


@pytest.mark.parametrize("rule", [Rule(), Rule("precision", 0.8), Rule("recall", 0.9)])
def test_a_threshold_decides_between_two_classes_with_any_temperature(rule: Rule) -> None:
    found = random_predictions(3, 2, False)
    tuned = found.tuned(rule)
    scores = found.probabilities[:, 1]
    assert tuned.threshold == best(scores, found.labels == 1, rule)
    np.testing.assert_array_equal(tuned.guesses, scores >= tuned.threshold)
    assert tuned.metrics()["roc_auc"] == found.metrics()["roc_auc"]
    assert tuned.metrics()["sensitivity"] == pytest.approx(recall_score(found.labels, tuned.guesses))
    scaled = tuned.calibrated()
    assert scaled.threshold != tuned.threshold
    np.testing.assert_array_equal(scaled.guesses, tuned.guesses)
    again = found.decided(scaled.decision())
    assert (again.threshold, again.temperature) == (scaled.threshold, scaled.temperature)
    assert again.metrics() == scaled.metrics()
    assert tuned.remarks(rule) == []


def test_a_precision_that_no_threshold_reaches_is_told() -> None:
    found = ClassPredictions(np.array([[0.0, 2.0], [0.0, 1.0]]), np.array([0, 1]), ["cat", "dog"])
    rule = Rule("precision", 0.9)
    assert found.tuned(rule).remarks(rule) == ["no threshold reaches model.thresholds on validation for dog"]
    assert found.tuned(Rule("precision", 0.5)).remarks(Rule("precision", 0.5)) == []


def test_without_a_rule_or_with_more_classes_there_is_no_threshold() -> None:
    assert random_predictions(3, 2, False).tuned().threshold is None
    assert random_predictions(3, 4, False).tuned(Rule()).threshold is None
    assert threshold_of({"threshold": 0.3}, 2) == 0.3
    assert threshold_of({"threshold": 0.3}, 3) is threshold_of({}, 2) is threshold_of({"threshold": "x"}, 2) is None
