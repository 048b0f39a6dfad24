"""Every task runs fit, evaluate, predict, visualize and export, with a tiny network on wide images of embedded data."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from PIL import Image

import cvlib
from cvlib import experiment, report, tasks
from cvlib.compare.runs import sample_values
from cvlib.models.restore import SavedRun, open_run
from cvlib.tasks import saved
from tests.configs import CONF, shipped_model

pytestmark = pytest.mark.slow

# For each task, changes that make its shipped network small. A task that isn't listed runs unchanged.
TINY: dict[str, dict[str, Any]] = {
    "classification": {"name": "cnn", "filters": [4, 6], "dense": [8]},
    "multilabel": {"name": "cnn", "filters": [4, 6], "dense": [8]},
    "detection": {"backbone": "cnn", "filters": [8, 8, 8, 8], "neck_channels": 8},
    "segmentation": {"name": "segmenter", "encoder": "cnn", "filters": [4, 4, 4], "decoder_filters": 8},
}


def shipped(task: str) -> dict[str, Any]:
    """Return a small version of a shipped model that supports the task, with the keys of `task=`."""
    models = [shipped_model(path.stem) for path in sorted((CONF / "model").glob("*.yaml"))]
    able = [model for model in models if model["head"] in tasks.of(task).heads]
    assert able, f"no file in conf/model does {task}"
    tiny, asked = TINY.get(task, {}), yaml.safe_load((CONF / "task" / f"{task}.yaml").read_text())
    return next((model for model in able if model["name"] == tiny.get("name")), able[0]) | tiny | asked


@pytest.fixture(scope="module", params=tasks.names())
def run(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> SavedRun:
    """Return a run of one epoch with two steps."""
    folder = tmp_path_factory.mktemp(request.param)
    config = tasks.config_of({
        "model": shipped(request.param),
        "data": {"name": "digits", "tasks": tasks.names(), "samples": 60, "batch_size": 4, "image_size": [64, 96]},
        "trainer": {"epochs": 1, "steps_per_epoch": 2},
        "output_root": str(folder / "outputs"),
    })  # fmt: skip
    experiment.run(config, folder / "run")
    return open_run(folder / "run")


def test_fit_records_every_declared_metric_and_a_row_for_each_test_sample(run: SavedRun) -> None:
    task = tasks.of_config(run.config)
    assert run.summary["status"] == "completed"
    assert run.record.headline == f"test/{task.metrics[0].name}"
    for spec in task.metrics:
        for split in ("val", "test"):
            value = run.record.metric(f"{split}/{spec.name}")
            assert value is not None
            assert spec.low <= value <= spec.high
    with (run.folder / "test_results.csv").open() as text:
        rows = list(csv.DictReader(text))
    assert [row["name"] for row in rows] == saved.dataset(run).test.names
    assert {spec.sample_column for spec in task.metrics if spec.sample} <= set(rows[0])
    assert set(json.loads((run.folder / "labels.json").read_text())) >= {"task", "classes", "channels", "image_size"}


def test_the_run_has_a_page_with_pictures_and_tables(run: SavedRun) -> None:
    page = (run.folder / report.NAME).read_text(encoding="utf-8")
    assert f"{run.record.headline} " in page
    assert len(page) < 1_500_000
    names = {path.name for path in (run.folder / "report").iterdir()}
    assert {"by_class.csv", "predictions.png", "worst.png"} <= names
    assert page.count("data:image/webp;base64,") >= 2
    with (run.folder / "report/by_class.csv").open() as text:
        assert [row["class"] for row in csv.DictReader(text)] == run.classes


def test_values_of_the_test_samples_average_to_every_metric(run: SavedRun) -> None:
    """`cvlib compare` tests the metric that it ranks by, except for metrics with a separate measure of each image."""
    for spec in tasks.of_config(run.config).metrics:
        found = sample_values(run.record, f"test/{spec.name}")
        assert found is not None
        if spec.sample != "own":
            assert np.mean(found[1]) == pytest.approx(run.record.metric(f"test/{spec.name}"), abs=1e-5)


def test_evaluate_reproduces_the_runs_own_metrics(run: SavedRun, tmp_path: Path) -> None:
    from cvlib.evaluation import evaluate_run, samples

    found = evaluate_run.evaluate(run, samples.choose(run, "test"))
    for name, value in found.metrics.items():
        assert value == pytest.approx(run.summary["metrics"][f"test/{name}"], abs=1e-5)
    task = tasks.of_config(run.config)
    assert task.class_metric in found.by_class[0]
    assert any(task.metrics[0].name in line for line in found.lines())
    evaluate_run.write(found, run, tmp_path)
    assert {"evaluation.json", "by_class.csv", "results.csv"} <= {path.name for path in tmp_path.iterdir()}


def test_predict_writes_tables_and_pictures_and_returns_values(run: SavedRun, tmp_path: Path) -> None:
    from cvlib import prediction

    (tmp_path / "in").mkdir()
    images = [np.random.default_rng(number).integers(0, 256, (40, 30, 3), np.uint8) for number in range(3)]
    for number, image in enumerate(images):
        Image.fromarray(image).save(tmp_path / f"in/{number}.png")
    (tmp_path / "in/broken.png").write_bytes(b"no image")
    files = prediction.find_files([str(tmp_path / "in")])
    said: dict[str, str] = {}
    counts = prediction.predict_files(
        run, files, tmp_path / "out", tell=lambda file, text: said.update({file.name: text})
    )
    assert list(said) == ["0.png", "1.png", "2.png"] and all(said.values())
    assert counts == (3, [tmp_path / "in/broken.png"])
    assert {"predictions.json", "predictions.csv"} <= {path.name for path in (tmp_path / "out").iterdir()}
    assert list((tmp_path / "out").rglob("*.png"))
    seen = [(None, image[..., : run.channels]) for image in images]
    assert len(prediction.values(run, saved.network(run), seen)) == 3
    (tmp_path / "in/broken.png").unlink()
    answers = cvlib.predict(run, str(tmp_path / "in"))
    assert run.record.task == "segmentation" or [answer.file for answer in answers] == files[:3]


def test_visualize_draws_filters_and_explanations(run: SavedRun) -> None:
    from cvlib.inspection.visualize import visualize

    written = visualize(run, steps=1, say=lambda line: None)
    names = {path.name for path in written}
    assert "filters.png" in names
    assert ("explanations.png" in names) == tasks.of_config(run.config).explains_classes


def test_export_agrees_with_keras(run: SavedRun) -> None:
    from cvlib.export import export_run

    messages: list[str] = []
    assert export_run.export(run, "saved_model", False, None, 3, None, messages.append) == 0
    assert "written" in messages[0]
