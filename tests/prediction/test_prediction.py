"""Predicted boxes and masks of files equal those of the evaluation, in the files' own pixels."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import keras
import numpy as np
import pytest
from PIL import Image

from cvlib import cli, tasks
from cvlib.config.schema import Config, DataConfig, ModelConfig
from cvlib.data.dataset import Boxes, Split
from cvlib.data.input_spec import InputSpec
from cvlib.data.labels import BOXES
from cvlib.data.make_feed import make_feed
from cvlib.models.network import build
from cvlib.prediction import picture_names
from tests.configs import model_config
from tests.small_runs import write_network, write_record

SIDE = 64
SMALL = {
    "detection": model_config("yolo", backbone="cnn", filters=[8, 8, 8, 8], neck_channels=8),
    "segmentation": model_config("segmenter", filters=[4, 4, 4, 4], decoder_filters=8),
}
CLASSES = ["background", "cat", "dog"]


def write_run(folder: Path, model: ModelConfig, side: int = SIDE) -> keras.Model:
    """Write an untrained run of this model; return the network that validation uses."""
    whole = Config(model, data=DataConfig(tasks=[model.task], image_size=side, samples=20))
    spec = InputSpec(side, side, 3, tasks.resize(whole))
    write_record(folder, whole, spec, CLASSES)
    keras.utils.set_random_seed(1)
    network = build(model, spec, len(CLASSES))
    for weight in network.model.weights:  # so that boxes and classes differ between positions
        weight.assign(weight + 0.05 * keras.random.normal(weight.shape, seed=len(weight.shape)))
    write_network(folder, whole, network, CLASSES, colours=[[0, 0, 0], [200, 0, 0], [0, 0, 250]])
    return tasks.of_config(whole).validated(network)


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    (tmp_path / "in").mkdir()
    made = []
    for number, size in enumerate([(50, 80), (90, 40), (64, 64)]):
        pixels = np.random.default_rng(number).integers(0, 256, (*size, 3), np.uint8)
        made.append(tmp_path / f"in/{number}.png")
        Image.fromarray(pixels).save(made[-1])
    return made


def test_boxes_equal_those_of_the_evaluation(
    tmp_path: Path, files: list[Path], capsys: pytest.CaptureFixture[str]
) -> None:
    network = write_run(tmp_path / "run", SMALL["detection"])
    none = Boxes(np.zeros((0, 4), np.float32), np.zeros(0, np.int64), np.zeros(0, bool))
    split = Split([file.name for file in files], files, [none] * len(files))
    feed = make_feed(split, InputSpec(SIDE, SIDE, 3, "letterbox"), BOXES, 2, 0)
    found = tasks.of("detection").evaluate(network, feed, CLASSES).found
    assert cli.main(["predict", str(tmp_path / "run"), str(tmp_path / "in"), "--output", str(tmp_path / "out")]) == 0
    with (tmp_path / "out/predictions.csv").open() as text:
        rows = list(csv.DictReader(text))
    coco = json.loads((tmp_path / "out/predictions.json").read_text())
    assert len(rows) == len(coco) > 30
    highest = max(float(row["score"]) for row in rows)
    note = f"no boxes are drawn: the highest score is {highest:.2f}, below the limit of 0.25"
    assert (note in capsys.readouterr().out) == (highest < 0.25)
    for file, expected in zip(files, found, strict=True):
        # Later boxes of an untrained detector are so similar that rounding decides which ones survive suppression.
        first = [getattr(expected, part)[:9] for part in ("corners", "scores", "classes")]
        own = [row for row in rows if row["file"] == str(file)][:9]
        assert [row["class"] for row in own] == [CLASSES[label] for label in first[2]]
        np.testing.assert_allclose([float(row["score"]) for row in own], first[1], atol=1e-5)
        corners = [[float(row[key]) for key in ("x_min", "y_min", "x_max", "y_max")] for row in own]
        np.testing.assert_allclose(corners, first[0], atol=0.02)
        boxes = [row["bbox"] for row in coco if row["file"] == str(file)][:9]
        np.testing.assert_allclose([[x, y, x + w, y + h] for x, y, w, h in boxes], first[0], atol=0.02)
    assert sorted(path.name for path in (tmp_path / "out/images").iterdir()) == ["0.png", "1.png", "2.png"]


def test_a_threshold_is_the_minimum_score_of_listed_and_drawn_boxes(tmp_path: Path, files: list[Path]) -> None:
    write_run(tmp_path / "run", SMALL["detection"])
    plain = np.asarray(Image.open(files[0]).resize((400, 250), Image.Resampling.NEAREST))

    def predicted(*given: str) -> tuple[list[float], int]:
        """Return the listed scores and the number of pixels that boxes cover."""
        out = tmp_path / "out"
        assert cli.main(["predict", str(tmp_path / "run"), str(files[0]), "--output", str(out), *given]) == 0
        with (out / "predictions.csv").open() as text:
            scores = [float(row["score"]) for row in csv.DictReader(text)]
        return scores, int((np.asarray(Image.open(out / "images/0.png")) != plain).any(axis=-1).sum())

    whole, _ = predicted()
    middle = (whole[0] + whole[-1]) / 2
    some, covered = predicted("--threshold", str(middle))
    assert some == [score for score in whole if score >= middle]
    assert 0 < len(some) < len(whole)
    every, most = predicted("--threshold", "0")
    assert every == whole
    assert 0 < covered < most
    assert predicted("--threshold", "1") == ([], 0)


@pytest.mark.parametrize("task", ["detection", "segmentation"])
def test_predictions_never_overwrite_images(
    tmp_path: Path, files: list[Path], capsys: pytest.CaptureFixture[str], task: str
) -> None:
    write_run(tmp_path / "run", SMALL[task])
    (tmp_path / "in").rename(tmp_path / "images")
    before = {file: file.read_bytes() for file in (tmp_path / "images").iterdir()}
    command = ["predict", str(tmp_path / "run"), str(tmp_path / "images"), "--output", str(tmp_path)]
    assert cli.main(command) == 2
    assert "holds the images themselves" in capsys.readouterr().err
    assert {file: file.read_bytes() for file in (tmp_path / "images").iterdir()} == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["images", "run"]


@pytest.mark.parametrize(("task", "given", "words"), [
    ("segmentation", "0.5", "--threshold is not available for segmentation"),
    ("detection", "1.5", "invalid --threshold 1.5: expected a score from 0 to 1"),
    ("detection", "nan", "invalid --threshold nan: expected a score from 0 to 1"),
    ("detection", "much", "argument --threshold: invalid float value: 'much'"),
])  # fmt: skip
def test_invalid_thresholds_are_refused(
    tmp_path: Path, files: list[Path], capsys: pytest.CaptureFixture[str], task: str, given: str, words: str
) -> None:
    write_run(tmp_path / "run", SMALL[task])
    capsys.readouterr()
    assert cli.main(["predict", str(tmp_path / "run"), str(files[0]), "--threshold", given]) == 2
    assert words in capsys.readouterr().err
    assert not (tmp_path / "run/predictions").exists()


def test_masks_equal_those_of_the_evaluation_at_the_files_own_size(tmp_path: Path, files: list[Path]) -> None:
    network = write_run(tmp_path / "run", SMALL["segmentation"])
    assert cli.main(["predict", str(tmp_path / "run"), str(tmp_path / "in")]) == 0
    out = tmp_path / "run/predictions"
    masks = []
    for file in files:
        with Image.open(out / f"masks/{file.stem}.png") as opened:
            masks.append(opened.copy())
    assert [mask.size for mask in masks] == [(80, 50), (40, 90), (64, 64)]
    assert {mask.mode for mask in masks} == {"P"}
    assert masks[0].getpalette()[:9] == [0, 0, 0, 200, 0, 0, 0, 0, 250]
    pixels = np.asarray(Image.open(files[2]), np.float32)[None]  # of the network's own size
    expected = network.predict(pixels, verbose=0)[0].argmax(-1)
    assert (np.asarray(masks[2]) == expected).mean() > 0.999
    content = json.loads((out / "predictions.json").read_text())
    share = content[2]["shares"]["cat"]
    assert share == pytest.approx((np.asarray(masks[2]) == 1).mean(), abs=1e-6)
    assert (out / "overlays/1.png").is_file()
    assert (out / "legend.png").is_file()


def test_files_with_the_same_name_get_separate_pictures() -> None:
    names = list(picture_names([Path("a/x.png"), Path("b/x.jpg"), Path("../y.png")]))
    assert names == ["x", "x~2", "y"]
    alike = list(picture_names([Path("a/x.png"), Path("b/x.png"), Path("b/x~2.png"), Path("c/X.png")]))
    assert alike == ["x", "x~3", "x~2", "X~4"]


def test_files_that_are_not_images_are_reported(tmp_path):
    from cvlib import prediction

    (tmp_path / "a.heic").write_bytes(b"x")
    (tmp_path / "notes.md").write_text("x")
    (tmp_path / "b.svg").write_text("<svg/>")
    text = prediction.left_out([str(tmp_path), str(tmp_path / "notes.md")])
    assert "1 .svg file is in an unsupported format (SVG)" in text and "other files that are not images: 1" in text
    assert prediction.left_out([]) == ""
