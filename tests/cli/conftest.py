"""A folder with one run, for the tests of the commands."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

SUMMARY = {"status": "completed", "task": "classification", "metrics": {"test/accuracy": 0.9}, "seed": 0}


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """Return a folder with one run."""
    folder = tmp_path / "runs/first"
    folder.mkdir(parents=True)
    (folder / "summary.json").write_text(json.dumps(SUMMARY))
    (folder / "config.yaml").write_text("data:\n  name: digits\nseed: 0\n")
    return tmp_path / "runs"
