"""Everything that a run needs to go on exactly where it stopped, in one file that is whole or absent."""

from __future__ import annotations

import dataclasses
import json
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import keras
import numpy as np

from cvlib.runtime import files

_KEPT = 2  # the newest may turn out damaged


@dataclass
class State:
    """Where a run stands."""

    epoch: int = 0  # epochs done
    step: int = 0  # of all epochs done
    within: int = 0  # steps done of the epoch that has begun
    best_epoch: int = 0  # from 1; 0: none yet
    best: list[float] = field(default_factory=list)  # the monitor's value (larger is better), then -loss
    seconds: float = 0.0  # of training, over all processes
    images: int = 0
    stopped: bool = False  # patience ran out
    rows: list[dict[str, Any]] = field(default_factory=list)  # of metrics.csv


def save(folder: Path, state: State, model: keras.Model, compiled: keras.Model) -> None:
    """Write the state with the network's, the optimizer's and the running metrics' variables; keep the newest two.

    `compiled` is what is fitted: the network itself, or its head. Best weights that no state names any more go.
    """
    arrays = {f"model/{i}": value for i, value in enumerate(_values(model.variables))}
    arrays |= {f"optimizer/{i}": value for i, value in enumerate(_values(compiled.optimizer.variables))}
    if state.within:
        arrays |= {f"metrics/{i}": value for i, value in enumerate(_values(compiled.metrics_variables))}
    arrays["state"] = np.frombuffer(json.dumps(dataclasses.asdict(state)).encode(), np.uint8)
    _write(folder / f"epoch-{state.epoch:05d}-step-{state.within:07d}.npz", arrays)
    for path in _newest_first(folder)[_KEPT:]:
        path.unlink()
    for path in sorted(folder.glob("best-*.npz"))[:-_KEPT]:
        path.unlink()


def load(folder: Path) -> tuple[State, dict[str, np.ndarray], list[str]]:
    """The newest whole checkpoint: its state, its arrays, and a remark for each damaged one passed over."""
    remarks: list[str] = []
    for path in _newest_first(folder):
        try:
            with path.open("rb") as stream, np.load(stream, allow_pickle=False) as file:
                arrays = {name: file[name] for name in file.files}
            return State(**json.loads(arrays.pop("state").tobytes())), arrays, remarks
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
            remarks.append(f"{path} is damaged ({error}): going back to the one before")
    return State(), {}, remarks


def restore(arrays: dict[str, np.ndarray], model: keras.Model, compiled: keras.Model | None = None) -> None:
    """Put the saved numbers into a model, and into the optimizer of the one that was compiled as it was then."""
    _assign(model.variables, arrays, "model")
    if compiled is not None:
        compiled.optimizer.build(compiled.trainable_variables)
        _assign(compiled.optimizer.variables, arrays, "optimizer")


def restore_metrics(arrays: dict[str, np.ndarray], compiled: keras.Model) -> None:
    """Put back what the epoch's metrics had summed up when it was left."""
    _assign(compiled.metrics_variables, arrays, "metrics")


def save_best(folder: Path, model: keras.Model, epoch: int) -> None:
    """Keep the weights of the best epoch so far; those of the best before stay, for a kill may take this epoch back."""
    weights = {f"weights/{i}": value for i, value in enumerate(_values(model.weights))}
    _write(folder / f"best-{epoch:05d}.npz", weights)


def load_best(folder: Path, model: keras.Model, epoch: int) -> None:
    """Put the best epoch's weights into the model."""
    with np.load(folder / f"best-{epoch:05d}.npz", allow_pickle=False) as file:
        _assign(model.weights, {name: file[name] for name in file.files}, "weights")


def clear(folder: Path, state: State) -> None:
    """A completed run has nothing to go on from: keep its counters, free the space of the arrays."""
    files.write_atomically(folder / "completed.json", json.dumps(dataclasses.asdict(state), indent=2).encode())
    for path in folder.glob("*.npz"):
        path.unlink()


def _values(variables: list[keras.Variable]) -> list[np.ndarray]:
    return [keras.ops.convert_to_numpy(variable) for variable in variables]


def _assign(variables: list[keras.Variable], arrays: dict[str, np.ndarray], kind: str) -> None:
    for index, variable in enumerate(variables):
        variable.assign(arrays[f"{kind}/{index}"])


def _newest_first(folder: Path) -> list[Path]:
    return sorted(folder.glob("epoch-*.npz"), reverse=True)


def _write(path: Path, arrays: dict[str, np.ndarray]) -> None:
    with files.replacing(path) as temporary, temporary.open("wb") as file:
        np.savez(file, **arrays)  # type: ignore[arg-type]
