"""Keep the head of an earlier run when fine-tuning: its layers, and the logits of the classes with the same names.

A class that the earlier run has, too, starts with exactly that run's logit. A new class starts with a logit of 0.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import h5py
import keras
import numpy as np

from cvlib.models.network import Network
from cvlib.runtime.errors import UserError

_LONGEST = 8  # maximum number of classes that a message names


@dataclass(frozen=True)
class KeptHead:
    """The classes whose logits were kept, and those that start at 0."""

    kept: list[str]
    new: list[str]

    def __str__(self) -> str:
        text = f"the head keeps {len(self.kept)} classes with the same names ({_named(self.kept)})"
        return text + (f"; {len(self.new)} new ones start at 0 ({_named(self.new)})" if self.new else "")


def keep_head(network: Network, run: Path, classes: Sequence[str]) -> KeptHead | None:
    """Copy the head of the run in `run` into the network, matching classes by name.

    Args:
        network: the new network; changed only if a head is kept.
        run: the folder of a completed run with the same base.
        classes: the names of the network's classes, in the order of its outputs.

    Returns:
        None if the runs share no class, have another task or a head of another form, or if the head's kind can't be
        divided by class.

    Raises:
        UserError: if the run's network can't be read, or holds values that aren't finite.
    """
    theirs = _classes(run, network.config.task)
    shared = [name for name in classes if name in theirs]
    if not shared or not network.head.class_layers:
        return None
    stored = _stored_head(run / "model.keras")
    arrays = _fitting(network, stored, len(theirs))
    if arrays is None:
        return None
    rows = [theirs.index(name) if name in theirs else -1 for name in classes]
    for layer in _kept_layers(network):
        values = arrays[layer.name]
        if layer.name in network.head.class_layers:
            values = [_rows(value, rows) for value in values]
        layer.set_weights(values)
    return KeptHead(shared, [name for name in classes if name not in theirs])


def _classes(run: Path, task: str) -> list[str]:
    """Return the class names of a run of the same task; an empty list for a run of another task."""
    summary = json.loads((run / "summary.json").read_text(encoding="utf-8"))
    names = summary.get("classes")
    return list(map(str, names)) if isinstance(names, list) and summary.get("task") == task else []


def _kept_layers(network: Network) -> list[keras.layers.Layer]:
    """Return the layers of the head that a saved network has: all except those of training-only outputs."""
    return [layer for layer in network.predictive().layers if layer is not network.base and layer.weights]


def _stored_head(file: Path) -> dict[str, list[np.ndarray]]:
    """Return the arrays of each layer outside the base of a saved network, by the layer's name.

    Keras stores the name of each layer beside its arrays. Only arrays are read, so no code in the file runs.
    """
    try:
        with zipfile.ZipFile(file) as archive, archive.open("model.weights.h5") as inner:
            return dict(_layers(h5py.File(inner, "r")))
    except (OSError, KeyError, TypeError, ValueError, RuntimeError, zipfile.BadZipFile, EOFError) as error:
        reason = str(error).splitlines()[0][:120]
        raise UserError(f"mode.weights={file.parent}: {file.name} can't be read ({reason}): check that it is complete"
                        ) from error  # fmt: skip


def _layers(file: h5py.File) -> Iterator[tuple[str, list[np.ndarray]]]:
    for group in file["layers"].values():
        arrays = group.get("vars")
        if not arrays:
            continue
        for array in arrays.values():
            if array.external or array.is_virtual or array.file.filename != file.filename:
                raise ValueError(f"{array.name} is stored in another file")
        yield str(arrays.attrs.get("name")), [arrays[key][...] for key in sorted(arrays, key=int)]


def _fitting(network: Network, stored: dict[str, list[np.ndarray]], classes: int) -> dict[str, list[np.ndarray]] | None:
    """Return the arrays of every layer of the head, or None if a layer is missing or has another shape."""
    for layer in _kept_layers(network):
        shapes = [tuple(weight.shape) for weight in layer.weights]
        if layer.name in network.head.class_layers:
            shapes = [(*shape[:-1], classes) for shape in shapes]
        if [value.shape for value in stored.get(layer.name, [])] != shapes:
            return None
        if not all(np.isfinite(value).all() for value in stored[layer.name]):
            raise UserError(f"mode.weights: {layer.name} of that run's head has values that aren't finite; choose a "
                            "run that hasn't diverged")  # fmt: skip
    return stored


def _rows(values: np.ndarray, rows: list[int]) -> np.ndarray:
    """Return `values` with entry `rows[k]` of the last axis at position k; zeros where `rows[k]` is -1."""
    chosen: np.ndarray = values[..., rows] * np.asarray([row >= 0 for row in rows], values.dtype)
    return chosen


def _named(classes: list[str]) -> str:
    return ", ".join(classes[:_LONGEST]) + (", …" if len(classes) > _LONGEST else "")
