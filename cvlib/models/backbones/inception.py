"""InceptionV3 with its auxiliary classifier: Szegedy et al., Rethinking the Inception Architecture, CVPR 2016."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cvlib.config.fields import Options, option
from cvlib.models.backbone import Backbone, Block, Level, WeightSource

if TYPE_CHECKING:
    import keras
    from keras import KerasTensor

_TAP = "mixed7"  # the last of the 768-channel blocks, 17×17 at 299 px
_PAPER_SIDE = 17  # side of this map in the paper


@dataclass
class InceptionOptions(Options):
    """The options of InceptionV3."""

    auxiliary_weight: float = option(0.3, low=0, high=10, classifier_only=True)  # 0: no auxiliary classifier


def preprocess(image: KerasTensor) -> KerasTensor:
    """Convert grey or RGB to RGB from −1 to 1."""
    from cvlib.models.preprocessing import to_rgb, to_symmetric_range

    return to_symmetric_range(to_rgb(image))


def application(input_shape: tuple[int, int, int], weights: str | None) -> keras.Model:
    """Return Keras' network without its top, with layer names that are numbered from 1.

    Keras itself numbers the layers of all Inception networks in a process consecutively.
    """
    import keras

    original = keras.applications.InceptionV3(include_top=False, weights=weights, input_shape=input_shape)
    seen: dict[str, int] = {}

    def renamed(layer: keras.layers.Layer) -> keras.layers.Layer:
        if layer.name.startswith("mixed"):
            return layer.__class__.from_config(layer.get_config())
        kind = layer.__class__.__name__.lower()
        seen[kind] = seen.get(kind, 0) + 1
        return layer.__class__.from_config({**layer.get_config(), "name": f"{kind}{seen[kind]}"})

    network = keras.models.clone_model(original, clone_function=renamed)
    network.set_weights(original.get_weights())
    return keras.Model(network.inputs[0], network.output, name="backbone")


class Inception(Backbone):
    """Pixels −1–1 → the map at stride 32, 2048 channels."""

    name = "inception"
    options = InceptionOptions
    channels = 3
    sources = (WeightSource("imagenet", lambda options, shape: application(shape, "imagenet"), preprocess),)

    def smallest_side(self, options: InceptionOptions, feature_levels: bool) -> int:
        """Return 75: the convolutions without padding leave nothing of smaller images."""
        return 75

    def build(self, options: InceptionOptions, input_shape: tuple[int, int, int], feature_levels: bool) -> keras.Model:
        """Build with random weights, as Keras initializes them."""
        return application(input_shape, None)

    def feature_levels(self, options: InceptionOptions) -> list[Level]:
        """Return the last map before each reduction, at strides 2 to 32.

        Without padding, the sides are slightly smaller than the image divided by the stride.
        """
        named = (("activation3", 64), ("activation5", 192), ("mixed2", 288), ("mixed7", 768), ("mixed10", 2048))
        return [Level(name, 2 ** (index + 1), channels) for index, (name, channels) in enumerate(named)]

    def blocks(self, base: keras.Model) -> list[Block]:
        """Return the stem and the modules, each named after the layer that ends it: activation5, mixed0 … mixed10."""
        found: list[Block] = []
        layers: list[keras.layers.Layer] = []
        for layer in base.layers:
            layers += [layer] if layer.count_params() else []
            if layers and re.fullmatch(r"activation5|mixed\d+", layer.name):
                found.append(Block(layer.name, layers))
                layers = []
        return [*found, Block("rest", layers)] if layers else found

    def auxiliary(self, options: InceptionOptions) -> tuple[str, float] | None:
        """Return the map half-way through the network. Its classifier is used only in training."""
        return (_TAP, options.auxiliary_weight) if options.auxiliary_weight else None

    def auxiliary_head(self, tap: KerasTensor, classes: int) -> tuple[KerasTensor, KerasTensor]:
        """Add the paper's classifier, or only pooling and a dense layer if the map is too small for it.

        The paper's classifier has a 5×5 pooling with stride 3, a 1×1 convolution with 128 channels and a 5×5
        convolution with 768.
        """
        from keras import layers

        if min(tap.shape[1:3]) < _PAPER_SIDE:
            x = cut = layers.GlobalAveragePooling2D(name="auxiliary_pooled")(tap)
        else:
            cut = layers.AveragePooling2D(5, 3, name="auxiliary_pool")(tap)
            x = _convolution(cut, 128, 1, "auxiliary_conv1")
            x = _convolution(x, 768, 5, "auxiliary_conv2")
            x = layers.GlobalAveragePooling2D(name="auxiliary_pooled")(x)
        return layers.Dense(classes, dtype="float32", name="auxiliary")(x), cut


def _convolution(x: KerasTensor, filters: int, kernel: int, name: str) -> KerasTensor:
    from keras import layers

    x = layers.Conv2D(filters, kernel, use_bias=False, name=name)(x)
    x = layers.BatchNormalization(scale=False, name=f"{name}_bn")(x)
    return layers.ReLU(name=f"{name}_relu")(x)


BACKBONE = Inception()
