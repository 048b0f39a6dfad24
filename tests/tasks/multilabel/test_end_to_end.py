"""A table of drawn shapes and a COCO file: trained, evaluated, predicted, compared, explained and exported."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from sklearn.metrics import average_precision_score, f1_score

from cvlib import cli
from cvlib.compare.runs import sample_values
from cvlib.runs.run import read_run

pytestmark = pytest.mark.slow

COLOURS = {"blue": 2, "green": 1, "red": 0}  # the channel of each colour
QUICK = ["model=cnn", "task=multilabel", "data=folder", "model.filters=[8]", "model.dense=[16]",
         "model.batch_norm=false", "trainer.epochs=12", "optimizer.lr=0.01"]  # fmt: skip


def _draw(folder: Path, count: int = 120) -> list[tuple[str, list[str]]]:
    """Write images with or without a square of each colour at a random position; return their names and colours."""
    random, rows = np.random.default_rng(0), []
    folder.mkdir(parents=True)
    for number in range(count):
        names = [name for name in COLOURS if random.random() < 0.4]
        image = random.integers(0, 60, (16, 16, 3))
        for name in names:
            row, column = random.integers(0, 11, 2)
            image[row : row + 5, column : column + 5, COLOURS[name]] += 190
        Image.fromarray(image.astype(np.uint8)).save(folder / f"{number:03d}.png")
        rows.append((f"{number:03d}.png", names))
    return rows


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the images, their table and their COCO file, and a run on each."""
    root = tmp_path_factory.mktemp("multilabel")
    rows = _draw(root / "data/images")
    with (root / "data/labels.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["file", "colours"], *((name, "|".join(names)) for name, names in rows)])
    numbers = {name: number for number, name in enumerate(COLOURS, 1)}
    content: dict[str, Any] = {
        "images": [{"id": number, "file_name": name} for number, (name, _) in enumerate(rows)],
        "annotations": [{"image_id": number, "category_id": numbers[name]}
                        for number, (_, names) in enumerate(rows) for name in names],
        "categories": [{"id": number, "name": name} for name, number in numbers.items()],
    }  # fmt: skip
    for number, annotation in enumerate(content["annotations"]):
        annotation["id"] = number
    (root / "data/shapes.json").write_text(json.dumps(content))
    for name, file in (("csv", "labels.csv"), ("coco", "shapes.json")):
        overrides = [*QUICK, f"data.path={root / 'data' / file}", f"hydra.run.dir={root / name}"]
        assert cli.main(["train", *overrides]) == 0
    return root


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    yield


def _rows(file: Path) -> list[dict[str, str]]:
    with file.open(newline="") as text:
        return list(csv.DictReader(text))


@pytest.mark.parametrize("name", ["csv", "coco"])
def test_a_run_learns_and_its_metrics_match_its_rows(place: Path, name: str) -> None:
    run = read_run(place / name)
    metrics = run.summary["metrics"]
    assert run.task == "multilabel" and run.headline == "test/mAP"
    assert metrics["test/mAP"] > 0.9
    rows = _rows(place / name / "test_results.csv")
    truth, found = (np.array([[colour in row[column].split("|") for colour in COLOURS] for row in rows])
                    for column in ("truth", "prediction"))  # fmt: skip
    assert metrics["test/macro_f1"] == pytest.approx(f1_score(truth, found, average="macro"))
    assert metrics["test/exact_match"] == pytest.approx((truth == found).all(axis=1).mean())
    assert not truth.any(axis=1).all()  # some images have no class


def test_the_table_and_the_coco_file_give_the_same_data(place: Path) -> None:
    samples_of = {name: read_run(place / name).summary["samples"] for name in ("csv", "coco")}
    assert samples_of["csv"] == samples_of["coco"] == {"train": 84, "val": 18, "test": 18}
    assert read_run(place / "csv").classes == read_run(place / "coco").classes == list(COLOURS)


def test_thresholds_from_validation_are_used_for_the_test_split_and_predictions(place: Path) -> None:
    assert cli.main(["predict", str(place / "csv"), str(place / "data/images"), "--output", "found"]) == 0
    thresholds = json.loads((place / "csv/labels.json").read_text())["thresholds"]
    rows = {Path(row["file"]).name: row for row in _rows(Path("found/predictions.csv"))}
    for row in rows.values():
        chosen = {name for name, least in zip(COLOURS, thresholds, strict=True) if float(row[name]) >= least}
        assert set(filter(None, row["prediction"].split("|"))) == chosen
    for row in _rows(place / "csv/test_results.csv"):
        assert set(rows[Path(row["name"]).name]["prediction"].split("|")) == set(row["prediction"].split("|"))
    answers = json.loads(Path("found/predictions.json").read_text())
    assert len(answers) == len(rows) == 120
    assert all(set(answer["probabilities"]) == set(COLOURS) for answer in answers)
    truth = {row["file"]: row["colours"].split("|") for row in _rows(place / "data/labels.csv")}
    marks = np.array([[name in truth[file] for name in COLOURS] for file in rows])
    scores = np.array([[float(row[name]) for name in COLOURS] for row in rows.values()])
    assert average_precision_score(marks, scores) > 0.9
    assert (
        cli.main(["predict", str(place / "csv"), str(place / "data/images"), "--output", "all", "--threshold", "0"])
        == 0
    )
    assert {len(row["prediction"].split("|")) for row in _rows(Path("all/predictions.csv"))} == {3}
    assert cli.main(["predict", str(place / "csv"), str(place / "data/images"), "--threshold", "2"]) == 2


def test_evaluate_reproduces_the_runs_metrics_and_accepts_other_data(place: Path) -> None:
    for split in ("val", "test"):
        assert cli.main(["evaluate", str(place / "csv"), "--split", split]) == 0
        found = json.loads((place / f"csv/evaluate/{split}/evaluation.json").read_text())
        own = read_run(place / "csv").summary["metrics"]
        assert found["metrics"] == pytest.approx({name: own[f"{split}/{name}"] for name in found["metrics"]}, abs=1e-5)
        assert [row["class"] for row in found["by_class"]] == list(COLOURS)
    other = ["data=folder", f"data.path={place}/data/shapes.json"]
    assert cli.main(["evaluate", str(place / "csv"), *other, "--tta"]) == 0
    # These are the run's own images in another layout, so only those of its own test split are evaluated.
    assert len(_rows(place / "csv/evaluate/test-tta/results.csv")) == 18


def test_compare_pairs_the_samples(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = read_run(place / "csv")
    rows = {row["name"]: row for row in _rows(place / "csv/test_results.csv")}
    for metric, expected in (
        ("test/mAP", {name: float(row["mAP_pseudo_value"]) for name, row in rows.items()}),
        ("test/micro_f1", {name: float(row["micro_f1_pseudo_value"]) for name, row in rows.items()}),
        ("test/exact_match", {name: float(row["truth"] == row["prediction"]) for name, row in rows.items()}),
    ):
        samples = sample_values(run, metric)
        assert samples is not None
        assert {name: value for (name, _), value in zip(*samples, strict=True)} == expected
    other = ["model.dropout=0.3", f"data.path={place}/data/labels.csv", "hydra.run.dir=other"]
    assert cli.main(["train", *QUICK, *other]) == 0
    capsys.readouterr()
    assert cli.main(["compare", str(place / "csv"), "other"]) == 0
    output = capsys.readouterr().out
    assert "by test/mAP: 2 completed runs" in output
    assert "tested by paired sign-flip over samples" in output


def test_every_predicted_class_is_explained(place: Path) -> None:
    image = max((row for row in _rows(place / "data/labels.csv")), key=lambda row: len(row["colours"]))["file"]
    assert (
        cli.main(["visualize", str(place / "csv"), "--image", str(place / "data/images" / image), "--steps", "0"]) == 0
    )
    with Image.open(place / "csv/visualizations/explanations.png") as picture:
        height = picture.height
    assert height > 3 * 112  # a row for each of the three classes


@pytest.mark.parametrize("form", ["saved_model", "onnx", "litert"])
def test_exports_agree_with_keras(place: Path, form: str, capsys: pytest.CaptureFixture[str]) -> None:
    for package in {"onnx": ("onnx", "tf2onnx", "onnxruntime"), "litert": ("ai_edge_litert",)}.get(form, ()):
        pytest.importorskip(package)
    assert cli.main(["export", str(place / "csv"), "--format", form, "--output", "exported"]) == 0
    assert "54 of 54 class decisions agree" in capsys.readouterr().out


def test_the_head_is_trained_on_cached_features(place: Path) -> None:
    overrides = [*QUICK, "mode=feature_extractor", f"mode.weights={place / 'coco'}", "hydra.run.dir=head",
                 f"data.path={place}/data/labels.csv", "output_root=cached"]  # fmt: skip
    assert cli.main(["train", *overrides]) == 0
    run = read_run(Path("head"))
    assert run.summary["feature_views"] == 1
    assert run.summary["metrics"]["test/mAP"] > 0.9
