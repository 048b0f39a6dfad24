"""`cvlib import-predictions`: own predictions give the run's own metrics again, and other tools' files are read."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import cvlib
from cvlib import cli, experiment
from cvlib.cli.compose import compose
from cvlib.data.images import size_of

QUICK = ["trainer.epochs=1", "trainer.steps_per_epoch=2", "data=folder"]
MODELS = {
    "classification": ["model.filters=[4]", "model.dense=[8]"],
    "multilabel": ["task=multilabel", "model.filters=[4]", "model.dense=[8]"],
    "detection": ["model=yolo", "model.neck_channels=8", "model.filters=[8,8,8,8,8]"],
    "segmentation": ["model=segmenter", "model.filters=[4,8]"],
}
CLASSES = ["cat", "dog", "hen"]


def photos(folder: Path) -> list[str]:
    """Write twelve training, three validation and six test images; return the overrides that read them."""
    random = np.random.default_rng(1)
    for split, count in (("train", 4), ("val", 1), ("test", 2)):
        for label in CLASSES:
            (folder / split / label).mkdir(parents=True)
            for index in range(count):
                pixels = random.integers(0, 256, (16, 16, 3)).astype(np.uint8)
                Image.fromarray(pixels).save(folder / split / label / f"{label}{split}{index}.png")
    return ["data=folder", f"data.path={folder}"]


def marked(folder: Path) -> list[str]:
    """Write images with any number of classes each."""
    folder.mkdir()
    random, rows = np.random.default_rng(2), ["file,split,labels"]
    for index in range(30):
        Image.fromarray(random.integers(0, 256, (16, 16, 3)).astype(np.uint8)).save(folder / f"{index:03}.png")
        split = ("train", "val", "test")[index % 3]
        rows.append(f"{index:03}.png,{split},{'|'.join(name for i, name in enumerate(CLASSES) if (index >> i) % 2)}")
    (folder / "labels.csv").write_text("\n".join(rows) + "\n")
    return ["data=folder", f"data.path={folder / 'labels.csv'}"]


def boxed(folder: Path) -> list[str]:
    """Write scenes with boxes as a COCO collection whose ids start at 7."""
    scenes = cvlib.load_data("model=yolo", "data.samples=40")
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    folder.mkdir()
    for split in (scenes.train, scenes.val, scenes.test):
        for pixels, boxes in zip(split.images, split.labels, strict=True):
            number = 7 + len(images)
            Image.fromarray(pixels[..., 0]).save(folder / f"{number:05}.png")
            images.append({"id": number, "file_name": f"{number:05}.png"})
            for (left, top, right, bottom), label in zip(boxes.corners.tolist(), boxes.classes.tolist(), strict=True):
                annotations.append({"id": len(annotations), "image_id": number, "category_id": label + 1,
                                    "bbox": [left, top, right - left, bottom - top]})  # fmt: skip
    categories = [{"id": label + 1, "name": name} for label, name in enumerate(scenes.classes)]
    content = {"images": images, "annotations": annotations, "categories": categories}
    (folder / "annotations.json").write_text(json.dumps(content))
    return ["data=folder", f"data.path={folder}"]


def painted(folder: Path) -> list[str]:
    """Write scenes with masks."""
    scenes = cvlib.load_data("model=segmenter", "data.samples=40")
    for name in ("images", "masks"):
        (folder / name).mkdir(parents=True)
    number = 0
    for split in (scenes.train, scenes.val, scenes.test):
        for pixels, mask in zip(split.images, split.labels, strict=True):
            Image.fromarray(pixels[..., 0]).save(folder / f"images/{number:03}.png")
            Image.fromarray(mask).save(folder / f"masks/{number:03}.png")
            number += 1
    (folder / "classes.txt").write_text("\n".join(scenes.classes) + "\n")
    return ["data=folder", f"data.path={folder}"]


MAKERS = {"classification": photos, "multilabel": marked, "detection": boxed, "segmentation": painted}
FILES = {"classification": "predictions.csv", "multilabel": "predictions.csv", "detection": "predictions.json",
         "segmentation": "masks"}  # fmt: skip


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def summary_of(folder: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((folder / "summary.json").read_text())
    return content


def imported(source: Path, folder: Path, *more: str) -> dict[str, Any]:
    """Import predictions into a folder and return the summary."""
    assert cli.main(["import-predictions", str(source), *more, "--output", str(folder)]) == 0
    return summary_of(folder)


def images_of_test(folder: Path) -> list[Path]:
    """Return the test images of `photos`."""
    return sorted((folder / "test").rglob("*.png"))


def table(path: Path, lines: list[str]) -> Path:
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.mark.parametrize("task", [
    "classification", "multilabel", *(pytest.param(task, marks=pytest.mark.slow)
                                      for task in ("detection", "segmentation"))
])  # fmt: skip
def test_own_predictions_give_the_runs_own_metrics(
    task: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = MAKERS[task](tmp_path / "data")
    run = tmp_path / "runs/own"
    own = experiment.run(compose([*MODELS[task], *QUICK, *data]), run)
    names = json.loads((run / "splits.json").read_text())["test"]
    root = Path(data[1].removeprefix("data.path="))
    root = root if root.is_dir() else root.parent
    assert cli.main(["predict", str(run), *(str(root / name) for name in names)]) == 0
    more = ["task=multilabel"] if task == "multilabel" else []
    found = imported(run / "predictions" / FILES[task], tmp_path / "runs/again", *data, *more, "--name", "other")
    expected = {name: value for name, value in own["metrics"].items() if name.startswith("test/")}
    if task == "segmentation":
        del expected["test/loss"]  # masks have no probabilities
    assert found["metrics"] == pytest.approx(expected, abs=2e-6 if task != "detection" else 1e-4)
    assert found["data_fingerprint"] == own["data_fingerprint"]
    assert (tmp_path / "runs/again/splits.json").read_text() == (run / "splits.json").read_text()
    assert [row["name"] for row in rows(tmp_path / "runs/again/test_results.csv")] == names
    capsys.readouterr()
    assert cli.main(["compare", str(tmp_path / "runs")]) == 0
    said = capsys.readouterr()
    assert "2 completed runs" in said.out and "warning" not in said.out + said.err
    assert "other imported" in said.out and "null" not in said.out


def test_probabilities_of_each_class(tmp_path: Path) -> None:
    data, random = photos(tmp_path / "data"), np.random.default_rng(3)
    scores = random.dirichlet([1, 1, 1], 6)
    images = images_of_test(tmp_path / "data")
    lines = ["path,hen,cat,dog"]
    lines += [f"{image},{row[2]},{row[0]},{row[1]}" for image, row in zip(images, scores, strict=True)]
    found = imported(table(tmp_path / "scores.csv", lines[:1] + lines[:0:-1]), tmp_path / "run", *data)
    truth = np.array([CLASSES.index(image.parent.name) for image in images])
    assert found["metrics"]["test/accuracy"] == (scores.argmax(axis=1) == truth).mean()
    assert found["metrics"]["test/loss"] == pytest.approx(-np.log(scores[np.arange(6), truth]).mean())
    results = rows(tmp_path / "run/test_results.csv")
    assert [row["prediction"] for row in results] == [CLASSES[label] for label in scores.argmax(axis=1)]
    assert [float(row["score"]) for row in results] == pytest.approx(scores.max(axis=1), abs=1e-6)


def test_logits_are_recognized_and_noted(tmp_path: Path) -> None:
    data, random = photos(tmp_path / "data"), np.random.default_rng(4)
    logits = random.normal(0, 2, (6, 3))
    images = images_of_test(tmp_path / "data")
    lines = ["file,cat,dog,hen", *(f"{image.name},{','.join(map(str, row))}"
                                   for image, row in zip(images, logits.tolist(), strict=True))]  # fmt: skip
    found = imported(table(tmp_path / "logits.csv", lines), tmp_path / "run", *data)
    truth = [CLASSES.index(image.parent.name) for image in images]
    losses = [-np.log(np.exp(row[label]) / np.exp(row).sum()) for row, label in zip(logits, truth, strict=True)]
    assert found["metrics"]["test/loss"] == pytest.approx(np.mean(losses))
    assert any("read as logits" in note for note in found["notes"])


@pytest.mark.parametrize(("cells", "arguments"), [
    (["dog", "cat", "dog", "hen", "hen", "hen"], []),
    (["1", "0", "1", "2", "2", "2"], []),
    (["2", "0", "2", "1", "1", "1"], ["--classes", "cat,hen,dog"]),
])  # fmt: skip
def test_class_names_or_ids_alone_give_no_loss(cells: list[str], arguments: list[str], tmp_path: Path) -> None:
    data = photos(tmp_path / "data")  # the truth is cat cat dog dog hen hen
    lines = ["file,prediction", *(f"{image.stem},{cell}" for image, cell in
                                  zip(images_of_test(tmp_path / "data"), cells, strict=True))]  # fmt: skip
    found = imported(table(tmp_path / "a.csv", lines), tmp_path / "run", *data, *arguments)
    # Cat: 1 hit, 2 true, 1 predicted. Dog: 1 hit, 2 true, 2 predicted. Hen: 2 hits, 2 true, 3 predicted.
    expected = {"test/accuracy": 4 / 6, "test/macro_f1": (2 / 3 + 1 / 2 + 4 / 5) / 3}
    assert {name: found["metrics"][name] for name in expected} == pytest.approx(expected)
    assert not {"test/loss", "test/roc_auc", "test/average_precision"} & set(found["metrics"])
    assert not {"loss", "score", "top5_accuracy"} & set(rows(tmp_path / "run/test_results.csv")[0])


def coco_file(folder: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((folder / "annotations.json").read_text())
    return content


def true_boxes(folder: Path, names: list[str]) -> list[dict[str, Any]]:
    """Return the true boxes in these images as COCO results."""
    content = coco_file(folder)
    chosen = {image["id"] for image in content["images"] if image["file_name"] in names}
    return [{"image_id": item["image_id"], "category_id": item["category_id"], "bbox": item["bbox"], "score": 0.9}
            for item in content["annotations"] if item["image_id"] in chosen]  # fmt: skip


def test_coco_results_with_the_ids_of_the_collection(tmp_path: Path) -> None:
    data = boxed(tmp_path / "data")
    everything = [image["file_name"] for image in coco_file(tmp_path / "data")["images"]]
    results = true_boxes(tmp_path / "data", everything)
    (tmp_path / "results.json").write_text(json.dumps(results))
    found = imported(tmp_path / "results.json", tmp_path / "run", *data, "--name", "perfect")
    assert found["metrics"]["test/mAP"] == 1.0
    assert any("of train and val" in note for note in found["notes"])
    assert (found["model"], found["mode"], found["status"]) == ("perfect", "imported", "completed")
    # Half of the test images have no boxes: they are noted, and count as missed.
    names = json.loads((tmp_path / "run/splits.json").read_text())["test"]
    (tmp_path / "half.json").write_text(json.dumps(true_boxes(tmp_path / "data", names[::2])))
    half = imported(tmp_path / "half.json", tmp_path / "half", *data)
    assert any(f"{len(names) // 2} of {len(names)} test images have no boxes" in note for note in half["notes"])
    found_boxes = [row["found"] == row["truths"] for row in rows(tmp_path / "half/test_results.csv")]
    assert found_boxes == [index % 2 == 0 for index in range(len(names))]


def test_yolo_text_files_equal_coco_results(tmp_path: Path) -> None:
    data = boxed(tmp_path / "data")
    everything = [image["file_name"] for image in coco_file(tmp_path / "data")["images"]]
    random = np.random.default_rng(5)
    results = true_boxes(tmp_path / "data", everything)
    (tmp_path / "labels").mkdir()
    lines: dict[int, list[str]] = {}
    for entry in results:
        entry["score"] = round(float(random.random()), 6)
        entry["bbox"] = [value + shift for value, shift in zip(entry["bbox"], random.normal(0, 2, 4), strict=True)]
        left, top, width, height = entry["bbox"]
        side = size_of(tmp_path / f"data/{entry['image_id']:05}.png")[1]
        numbers = [(left + width / 2) / side, (top + height / 2) / side, width / side, height / side, entry["score"]]
        text = f"{entry['category_id'] - 1} " + " ".join(f"{number:.9f}" for number in numbers)
        lines.setdefault(entry["image_id"], []).append(text)
    for number, of_image in lines.items():
        (tmp_path / f"labels/{number:05}.txt").write_text("\n".join(of_image) + "\n")
    (tmp_path / "results.json").write_text(json.dumps(results))
    coco = imported(tmp_path / "results.json", tmp_path / "a", *data)
    yolo = imported(tmp_path / "labels", tmp_path / "b", *data)
    assert 0 < coco["metrics"]["test/mAP"] < 1
    assert yolo["metrics"] == pytest.approx(coco["metrics"], abs=1e-6)


def test_masks_with_another_order_of_ids(tmp_path: Path) -> None:
    data = painted(tmp_path / "data")
    classes = (tmp_path / "data/classes.txt").read_text().split()
    (tmp_path / "masks").mkdir()
    for file in (tmp_path / "data/masks").iterdir():
        Image.fromarray(len(classes) - 1 - np.asarray(Image.open(file))).save(tmp_path / "masks" / file.name)
    names = ",".join(reversed(classes))
    found = imported(tmp_path / "masks", tmp_path / "run", *data, "--classes", names)
    assert {found["metrics"][f"test/{name}"] for name in ("mIoU", "dice", "pixel_accuracy")} == {1.0}
    assert "test/loss" not in found["metrics"]


def test_seeds_of_one_imported_model_are_a_group(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = photos(tmp_path / "data")
    images = images_of_test(tmp_path / "data")
    for seed in (0, 1):
        lines = ["file,prediction", *(f"{image.name},{CLASSES[(i + seed) % 3]}" for i, image in enumerate(images))]
        imported(table(tmp_path / f"{seed}.csv", lines), tmp_path / f"runs/{seed}", *data, f"seed={seed}",
                 "--name", "timm")  # fmt: skip
    capsys.readouterr()
    assert cli.main(["compare", str(tmp_path / "runs"), "--format", "json"]) == 0
    assert '"seeds": 2' in capsys.readouterr().out


@pytest.mark.parametrize(("lines", "arguments", "words"), [
    (["file,prediction", "TEST,cat"], ["--output", "{}/data"], "is not an empty folder"),
    (["file,prediction", "TEST,cat"], ["model=cnn"], "model=cnn: expected data=…, data.…=…, task=… or seed=…"),
    (["file,prediction", "TEST,cat"], ["task=detection"], "but task=detection reads COCO results"),
    (["file,prediction", "TEST,cat"], ["--classes", "cat"], "expected at least two different names"),
    (["file,prediction"], [], "the table is empty"),
    (["image of,prediction", "TEST,cat"], [], "no column with the images' file names"),
    (["file,answer", "TEST,cat"], [], "no column named prediction and none named as a class"),
    (["file,cat,dog", "TEST,0.5,0.5"], [], "no column for the classes hen"),
    (["file,prediction", "cattest0.png,cat"], [], "no prediction for 5 of 6 test images (such as test/cat/cattest1"),
    (["file,prediction", "TEST,cat", "cow.png,cat"], [], "1 of 7 names are not images of the data (such as cow.png)"),
    (["file,prediction", "TEST,cat", "cattest0.png,cat"], [], "cattest0.png has several rows"),
    (["file,prediction", "TEST,cow"], [], "line 2: 'cow' is not a class of the data: expected one of cat, dog, hen"),
    (["file,cat,dog,hen", "TEST,0.5,0.5,x"], [], "line 2: 'x' in column hen is not a number"),
    (["file,prediction", "TEST,cat,0.5"], [], "line 2: 3 cells, but the header has 2"),
])  # fmt: skip
def test_an_invalid_table_is_one_line(
    lines: list[str], arguments: list[str], words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = photos(tmp_path / "data")
    names = [image.name for image in images_of_test(tmp_path / "data")]
    whole = [line.replace("TEST", name) for line in lines for name in (names if "TEST" in line else [""])]
    source = table(tmp_path / "a.csv", whole)
    arguments = [argument.replace("{}", str(tmp_path)) for argument in arguments]
    output = [] if "--output" in arguments else ["--output", str(tmp_path / "run")]
    assert cli.main(["import-predictions", str(source), *data, *arguments, *output]) == 2
    said = capsys.readouterr().err
    assert words in said and said.count("\n") == 1
    assert not (tmp_path / "run").exists()


BOX = {"image_id": 7, "category_id": 1, "bbox": [1, 2, 3, 4], "score": 0.5}


@pytest.mark.parametrize(("content", "words"), [
    ({"annotations": []}, "category_id, bbox and score, found an annotation file"),
    ([{**BOX, "bbox": [1, 2, 3]}], "entry 0: invalid bbox [1, 2, 3]"),
    ([{**BOX, "score": 7}], "entry 0: invalid score 7: expected a number from 0 to 1"),
    ([{"image_id": 7}], "entry 0: expected COCO results"),
    ([{**BOX, "image_id": 99}], "1 image ids (such as 99) are not in the data's COCO file"),
    ([{**BOX, "category_id": 99}], "category_id 99 is not in the data's COCO file: its ids are 1, 2"),
    ([{**BOX, "file": "x.png"}], "1 of 1 names are not images of the data (such as x.png)"),
    ([{**BOX, "category": "cow"}], "no box has a class of the data (0, 1"),
])  # fmt: skip
def test_invalid_results_are_one_line(
    content: Any, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = boxed(tmp_path / "data")
    (tmp_path / "a.json").write_text(json.dumps(content))
    assert cli.main(["import-predictions", str(tmp_path / "a.json"), *data, "--output", str(tmp_path / "run")]) == 2
    said = capsys.readouterr().err
    assert words in said and said.count("\n") == 1
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(("line", "words"), [
    ("0 0.5 0.5 0.2 0.2", "the box has no score: save the predictions with confidences"),
    ("0 32 32 10 10 0.5", "expected a class id, the centre x and y"),
    ("99 0.5 0.5 0.2 0.2 0.5", "class id 99 is not one of the data's 10 classes"),
])  # fmt: skip
def test_invalid_text_files_are_one_line(
    line: str, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = boxed(tmp_path / "data")
    (tmp_path / "labels").mkdir()
    for image in (tmp_path / "data").glob("*.png"):
        (tmp_path / f"labels/{image.stem}.txt").write_text(line + "\n")
    assert cli.main(["import-predictions", str(tmp_path / "labels"), *data, "--output", str(tmp_path / "run")]) == 2
    said = capsys.readouterr().err
    assert words in said and said.count("\n") == 1


def test_invalid_masks_are_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = painted(tmp_path / "data")
    (tmp_path / "masks").mkdir()
    for pixels, words in ((np.full((96, 96), 200), "200 is not a class id"), (np.zeros((8, 9)), "the mask is 9×8")):
        for file in (tmp_path / "data/masks").iterdir():
            Image.fromarray(pixels.astype(np.uint8)).save(tmp_path / "masks" / file.name)
        assert cli.main(["import-predictions", str(tmp_path / "masks"), *data, "--output", str(tmp_path / "run")]) == 2
        said = capsys.readouterr().err
        assert words in said and said.count("\n") == 1


@pytest.mark.parametrize("command", [
    ["evaluate", "{}"], ["predict", "{}", "x.png"], ["export", "{}", "--format", "onnx"], ["visualize", "{}"],
    ["train", "model=cnn", "mode=finetune", "mode.weights={}"],
])  # fmt: skip
def test_an_imported_run_holds_no_network(
    command: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    data = photos(tmp_path / "data")
    lines = ["file,prediction", *(f"{image.name},cat" for image in images_of_test(tmp_path / "data"))]
    imported(table(tmp_path / "a.csv", lines), tmp_path / "run", *data)
    capsys.readouterr()
    assert cli.main([word.replace("{}", "run") for word in command]) == 2
    said = capsys.readouterr().err
    assert "no network" in said and said.count("\n") == 1
