"""AlexNet: Krizhevsky, Sutskever & Hinton, ImageNet Classification with Deep Convolutional Networks, 2012.

This is the single-stream network: the convolutions see all channels, whereas the paper splits them over two GPUs. Local
response normalization is omitted because VGG found no gain in it. It has no parameters, so the count is still
62,378,344 at 227×227×3 and 1000 classes. `batch_norm` adds BatchNorm after the convolutions instead.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cvlib.config.fields import Options, option, require
from cvlib.models.backbone import Backbone

if TYPE_CHECKING:
    import keras
    from keras import KerasTensor

# filters, kernel, stride, padding, whether 3×3 pooling with stride 2 follows
_STAGES = (
    (96, 11, 4, "valid", True),
    (256, 5, 1, "same", True),
    (384, 3, 1, "same", False),
    (384, 3, 1, "same", False),
    (256, 3, 1, "same", True),
)


@dataclass
class AlexnetOptions(Options):
    """The options of AlexNet."""

    dense: list[int] = option([4096, 4096])
    dropout: float = option(0.5, low=0, high=0.95)  # after each dense layer
    batch_norm: bool = False

    def __post_init__(self) -> None:
        require(all(width >= 1 for width in self.dense), "model.dense", self.dense, "whole numbers of 1 or more")


class Alexnet(Backbone):
    """Pixels −1–1 → the last dense layer's features `(batch, width)`."""

    name = "alexnet"
    options = AlexnetOptions
    has_feature_levels = False
    shape_options = ("batch_norm",)

    def smallest_side(self, options: AlexnetOptions, feature_levels: bool) -> int:
        """Return 67, which the paper's strides and poolings reduce to one unit."""
        return 67

    def depends_on_size(self, options: AlexnetOptions) -> bool:
        """Return whether a dense layer reads the flattened map."""
        return bool(options.dense)

    def preprocess(self, image: KerasTensor) -> KerasTensor:
        """Scale raw pixels 0–255 to −1–1."""
        from cvlib.models.preprocessing import to_symmetric_range

        return to_symmetric_range(image)

    def build(self, options: AlexnetOptions, input_shape: tuple[int, int, int], feature_levels: bool) -> keras.Model:
        """Build with He initialization, which keeps the signal's scale through eight layers without normalization."""
        import keras
        from keras import layers

        x = pixels = keras.Input(input_shape, name="pixels")
        for number, stage in enumerate(_STAGES, start=1):
            x = _stage(options, x, f"conv{number}", *stage)
        x = layers.Flatten(name="flatten")(x)
        for number, width in enumerate(options.dense, start=len(_STAGES) + 1):
            x = layers.Dense(width, "relu", kernel_initializer="he_normal", name=f"dense{number}")(x)
            if options.dropout:
                x = layers.Dropout(options.dropout, name=f"dense{number}_dropout")(x)
        return keras.Model(pixels, x, name="backbone")


def _stage(options: AlexnetOptions, x: KerasTensor, name: str, filters: int, kernel: int, stride: int, padding: str,
           pool: bool) -> KerasTensor:  # fmt: skip
    from keras import layers

    x = layers.Conv2D(filters, kernel, stride, padding, kernel_initializer="he_normal", name=name)(x)
    if options.batch_norm:
        x = layers.BatchNormalization(name=f"{name}_bn")(x)
    x = layers.ReLU(name=f"{name}_relu")(x)
    return layers.MaxPooling2D(3, 2, name=f"{name}_pool")(x) if pool else x


BACKBONE = Alexnet()
