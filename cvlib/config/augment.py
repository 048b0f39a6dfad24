"""The typed options of `augment`, with their bounds."""

from __future__ import annotations

from dataclasses import dataclass

from cvlib.config.fields import Options, option


@dataclass
class AugmentConfig(Options):
    """Random augmentation of the training images; a strength at its neutral value changes nothing."""

    name: str = "none"
    horizontal_flip: float = option(0.0, low=0, high=1)  # probability
    vertical_flip: float = option(0.0, low=0, high=1)  # probability
    rotation: float = option(0.0, low=0, high=180)  # maximum angle in degrees, in both directions
    crop: float = option(1.0, low=0.01, high=1)  # the minimum fraction of the area that a random crop keeps
    zoom_out: float = option(1.0, low=1, high=16)  # the maximum area of a view, as a multiple of the image's area
    mosaic: float = option(0.0, low=0, high=1)  # probability of combining four images into one; for boxes only
    mosaic_until: float = option(1.0, low=0, high=1)  # share of the training after which there are no more mosaics
    brightness: float = option(0.0, low=0, high=1)  # maximum change, as a fraction of the range 0–255
    contrast: float = option(0.0, low=0, high=1)  # factor within 1 ± this
    saturation: float = option(0.0, low=0, high=1)  # factor within 1 ± this
    hue: float = option(0.0, low=0, high=0.5)  # maximum rotation of the colour circle, in turns, in both directions
    blur: float = option(0.0, low=0, high=20)  # maximum sigma in pixels
    rand_operations: int = option(0, low=0, high=4)  # RandAugment's random operations for each image; 0: none
    rand_magnitude: float = option(0.3, low=0, high=1)  # their strength, as a share of the maximum
    erase: float = option(0.0, low=0, high=1)  # probability of erasing a rectangle
    mixup: float = option(0.0, low=0, high=10)  # alpha of the Beta distribution of the shares of two images; 0: off
    cutmix: float = option(0.0, low=0, high=10)  # the same for a rectangle of the second image in the first; 0: off

    def unused(self) -> set[str]:
        """Return the options of random operations and of mosaics, if there are none."""
        return {key for key, used in (("rand_magnitude", self.rand_operations), ("mosaic_until", self.mosaic))
                if not used}  # fmt: skip
