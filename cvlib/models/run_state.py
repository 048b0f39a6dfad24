"""Checkpoints: the progress of a run and everything needed to resume it exactly, in one file written atomically.

The file has named parts: the arrays of `weights`, `averages`, `optimizer` and `metrics` by variable name, and a `state`
in JSON with the progress, the phase and the precision that `auto` stands for. Variables are restored by name, not by
position. `weights` are always those that training continues with; the best epoch's file has the averages instead.
"""

from __future__ import annotations

import dataclasses
import json
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import keras
import numpy as np

from cvlib.runtime import backend
from cvlib.runtime.errors import RunFailed
from cvlib.runtime.files import replacing, write_atomically

_KEPT = 2  # number of checkpoints to keep; more than one, because the newest may be damaged
FORM = 3  # the checkpoint format that this version writes; 3: NumPy computes the matrices of augmentation

Arrays = dict[str, np.ndarray]  # by name


@dataclass
class RunState:
    """The progress of a run."""

    epoch: int = 0  # completed epochs
    step: int = 0  # completed steps over all epochs
    within: int = 0  # completed steps of the current epoch
    best_epoch: int = 0  # counts from 1; 0: none yet
    best: list[float] = field(default_factory=list)  # of the best epoch: monitored value (larger is better), then -loss
    seconds: float = 0.0  # training time over all processes
    waited: float = 0.0  # the part of `seconds` in which training waited for its batches
    images: int = 0
    cut_at: int = 0  # steps of the current epoch, if trainer.minutes have ended its training early; 0: all
    budget_used: float = 0.0  # seconds of trainer.minutes that are used
    stopped: bool = False  # by early stopping, or because trainer.minutes are used up
    rows: list[dict[str, Any]] = field(default_factory=list)  # rows of metrics.csv
    phase: int = -1  # the index of the phase that the optimizer belongs to; -1: none yet
    phase_start: int = 0  # completed epochs when this phase began
    phases_over: int = 0  # phases that have ended, also those that patience has ended early
    first_steps: dict[str, int] = field(default_factory=dict)  # by variable, the step at which its moments start
    resolved: dict[str, str] = field(default_factory=dict)  # settings that replaced `auto`: precision
    backend: str = "tensorflow"  # of Keras
    feed: str = "tensorflow"  # the engine that reads and augments the images, or threads
    planned_epochs: int = 0  # trainer.epochs; 0 in files of earlier versions
    form: int = FORM


@dataclass
class Parts:
    """The arrays of a checkpoint by name."""

    weights: Arrays = field(default_factory=dict)
    averages: Arrays = field(default_factory=dict)  # averaged weights (`trainer.ema`)
    optimizer: Arrays = field(default_factory=dict)
    metrics: Arrays = field(default_factory=dict)


def named(variables: Sequence[keras.Variable]) -> dict[str, keras.Variable]:
    """Return variables by path; repeated paths get a number, such as `path#2`."""
    found: dict[str, keras.Variable] = {}
    count: dict[str, int] = {}
    for variable in variables:
        count[variable.path] = count.get(variable.path, 0) + 1
        number = count[variable.path]
        found[variable.path if number == 1 else f"{variable.path}#{number}"] = variable
    return found


def values(variables: Sequence[keras.Variable]) -> Arrays:
    """Return the values of variables by name."""
    return {name: keras.ops.convert_to_numpy(variable) for name, variable in named(variables).items()}


def restore(variables: Sequence[keras.Variable], arrays: Mapping[str, np.ndarray], what: str) -> None:
    """Assign values to variables by name; raise `RunFailed` for the first variable without a matching value."""
    for name, variable in named(variables).items():
        if name not in arrays or arrays[name].shape != tuple(variable.shape):
            raise RunFailed(f"the checkpoint has no {what} {name} of shape {tuple(variable.shape)}: it is from another "
                            "network or version; start the run in another folder")  # fmt: skip
        variable.assign(arrays[name])


def save(
    folder: Path, state: RunState, model: keras.Model, compiled: keras.Model, averages: Arrays | None = None
) -> None:
    """Write a checkpoint with the variables of the network, the optimizer and the metrics; keep the newest two.

    `compiled` is the model that is being fitted: the network itself, or its head. `averages` are the averaged weights
    by name, if there are any. Old files of best weights that no kept state needs are deleted.
    """
    backend.sync(compiled)
    parts = {"weights": values(model.variables), "averages": averages or {},
             "optimizer": values(compiled.optimizer.variables)}  # fmt: skip
    if state.within:
        parts["metrics"] = values(compiled.metrics_variables)
    arrays = {f"{part}/{name}": value for part, named_values in parts.items() for name, value in named_values.items()}
    arrays["state"] = np.frombuffer(json.dumps(dataclasses.asdict(state)).encode(), np.uint8)
    _write(folder / f"epoch-{state.epoch:05d}-step-{state.within:07d}.npz", arrays)
    for path in _newest_first(folder)[_KEPT:]:
        path.unlink()
    for path in sorted(folder.glob("best-*.npz"))[:-_KEPT]:
        path.unlink()


def load(folder: Path) -> tuple[RunState, Parts, list[str]]:
    """Return the newest undamaged checkpoint: its state, its parts, and a remark for each damaged one skipped."""
    remarks: list[str] = []
    for path in _newest_first(folder):
        try:
            with path.open("rb") as stream, np.load(stream, allow_pickle=False) as file:
                content = json.loads(file["state"].tobytes())
                known = {item.name for item in dataclasses.fields(RunState)}
                state = RunState(**{"form": 1} | {key: value for key, value in content.items() if key in known})
                parts = Parts()
                for name in file.files:
                    part, _, inner = name.partition("/")
                    if inner and hasattr(parts, part):
                        getattr(parts, part)[inner] = file[name]
            return state, parts, remarks
        except (OSError, ValueError, KeyError, EOFError, TypeError, zipfile.BadZipFile) as error:
            remarks.append(f"{path} is damaged ({error}): using the previous checkpoint")
    return RunState(), Parts(), remarks


def stopped_in_first_epoch(folder: Path) -> bool:
    """Return whether a process was killed at the end of the first epoch: it has weights, but no checkpoint."""
    return not _newest_first(folder) and any(folder.glob("best-*.npz"))


def save_best(folder: Path, model: keras.Model, epoch: int) -> None:
    """Save the weights of the best epoch so far.

    The previous best file is kept: after a crash, the run may resume from before this epoch.
    """
    _write(
        folder / f"best-{epoch:05d}.npz", {f"weights/{name}": value for name, value in values(model.weights).items()}
    )


def load_best(folder: Path, model: keras.Model, epoch: int) -> None:
    """Load the best epoch's weights into the model. Files of earlier versions list the weights by position."""
    with np.load(folder / f"best-{epoch:05d}.npz", allow_pickle=False) as file:
        arrays = {name.removeprefix("weights/"): file[name] for name in file.files}
    if "0" in arrays:
        arrays = {name: arrays[str(index)] for index, name in enumerate(named(model.weights))}
    restore(model.weights, arrays, "weight")


def clear(folder: Path, state: RunState, keep: bool) -> None:
    """Delete the checkpoints of a completed run.

    Its `RunState` is kept; with `keep`, also the newest checkpoint and the best weights, so that the run can be given
    more epochs.
    """
    write_atomically(folder / "completed.json", json.dumps(dataclasses.asdict(state), indent=2).encode())
    kept = {*_newest_first(folder)[:1], folder / f"best-{state.best_epoch:05d}.npz"} if keep else set()
    for path in folder.glob("*.npz"):
        if path not in kept:
            path.unlink()


def _newest_first(folder: Path) -> list[Path]:
    return sorted(folder.glob("epoch-*.npz"), reverse=True)


def _write(path: Path, arrays: Arrays) -> None:
    with replacing(path) as partial, partial.open("wb") as file:
        np.savez(file, **arrays)  # type: ignore[arg-type]
