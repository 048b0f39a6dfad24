"""Encoder–decoder networks that label every pixel, with any backbone, one of three decoders and optional skips.

With skip connections it is a U-Net (Ronneberger, Fischer & Brox, 2015); with `unpool` and without them, a SegNet.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cvlib.config.fields import Options, option
from cvlib.models.backbone import Backbone
from cvlib.models.head import Built, Features, Head, Output
from cvlib.models.head_parts.mask_loss import MaskOptions
from cvlib.runtime.errors import UserError

if TYPE_CHECKING:
    from keras import KerasTensor

_AUXILIARY_STRIDE = 8  # largest stride in pixels of the auxiliary classifier's grid
_DECODERS = ("interpolate", "unpool", "transpose")


@dataclass
class DecoderOptions(MaskOptions):
    """The options of a decoder."""

    # how maps are enlarged: bilinear interpolation, unpooling with remembered indices, or transposed convolution
    decoder: str = option("interpolate", choices=_DECODERS)
    skip: bool = True  # whether the encoder's maps are concatenated in the decoder (U-Net)
    auxiliary_weight: float = option(0.3, low=0, high=10)  # loss weight of the decoder's auxiliary classifier; 0: none
    decoder_filters: int = option(128, low=1)  # maximum channels; no level exceeds its encoder level
    dropout: float = option(0.0, low=0, high=0.95)
    interpolation: str = option("bilinear", choices=("bilinear", "nearest"))  # method of decoder=interpolate
    unpool_convolution: bool = False  # whether a convolution follows unpooling before the encoder's map is joined
    transpose_kernel: int = option(2, low=1, high=99)  # side of a transposed convolution
    transpose_stride: int = option(2, low=1, high=99)  # factor by which it enlarges
    transpose_padding: int = option(0, low=0, high=99)  # pixels removed at each border of its output
    transpose_output_padding: int = option(0, low=0, high=99)  # pixels added at the lower and right border

    def unused(self) -> set[str]:
        """Return the options that the chosen decoder doesn't use."""
        own = {
            "interpolate": {"interpolation"},
            "unpool": {"unpool_convolution"},
            "transpose": {"transpose_kernel", "transpose_stride", "transpose_padding", "transpose_output_padding"},
        }
        return set().union(*own.values()) - own[self.decoder]


class Decoder(Head):
    """Logits `(batch, height, width, classes)` of every pixel, and of a coarser grid in training.

    With `auxiliary_weight` above 0, an auxiliary classifier half-way through the decoder predicts on a coarser grid.
    It makes the deep layers separate the classes long before the last layers can (Lee et al., Deeply-Supervised Nets,
    2015; Zhao et al., PSPNet, 2017).
    """

    name = "decoder"
    options = DecoderOptions
    base_key = "encoder"
    class_layers = ("logits",)

    def check(self, options: DecoderOptions, backbone: Backbone, backbone_options: Options,
              size: tuple[int, int]) -> None:  # fmt: skip
        """Raise `UserError` for unpooling unless 2×2 max pooling alone reduces every level."""
        if options.decoder != "unpool":
            return
        without = [level for level in backbone.feature_levels(backbone_options) if not level.max_pooled]
        if without:
            raise UserError("model.decoder=unpool needs an encoder that reduces its maps only by 2×2 max pooling, "
                            f"unlike level {without[0].layer} of {backbone.name} with these options: choose "
                            "model.encoder=vgg, or model.decoder=interpolate or transpose")  # fmt: skip

    def build(self, options: DecoderOptions, backbone: Backbone, features: Features, classes: int) -> Built:
        """Add a decoder step for each of the encoder's levels, then upsample to the image's size."""
        from keras import layers

        image, (*levels, x), auxiliary = features.image, features.maps, None
        for number, level in reversed(list(enumerate(levels, start=1))):
            x = _step(options, x, level, min(level.shape[-1], options.decoder_filters), f"up{number}")
            if options.auxiliary_weight and auxiliary is None and x.shape[1] >= image.shape[1] // _AUXILIARY_STRIDE:
                auxiliary = layers.Conv2D(classes, 1, dtype="float32", name="auxiliary")(x)
        if x.shape[1:3] != image.shape[1:3]:  # the encoder's finest map is half the image's size
            x = _upsampling(options)(options, x, image, max(8, x.shape[-1] // 2), "up0")
        if options.dropout:
            x = layers.SpatialDropout2D(options.dropout, name="head_dropout")(x)
        outputs = [Output("logits", layers.Conv2D(classes, 1, dtype="float32", name="logits")(x))]
        if auxiliary is not None:
            outputs.append(Output("auxiliary", auxiliary, options.auxiliary_weight, training_only=True))
        return Built(outputs, features.maps)


def _upsampling(options: DecoderOptions) -> Any:
    from cvlib.models.head_parts import decoders

    return {"interpolate": decoders.interpolate, "unpool": decoders.unpool, "transpose": decoders.transpose}[
        options.decoder
    ]


def _step(options: DecoderOptions, x: KerasTensor, level: KerasTensor, filters: int, name: str) -> KerasTensor:
    """Upsample, concatenate the encoder's map if `skip` is set, and add a convolution."""
    from keras import layers

    from cvlib.models.blocks import convolution

    x = _upsampling(options)(options, x, level, filters, name)
    # This convolution fills the zeros that unpooling leaves. Without a skip connection, it also sharpens the upsampled
    # features, because no encoder map localizes them.
    if not options.skip or (options.decoder == "unpool" and options.unpool_convolution):
        x = convolution(x, filters, 3, f"{name}_alone")
    if options.skip:
        x = layers.Concatenate(name=f"{name}_skip")([x, level])
    return convolution(x, filters, 3, f"{name}_conv")


HEAD = Decoder()
