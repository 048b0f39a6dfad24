"""EfficientNet B0 to B7: Tan & Le, EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks, ICML 2019.

The base starts after Keras' preprocessing, which Keras builds differently with and without ImageNet weights.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from cvlib.config.fields import Options, option
from cvlib.models.applications import Application, ApplicationBackbone, imagenet, torch_mode
from cvlib.models.backbone import Level

_MULTIPLIERS = {  # of width and depth, by variant
    "b0": (1.0, 1.0), "b1": (1.0, 1.1), "b2": (1.1, 1.2), "b3": (1.2, 1.4),
    "b4": (1.4, 1.8), "b5": (1.6, 2.2), "b6": (1.8, 2.6), "b7": (2.0, 3.1),
}  # fmt: skip
_STAGES = {1: (2, 16, 1), 2: (4, 24, 2), 3: (8, 40, 2), 5: (16, 112, 3)}  # the last of each stride: channels, repeats


@dataclass
class EfficientnetOptions(Options):
    """The options of EfficientNet."""

    variant: str | None = option("b0", choices=(*_MULTIPLIERS, None))  # None: b0

    def __post_init__(self) -> None:
        self.variant = self.variant or "b0"


def network(options: EfficientnetOptions) -> Application:
    """Return Keras' network without its preprocessing."""
    return Application(f"EfficientNet{str(options.variant).upper()}", first="stem_conv_pad")


def rounded(channels: float) -> int:
    """Return the nearest multiple of 8 that is at most 10 % below `channels`."""
    nearest = max(8, int(channels + 4) // 8 * 8)
    return nearest + 8 if nearest < 0.9 * channels else nearest


class Efficientnet(ApplicationBackbone):
    """Standardized RGB → the map at stride 32, 1280 channels for B0."""

    name = "efficientnet"
    options = EfficientnetOptions
    sources = imagenet(network, torch_mode)
    shape_options = ("variant",)
    depthwise = True

    def application(self, options: EfficientnetOptions, feature_levels: bool) -> Application:
        """Return the same network for all tasks."""
        return network(options)

    def feature_levels(self, options: EfficientnetOptions) -> list[Level]:
        """Return the last block of stages 1, 2, 3 and 5 and the last convolution, at strides 2 to 32."""
        width, depth = _MULTIPLIERS[str(options.variant)]
        found = []
        for stage, (stride, channels, repeats) in _STAGES.items():
            count = math.ceil(depth * repeats)
            last = f"block{stage}{chr(ord('a') + count - 1)}_" + ("add" if count > 1 else "project_bn")
            found.append(Level(last, stride, rounded(width * channels)))
        return [*found, Level("top_activation", 32, rounded(width * 1280))]


BACKBONE = Efficientnet()
