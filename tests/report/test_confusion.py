"""The confusion matrix as a table."""

from __future__ import annotations

import json
import re
from pathlib import Path

from cvlib.report import confusion


def test_cells_have_counts_shades_and_images(folder: Path) -> None:
    table = confusion.table(folder)
    shades = re.findall(r'<td class="(right|wrong)" style="--share:(\d+)%">', table)
    assert shades == [("right", "60"), ("wrong", "40"), ("wrong", "0"), ("right", "100")]
    assert "4 images of cat, predicted as dog &lt;b&gt;" in table
    assert table.count("<button") == table.count(" popover ") == 1


def test_many_classes_and_damaged_files_have_no_table(folder: Path) -> None:
    path = folder / "report/confusion.json"
    many = [str(number) for number in range(confusion.MOST_CLASSES + 1)]
    path.write_text(json.dumps({"classes": many, "counts": [[0] * len(many)] * len(many), "pictures": {}}))
    assert confusion.table(folder) == ""
    path.write_text("{")
    assert confusion.table(folder) == ""
