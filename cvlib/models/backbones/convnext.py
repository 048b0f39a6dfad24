"""ConvNeXt: Liu et al., A ConvNet for the 2020s, CVPR 2022."""

from __future__ import annotations

import re
from dataclasses import dataclass

from cvlib.config.fields import Options, option
from cvlib.models.applications import Application, ApplicationBackbone, imagenet, torch_mode
from cvlib.models.backbone import Level

_VARIANTS = {  # blocks and channels of each stage
    "tiny": ((3, 3, 9, 3), (96, 192, 384, 768)),
    "small": ((3, 3, 27, 3), (96, 192, 384, 768)),
    "base": ((3, 3, 27, 3), (128, 256, 512, 1024)),
    "large": ((3, 3, 27, 3), (192, 384, 768, 1536)),
    "xlarge": ((3, 3, 27, 3), (256, 512, 1024, 2048)),
}


@dataclass
class ConvnextOptions(Options):
    """The options of ConvNeXt."""

    variant: str | None = option("tiny", choices=(*_VARIANTS, None))  # None: tiny

    def __post_init__(self) -> None:
        self.variant = self.variant or "tiny"


def network(options: ConvnextOptions, feature_levels: bool = False) -> Application:
    """Return Keras' network. For a classifier, it ends in the published pooling before the last normalization."""
    function = "ConvNeXtXLarge" if options.variant == "xlarge" else f"ConvNeXt{str(options.variant).capitalize()}"
    return Application(function, {"include_preprocessing": False, "pooling": None if feature_levels else "avg"})


class Convnext(ApplicationBackbone):
    """Standardized RGB → normalized features `(batch, 768)` for ConvNeXt-Tiny, or the maps of four stages."""

    name = "convnext"
    options = ConvnextOptions
    sources = imagenet(network, torch_mode)
    shape_options = ("variant",)
    depthwise = True

    def application(self, options: ConvnextOptions, feature_levels: bool) -> Application:
        """Return the network with global average pooling for a classifier, and without it otherwise."""
        return network(options, feature_levels)

    def feature_levels(self, options: ConvnextOptions) -> list[Level]:
        """Return the sum that ends each stage, the last one normalized, at strides 4 to 32."""
        depths, channels = _VARIANTS[str(options.variant)]
        found = []
        for stage, (count, width) in enumerate(zip(depths, channels, strict=True)):
            last = f"convnext_{options.variant}_stage_{stage}_block_{count - 1}_identity_"
            found.append(Level(last + ("add" if stage < 3 else "layer_normalization"), 4 * 2**stage, width))
        return found

    def block_name(self, layer: str) -> str:
        """Return stem, stage_0_block_0, … or downsampling_block_0, …"""
        found = re.search(r"stem|stage_\d+_block_\d+|downsampling_block_\d+", layer)
        return found.group() if found else layer


BACKBONE = Convnext()
