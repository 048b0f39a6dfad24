"""DenseNet121, 169 and 201: Huang et al., Densely Connected Convolutional Networks, CVPR 2017."""

from __future__ import annotations

from dataclasses import dataclass

from cvlib.config.fields import Options, option
from cvlib.models.applications import Application, ApplicationBackbone, imagenet, torch_mode
from cvlib.models.backbone import Level

_LAYERS = {121: (6, 12, 24, 16), 169: (6, 12, 32, 32), 201: (6, 12, 48, 32)}  # in each dense block, by variant
_GROWTH = 32  # channels that each layer adds


@dataclass
class DensenetOptions(Options):
    """The options of DenseNet."""

    variant: int | None = option(121, choices=(*_LAYERS, None))  # None: 121

    def __post_init__(self) -> None:
        self.variant = self.variant or 121


def network(options: DensenetOptions) -> Application:
    """Return Keras' network."""
    return Application(f"DenseNet{options.variant}")


class Densenet(ApplicationBackbone):
    """Standardized RGB → the map at stride 32, 1024 channels for DenseNet121."""

    name = "densenet"
    options = DensenetOptions
    sources = imagenet(network, torch_mode)
    shape_options = ("variant",)

    def application(self, options: DensenetOptions, feature_levels: bool) -> Application:
        """Return the same network for all tasks."""
        return network(options)

    def feature_levels(self, options: DensenetOptions) -> list[Level]:
        """Return the first convolution and the normalized output of each dense block, at strides 2 to 32."""
        found, channels = [Level("conv1_relu", 2, 64)], 64
        for number, count in enumerate(_LAYERS[options.variant or 121], start=2):
            channels += count * _GROWTH
            found.append(Level(f"pool{number}_relu" if number < 5 else "relu", 2**number, channels))
            channels //= 2  # the transition to the next block
        return found


BACKBONE = Densenet()
