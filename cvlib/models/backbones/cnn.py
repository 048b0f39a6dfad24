"""A textbook convolutional network: convolutions and a pooling per entry of `filters`, then dense layers."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cvlib.config.fields import Options, option, require
from cvlib.models.backbone import Backbone, Level
from cvlib.runtime.errors import UserError

if TYPE_CHECKING:
    import keras
    from keras import KerasTensor

Shape = tuple[int, int, int]

_LAST_SIDE = 7  # without filters, stages are added until the shorter side of the map is at most this
_WIDTHS = [32, 64, 128, 256]  # of these stages; the last width is repeated


@dataclass
class CnnOptions(Options):
    """The options of the textbook network."""

    # One stage per entry; each stage ends in a 2×2 pooling. None: 32, 64, 128 and 256 filters, with as many stages as
    # the size of the images needs. Feature maps need a list.
    filters: list[int] | None = option([32, 64])
    convolutions: int = option(1, low=1, high=99)  # before each pooling
    kernel: int = option(3, low=1, high=99)  # side of each convolution
    padding: str = option("same", choices=("same", "valid"))  # valid: a convolution makes the map smaller
    stride: int = option(1, low=1, high=99)  # stride of each stage's first convolution
    dilation: int = option(1, low=1, high=99)  # distance between the taps of a kernel
    pooling: str = option("max", choices=("max", "average"))  # at the end of each stage
    batch_norm: bool = False  # normalization after each convolution
    spatial_dropout: float = option(0.0, low=0, high=0.95)  # share of the channels that a block drops
    # flatten: the dense layers see every position | global_average: they see the mean over the positions
    features: str = option("flatten", choices=("flatten", "global_average"), classifier_only=True)
    dense: list[int] = option([128], classifier_only=True)  # width of each dense layer before the logits
    dropout: float = option(0.0, low=0, high=0.95, classifier_only=True)  # after each dense layer

    def __post_init__(self) -> None:
        for key, widths in (("filters", self.filters or []), ("dense", self.dense)):
            require(all(width >= 1 for width in widths), f"model.{key}", widths, "whole numbers of 1 or more")
        if self.stride > 1 and self.dilation > 1:
            raise UserError(f"invalid model.stride={self.stride} with model.dilation={self.dilation}: one of the two "
                            "must be 1")  # fmt: skip


class Cnn(Backbone):
    """Pixels 0–1 → the last dense layer's features `(batch, width)`, or feature maps."""

    name = "cnn"
    options = CnnOptions
    shape_options = ("filters", "convolutions", "kernel", "batch_norm")

    def smallest_side(self, options: CnnOptions, feature_levels: bool) -> int:
        """Return the side that can be halved once per feature level with `same` padding, and otherwise 1.

        `build` raises an error if the image is too small for the layers.
        """
        return 2 ** len(options.filters or []) if feature_levels and options.padding == "same" else 1

    def depends_on_size(self, options: CnnOptions) -> bool:
        """Return whether a dense layer reads the flattened map."""
        return options.features == "flatten" and bool(options.dense)

    def build(self, options: CnnOptions, input_shape: Shape, feature_levels: bool) -> keras.Model:
        """Build the base; raise `UserError` if the image is too small for the layers."""
        import keras
        from keras import layers

        x = pixels = keras.Input(input_shape, name="pixels")
        for number, filters in enumerate(stage_widths(options, input_shape), start=1):
            x = _stage(options, x, number, filters, input_shape)
        if feature_levels:
            return keras.Model(pixels, x, name="backbone")
        flatten = options.features == "flatten"
        x = layers.Flatten(name="flatten")(x) if flatten else layers.GlobalAveragePooling2D(name="pooled")(x)
        for number, width in enumerate(options.dense, start=1):
            x = layers.Dense(width, "relu", name=f"dense{number}")(x)
            if options.dropout:
                x = layers.Dropout(options.dropout, name=f"dense{number}_dropout")(x)
        return keras.Model(pixels, x, name="backbone")

    def feature_levels(self, options: CnnOptions) -> list[Level]:
        """Return the ReLU before each stage's pooling.

        Unpooling requires max pooling, and that neither strides nor `valid` padding reduce the sides.
        """
        if not options.filters:
            value = "null" if options.filters is None else "[]"
            raise UserError(
                f"invalid model.filters={value}: feature maps need a width for each stage, such as [16,32,64]"
            )
        found, stride = [], 1
        for number, filters in enumerate(options.filters, start=1):
            stride *= options.stride
            dropped = options.spatial_dropout and number == len(options.filters)
            pooled = f"conv{number}_dropout" if dropped else f"conv{number}_pool"
            exact = options.stride == 1 and options.padding == "same"
            found.append(Level(f"conv{number}_relu", stride, filters, pooled, exact and options.pooling == "max"))
            stride *= 2
        return found


def stage_widths(options: CnnOptions, input_shape: Shape) -> list[int]:
    """Return the number of filters of each stage: as given, or at least two stages that fit the images' size."""
    if options.filters is not None:
        return options.filters
    stages = max(2, math.ceil(math.log2(min(input_shape[:2]) / _LAST_SIDE)))
    return [*_WIDTHS, *_WIDTHS[-1:] * stages][:stages]


def _stage(options: CnnOptions, x: KerasTensor, number: int, filters: int, input_shape: Shape) -> KerasTensor:
    """Add `convolutions` convolutions with ReLU and optional BatchNorm, a 2×2 pooling, and optional spatial dropout."""
    from keras import layers

    name = f"conv{number}"
    for earlier in range(1, options.convolutions):
        x = _convolution(options, x, f"{name}_{earlier}", filters, options.stride if earlier == 1 else 1, input_shape)
    x = _convolution(options, x, name, filters, options.stride if options.convolutions == 1 else 1, input_shape)
    if min(x.shape[1:3]) < 2:
        raise _too_small(options, input_shape)
    pool = layers.MaxPooling2D if options.pooling == "max" else layers.AveragePooling2D
    x = pool(2, name=f"{name}_pool")(x)
    if not options.spatial_dropout:
        return x
    return layers.SpatialDropout2D(options.spatial_dropout, name=f"{name}_dropout")(x)


def _convolution(options: CnnOptions, x: KerasTensor, name: str, filters: int, stride: int,
                 input_shape: Shape) -> KerasTensor:  # fmt: skip
    from keras import layers

    reach = options.dilation * (options.kernel - 1) + 1 if options.padding == "valid" else 1
    if min(x.shape[1:3]) < reach:
        raise _too_small(options, input_shape)
    x = layers.Conv2D(filters, options.kernel, stride, options.padding, dilation_rate=options.dilation,
                      use_bias=not options.batch_norm, name=name)(x)  # fmt: skip
    if options.batch_norm:
        x = layers.BatchNormalization(name=f"{name}_bn")(x)
    return layers.ReLU(name=f"{name}_relu")(x)


def _too_small(options: CnnOptions, input_shape: Shape) -> UserError:
    return UserError(
        f"images of {input_shape[0]}×{input_shape[1]} pixels are too small for model.filters="
        f"{stage_widths(options, input_shape)}: "
        "nothing is left to convolve or pool; increase data.image_size or remove filters"
    )


BACKBONE = Cnn()
