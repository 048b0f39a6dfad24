"""What a trained network is worth: its results on validation and test, written, drawn and saved."""

from __future__ import annotations

import dataclasses
import json

import numpy as np

from cvlib import models, pictures
from cvlib.data.dataset import Dataset, Split
from cvlib.data.pipeline import Feed, preview
from cvlib.tasks import classification
from cvlib.tasks.classification import Scores
from cvlib.training import loop
from cvlib.training.loop import Training

_PICTURED = 24


def record_results(training: Training, dataset: Dataset, epoch: int) -> None:
    """Write metrics, test_results.csv, model.keras, labels.json and TensorBoard's pictures of the best epoch."""
    config, record = training.config, training.record
    test_feed = Feed(dataset.test, training.val.size, dataset.channels, config.data.batch_size, config.seed)
    val = loop.scores(training.logits, training.val, dataset.val.labels)
    test = loop.scores(training.logits, test_feed, dataset.test.labels)
    metrics = {f"val/{name}": value for name, value in classification.metrics(val).items()}
    metrics |= {f"test/{name}": value for name, value in classification.metrics(test).items()}
    record.update(metrics=metrics)
    record.write_csv("test_results.csv", classification.results(dataset.test.names, dataset.classes, test))
    _save_model(training, dataset)
    _draw(training, dataset, val, test, epoch)
    training.board.hparams(dataclasses.asdict(config), metrics, epoch)
    training.board.close()


def show_start(training: Training, dataset: Dataset) -> None:
    """TensorBoard's view of what is about to be trained: augmented samples, config, graph."""
    images, labels = preview(training.train, _PICTURED)
    names = [dataset.classes[label] for label in labels]
    training.board.image("train", "augmented_samples", pictures.contact_sheet(images, names), 0)
    text = json.dumps(dataclasses.asdict(training.config), indent=2)
    training.board.text("train", "config", f"```\n{text}\n```", 0)
    training.board.graph(training.logits)


def _save_model(training: Training, dataset: Dataset) -> None:
    record = training.record
    path = record.folder / "model.keras"
    partial = path.with_name("partial.keras")
    models.inference(training.model, training.val.size).save(partial)
    partial.replace(path)
    labels = {"task": "classification", "classes": dataset.classes, "channels": dataset.channels,
              "image_size": list(training.val.size)}  # fmt: skip
    record.write_text("labels.json", json.dumps(labels, indent=2, ensure_ascii=False) + "\n")


def _draw(training: Training, dataset: Dataset, val: Scores, test: Scores, epoch: int) -> None:
    board, classes = training.board, dataset.classes
    for tag, scores in (("confusion_matrix", val), ("test_confusion_matrix", test)):
        picture = pictures.confusion_matrix(classification.confusion(scores), classes)
        board.image("validation", tag, picture, epoch)
    shown = _some(dataset.val, val)
    images = _images(training, dataset, shown)
    guesses = val.predictions[shown]
    drawn = pictures.predictions(images, val.labels[shown], guesses, val.probabilities[shown, guesses], classes)
    board.image("validation", "predictions", drawn, epoch)


def _some(split: Split, scores: Scores) -> np.ndarray:
    """Some samples, evenly over the split, a third of them mistakes where there are as many."""
    correct = scores.predictions == scores.labels
    wrong = _spread(np.flatnonzero(~correct), _PICTURED // 3)
    return np.sort(np.concatenate([wrong, _spread(np.flatnonzero(correct), _PICTURED - len(wrong))]))


def _spread(indices: np.ndarray, count: int) -> np.ndarray:
    return indices[np.linspace(0, len(indices) - 1, min(len(indices), count)).astype(int)]


def _images(training: Training, dataset: Dataset, indices: np.ndarray) -> np.ndarray:
    split = dataset.val
    images = split.images[indices] if isinstance(split.images, np.ndarray) else [split.images[i] for i in indices]
    some = Split([split.names[i] for i in indices], images, split.labels[indices])
    return preview(Feed(some, training.val.size, dataset.channels, len(indices), 0), len(indices))[0]
