"""MobileNet V1, V2 and V3: networks for phones.

Howard et al., MobileNets, 2017; Sandler et al., MobileNetV2, CVPR 2018; Howard et al., Searching for MobileNetV3, 2019.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from cvlib.config.fields import Options, option, require
from cvlib.models.applications import Application, ApplicationBackbone, imagenet, tf_mode
from cvlib.models.backbone import Level

_FUNCTIONS = {"v1": "MobileNet", "v2": "MobileNetV2", "v3_small": "MobileNetV3Small", "v3_large": "MobileNetV3Large"}
_WIDTHS = {  # multipliers of the channels with published weights, by variant
    "v1": (0.25, 0.5, 0.75, 1.0), "v2": (0.35, 0.5, 0.75, 1.0, 1.3, 1.4), "v3_small": (0.75, 1.0),
    "v3_large": (0.75, 1.0),
}  # fmt: skip
_LEVELS = {  # by variant: the layer and its channels before scaling, at strides 2 to 32
    "v1": (("conv_pw_1_relu", 64), ("conv_pw_3_relu", 128), ("conv_pw_5_relu", 256), ("conv_pw_11_relu", 512),
           ("conv_pw_13_relu", 1024)),
    "v2": (("expanded_conv_project_BN", 16), ("block_2_add", 24), ("block_5_add", 32), ("block_12_add", 96),
           ("out_relu", 1280)),
    "v3_small": (("conv_bn_activation", 16), ("expanded_conv_project_bn", 16), ("expanded_conv_2_add", 24),
                 ("expanded_conv_7_add", 48), ("conv_1_bn_activation", 576)),
    "v3_large": (("expanded_conv_add", 16), ("expanded_conv_2_add", 24), ("expanded_conv_5_add", 40),
                 ("expanded_conv_11_add", 112), ("conv_1_bn_activation", 960)),
}  # fmt: skip


@dataclass
class MobilenetOptions(Options):
    """The options of MobileNet."""

    variant: str | None = option("v2", choices=(*_FUNCTIONS, None))  # None: v2
    alpha: float = option(1.0, low=0.25, high=1.4)  # multiplier of the channels

    def __post_init__(self) -> None:
        self.variant = self.variant or "v2"
        if self.variant in _WIDTHS:  # otherwise, the error names the variant
            known = _WIDTHS[self.variant]
            expected = f"one of {', '.join(map(str, known))} for model.variant={self.variant}"
            require(self.alpha in known, "model.alpha", self.alpha, expected)


def network(options: MobilenetOptions) -> Application:
    """Return Keras' network."""
    variant = str(options.variant)
    outside = {"include_preprocessing": False} if variant.startswith("v3") else {}
    return Application(_FUNCTIONS[variant], {"alpha": options.alpha, **outside})


class Mobilenet(ApplicationBackbone):
    """Pixels −1–1 → the map at stride 32, 1280 channels for V2."""

    name = "mobilenet"
    options = MobilenetOptions
    sources = imagenet(network, tf_mode)
    shape_options = ("variant", "alpha")
    depthwise = True

    def application(self, options: MobilenetOptions, feature_levels: bool) -> Application:
        """Return the same network for all tasks."""
        return network(options)

    def feature_levels(self, options: MobilenetOptions) -> list[Level]:
        """Return the last block of each resolution and the last convolution, at strides 2 to 32."""
        return [Level(layer, 2**number, _scaled(options, layer, channels))
                for number, (layer, channels) in enumerate(_LEVELS[str(options.variant)], start=1)]  # fmt: skip

    def block_name(self, layer: str) -> str:
        """Return stem, block0, block1, … or top."""
        if numbered := re.match(r"(?:conv_[dp]w|block|expanded_conv)_(\d+)", layer):
            return f"block{numbered[1]}"
        if layer.startswith("expanded_conv"):
            return "block0"
        return "top" if layer.startswith(("conv_1", "Conv_1")) else "stem"


def _scaled(options: MobilenetOptions, layer: str, channels: int) -> int:
    """Return the number of channels of a level, which each version rounds in its own way."""
    scaled = channels * options.alpha
    if options.variant == "v1":
        return int(scaled)
    if layer == "conv_bn_activation" or (layer == "out_relu" and options.alpha < 1):
        return channels
    nearest = max(8, int(scaled + 4) // 8 * 8)
    return nearest + 8 if nearest < 0.9 * scaled else nearest


BACKBONE = Mobilenet()
