"""The views of runs, evaluations and datasets in notebooks: short as text, and small as HTML."""

from __future__ import annotations

import base64
import io
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import cvlib
from cvlib.viz import notebook

LIMIT = 200_000  # bytes of a view


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> cvlib.SavedRun:
    small = ["model=cnn", "model.filters=[4]", "model.dense=[8]", "trainer.epochs=2", "trainer.steps_per_epoch=3"]
    return cvlib.train(*small, folder=tmp_path_factory.mktemp("runs") / "run")


def test_a_run_shows_its_metrics_and_its_curve(run: cvlib.SavedRun) -> None:
    value = run.summary["metrics"]["test/accuracy"]
    assert repr(run) == f"SavedRun({run.folder}: completed, test/accuracy {value:.4f})"
    html = run._repr_html_()
    assert f"<td>{value:.4f}</td>" in html and '<path class="line"' in html and len(html) < LIMIT


def test_an_evaluation_shows_classes_and_pictures(run: cvlib.SavedRun) -> None:
    found = cvlib.evaluate(run, split="val")
    assert re.fullmatch(r"Evaluation\(.*val.*: \d+ images; accuracy 0\.\d{4}.*\)", repr(found))
    html = found._repr_html_()
    assert html.count("<img") == 2 and len(html) < LIMIT


def test_a_dataset_shows_its_splits_and_some_images() -> None:
    dataset = cvlib.load_data("data=clothing")
    assert repr(dataset).startswith("Dataset(clothing, classification: 10 classes; train ")
    assert repr(dataset.train) == f"Split({len(dataset.train)} samples)"
    html = dataset._repr_html_()
    (data,) = re.findall(r'src="data:image/webp;base64,([^"]+)"', html)
    assert Image.open(io.BytesIO(base64.b64decode(data))).width > 400 and len(html) < LIMIT


def test_a_large_picture_is_made_smaller_and_a_long_table_is_cut(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (900, 1200, 3), np.uint8)
    assert len(notebook.picture(noise, "noise")) < 90_000
    table = notebook.table([{"class": f"<{i}>", "AP": None if i else 0.5} for i in range(50)])
    assert "&lt;0&gt;</td><td>0.5000" in table and "<td>–</td>" in table and "and 10 more rows" in table
