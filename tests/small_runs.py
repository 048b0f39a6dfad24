"""Folders such as a run leaves behind, made without training."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import keras
import yaml
from cvlib.runs.upgrade import FORM

from cvlib import tasks
from cvlib.config.schema import Config, DataConfig, ModelConfig, TrainerConfig, as_mapping
from cvlib.data.input_spec import InputSpec
from cvlib.models import run_state
from cvlib.models.network import build
from cvlib.models.run_state import RunState
from cvlib.runs import metric_specs
from tests.configs import model_config

SIDE = 12
CLASSES = list("0123456789")
FEW_CLASSES = ["background", "cat", "dog"]


def config() -> Config:
    """A small network on the embedded digits, 12 pixels a side."""
    model = model_config(filters=[4, 6], dense=[8], dropout=0.2)
    return Config(model, data=DataConfig(image_size=SIDE), trainer=TrainerConfig(epochs=3))


def write_run(folder: Path, status: str = "completed", classes: list[str] | None = CLASSES) -> keras.Model:
    """Write the run's files; of an unfinished one the best weights alone. Returns the network as it was saved, or of an
    unfinished run as it is trained."""
    whole = config()
    folder.mkdir(parents=True)
    summary = {"status": status, "epochs": 1, "best_epoch": 1, "metrics": {}}
    if classes:
        summary |= {"classes": classes, "channels": 1, "image_size": SIDE}
    _write_record(folder, whole, summary)
    keras.utils.set_random_seed(3)
    network = build(whole.model, InputSpec(SIDE, SIDE, 1), len(CLASSES))
    if status != "completed":
        network.model.compile("sgd", "mse")
        run_state.save_best(folder / "checkpoints", network.model, 1)
        run_state.save(folder / "checkpoints", RunState(epoch=1, best_epoch=1), network.model, network.model)
        return network.model
    saved = tasks.of("classification").inference(network)
    saved.save(folder / "model.keras")
    labels = {"task": "classification", "classes": CLASSES, "channels": 1, "image_size": [SIDE, SIDE]}
    (folder / "labels.json").write_text(json.dumps(labels))
    return saved


def write_untrained(folder: Path, model: ModelConfig, side: int) -> keras.Model:
    """Write a completed run of this model that never trained, with three classes; return what validation uses."""
    whole = Config(model, data=DataConfig(tasks=[model.task], image_size=side, samples=20))
    task, resize = tasks.of(model.task), tasks.resize(whole)
    folder.mkdir(parents=True)
    _write_record(folder, whole, {"status": "completed", "epochs": 1, "metrics": {}, "classes": FEW_CLASSES,
                                  "channels": 3, "image_size": side, "resize": resize})  # fmt: skip
    keras.utils.set_random_seed(1)
    network = build(model, InputSpec(side, side, 3, resize), len(FEW_CLASSES))
    for weight in network.model.weights:  # so that boxes and classes differ from place to place
        weight.assign(weight + 0.05 * keras.random.normal(weight.shape, seed=len(weight.shape)))
    task.inference(network).save(folder / "model.keras")
    labels = {"task": model.task, "classes": FEW_CLASSES, "colours": [[0, 0, 0], [200, 0, 0], [0, 0, 250]]}
    (folder / "labels.json").write_text(json.dumps(labels))
    return task.validated(network)


def _write_record(folder: Path, whole: Config, summary: dict[str, Any]) -> None:
    """Write config.yaml and summary.json in the present form."""
    task = tasks.of(whole.model.task)
    about = {"form": FORM, "task": task.name, "model": whole.model.name, "mode": whole.mode.name,
             "metric_specs": metric_specs.to_json(task.metrics)}  # fmt: skip
    (folder / "config.yaml").write_text(yaml.safe_dump(as_mapping(whole)))
    (folder / "summary.json").write_text(json.dumps(about | summary))
