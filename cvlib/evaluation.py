"""What a trained network is worth: its results on validation and test, written, drawn and saved."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from cvlib import data, models, pictures
from cvlib.data.dataset import Dataset, Split
from cvlib.data.pipeline import Feed
from cvlib.record import Record
from cvlib.tasks import classification
from cvlib.tasks.classification import Scores
from cvlib.training import loop
from cvlib.training.loop import Training

_PICTURED = 24


def record_results(training: Training, dataset: Dataset, size: tuple[int, int]) -> None:
    """Write metrics, test_results.csv, model.keras, labels.json and the pictures of TensorBoard."""
    config, record = training.config, training.record
    test_feed = Feed(dataset.test, size, dataset.channels, config.data.batch_size, config.seed)
    val = loop.scores(training.logits, training.val, dataset.val.labels)
    test = loop.scores(training.logits, test_feed, dataset.test.labels)
    metrics = {f"val/{name}": value for name, value in classification.metrics(val).items()}
    metrics |= {f"test/{name}": value for name, value in classification.metrics(test).items()}
    record.update(metrics=metrics)
    record.write_csv("test_results.csv", classification.results(dataset.test.names, dataset.classes, test))
    _save_model(training, dataset, size)
    _draw(training, dataset, val, test)
    training.board.hparams(_varied(config), metrics)
    training.board.close()
