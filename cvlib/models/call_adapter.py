"""The one place that replaces what a Keras layer does when it is called.

Keras (3.15) offers no other way for two things that we need. In `fit` a functional model gives every layer the outer
`training` argument, whatever argument the layer was given when the model was built, so that Dropout in a frozen base
stays random (`trainable=False` silences BatchNorm alone). And BatchNorm composes its training step of a dozen single
operations. The replacement lives on the layer object: it is never saved, and the class stays Keras' own.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator
from typing import Any

import keras


def leaves(layer: keras.layers.Layer) -> Iterator[keras.layers.Layer]:
    """Yield the layer, or where it holds others the innermost ones and every one between."""
    yield from layer._flatten_layers()


def replace_call(layer: keras.layers.Layer, call: Callable[..., Any]) -> None:
    """Let `layer` be computed by `call(original, inputs, …)`, where `original` is what it did before."""
    layer.call = functools.partial(call, layer.call)


def run_in_inference(layer: keras.layers.Layer, frozen: bool) -> None:
    """Let the layer and all in it work as in inference while `frozen`, whatever `training` says.

    The network must be compiled again after this, or the change has no effect.
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
