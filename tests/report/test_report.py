"""The page of one run: its content for finished and unfinished runs."""

from __future__ import annotations

import base64
import io
import json
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cvlib import report
from cvlib.runs.run import read_run
from cvlib.runtime.errors import UserError
from cvlib.viz.pictures import save_png


def _change(folder: Path, **fields: object) -> None:
    path = folder / "summary.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | fields))


def _page(folder: Path) -> str:
    return report.html(read_run(folder)).replace("\u00a0", " ").replace("<wbr/>", "")


def test_the_page_shows_results_settings_data_and_environment(folder: Path) -> None:
    page = _page(folder)
    assert "test/accuracy 75.0 %" in page
    assert "cvlib train mode=finetune" in page
    assert "Epochs 1 to 1 train 650 parameters; epochs 2 to 3 train 9,000 parameters." in page
    assert "two files look alike" in page
    assert "225,034 trained" in page
    assert "0.1235" in page
    assert page.count("<figure") == 4  # three curves, and the worst predictions


def test_names_are_escaped(folder: Path) -> None:
    assert "dog &lt;b&gt;" in _page(folder)
    assert "<b>}" not in _page(folder)


def test_the_page_loads_nothing_and_its_pictures_are_inside(folder: Path) -> None:
    page = _page(folder)
    sources = re.findall(r'(?:src|href)="([^"]*)"', page)
    assert len(sources) == 2
    assert all(source.startswith("data:image/webp;base64,") for source in sources)
    assert "://" not in page.replace("http://www.w3.org", "")
    assert page.count('<img alt="') == page.count("<img ")


def test_a_large_picture_is_made_smaller(folder: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (1500, 2000, 3)).astype(np.uint8)
    save_png(noise, folder / "report/worst.png")
    content = re.findall(r'src="data:image/webp;base64,([^"]*)"', _page(folder))
    sizes = [len(base64.b64decode(text)) for text in content]
    assert max(sizes) <= 150_000
    assert max(Image.open(io.BytesIO(base64.b64decode(text))).width for text in content) < 2000


@pytest.mark.parametrize(("status", "said"), [
    ("interrupted", "The run was interrupted after 3 of 3 epochs."), ("failed", "The run failed after 3 of 3 epochs."),
])  # fmt: skip
def test_an_unfinished_run_says_so(folder: Path, status: str, said: str) -> None:
    _change(folder, status=status, metrics={"val/accuracy": 0.5}, error="the disk is full")
    page = _page(folder)
    assert said in page
    assert "the disk is full" in page
    assert "val/accuracy 50.0 %" in page


def test_a_run_without_pictures_epochs_or_metrics_has_a_page(folder: Path) -> None:
    for path in [*folder.glob("report/*"), folder / "metrics.csv", folder / "test_results.csv"]:
        path.unlink()
    _change(folder, status="interrupted", metrics={}, epochs=0, phases=[], timing={})
    page = _page(folder)
    assert "The run was interrupted after 0 of 3 epochs." in page
    assert "<figure" not in page


def test_write_replaces_the_page_and_a_folder_without_a_run_is_refused(folder: Path, tmp_path: Path) -> None:
    (folder / "report.html").write_text("old")
    assert report.write(folder) == folder / "report.html"
    assert (folder / "report.html").read_text().startswith("<!doctype html>")
    with pytest.raises(UserError, match="no run is here"):
        report.write(tmp_path)
