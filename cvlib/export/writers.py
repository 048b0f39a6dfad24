"""Writers for the three export formats; each export contains the labels and is written atomically."""

from __future__ import annotations

import json
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

from cvlib.export import onnx_operations
from cvlib.export.resizing import resize
from cvlib.inspection import graph
from cvlib.models.pixel_range import scaled_layer
from cvlib.runtime.files import replacing

_OPSET = 17


def write_saved_model(model: keras.Model, path: Path, labels: dict[str, Any]) -> None:
    """Write a folder for `tf.saved_model.load` and TensorFlow Serving, with labels.json in `assets.extra`."""

    def serve(image: Any) -> dict[str, Any]:
        return named(model, model(image, training=False))

    archive = keras.export.ExportArchive()  # also tracks Keras' internal state, such as Dropout's random state
    archive.track(model)
    archive.add_endpoint("serving_default", serve, [_image(model)])
    with replacing(path) as partial:
        archive.write_out(str(partial), verbose=False)
        (partial / "assets.extra").mkdir()
        (partial / "assets.extra" / "labels.json").write_text(json.dumps(labels, ensure_ascii=False, indent=2))


def write_onnx(model: keras.Model, path: Path, labels: dict[str, Any]) -> None:
    """Write an ONNX file with the labels as JSON in its metadata, under "labels"."""
    import onnx
    import tf2onnx

    onnx_operations.register()
    _, function = _frozen(model, _with_matrix_resizing(model))
    proto, _ = tf2onnx.convert.from_function(function, [_image(model)], opset=_OPSET)
    onnx.helper.set_model_props(proto, {"labels": json.dumps(labels, ensure_ascii=False)})
    onnx.checker.check_model(proto)
    with replacing(path) as partial:
        partial.write_bytes(proto.SerializeToString())


def write_litert(model: keras.Model, path: Path, labels: dict[str, Any], calibration: list[np.ndarray] | None) -> None:
    """Write a LiteRT (.tflite) file that is also a zip archive with labels.json, as is usual for LiteRT metadata.

    If `calibration` images (height, width, channels) are given, weights and activations are int8, and the network
    takes uint8 images of its own size.
    """
    function = _with_matrix_resizing(model) if calibration is None else _without_resizing(model)
    with tempfile.TemporaryDirectory() as folder:
        module, serve = _frozen(model, function)
        # The gradient of swish can't be saved, and inference needs none.
        options = tf.saved_model.SaveOptions(experimental_custom_gradients=False)
        tf.saved_model.save(module, folder, signatures={"serving_default": serve}, options=options)
        content = _converted(tf.lite.TFLiteConverter.from_saved_model(folder), model, calibration)
    with replacing(path) as partial:
        partial.write_bytes(content)
        with zipfile.ZipFile(partial, "a") as archive:
            archive.writestr("labels.json", json.dumps(labels, ensure_ascii=False, indent=2))


def _frozen(model: keras.Model, function: Any) -> tuple[tf.Module, Any]:
    """Return a module and its signature. Weights are constants, because LiteRT (TensorFlow 2.21) loses variables."""
    constant = convert_variables_to_constants_v2(function.get_concrete_function())

    @tf.function(input_signature=function.input_signature)
    def serve(image: Any) -> dict[str, Any]:
        return dict(zip(sorted(output_names(model)), constant(image), strict=True))

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


def named(model: keras.Model, outputs: Any) -> dict[str, Any]:
    """Return the model's outputs by name."""
    return dict(zip(output_names(model), keras.tree.flatten(outputs), strict=True))


def output_names(model: keras.Model) -> list[str]:
    """Return the output names in the order of `model.outputs`."""
    if not isinstance(model.output, dict):
        return list(model.output_names)
    names: list[str] = keras.tree.flatten({name: name for name in model.output})
    return names


def _image(model: keras.Model) -> Any:
    return tf.TensorSpec((None, *model.inputs[0].shape[1:]), tf.float32, name="image")


def _without_resizing(model: keras.Model) -> Any:
    """Return the network without its resizing, for one image of the network's own size."""
    first = graph.entry(model)
    assert first is not None

    @tf.function(input_signature=[tf.TensorSpec((1, *graph.shape_of(first)), tf.float32, name="image")])
    def function(image: Any) -> dict[str, Any]:
        return named(model, graph.predict(model, image, {first.name: image}))

    return function


def _with_matrix_resizing(model: keras.Model) -> Any:
    """Return the whole network, with resizing implemented as matrix products."""
    resizing = model.get_layer("resizing")
    size, letterbox = (resizing.height, resizing.width), resizing.pad_to_aspect_ratio
    scaled = scaled_layer(model)

    @tf.function(input_signature=[_image(model)])
    def function(image: Any) -> dict[str, Any]:
        pixels = image if scaled is None else graph.activations(model, image, [scaled])[scaled]
        return named(model, graph.predict(model, image, {"resizing": resize(pixels, size, letterbox)}))

    return function
