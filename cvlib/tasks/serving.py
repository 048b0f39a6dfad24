"""Parts of saved networks: an input for raw images of any size, resizing, and averaging over mirror images."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np
from keras import ops

from cvlib.data.input_spec import InputSpec
from cvlib.tasks import temperature

_DIRECT = 8  # images; tracing takes about as long as so many direct calls with one image
_TRACED = 256  # images; freezing takes about as long as it saves with so many images of a segmenter
_LARGEST = 50_000_000  # parameters; for a while, freezing needs several times their memory

Call = Callable[[np.ndarray], Any]


@functools.lru_cache(maxsize=1)
def caller(model: keras.Model, size: tuple[int, int] | None = None) -> Call:
    """Return a function that calls a saved network with images `(batch, height, width, channels)`.

    It returns the outputs as arrays. After some images, TensorFlow traces the network once: for images of `size`, or of
    all sizes. `predict` would do so again for every size, and a direct call takes several times as long. After many
    images, TensorFlow also optimizes the graph, see `_frozen`. The function for the last network is kept.
    """
    seen, traced, frozen = 0, None, None
    traceable = keras.backend.backend() == "tensorflow"
    freezable = traceable and model.count_params() <= _LARGEST

    def call(images: np.ndarray) -> Any:
        nonlocal seen, traced, frozen
        seen += len(images)
        if traceable and seen > _DIRECT and traced is None:
            traced = _traced(model, size or (None, None))
        if freezable and seen > _TRACED and frozen is None:
            frozen = _frozen(traced)
        given = images.astype(np.float32)
        outputs = model(given, training=False) if traced is None else (frozen or traced)(given)
        return keras.tree.map_structure(ops.convert_to_numpy, outputs)

    return call


def _traced(model: keras.Model, size: tuple[int | None, int | None]) -> Any:
    """Return the network as TensorFlow's `ConcreteFunction`."""
    import tensorflow as tf

    signature = [tf.TensorSpec((None, *size, model.input_shape[-1]), tf.float32)]
    return tf.function(lambda images: model(images, training=False), signature).get_concrete_function()


def _frozen(traced: Any) -> Call:
    """Return a traced network with constants in place of variables.

    This lets TensorFlow join a convolution, its BatchNorm and its ReLU to one operation.
    """
    import tensorflow as tf
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    frozen = convert_variables_to_constants_v2(traced)
    return lambda images: tf.nest.pack_sequence_as(traced.structured_outputs, frozen(tf.constant(images)))


def raw_input(spec: InputSpec) -> tuple[keras.KerasTensor, keras.KerasTensor]:
    """Return an input for raw images, and the same images resized as in training.

    Returns:
        images `(batch, any, any, channels)`, 0–255, and the same images resized to `spec.size` and rounded to integers.
        If the spec has tiles, the input takes tiles of their size only, because a resized image would show objects at
        another scale than in training.
    """
    image = keras.Input((*sides(spec), spec.channels), name="image", dtype="float32")
    # By default, Keras' Resizing runs in training mode, and so does every layer after it.
    return image, ops.round(_resizing(spec)(image, training=False))


def sides(spec: InputSpec) -> tuple[int | None, int | None]:
    """Return the height and width that a saved network takes; None: any."""
    return spec.size if spec.tiled else (None, None)


def _resizing(spec: InputSpec) -> keras.layers.Layer:
    return keras.layers.Resizing(*spec.size, antialias=True, pad_to_aspect_ratio=spec.resize == "letterbox",
                                 name="resizing", dtype="float32")  # fmt: skip


def scaled(logits: keras.KerasTensor, decision: Mapping[str, Any] | None) -> keras.KerasTensor:
    """Return the logits divided by the decision's temperature; without one, the logits themselves."""
    found = temperature.of_decision(decision or {})
    return logits if found == 1 else keras.layers.Rescaling(1 / found, name=temperature.KEY, dtype="float32")(logits)


def flip_averaged(model: keras.Model, unflip: Callable[[Any], Any]) -> keras.Model:
    """Return a network whose logits correspond to the mean probability over an image and its mirror image.

    Args:
        model: a network, images of one size → logits `(…, classes)`.
        unflip: maps the mirror image's probabilities back to the original image's layout.
    """
    image = keras.Input(model.input_shape[1:], name="image", dtype="float32")
    mirrored = unflip(ops.softmax(model(ops.flip(image, axis=2))))
    mean = (ops.softmax(model(image)) + mirrored) / 2
    return keras.Model(image, ops.log(ops.maximum(mean, 1e-37)), name="flip_averaged")
