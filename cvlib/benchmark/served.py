"""A network in another runtime, evaluated with the code that evaluates the run's own network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np

from cvlib.data import depth
from cvlib.data.depth import Range
from cvlib.export.runtimes import Predict
from cvlib.tasks.base import Task


class Served:
    """A `Predictor` for `Task.evaluate` that runs a stored network.

    Args:
        predict: runs the stored network.
        names: the names of its outputs, sorted.
        task: converts the outputs into those of a trained network.
        decision: the content of labels.json, which the stored network includes.
        span: the range of values that the stored network takes; None for 0–255.
    """

    def __init__(
        self, predict: Predict, names: Sequence[str], task: Task, decision: Mapping[str, Any], span: Range | None
    ):  # fmt: skip
        self._predict, self._names, self._task, self._decision = predict, names, task, decision
        self._span = span

    def predict(self, dataset: Any, verbose: int = 0) -> Any:
        """Return the outputs for all images of a feed's dataset."""
        batches = [self.predict_on_batch(np.asarray(images)) for images, _ in dataset]
        return keras.tree.map_structure(lambda *parts: np.concatenate(parts), *batches)

    def predict_on_batch(self, images: Any) -> Any:
        """Return the outputs for images `(batch, height, width, channels)`, 0–255, of the network's size."""
        outputs = self._predict(as_values(np.asarray(images), self._span))
        return self._task.as_validated(dict(zip(self._names, outputs, strict=True)), self._decision)


def as_values(images: np.ndarray, span: Range | None) -> np.ndarray:
    """Return images, 0–255, as a stored network takes them: float32, and in the range of the files if it has one."""
    return images.astype(np.float32) if span is None else depth.unscaled(images, span)
