"""ResNet50, 101 and 152: He et al., Deep Residual Learning for Image Recognition, CVPR 2016."""

from __future__ import annotations

import keras
from keras import KerasTensor

from cvlib.config.schema import ModelConfig
from cvlib.models.preprocessing import caffe_preprocessing, image_input, pooled_head
from cvlib.runtime.errors import UserError

_DEPTHS = {50: keras.applications.ResNet50, 101: keras.applications.ResNet101, 152: keras.applications.ResNet152}


def build(config: ModelConfig, input_shape: tuple[int, int, int], outputs: int) -> keras.Model:
    """Raw 0–255 pixels `(batch, height, width, 1 or 3)` → logits `(batch, outputs)`."""
    image = image_input(input_shape)
    features = backbone(config, (*input_shape[:2], 3))(preprocess(image))
    return keras.Model(image, pooled_head(features, config.dropout, outputs), name="resnet")


def preprocess(image: KerasTensor) -> KerasTensor:
    """Raw 0–255 pixels, grey or RGB → BGR minus ImageNet's mean."""
    return caffe_preprocessing(image)


def backbone(config: ModelConfig, input_shape: tuple[int, int, int]) -> keras.Model:
    """Preprocessed pixels → features at stride 32, 2048 channels; random weights."""
    return _application(config, input_shape, None)


def levels(config: ModelConfig) -> list[str]:
    """The base's layers that are the last at their resolution, finest first: strides 2 to 32."""
    blocks = {101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}.get(config.depth or 50, (3, 4, 6, 3))
    return ["conv1_relu"] + [f"conv{stage}_block{count}_out" for stage, count in enumerate(blocks, start=2)]


def imagenet_backbone(config: ModelConfig, input_shape: tuple[int, int, int]) -> keras.Model:
    """The same with ImageNet weights, downloaded where they aren't in Keras' cache."""
    return _application(config, input_shape, "imagenet")


def _application(config: ModelConfig, input_shape: tuple[int, int, int], weights: str | None) -> keras.Model:
    if config.depth not in _DEPTHS:
        raise UserError(f"model.depth={config.depth} can't be: resnet comes with {', '.join(map(str, _DEPTHS))}")
    network = _DEPTHS[config.depth]
    return network(include_top=False, weights=weights, input_shape=input_shape, name="backbone")
