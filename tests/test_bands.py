"""Images with more than three bands or more than 8 bits per pixel, from files to a saved run."""

from __future__ import annotations

import json
from pathlib import Path

import keras
import numpy as np
import pytest
import tifffile
from PIL import Image

import cvlib
from cvlib.cli import main
from cvlib.export.runtimes import reader
from cvlib.tasks import saved

BASE = ["data=folder", "data.image_size=16", "model=cnn", "trainer.precision=float32", "optimizer.lr=0.01"]


def _write_five_band_images(root: Path, count: int = 24) -> Path:
    """Write noise images of two classes that differ only in the fifth band."""
    for number in range(2 * count):
        file = root / "ab"[number % 2] / f"{number}.tif"
        file.parent.mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(number).integers(0, 3000, (16, 16, 5)).astype(np.uint16)
        pixels[..., 4] = 2900 if number % 2 else 100
        tifffile.imwrite(file, pixels, photometric="minisblack", planarconfig="contig")
    return root


def test_a_run_records_range_and_channels(tmp_path):
    data = _write_five_band_images(tmp_path / "data", 6)
    run = cvlib.train(*BASE, f"data.path={data}", "trainer.epochs=1", folder=tmp_path / "run")
    assert run.summary["channels"] == 5 and run.spec.channels == 5
    assert run.summary["range"] == pytest.approx([0, 2999], abs=5) and run.spec.span == tuple(run.summary["range"])
    assert "read as class folders" in run.summary["read_as"]
    assert len(cvlib.predict(run, str(data / "a"))) == 6
    assert main(["predict", str(tmp_path / "run"), str(data)]) == 0
    assert main(["evaluate", str(tmp_path / "run")]) == 0


@pytest.mark.slow
def test_classes_that_differ_only_in_band_5_are_learned(tmp_path):
    data = _write_five_band_images(tmp_path / "data")
    accuracy = {}
    for channels in (5, 3):
        given = [f"data.path={data}", "trainer.epochs=8", f"data.channels={channels}", "data.test_fraction=0.4"]
        run = cvlib.train(*BASE, *given, folder=tmp_path / str(channels))
        accuracy[channels] = run.summary["metrics"]["test/accuracy"]
    assert accuracy[5] > 0.95 and accuracy[3] < 0.85


def test_read_image_uses_the_range_and_channels_of_the_run(tmp_path):
    data = _write_five_band_images(tmp_path / "data", 3)
    run = cvlib.train(*BASE, f"data.path={data}", "trainer.epochs=1", folder=tmp_path / "run")
    pixels = cvlib.read_image(run, data / "b" / "1.tif")
    assert pixels.shape == (16, 16, 5) and pixels[..., 4] == pytest.approx(2900, abs=10)


def _write_12_bit_images(root: Path, count: int = 8) -> Path:
    """Write 12-bit grey images of two classes: dark ones and bright ones."""
    for number in range(2 * count):
        file = root / "ab"[number % 2] / f"{number}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(number).integers(2000, 4096, (20, 24)) if number % 2 else np.arange(480) + number
        Image.fromarray(pixels.reshape(20, 24).astype(np.uint16)).save(file)
    return root


@pytest.fixture(scope="module", params=["cnn", pytest.param("segmenter", marks=pytest.mark.slow)])
def deep_run(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory):
    """Return a run on 12-bit images, and one of its image files."""
    folder = tmp_path_factory.mktemp(request.param)
    data = _write_12_bit_images(folder / "data" / "images")
    if request.param == "segmenter":
        for file in sorted(data.rglob("*.png")):
            mask = folder / "data/masks" / file.relative_to(data)
            mask.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(np.repeat([[0], [1]], 10, axis=0).repeat(24, axis=1).astype(np.uint8)).save(mask)
        data = folder / "data"
    given = [f"model={request.param}", f"data.path={data}", "data.resize=letterbox", "data.image_size=32"]
    run = cvlib.train(*BASE, *given, "trainer.epochs=1", folder=folder / "run")
    return run, next(data.rglob("1.png"))


def _expected(run: cvlib.SavedRun, file: Path) -> np.ndarray:
    """Return the saved network's output for raw values, computed from 8-bit pixels."""
    low, high = run.spec.span
    values = np.asarray(Image.open(file)).astype(np.float64)
    pixels = np.rint((values - low) * 255 / (high - low)).clip(0, 255)
    return saved.network(run).predict_on_batch(pixels[np.newaxis, ..., np.newaxis].astype(np.float32))


def test_the_saved_network_accepts_the_values_of_the_files(deep_run):
    run, file = deep_run
    raw = np.asarray(Image.open(file)).astype(np.float32)[np.newaxis, ..., np.newaxis]
    model = keras.saving.load_model(run.folder / "model.keras", safe_mode=True)
    np.testing.assert_allclose(model.predict_on_batch(raw), _expected(run, file), atol=1e-5)
    read = cvlib.read_image(run, file)[np.newaxis]
    np.testing.assert_allclose(cvlib.network(run).predict_on_batch(read), _expected(run, file), atol=1e-5)
    labels = json.loads((run.folder / "labels.json").read_text())
    assert labels["range"] == list(run.spec.span) == pytest.approx([0, 4095], abs=60)


def test_arrays_with_the_values_of_a_file_give_the_same_prediction_as_the_file(deep_run):
    run, file = deep_run
    raw = np.asarray(Image.open(file))[..., np.newaxis]
    answers = [cvlib.predict(run, given)[0] for given in (str(file), raw, cvlib.read_image(run, file))]
    values = [answer if isinstance(answer, np.ndarray) else answer.probabilities for answer in answers]
    np.testing.assert_allclose(values[1], values[0], atol=1e-5)
    np.testing.assert_allclose(values[2], values[0], atol=1e-5)


def test_an_int8_export_agrees_on_8_bit_pixels(tmp_path, capsys):
    run = cvlib.train(
        *BASE, f"data.path={_write_12_bit_images(tmp_path / 'data')}", "trainer.epochs=1", folder=tmp_path / "run"
    )
    assert main(["export", str(run.folder), "--format", "litert", "--int8"]) == 0
    assert "2 of 2 images agree" in capsys.readouterr().out


@pytest.mark.parametrize("form", ["saved_model", "onnx", "litert"])
def test_exports_accept_the_values_of_the_files(deep_run, form):
    run, file = deep_run
    if run.record.task == "segmentation" and form == "litert":
        pytest.skip("the other two formats cover the segmenter")
    assert main(["export", str(run.folder), "--format", form, "--images", "2"]) == 0
    path = run.folder / "export" / {"saved_model": "saved_model", "onnx": "model.onnx", "litert": "model.tflite"}[form]
    raw = np.asarray(Image.open(file)).astype(np.float32)[np.newaxis, ..., np.newaxis]
    np.testing.assert_allclose(reader(path, form)(raw)[0], _expected(run, file), atol=1e-3)
