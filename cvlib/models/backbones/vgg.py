"""VGG16 and VGG19: Simonyan & Zisserman, Very Deep Convolutional Networks for Large-Scale Image Recognition, 2015.

Global average pooling and a new head replace the published dense layers. The convolutions have 14.7 million of VGG16's
138 million parameters and accept any image size.
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

_CHANNELS = (64, 128, 256, 512, 512)  # of each block
_CONVOLUTIONS = {16: (2, 2, 3, 3, 3), 19: (2, 2, 4, 4, 4)}  # in each block, by depth


@dataclass
class VggOptions(Options):
    """The options of VGG."""

    depth: int | None = option(16, choices=(16, 19, None))  # None: 16
    convention: str = option("keras", choices=CONVENTIONS)  # whose weights the base takes; the two want other pixels

    def __post_init__(self) -> None:
        self.depth = self.depth or 16


def preprocess(image: KerasTensor) -> KerasTensor:
    """Return BGR minus ImageNet's mean, as Keras' weights expect."""
    from cvlib.models.preprocessing import caffe_preprocessing

    return caffe_preprocessing(image)


def application(options: VggOptions, input_shape: tuple[int, int, int], weights: str | None) -> keras.Model:
    """Return Keras' network without its top."""
    import keras

    network = {16: keras.applications.VGG16, 19: keras.applications.VGG19}[options.depth or 16]
    return network(include_top=False, weights=weights, input_shape=input_shape, name="backbone")


class Vgg(Backbone):
    """BGR pixels minus ImageNet's mean → the map at stride 32, 512 channels."""

    name = "vgg"
    options = VggOptions
    channels = 3
    sources = (WeightSource("imagenet", lambda options, shape: application(options, shape, "imagenet"), preprocess),)
    shape_options = ("depth", "convention")

    def smallest_side(self, options: VggOptions, feature_levels: bool) -> int:
        """Return 32, which five poolings halve to one pixel."""
        return 32

    def build(self, options: VggOptions, input_shape: tuple[int, int, int], feature_levels: bool) -> keras.Model:
        """Build with He initialization, which replaces the paper's pretraining in stages.

        With Keras' default (Glorot), the signal fades over sixteen layers without normalization, and training from
        scratch stays at chance level.
        """
        import keras

        network = application(options, input_shape, None)
        for layer in network.layers:
            if isinstance(layer, keras.layers.Conv2D):
                layer.kernel.assign(keras.initializers.HeNormal()(layer.kernel.shape))
        return network

    def feature_levels(self, options: VggOptions) -> list[Level]:
        """Return the last convolution before each of the five max poolings, at strides 1 to 16.

        The last pooling has stride 32.
        """
        last = _CONVOLUTIONS[options.depth or 16]
        return [Level(f"block{block}_conv{count}", 2 ** (block - 1), _CHANNELS[block - 1], f"block{block}_pool", True)
                for block, count in enumerate(last, start=1)]  # fmt: skip

    def pixels(self, options: VggOptions, image: KerasTensor) -> KerasTensor:
        """Return the pixels of Keras' weights, or of torchvision's and timm's."""
        from cvlib.models.preprocessing import torch_preprocessing

        return torch_preprocessing(image, TORCH_PIXELS) if options.convention == TORCH else preprocess(image)

    def torch_names(self, options: VggOptions) -> list[TorchNames]:
        """Return the names of torchvision and timm, which number convolutions, ReLUs and poolings consecutively."""
        modules, position = {}, 0
        for block, count in enumerate(_CONVOLUTIONS[options.depth or 16], start=1):
            for number in range(1, count + 1):
                modules[f"block{block}_conv{number}"] = f"features.{position}"
                position += 2
            position += 1
        return [TorchNames(modules, ("classifier.", "pre_logits.", "head."), {"": TORCH})]


BACKBONE = Vgg()
