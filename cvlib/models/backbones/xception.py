"""Xception: Chollet, Xception: Deep Learning with Depthwise Separable Convolutions, CVPR 2017."""

from __future__ import annotations

from dataclasses import dataclass

from cvlib.config.fields import Options
from cvlib.models.applications import Application, ApplicationBackbone, imagenet, tf_mode
from cvlib.models.backbone import Level


@dataclass
class XceptionOptions(Options):
    """Xception has no options."""


def network(options: XceptionOptions) -> Application:
    """Return Keras' network."""
    return Application("Xception")


class Xception(ApplicationBackbone):
    """Pixels −1–1 → the map at stride 32, 2048 channels."""

    name = "xception"
    options = XceptionOptions
    sources = imagenet(network, tf_mode)
    depthwise = True

    def application(self, options: XceptionOptions, feature_levels: bool) -> Application:
        """Return the same network for all tasks."""
        return network(options)

    def smallest_side(self, options: XceptionOptions, feature_levels: bool) -> int:
        """Return 71, the smallest that Keras builds."""
        return 71

    def feature_levels(self, options: XceptionOptions) -> list[Level]:
        """Return the last map before each reduction, at strides 2 to 32.

        The first two convolutions have no padding, so the sides are slightly smaller than the image divided by the
        stride.
        """
        named = (("block2_sepconv2_bn", 128), ("block3_sepconv2_bn", 256), ("block4_sepconv2_bn", 728),
                 ("block13_sepconv2_bn", 1024), ("block14_sepconv2_act", 2048))  # fmt: skip
        return [Level(name, 2 ** (index + 1), channels) for index, (name, channels) in enumerate(named)]


BACKBONE = Xception()
