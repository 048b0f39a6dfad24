"""A saved run evaluated again, on any samples, by the code that measured it when it ended."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cvlib import tasks
from cvlib.config import schema as configuration
from cvlib.data import splits
from cvlib.data.dataset import Split
from cvlib.data.feed import Feed, make_feed
from cvlib.data.input_spec import InputSpec
from cvlib.data.labels import LabelKind
from cvlib.evaluation.calibration import BINS, Calibration, calibration, diagram
from cvlib.evaluation.samples import Samples
from cvlib.models import restore as saved
from cvlib.models.restore import Run
from cvlib.runtime.files import csv_of, write_atomically
from cvlib.training import devices as backend
from cvlib.viz import pictures
from cvlib.viz.text_table import titled

_WORST = {"classification": 24, "detection": 8, "segmentation": 12}  # samples in the picture of the worst
_MOST_ROWS = 50  # of the printed table


@dataclass(frozen=True)
class Evaluation:
    """What a run's network is worth on some samples."""

    samples: Samples
    tta: bool
    metrics: dict[str, float]  # as the run's own, without "test/"
    by_class: list[dict[str, Any]]  # a row per class
    results: list[dict[str, Any]]  # a row per sample, as in test_results.csv
    calibration: Calibration | None  # of a classifier
    pictures: dict[str, np.ndarray]  # uint8 (height, width, 3), by name

    def lines(self) -> list[str]:
        """The table of classes and the metrics, for a person."""
        task = self.samples.dataset.task
        names = tasks.shown_metrics(task, len(self.by_class))
        found = [*_table(self.by_class, tasks.of(task).CLASS_METRIC), ""]
        found += [f"{name:<16}{self.metrics[name]:.4f}" for name in names]
        return found + ([f"{'ECE':<16}{self.calibration.error:.4f}"] if self.calibration else [])


def evaluate(run: Run, samples: Samples, tta: bool = False) -> Evaluation:
    """Measure the run's best network; with `tta` by the mean of its probabilities over each image and its mirror image.

    Raises `UserError` where there is no network yet, or its task has no such mean.
    """
    backend.start(run.config)
    task, kind = tasks.of(run.config.model.task), samples.dataset.kind
    network = task.network(saved.as_trained(run))
    if tta:
        network = task.flip_averaged(network)
    scores = task.evaluate(network, _feed(run, samples.split, kind), run.classes)
    drawn = task.pictures(scores, samples.dataset)
    found = calibration(scores.probabilities, scores.labels) if samples.dataset.task == "classification" else None
    if found:
        drawn["reliability"] = diagram(found)
    worst = task.worst(scores, _WORST[samples.dataset.task])
    if len(worst):
        some = splits.take(samples.split, worst)
        shown = task.evaluate(network, _feed(run, some, kind), run.classes)
        images = _feed(run, some, kind).preview(len(some))[0]
        drawn["worst"] = task.predictions(images, np.arange(len(some)), shown, samples.dataset)
    rows = task.results(samples.split.names, run.classes, scores)
    return Evaluation(samples, tta, scores.metrics(), task.by_class(scores, run.classes), rows, found, drawn)


def _feed(run: Run, split: Split, kind: LabelKind) -> Feed:
    config = run.config
    spec = InputSpec(*run.size, run.channels, configuration.resize(config))
    return make_feed(split, spec, kind, config.data.batch_size, config.seed)


def write(found: Evaluation, run: Run, folder: Path) -> None:
    """evaluation.json, by_class.csv, results.csv (as test_results.csv) and the pictures, in place of earlier ones."""
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


def _table(rows: list[dict[str, Any]], metric: str) -> list[str]:
    """Rows of classes as aligned lines under a header; of very many classes those that are done worst."""
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
