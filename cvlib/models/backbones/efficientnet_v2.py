"""EfficientNetV2 B0 to B3, S, M and L: Tan & Le, EfficientNetV2: Smaller Models and Faster Training, ICML 2021.

The base contains Keras' preprocessing, which differs between the variants.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from cvlib.config.fields import Options, option
from cvlib.models.applications import Application, ApplicationBackbone, imagenet, inside_mode
from cvlib.models.backbone import Level

_STRIDES = {1: 2, 2: 4, 3: 8, 5: 16}  # of the last stage with each stride
_BASE = {1: (16, 1), 2: (32, 2), 3: (48, 2), 5: (112, 5)}  # channels and blocks of these stages before scaling
_STAGES = {  # by variant: the multipliers of width and depth, and the stages
    "b0": (1.0, 1.0, _BASE), "b1": (1.0, 1.1, _BASE), "b2": (1.1, 1.2, _BASE), "b3": (1.2, 1.4, _BASE),
    "s": (1.0, 1.0, {1: (24, 2), 2: (48, 4), 3: (64, 4), 5: (160, 9)}),
    "m": (1.0, 1.0, {1: (24, 3), 2: (48, 5), 3: (80, 5), 5: (176, 14)}),
    "l": (1.0, 1.0, {1: (32, 4), 2: (64, 7), 3: (96, 7), 5: (224, 19)}),
}  # fmt: skip


@dataclass
class EfficientnetV2Options(Options):
    """The options of EfficientNetV2."""

    variant: str | None = option("b0", choices=(*_STAGES, None))  # None: b0

    def __post_init__(self) -> None:
        self.variant = self.variant or "b0"


def network(options: EfficientnetV2Options) -> Application:
    """Return Keras' network."""
    return Application(f"EfficientNetV2{str(options.variant).upper()}")


def _rounded(channels: float) -> int:
    """Return the nearest multiple of 8."""
    return max(8, int(channels + 4) // 8 * 8)


class EfficientnetV2(ApplicationBackbone):
    """RGB 0–255 → the map at stride 32, 1280 channels for B0."""

    name = "efficientnet_v2"
    options = EfficientnetV2Options
    sources = imagenet(network, inside_mode)
    shape_options = ("variant",)
    depthwise = True

    def application(self, options: EfficientnetV2Options, feature_levels: bool) -> Application:
        """Return the same network for all tasks."""
        return network(options)

    def feature_levels(self, options: EfficientnetV2Options) -> list[Level]:
        """Return the last block of stages 1, 2, 3 and 5 and the last convolution, at strides 2 to 32."""
        width, depth, stages = _STAGES[str(options.variant)]
        found = []
        for stage, (channels, repeats) in stages.items():
            count = math.ceil(depth * repeats)
            last = f"block{stage}{chr(ord('a') + count - 1)}_" + ("add" if count > 1 else "project_activation")
            found.append(Level(last, _STRIDES[stage], _rounded(width * channels)))
        return [*found, Level("top_activation", 32, _rounded(width * 1280))]


BACKBONE = EfficientnetV2()
