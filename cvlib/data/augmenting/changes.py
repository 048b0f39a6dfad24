"""`Changes`: what augmentation does to the pixels of a batch, and in which order it is done."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, Protocol

import numpy as np

from cvlib.config.schema import AugmentConfig
from cvlib.data.augmentation import MIXED, TILES, is_geometric, is_photometric, mixes
from cvlib.data.augmenting import affine, colour, erasing, mixing, mosaic, randaugment
from cvlib.data.augmenting.draws import Draws


@dataclass(frozen=True)
class Changes:
    """The changes of n images, which become m images by mosaics, and k by mixing; None for what is not done.

    A mosaic has four tiles. A sample that isn't joined shows only its first one, and n leaves the other three out.
    """

    source: Any = None  # float32 (n, 3, 3): maps pixels of the result to the source, see `affine.matrices`
    windows: Any = None  # float32 (n, 4): the part of a mosaic that shows each image, see `mosaic.quarters`
    tiles: Any = None  # int32 (n,): which of the 4 m tiles each image is, in ascending order
    kernels: Any = None  # float32 (m, taps): Gaussian blur
    contrast: Any = None  # float32 (m,): factor about each channel's mean
    brightness: Any = None  # float32 (m,): added, in levels
    colours: Any = None  # float32 (m, 3, 3): maps RGB to RGB
    operations: Any = None  # int32 (m, steps): of RandAugment, see `randaugment.colouring`
    strengths: Any = None  # float32 (m, steps)
    hidden: Any = None  # bool (m, height, width): erased pixels
    weights: Any = None  # float32 (k, height or 1, width or 1): share of the first image of each pair in each pixel

    @property
    def arrays(self) -> dict[str, Any]:
        """The changes that are made, by name."""
        return {name: getattr(self, name) for name in NAMES if getattr(self, name) is not None}


NAMES = tuple(field.name for field in fields(Changes))


def of(draws: Draws, config: AugmentConfig, height: int, width: int, channels: int) -> tuple[Changes, np.ndarray]:
    """Return the changes of images of this size, and the shares of mixed labels `(k, 2)`, otherwise `(k, 0)`."""
    made: dict[str, Any] = {}
    if config.mosaic:
        first = draws.every(TILES)
        placing, windows = mosaic.quarters(first, config, height, width)
        tiles = np.flatnonzero(windows[:, 2] > windows[:, 0]).astype(np.int32)
        source = affine.matrices(draws, config, height, width) @ placing
        made |= {"source": source[tiles], "windows": windows[tiles], "tiles": tiles}
        draws = first
    elif is_geometric(config):
        made["source"] = affine.matrices(draws, config, height, width)
    if config.blur:
        made["kernels"] = colour.blur_kernels(draws, config)
    if is_photometric(config):
        made["contrast"] = 1 + colour.strength(draws, "contrast", config.contrast)
        made["brightness"] = 255 * colour.strength(draws, "brightness", config.brightness)
        if channels == 3 and (config.saturation or config.hue):
            saturation = 1 + colour.strength(draws, "saturation", config.saturation)
            made["colours"] = colour.matrices(saturation, colour.strength(draws, "hue", config.hue))
    if config.rand_operations:
        made["operations"], made["strengths"] = randaugment.colouring(draws, config)
    if config.erase:
        made["hidden"] = erasing.hidden(draws, config, height, width)
    shares = np.empty((draws.count, 0), np.float32)
    if mixes(config):
        made["weights"], shares = mixing.shares(draws.every(MIXED), config, height, width)
    return Changes(**made), shares


class PixelOperations(Protocol):
    """How an engine changes images; each module that implements it has its own layout of a batch."""

    def resample(self, images: Any, source: Any, outside: float | None) -> Any:
        """Resample bilinearly; pixels outside get the level `outside`; if it is None, the edge is repeated."""

    def join(self, images: Any, windows: Any, tiles: Any) -> Any:
        """Join the windows of the images that belong to the same mosaic."""

    def blur(self, images: Any, kernels: Any) -> Any:
        """Convolve each image with its kernel, along both axes; edge pixels are repeated."""

    def recolour(self, images: Any, contrast: Any, brightness: Any, colours: Any) -> Any:
        """Change contrast (about each channel's mean) and brightness, and then, unless it is None, colours."""

    def clip(self, images: Any) -> Any:
        """Clip to 0–255."""

    def operate(self, images: Any, operation: Any, strength: Any, magnitude: float) -> Any:
        """Apply one of RandAugment's operations on colours to each image, and clip to 0–255."""

    def erase(self, images: Any, hidden: Any, level: float) -> Any:
        """Set the hidden pixels to a level."""

    def mix(self, images: Any, weights: Any) -> Any:
        """Mix each two images."""


def apply(images: Any, changes: Changes, magnitude: float, outside: float | None, ops: PixelOperations) -> Any:
    """Return the augmented images.

    Args:
        images: a batch in the layout of `ops`, float32, 0–255.
        changes: the changes of these images.
        magnitude: `augment.rand_magnitude`.
        outside: the level of pixels from outside the image; None repeats its edge.
        ops: the engine's operations.
    """
    if changes.source is not None:
        images = ops.resample(images, changes.source, outside)
    if changes.windows is not None:
        images = ops.join(images, changes.windows, changes.tiles)
    if changes.kernels is not None:
        images = ops.blur(images, changes.kernels)
    if changes.contrast is not None:
        images = ops.recolour(images, changes.contrast, changes.brightness, changes.colours)
    images = ops.clip(images)
    if changes.operations is not None:
        for step in range(changes.operations.shape[1]):
            images = ops.operate(images, changes.operations[:, step], changes.strengths[:, step], magnitude)
    if changes.hidden is not None:
        images = ops.erase(images, changes.hidden, affine.GREY)
    if changes.weights is not None:
        images = ops.mix(images, changes.weights)
    return images
