"""Threshold and temperature of a run: chosen on validation alone, and used wherever the run predicts."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn.metrics import recall_score

from cvlib import cli
from cvlib.data.make_feed import make_feed
from cvlib.models.restore import SavedRun, open_run
from cvlib.tasks import saved
from cvlib.tasks.classification import TASK
from cvlib.tasks.classification.predictions import ClassPredictions
from cvlib.tasks.temperature import of_classes
from cvlib.tasks.thresholds import Rule, best

pytestmark = pytest.mark.slow

QUICK = ["model=cnn", "model.filters=[4]", "model.dense=[8]", "data.samples=400", "trainer.epochs=2"]
TWO = [*QUICK, "data.classes=[8,3]", "data.samples=null"]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> SavedRun:
    folder = tmp_path_factory.mktemp("decisions") / "run"
    rule = ["model.thresholds=recall:0.97", "trainer.monitor=val/roc_auc"]
    assert cli.main(["train", *TWO, *rule, f"hydra.run.dir={folder}"]) == 0
    return open_run(folder)


def raw(run: SavedRun, name: str) -> ClassPredictions:
    """The predictions for a split, without threshold and temperature."""
    split = saved.dataset(run).splits[name]
    feed = make_feed(split, run.spec, TASK.label_kind, 32, seed=0)
    return TASK.evaluate(TASK.validated(saved.as_trained(run)), feed, run.classes)


def test_the_decision_follows_from_validation_alone(run: SavedRun) -> None:
    decision, val = json.loads((run.folder / "labels.json").read_text()), raw(run, "val")
    assert run.classes == ["8", "3"]  # the second class is the one that data.classes names second
    assert decision["temperature"] == pytest.approx(of_classes(val.logits, val.labels), rel=1e-4)
    threshold = best(val.probabilities[:, 1], val.labels == 1, Rule("recall", 0.97))
    raw_threshold = 1 / (1 + (1 / decision["threshold"] - 1) ** decision["temperature"])
    assert raw_threshold == pytest.approx(threshold, rel=1e-3)
    guesses = val.probabilities[:, 1] >= threshold
    assert recall_score(val.labels, guesses) >= 0.97
    assert run.summary["metrics"]["val/sensitivity"] == pytest.approx(recall_score(val.labels, guesses))
    higher = [level for level in val.probabilities[:, 1] if level > threshold]
    assert all(recall_score(val.labels, val.probabilities[:, 1] > level) < 0.97 for level in higher)


def test_the_test_split_is_decided_by_them(run: SavedRun) -> None:
    decision, test = json.loads((run.folder / "labels.json").read_text()), raw(run, "test")
    scaled = test.decided(decision)
    metrics, calibrated = run.summary["metrics"], run.summary["calibration"]
    assert metrics["test/sensitivity"] == pytest.approx(recall_score(test.labels, scaled.guesses))
    assert metrics["test/loss"] == pytest.approx(scaled.metrics()["loss"], rel=1e-4)
    assert set(calibrated) == {"temperature", "val", "test"}
    assert calibrated["temperature"] == decision["temperature"]
    with (run.folder / "test_results.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["prediction"] for row in rows] == [run.classes[guess] for guess in scaled.guesses]
    log = (run.folder / "train.log").read_text()
    assert "val loss" in log and " roc_auc 0." in log and "\nECE  " in log


def test_predictions_and_exports_use_them(run: SavedRun, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    split = saved.dataset(run).test
    (tmp_path / "in").mkdir()
    for number, pixels in enumerate(split.images):
        Image.fromarray(pixels[..., 0]).save(tmp_path / f"in/{number:04}.png")
    assert cli.main(["predict", str(run.folder), str(tmp_path / "in"), "--output", str(tmp_path / "out")]) == 0
    with (tmp_path / "out/predictions.csv").open() as file:
        found = list(csv.DictReader(file))
    with (run.folder / "test_results.csv").open() as file:
        expected = list(csv.DictReader(file))
    assert [row["prediction"] for row in found] == [row["prediction"] for row in expected]
    scores = [[float(row[key]) for row in rows] for rows, key in ((found, "probability"), (expected, "score"))]
    np.testing.assert_allclose(*scores, atol=2e-6)
    assert cli.main(["export", str(run.folder), "--format", "saved_model", "--output", str(tmp_path / "served")]) == 0
    labels = json.loads((tmp_path / "served/assets.extra/labels.json").read_text())
    assert {"threshold", "temperature"} <= set(labels)
    assert cli.main(["evaluate", str(run.folder)]) == 0
    assert "without temperature scaling" in capsys.readouterr().out
    own = (run.folder / "test_results.csv").read_bytes()
    assert (run.folder / "evaluate/test/results.csv").read_bytes() == own


def test_without_temperature_scaling_nothing_is_scaled(tmp_path: Path) -> None:
    rule = ["model.thresholds=precision:0.9", "model.temperature_scaling=false"]
    assert cli.main(["train", *TWO, *rule, f"hydra.run.dir={tmp_path / 'run'}"]) == 0
    run = open_run(tmp_path / "run")
    decision = json.loads((run.folder / "labels.json").read_text())
    assert decision["temperature"] == 1
    assert "temperature" not in [layer.name for layer in saved.network(run).layers]
    val = raw(run, "val")
    threshold = best(val.probabilities[:, 1], val.labels == 1, Rule("precision", 0.9))
    assert decision["threshold"] == pytest.approx(threshold, rel=1e-4)


def test_a_rule_for_more_than_two_classes_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["train", *QUICK, "model.thresholds=f1", f"hydra.run.dir={tmp_path / 'run'}"]) == 2
    assert (
        "model.thresholds is only for two classes, or for task=multilabel, but there are 10" in capsys.readouterr().err
    )
