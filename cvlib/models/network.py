"""A network: a backbone's base with a head, from raw pixels to raw outputs; one builder for all that need one."""

from __future__ import annotations

import difflib
from dataclasses import dataclass

import keras

from cvlib.config.schema import ModelConfig
from cvlib.data.input_spec import InputSpec
from cvlib.models import backbones, heads
from cvlib.models.backbone import Backbone
from cvlib.models.head import Features, Head, Output
from cvlib.models.preprocessing import image_input
from cvlib.runtime.errors import UserError


@dataclass(frozen=True)
class Cut:
    """A network in two `keras.Model`s that share its variables: `head(base(images))` is the network."""

    base: keras.Model  # raw pixels → the tensors at the cut
    head: keras.Model  # these → the network's outputs


@dataclass(frozen=True)
class Network:
    """A network with its parts.

    Attributes:
        model: raw pixels 0–255 `(batch, height, width, channels)` → the raw output, or a dict of them by name where
            there are several. In float32 under every policy.
        base: what can be carried to another task; it lies in `model` as one layer.
        backbone, head: the declarations that they were built by.
        config: the options.
        spec: the images that it takes.
        classes: how many it tells apart.
        outputs: what the head declares of its outputs; the first is what predictions are made from.
    """

    model: keras.Model
    base: keras.Model
    backbone: Backbone
    head: Head
    config: ModelConfig
    spec: InputSpec
    classes: int
    outputs: tuple[Output, ...]
    cut_at: tuple[keras.KerasTensor, ...]

    @property
    def head_layers(self) -> list[keras.layers.Layer]:
        """The layers with weights outside the base."""
        return [layer for layer in self.model.layers if layer is not self.base and layer.count_params()]

    def predictive(self) -> keras.Model:
        """Return the network (same weights) without the outputs that exist in training only."""
        if not any(output.training_only for output in self.outputs):
            return self.model
        kept = {output.name: output.tensor for output in self.outputs if not output.training_only}
        return _model(self.model.input, kept, self.model.name)

    def cut(self) -> Cut:
        """Return the network in two, as late as nothing has been trained or drawn at random behind a frozen base."""
        tensors = list(self.cut_at)
        outputs = {output.name: output.tensor for output in self.outputs}
        head = _model(tensors[0] if len(tensors) == 1 else tensors, outputs, f"{self.model.name}_head")
        return Cut(keras.Model(self.model.input, tensors, name=f"{self.model.name}_base"), head)

    def start_on_loaded_base(self) -> None:
        """Let the head begin as suits a base whose weights were just loaded."""
        self.head.start_on_loaded_base(self.model.get_layer(self.outputs[0].name))


def build(config: ModelConfig, spec: InputSpec, classes: int) -> Network:
    """Return the network that `config` describes, with random weights.

    Raises `UserError` for a choice or a size that the backbone or the head can't take.
    """
    backbone, head = backbones.get(config.backbone), heads.get(config.head)
    check_size(config, backbone, head, spec.size)
    head.check(config.head_options, backbone, config.backbone_options, spec.size)
    image = image_input(spec.shape)
    pixels = backbone.preprocess(image)
    base, tap_weight = _base(config, backbone, head, pixels.shape[1:])
    maps = keras.tree.flatten(base(pixels))
    tap = maps.pop() if tap_weight else None
    strides = [stride for _, stride in head.maps(backbone, config.backbone_options)] if head.feature_levels else []
    built = head.build(config.head_options, backbone, Features(image, maps, strides, tap, tap_weight), classes)
    model = _model(image, {output.name: output.tensor for output in built.outputs}, config.name)
    return Network(model, base, backbone, head, config, spec, classes, tuple(built.outputs), tuple(built.cut))


def check_size(config: ModelConfig, backbone: Backbone, head: Head, size: tuple[int, int]) -> None:
    """Raise `UserError` for an image below the smallest that the backbone takes."""
    least = backbone.smallest_side(config.backbone_options, head.feature_levels)
    if min(size) < least:
        based = "" if config.name == config.backbone else f" with a base of {config.backbone}"
        raise UserError(
            f"images of {size[0]}×{size[1]} pixels are too small: model={config.name}{based} needs at least {least} "
            "pixels a side; raise data.image_size or choose another model"
        )


def _base(
    config: ModelConfig, backbone: Backbone, head: Head, input_shape: tuple[int, int, int]
) -> tuple[keras.Model, float]:
    """The base with the outputs that the head builds on, and last the auxiliary tap where its weight is above 0."""
    whole = backbone.build(config.backbone_options, input_shape, head.feature_levels)
    if head.feature_levels:
        for level in backbone.feature_levels(config.backbone_options):
            found = _map(whole, level.layer, backbone).shape[-1]
            if found != level.channels:
                raise UserError(f"model={backbone.name}: its levels give {level.layer} {level.channels} channels, but "
                                f"build makes {found}")  # fmt: skip
        maps = [_map(whole, name, backbone) for name, _ in head.maps(backbone, config.backbone_options)]
        return keras.Model(whole.input, maps, name="backbone"), 0.0
    tap = backbone.auxiliary(config.backbone_options)
    if tap is None:
        return whole, 0.0
    return keras.Model(whole.input, [whole.output, whole.get_layer(tap[0]).output], name="backbone"), tap[1]


def _map(whole: keras.Model, layer: str, backbone: Backbone) -> keras.KerasTensor:
    names = [one.name for one in whole.layers]
    if layer not in names:
        near = difflib.get_close_matches(layer, names, n=3, cutoff=0.5)
        hint = f"; did you mean {' or '.join(near)}?" if near else ""
        raise UserError(f"model={backbone.name}: its levels name a layer {layer}, which build doesn't make{hint}")
    return whole.get_layer(layer).output


def _model(inputs: keras.KerasTensor | list[keras.KerasTensor], outputs: dict[str, keras.KerasTensor],
           name: str) -> keras.Model:  # fmt: skip
    """A model whose one output is a tensor, and whose several are a dict."""
    return keras.Model(inputs, next(iter(outputs.values())) if len(outputs) == 1 else outputs, name=name)
