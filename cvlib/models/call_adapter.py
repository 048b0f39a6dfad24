"""Replacement of the `call` method of Keras layers. No other module replaces it.

Keras (3.15) has no other solution for two problems. First, in `fit` a functional model passes the outer `training`
argument to every layer, even if the layer got another one when the model was built. Dropout in a frozen base therefore
stays random; `trainable=False` switches only BatchNorm to inference. Second, BatchNorm composes its training step from
a dozen operations. The replacement is stored on the layer object, so it is never saved and Keras' class is unchanged.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator
from typing import Any

import keras


def leaves(layer: keras.layers.Layer) -> Iterator[keras.layers.Layer]:
    """Yield the layer and, recursively, all layers in it."""
    yield from layer._flatten_layers()


def replace_call(layer: keras.layers.Layer, call: Callable[..., Any]) -> None:
    """Make `layer` compute `call(original, inputs, …)`, where `original` is its previous `call` method."""
    layer.call = functools.partial(call, layer.call)


def run_in_inference(layer: keras.layers.Layer, frozen: bool) -> None:
    """Run the layer and all layers in it in inference mode if `frozen`, regardless of the `training` argument.

    The change has no effect until the network is compiled again.
    """
    for leaf in leaves(layer):
        original = leaf.__dict__.pop("_call_before_freezing", None)
        if original is not None:
            leaf.call = original
        if frozen and "training" in inspect.signature(leaf.call).parameters:
            object.__setattr__(leaf, "_call_before_freezing", leaf.call)
            leaf.call = functools.partial(_without_training, leaf.call)


def _without_training(call: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    kwargs["training"] = False
    return call(*args, **kwargs)
