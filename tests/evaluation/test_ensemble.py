"""Several runs as one predictor, compared with a computation in NumPy from the saved networks."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from cvlib import cli, tasks
from cvlib.data import resampling
from cvlib.data.input_spec import InputSpec
from cvlib.evaluation import ensemble
from cvlib.models.network import build
from cvlib.models.restore import open_run
from cvlib.runs.run import read_run
from cvlib.tasks import saved
from tests import small_runs


def write_run(folder: Path, seed: int, **summary: Any) -> Path:
    """Write a completed run of the small network with random weights of this seed."""
    spec, chosen = InputSpec(small_runs.SIDE, small_runs.SIDE, 1), small_runs.config()
    small_runs.write_record(folder, chosen, spec, small_runs.CLASSES, mode="scratch", seed=0, **summary)
    keras.utils.set_random_seed(seed)
    built, temperature = build(chosen.model, spec, 10), {"temperature": float(seed)}
    small_runs.write_network(folder, chosen, built, small_runs.CLASSES, **temperature)
    tasks.of("classification").inference(built, temperature).save(folder / "model.keras")
    return folder


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    root = tmp_path_factory.mktemp("runs")
    start = {
        "weights": {"source": "imagenet"},
        "metrics": {"test/accuracy": 0.1},
        "parameters": {"total": 100, "trainable": 90, "frozen": 10},
    }
    return [write_run(root / str(seed), seed, **start, timing={"train": 2.0 + seed, "latency": 0.5}) for seed in (1, 2)]


def test_the_probabilities_are_averaged(runs: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "both"
    assert cli.main(["evaluate", *map(str, runs), "--output", str(folder)]) == 0
    opened = [open_run(run) for run in runs]
    test = saved.dataset(opened[0]).test
    images = np.asarray(test.images, np.float32)
    mean = np.mean([saved.network(run).predict(images, verbose=0) for run in opened], axis=0)
    with (folder / "test_results.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["prediction"] for row in rows] == [small_runs.CLASSES[index] for index in mean.argmax(1)]
    summary = json.loads((folder / "summary.json").read_text())
    assert summary["metrics"]["test/accuracy"] == pytest.approx(np.mean(mean.argmax(1) == np.asarray(test.labels)))
    logits = ensemble.averaged_network(opened, "predictions").predict(_resized(images), verbose=0)
    np.testing.assert_allclose(np.exp(logits), mean, atol=1e-5)
    assert summary["ensemble"] == {"runs": [str(run) for run in runs], "average": "predictions"}
    assert summary["parameters"] == {"total": 200, "trainable": 180, "frozen": 20}
    assert summary["timing"] == {"train": 7.0, "latency": 1.0}
    assert read_run(folder).settings["model.name"] == "ensemble of 2 cnn"
    assert f"recorded in {folder}" in capsys.readouterr().out
    assert cli.main(["compare", str(folder), *map(str, runs)]) == 0
    assert "ensemble of 2 cnn" in capsys.readouterr().out
    assert cli.main(["evaluate", str(folder)]) == 2
    assert "name those runs instead" in capsys.readouterr().err


def _resized(images: np.ndarray) -> np.ndarray:
    size = small_runs.SIDE, small_runs.SIDE
    return np.stack([resampling.image(image.astype(np.uint8), size, "stretch") for image in images]).astype(np.float32)


def test_the_weights_are_averaged(runs: list[Path]) -> None:
    opened = [open_run(run) for run in runs]
    averaged = ensemble.averaged_network(opened, "weights").get_weights()
    arrays = [saved.as_trained(run).predictive().get_weights() for run in opened]
    for found, first, second in zip(averaged, *arrays, strict=True):
        np.testing.assert_allclose(found, (first.astype(np.float64) + second) / 2, atol=1e-7)
    assert ensemble.costs(opened, "weights") == {"parameters": {"total": 100, "trainable": 90, "frozen": 10},
                                                 "timing": {"train": 7.0, "latency": 0.5}}  # fmt: skip


def test_probabilities_of_pixels_and_of_several_classes_are_averaged() -> None:
    logits = np.random.default_rng(0).normal(0, 3, (2, 2, 3, 3, 4)).astype(np.float32)
    found = np.asarray(tasks.of("segmentation").mean_logits(list(logits)))
    softmax = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    np.testing.assert_allclose(np.exp(found), softmax.mean(0), atol=1e-6)
    found = np.asarray(tasks.of("multilabel").mean_logits(list(logits)))
    np.testing.assert_allclose(1 / (1 + np.exp(-found)), (1 / (1 + np.exp(-logits))).mean(0), atol=1e-6)


@pytest.mark.parametrize(("arguments", "words"), [
    (["A", "A"], "a run is named twice"), (["A", "--average", "weights"], "--average is for several runs"),
    (["A", "B", "--tta"], "--tta is for one run"),
    (["A", "B", "--output", "A"], "is not an empty folder"), (["A", "OTHER"], "has another classes than"),
    (["A", "SCRATCH", "--average", "weights"], "didn't start from the same weights"),
    (["data=digits"], "no run is named"), (["YOLO", "YOLO2"], "can't be averaged for detection"),
    (["A", "LEAK"], "was trained on 1 images of the val split"),
])  # fmt: skip
def test_invalid_input_is_one_line(
    runs: list[Path], tmp_path: Path, arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    places = {"A": runs[0], "B": runs[1]}
    spec = InputSpec(small_runs.SIDE, small_runs.SIDE, 1)
    if "OTHER" in arguments:
        small_runs.write_record(tmp_path / "OTHER", small_runs.config(), spec, ["x", "y"])
    if "SCRATCH" in arguments:
        small_runs.write_record(tmp_path / "SCRATCH", small_runs.config(), spec, small_runs.CLASSES)
    if "LEAK" in arguments:
        write_run(tmp_path / "LEAK", 3)
        name = str(saved.dataset(open_run(runs[0])).val.names[0])
        (tmp_path / "LEAK/splits.json").write_text(json.dumps({"train": [name], "val": [], "test": []}))
    for place in {"YOLO", "YOLO2"} & set(arguments):
        yolo = small_runs.configs.config("yolo", data=small_runs.DataConfig(image_size=64))
        small_runs.write_record(tmp_path / place, yolo, InputSpec(64, 64, 3), ["x"])
    given = [str(places.get(word, tmp_path / word if word.isupper() else word)) for word in arguments]
    assert cli.main(["evaluate", *given]) == 2
    error = capsys.readouterr().err
    assert words in error and error.count("\n") == 1
