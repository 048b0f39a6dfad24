"""A small residual network for detectors trained from scratch, similar to CSPDarknet.

Cross-stage partial blocks: Wang et al., CSPNet: A New Backbone that can Enhance Learning Capability of CNN, 2020.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cvlib.config.fields import Options, option, require
from cvlib.models.backbone import TIMES, Backbone, Level

if TYPE_CHECKING:
    import keras
    from keras import KerasTensor


@dataclass
class DarknetOptions(Options):
    """The options of the small CSPDarknet."""

    filters: list[int] = option([16, 32, 64, 128, 256])  # one stage per entry; each stage halves the sides
    size: str = option("n", choices=tuple(TIMES))  # multiplies all filters by 1, 2 or 3

    def __post_init__(self) -> None:
        valid = bool(self.filters) and all(width >= 1 for width in self.filters)
        require(valid, "model.filters", self.filters, "a width of 1 or more for each stage, such as [16,32,64]")

    @property
    def widths(self) -> list[int]:
        """The number of channels of each stage."""
        return [TIMES[self.size] * width for width in self.filters]


class Darknet(Backbone):
    """Pixels 0–1 → the map of the last stage."""

    name = "darknet"
    options = DarknetOptions
    shape_options = ("filters", "size")

    def smallest_side(self, options: DarknetOptions, feature_levels: bool) -> int:
        """Return 32, which five stages halve to one pixel."""
        return 32

    def build(self, options: DarknetOptions, input_shape: tuple[int, int, int], feature_levels: bool) -> keras.Model:
        """Build one stage per entry of `filters`; each halves the sides with a strided convolution."""
        import keras

        from cvlib.models.blocks import convolution

        x = pixels = keras.Input(input_shape, name="pixels")
        for number, filters in enumerate(options.widths, start=1):
            x = convolution(x, filters, 3, f"stage{number}_down", stride=2)
            if number > 1:
                x = _partial_block(x, filters, f"stage{number}_csp")
        return keras.Model(pixels, x, name="backbone")

    def feature_levels(self, options: DarknetOptions) -> list[Level]:
        """Return the last map of each stage, at strides 2, 4, …."""
        names = ["stage1_down_relu"] + [f"stage{n}_csp_out_relu" for n in range(2, len(options.filters) + 1)]
        return [Level(name, 2 ** (index + 1), filters)
                for index, (name, filters) in enumerate(zip(names, options.widths, strict=True))]  # fmt: skip


def _partial_block(x: KerasTensor, filters: int, name: str) -> KerasTensor:
    """Send half of the channels through a residual pair of convolutions, while the other half bypasses it."""
    from keras import layers

    from cvlib.models.blocks import convolution

    half = max(filters // 2, 1)
    bypass = convolution(x, half, 1, f"{name}_past")
    branch = convolution(x, half, 1, f"{name}_through")
    y = convolution(branch, half, 3, f"{name}_conv1")
    y = layers.Add(name=f"{name}_add")([branch, convolution(y, half, 3, f"{name}_conv2")])
    return convolution(layers.Concatenate(name=f"{name}_both")([bypass, y]), filters, 1, f"{name}_out")


BACKBONE = Darknet()
