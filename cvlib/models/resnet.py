"""ResNet50, 101 and 152: He et al., Deep Residual Learning for Image Recognition, CVPR 2016."""

from __future__ import annotations

import keras

from cvlib.config import ModelConfig
from cvlib.errors import UserError
from cvlib.models.classifier import caffe_preprocessing, image_input, pooled_head

_DEPTHS = {50: keras.applications.ResNet50, 101: keras.applications.ResNet101, 152: keras.applications.ResNet152}


def build(config: ModelConfig, input_shape: tuple[int, int, int], outputs: int) -> keras.Model:
    """Raw 0–255 pixels `(batch, height, width, 1 or 3)` → logits `(batch, outputs)`."""
    image = image_input(input_shape)
    features = backbone(config, (*input_shape[:2], 3))(caffe_preprocessing(image))
    return keras.Model(image, pooled_head(features, config.dropout, outputs), name="resnet")


def backbone(config: ModelConfig, input_shape: tuple[int, int, int]) -> keras.Model:
    """Preprocessed pixels → features at stride 32, 2048 channels; random weights."""
    return _application(config, input_shape, None)


def imagenet_backbone(config: ModelConfig, input_shape: tuple[int, int, int]) -> keras.Model:
    """The same with ImageNet weights, downloaded where they aren't in Keras' cache."""
    return _application(config, input_shape, "imagenet")


def _application(config: ModelConfig, input_shape: tuple[int, int, int], weights: str | None) -> keras.Model:
    if config.depth not in _DEPTHS:
        raise UserError(f"model.depth={config.depth} can't be: resnet comes with {', '.join(map(str, _DEPTHS))}")
    network = _DEPTHS[config.depth]
    return network(include_top=False, weights=weights, input_shape=input_shape, name="backbone")
