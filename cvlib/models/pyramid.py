"""The convolutional bases as encoders: one feature map per resolution instead of the last one alone.

A pyramid holds the same layers, in the same order, as the classifier's base of that family without its dense
part: weights of a classification run, or ImageNet's, fit both.
"""

from __future__ import annotations

import dataclasses
from importlib import import_module
from typing import Any

import keras
from keras import KerasTensor

from cvlib.config.schema import ModelConfig, classifier_of
from cvlib.runtime.errors import UserError

FAMILIES = ("cnn", "darknet", "vgg", "resnet", "inception")

_LEAST = {"cnn": 1, "darknet": 32, "vgg": 32, "resnet": 32, "inception": 75}  # pixels a side


def pyramid(config: ModelConfig, family: str, input_shape: tuple[int, int, int]) -> keras.Model:
    """Preprocessed pixels `(batch, height, width, channels)` → feature maps, finest first; random weights.

    The model is named "backbone". cnn: each stage's ReLU before its pooling, and the last pooling (strides 1, 2,
    4 …); vgg: the last convolution before each pooling, and the last pooling (1 to 32); resnet: conv1 and the last
    block of each stage (2 to 32); inception: the last before each reduction (2 to 32, sides a little smaller, for
    it convolves without padding). Sides that a stride doesn't divide are rounded as the layers do; whoever joins
    two levels resizes to the finer one. Raises `UserError` for a family or a size that can't be.
    """
    least = least_side(config, family)
    if min(input_shape[:2]) < least:
        raise UserError(
            f"images of {input_shape[0]}×{input_shape[1]} pixels are too small: model={config.name} with a base of "
            f"{family} needs at least {least} pixels a side; raise data.image_size or choose another base"
        )
    module = _module(family)
    bare = dataclasses.replace(classifier_of(dataclasses.replace(config, encoder=family)), dense=[])
    base = module.backbone(bare, input_shape)
    outputs = [base.get_layer(name).output for name in module.levels(bare)]
    return keras.Model(base.inputs, outputs, name="backbone")


def preprocess(family: str, image: KerasTensor) -> KerasTensor:
    """Raw 0–255 pixels `(batch, height, width, 1 or 3)` → pixels as the family's base takes them."""
    pixels: KerasTensor = _module(family).preprocess(image)
    return pixels


def least_side(config: ModelConfig, family: str) -> int:
    """The smallest side in pixels that leaves something at the coarsest level."""
    return 2 ** len(config.filters) if family == "cnn" and config.padding == "same" else _LEAST[_known(family)]


def _module(family: str) -> Any:
    return import_module(f"cvlib.models.{_known(family)}")


def _known(family: str) -> str:
    if family not in FAMILIES:
        raise UserError(f"a base of {family} can't be: choose one of {', '.join(FAMILIES)}")
    return family
