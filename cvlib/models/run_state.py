"""Where a run stands, and everything that it needs to go on exactly from there, in one file that is whole or absent.

The file holds named parts: `weights`, `optimizer` and `metrics` by the names of their variables, and a `state` in JSON
with the progress, the phase and what `auto` was resolved to. A part is restored by name, not by position.
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

from cvlib.runtime.errors import RunFailed
from cvlib.runtime.files import replacing, write_atomically

_KEPT = 2  # the newest may turn out damaged
FORM = 2

Arrays = dict[str, np.ndarray]  # by name


@dataclass
class RunState:
    """The progress of a run."""

    epoch: int = 0  # epochs done
    step: int = 0  # of all epochs done
    within: int = 0  # steps done of the epoch that has begun
    best_epoch: int = 0  # from 1; 0: none yet
    best: list[float] = field(default_factory=list)  # the monitor's value (larger is better), then -loss
    seconds: float = 0.0  # of training, over all processes
    images: int = 0
    stopped: bool = False  # patience ran out
    rows: list[dict[str, Any]] = field(default_factory=list)  # of metrics.csv
    phase: int = -1  # the number of the phase that the optimizer belongs to; -1: none yet
    first_steps: dict[str, int] = field(default_factory=dict)  # the step at which each variable's moments began
    resolved: dict[str, str] = field(default_factory=dict)  # what `auto` came to: precision
    form: int = FORM


@dataclass
class Parts:
    """The arrays of a checkpoint, each by its name."""

    weights: Arrays = field(default_factory=dict)
    optimizer: Arrays = field(default_factory=dict)
    metrics: Arrays = field(default_factory=dict)


def named(variables: Sequence[keras.Variable]) -> dict[str, keras.Variable]:
    """Return variables by their paths; a path that comes again gets a number."""
    found: dict[str, keras.Variable] = {}
    count: dict[str, int] = {}
    for variable in variables:
        count[variable.path] = count.get(variable.path, 0) + 1
        number = count[variable.path]
        found[variable.path if number == 1 else f"{variable.path}#{number}"] = variable
    return found


def values(variables: Sequence[keras.Variable]) -> Arrays:
    """Return the numbers of variables by name."""
    return {name: keras.ops.convert_to_numpy(variable) for name, variable in named(variables).items()}


def restore(variables: Sequence[keras.Variable], arrays: Mapping[str, np.ndarray], what: str) -> None:
    """Give variables their values by name; raises `RunFailed` naming the first for which there is none."""
    for name, variable in named(variables).items():
        if name not in arrays or arrays[name].shape != tuple(variable.shape):
            raise RunFailed(f"the checkpoint has no {what} {name} of shape {tuple(variable.shape)}: it is of another "
                            "network or version; start the run in another folder")  # fmt: skip
        variable.assign(arrays[name])


def save(folder: Path, state: RunState, model: keras.Model, compiled: keras.Model) -> None:
    """Write the state with the network's, the optimizer's and the running metrics' variables; keep the newest two.

    `compiled` is what is fitted: the network itself, or its head. Best weights that no state names any more go.
    """
    parts = {"weights": values(model.variables), "optimizer": values(compiled.optimizer.variables)}
    if state.within:
        parts["metrics"] = values(compiled.metrics_variables)
    arrays = {f"{part}/{name}": value for part, held in parts.items() for name, value in held.items()}
    arrays["state"] = np.frombuffer(json.dumps(dataclasses.asdict(state)).encode(), np.uint8)
    _write(folder / f"epoch-{state.epoch:05d}-step-{state.within:07d}.npz", arrays)
    for path in _newest_first(folder)[_KEPT:]:
        path.unlink()
    for path in sorted(folder.glob("best-*.npz"))[:-_KEPT]:
        path.unlink()


def load(folder: Path) -> tuple[RunState, Parts, list[str]]:
    """Return the newest whole checkpoint: its state, its parts, and a remark for each damaged one passed over."""
    remarks: list[str] = []
    for path in _newest_first(folder):
        try:
            with path.open("rb") as stream, np.load(stream, allow_pickle=False) as file:
                content = json.loads(file["state"].tobytes())
                known = {one.name for one in dataclasses.fields(RunState)}
                state = RunState(**{"form": 1} | {key: value for key, value in content.items() if key in known})
                parts = Parts()
                for name in file.files:
                    part, _, inner = name.partition("/")
                    if inner and hasattr(parts, part):
                        getattr(parts, part)[inner] = file[name]
            return state, parts, remarks
        except (OSError, ValueError, KeyError, EOFError, TypeError, zipfile.BadZipFile) as error:
            remarks.append(f"{path} is damaged ({error}): going back to the one before")
    return RunState(), Parts(), remarks


def save_best(folder: Path, model: keras.Model, epoch: int) -> None:
    """Keep the weights of the best epoch so far; those of the one before stay, as a kill may undo this epoch."""
    _write(
        folder / f"best-{epoch:05d}.npz", {f"weights/{name}": value for name, value in values(model.weights).items()}
    )


def load_best(folder: Path, model: keras.Model, epoch: int) -> None:
    """Give the model the best epoch's weights. Of an earlier form they are listed by position."""
    with np.load(folder / f"best-{epoch:05d}.npz", allow_pickle=False) as file:
        arrays = {name.removeprefix("weights/"): file[name] for name in file.files}
    if "0" in arrays:
        arrays = {name: arrays[str(place)] for place, name in enumerate(named(model.weights))}
    restore(model.weights, arrays, "weight")


def clear(folder: Path, state: RunState) -> None:
    """A completed run has nothing to go on from: keep its counters, free the space of the arrays."""
    write_atomically(folder / "completed.json", json.dumps(dataclasses.asdict(state), indent=2).encode())
    for path in folder.glob("*.npz"):
        path.unlink()


def _newest_first(folder: Path) -> list[Path]:
    return sorted(folder.glob("epoch-*.npz"), reverse=True)


def _write(path: Path, arrays: Arrays) -> None:
    with replacing(path) as partial, partial.open("wb") as file:
        np.savez(file, **arrays)  # type: ignore[arg-type]
