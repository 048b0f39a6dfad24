"""Backbones whose graph `keras.applications` builds. Doesn't import Keras.

Keras numbers layers without a name per process: `conv2d_4` in one network is `conv2d_8` in the next. `build` gives
these layers names that are the same in every network, because checkpoints, feature levels and blocks use names.
"""

from __future__ import annotations

import functools
import re
import warnings
from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from cvlib.models.backbone import Backbone, WeightSource

if TYPE_CHECKING:
    import keras
    from keras import KerasTensor

Shape = tuple[int, int, int]
_PUBLISHED_SHAPE = (224, 224, 3)  # Keras selects the file of MobileNet's weights by the size of the image


@dataclass(frozen=True)
class Application:
    """A network of `keras.applications`.

    Attributes:
        function: the function's name, such as EfficientNetB0.
        arguments: further arguments of the function.
        first: the first layer that is kept. The layers before it are Keras' preprocessing. None: all layers.
    """

    function: str
    arguments: dict[str, Any] = field(default_factory=dict)
    first: str | None = None


class ApplicationBackbone(Backbone):
    """A backbone from `keras.applications`. A subclass declares the network, its feature levels and its weights."""

    channels = 3

    @abstractmethod
    def application(self, options: Any, feature_levels: bool) -> Application:
        """Return the network to build for a classifier or, with `feature_levels`, for a detector or segmenter."""

    def smallest_side(self, options: Any, feature_levels: bool) -> int:
        """Return 32, which is one pixel after halving five times."""
        return 32

    def build(self, options: Any, input_shape: Shape, feature_levels: bool) -> keras.Model:
        """Build with random weights, as Keras initializes them."""
        return build(self.application(options, feature_levels), input_shape)


def imagenet(application: Callable[[Any], Application],
             preprocess: Callable[[KerasTensor], KerasTensor]) -> tuple[WeightSource, ...]:  # fmt: skip
    """Return Keras' ImageNet weights as the only source; `application` returns the network for the options.

    The source raises what Keras raises if the download fails.
    """

    def load(options: Any, input_shape: Shape) -> keras.Model:
        return build(application(options), _PUBLISHED_SHAPE, "imagenet")

    return (WeightSource("imagenet", load, preprocess),)


def torch_mode(image: KerasTensor) -> KerasTensor:
    """Return RGB minus ImageNet's mean, divided by its standard deviation."""
    from cvlib.models.preprocessing import torch_preprocessing

    return torch_preprocessing(image)


def tf_mode(image: KerasTensor) -> KerasTensor:
    """Return RGB from −1 to 1."""
    from cvlib.models.preprocessing import to_rgb, to_symmetric_range

    return to_symmetric_range(to_rgb(image))


def inside_mode(image: KerasTensor) -> KerasTensor:
    """Return RGB from 0 to 255, for a network that contains its preprocessing."""
    from cvlib.models.preprocessing import to_rgb

    return to_rgb(image)


def build(application: Application, input_shape: Shape, weights: str | None = None) -> keras.Model:
    """Return the network without its top: preprocessed pixels `input_shape` → features.

    Args:
        application: the network.
        input_shape: height, width and channels.
        weights: None for random weights, or imagenet, which only fits 3 channels.
    """
    import keras

    function = getattr(keras.applications, application.function)
    arguments = {"include_top": False, "input_shape": input_shape, **application.arguments}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Keras warns of other numbers of channels than 1 and 3
        original = function(weights=weights, **arguments)
    if application.first is not None:
        original = keras.Model(original.get_layer(application.first).input, original.output)
    network = _renamed(original)
    if weights is not None:
        network.set_weights(original.get_weights())
    return network


def _renamed(original: keras.Model) -> keras.Model:
    """Return a copy with new weights in which every layer has a name that doesn't depend on the process.

    A layer without a name is called after the named layer before it. Sums of maps become layers, so that they can be
    feature levels. Preprocessing computes in float32.
    """
    import keras
    from keras import layers

    taken: set[str] = set()
    latest = ""

    def unique(kind: str) -> str:
        start = f"{latest}_{kind}".strip("_")
        name, number = start, 2
        while name in taken:
            name, number = f"{start}{number}", number + 1
        taken.add(name)
        return name

    def copied(operation: Any) -> Any:
        nonlocal latest
        kind = _snake_case(type(operation).__name__)
        if not isinstance(operation, layers.Layer):
            adds_maps = kind == "add" and len(operation._inbound_nodes[0].input_tensors) == 2
            return layers.Add(name=unique(kind)) if adds_maps else operation.from_config(operation.get_config())
        config = operation.get_config()
        if re.fullmatch(rf"{kind}(_\d+)?", operation.name):
            config["name"] = unique(kind)
        else:
            latest = operation.name
        if isinstance(operation, layers.Rescaling | layers.Normalization):
            config["dtype"] = "float32"
        layer = operation.from_config(config)
        if kind == "layer_scale":  # Keras numbers its only variable per process as well
            layer.add_weight = functools.partial(layer.add_weight, name="gamma")
        return layer

    def called(operation: Any, *arguments: Any, **keywords: Any) -> Any:
        summed = isinstance(operation, layers.Add) and len(arguments) == 2
        return operation(list(arguments), **keywords) if summed else operation(*arguments, **keywords)

    pixels = keras.Input(original.input_shape[1:], name="pixels")
    network = keras.models.clone_model(original, input_tensors=pixels, clone_function=copied, call_function=called)
    return keras.Model(pixels, network.output, name="backbone")


def _snake_case(name: str) -> str:
    """Return a class's name as Keras writes it in the names of layers: ReLU → re_lu, Conv2D → conv2d."""
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", name)).lower()
