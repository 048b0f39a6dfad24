"""Print the losses of the first steps of a run as JSON: `python -m tests.first_losses FOLDER OVERRIDE…`.

The first call for a folder saves the initial weights there. Later calls start from them, also with another backend of
Keras, which would draw others.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

from cvlib import experiment
from cvlib.cli.compose import compose
from cvlib.config.schema import as_mapping
from cvlib.models import run_state
from cvlib.runs.unrecorded import Unrecorded
from cvlib.training import data_parallel, devices, optimizer
from cvlib.transfer import freezing

STEPS = 10


def losses(folder: Path, overrides: list[str]) -> list[float]:
    """Return the losses of the first ten steps, in the order in which a run trains."""
    return trained(folder, overrides, STEPS)[0]


def trained(folder: Path, overrides: list[str], steps: int) -> tuple[list[float], Any]:
    """Train for some steps; return their losses and the network's Keras model."""
    config = compose([*overrides, f"hydra.run.dir={folder}/run"])
    devices.start(config)
    training = experiment._prepare(config, Unrecorded(folder / "run", as_mapping(config)))[1]
    model, initial = training.network.model, folder / "initial.npz"
    if initial.exists():
        with np.load(initial) as arrays:
            run_state.restore(model.variables, dict(arrays), "weight")
    else:
        np.savez(initial, **run_state.values(model.variables))  # type: ignore[arg-type]
    phase = freezing.phases(training.network, config.mode, config.trainer.max_epochs)[0]
    freezing.apply(training.network, phase)
    variables = model.trainable_variables
    built = optimizer.build(config, training.network, phase, variables, training.train.steps, {})
    built.build(variables)
    model.compile(optimizer=built, jit_compile=training.compiled,
                  **training.task.compile_arguments(training.network, config, training.class_weights))  # fmt: skip
    found: list[float] = []
    for epoch in range(steps):
        training.train.epoch(epoch)
        for batch in data_parallel.batches(training.train, training.targets):
            model.reset_metrics()
            found.append(float(model.train_on_batch(*batch, return_dict=True)["loss"]))
            if len(found) == steps:
                return found, model
    raise ValueError(f"{len(found)} steps in {steps} epochs")


if __name__ == "__main__":
    print(json.dumps(losses(Path(sys.argv[1]), sys.argv[2:])))
