"""A run's network for other runtimes: SavedModel, ONNX, LiteRT; its preprocessing and labels inside, checked.

Each takes raw images, 0–255, of any size, and resizes them itself as Keras does: bilinear with antialiasing, written
as two matrix products, for neither ONNX nor LiteRT has that kind of resizing. Only the int8 form wants images of the
network's own size, in uint8.
"""

from __future__ import annotations

import json
import shutil
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

from cvlib import saved
from cvlib.data.dataset import Split
from cvlib.data.images import read_image
from cvlib.errors import UserError
from cvlib.inspection import graph
from cvlib.saved import Run

Predict = Callable[[np.ndarray], list[np.ndarray]]  # image (1, height, width, channels), 0–255 → the outputs

_NAMES = {"saved_model": "saved_model", "onnx": "model.onnx", "litert": "model.tflite"}
# A pixel that resizing leaves on a half can be rounded the other way; it moves a probability by about 1e-4.
_TOLERANCE, _TOLERANCE_INT8 = 1e-3, 0.25
_CALIBRATION = 128  # training images that fix the ranges of 8-bit numbers
_OPSET = 17


def export(run: Run, form: str, int8: bool, output: Path | None, images: int, tolerance: float | None,
           say: Callable[[str], None]) -> int:  # fmt: skip
    """Write the run's network as `form`, compare it with Keras on test images; return 0, or 1 above the tolerance.

    Raises `UserError` for what can't be written or has no data to be compared on.
    """
    require(form)
    path = output or run.folder / "export" / ("model_int8.tflite" if int8 else _NAMES[form])
    model, dataset = saved.network(run), saved.dataset(run)
    labels = saved.labels(run)
    if form == "saved_model":
        write_saved_model(model, path, labels)
    elif form == "onnx":
        write_onnx(model, path, labels)
    else:
        write_litert(model, path, labels, _some(dataset.train, _CALIBRATION, dataset.channels) if int8 else None)
    pictures = _some(dataset.test, images, dataset.channels)
    bound = tolerance if tolerance is not None else _TOLERANCE_INT8 if int8 else _TOLERANCE
    say(f"written: {path} ({_size(path) / 2**20:.1f} MiB)")
    read = reader(path, form)
    predict = (lambda image: read(graph.as_seen(model, image))) if int8 else read
    difference, agreeing = compare(model, predict, pictures)
    within = difference <= bound  # a NaN isn't
    say(f"compared with Keras on {len(pictures)} test images of {dataset.name}: largest difference {difference:.2g}, "
        f"{'within' if within else 'ABOVE'} {bound:g}; the same answer for {agreeing} of {len(pictures)}")  # fmt: skip
    return 0 if within else 1


def compare(model: keras.Model, predict: Predict, pictures: list[np.ndarray]) -> tuple[float, int]:
    """The largest difference to Keras in any output, and for how many images (height, width, channels) all agree.

    Outputs agree where their largest value stands at the same place.
    """
    difference, agreeing = 0.0, 0
    for picture in pictures:
        image = picture[np.newaxis].astype(np.float32)
        named = sorted(_named(model, model(image, training=False)).items())
        expected = [keras.ops.convert_to_numpy(value) for _, value in named]
        pairs = list(zip(expected, predict(image), strict=True))
        # np.max, unlike Python's, hands a NaN on.
        difference = float(np.max([difference, *(np.abs(one - other).max() for one, other in pairs)]))
        agreeing += all(np.isfinite(other).all() and np.array_equal(one.argmax(-1), other.argmax(-1))
                        for one, other in pairs)  # fmt: skip
    return difference, agreeing


def require(form: str) -> None:
    """Raise `UserError` where the packages that a format needs are missing."""
    wanted = {"onnx": ("onnx", "tf2onnx", "onnxruntime"), "litert": ("ai_edge_litert",)}.get(form, ())
    from importlib.util import find_spec

    missing = [name for name in wanted if find_spec(name) is None]
    if missing:
        raise UserError(f"--format {form} needs {', '.join(missing)}: pip install 'cvlib-experiments[export]'")


def write_saved_model(model: keras.Model, path: Path, labels: dict[str, Any]) -> None:
    """A folder for `tf.saved_model.load` and TensorFlow Serving, with labels.json in `assets.extra`."""

    def serve(image: Any) -> dict[str, Any]:
        return _named(model, model(image, training=False))

    archive = keras.export.ExportArchive()  # tracks what Keras keeps to itself: the random state of Dropout
    archive.track(model)
    archive.add_endpoint("serving_default", serve, [_image(model)])
    with _replacing(path) as partial:
        archive.write_out(str(partial), verbose=False)
        (partial / "assets.extra").mkdir()
        (partial / "assets.extra" / "labels.json").write_text(json.dumps(labels, ensure_ascii=False, indent=2))


def write_onnx(model: keras.Model, path: Path, labels: dict[str, Any]) -> None:
    """An ONNX file; the labels are JSON in its metadata under "labels"."""
    import onnx
    import tf2onnx

    _, function = _frozen(model, _resizing_by_products(model))
    proto, _ = tf2onnx.convert.from_function(function, [_image(model)], opset=_OPSET)
    onnx.helper.set_model_props(proto, {"labels": json.dumps(labels, ensure_ascii=False)})
    onnx.checker.check_model(proto)
    with _replacing(path) as partial:
        partial.write_bytes(proto.SerializeToString())


def write_litert(model: keras.Model, path: Path, labels: dict[str, Any], calibration: list[np.ndarray] | None) -> None:
    """A LiteRT (.tflite) file; it is also a zip archive that holds labels.json, as LiteRT's metadata are.

    With `calibration`, images (height, width, channels), weights and activations are int8, and the image that it takes
    is uint8 of the network's own size.
    """
    function = _resizing_by_products(model) if calibration is None else _after_resizing(model)
    with tempfile.TemporaryDirectory() as folder:
        module, serve = _frozen(model, function)
        tf.saved_model.save(module, folder, signatures={"serving_default": serve})
        content = _converted(tf.lite.TFLiteConverter.from_saved_model(folder), model, calibration)
    with _replacing(path) as partial:
        partial.write_bytes(content)
        with zipfile.ZipFile(partial, "a") as archive:
            archive.writestr("labels.json", json.dumps(labels, ensure_ascii=False, indent=2))


def _frozen(model: keras.Model, function: Any) -> tuple[tf.Module, Any]:
    """A module with the weights as constants, and its signature; as variables LiteRT (TensorFlow 2.21) loses them."""
    constant = convert_variables_to_constants_v2(function.get_concrete_function())

    @tf.function(input_signature=function.input_signature)
    def serve(image: Any) -> dict[str, Any]:
        return dict(zip(sorted(_output_names(model)), constant(image), strict=True))

    module = tf.Module()
    module.serve = serve
    return module, serve


def _converted(converter: Any, model: keras.Model, calibration: list[np.ndarray] | None) -> bytes:
    if calibration is not None:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = lambda: ([graph.as_seen(model, image[np.newaxis])] for image in calibration)
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = tf.uint8
    content: bytes = converter.convert()
    return content


def reader(path: Path, form: str) -> Predict:
    """What runs an exported file in its own runtime, and gives the outputs in the order of their names."""
    return {"saved_model": _saved_model, "onnx": _onnx, "litert": _litert}[form](path)


def _saved_model(path: Path) -> Predict:
    loaded = tf.saved_model.load(str(path))

    def predict(image: np.ndarray) -> list[np.ndarray]:
        found = loaded.signatures["serving_default"](tf.constant(image))
        return [value.numpy() for _, value in sorted(found.items())]

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
    wanted = runner.get_input_details()["image"]["dtype"]

    def predict(image: np.ndarray) -> list[np.ndarray]:
        return [value for _, value in sorted(runner(image=image.astype(wanted)).items())]

    return predict


def _named(model: keras.Model, outputs: Any) -> dict[str, Any]:
    return dict(zip(_output_names(model), keras.tree.flatten(outputs), strict=True))


def _output_names(model: keras.Model) -> list[str]:
    """The outputs' names in the order of `model.outputs`."""
    if not isinstance(model.output, dict):
        return list(model.output_names)
    names: list[str] = keras.tree.flatten({name: name for name in model.output})
    return names


def _image(model: keras.Model) -> Any:
    return tf.TensorSpec((None, None, None, model.inputs[0].shape[-1]), tf.float32, name="image")


def _after_resizing(model: keras.Model) -> Any:
    """The network from its own input size on, for one image."""
    first = graph.entry(model)
    assert first is not None

    @tf.function(input_signature=[tf.TensorSpec((1, *graph.shape_of(first)), tf.float32, name="image")])
    def function(image: Any) -> dict[str, Any]:
        return _named(model, graph.predict(model, image, {first.name: image}))

    return function


def _resizing_by_products(model: keras.Model) -> Any:
    """The whole network, with its resizing written as matrix products."""
    resizing = model.get_layer("resizing")
    size, letterbox = (resizing.height, resizing.width), resizing.pad_to_aspect_ratio

    @tf.function(input_signature=[_image(model)])
    def function(image: Any) -> dict[str, Any]:
        return _named(model, graph.predict(model, image, {"resizing": resize(image, size, letterbox)}))

    return function


def resize(image: Any, size: tuple[int, int], letterbox: bool = False) -> Any:
    """Bilinear resizing with antialiasing of (batch, height, width, channels) to `size`, in products of matrices.

    With `letterbox` the whole image lies in the middle, in its own shape, on black.
    """
    batch, height, width, channels = tf.unstack(tf.shape(image))
    above = beside = 0
    if letterbox:
        above = _margin(height, tf.cast(tf.cast(width * size[0], tf.float32) / size[1], tf.int32))
        beside = _margin(width, tf.cast(tf.cast(height * size[1], tf.float32) / size[0], tf.int32))
    rows = tf.matmul(_weights(height, above, size[0]), tf.reshape(image, (batch, height, width * channels)))
    return tf.matmul(_weights(width, beside, size[1]), tf.reshape(rows, (batch, size[0], width, image.shape[-1])))


def _margin(side: Any, wanted: Any) -> Any:
    return tf.maximum(wanted - side, 0) // 2


def _weights(pixels: Any, margin: Any, leaving: int) -> Any:
    """How much each pixel, with a black margin before and behind, counts in each of `leaving`: a triangle's share."""
    entering = pixels + 2 * margin
    ratio = tf.cast(entering, tf.float32) / leaving
    centres = (tf.range(leaving, dtype=tf.float32) + 0.5) * ratio
    places = tf.cast(tf.range(entering), tf.float32) + 0.5
    weights = tf.maximum(0.0, 1 - tf.abs(places[tf.newaxis] - centres[:, tf.newaxis]) / tf.maximum(ratio, 1.0))
    weights /= tf.reduce_sum(weights, axis=1, keepdims=True)
    return weights[:, margin : margin + pixels]


def _some(split: Split, count: int, channels: int) -> list[np.ndarray]:
    """Images evenly over a split, uint8 (height, width, channels)."""
    chosen = np.unique(np.linspace(0, len(split) - 1, min(count, len(split))).astype(int))
    found = [split.images[int(index)] for index in chosen]
    return [read_image(image, channels) if isinstance(image, Path) else image for image in found]


class _replacing:  # noqa: N801
    """A temporary path beside `path` that takes its name when all went well."""

    def __init__(self, path: Path):
        self.path = path

    def __enter__(self) -> Path:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.folder = Path(tempfile.mkdtemp(prefix=".partial-", dir=self.path.parent))
        return self.folder / self.path.name

    def __exit__(self, kind: Any, *_: object) -> None:
        try:
            if kind is None:
                if self.path.is_dir():
                    shutil.rmtree(self.path)
                (self.folder / self.path.name).replace(self.path)
        finally:
            shutil.rmtree(self.folder, ignore_errors=True)


def _size(path: Path) -> int:
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files if file.is_file())
