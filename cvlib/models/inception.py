"""InceptionV3 with its auxiliary classifier: Szegedy et al., Rethinking the Inception Architecture, CVPR 2016."""

from __future__ import annotations

import keras
from keras import KerasTensor, layers

from cvlib.config.schema import ModelConfig
from cvlib.models.preprocessing import image_input, pooled_head, to_rgb

_TAP = "mixed7"  # the last of the 768-channel blocks, 17×17 at 299 px
_PAPERS_SIDE = 17


def build(config: ModelConfig, input_shape: tuple[int, int, int], outputs: int) -> keras.Model:
    """Raw 0–255 pixels `(batch, height, width, 1 or 3)`, sides of 75 or more → logits `(batch, outputs)`.

    With `config.auxiliary_weight` above 0 the output is `{"logits": …, "auxiliary": …}`: the auxiliary classifier
    counts in training only.
    """
    image = image_input(input_shape)
    features, tap = backbone(config, (*input_shape[:2], 3))(preprocess(image))
    logits = pooled_head(features, config.dropout, outputs)
    if not config.auxiliary_weight:
        return keras.Model(image, logits, name="inception")
    return keras.Model(image, {"logits": logits, "auxiliary": _auxiliary_head(tap, outputs)}, name="inception")


def preprocess(image: KerasTensor) -> KerasTensor:
    """Raw 0–255 pixels, grey or RGB → RGB from −1 to 1."""
    return layers.Rescaling(1 / 127.5, offset=-1, name="rescaling", dtype="float32")(to_rgb(image))


def backbone(config: ModelConfig, input_shape: tuple[int, int, int]) -> keras.Model:
    """Pixels from −1 to 1 → [features at stride 32, 2048 channels; the auxiliary tap, 768 channels]."""
    return _application(input_shape, None)


def levels(config: ModelConfig) -> list[str]:
    """The base's layers that are the last at their resolution, finest first: strides 2 to 32, sides without padding."""
    return ["activation3", "activation5", "mixed2", "mixed7", "mixed10"]


def imagenet_backbone(config: ModelConfig, input_shape: tuple[int, int, int]) -> keras.Model:
    """The same with ImageNet weights, downloaded where they aren't in Keras' cache."""
    return _application(input_shape, "imagenet")


def _application(input_shape: tuple[int, int, int], weights: str | None) -> keras.Model:
    """Keras counts the names of Inception's layers per process; here each is named by its own network's count."""
    counted = keras.applications.InceptionV3(include_top=False, weights=weights, input_shape=input_shape)
    seen: dict[str, int] = {}

    def renamed(layer: keras.layers.Layer) -> keras.layers.Layer:
        if layer.name.startswith("mixed"):
            return layer.__class__.from_config(layer.get_config())
        kind = layer.__class__.__name__.lower()
        seen[kind] = seen.get(kind, 0) + 1
        return layer.__class__.from_config({**layer.get_config(), "name": f"{kind}{seen[kind]}"})

    network = keras.models.clone_model(counted, clone_function=renamed)
    network.set_weights(counted.get_weights())
    return keras.Model(network.inputs, [network.output, network.get_layer(_TAP).output], name="backbone")


def _auxiliary_head(tap: KerasTensor, outputs: int) -> KerasTensor:
    """The paper's (pool 5×5 by 3, conv 1×1 of 128, conv 5×5 of 768) where it fits, else global average pooling."""
    if min(tap.shape[1:3]) < _PAPERS_SIDE:
        x = layers.GlobalAveragePooling2D(name="auxiliary_pooled")(tap)
    else:
        x = layers.AveragePooling2D(5, 3, name="auxiliary_pool")(tap)
        x = _convolution(x, 128, 1, "auxiliary_conv1")
        x = _convolution(x, 768, 5, "auxiliary_conv2")
        x = layers.GlobalAveragePooling2D(name="auxiliary_pooled")(x)
    return layers.Dense(outputs, dtype="float32", name="auxiliary")(x)


def _convolution(x: KerasTensor, filters: int, kernel: int, name: str) -> KerasTensor:
    x = layers.Conv2D(filters, kernel, use_bias=False, name=name)(x)
    x = layers.BatchNormalization(scale=False, name=f"{name}_bn")(x)
    return layers.ReLU(name=f"{name}_relu")(x)
