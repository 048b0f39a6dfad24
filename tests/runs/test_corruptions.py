"""The file corruptions.csv: its means, and what is read back."""

from __future__ import annotations

from pathlib import Path

import pytest

from cvlib.runs import corruptions
from cvlib.runs.corruptions import Corruptions, Measured

FOUND = Corruptions(20, {"accuracy": 0.8, "loss": 0.5}, [
    Measured("weather", "fog", 1, {"accuracy": 0.6, "loss": 1.0}),
    Measured("weather", "fog", 5, {"accuracy": 0.2, "loss": 3.0}),
    Measured("blur", "zoom_blur", 1, {"accuracy": 0.8, "loss": 0.5}),
    Measured("blur", "zoom_blur", 5, {"accuracy": 0.4, "loss": 1.5}),
])  # fmt: skip


def test_means_and_shares() -> None:
    assert FOUND.mean("accuracy") == pytest.approx(0.5)
    assert FOUND.mean("accuracy", "weather") == pytest.approx(0.4)
    assert FOUND.mean("mIoU") is None
    assert FOUND.table("accuracy") == [
        {"corruption": "fog", "strength 1": "0.6000", "strength 5": "0.2000", "mean": "0.4000", "of clean": "50.0 %"},
        {"corruption": "zoom blur", "strength 1": "0.8000", "strength 5": "0.4000", "mean": "0.6000",
         "of clean": "75.0 %"},
        {"corruption": "all", "strength 1": "0.7000", "strength 5": "0.3000", "mean": "0.5000", "of clean": "62.5 %"},
    ]  # fmt: skip


def test_the_file_is_read_back(tmp_path: Path) -> None:
    FOUND.write(tmp_path)
    found = corruptions.read(tmp_path)
    assert found == FOUND
    (tmp_path / corruptions.FILE).write_text("family,corruption\nweather,fog\n")
    assert corruptions.read(tmp_path) is None
    assert corruptions.read(tmp_path / "absent") is None
