"""Metrics, tables and pictures of multi-label predictions, compared with scikit-learn and by hand."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import (
    accuracy_score,
    average_precision_score,
    balanced_accuracy_score,
    f1_score,
    log_loss,
    precision_recall_fscore_support,
    recall_score,
    roc_auc_score,
)

from cvlib.data.dataset import Dataset, Split
from cvlib.tasks.multilabel import TASK
from cvlib.tasks.multilabel.predictions import SetPredictions, thresholds_of
from cvlib.tasks.thresholds import Rule, best

CLASSES = ["bird", "cat", "dog"]


def predictions(logits: np.ndarray, truth: np.ndarray, thresholds: float = 0.5) -> SetPredictions:
    return SetPredictions(logits, np.asarray(truth, bool), CLASSES, np.full(3, thresholds))


@pytest.fixture
def some() -> SetPredictions:
    random = np.random.default_rng(0)
    truth = random.random((80, 3)) < [0.5, 0.3, 0.1]
    return predictions(random.normal(size=(80, 3)) + truth, truth)


def dataset(count: int) -> Dataset:
    part = Split([str(i) for i in range(count)], np.zeros((count, 8, 8, 3), np.uint8), [frozenset()] * count)
    return Dataset("x", "multilabel", CLASSES, 3, (8, 8), part, part, part, [])


def test_metrics_equal_scikit_learns(some: SetPredictions) -> None:
    found, probable = some.metrics(), 1 / (1 + np.exp(-some.logits))
    guessed = probable >= 0.5
    by_class = [average_precision_score(some.truth[:, label], some.logits[:, label]) for label in range(3)]
    assert [found[f"AP/{name}"] for name in CLASSES] == pytest.approx(by_class)
    assert found["mAP"] == pytest.approx(average_precision_score(some.truth, some.logits, average="macro"))
    assert found["macro_f1"] == pytest.approx(f1_score(some.truth, guessed, average="macro"))
    assert found["micro_f1"] == pytest.approx(f1_score(some.truth, guessed, average="micro"))
    assert found["exact_match"] == pytest.approx(accuracy_score(some.truth, guessed))
    assert found["loss"] == pytest.approx(log_loss(some.truth.ravel(), probable.ravel()))


@pytest.mark.parametrize("levels", [2, 1000])  # with and without ties
def test_metrics_of_rankings_and_decisions_are_the_means_of_scikit_learns(levels: int) -> None:
    random = np.random.default_rng(levels)
    truth = np.hstack([random.random((80, 3)) < 0.3, np.zeros((80, 1), bool)])  # nothing shows the last class
    logits = np.round(random.normal(size=(80, 4)) * levels) / levels + 0.1
    found = SetPredictions(logits, truth, list("abcd"), np.full(4, 0.5))
    values, known = found.metrics(), range(3)
    guessed = logits >= 0
    assert values["roc_auc"] == pytest.approx(roc_auc_score(truth[:, known], logits[:, known], average="macro"))
    balanced = [balanced_accuracy_score(truth[:, label], guessed[:, label]) for label in known]
    assert values["balanced_accuracy"] == pytest.approx(np.mean(balanced))
    assert values["sensitivity"] == pytest.approx(recall_score(truth, guessed, average="macro", labels=list(known)))
    assert values["specificity"] == pytest.approx(recall_score(~truth, ~guessed, average="macro"))
    rows = found.results([str(number) for number in range(80)])
    for spec in TASK.metrics:
        if spec.sample != "right":
            shares = [float(row[spec.sample_column]) for row in rows]
            assert np.mean(shares) == pytest.approx(values[spec.name], abs=1e-6)


def test_a_class_that_never_occurs_is_left_out_of_the_means(some: SetPredictions) -> None:
    truth = some.truth.copy()
    truth[:, 2] = False
    logits = some.logits.copy()
    logits[:, 2] = -3
    found = predictions(logits, truth).metrics()
    assert found["mAP"] == pytest.approx(np.mean([found["AP/bird"], found["AP/cat"]]))
    assert "AP/dog" not in found
    expected = f1_score(truth, logits >= 0, average="macro", labels=[0, 1])
    assert found["macro_f1"] == pytest.approx(expected)
    nothing = predictions(np.full((4, 3), -2.0), np.zeros((4, 3))).metrics()
    assert (nothing["mAP"], nothing["macro_f1"], nothing["micro_f1"], nothing["exact_match"]) == (0, 0, 0, 1)


def test_extreme_logits_have_finite_losses() -> None:
    found = predictions(np.array([[900.0, -900.0, 0.0]]), np.array([[0, 1, 1]])).metrics()
    assert found["loss"] == pytest.approx((900 + 900 + np.log(2)) / 3)


def test_the_table_of_classes_equals_scikit_learns(some: SetPredictions) -> None:
    precision, recall, f1, support = precision_recall_fscore_support(some.truth, some.logits >= 0)
    for label, row in enumerate(some.by_class()):
        expected = (precision[label], recall[label], f1[label], support[label])
        assert (row["precision"], row["recall"], row["f1"], row["support"]) == pytest.approx(expected)
        assert row["threshold"] == 0.5
    (row, *_) = predictions(np.full((2, 3), -2.0), np.zeros((2, 3))).by_class()
    assert [row[name] for name in ("AP", "precision", "recall", "f1")] == [None] * 4


def test_tuned_thresholds_improve_f1_and_can_be_applied_again(some: SetPredictions) -> None:
    tuned = some.tuned()
    assert tuned.metrics()["macro_f1"] > some.metrics()["macro_f1"]
    assert tuned.metrics()["mAP"] == some.metrics()["mAP"]
    again = some.decided({"task": "multilabel", **tuned.decision()})
    assert again.metrics() == tuned.metrics()


@pytest.mark.parametrize("rule", [Rule("precision", 0.5), Rule("recall", 0.9)])
def test_a_rule_chooses_the_threshold_of_each_class(some: SetPredictions, rule: Rule) -> None:
    tuned = some.tuned(rule)
    for label, row in enumerate(tuned.by_class()):
        assert row["threshold"] == best(some.probabilities[:, label], some.truth[:, label], rule)
        assert row[rule.measure] >= rule.least
    assert tuned.remarks(rule) == []
    (remark,) = tuned.remarks(Rule("precision", 1.0))
    assert remark.startswith("no threshold reaches model.thresholds on validation for bird")


def test_temperature_changes_probabilities_but_no_decision(some: SetPredictions) -> None:
    tuned = some.tuned()
    scaled = tuned.calibrated()
    assert scaled.temperature != 1
    np.testing.assert_array_equal(scaled.found, tuned.found)
    assert scaled.metrics() == tuned.metrics() | {
        "loss": pytest.approx(log_loss(some.truth.ravel(), scaled.probabilities.ravel()))
    }
    again = some.decided(scaled.decision())
    assert again.temperature == scaled.temperature
    np.testing.assert_array_equal(again.found, tuned.found)


@pytest.mark.parametrize("decision", [{}, {"thresholds": [0.1]}, {"thresholds": ["a", "b", "c"]}, {"thresholds": None}])
def test_without_usable_thresholds_each_is_one_half(decision: dict[str, object]) -> None:
    assert thresholds_of(decision, 3).tolist() == [0.5, 0.5, 0.5]


def test_rows_of_samples_by_hand() -> None:
    logits = np.array([[2.0, 1.0, -1.0], [-1.0, -2.0, -3.0], [1.0, -1.0, -2.0]])
    found = predictions(logits, np.array([[1, 0, 0], [0, 0, 0], [0, 0, 1]]))
    rows = found.results(["a", "b", "c"])
    for spec in TASK.metrics:
        if spec.sample != "right":
            shares = [float(row.pop(spec.sample_column)) for row in rows]
            assert np.mean(shares) == pytest.approx(found.metrics()[spec.name], abs=1e-6)
    assert rows == [
        {"name": "a", "truth": "bird", "prediction": "bird|cat", "f1": "0.666667", "ranking_precision": "1.000000"},
        {"name": "b", "truth": "", "prediction": "", "f1": "1.000000", "ranking_precision": "1.000000"},
        {"name": "c", "truth": "dog", "prediction": "bird", "f1": "0.000000", "ranking_precision": "0.333333"},
    ]


def test_the_worst_samples_are_wrong_and_sorted_by_error() -> None:
    logits = np.array([[9.0, -9.0, -9.0], [5.0, -5.0, -5.0], [-5.0, 5.0, 5.0]])
    found = predictions(logits, np.array([[1, 0, 0], [0, 0, 0], [1, 0, 0]]))
    assert found.worst(5).tolist() == [2, 1]
    assert found.worst(1).tolist() == [2]


def test_pictures_are_drawn(some: SetPredictions) -> None:
    shown = some.representative()
    assert len(shown) == 24
    assert (~some.exact[shown]).sum() >= 8
    images = np.zeros((24, 8, 8, 3), np.uint8)
    for picture in (some.drawn(images, shown, dataset(80)), some.charts(dataset(80))["precision_recall"]):
        assert picture.dtype == np.uint8 and picture.shape[-1] == 3
    nothing = predictions(np.zeros((2, 3)), np.zeros((2, 3)))
    assert nothing.charts(dataset(2))["precision_recall"].ndim == 3
