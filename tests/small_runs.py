"""Folders such as a run leaves behind, made without training."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import keras
import yaml

from cvlib import models
from cvlib.config.schema import Config, DataConfig, ModelConfig, TrainerConfig
from cvlib.tasks import classification
from cvlib.training import checkpoint
from cvlib.training.checkpoint import State

SIDE = 12
CLASSES = list("0123456789")


def config() -> Config:
    """A small network on the embedded digits, 12 pixels a side."""
    model = ModelConfig(filters=[4, 6], dense=[8], dropout=0.2)
    return Config(model=model, data=DataConfig(image_size=SIDE), trainer=TrainerConfig(epochs=3))


def write_run(folder: Path, status: str = "completed", classes: list[str] | None = CLASSES) -> keras.Model:
    """Write the run's files; of an unfinished one the best weights alone. Returns the network as it was saved, or of an
    unfinished run as it is trained."""
    folder.mkdir(parents=True)
    (folder / "config.yaml").write_text(yaml.safe_dump(dataclasses.asdict(config())))
    summary: dict[str, Any] = {"status": status, "task": "classification", "model": "cnn", "epochs": 1, "metrics": {}}
    summary["best_epoch"] = 1
    if classes:
        summary |= {"classes": classes, "channels": 1, "image_size": SIDE}
    (folder / "summary.json").write_text(json.dumps(summary))
    keras.utils.set_random_seed(3)
    model = models.build(config().model, (SIDE, SIDE, 1), len(CLASSES))
    if status != "completed":
        model.compile("sgd", "mse")
        checkpoint.save_best(folder / "checkpoints", model, 1)
        checkpoint.save(folder / "checkpoints", State(epoch=1, best_epoch=1), model, model)
        return model
    inference = classification.inference(model, (SIDE, SIDE), "stretch")
    inference.save(folder / "model.keras")
    labels = {"task": "classification", "classes": CLASSES, "channels": 1, "image_size": [SIDE, SIDE]}
    (folder / "labels.json").write_text(json.dumps(labels))
    return inference
