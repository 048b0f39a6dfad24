"""Evaluation of a saved run on any samples, with the same code as at the end of training."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cvlib import tasks
from cvlib.data.dataset import Split
from cvlib.data.feed import Feed
from cvlib.data.make_feed import make_feed
from cvlib.evaluation.calibration import BINS, Calibration, calibration_of, diagram
from cvlib.evaluation.samples import Samples
from cvlib.models.restore import SavedRun
from cvlib.runtime.files import csv_of, write_atomically
from cvlib.tasks import saved
from cvlib.tasks.base import Predictor, Task
from cvlib.tasks.predictions import Predictions, Row
from cvlib.training import devices
from cvlib.viz import pictures
from cvlib.viz.text_table import titled

if TYPE_CHECKING:
    import keras

_MAX_ROWS = 50  # of the printed table
_SHOWN = ("confusion_matrix", "worst")  # pictures in a notebook


@dataclass(frozen=True)
class Evaluation:
    """Results of a run's network on some samples."""

    samples: Samples
    task: Task
    tta: bool
    metrics: dict[str, float]  # named as in the run's summary, without "test/"
    by_class: list[Row]  # a row for each class
    results: list[Row]  # a row for each sample, as in test_results.csv
    calibration: Calibration | None  # None for a task without calibration
    unscaled: Calibration | None  # the same without temperature
    pictures: dict[str, np.ndarray]  # uint8 (height, width, 3), by name

    def __repr__(self) -> str:
        names = self.task.shown_metrics(len(self.by_class))
        values = ", ".join(f"{name} {self.metrics[name]:.4f}" for name in names)
        return f"Evaluation({self.samples.words}: {len(self.samples.split)} images; {values})"

    def _repr_html_(self) -> str:
        """Return a view for notebooks: the metrics, the classes, and the worst predictions."""
        from cvlib.viz import notebook

        rows = [{"metric": name, "value": value} for name, value in self.metrics.items()]
        drawn = "".join(notebook.picture(self.pictures[name], name) for name in _SHOWN if name in self.pictures)
        return notebook.view(repr(self), notebook.table(rows), notebook.table(self.by_class), drawn)

    def lines(self) -> list[str]:
        """Return the class table and the metrics as lines of text."""
        names = self.task.shown_metrics(len(self.by_class))
        lines = [*_table(self.by_class, self.task.class_metric), ""]
        lines += [f"{name:<16}{self.metrics[name]:.4f}" for name in names]
        if self.calibration and self.unscaled:
            lines.append(f"{'ECE':<16}{self.calibration.error:.4f}")
            if self.unscaled.error != self.calibration.error:
                lines[-1] += f" (without temperature scaling {self.unscaled.error:.4f})"
        return lines


def evaluate(run: SavedRun, samples: Samples, tta: bool = False) -> Evaluation:
    """Evaluate the run's best network; `tta` averages its probabilities over each image and its mirror image.

    Raises `UserError` if the run has no network yet, or if its task does not support `tta`.
    """
    return measure(run, network_of(run), saved.labels(run), samples, tta)


def network_of(run: SavedRun) -> keras.Model:
    """Return the run's best network as `measure` needs it; raise `UserError` if the run has no network yet."""
    devices.start(run.config)
    return tasks.of_config(run.config).validated(saved.as_trained(run))


def measure(
    run: SavedRun, network: keras.Model, decision: Mapping[str, Any], samples: Samples, tta: bool = False
) -> Evaluation:
    """Evaluate a network with the run's task, classes and input; `decision` has its thresholds and temperature."""
    task = tasks.of_config(run.config)
    if tta:
        network = task.flip_averaged(network)
    found = predictions(run, network, samples.split, decision)
    drawn = found.charts(samples.dataset)
    calibrated, unscaled = calibration_of(found), calibration_of(found.decided({}))
    if calibrated:
        drawn["reliability"] = diagram(calibrated)
    worst = found.worst(task.worst_shown)
    if len(worst):
        subset = samples.split.take(worst)
        images = make_feed(subset, run.spec.whole(), task.label_kind, len(subset), run.config.seed).preview(
            len(subset)
        )[0]
        drawn["worst"] = found.drawn(images, worst, samples.dataset, subset.names)
    rows = found.results(samples.split.names)
    return Evaluation(samples, task, tta, found.metrics(), found.by_class(), rows, calibrated, unscaled, drawn)


def predictions(
    run: SavedRun, network: Predictor, split: Split, decision: Mapping[str, Any] | None = None
) -> Predictions:  # fmt: skip
    """Return the predictions for a split, with what was chosen on validation; None: what the run has chosen.

    `network` has the outputs of the task's `validated`.
    """
    found = tasks.of_config(run.config).evaluate(network, feed(run, split), run.classes)
    return found.decided(saved.labels(run) if decision is None else decision)


def feed(run: SavedRun, split: Split) -> Feed:
    """Return a feed of a split, preprocessed as in the run's evaluation."""
    kind = tasks.of_config(run.config).label_kind
    return make_feed(split, run.spec, kind, run.config.data.batch_size, run.config.seed)


def write(found: Evaluation, run: SavedRun, folder: Path, origin: Mapping[str, Any] | None = None) -> None:
    """Write evaluation.json, by_class.csv, results.csv (like test_results.csv) and pictures; replace earlier files.

    `origin` describes what was evaluated, in evaluation.json; None: the run, with its status and its best epoch.
    """
    own = {"run": str(run.folder), "status": run.summary.get("status"), "best_epoch": run.summary.get("best_epoch")}
    content = {
        **(origin or own), "data": found.samples.words,
        "samples": len(found.samples.split), "tta": found.tta, "notes": found.samples.notes, "metrics": found.metrics,
        "by_class": found.by_class,
    }  # fmt: skip
    if found.calibration and found.unscaled:
        content["calibration"] = {"ece": found.calibration.error, "ece_unscaled": found.unscaled.error, "bins": BINS,
                                  "filled": found.calibration.rows()}  # fmt: skip
    write_atomically(folder / "evaluation.json", json.dumps(content, indent=2, ensure_ascii=False) + "\n")
    write_atomically(folder / "by_class.csv", csv_of(found.by_class))
    write_atomically(folder / "results.csv", csv_of(found.results))
    for earlier in folder.glob("*.png"):
        earlier.unlink()
    for name, picture in found.pictures.items():
        pictures.save_png(picture, folder / f"{name}.png")


def _table(rows: Sequence[Row], metric: str) -> list[str]:
    """Return the class rows as aligned lines under a header; if there are too many, only the worst classes."""
    known = [row for row in rows if row[metric] is not None]
    left_out = len(known) - _MAX_ROWS
    if left_out > 0:
        rows = sorted(known, key=lambda row: row[metric])[:_MAX_ROWS]
    lines = titled([{name: _cell(value) for name, value in row.items()} for row in rows])
    return lines + ([f"… {left_out} classes with a higher {metric} are only in by_class.csv"] if left_out > 0 else [])


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4f}"
    return "–" if value is None else pictures.shortened(str(value), 32)
