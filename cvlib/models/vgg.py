"""VGG16 and VGG19: Simonyan & Zisserman, Very Deep Convolutional Networks for Large-Scale Image Recognition, 2015.

The published dense layers are left out for global average pooling and a fresh head: the convolutions hold 14.7
of VGG16's 138 million parameters and take any image size.
"""

from __future__ import annotations

import keras
from keras import KerasTensor

from cvlib.config.schema import ModelConfig
from cvlib.models.preprocessing import caffe_preprocessing, image_input, pooled_head
from cvlib.runtime.errors import UserError

_DEPTHS = {16: keras.applications.VGG16, 19: keras.applications.VGG19}


def build(config: ModelConfig, input_shape: tuple[int, int, int], outputs: int) -> keras.Model:
    """Raw 0–255 pixels `(batch, height, width, 1 or 3)` → logits `(batch, outputs)`."""
    image = image_input(input_shape)
    features = backbone(config, (*input_shape[:2], 3))(preprocess(image))
    return keras.Model(image, pooled_head(features, config.dropout, outputs), name="vgg")


def preprocess(image: KerasTensor) -> KerasTensor:
    """Raw 0–255 pixels, grey or RGB → BGR minus ImageNet's mean."""
    return caffe_preprocessing(image)


def backbone(config: ModelConfig, input_shape: tuple[int, int, int]) -> keras.Model:
    """Preprocessed pixels → features at stride 32, 512 channels; random weights.

    He initialization instead of the published stages of pretraining: with Keras' own (Glorot) the signal fades
    over sixteen layers without normalization, and training from scratch stays at chance.
    """
    network = _application(config, input_shape, None)
    for layer in network.layers:
        if isinstance(layer, keras.layers.Conv2D):
            layer.kernel.assign(keras.initializers.HeNormal()(layer.kernel.shape))
    return network


def levels(config: ModelConfig) -> list[str]:
    """The base's layers that are the last at their resolution, finest first: strides 1 to 32."""
    last = (2, 2, 4, 4, 4) if config.depth == 19 else (2, 2, 3, 3, 3)
    return [f"block{block}_conv{number}" for block, number in enumerate(last, start=1)] + ["block5_pool"]


def imagenet_backbone(config: ModelConfig, input_shape: tuple[int, int, int]) -> keras.Model:
    """The same with ImageNet weights, downloaded where they aren't in Keras' cache."""
    return _application(config, input_shape, "imagenet")


def _application(config: ModelConfig, input_shape: tuple[int, int, int], weights: str | None) -> keras.Model:
    if config.depth not in _DEPTHS:
        raise UserError(f"model.depth={config.depth} can't be: vgg comes with {', '.join(map(str, _DEPTHS))}")
    return _DEPTHS[config.depth](include_top=False, weights=weights, input_shape=input_shape, name="backbone")
