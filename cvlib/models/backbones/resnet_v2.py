"""ResNet50V2, 101V2 and 152V2: He et al., Identity Mappings in Deep Residual Networks, ECCV 2016."""

from __future__ import annotations

from dataclasses import dataclass

from cvlib.config.fields import Options, option
from cvlib.models.applications import Application, ApplicationBackbone, imagenet, tf_mode
from cvlib.models.backbone import Level

_BLOCKS = {50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}  # blocks in each stage, by variant


@dataclass
class ResnetV2Options(Options):
    """The options of ResNetV2."""

    variant: int | None = option(50, choices=(*_BLOCKS, None))  # None: 50

    def __post_init__(self) -> None:
        self.variant = self.variant or 50


def network(options: ResnetV2Options) -> Application:
    """Return Keras' network."""
    return Application(f"ResNet{options.variant}V2")


class ResnetV2(ApplicationBackbone):
    """Pixels −1–1 → the map at stride 32, 2048 channels."""

    name = "resnet_v2"
    options = ResnetV2Options
    sources = imagenet(network, tf_mode)
    shape_options = ("variant",)

    def application(self, options: ResnetV2Options, feature_levels: bool) -> Application:
        """Return the same network for all tasks."""
        return network(options)

    def feature_levels(self, options: ResnetV2Options) -> list[Level]:
        """Return the first convolution, the input of the last block of stages 2 to 4, and the last map.

        The last block of these stages halves the sides. The maps are normalized and rectified, at strides 4 to 32.
        """
        stages = [Level(f"conv{stage}_block{count}_preact_relu", 2**stage, 64 * 2**stage)
                  for stage, count in enumerate(_BLOCKS[options.variant or 50][:3], start=2)]  # fmt: skip
        return [Level("conv1_conv", 2, 64), *stages, Level("post_relu", 32, 2048)]


BACKBONE = ResnetV2()
