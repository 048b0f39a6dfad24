"""ResNet50, 101 and 152: He et al., Deep Residual Learning for Image Recognition, CVPR 2016.

`convention=keras` is the network of Keras' weights, which is the paper's. `convention=torch` is that of torchvision and
timm: a block that halves the map does so in its 3×3 convolution instead of its first 1×1 convolution ("ResNet
v1.5"), the convolutions have no bias, BatchNorm adds 1e-5 instead of 1.001e-5, and the pixels are scaled differently.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cvlib.config.fields import Options, option
from cvlib.models.backbone import Backbone, Level, WeightSource
from cvlib.models.torch_names import CONVENTIONS, TORCH, TORCH_PIXELS, TorchNames

if TYPE_CHECKING:
    import keras
    from keras import KerasTensor

_BLOCKS = {50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}  # blocks in each stage, by depth
_CHANNELS = (256, 512, 1024, 2048)  # of each stage
_TORCH_EPSILON = 1e-5  # of BatchNorm


@dataclass
class ResnetOptions(Options):
    """The options of ResNet."""

    depth: int | None = option(50, choices=(50, 101, 152, None))  # None: 50
    convention: str = option("keras", choices=CONVENTIONS)  # whose weights the base takes; it decides the strides, too

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


def torch_network(options: ResnetOptions, input_shape: tuple[int, int, int]) -> keras.Model:
    """Return torchvision's network without its top. Its layers have the names of Keras' network."""
    import keras
    from keras import layers

    pixels = keras.Input(input_shape, name="pixels")
    x = layers.ZeroPadding2D(3, name="conv1_pad")(pixels)
    x = layers.ReLU(name="conv1_relu")(_convolution(x, 64, 7, 2, "conv1"))
    # Zeros are the smallest values after ReLU, so they pad the pooling as PyTorch does, with −∞.
    x = layers.MaxPooling2D(3, 2, name="pool1_pool")(layers.ZeroPadding2D(1, name="pool1_pad")(x))
    for stage, (count, channels) in enumerate(zip(_BLOCKS[options.depth or 50], _CHANNELS, strict=True), start=2):
        for block in range(1, count + 1):
            stride = 2 if block == 1 and stage > 2 else 1
            x = _torch_block(x, channels, stride, f"conv{stage}_block{block}", projected=block == 1)
    return keras.Model(pixels, x, name="backbone")


def _torch_block(x: KerasTensor, channels: int, stride: int, name: str, projected: bool) -> KerasTensor:
    from keras import layers

    shortcut = _convolution(x, channels, 1, stride, f"{name}_0") if projected else x
    x = layers.ReLU(name=f"{name}_1_relu")(_convolution(x, channels // 4, 1, 1, f"{name}_1"))
    x = layers.ZeroPadding2D(1, name=f"{name}_2_pad")(x)
    x = layers.ReLU(name=f"{name}_2_relu")(_convolution(x, channels // 4, 3, stride, f"{name}_2"))
    x = layers.Add(name=f"{name}_add")([shortcut, _convolution(x, channels, 1, 1, f"{name}_3")])
    return layers.ReLU(name=f"{name}_out")(x)


def _convolution(x: KerasTensor, filters: int, kernel: int, stride: int, name: str) -> KerasTensor:
    """Add a convolution without padding and BatchNorm."""
    import keras
    from keras import layers

    start = keras.initializers.VarianceScaling(2.0, "fan_out", "untruncated_normal")  # torchvision's
    convolution = layers.Conv2D(filters, kernel, stride, use_bias=False, kernel_initializer=start, name=f"{name}_conv")
    return layers.BatchNormalization(epsilon=_TORCH_EPSILON, name=f"{name}_bn")(convolution(x))


class Resnet(Backbone):
    """BGR pixels minus ImageNet's mean → the map at stride 32, 2048 channels."""

    name = "resnet"
    options = ResnetOptions
    channels = 3
    sources = (WeightSource("imagenet", lambda options, shape: application(options, shape, "imagenet"), preprocess),)
    shape_options = ("depth", "convention")

    def smallest_side(self, options: ResnetOptions, feature_levels: bool) -> int:
        """Return 32, which is one pixel after halving five times."""
        return 32

    def build(self, options: ResnetOptions, input_shape: tuple[int, int, int], feature_levels: bool) -> keras.Model:
        """Build with random weights, as Keras or torchvision initializes them."""
        if options.convention == TORCH:
            return torch_network(options, input_shape)
        return application(options, input_shape, None)

    def pixels(self, options: ResnetOptions, image: KerasTensor) -> KerasTensor:
        """Return the pixels of Keras' weights, or of torchvision's and timm's."""
        from cvlib.models.preprocessing import torch_preprocessing

        return torch_preprocessing(image, TORCH_PIXELS) if options.convention == TORCH else preprocess(image)

    def torch_names(self, options: ResnetOptions) -> list[TorchNames]:
        """Return the names of torchvision and timm."""
        modules = {"conv1_conv": "conv1", "conv1_bn": "bn1"}
        for stage, count in enumerate(_BLOCKS[options.depth or 50], start=1):
            for block in range(count):
                ours, theirs = f"conv{stage + 1}_block{block + 1}", f"layer{stage}.{block}"
                if block == 0:
                    modules |= {f"{ours}_0_conv": f"{theirs}.downsample.0", f"{ours}_0_bn": f"{theirs}.downsample.1"}
                for number in (1, 2, 3):
                    modules |= {f"{ours}_{number}_{kind}": f"{theirs}.{module}{number}"
                                for kind, module in (("conv", "conv"), ("bn", "bn"))}  # fmt: skip
        return [TorchNames(modules, ("fc.",), {"": TORCH}, {"layer1.0.conv2": _CHANNELS[0] // 4})]

    def feature_levels(self, options: ResnetOptions) -> list[Level]:
        """Return the first convolution and the last block of each stage, at strides 2 to 32."""
        stages = [Level(f"conv{stage}_block{count}_out", 2**stage, channels) for stage, (count, channels)
                  in enumerate(zip(_BLOCKS[options.depth or 50], _CHANNELS, strict=True), start=2)]  # fmt: skip
        return [Level("conv1_relu", 2, 64), *stages]


BACKBONE = Resnet()
