"""Long, Shelhamer & Darrell, Fully Convolutional Networks for Semantic Segmentation, 2015.

VGG's dense layers become convolutions: the first has a kernel as large as the dense layer's input map, the second is
1×1. The network thus classifies every position. Transposed convolutions, initialized to bilinear interpolation,
upsample the scores. FCN-32s upsamples in one step. FCN-16s and FCN-8s add scores of the maps at strides 16 and 8 in
between. The backbone must halve the sides five times by 2×2 pooling.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from cvlib.config.fields import Options, option
from cvlib.models.backbone import Backbone
from cvlib.models.head import Built, Features, Head, Output
from cvlib.models.head_parts.mask_loss import MaskOptions
from cvlib.runtime.errors import UserError

if TYPE_CHECKING:
    from keras import KerasTensor

_STRIDE = 32  # of the last pooling


@dataclass
class FcnOptions(MaskOptions):
    """The options of a fully convolutional network."""

    prediction_stride: int = option(8, choices=(32, 16, 8))  # stride of the finest map with scores
    fc_kernel: int = option(7, low=1, high=99)  # side of the map that the first dense layer sees
    fc_width: int = option(4096, low=1)  # width of the two converted dense layers
    dropout: float = option(0.0, low=0, high=0.95)


class Fcn(Head):
    """Logits `(batch, height, width, classes)` of every pixel."""

    name = "fcn"
    options = FcnOptions

    def side_step(self, options: FcnOptions) -> int:
        """Return 32, because the maps are halved five times."""
        return _STRIDE

    def check(self, options: FcnOptions, backbone: Backbone, backbone_options: Options, size: tuple[int, int]) -> None:
        """Raise `UserError` unless the maps are halved five times by 2×2 pooling and 32 divides the image's sides."""
        levels = backbone.feature_levels(backbone_options)
        if [(level.stride, level.pooled is not None) for level in levels] != [(2**k, True) for k in range(5)]:
            raise _unfit(backbone)
        if any(side % _STRIDE for side in size):
            raise UserError(f"images of {size[0]}×{size[1]} pixels don't fit model.head=fcn: its maps are halved "
                            f"five times, so data.image_size must be a multiple of {_STRIDE}")  # fmt: skip

    def maps(self, backbone: Backbone, backbone_options: Options) -> list[tuple[str, int]]:
        """Return the last three poolings, at strides 8, 16 and 32."""
        return [(str(level.pooled), 2 * level.stride) for level in backbone.feature_levels(backbone_options)[2:]]

    def build(self, options: FcnOptions, backbone: Backbone, features: Features, classes: int) -> Built:
        """Compute scores at stride 32, and add those of finer maps while upsampling."""
        from keras import layers

        sides = [tuple(side // stride for side in features.size) for stride in features.strides]
        if sides != [tuple(map_.shape[1:3]) for map_ in features.maps]:  # the base has convolutions without padding
            raise _unfit(backbone)
        *pools, x = features.maps
        x = fully_connected(x, options.fc_width, options.fc_kernel, options.dropout, "fc6")
        x = fully_connected(x, options.fc_width, 1, options.dropout, "fc7")
        x = _score(x, classes, "score32")
        stride = _STRIDE
        while stride > options.prediction_stride:
            stride //= 2
            x = _bilinear(x, 2, f"up{stride}")
            x = layers.Add(name=f"join{stride}")([x, _score(pools.pop(), classes, f"score{stride}")])
        return Built([Output("logits", _bilinear(x, stride, "logits", fixed=True))], features.maps)


def _unfit(backbone: Backbone) -> UserError:
    return UserError(f"model.head=fcn needs a backbone with five 2×2 poolings and no other downsampling, unlike "
                     f"{backbone.name} with these options: choose model.backbone=vgg, or cnn with five "
                     "model.filters, model.stride=1 and model.padding=same")  # fmt: skip


def fully_connected(x: KerasTensor, width: int, kernel: int, dropout: float, name: str) -> KerasTensor:
    """Apply a dense layer over `kernel`×`kernel` positions as a convolution with zero padding.

    The kernel of this convolution equals the weights of a dense layer on a flattened `(kernel, kernel, channels)` map,
    reshaped to `(kernel, kernel, channels, width)`.
    """
    from keras import layers

    x = layers.Conv2D(width, kernel, padding="same", activation="relu", kernel_initializer="he_normal", name=name)(x)
    return layers.Dropout(dropout, name=f"{name}_dropout")(x) if dropout else x


def _score(x: KerasTensor, outputs: int, name: str) -> KerasTensor:
    """Compute class scores with a 1×1 convolution, initialized to zero as in the paper.

    With random weights, VGG's large features would cause a loss of 60.
    """
    from keras import layers

    return layers.Conv2D(outputs, 1, kernel_initializer="zeros", dtype="float32", name=name)(x)


def _bilinear(x: KerasTensor, stride: int, name: str, fixed: bool = False) -> KerasTensor:
    """Upsample by `stride`, each class separately; the weights are trainable unless `fixed`."""
    from keras import layers

    classes = x.shape[-1]
    up = layers.Conv2DTranspose(classes, 2 * stride, stride, "same", use_bias=False, dtype="float32",
                                trainable=not fixed, name=name)  # fmt: skip
    enlarged = up(x)
    up.kernel.assign(bilinear_kernel(stride, classes))
    return enlarged


def bilinear_kernel(stride: int, classes: int) -> np.ndarray:
    """Return the kernel `(2·stride, 2·stride, classes, classes)` that interpolates each class bilinearly when used in a
    transposed convolution.
    """
    positions = np.arange(2 * stride)
    line = 1 - np.abs(positions - (stride - 0.5)) / stride
    kernel: np.ndarray = np.outer(line, line)[..., np.newaxis, np.newaxis] * np.eye(classes)
    return kernel.astype(np.float32)


HEAD = Fcn()
