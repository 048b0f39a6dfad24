"""What a trained network is worth: its results on validation and test, written, drawn and saved."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import keras

from cvlib.config import schema as configuration
from cvlib.data import splits
from cvlib.data.dataset import Dataset, Split
from cvlib.data.feed import Feed, make_feed
from cvlib.inspection import layer_table
from cvlib.runs.summary import overridden
from cvlib.runtime.files import replacing
from cvlib.training.loop import Training
from cvlib.training.tensorboard import hyperparameters

_PICTURED = 24


def record_results(training: Training, dataset: Dataset, epoch: int) -> None:
    """Write metrics, test_results.csv, model.keras, labels.json and TensorBoard's pictures of the best epoch."""
    config, record, task = training.config, training.record, training.task
    val = task.evaluate(training.network, training.val, dataset.classes)
    test = task.evaluate(training.network, feed(training, dataset.test), dataset.classes)
    metrics = {f"val/{name}": value for name, value in val.metrics().items()}
    metrics |= {f"test/{name}": value for name, value in test.metrics().items()}
    record.update(metrics=metrics)
    record.write_csv("test_results.csv", task.results(dataset.test.names, dataset.classes, test))
    _save_model(training, dataset)
    training.board.begin_results()
    _draw(training, dataset, val, test, epoch)
    headline = {name: value for name, value in metrics.items() if name.split("/", 1)[1] in task.METRICS}
    row = hyperparameters(dataclasses.asdict(config), overridden(record.folder))
    training.board.hparams(row, headline, epoch)
    training.board.close()


def feed(training: Training, split: Split, batch_size: int | None = None) -> Feed:
    """The split's images as the network gets them in validation."""
    val = training.val
    return make_feed(split, val.spec, val.kind, batch_size or val.batch_size, val.seed)


def show_start(training: Training, dataset: Dataset) -> None:
    """TensorBoard's view of what is about to be trained: augmented samples, config, graph, layers."""
    images, labels = training.train.preview(_PICTURED)
    training.board.image("train", "augmented_samples", training.task.samples(images, labels, dataset), 0)
    text = json.dumps(dataclasses.asdict(training.config), indent=2)
    training.board.text("train", "config", f"```\n{text}\n```", 0)
    training.board.graph(training.network)
    rows = layer_table.table(training.network)
    training.board.text("train", "layers", layer_table.markdown(rows), 0)
    training.record.write_text("layers.txt", "\n".join(layer_table.lines(rows)) + "\n")


def labels(dataset: Dataset, size: tuple[int, int], how: str) -> dict[str, Any]:
    """What labels.json says beside model.keras: enough to read the network's answers."""
    return {
        "task": dataset.task, "classes": dataset.classes, "channels": dataset.channels, "image_size": list(size),
        "resize": how, "colours": None if dataset.colours is None else dataset.colours.tolist(),
    }  # fmt: skip


def save_atomically(model: keras.Model, path: Any) -> None:
    """Write a `.keras` file; its name never stands for half of it."""
    with replacing(path, "partial.keras") as temporary:
        model.save(temporary)


def _save_model(training: Training, dataset: Dataset) -> None:
    record, how = training.record, configuration.resize(training.config)
    saved = training.task.inference(training.model, training.val.size, how)
    save_atomically(saved, record.folder / "model.keras")
    content = labels(dataset, training.val.size, how)
    record.write_text("labels.json", json.dumps(content, indent=2, ensure_ascii=False) + "\n")


def _draw(training: Training, dataset: Dataset, val: Any, test: Any, epoch: int) -> None:
    board, task = training.board, training.task
    for prefix, scores in (("", val), ("test_", test)):
        for tag, picture in task.pictures(scores, dataset).items():
            board.image("validation", prefix + tag, picture, epoch)
    shown = task.chosen(val)
    some = splits.take(dataset.val, shown)
    images = feed(training, some, len(shown)).preview(len(shown))[0]
    board.image("validation", "predictions", task.predictions(images, shown, val, dataset), epoch)
