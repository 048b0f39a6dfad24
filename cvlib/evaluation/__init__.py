"""Evaluation of a trained network on validation and test: metrics, tables, pictures and the saved model."""

from __future__ import annotations

import json
from typing import Any

import keras
import numpy as np

from cvlib import tasks
from cvlib.config.schema import as_mapping
from cvlib.data.dataset import Dataset, Split
from cvlib.data.feed import Feed
from cvlib.data.make_feed import make_feed
from cvlib.evaluation import calibration, report_parts
from cvlib.inspection import layer_table
from cvlib.models import restore
from cvlib.models.pixel_range import takes_file_values
from cvlib.runs.summary import overridden
from cvlib.runtime.files import replacing
from cvlib.tasks.predictions import Predictions
from cvlib.training.tensorboard import hyperparameters
from cvlib.training.training import Training
from cvlib.transfer import freezing
from cvlib.viz import text_table

_IMAGES_SHOWN = 24


def record_results(training: Training, dataset: Dataset, epoch: int) -> None:
    """Evaluate the best epoch; write metrics, test_results.csv, model.keras, labels.json and TensorBoard images.

    With `trainer.test=false`, the test split isn't read, and the results are those of validation.
    """
    record, task, tested = training.record, training.task, training.config.trainer.test
    validated = task.validated(training.network)
    rule = tasks.threshold_rule(training.config)
    val = task.evaluate(validated, training.val, dataset.classes).tuned(rule)
    val = val.calibrated() if tasks.scales_temperature(training.config) else val
    decision = val.decision()
    results = {"val": val}
    if tested:
        results["test"] = task.evaluate(validated, feed(training, dataset.test), dataset.classes).decided(decision)
    metrics = {f"{split}/{name}": value for split, found in results.items() for name, value in found.metrics().items()}
    record.update(metrics=metrics)
    if calibrated := calibration.summary(results, decision):
        record.update(calibration=calibrated)
    for remark in val.remarks(rule):
        record.say(f"note: {remark}")
    shown_on, split = ("test", dataset.test) if tested else ("val", dataset.val)
    record.write_csv(f"{shown_on}_results.csv", results[shown_on].results(split.names))
    model = _save_network(training, dataset, decision)
    training.board.begin_results()
    drawn = _draw(training, dataset, results, epoch)

    def read(indices: np.ndarray) -> np.ndarray:
        return pictures_of(training, split.take(indices))

    report_parts.write(record.folder, task, results[shown_on], dataset, split.names, read, model, drawn)
    shown = {*task.shown_metrics(len(dataset.classes)), training.monitor.removeprefix("val/")}
    headline = {name: value for name, value in metrics.items() if name.split("/", 1)[1] in shown}
    row = hyperparameters(as_mapping(training.config), overridden(record.folder))
    training.board.hparams(row, headline, epoch)
    training.board.close()


def feed(training: Training, split: Split) -> Feed:
    """Return a feed of the split, preprocessed as in validation."""
    val = training.val
    return make_feed(split, val.spec, val.kind, val.batch_size, val.seed)


def pictures_of(training: Training, split: Split) -> np.ndarray:
    """Return all images of a split, whole and resized, uint8 `(n, height, width, channels)`."""
    val, count = training.val, max(len(split), 1)
    return make_feed(split, val.spec.whole(), val.kind, count, val.seed).preview(count)[0]


def show_start(training: Training, dataset: Dataset) -> None:
    """Before training, write augmented samples, config, graph and layer table to TensorBoard, and write layers.txt.

    The layer table shows the states and the peak learning rates of the last phase of training.
    """
    config = training.config
    last = freezing.phases(training.network, config.mode, config.trainer.epochs)[-1]
    freezing.apply(training.network, last)  # each phase of the training loop applies its own
    model = training.task.validated(training.network)
    images, labels = training.train.preview(_IMAGES_SHOWN)
    training.board.image("train", "augmented_samples", training.task.samples(images, labels, dataset), 0)
    text = json.dumps(as_mapping(config), indent=2)
    training.board.text("train", "config", f"```\n{text}\n```", 0)
    if not training.board.graph(model):
        training.record.say("TensorBoard shows no graph of the network, because only TensorFlow has one")
    rates = freezing.layer_rates(training.network, last, config.optimizer.lr)
    rows = [{**row, "rate": f"{rates[row['layer']]:.4g}" if row["layer"] in rates else ""}
            for row in layer_table.table(model)]  # fmt: skip
    training.board.text("train", "layers", "\n".join(text_table.markdown(rows)), 0)
    training.record.write_text("layers.txt", "\n".join(layer_table.lines(rows)) + "\n")


def _save_network(training: Training, dataset: Dataset, decision: dict[str, Any]) -> keras.Model:
    """Write model.keras and labels.json; return the saved network."""
    record, task = training.record, training.task
    model = takes_file_values(task.inference(training.network, decision), training.network.spec)
    save_atomically(model, record.folder / "model.keras")
    content = task.labels(dataset.classes, training.network.spec, dataset.colours) | decision
    if layers := restore.foreign_parts(record.folder / "model.keras"):
        content["layers"] = layers  # of keras-hub; only these are allowed when the network is opened
    record.write_text("labels.json", json.dumps(content, indent=2, ensure_ascii=False) + "\n")
    return model


def save_atomically(model: keras.Model, path: Any) -> None:
    """Write a `.keras` file atomically, so that `path` never holds an incomplete file."""
    with replacing(path, "partial.keras") as temporary:
        model.save(temporary)


def _draw(
    training: Training, dataset: Dataset, results: dict[str, Predictions], epoch: int
) -> dict[str, np.ndarray]:  # fmt: skip
    """Write the pictures of the results to TensorBoard; return those that the run's page shows, by name."""
    board, val, drawn = training.board, results["val"], {}
    for split, predictions in results.items():
        for tag, picture in predictions.charts(dataset).items():
            board.image("validation", tag if split == "val" else f"{split}_{tag}", picture, epoch)
            drawn[tag] = picture  # the last one is that of the test split, if it is evaluated
    shown = val.representative()
    subset = dataset.val.take(shown)
    images = pictures_of(training, subset)
    drawn["predictions"] = val.drawn(images, shown, dataset)
    board.image("validation", "predictions", drawn["predictions"], epoch)
    return drawn
