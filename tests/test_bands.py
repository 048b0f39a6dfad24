"""Images with more than three bands or more than 8 bits per pixel, from files to a saved run."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile

import cvlib
from cvlib.cli import main

BASE = ["data=folder", "data.image_size=16", "model=cnn", "trainer.precision=float32", "optimizer.lr=0.01"]


def _bands(root: Path, count: int = 24) -> Path:
    """Write noise images of two classes that differ only in the fifth band."""
    for number in range(2 * count):
        file = root / "ab"[number % 2] / f"{number}.tif"
        file.parent.mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(number).integers(0, 3000, (16, 16, 5)).astype(np.uint16)
        pixels[..., 4] = 2900 if number % 2 else 100
        tifffile.imwrite(file, pixels, photometric="minisblack", planarconfig="contig")
    return root


def test_a_run_records_range_and_channels(tmp_path):
    data = _bands(tmp_path / "data", 6)
    run = cvlib.train(*BASE, f"data.path={data}", "trainer.epochs=1", folder=tmp_path / "run")
    assert run.summary["channels"] == 5 and run.spec.channels == 5
    assert run.summary["range"] == pytest.approx([0, 2999], abs=5) and run.spec.span == tuple(run.summary["range"])
    assert "read as class folders" in run.summary["read_as"]
    assert len(cvlib.predict(run, str(data / "a"))) == 6
    assert main(["predict", str(tmp_path / "run"), str(data)]) == 0
    assert main(["evaluate", str(tmp_path / "run")]) == 0


@pytest.mark.slow
def test_classes_that_differ_only_in_band_5_are_learned(tmp_path):
    data = _bands(tmp_path / "data")
    accuracy = {}
    for channels in (5, 3):
        given = [f"data.path={data}", "trainer.epochs=8", f"data.channels={channels}", "data.test_fraction=0.4"]
        run = cvlib.train(*BASE, *given, folder=tmp_path / str(channels))
        accuracy[channels] = run.summary["metrics"]["test/accuracy"]
    assert accuracy[5] > 0.95 and accuracy[3] < 0.85


def test_read_image_uses_the_range_and_channels_of_the_run(tmp_path):
    data = _bands(tmp_path / "data", 3)
    run = cvlib.train(*BASE, f"data.path={data}", "trainer.epochs=1", folder=tmp_path / "run")
    pixels = cvlib.read_image(run, data / "b" / "1.tif")
    assert pixels.shape == (16, 16, 5) and pixels.dtype == np.uint8 and pixels[..., 4].min() > 230
