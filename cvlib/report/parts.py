"""The files in a run's folder that only its page needs: pictures and tables of the results, in RUN/report."""

from __future__ import annotations

import csv
import shlex
from collections.abc import Iterable
from html import escape
from pathlib import Path

import yaml

from cvlib.viz import html_table, page
from cvlib.viz.html_table import Row

FOLDER = "report"
CONFUSION = "confusion.json"
TITLES = {  # of the pictures, in the order of the page
    "confusion_matrix": "Confusion matrix",
    "precision_recall": "Precision and recall",
    "reliability": "Calibration: accuracy against predicted probability",
    "worst": "The worst predictions",
    "explained": "Worst predictions explained by Grad-CAM: the prediction and the truth",
    "predictions": "Predictions on validation images",
}
_TABLES = {"by_class": "By class", "errors": "Errors by kind, detections with a score of at least 0.25"}
_MOST_ROWS = 200  # of a table
_MOST_BYTES = 150_000  # of a picture in the page
_WIDEST = 1600  # pixels


def pictures(folder: Path) -> dict[str, tuple[str, Path]]:
    """Return title and file of each picture of the run in `folder`, by name."""
    files = {name: folder / FOLDER / f"{name}.png" for name in TITLES}
    return {name: (TITLES[name], file) for name, file in files.items() if file.is_file()}


def tables(folder: Path) -> list[tuple[str, list[Row]]]:
    """Return title and rows of each table; a table that can't be read is left out."""
    found: list[tuple[str, list[Row]]] = []
    for name, title in _TABLES.items():
        try:
            with (folder / FOLDER / f"{name}.csv").open(newline="", encoding="utf-8") as file:
                rows: list[Row] = [{key: _cell(text) for key, text in row.items()} for row in csv.DictReader(file)]
        except (OSError, UnicodeDecodeError, csv.Error):
            continue
        found.append((title, rows))
    return found


def _cell(text: str | None) -> str:
    """Return a cell for people: fractions with four digits, and a dash for an unknown value."""
    if not text:
        return "–"
    try:
        return f"{float(text):.4f}" if "." in text else text
    except ValueError:
        return text


def embedded(path: Path) -> str:
    """Return a picture as a data URL of at most about 200 kB; a larger one is made smaller."""
    from PIL import Image

    with Image.open(path) as opened:
        image = opened.convert("RGB")
    image.thumbnail((_WIDEST, 10 * _WIDEST))
    return page.embedded(image, _MOST_BYTES)


def figures(chosen: Iterable[tuple[str, Path]]) -> str:
    """Return pictures with their titles as HTML."""
    return "".join(
        f'<figure class="wide"><figcaption>{escape(title)}</figcaption>'
        f'<img alt="{escape(title)}" src="{embedded(path)}"></figure>' for title, path in chosen
    )  # fmt: skip


def tables_html(folder: Path) -> str:
    """Return the tables of the run in `folder` as HTML, each with its first rows."""
    return "".join(f"<h3>{escape(title)}</h3>{html_table.table(rows[:_MOST_ROWS])}{_left_out(len(rows))}"
                   for title, rows in tables(folder) if rows)  # fmt: skip


def _left_out(count: int) -> str:
    return f"<p>The first {_MOST_ROWS} of {count} rows.</p>" if count > _MOST_ROWS else ""


def overrides(folder: Path) -> list[str] | None:
    """Return the overrides that started the run, or None if they were not recorded."""
    try:
        found = yaml.safe_load((folder / ".hydra/overrides.yaml").read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError):
        return None
    return [str(one) for one in found] if isinstance(found, list) else None


def command(given: list[str]) -> str:
    """Return the shell command that starts a run with these overrides."""
    return " ".join(["cvlib train", *(shlex.quote(one) for one in given)])
