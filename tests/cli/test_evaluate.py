"""`cvlib evaluate`: the metrics recorded by the run, and other data with the same classes."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from cvlib import cli, experiment
from cvlib.cli.compose import compose
from cvlib.models import restore
from cvlib.tasks import saved
from tests.small_runs import write_run

QUICK = ["trainer.epochs=1", "trainer.steps_per_epoch=2", "data.samples=60"]
TASKS = {
    "classification": ["model.filters=[4]", "model.dense=[8]"],
    "detection": ["model=yolo", "data.image_size=64", "model.neck_channels=8", "model.filters=[8,8,8,8,8]"],
    "segmentation": ["model=segmenter", "model.filters=[4,8]"],
}


def evaluation(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "evaluation.json").read_text())
    return found


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture
def run(tmp_path: Path) -> Path:
    write_run(tmp_path / "run")
    return tmp_path / "run"


def digits(folder: Path, run: Path, names: list[str]) -> Path:
    """Write the run's test digits as image files, in one folder per class named by `names`; return `folder`."""
    split = saved.dataset(restore.open_run(run)).test
    for index, (pixels, label) in enumerate(zip(split.images, split.labels, strict=True)):
        if label < len(names):
            (folder / names[label]).mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels[..., 0]).save(folder / names[label] / f"{index}.png")
    return folder


@pytest.mark.parametrize("task", [
    "classification", *(pytest.param(task, marks=pytest.mark.slow) for task in ("detection", "segmentation"))
])  # fmt: skip
def test_evaluation_reproduces_the_runs_own_metrics(task: str, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    own = experiment.run(compose([*TASKS[task], *QUICK]), folder)["metrics"]
    assert cli.main(["evaluate", str(folder)]) == 0
    found = evaluation(folder / "evaluate/test")
    assert {f"test/{name}": value for name, value in found["metrics"].items()} == pytest.approx(
        {name: value for name, value in own.items() if name.startswith("test/")}, abs=1e-6
    )
    assert (folder / "evaluate/test/results.csv").read_bytes() == (folder / "test_results.csv").read_bytes()
    assert cli.main(["evaluate", str(folder), "--split", "val"]) == 0
    val = evaluation(folder / "evaluate/val")["metrics"]
    assert {name: value for name, value in own.items() if name.startswith("val/")} == pytest.approx(
        {f"val/{name}": value for name, value in val.items()}, abs=1e-6
    )


def test_evaluation_writes_files_and_prints_the_metrics(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["evaluate", str(run), "--split", "val"]) == 0
    folder = run / "evaluate/val"
    assert {path.name for path in folder.iterdir()} == {
        "evaluation.json", "by_class.csv", "results.csv", "confusion_matrix.png", "reliability.png", "worst.png"
    }  # fmt: skip
    found = evaluation(folder)
    assert len(rows(folder / "results.csv")) == found["samples"] == 270
    by_class = rows(folder / "by_class.csv")
    assert [row["class"] for row in by_class] == [row["class"] for row in found["by_class"]] == list("0123456789")
    assert sum(int(row["support"]) for row in by_class) == 270
    assert sum(row["samples"] for row in found["calibration"]["filled"]) == 270
    output = capsys.readouterr().out
    assert output.startswith("digits, val: 270 images\nclass  precision  recall      f1  support\n0 ")
    assert f"accuracy        {found['metrics']['accuracy']:.4f}" in output
    assert f"ECE             {found['calibration']['ece']:.4f}" in output


def test_other_data_is_matched_by_class_name(run: Path, tmp_path: Path) -> None:
    assert cli.main(["evaluate", str(run)]) == 0
    names = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]  # not alphabetical
    summary = json.loads((run / "summary.json").read_text())
    (run / "summary.json").write_text(json.dumps({**summary, "classes": names}))
    images = digits(tmp_path / "mine", run, names)
    assert cli.main(["evaluate", str(run), "data=folder", f"data.path={images}"]) == 0
    own, other = evaluation(run / "evaluate/test"), evaluation(run / "evaluate/mine")
    assert other["samples"] == own["samples"]
    assert other["metrics"] == pytest.approx(own["metrics"], abs=1e-5)
    assert [row["class"] for row in other["by_class"]] == names
    assert [row["f1"] for row in other["by_class"]] == pytest.approx([row["f1"] for row in own["by_class"]])


def test_a_note_lists_classes_without_images(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    images = digits(tmp_path / "some/test", run, ["0", "1"])
    assert cli.main(["evaluate", str(run), "data=folder", f"data.path={images}"]) == 0
    assert (
        "note: no images of 2, 3, 4, 5, 6, 7, 8, 9: the metrics do not cover these classes" in capsys.readouterr().out
    )
    assert evaluation(run / "evaluate/some-test")["samples"] == 54


def test_tta_averages_each_image_with_its_mirror_image(run: Path) -> None:
    assert cli.main(["evaluate", str(run), "--tta"]) == 0
    opened = restore.open_run(run)
    split, model = saved.dataset(opened).test, saved.network(opened)
    images = np.asarray(split.images, np.float32)
    # Resize first: mirroring before resizing may round differently.
    from cvlib.inspection import graph

    seen = graph.as_seen(model, images)
    mean = (model.predict(seen, verbose=0) + model.predict(seen[:, :, ::-1], verbose=0)) / 2
    found = rows(run / "evaluate/test-tta/results.csv")
    assert [row["prediction"] for row in found] == [str(label) for label in mean.argmax(axis=1)]
    np.testing.assert_allclose([float(row["score"]) for row in found], mean.max(axis=1), atol=1e-5)
    assert evaluation(run / "evaluate/test-tta")["tta"] is True


def test_an_unfinished_run_uses_its_best_epoch_with_a_note(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_run(tmp_path / "run", status="interrupted")
    assert cli.main(["evaluate", str(tmp_path / "run")]) == 0
    assert "status interrupted after 1 of 3 epochs; the best epoch so far is used" in capsys.readouterr().out
    found = evaluation(tmp_path / "run/evaluate/test")
    assert (found["status"], found["best_epoch"]) == ("interrupted", 1)


@pytest.mark.parametrize(("arguments", "words"), [
    (["{}/absent"], "absent is not a folder"),
    (["{}/evaluate"], "is not a run: it has no summary.json"),
    (["{}", "--split", "all"], "invalid choice: 'all'"),
    (["{}", "data=mnistt"], "data=mnistt: there is no such data; did you mean mnist"),
    (["{}", "data=letters", "data.samples=60"], "letters has classes that the run was not trained on: C, J, K"),
    (["{}", "data=coco", "data.path=absent"], "data=coco has labels for detection, segmentation only"),
    (["{}", "data=folder", "data.path=absent"], "absent is not a folder or file; if the images have moved"),
    (["{}", "model=resnet"], "model=resnet: only a run's data can be changed for evaluation"),
    (["{}", "data=folder", "data.path={}/evaluate", "--split", "val"], "evaluate has no val split, only train"),
])  # fmt: skip
def test_invalid_input_gives_a_one_line_error(run: Path, capsys: pytest.CaptureFixture[str], arguments: list[str],
                                              words: str) -> None:  # fmt: skip
    digits(run / "evaluate", run, ["0", "1"])
    assert cli.main(["evaluate", *[argument.replace("{}", str(run)) for argument in arguments]]) == 2
    captured = capsys.readouterr()
    assert words in captured.err
    assert captured.err.count("\n") == 1
    assert {path.name for path in (run / "evaluate").iterdir()} == {"0", "1"}
