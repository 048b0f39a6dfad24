"""A network: a backbone's base with a head, from raw pixels to raw outputs, and the function that builds it."""

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
    """A network split into two `keras.Model`s that share its variables: `head(base(images))` is the network."""

    base: keras.Model  # raw pixels → the tensors at the cut
    head: keras.Model  # the tensors at the cut → the network's outputs


@dataclass(frozen=True)
class Network:
    """A network with its parts.

    Attributes:
        model: raw pixels 0–255 `(batch, height, width, channels)` → the raw output, or a dict of outputs by name if
            there are several. Outputs are float32 under every dtype policy.
        base: the part that can be transferred to another task; one layer of `model`.
        backbone, head: the declarations that built the parts.
        config: the options.
        spec: the format of the input images.
        classes: number of classes.
        outputs: the head's description of its outputs. Predictions are made from the first one.
        cut_at: the tensors at which `cut` divides the network.
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
        """The layers outside the base that have weights."""
        return [layer for layer in self.model.layers if layer is not self.base and layer.count_params()]

    def predictive(self) -> keras.Model:
        """Return the network (same weights) without its training-only outputs."""
        if not any(output.training_only for output in self.outputs):
            return self.model
        kept = {output.name: output.tensor for output in self.outputs if not output.training_only}
        return _model(self.model.input, kept, self.model.name)

    def cut(self) -> Cut:
        """Return the network in two parts, cut just before the head's first trainable or random layer."""
        tensors = list(self.cut_at)
        outputs = {output.name: output.tensor for output in self.outputs}
        head = _model(tensors[0] if len(tensors) == 1 else tensors, outputs, f"{self.model.name}_head")
        return Cut(keras.Model(self.model.input, tensors, name=f"{self.model.name}_base"), head)

    def start_on_loaded_base(self) -> None:
        """Initialize the head for a base whose weights were just loaded."""
        self.head.start_on_loaded_base(self.model.get_layer(self.outputs[0].name))


def build(config: ModelConfig, spec: InputSpec, classes: int) -> Network:
    """Return the network that `config` describes, with random weights.

    Raises `UserError` for an option or an image size that the backbone or the head doesn't support.
    """
    backbone, head = backbones.get(config.backbone), heads.get(config.head)
    check_size(config, backbone, head, spec.size)
    head.check(config.head_options, backbone, config.backbone_options, spec.size)
    image = image_input(spec.shape)
    pixels = backbone.pixels(config.backbone_options, image)
    base, tap_weight = _base(config, backbone, head, pixels.shape[1:])
    maps = keras.tree.flatten(base(pixels))
    tap = maps.pop() if tap_weight else None
    strides = [stride for _, stride in head.maps(backbone, config.backbone_options)] if head.feature_levels else []
    built = head.build(config.head_options, backbone, Features(image, maps, strides, tap, tap_weight), classes)
    model = _model(image, {output.name: output.tensor for output in built.outputs}, config.name)
    return Network(model, base, backbone, head, config, spec, classes, tuple(built.outputs), tuple(built.cut))


def check_size(config: ModelConfig, backbone: Backbone, head: Head, size: tuple[int, int]) -> None:
    """Raise `UserError` for an image that is smaller than the backbone supports."""
    least = backbone.smallest_side(config.backbone_options, head.feature_levels)
    if min(size) < least:
        based = "" if config.name == config.backbone else f" with the backbone {config.backbone}"
        raise UserError(
            f"images of {size[0]}×{size[1]} pixels are too small: model={config.name}{based} needs at least {least} "
            "pixels per side; increase data.image_size or choose another model"
        )


def _base(
    config: ModelConfig, backbone: Backbone, head: Head, input_shape: tuple[int, int, int]
) -> tuple[keras.Model, float]:
    """Return the base with the outputs that the head uses, and the weight of the auxiliary classifier.

    If that weight is above 0, the map that the auxiliary classifier reads is the base's last output.
    """
    whole = backbone.build(config.backbone_options, input_shape, head.feature_levels)
    if head.feature_levels:
        for level in backbone.feature_levels(config.backbone_options):
            found = _map(whole, level.layer, backbone).shape[-1]
            if found != level.channels:
                raise UserError(f"model={backbone.name}: feature_levels declares {level.channels} channels for layer "
                                f"{level.layer}, but build gives it {found}: correct feature_levels")  # fmt: skip
        maps = [_map(whole, name, backbone) for name, _ in head.maps(backbone, config.backbone_options)]
        return keras.Model(whole.input, maps, name="backbone"), 0.0
    tap = backbone.auxiliary(config.backbone_options)
    if tap is None:
        return whole, 0.0
    return keras.Model(whole.input, [whole.output, whole.get_layer(tap[0]).output], name="backbone"), tap[1]


def _map(whole: keras.Model, layer: str, backbone: Backbone) -> keras.KerasTensor:
    names = [item.name for item in whole.layers]
    if layer not in names:
        near = difflib.get_close_matches(layer, names, n=3, cutoff=0.5)
        hint = f"; did you mean {' or '.join(near)}?" if near else ""
        raise UserError(f"model={backbone.name}: feature_levels names a layer {layer} that build doesn't create{hint}")
    return whole.get_layer(layer).output


def _model(inputs: keras.KerasTensor | list[keras.KerasTensor], outputs: dict[str, keras.KerasTensor],
           name: str) -> keras.Model:  # fmt: skip
    """Return a model with a tensor as output, or with a dict of tensors if there are several outputs."""
    return keras.Model(inputs, next(iter(outputs.values())) if len(outputs) == 1 else outputs, name=name)
