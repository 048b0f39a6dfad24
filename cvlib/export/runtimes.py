"""Functions that run a stored network in its own runtime. Each imports only its runtime."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

# images (batch, height, width, channels), float32 → the outputs, sorted by name
Predict = Callable[[np.ndarray], list[np.ndarray]]
TENSORFLOW = ("keras", "saved_model")  # the formats that TensorFlow runs


def reader(path: Path, form: str, threads: int | None = None) -> Predict:
    """Return a function that runs a file in a format of `forms` and returns the outputs sorted by name.

    `threads` is the number of threads of ONNX and LiteRT; None for their default. TensorFlow, which runs the other
    formats, has one number of threads for the whole process; see `set_threads`.
    """
    if form == "onnx":
        return _onnx(path, threads)
    if form.startswith("litert"):
        return _litert(path, threads)
    return _saved_model(path) if form == "saved_model" else _keras(path)


def set_threads(threads: int) -> None:
    """Set TensorFlow's number of threads; call it before TensorFlow computes anything."""
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(threads)


def _keras(path: Path) -> Predict:
    """Open a run's own model.keras, which `cvlib.models.restore` has checked for foreign code before."""
    import keras

    from cvlib.export.writers import named

    model = keras.saving.load_model(path, compile=False)

    def predict(image: np.ndarray) -> list[np.ndarray]:
        outputs = named(model, model.predict_on_batch(image))
        return [np.asarray(value) for _, value in sorted(outputs.items())]

    return predict


def _saved_model(path: Path) -> Predict:
    import tensorflow as tf

    loaded = tf.saved_model.load(str(path))

    def predict(image: np.ndarray) -> list[np.ndarray]:
        outputs = loaded.signatures["serving_default"](tf.constant(image))
        return [value.numpy() for _, value in sorted(outputs.items())]

    return predict


def _onnx(path: Path, threads: int | None) -> Predict:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads or 0
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    names = sorted(output.name for output in session.get_outputs())

    def predict(image: np.ndarray) -> list[np.ndarray]:
        return list(session.run(names, {session.get_inputs()[0].name: image}))

    return predict


def _litert(path: Path, threads: int | None) -> Predict:
    from ai_edge_litert.interpreter import Interpreter

    runner = Interpreter(str(path), num_threads=threads).get_signature_runner("serving_default")
    details = runner.get_input_details()["image"]
    takes_batches = details["shape_signature"][0] < 0  # the int8 format takes a single image

    def predict(image: np.ndarray) -> list[np.ndarray]:
        pixels = image.astype(details["dtype"])
        batches = [pixels] if takes_batches else np.split(pixels, len(pixels))
        found = [[value for _, value in sorted(runner(image=batch).items())] for batch in batches]
        return [np.concatenate(parts) for parts in zip(*found, strict=True)]

    return predict
