"""A saved run evaluated again, on any samples, by the code that measured it when it ended."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cvlib import tasks
from cvlib.data.dataset import Split
from cvlib.data.feed import Feed
from cvlib.data.make_feed import make_feed
from cvlib.evaluation.calibration import BINS, Calibration, calibration, diagram
from cvlib.evaluation.samples import Samples
from cvlib.models.restore import SavedRun
from cvlib.runtime.files import csv_of, write_atomically
from cvlib.tasks import saved
from cvlib.tasks.base import Task
from cvlib.tasks.predictions import Row
from cvlib.training import devices
from cvlib.viz import pictures
from cvlib.viz.text_table import titled

_MOST_ROWS = 50  # of the printed table


@dataclass(frozen=True)
class Evaluation:
    """How good a run's network is on some samples."""

    samples: Samples
    task: Task
    tta: bool
    metrics: dict[str, float]  # as the run's own, without "test/"
    by_class: list[Row]  # a row for each class
    results: list[Row]  # a row for each sample, as in test_results.csv
    calibration: Calibration | None  # where each sample has probabilities of its own
    pictures: dict[str, np.ndarray]  # uint8 (height, width, 3), by name

    def lines(self) -> list[str]:
        """Return the table of classes and the metrics, for people."""
        names = self.task.shown_metrics(len(self.by_class))
        found = [*_table(self.by_class, self.task.class_metric), ""]
        found += [f"{name:<16}{self.metrics[name]:.4f}" for name in names]
        return found + ([f"{'ECE':<16}{self.calibration.error:.4f}"] if self.calibration else [])


def evaluate(run: SavedRun, samples: Samples, tta: bool = False) -> Evaluation:
    """Measure the run's best network; with `tta` by the mean of its probabilities over each image and its mirror image.

    Raises `UserError` where there is no network yet, or its task has no such mean.
    """
    devices.start(run.config)
    task = tasks.of_config(run.config)
    network = task.validated(saved.as_trained(run))
    if tta:
        network = task.flip_averaged(network)
    decision = saved.labels(run)
    found = task.evaluate(network, _feed(run, task, samples.split), run.classes).decided(decision)
    drawn = found.charts(samples.dataset)
    probable = found.probabilities_and_labels()
    calibrated = None if probable is None else calibration(*probable)
    if calibrated:
        drawn["reliability"] = diagram(calibrated)
    worst = found.worst(task.worst_shown)
    if len(worst):
        some = samples.split.take(worst)
        shown = task.evaluate(network, _feed(run, task, some), run.classes).decided(decision)
        images = _feed(run, task, some).preview(len(some))[0]
        drawn["worst"] = shown.drawn(images, np.arange(len(some)), samples.dataset)
    rows = found.results(samples.split.names)
    return Evaluation(samples, task, tta, found.metrics(), found.by_class(), rows, calibrated, drawn)


def _feed(run: SavedRun, task: Task, split: Split) -> Feed:
    return make_feed(split, run.spec, task.label_kind, run.config.data.batch_size, run.config.seed)


def write(found: Evaluation, run: SavedRun, folder: Path) -> None:
    """Write evaluation.json, by_class.csv, results.csv (as test_results.csv) and pictures; replace earlier ones."""
    content = {
        "run": str(run.folder), "status": run.summary.get("status"),
        "best_epoch": run.summary.get("best_epoch"), "data": found.samples.words,
        "samples": len(found.samples.split), "tta": found.tta, "notes": found.samples.notes, "metrics": found.metrics,
        "by_class": found.by_class,
    }  # fmt: skip
    if found.calibration:
        content["calibration"] = {"ece": found.calibration.error, "bins": BINS, "filled": found.calibration.rows()}
    write_atomically(folder / "evaluation.json", (json.dumps(content, indent=2, ensure_ascii=False) + "\n").encode())
    write_atomically(folder / "by_class.csv", csv_of(found.by_class))
    write_atomically(folder / "results.csv", csv_of(found.results))
    for earlier in folder.glob("*.png"):
        earlier.unlink()
    for name, picture in found.pictures.items():
        pictures.save_png(picture, folder / f"{name}.png")


def _table(rows: Sequence[Row], metric: str) -> list[str]:
    """Return rows of classes as aligned lines under a header; of very many classes the worst ones."""
    known = [row for row in rows if row[metric] is not None]
    left_out = len(rows) - _MOST_ROWS
    if left_out > 0:
        rows = sorted(known, key=lambda row: row[metric])[:_MOST_ROWS]
    lines = titled([{name: _cell(value) for name, value in row.items()} for row in rows])
    return lines + ([f"… and {left_out} better ones in by_class.csv"] if left_out > 0 else [])


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4f}"
    return "–" if value is None else pictures.shortened(str(value), 32)
