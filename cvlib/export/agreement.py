"""Comparison of an exported network's predictions with those of Keras."""

from __future__ import annotations

from collections.abc import Sequence

import keras
import numpy as np

from cvlib.export.runtimes import Predict
from cvlib.export.writers import named
from cvlib.tasks.agreement import Agreement, Outputs
from cvlib.tasks.base import Task


def compare(task: Task, model: keras.Model, predict: Predict, pictures: Sequence[np.ndarray]) -> Agreement:
    """Compare the predictions for each image (height, width, channels) with `task.agreement`, and sum the results.

    A NaN makes the difference NaN and never counts as agreement.
    """
    total = Agreement()
    for picture in pictures:
        total += task.agreement(*outputs_of_both(model, predict, picture), side=max(picture.shape[:2]))
    return total


def outputs_of_both(model: keras.Model, predict: Predict, picture: np.ndarray) -> tuple[Outputs, Outputs]:
    """Return the outputs of Keras and of the exported file, by name."""
    image = picture[np.newaxis].astype(np.float32)
    outputs = named(model, model(image, training=False))
    expected = {name: keras.ops.convert_to_numpy(outputs[name]) for name in sorted(outputs)}
    return expected, dict(zip(expected, predict(image), strict=True))
