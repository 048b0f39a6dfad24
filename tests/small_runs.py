"""Run folders for tests, created without training."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import keras
import yaml

from cvlib import tasks
from cvlib.config.schema import Config, DataConfig, TrainerConfig, as_mapping
from cvlib.data.input_spec import InputSpec
from cvlib.models import run_state
from cvlib.models.network import Network, build
from cvlib.models.run_state import RunState
from cvlib.runs import metric_specs
from tests import configs

SIDE = 12
CLASSES = list("0123456789")


def config() -> Config:
    """Return the config of a small network for the digits, with 12 pixels per side."""
    return configs.config("cnn", filters=[4, 6], dense=[8], dropout=0.2, data=DataConfig(image_size=SIDE),
                          trainer=TrainerConfig(epochs=3))  # fmt: skip


def write_record(folder: Path, chosen: Config, spec: InputSpec, classes: list[str] | None, **summary: Any) -> None:
    """Write config.yaml and summary.json of a completed run; without `classes`, as if its data was never read."""
    folder.mkdir(parents=True)
    (folder / "config.yaml").write_text(yaml.safe_dump(as_mapping(chosen)))
    task = tasks.of_config(chosen)
    content: dict[str, Any] = {
        "form": 2, "status": "completed", "task": task.name, "model": chosen.model.name, "epochs": 1, "best_epoch": 1,
        "metrics": {}, "metric_specs": metric_specs.to_json(task.metrics),
    }  # fmt: skip
    if classes:
        content |= {"classes": classes, "channels": spec.channels, "image_size": spec.height, "resize": spec.resize}
    (folder / "summary.json").write_text(json.dumps(content | summary))


def write_run(folder: Path, status: str = "completed", classes: list[str] | None = CLASSES) -> keras.Model:
    """Write the run's files; for an unfinished run, only its checkpoints.

    Return the saved network or, for an unfinished run, the training network.
    """
    spec = InputSpec(SIDE, SIDE, 1)
    write_record(folder, config(), spec, classes, status=status)
    keras.utils.set_random_seed(3)
    network = build(config().model, spec, len(CLASSES))
    if status != "completed":
        model = network.model
        model.compile("sgd", "mse")
        run_state.save_best(folder / "checkpoints", model, 1)
        run_state.save(folder / "checkpoints", RunState(epoch=1, best_epoch=1), model, model)
        return model
    return write_network(folder, config(), network, CLASSES)


def write_network(folder: Path, chosen: Config, network: Network, classes: list[str], **labels: Any) -> keras.Model:
    """Write model.keras and labels.json; return the saved network."""
    task = tasks.of_config(chosen)
    saved = task.inference(network)
    saved.save(folder / "model.keras")
    (folder / "labels.json").write_text(json.dumps(task.labels(classes, network.spec) | labels))
    return saved
