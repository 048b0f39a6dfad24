"""ResNet50, 101 and 152: He et al., Deep Residual Learning for Image Recognition, CVPR 2016."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cvlib.config.fields import Options, option
from cvlib.models.backbone import Backbone, Level, WeightSource

if TYPE_CHECKING:
    import keras
    from keras import KerasTensor

_BLOCKS = {50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}  # blocks in each stage, by depth
_CHANNELS = (256, 512, 1024, 2048)  # of each stage


@dataclass
class ResnetOptions(Options):
    """The options of ResNet."""

    depth: int | None = option(50, choices=(50, 101, 152, None))  # None: 50

    def __post_init__(self) -> None:
        self.depth = self.depth or 50


def preprocess(image: KerasTensor) -> KerasTensor:
    """Return BGR minus ImageNet's mean, as Keras' weights expect."""
    from cvlib.models.preprocessing import caffe_preprocessing

    return caffe_preprocessing(image)


def application(options: ResnetOptions, input_shape: tuple[int, int, int], weights: str | None) -> keras.Model:
    """Return Keras' network without its top."""
    from keras import applications

    networks = {50: applications.ResNet50, 101: applications.ResNet101, 152: applications.ResNet152}
    network = networks[options.depth or 50]
    return network(include_top=False, weights=weights, input_shape=input_shape, name="backbone")


class Resnet(Backbone):
    """BGR pixels minus ImageNet's mean → the map at stride 32, 2048 channels."""

    name = "resnet"
    options = ResnetOptions
    channels = 3
    sources = (WeightSource("imagenet", lambda options, shape: application(options, shape, "imagenet"), preprocess),)
    shape_options = ("depth",)

    def smallest_side(self, options: ResnetOptions, feature_levels: bool) -> int:
        """Return 32, which is one pixel after halving five times."""
        return 32

    def build(self, options: ResnetOptions, input_shape: tuple[int, int, int], feature_levels: bool) -> keras.Model:
        """Build with random weights, as Keras initializes them."""
        return application(options, input_shape, None)

    def feature_levels(self, options: ResnetOptions) -> list[Level]:
        """Return the first convolution and the last block of each stage, at strides 2 to 32."""
        stages = [Level(f"conv{stage}_block{count}_out", 2**stage, channels) for stage, (count, channels)
                  in enumerate(zip(_BLOCKS[options.depth or 50], _CHANNELS, strict=True), start=2)]  # fmt: skip
        return [Level("conv1_relu", 2, 64), *stages]


BACKBONE = Resnet()
