"""Functions that run exported files in their own runtimes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import tensorflow as tf

# image (1, height, width, channels), 0–255 → the outputs, sorted by name
Predict = Callable[[np.ndarray], list[np.ndarray]]


def reader(path: Path, form: str) -> Predict:
    """Return a function that runs an exported file in its own runtime and returns the outputs sorted by name."""
    return {"saved_model": _saved_model, "onnx": _onnx, "litert": _litert}[form](path)


def _saved_model(path: Path) -> Predict:
    loaded = tf.saved_model.load(str(path))

    def predict(image: np.ndarray) -> list[np.ndarray]:
        outputs = loaded.signatures["serving_default"](tf.constant(image))
        return [value.numpy() for _, value in sorted(outputs.items())]

    return predict


def _onnx(path: Path) -> Predict:
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    names = sorted(output.name for output in session.get_outputs())

    def predict(image: np.ndarray) -> list[np.ndarray]:
        return list(session.run(names, {session.get_inputs()[0].name: image}))

    return predict


def _litert(path: Path) -> Predict:
    from ai_edge_litert.interpreter import Interpreter

    runner = Interpreter(str(path)).get_signature_runner("serving_default")
    dtype = runner.get_input_details()["image"]["dtype"]

    def predict(image: np.ndarray) -> list[np.ndarray]:
        return [value for _, value in sorted(runner(image=image.astype(dtype)).items())]

    return predict
