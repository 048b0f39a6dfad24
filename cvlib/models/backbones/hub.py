"""Any image backbone of keras-hub, by the name of a preset or from a preset's folder."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cvlib.config.fields import Options, option
from cvlib.models import keras_hub
from cvlib.models.backbone import Backbone, Level, WeightSource
from cvlib.models.keras_hub_presets import Preset, description, require_weights, size_word
from cvlib.runtime.errors import UserError

if TYPE_CHECKING:
    import keras
    from keras import KerasTensor

Shape = tuple[int, int, int]
_SMALLEST_SIDE = 32  # of networks without patches: one pixel after halving five times


@dataclass
class HubOptions(Options):
    """The options of a backbone of keras-hub."""

    preset: str | None = option(None)  # a name such as vit_base_patch16_224_imagenet, or a preset's folder


def preset_of(options: HubOptions) -> Preset:
    """Return the configuration of the preset; raise `UserError` without one."""
    if not options.preset:
        raise UserError("model=hub needs a preset of keras-hub: set model.preset to its name, such as "
                        "vit_base_patch16_224_imagenet, or to its folder")  # fmt: skip
    return description(options.preset)


def _load(options: HubOptions, input_shape: Shape) -> keras.Model:
    return keras_hub.graph(preset_of(options), input_shape, weights=True)


def _require_weights(options: HubOptions) -> None:
    require_weights(preset_of(options))


class Hub(Backbone):
    """Pixels as the preset's image converter scales them → a map, or the class token as a map of 1×1."""

    name = "hub"
    options = HubOptions
    shape_options = ("preset",)
    channels = 3
    sources = (WeightSource("imagenet", _load, lambda image: image, _require_weights, lambda options: options.preset),)

    def check(self, options: HubOptions, size: tuple[int, int] | None, pretrained: bool) -> None:
        """Raise `UserError` for a preset that isn't available, and for images that don't fit it."""
        preset = preset_of(options)
        if size is None:
            return
        asked = f"data.image_size={size_word(size)}"
        if preset.patch and any(side % step for side, step in zip(size, preset.patch, strict=True)):
            raise UserError(f"{asked}: model.preset={preset.name} divides images into patches of {preset.patch[0]}×"
                            f"{preset.patch[1]} pixels: choose a multiple")  # fmt: skip
        fits = preset.only_size
        if pretrained and fits is not None and fits != size:
            raise UserError(f"{asked}: the weights of model.preset={preset.name} fit only images of {fits[0]}×"
                            f"{fits[1]} pixels: set data.image_size={size_word(fits)}")  # fmt: skip

    def default_size(self, options: HubOptions) -> tuple[int, int] | None:
        """Return the size of the images that the preset was trained on."""
        return preset_of(options).size

    def smallest_side(self, options: HubOptions, feature_levels: bool) -> int:
        """Return the side of a patch, or 32 for networks without patches; 1 without a preset."""
        if not options.preset:
            return 1
        return max(preset_of(options).patch or (_SMALLEST_SIDE,))

    def depends_on_size(self, options: HubOptions) -> bool:
        """Return whether each patch has a learned position."""
        preset = preset_of(options)
        return preset.only_size is not None or "position_embedding_shape" in preset.arguments

    def build(self, options: HubOptions, input_shape: Shape, feature_levels: bool) -> keras.Model:
        """Build the preset's backbone with random weights."""
        return keras_hub.graph(preset_of(options), input_shape, weights=False)

    def feature_levels(self, options: HubOptions) -> list[Level]:
        """Return the maps of the preset's pyramid; raise `UserError` if it has none."""
        preset = preset_of(options)
        levels = [Level(*found) for found in keras_hub.pyramid(preset)]
        if not levels:
            raise UserError(f"model.preset={preset.name} is a {preset.kind}, which has no pyramid of feature maps for "
                            "detectors and segmenters: choose another preset, such as resnet_50_imagenet")  # fmt: skip
        return levels

    def pixels(self, options: HubOptions, image: KerasTensor) -> KerasTensor:
        """Scale RGB as the preset's image converter does; to 0–1 if the preset has none."""
        from cvlib.models.preprocessing import scaled

        return scaled(image, *preset_of(options).scaling())

    def block_name(self, layer: str) -> str:
        """Return the layer's name up to its first number: transformer_block_3, stack0."""
        numbered = re.match(r".*?\d+", layer)
        return numbered.group() if numbered else super().block_name(layer)


BACKBONE = Hub()
