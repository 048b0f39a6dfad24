"""Synthetic runs: the files of a run folder with chosen numbers."""

from __future__ import annotations

import copy
import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from cvlib.runs import metric_specs
from cvlib.runs.upgrade import FORM, form_1_specs

CONFIG: dict[str, Any] = {
    "model": {"name": "cnn", "task": "classification", "lr": 0.001, "filters": [32, 64], "depth": 50},
    "mode": {"name": "scratch", "weights": None, "freeze": None},
    "data": {"name": "digits", "path": None, "fraction": 1.0, "batch_size": 32, "split_seed": 0},
    "optimizer": {"name": "adam", "lr": 0.001},
    "trainer": {"epochs": 3},
    "seed": 0,
    "name": None,
    "output_root": "outputs",
}
MakeRun = Callable[..., Path]


@pytest.fixture
def make_run(tmp_path: Path) -> MakeRun:
    """Return a function that writes a run and returns its folder.

    Example: `make_run("name", {"mode.name": "finetune", "seed": 1}, right=[1, 0, …], status="failed")`. `right` marks
    the test samples that were predicted correctly. It determines test/accuracy.
    """

    def make(name: str, changes: dict[str, Any] | None = None, right: Any = None, **fields: Any) -> Path:
        return write_run(tmp_path / name, changes or {}, right, **fields)

    return make


def write_run(folder: Path, changes: dict[str, Any], right: Any = None, **fields: Any) -> Path:
    """Write a complete run folder."""
    config = copy.deepcopy(CONFIG)
    for key, value in changes.items():
        *sections, last = key.split(".")
        inner = config
        for section in sections:
            inner = inner[section]
        inner[last] = value
    correct = np.ones(10) if right is None else np.asarray(right)
    accuracy = float(correct.mean())
    summary: dict[str, Any] = {
        "form": FORM, "metric_specs": metric_specs.to_json(form_1_specs(config["model"]["task"])),
        "status": "completed", "task": config["model"]["task"], "model": config["model"]["name"],
        "mode": config["mode"]["name"], "data": config["data"]["name"], "seed": config["seed"],
        "metrics": {"val/accuracy": accuracy - 0.01, "test/accuracy": accuracy, "test/loss": 1 - accuracy,
                    "test/macro_f1": accuracy},
        "last_metrics": {"val/accuracy": accuracy - 0.02}, "best_epoch": 2, "epochs": 3,
        "parameters": {"total": 225034, "trainable": 225034, "frozen": 0}, "data_fingerprint": "abc",
        "timing": {"train": 12.5}, "peak_memory_mb": 600.0, "versions": {"keras": "3.15.1"}, "error": None,
        "git": {"commit": "0123456789", "changed": False}, "samples": {"train": 70, "val": 20, "test": len(correct)},
    }  # fmt: skip
    summary.update(fields)
    (folder / ".hydra").mkdir(parents=True)
    overrides = "".join(f"- {key.removesuffix('.name')}={value}\n" for key, value in changes.items())
    (folder / ".hydra/overrides.yaml").write_text(overrides or "[]\n")
    (folder / "config.yaml").write_text(yaml.safe_dump(config, sort_keys=False))
    (folder / "summary.json").write_text(json.dumps(summary))
    _write_csv(folder / "test_results.csv", [
        {"name": f"{i:04}.png", "truth": "a", "prediction": "a" if hit else "b", "score": 0.9}
        for i, hit in enumerate(correct)
    ])  # fmt: skip
    _write_csv(folder / "metrics.csv", [
        {"epoch": epoch, "train/loss": 1 / epoch, "val/accuracy": accuracy - 0.1 / epoch, "lr": 0.001, "seconds": 4.0}
        for epoch in (1, 2, 3)
    ])  # fmt: skip
    return folder


def _write_csv(path: Path, rows: list[dict[str, Any]]) -> None:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
