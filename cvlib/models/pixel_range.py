"""The range of pixel values in a saved network.

Inside cvlib, pixels are 0–255. Images with more than 8 bits per channel are scaled to this range when they are read. A
saved network repeats the scaling, so that other programs can pass the values of their files unchanged.
"""

from __future__ import annotations

import keras

from cvlib.data.input_spec import InputSpec

_SCALED = "scaled_to_255"  # name of the layer that outputs pixels 0–255
_ROUNDED = "rounded_range"


def takes_file_values(model: keras.Model, spec: InputSpec) -> keras.Model:
    """Return the network with an input in `spec.span`, the range of the files; unchanged if there is no such range.

    The values are scaled to 0–255, rounded and clipped, as `cvlib.data.depth.scaled` does.
    """
    if spec.span is None:
        return model
    low, high = spec.span
    factor = 255 / (high - low)
    image = keras.Input(model.input_shape[1:], name="image", dtype="float32")
    scaled = keras.layers.Rescaling(factor, offset=-low * factor, name="range", dtype="float32")(image)
    rounded = keras.ops.round(scaled)
    rounded._keras_history.operation.name = _ROUNDED  # an automatic name may occur in the network, too
    pixels = keras.layers.ReLU(max_value=255.0, name=_SCALED, dtype="float32")(rounded)
    # `Function.call` puts the layers directly into the new graph; a call of the network would nest them.
    outputs = keras.Function(model.inputs, model.output).call([pixels])
    return keras.Model(image, outputs, name=model.name)


def takes_pixels(model: keras.Model) -> keras.Model:
    """Return a saved network with an input of 0–255: the reverse of `takes_file_values`."""
    scaled = scaled_layer(model)
    return model if scaled is None else keras.Model(model.get_layer(scaled).output, model.output, name=model.name)


def scaled_layer(model: keras.Model) -> str | None:
    """Return the name of the layer that outputs pixels 0–255 if the network takes values in the range of the files."""
    return _SCALED if any(layer.name == _SCALED for layer in model.layers) else None
