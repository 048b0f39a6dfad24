"""Exported networks contain their labels and give the same answers in their own runtimes as in Keras."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

import cvlib
from cvlib import cli, tasks
from cvlib.export import agreement, export_run, forms, resizing, runtimes, writers
from cvlib.runtime.errors import UserError
from tests.prediction.test_prediction import SMALL
from tests.prediction.test_prediction import write_run as write_untrained
from tests.small_runs import CLASSES, write_run
from tests.tasks.detection.test_task import learned

WRITERS = {
    "saved_model": writers.write_saved_model, "onnx": writers.write_onnx,
    "litert": lambda model, path, labels: writers.write_litert(model, path, labels, None),
}  # fmt: skip


@pytest.fixture
def run(tmp_path: Path) -> Path:
    write_run(tmp_path / "run")
    return tmp_path / "run"


def pictures() -> list[np.ndarray]:
    random = np.random.default_rng(0)
    return [random.integers(0, 256, size).astype(np.uint8) for size in ((12, 12, 1), (40, 17, 1), (7, 9, 1))]


@pytest.mark.parametrize("letterbox", [False, True])
@pytest.mark.parametrize("size", [(12, 12), (31, 45), (96, 48), (5, 9), (7, 3)])
def test_resizing_by_matrix_products_equals_keras_resizing(size: tuple[int, int], letterbox: bool) -> None:
    image = np.random.default_rng(1).uniform(0, 255, (2, *size, 3)).astype(np.float32)
    layer = keras.layers.Resizing(12, 16, antialias=True, pad_to_aspect_ratio=letterbox)
    found = resizing.resize(tf.constant(image), (12, 16), letterbox)
    np.testing.assert_allclose(found, layer(image), atol=1e-3)


@pytest.mark.parametrize(("form", "labels_of"), [
    ("saved_model", lambda path: (path / "assets.extra/labels.json").read_text()),
    ("onnx", lambda path: __import__("onnx").load(path).metadata_props[0].value),
    ("litert", lambda path: zipfile.ZipFile(path).read("labels.json").decode()),
])  # fmt: skip
def test_each_format_agrees_with_keras_and_contains_the_labels(form: str, labels_of: object, run: Path) -> None:
    assert cli.main(["export", str(run), "--format", form, "--images", "5"]) == 0
    path = run / "export" / {"saved_model": "saved_model", "onnx": "model.onnx", "litert": "model.tflite"}[form]
    assert json.loads(labels_of(path))["classes"] == CLASSES  # type: ignore[operator]
    assert {file.name for file in path.parent.iterdir()} == {path.name, "MODEL_CARD.md"}
    predict, model = runtimes.reader(path, form), keras.saving.load_model(run / "model.keras")
    for picture in pictures():  # sizes that the export's own comparison did not use
        image = picture[np.newaxis].astype(np.float32)
        np.testing.assert_allclose(predict(image)[0], model.predict(image, verbose=0), atol=1e-3)


@pytest.mark.parametrize("form", ["onnx", "litert"])
def test_a_file_of_another_kind_is_not_replaced(
    form: str, run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    assert cli.main(["export", str(run), "--format", form, "--output", str(tmp_path / "notes.txt")]) == 2
    assert "so it is not replaced" in capsys.readouterr().err
    assert (tmp_path / "notes.txt").read_text() == "mine"


@pytest.mark.parametrize("form", ["saved_model", "onnx", "litert"])
def test_a_folder_with_other_files_is_not_replaced(
    form: str, run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/photo.jpg").touch()
    command = ["export", str(run), "--format", form, "--images", "1", "--output"]
    assert cli.main([*command, str(tmp_path / "mine")]) == 2
    assert "mine is " in capsys.readouterr().err
    assert [file.name for file in (tmp_path / "mine").iterdir()] == ["photo.jpg"]


def test_a_saved_model_is_served_without_this_package(run: Path) -> None:
    assert cli.main(["export", str(run), "--format", "saved_model", "--images", "2"]) == 0
    code = (
        "import sys, tensorflow as tf; serve = tf.saved_model.load(sys.argv[1]).signatures['serving_default']; "
        "print(float(tf.reduce_sum(serve(tf.zeros((1, 30, 20, 1)))['probabilities'])))"
    )
    command = [sys.executable, "-I", "-c", code, str(run / "export/saved_model")]
    done = subprocess.run(command, capture_output=True, text=True, cwd=run, check=False)
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) == pytest.approx(1, abs=1e-5)


def test_int8_accepts_uint8_images_and_stays_close_to_keras(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from ai_edge_litert.interpreter import Interpreter

    assert cli.main(["export", str(run), "--format", "litert", "--int8", "--images", "20"]) == 0
    path = run / "export/model_int8.tflite"
    details = Interpreter(str(path)).get_signature_runner("serving_default").get_input_details()["image"]
    assert (details["dtype"], details["shape"].tolist()) == (np.uint8, [1, 12, 12, 1])
    output = capsys.readouterr().out
    difference = float(output.split("largest difference ")[1].split(",")[0])
    assert 0 < difference < 0.1
    assert json.loads(zipfile.ZipFile(path).read("labels.json"))["classes"] == CLASSES


def test_export_fails_above_the_tolerance(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["export", str(run), "--format", "litert", "--int8", "--images", "3", "--tolerance", "1e-9"]
    assert cli.main(arguments) == 1
    assert "ABOVE the tolerance of 1e-09" in capsys.readouterr().out


@pytest.mark.parametrize(("resized", "whole", "code", "words"), [
    (0.01, 0.0, 0, "because resizing rounds single pixels differently (without resizing 0, within"),
    (0.01, 0.01, 1, "largest difference 0.01, ABOVE the tolerance of 0.001"),
    (0.2, 0.0, 1, "largest difference 0.2, ABOVE the tolerance of 0.001"),
])  # fmt: skip
def test_a_small_difference_is_accepted_if_only_resizing_makes_it(
    resized: float, whole: float, code: int, words: str, run: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    model = keras.saving.load_model(run / "model.keras")

    def answers(image: np.ndarray) -> list[np.ndarray]:
        return [np.asarray(model(image)) + (whole if image.shape[1:3] == (12, 12) else resized)]

    monkeypatch.setattr(export_run, "reader", lambda path, form: answers)
    monkeypatch.setattr(export_run, "_random_images", lambda count, spec: pictures())
    assert cli.main(["export", str(run), "--format", "saved_model"]) == code
    assert words in capsys.readouterr().out


def test_nan_outputs_never_agree(run: Path) -> None:
    model = keras.saving.load_model(run / "model.keras")
    found = agreement.compare(tasks.of("classification"), model, lambda image: [np.full((1, 10), np.nan)], pictures())
    assert np.isnan(found.difference)
    assert (found.same, found.answers) == (0, 3)


@pytest.mark.parametrize("form", WRITERS)
def test_several_outputs_keep_their_names(form: str, tmp_path: Path) -> None:
    image = keras.Input((None, None, 1), name="image")
    x = keras.layers.Resizing(4, 4, antialias=True, name="resizing")(image)
    low, high = keras.layers.GlobalAveragePooling2D()(x), keras.layers.GlobalMaxPooling2D()(x)
    model = keras.Model(image, {"mean": low, "least": -high, "most": high})
    WRITERS[form](model, tmp_path / "model", {})
    found = agreement.compare(tasks.of("classification"), model, runtimes.reader(tmp_path / "model", form), pictures())
    assert found.difference < 1e-3
    assert found.same == found.answers == 9  # three outputs of three images
    one = np.full((1, 4, 4, 1), 7.0, np.float32)
    assert [value.item() for value in runtimes.reader(tmp_path / "model", form)(one)] == [-7, 7, 7]


def test_an_export_replaces_an_earlier_one_at_the_output_path(run: Path, tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    for name in ("saved_model.pb", "old.pb"):
        (tmp_path / "model" / name).touch()
    arguments = ["export", str(run), "--format", "saved_model", "--images", "2", "--output", str(tmp_path / "model")]
    assert cli.main(arguments) == 0
    assert not (tmp_path / "model/old.pb").exists()
    assert (tmp_path / "model/saved_model.pb").stat().st_size


@pytest.mark.parametrize(("arguments", "words"), [
    (["{}", "--format", "onnx", "--int8"], "--int8 requires --format litert"),
    (["{}", "--format", "pdf"], "invalid choice: 'pdf'"),
    (["{}"], "required: --format"),
    (["{}/absent", "--format", "onnx"], "absent is not a folder"),
    (["{}", "--format", "onnx", "--images", "0"], "--images 0"),
])  # fmt: skip
def test_invalid_arguments_give_a_one_line_error(
    run: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], words: str
) -> None:
    assert cli.main(["export", *[argument.replace("{}", str(run)) for argument in arguments]]) == 2
    message = capsys.readouterr().err
    assert words in message
    assert message.count("\n") == 1
    assert not (run / "export").exists()


def test_missing_packages_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forms, "find_spec", lambda name: None if name == "tf2onnx" else object())
    with pytest.raises(UserError, match=r"needs tf2onnx: pip install -e '\.\[export\]'"):
        forms.require("onnx")


@pytest.mark.slow
@pytest.mark.parametrize("form", WRITERS)
def test_an_exported_segmenter_agrees_with_keras(form: str, tmp_path: Path) -> None:
    write_untrained(tmp_path / "run", SMALL["segmentation"])
    model = keras.saving.load_model(tmp_path / "run/model.keras")
    WRITERS[form](model, tmp_path / "model", {})
    colour = [np.repeat(picture, 3, axis=-1) for picture in pictures()]
    found = agreement.compare(tasks.of("segmentation"), model, runtimes.reader(tmp_path / "model", form), colour)
    assert found.answers == sum(picture.shape[0] * picture.shape[1] for picture in colour)
    assert found.same > 0.999 * found.answers
    assert found.difference < 1e-2


@pytest.fixture(scope="module")
def detector() -> tuple[keras.Model, np.ndarray]:
    """Return a detector that overfits eight scenes, and the scenes' images."""
    network, split = learned("anchor_free", 220)
    return tasks.of("detection").inference(network), np.asarray(split.images)


@pytest.mark.slow
@pytest.mark.parametrize("form", WRITERS)
def test_an_exported_detector_agrees_with_keras(
    form: str, detector: tuple[keras.Model, np.ndarray], tmp_path: Path
) -> None:
    model, images = detector
    WRITERS[form](model, tmp_path / "model", {})
    seen = [*images, images[0, :70]]
    found = agreement.compare(tasks.of("detection"), model, runtimes.reader(tmp_path / "model", form), seen)
    assert found.answers > 20
    assert found.same == found.answers
    assert found.difference < 1e-3


def test_int8_is_refused_for_a_detector(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_untrained(tmp_path / "run", SMALL["detection"])
    assert cli.main(["export", str(tmp_path / "run"), "--format", "litert", "--int8"]) == 2
    message = capsys.readouterr().err
    assert "--int8 is not available for detection: 8-bit box coordinates are too imprecise" in message
    assert message.count("\n") == 1


TINY = ["model=cnn", "model.filters=[4]", "model.dense=[8]", "trainer.epochs=1", "trainer.steps_per_epoch=2"]


@pytest.mark.parametrize(
    ("precision", "forms"),
    [pytest.param("bfloat16", ("saved_model", "onnx", "litert"), marks=pytest.mark.slow), ("float16", ("onnx",))],
)
def test_a_run_in_half_precision_is_exported_in_float32(
    tmp_path: Path, precision: str, forms: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    trained = cvlib.train(*TINY, f"trainer.precision={precision}", folder=tmp_path / "run")
    for form in forms:
        assert cli.main(["export", str(trained.folder), "--format", form]) == 0
        assert f"was trained in {precision}; the export is in float32" in capsys.readouterr().out


def test_an_export_needs_no_images_except_for_int8(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for number in range(20):
        file = tmp_path / "images" / "ab"[number % 2] / f"{number}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.random.default_rng(number).integers(0, 256, (16, 16, 3), np.uint8)).save(file)
    trained = cvlib.train(*TINY, "data=folder", f"data.path={tmp_path / 'images'}", folder=tmp_path / "run")
    (tmp_path / "images").rename(tmp_path / "moved")
    assert cli.main(["export", str(trained.folder), "--format", "onnx"]) == 0
    assert "random images, because the run's data is missing" in capsys.readouterr().out
    assert cli.main(["export", str(trained.folder), "--format", "litert", "--int8"]) == 2
    assert "--int8 needs the run's training images" in capsys.readouterr().err
